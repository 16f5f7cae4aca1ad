"""What a recorded call is called, and whether it writes in place."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from convlint.tracing import leaves
from convlint.tracing.lowering import functions

_NO_INPUTS = ("placeholder", "get_attr", "output")


def name_of(node: fx.Node) -> str:
    """Return the canonical name of the call that ``node`` records ("add", "conv2d")."""
    if node.op == "call_method":
        return functions.canonical(str(node.target))
    if node.target is getattr:
        return str(node.args[1])
    name = getattr(node.target, "__name__", str(node.target))
    return functions.canonical(name)


def class_of(module: nn.Module | None) -> str:
    """Return "torch.nn.Conv2d", or a subclass of a layer by its own name; "" for other modules."""
    if module is None or not leaves.is_layer(module):
        return ""
    kind = type(module)
    plain = kind.__module__.startswith("torch.nn.modules.")
    return f"torch.nn.{kind.__name__}" if plain else f"{kind.__module__}.{kind.__qualname__}"


def function_of(node: fx.Node) -> str:
    """Return the function as its module knows it: "torch.relu", "Tensor.add_"."""
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    room = getattr(node.target, "__module__", None) or "torch"
    return f"{room}.{getattr(node.target, '__name__', node.target)}"


def args_of(node: fx.Node) -> tuple[Any, ...]:
    """Return the positional arguments; of an attribute read, the tensor alone."""
    return tuple(node.args[:1]) if node.target is getattr else tuple(node.args)


def is_in_place(node: fx.Node, layer: nn.Module | None) -> bool:
    """Return whether the call writes its result into its first tensor."""
    if node.op in _NO_INPUTS:
        return False
    if layer is not None:
        return bool(getattr(layer, "inplace", False))
    name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")
    marked = name.endswith("_") and not name.endswith("__")
    operators = ("__iadd__", "__isub__", "__imul__", "__itruediv__", "iadd", "imul", "isub")
    return marked or name in operators or bool(node.kwargs.get("inplace"))
