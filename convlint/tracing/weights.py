"""Pretrained weights are not needed to count: downloads give a state dict of nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

_INSIDE = frozenset(
    {"model", "module", "net", "network", "params", "weights", "ema", "teacher", "student"}
)
"""Names under which checkpoints keep a whole state dict, beside those that say so."""


class NoWeights(dict[str, Any]):
    """A state dict that was not downloaded; it can be edited like one, and loads as nothing."""

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


def skip_downloads() -> None:
    """Make ``torch.hub`` return :class:`NoWeights`, and modules load it as nothing.

    Once a download was skipped, modules load of any state dict only what fits them: it may have
    been made of the one that is not there. Only for a process of convlint's own, before user code
    is imported.
    """
    original = nn.Module.load_state_dict
    skipped: list[str] = []

    def load_state_dict(module: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(state_dict, NoWeights):
            return torch.nn.modules.module._IncompatibleKeys([], [])
        if skipped and isinstance(state_dict, Mapping):
            state_dict, args = _fitting(module, state_dict), ()
            kwargs = {key: kwargs[key] for key in ("assign",) if key in kwargs} | {"strict": False}
        return original(module, state_dict, *args, **kwargs)

    def load_state_dict_from_url(url: str = "", *_: Any, **__: Any) -> NoWeights:
        skipped.append(url)
        return NoWeights()

    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
    torch.hub.load_state_dict_from_url = load_state_dict_from_url


def _fitting(module: nn.Module, state_dict: Mapping[str, Any]) -> dict[str, Any]:
    wanted = module.state_dict()
    return {
        key: value
        for key, value in state_dict.items()
        if key in wanted and _shape(value) == _shape(wanted[key])
    }


def _shape(value: Any) -> Any:
    return None if nn.parameter.is_lazy(value) else getattr(value, "shape", None)
