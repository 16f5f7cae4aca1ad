"""What a failed ``b, c, t = x.shape`` tells of the input: how many axes it has."""

from __future__ import annotations

import re
from collections.abc import Iterator

from torch import nn

from convlint.tracing import inputs
from convlint.tracing.inputs import Inputs

_UNPACKED = re.compile(r"(?:too many|not enough) values to unpack \(expected (?P<axes>[345])\b")


def axes_wanted(error: BaseException | None, specs: Inputs) -> int | None:
    """Return how many axes the code wants of an inferred input that has another number of them."""
    found = _UNPACKED.match(str(error)) if isinstance(error, ValueError) else None
    if found is None or any(spec.origin != "inferred" for spec in specs):
        return None
    axes = int(found["axes"])
    return axes if all(len(spec.shape) != axes for spec in specs) else None


def with_axes(model: nn.Module, axes: int) -> Iterator[Inputs]:
    """Yield inferred input lists of so many axes, whatever the first layer reads."""
    for channels in dict.fromkeys((*inputs.widths(model), 1, 3)):
        for sizes in inputs.sizes(axes - 2):
            yield inputs.inferred(model, (1, channels, *sizes))
