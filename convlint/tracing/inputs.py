"""What goes into the model: declared, shown by the model or the file, or inferred."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from convlint.tracing.tensors import every_module, spec_of, tensors_in
from convlint.wire import InputSpec, Origin, Request

_SIDES_2D = (
    224, 32, 28, 64, 256, 512, 128, 96, 299, 384, 160, 192, 48, 16, 227, 300, 320, 331, 336, 416,
    448, 572, 640, 8,
)  # fmt: skip
_OBLONG_2D = ((32, 128), (32, 100), (64, 256), (128, 256), (48, 320), (240, 320), (480, 640))
_LENGTHS_1D = (1024, 128, 256, 64, 32, 512, 4096, 16000, 2048, 8192, 100, 187, 1000, 3000, 22050)
_VOLUMES_3D = (
    (32, 32, 32), (16, 112, 112), (64, 64, 64), (16, 64, 64), (8, 64, 64), (96, 96, 96),
    (128, 128, 128), (16, 16, 16), (8, 32, 32), (16, 224, 224), (32, 224, 224),
)  # fmt: skip

_SIZES = ("in_size", "input_size", "img_size", "image_size")
_STEPS = frozenset(["t", "time", "timestep", "timesteps", "time_step", "time_steps", "noise_level"])

_MOST_MIXED = 3

Inputs = tuple[InputSpec, ...]


def candidates(request: Request, model: nn.Module) -> Iterator[Inputs]:
    """Yield whole input lists in the order to try them.

    Declared inputs are the only ones where there are any. Then what the model itself shows
    (``example_input_array``, a timm config), what the file shows, and at last shapes inferred
    from the first layer.
    """
    declared = [given for given in request.inputs if given and given[0].origin == "declared"]
    if declared:
        yield from declared
        return
    yield from _shown_by_model(model)
    yield from request.inputs
    yield from _inferred(model)


def _shown_by_model(model: nn.Module) -> Iterator[Inputs]:
    example = getattr(model, "example_input_array", None)
    found = list(tensors_in(example))
    if found:
        names = list(example) if isinstance(example, dict) else [None] * len(found)
        yield tuple(
            InputSpec(spec_of(t).shape, spec_of(t).dtype, name, "example")
            for t, name in zip(found, names, strict=True)
        )
    for attribute in ("pretrained_cfg", "default_cfg"):
        config = getattr(model, attribute, None)
        size = config.get("input_size") if isinstance(config, dict) else None
        if isinstance(size, (list, tuple)) and all(isinstance(n, int) for n in size):
            yield (InputSpec((1, *size), _float_of(model), None, "example"),)
    yield from _shown_by_size(model)


def _shown_by_size(model: nn.Module) -> Iterator[Inputs]:
    """Yield the size that the model keeps in an attribute, with the first layer's channels."""
    widths = dict(_first_layers(model))
    for attribute in _SIZES:
        size = getattr(model, attribute, None)
        size = (size, size) if isinstance(size, int) and "2" in widths else size
        if not isinstance(size, (list, tuple)) or str(len(size)) not in widths:
            continue
        if all(isinstance(n, int) and n > 1 for n in size):
            shape = (1, widths[str(len(size))], *size)
            yield tuple(
                _named_like(argument, shape, _float_of(model), "example")
                for argument in _required(model)
            )


def _inferred(model: nn.Module) -> Iterator[Inputs]:
    """Yield the same shape for every argument; of several, also other channels for each."""
    arguments = _required(model)
    for place, (shape, dtype) in enumerate(_shapes(model)):
        yield tuple(_named_like(argument, shape, dtype) for argument in arguments)
        if 1 < len(arguments) <= _MOST_MIXED and place < 2 and len(shape) > 2:
            for channels in itertools.product(widths(model), repeat=len(arguments)):
                if len(set(channels)) > 1:
                    yield tuple(
                        _named_like(argument, (1, width, *shape[2:]), dtype)
                        for argument, width in zip(arguments, channels, strict=True)
                    )


def inferred(model: nn.Module, shape: tuple[int, ...]) -> Inputs:
    """Return an input list with this shape for every argument."""
    dtype = _float_of(model)
    return tuple(_named_like(argument, shape, dtype) for argument in _required(model))


def widths(model: nn.Module) -> list[int]:
    """Return the channels that the first convs read, each once: what inputs may have."""
    convs = (m for m in model.modules() if isinstance(m, nn.modules.conv._ConvNd))
    return list(dict.fromkeys(conv.in_channels for conv in convs if conv.in_channels <= 16))[:3]


