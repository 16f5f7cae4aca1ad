"""What is timed is the model, on every backend; the intervals hold what they say."""

from __future__ import annotations

from math import comb

import pytest
import torch
from torch import nn

from convlint.applying import backends
from convlint.applying.measuring import Variant, interval, on_backend
from convlint.work import Timing


def test_the_interval_holds_the_median_in_95_of_100_cases():
    """By the binomial distribution of how many values are under the true median."""
    for count in (7, 8, 15, 50, 199, 400):
        _, low, high = interval(range(count))
        missed = sum(comb(count, under) for under in range(count + 1) if not low < under <= high)
        assert missed / 2**count < 0.065, count


def test_the_median_is_in_the_middle():
    """Order does not matter, and one slow call moves nothing."""
    assert interval([3, 1, 2, 1000, 2, 2, 2])[0] == 2


class Net(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x, scale):
        y = torch.relu(self.norm(self.conv(x)))
        return y * scale, y.mean((2, 3))


@pytest.mark.parametrize("backend", ["eager", "onnxruntime", "openvino"])
def test_a_backend_runs_the_model(backend):
    """The call that is timed gives what the model gives."""
    if backend != "eager":
        pytest.importorskip(backend, reason=f"{backend} is not installed")
    if backend == "onnxruntime":
        pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    model, given = Net().eval(), (torch.randn(2, 3, 8, 8), torch.rand(1, 4, 1, 1))
    found = backends.runner(backend, model, given, 1)()
    found = list(found.values()) if hasattr(found, "values") else found
    with torch.no_grad():
        for expected, one in zip(model(*given), found, strict=True):
            torch.testing.assert_close(torch.as_tensor(one), expected, rtol=1e-4, atol=1e-5)


def test_a_model_that_a_backend_does_not_take_is_skipped_with_its_reason():
    """Also where it is one variant of several: the others are timed."""

    class Broken(Net):
        def forward(self, x, scale):
            raise ValueError("not today")

    given = (torch.randn(2, 3, 8, 8), torch.rand(1, 4, 1, 1))
    good, bad = Net().eval(), Broken().eval()
    variants = [Variant("now", good, given, 10), Variant("after", bad, given, 5)]
    rows, skipped = on_backend("eager", variants, Timing(seconds=0.01))
    assert [row.variant for row in rows] == ["now"]
    assert skipped == ["eager, after: eager does not run the model: not today"]


def test_calls_are_counted_on_the_clock_that_is_given():
    """Seven rounds at least, whatever the time; a clock that counts calls gives ratio 1."""
    ticks = iter(range(10**6))
    given = (torch.randn(2, 3, 8, 8), torch.rand(1, 4, 1, 1))
    model = Net().eval()
    variants = [Variant("now", model, given, 10), Variant("after", model, given, 5)]
    rows, _ = on_backend("eager", variants, Timing(seconds=1), clock=lambda: next(ticks))
    assert [row.runs for row in rows] == [7, 7]
    assert (rows[1].ratio, rows[1].ratio_low, rows[1].ratio_high) == (1, 1, 1)
    assert rows[1].macs_ratio == 0.5
