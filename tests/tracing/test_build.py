"""Models are built without content, and what can be seen of that is as torch has it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from convlint.tracing import build


class Initialised(nn.Module):
    """Weights filled in the ways of initialisers, and a small table that is read at once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(64, 64, 3)
        nn.init.trunc_normal_(self.conv.weight, std=0.02)
        nn.init.constant_(self.conv.bias, 0.5)
        self.scale = nn.Parameter(torch.ones(64, 64, 64).normal_(0.0, 0.1).clamp_(min=-1, max=1))
        self.rates = torch.zeros(3).add_(0.25).tolist()


def test_initialisers_leave_the_weight_that_they_fill() -> None:
    """The result is the parameter itself, on meta; small tables keep their content."""
    model = build.build(Initialised)
    assert {p.device.type for p in model.parameters()} == {"meta"}
    assert model.rates == [0.25, 0.25, 0.25]
    with build.MetaWeights(), torch.no_grad():
        weight = model.conv.weight
        assert weight.uniform_(-1, 1) is weight
        assert weight.mul_(2).add_(1) is weight


def broken() -> Any:
    weight = nn.Parameter(torch.empty(64, 64, 9))
    return weight.mul_(2)


def mismatched() -> Any:
    with torch.no_grad():
        return torch.empty(64, 64, 9).mul_(torch.ones(64, 64, 8))


@pytest.mark.parametrize(("make", "said"), [(broken, "leaf Variable"), (mismatched, "broadcast")])
def test_what_torch_refuses_is_refused(make: Any, said: str) -> None:
    """A write that needs a gradient, shapes that do not fit."""
    with build.MetaWeights(), pytest.raises(RuntimeError, match=said):
        make()
