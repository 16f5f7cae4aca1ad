"""Runtimes that a model can be timed on; each gives a function without arguments, or says why not."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

Runner = Callable[[], Any]
BACKENDS = ("eager", "compile", "onnxruntime", "openvino", "cuda")


class Unavailable(Exception):
    """A backend cannot run here, or not this model; the message is a sentence for the user."""


def runner(
    backend: str, model: nn.Module, inputs: tuple[torch.Tensor, ...], threads: int
) -> Runner:
    """Return a call that runs ``model`` once on a backend; raise Unavailable."""
    makers = {
        "eager": _eager,
        "compile": _compiled,
        "onnxruntime": _onnxruntime,
        "openvino": _openvino,
        "cuda": _cuda,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = makers[backend](model, inputs, threads)
            made()
    except Unavailable:
        raise
    except Exception as error:
        raise Unavailable(f"{backend} does not run the model: {_first_line(error)}") from error
    return made


def _eager(model: nn.Module, inputs: tuple[torch.Tensor, ...], threads: int) -> Runner:
    torch.set_num_threads(threads)

    def call() -> Any:
        with torch.inference_mode():
            return model(*inputs)

    return call


def _compiled(model: nn.Module, inputs: tuple[torch.Tensor, ...], threads: int) -> Runner:
    if not any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl")):
        raise Unavailable("torch.compile needs a C++ compiler, and there is none on the path")
    torch.set_num_threads(threads)
    logging.getLogger("torch._inductor").setLevel(logging.ERROR)
    compiled = torch.compile(model)

    def call() -> Any:
        with torch.inference_mode():
            return compiled(*inputs)

    return call


def _export(model: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path) -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        what = f"ONNX Runtime needs the package {error.name}: pip install 'convlint[onnx]'"
        raise Unavailable(what) from None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            torch.onnx.export(
                model, inputs, str(path), dynamo=True, verbose=False, external_data=False
            )
    except Exception as error:
        raise Unavailable(f"the ONNX exporter failed: {_first_line(error)}") from error


def _onnxruntime(model: nn.Module, inputs: tuple[torch.Tensor, ...], threads: int) -> Runner:
    try:
        import onnxruntime
    except ImportError:
        what = "onnxruntime is not installed: pip install 'convlint[onnx]'"
        raise Unavailable(what) from None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        _export(model, inputs, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    names = [value.name for value in session.get_inputs()]
    arrays = dict(zip(names, (tensor.numpy() for tensor in inputs), strict=False))
    return lambda: session.run(None, arrays)


def _openvino(model: nn.Module, inputs: tuple[torch.Tensor, ...], threads: int) -> Runner:
    try:
        import openvino
    except ImportError:
        what = "openvino is not installed: pip install 'convlint[openvino]'"
        raise Unavailable(what) from None
    try:
        converted = openvino.convert_model(model, example_input=inputs)
        core = openvino.Core()
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(converted, "CPU", options)
    except Exception as error:
        raise Unavailable(f"OpenVINO does not take the model: {_first_line(error)}") from error
    request = compiled.create_infer_request()
    arrays = [tensor.numpy() for tensor in inputs]
    return lambda: request.infer(arrays)


def _cuda(model: nn.Module, inputs: tuple[torch.Tensor, ...], _threads: int) -> Runner:
    if not torch.cuda.is_available():
        raise Unavailable("there is no CUDA device here")
    there = copy.deepcopy(model).cuda()
    given = tuple(tensor.cuda() for tensor in inputs)

    def call() -> Any:
        with torch.inference_mode():
            result = there(*given)
        torch.cuda.synchronize()
        return result

    return call


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
