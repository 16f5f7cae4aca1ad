"""Results of common layers on meta, without the Python that torch runs for them there.

On the meta device torch works out the result of a normalization or an activation with a
decomposition in Python: a millisecond a call, for a tensor that has the shape and dtype of the
input. It is made here at once; whatever is not plain is left to torch, and so is every error.
That results are those of torch is held by a test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

_PLAIN_TYPES = (torch.Tensor, nn.Parameter)


def of_layer(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a layer of torch.nn in eval mode, or None where torch is to say."""
    known = _LAYERS.get(type(module))
    if known is None or kwargs or len(args) != 1 or module.training:
        return None
    (x,) = args
    if not _is_plain(x) or not known(module, x):
        return None
    if isinstance(module, nn.Linear):
        return _like(x, (*x.shape[:-1], module.out_features))
    return x if getattr(module, "inplace", False) else _like(x)


def of_function(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the result of a function that is common in models, or None where torch is to say.

    These are activations, ``torch.cat``, the norms of ``torch.nn.functional``, and arithmetic with
    a number or with a tensor of the same shape.
    """
    if func in _JOINS:
        return _joined(*args, **kwargs) if _is_join(args, kwargs) else None
    if func in _NORMS:
        return _normed(_NORMS[func], args, kwargs)
    if func in _ARITHMETIC:
        fits = len(args) == 2 and not kwargs and _is_plain(args[0]) and _is_like(*args)
        return (args[0] if _writes(func) else _like(args[0])) if fits else None
    if func not in _SAME_SHAPE or len(args) != 1 or not kwargs.keys() <= _HARMLESS:
        return None
    (x,) = args
    if not _is_plain(x):
        return None
    return x if kwargs.get("inplace") or func in _IN_PLACE else _like(x)


def _is_join(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return 0 < len(args) <= 2 and kwargs.keys() <= {"dim", "axis"} and len(args) + len(kwargs) <= 2


def _joined(tensors: Any, dim: Any = 0, *, axis: Any = None) -> Any:
    """Return what many tensors give one after the other: torch checks each against all."""
    dim = dim if axis is None else axis
    if type(tensors) not in (list, tuple) or not tensors or type(dim) is not int:
        return None
    first = tensors[0]
    if not all(_is_plain(x) and x.dtype == first.dtype for x in tensors):
        return None
    shapes = {tuple(x.shape) for x in tensors}
    axes = len(first.shape)
    if not -axes <= dim < axes or any(len(shape) != axes for shape in shapes):
        return None
    dim %= axes
    if len({shape[:dim] + shape[dim + 1 :] for shape in shapes}) != 1:
        return None
    size = sum(x.shape[dim] for x in tensors)
    shape = tuple(first.shape)
    return _like(first, (*shape[:dim], size, *shape[dim + 1 :]))


def _normed(fits: Callable[..., bool], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        plain = bool(args) and _is_plain(args[0]) and fits(*args, **kwargs)
    except (AttributeError, IndexError, TypeError):
        return None  # torch's own error says what is wrong
    return _like(args[0]) if plain else None


def _is_like(x: torch.Tensor, other: Any) -> bool:
    if type(other) in (int, float):
        return True
    return _is_plain(other) and other.shape == x.shape and other.dtype == x.dtype


def _writes(func: Callable[..., Any]) -> bool:
    return func.__name__.endswith("_")


def _is_plain(x: Any) -> bool:
    """Return whether ``x`` is a dense meta tensor that no transform (vmap) wraps."""
    return (
        type(x) in _PLAIN_TYPES
        and x.device.type == "meta"
        and x.dtype.is_floating_point
        and x.is_contiguous()
        and _transforms() is None
    )


def _transforms() -> Any:
    peek = getattr(torch._C._functorch, "peek_interpreter_stack", None)
    return None if peek is None else peek()


def _like(x: torch.Tensor, shape: tuple[int, ...] | None = None) -> torch.Tensor:
    return torch.empty(x.shape if shape is None else shape, dtype=x.dtype, device="meta")


def _fits(x: torch.Tensor, sizes: tuple[int, ...], *tensors: torch.Tensor | None) -> bool:
    """Return whether all tensors there are have these sizes and the dtype of the input."""
    there = [tensor for tensor in tensors if tensor is not None]
    return all(tuple(t.shape) == sizes and t.dtype == x.dtype for t in there)


def _batch_norm(axes: tuple[int, ...]) -> Callable[[Any, torch.Tensor], bool]:
    def fits(layer: Any, x: torch.Tensor) -> bool:
        statistics = (layer.running_mean, layer.running_var)
        if x.dim() not in axes or None in statistics or x.numel() == 0:
            return False
        return _fits(x, (x.shape[1],), *statistics, layer.weight, layer.bias)

    return fits


def _function_batch_norm(
    x: torch.Tensor,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    *_: float,
    **__: float,
) -> bool:
    if training or running_mean is None or running_var is None or x.dim() < 2 or not x.numel():
        return False
    return _fits(x, (x.shape[1],), running_mean, running_var, weight, bias)


def _function_layer_norm(
    x: torch.Tensor,
    normalized_shape: tuple[int, ...],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> bool:
    del eps
    sizes = tuple(normalized_shape)
    ends = x.dim() >= len(sizes) > 0 and tuple(x.shape[x.dim() - len(sizes) :]) == sizes
    return ends and x.numel() > 0 and _fits(x, sizes, weight, bias)


def _group_norm(layer: Any, x: torch.Tensor) -> bool:
    if x.dim() < 2 or x.numel() == 0 or x.shape[1] % layer.num_groups:
        return False
    values = math.prod(x.shape) // (x.shape[0] * layer.num_groups)
    return values > 1 and _fits(x, (x.shape[1],), layer.weight, layer.bias)


def _layer_norm(layer: Any, x: torch.Tensor) -> bool:
    sizes = tuple(layer.normalized_shape)
    ends = tuple(x.shape[x.dim() - len(sizes) :]) == sizes and x.dim() >= len(sizes)
    return ends and x.numel() > 0 and _fits(x, sizes, layer.weight, layer.bias)


def _linear(layer: Any, x: torch.Tensor) -> bool:
    sizes = (layer.out_features, layer.in_features)
    fits = _fits(x, sizes, layer.weight) and _fits(x, sizes[:1], layer.bias)
    return fits and x.dim() > 0 and x.shape[-1] == layer.in_features and x.numel() > 0


def _activation(layer: Any, x: torch.Tensor) -> bool:
    del layer, x
    return True


_ACTIVATIONS = (
    nn.ELU,
    nn.GELU,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.SiLU,
    nn.Softplus,
)
_LAYERS: dict[type[nn.Module], Callable[[Any, torch.Tensor], bool]] = {
    **dict.fromkeys(_ACTIVATIONS, _activation),
    nn.BatchNorm1d: _batch_norm((2, 3)),
    nn.BatchNorm2d: _batch_norm((4,)),
    nn.BatchNorm3d: _batch_norm((5,)),
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.Linear: _linear,
}
_SAME_SHAPE = frozenset(
    [
        F.gelu,
        F.hardsigmoid,
        F.hardswish,
        F.relu,
        F.relu6,
        F.silu,
        torch.relu,
        torch.relu_,
        torch.Tensor.relu,
        torch.Tensor.relu_,
    ]
)
_NORMS: dict[Callable[..., Any], Callable[..., bool]] = {
    F.batch_norm: _function_batch_norm,
    F.layer_norm: _function_layer_norm,
}
_ARITHMETIC = frozenset(
    getattr(room, f"{name}{end}")
    for name in ("add", "sub", "mul", "div", "true_divide")
    for room, end in ((torch, ""), (torch.Tensor, ""), (torch.Tensor, "_"))
)
_JOINS = (torch.cat, torch.concat, torch.concatenate)
_IN_PLACE = (torch.relu_, torch.Tensor.relu_)
_HARMLESS = frozenset(["inplace", "approximate"])
