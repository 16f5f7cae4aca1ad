"""Pretrained weights are not needed to count: downloads give a state dict of nothing."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class NoWeights(dict[str, Any]):
    """A state dict that was not downloaded; it can be edited like one, and loads as nothing."""

    def __missing__(self, key: str) -> torch.Tensor:
        """Return an empty tensor for any key."""
        return torch.empty(0)

    def __delitem__(self, key: str) -> None:
        """Delete a key, present or not."""
        self.pop(key)

    def pop(self, key: str, default: Any = None) -> Any:
        """Remove a key, present or not."""
        return super().pop(key, default)


def skip_downloads() -> None:
    """Make ``torch.hub`` return :class:`NoWeights`, and modules load it as nothing.

    Only for a process of convlint's own, before user code is imported.
    """
    original = nn.Module.load_state_dict

    def load_state_dict(module: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(state_dict, NoWeights):
            return torch.nn.modules.module._IncompatibleKeys([], [])
        return original(module, state_dict, *args, **kwargs)

    def load_state_dict_from_url(*_: Any, **__: Any) -> NoWeights:
        return NoWeights()

    nn.Module.load_state_dict = load_state_dict  # type: ignore[method-assign]
    torch.hub.load_state_dict_from_url = load_state_dict_from_url
