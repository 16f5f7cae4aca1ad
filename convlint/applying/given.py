"""The model to work on, with real weights, and the inputs that it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convlint.applying.rewrite import Task
from convlint.checking.run import ActiveRule
from convlint.errors import ApplyError
from convlint.profiles import Target
from convlint.tracing import inputs, load, read, stubs
from convlint.tracing.sources import ConstructorLines, Locator
from convlint.wire import InputSpec, Request

_MOST_TOLD = 6


@dataclass(frozen=True, slots=True)
class Given:
    """A built model in eval mode, its inputs as tensors and as specs.

    ``others`` are its readings at the other inputs that are declared for it; ``outputs`` are those
    that are read, if not all.
    """

    target: str
    expression: str
    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    specs: tuple[InputSpec, ...]
    inferred: bool
    others: tuple[read.Reading, ...] = ()
    outputs: tuple[str, ...] = ()

    def task(self, active: tuple[ActiveRule, ...], profile: Target) -> Task:
        """Return what to rewrite with these rules."""
        others = tuple(reading.graph for reading in self.others)
        given = (self.model, self.args, self.kwargs)
        return Task(*given, active, profile, self.inferred, others, self.outputs)


def load_given(
    request: Request, weights: str | None = None, others: tuple[Request, ...] = ()
) -> Given:
    """Build the model of a Request with its own (or the file's) weights, and find its inputs.

    ``others`` ask for the same model at other inputs; it is read at each. Raises ReadError as
    reading does, ApplyError where the weights do not fit.
    """
    locator = Locator(request.root)
    stubs.install()
    with ConstructorLines(locator):
        module = load.import_target(request, locator)
        model, expression = load.make_model(request, module, locator, builder=_plainly)
        if weights is not None:
            load_weights(model, Path(weights))
        model.eval()
        reading = read.read_model(model, request, locator)
        beside = tuple(read.read_model(model, other, locator) for other in others)
    args, kwargs = inputs.make(reading.inputs, "cpu")
    inferred = any(spec.origin == "inferred" for spec in reading.inputs)
    told = (request.target, expression, model, args, kwargs, reading.inputs, inferred)
    return Given(*told, beside, request.outputs)


def _plainly(make: Any) -> Any:
    return make()


def load_weights(model: nn.Module, file: Path) -> None:
    """Load a state_dict (``torch.save`` or safetensors) strictly.

    Only tensors are unpickled. Raises ApplyError with the keys and shapes that do not fit; the
    model is not touched then.
    """
    state = _read(file)
    own = model.state_dict()
    faults = [f"missing {key}" for key in own if key not in state]
    faults += [f"unexpected {key}" for key in state if key not in own]
    faults += [
        f"{key} is {tuple(state[key].shape)}, should be {tuple(tensor.shape)}"
        for key, tensor in own.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if faults:
        some = "; ".join(faults[:_MOST_TOLD])
        more = f"; and {len(faults) - _MOST_TOLD} more" if len(faults) > _MOST_TOLD else ""
        raise ApplyError(f"{file.name} does not fit the model: {some}{more}")
    model.load_state_dict(state)


def _read(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise ApplyError(f"no such file: {file.name}", fix="check --weights")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(file))
        found = torch.load(file, map_location="cpu", weights_only=True)
    except ImportError:
        raise ApplyError("safetensors is not installed", fix="pip install safetensors") from None
    except Exception as error:
        what = f"{file.name} cannot be read as weights: {_first_line(error)}"
        fix = "save a state_dict: torch.save(model.state_dict(), file)"
        raise ApplyError(what, fix=fix) from None
    inner = found.get("state_dict", found.get("model", found)) if isinstance(found, dict) else None
    if not isinstance(inner, dict) or not all(isinstance(v, torch.Tensor) for v in inner.values()):
        raise ApplyError(f"{file.name} holds no state_dict")
    return inner


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