def _named_like(
    argument: inspect.Parameter, shape: tuple[int, ...], dtype: str, origin: Origin = "inferred"
) -> InputSpec:
    """Return the spec of an argument: a mask has one channel, a time step is one number."""
    lower = argument.name.lower()
    name = argument.name if argument.kind is argument.KEYWORD_ONLY else None
    if "mask" in lower and len(shape) > 2:
        return InputSpec((shape[0], 1, *shape[2:]), dtype, name, origin)
    if lower in _STEPS:
        return InputSpec(shape[:1], "int64", name, origin)
    return InputSpec(shape, dtype, name, origin)


def names_of(model: nn.Module) -> list[str]:
    """Return the arguments that ``forward`` cannot do without, at least one."""
    return [argument.name for argument in _required(model)]


def _required(model: nn.Module) -> list[inspect.Parameter]:
    one = [inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return one
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p for p in parameters if p.default is p.empty and p.kind not in variadic] or one


def _shapes(model: nn.Module) -> Iterator[tuple[tuple[int, ...], str]]:
    dtype = _float_of(model)
    kinds = _first_layers(model)
    for kind, width in kinds:
        if kind == "embedding":
            for length in (64, 16, 128):
                yield (1, length), "int64"
        elif kind == "linear":
            for shape in ((1, width), (1, 64, width), (1, 1, width)):
                yield shape, dtype
        else:
            for lengths in sizes(int(kind)):
                yield (1, width, *lengths), dtype
            for lengths in itertools.islice(sizes(int(kind)), 2):
                yield (1, *lengths, width), dtype  # a model that moves its channels itself
            for channels in [n for n in (3, 1) if n != width]:
                for lengths in sizes(int(kind)):
                    yield (1, channels, *lengths), dtype


def sizes(axes: int) -> Iterator[tuple[int, ...]]:
    """Yield lengths of so many spatial axes, in the order to try them."""
    if axes == 1:
        yield from ((length,) for length in _LENGTHS_1D)
    elif axes == 3:
        yield from _VOLUMES_3D
    else:
        yield from ((side, side) for side in _SIDES_2D)
        yield from _OBLONG_2D


def _first_layers(model: nn.Module) -> list[tuple[str, int]]:
    """Return what kinds of first layer to believe in: ("2", channels), ("linear", width), …"""
    found: dict[str, int] = {}
    for module in every_module(model):
        if isinstance(module, nn.modules.conv._ConvNd):
            found.setdefault(str(len(module.kernel_size)), module.in_channels or 3)
        elif isinstance(module, nn.Linear) and module.in_features:
            found.setdefault("linear", module.in_features)
        elif isinstance(module, nn.Embedding):
            found.setdefault("embedding", module.num_embeddings)
    for parameter in model.parameters():
        if isinstance(parameter, nn.parameter.UninitializedTensorMixin):
            continue
        axes = parameter.dim() - 2
        if axes in (1, 2, 3) and str(axes) not in found:
            found[str(axes)] = int(parameter.shape[1])
    found.setdefault("2", 3)
    return list(found.items())


def _float_of(model: nn.Module) -> str:
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return str(parameter.dtype).removeprefix("torch.")
    return "float32"


def make(specs: Inputs, device: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return (args, kwargs) of tensors of these specs on ``device``, random where real.

    Those with ``within`` come in the dicts and lists that their keys tell of.
    """
    given: dict[int | str, Any] = {}
    positions = 0
    for spec in specs:
        root: int | str = positions if spec.argument is None else spec.argument
        root = root if spec.name is None else spec.name
        positions += spec.name is None and root not in given
        _put(given, (root, *spec.within), _tensor(spec, device))
    made = {root: _container(value) for root, value in given.items()}
    args = tuple(made[root] for root in sorted(key for key in made if isinstance(key, int)))
    return args, {key: value for key, value in made.items() if isinstance(key, str)}


def _put(tree: dict[int | str, Any], keys: tuple[int | str, ...], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree[keys[-1]] = value


def _container(value: Any) -> Any:
    """Return a tree of keys as nested containers: positions make a list, names a dict."""
    if not isinstance(value, dict):
        return value
    filled = {key: _container(item) for key, item in value.items()}
    return list(filled.values()) if all(isinstance(key, int) for key in filled) else filled


def _tensor(spec: InputSpec, device: str) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype)
    if device == "meta":
        return torch.empty(spec.shape, dtype=dtype, device="meta")
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(spec.shape, dtype=dtype, device=device)
    return torch.zeros(spec.shape, dtype=dtype, device=device)
