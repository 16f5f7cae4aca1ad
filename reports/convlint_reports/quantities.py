"""The counted quantities of a model: how each is called, picked out of a report and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convlint.contract import Saving, Totals
from convlint_reports import numbers


@dataclass(frozen=True, slots=True)
class Quantity:
    """One counted quantity; ``key`` is its name in the page, ``noun`` follows an amount."""

    key: str
    label: str
    noun: str
    form: Callable[[int], str]
    total: Callable[[Totals], int]
    saved: Callable[[Saving], int]

    def cell(self, value: int) -> str:
        """Return an amount under the quantity's heading: MACs without their unit."""
        return numbers.si(value) if self.key == "macs" else self.form(value)

    def amount(self, value: int) -> str:
        """Return the size of a change in words: "1.38 GMACs", "2.00 KiB of activations"."""
        words = f"{self.form(abs(value))}{self.noun}"
        return words.removesuffix("s") if self.key == "kernels" and abs(value) == 1 else words


MACS = Quantity("macs", "MACs", "", numbers.macs, lambda t: t.macs, lambda s: s.macs)
PARAMS = Quantity("params", "Params", " params", numbers.si, lambda t: t.params, lambda s: s.params)
WEIGHTS = Quantity(
    "weights",
    "Weights",
    " of weights",
    numbers.size,
    lambda t: t.param_bytes,
    lambda s: s.param_bytes,
)
WRITTEN = Quantity(
    "written",
    "Activations written",
    " of activations",
    numbers.size,
    lambda t: t.activation_bytes,
    lambda s: s.activation_bytes,
)
READ = Quantity(
    "read",
    "Bytes read",
    " read",
    numbers.size,
    lambda t: t.bytes_read,
    lambda s: s.bytes_read,
)
MOVED = Quantity(
    "bytes",
    "Bytes moved",
    " moved",
    numbers.size,
    lambda t: t.activation_bytes + t.bytes_read,
    lambda s: s.activation_bytes + s.bytes_read,
)
PEAK = Quantity(
    "peak",
    "Peak activations",
    " of peak memory",
    numbers.size,
    lambda t: t.peak_activation_bytes,
    lambda s: s.peak_activation_bytes,
)
OTHER = Quantity(
    "other",
    "Other operations",
    " other operations",
    numbers.si,
    lambda t: t.other_ops,
    lambda s: s.other_ops,
)
KERNELS = Quantity(
    "kernels", "Kernels", " kernels", lambda n: f"{n:,}", lambda _: 0, lambda s: s.kernels
)

TOTALS = (MACS, PARAMS, WEIGHTS, WRITTEN, PEAK)
"""The rows of the table of totals."""
MAIN = (MACS, PARAMS, WRITTEN, PEAK)
"""What a saving is told in."""
MINOR = (READ, OTHER, KERNELS)
"""What a saving is told in where nothing of MAIN is saved."""
EVERY = (MACS, PARAMS, WRITTEN, READ, PEAK, OTHER, KERNELS)
"""What a card lists."""
SORTED = (MACS, PARAMS, MOVED, PEAK)
"""What findings can be filtered and sorted by."""


WORTH = 0.1
"""The share of a model, in percent, from which a saving is worth the first word."""


def percent(quantity: Quantity, saving: Saving, totals: Totals) -> float:
    """Return how much of the model a saving is, in percent; 0 where the whole is not known."""
    if quantity is MACS and saving.macs_percent:
        return saving.macs_percent
    if quantity is PARAMS and saving.params_percent:
        return saving.params_percent
    return numbers.share(quantity.saved(saving), quantity.total(totals))
