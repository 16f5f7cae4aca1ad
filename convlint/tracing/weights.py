"""Pretrained weights are not needed to count: those that are not here are a state dict of nothing."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from convlint.wire import Diagnostic, Reply

_POINTER = b"version https://git-lfs.github.com/spec/"

_INSIDE = frozenset(
    {"model", "module", "net", "network", "params", "weights", "ema", "teacher", "student"}
)
"""Names under which checkpoints keep a whole state dict, beside those that say so."""


class NoWeights(dict[str, Any]):
    """A state dict that is not here; it can be edited like one, and loads as nothing."""

    def __missing__(self, key: str) -> Any:
        """Return a state dict of nothing under the names of one, an empty tensor for other keys."""
        words = str(key).lower().removesuffix("_ema")
        return NoWeights() if words in _INSIDE or "state_dict" in words else torch.empty(0)

    def __delitem__(self, key: str) -> None:
        """Delete a key, present or not."""
        self.pop(key)

    def pop(self, key: str, default: Any = None) -> Any:
        """Remove a key, present or not."""
        return super().pop(key, default)


def skip_weights() -> list[str]:
    """Make ``torch.hub`` and ``torch.load`` return :class:`NoWeights` for what is not here.

    Returns the list of what was skipped, which grows. From the first on, modules load of any state
    dict only what fits them: it may have been made of the one that is not there. Only for a
    process of convlint's own, before user code is imported.
    """
    skipped: list[str] = []
    whole, module_load = torch.load, nn.Module.load_state_dict

    def load_state_dict(module: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(state_dict, NoWeights):
            return torch.nn.modules.module._IncompatibleKeys([], [])
        if skipped and isinstance(state_dict, Mapping):
            state_dict, args = _fitting(module, state_dict), ()
            kwargs = {key: kwargs[key] for key in ("assign",) if key in kwargs} | {"strict": False}
        return module_load(module, state_dict, *args, **kwargs)

    def load_state_dict_from_url(url: str = "", *_: Any, **__: Any) -> NoWeights:
        skipped.append(url)
        return NoWeights()

    def load(f: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(f, (str, os.PathLike)) and _is_missing(Path(f)):
            skipped.append(os.fspath(f))
            return NoWeights()
        return whole(f, *args, **kwargs)

    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
    torch.hub.load_state_dict_from_url = load_state_dict_from_url
    torch.load = load
    return skipped


def told(reply: Reply, skipped: Sequence[str]) -> Reply:
    """Return the reply with what was skipped: as a CL910, and as advice where building failed."""
    if not skipped:
        return reply
    names = list(dict.fromkeys(posixpath.basename(one) or one for one in skipped))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    what = f"{', '.join(names[:3])}{more} not read: what is counted does not depend on weights"
    failure = reply.failure
    if failure is not None and not failure.fix:
        fix = "build it without these weights, as in --model 'Net(pretrained=False)'"
        failure = msgspec.structs.replace(failure, fix=fix)
    diagnostics = (*reply.diagnostics, Diagnostic("CL910", what, "info"))
    return msgspec.structs.replace(reply, diagnostics=diagnostics, failure=failure)


def _is_missing(path: Path) -> bool:
    """Tell whether a file is not there, or only Git LFS's pointer to it is."""
    if not path.is_file():
        return not path.exists()
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


def _fitting(module: nn.Module, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    wanted = module.state_dict()
    return {
        key: value
        for key, value in state_dict.items()
        if key in wanted and _shape(value) == _shape(wanted[key])
    }


def _shape(value: Any) -> Any:
    return None if nn.parameter.is_lazy(value) else getattr(value, "shape", None)
