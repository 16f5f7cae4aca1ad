"""Writes a rewritten model: state_dict with its mapping, exported program, ONNX, Python source."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from convlint.applying import source
from convlint.applying.given import Given
from convlint.applying.rewrite import Applied
from convlint.contract import Context
from convlint.errors import ApplyError
from convlint.tracing.tensors import tensors_in
from convlint.work import Files, Written


def check(files: Files) -> None:
    """Raise ApplyError for a path that exists (without force) or whose folder does not."""
    for text in files.wanted().values():
        path = Path(text)
        if path.is_dir():
            raise ApplyError(f"{path.name} is a folder", fix="name a file in it")
        if path.exists() and not files.force:
            raise ApplyError(f"{path.name} exists", fix="take another name, or --force")
        if not path.parent.is_dir():
            raise ApplyError(f"there is no folder {path.parent.name}", fix="make it first")


def write(made: Applied, given: Given, files: Files) -> tuple[Written, ...]:
    """Write what is wanted; raise ApplyError where a format cannot hold the model."""
    writers: dict[str, Callable[[Applied, Given, Path], str]] = {
        "state_dict": _state_dict,
        "program": _program,
        "onnx": _onnx,
        "source": _source,
    }
    written = []
    for kind, text in files.wanted().items():
        path = Path(text)
        part = path.with_name(f".{path.stem}.part{path.suffix}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                note = writers[kind](made, given, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        if kind == "state_dict":
            _mapping(made, path)
        written.append(Written(kind, text, path.stat().st_size, note))
    return tuple(written)


def state_bytes(context: Context) -> int:
    """Return the bytes of parameters and buffers: a saved state_dict without its keys."""
    return context.cost.param_bytes + context.cost.buffer_bytes


def _state_dict(made: Applied, _given: Given, path: Path) -> str:
    state = {key: tensor.contiguous() for key, tensor in made.module.state_dict().items()}
    if path.suffix == ".safetensors":
        try:
            from safetensors.torch import save_file
        except ImportError:
            what = "safetensors is not installed"
            raise ApplyError(what, fix="pip install safetensors, or save as .pt") from None
        unique = {key: tensor.clone() for key, tensor in state.items()}
        save_file(unique, path)
    else:
        torch.save(state, path)
    return "old keys of each new key: the .mapping.json beside it"


def _mapping(made: Applied, path: Path) -> None:
    text = json.dumps({key: list(old) for key, old in made.origins.items()}, indent=1)
    path.with_name(f"{path.name}.mapping.json").write_text(text + "\n", encoding="utf-8")


def _inputs(given: Given) -> tuple[torch.Tensor, ...]:
    return tuple(tensors_in((given.args, dict(given.kwargs))))


def _program(made: Applied, given: Given, path: Path) -> str:
    try:
        program = torch.export.export(made.module, _inputs(given))
        torch.export.save(program, path)
    except Exception as error:
        raise ApplyError(f"torch.export cannot hold it: {_first_line(error)}") from error
    return "load it with torch.export.load"


def _onnx(made: Applied, given: Given, path: Path) -> str:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        what = f"ONNX files need the package {error.name}"
        raise ApplyError(what, fix="pip install 'convlint[onnx]'") from None
    try:
        torch.onnx.export(
            made.module, _inputs(given), str(path), dynamo=True, verbose=False, external_data=False
        )
    except Exception as error:
        raise ApplyError(f"the ONNX exporter failed: {_first_line(error)}") from error
    return ""


def _source(made: Applied, _given: Given, path: Path) -> str:
    path.write_text(source.module_code(made.module), encoding="utf-8")
    return "load the saved state_dict into its Rewritten()"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
