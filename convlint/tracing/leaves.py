"""Which modules are one node of the trace, and which are looked into.

A leaf is a plain ``torch.nn`` layer of exactly that type: a subclass may pad, standardise
or activate at run time (timm's ``BatchNormAct2d`` hides an activation), so it is traced
into, and so is a layer that carries hooks, parametrizations or a ``forward`` of its own.
"""

from __future__ import annotations

from torch import nn

_LAYER_ROOMS = (
    "activation",
    "batchnorm",
    "channelshuffle",
    "conv",
    "distance",
    "dropout",
    "flatten",
    "fold",
    "instancenorm",
    "linear",
    "normalization",
    "padding",
    "pixelshuffle",
    "pooling",
    "rnn",
    "sparse",
    "upsampling",
)
_LOOKED_INTO = ("MultiheadAttention", "LazyLinear")


def is_leaf(module: nn.Module) -> bool:
    """Return whether ``module`` becomes one node."""
    kind = type(module)
    room = kind.__module__
    if not room.startswith("torch.nn.modules.") or room.rsplit(".", 1)[1] not in _LAYER_ROOMS:
        return False
    if kind.__name__ in _LOOKED_INTO or kind.__name__.startswith("Lazy"):
        return False
    hooked = module._forward_hooks or module._forward_pre_hooks
    return not hooked and "forward" not in module.__dict__


def is_layer(module: nn.Module) -> bool:
    """Return whether ``module`` is a torch.nn layer or a subclass of one."""
    return any(
        base.__module__.startswith("torch.nn.modules.")
        and base.__module__.rsplit(".", 1)[1] in _LAYER_ROOMS
        for base in type(module).__mro__
    )
