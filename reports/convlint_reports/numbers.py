"""Numbers as people read them: three significant digits, the unit beside them."""

from __future__ import annotations

from collections.abc import Sequence

from convlint.contract import ReceptiveField

_SI = ("", "k", "M", "G", "T", "P", "E")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def si(value: int) -> str:
    """Return "4.09 G", "25.6 M", "512"."""
    return _scaled(value, 1000, _SI)


def macs(value: int) -> str:
    """Return "4.09 GMACs", "512 MACs"."""
    number, _, unit = si(value).partition(" ")
    return f"{number} {unit}MACs"


def size(value: int) -> str:
    """Return a number of bytes: "97.5 MiB"."""
    return _scaled(value, 1024, _BINARY)


def _scaled(value: int, base: int, units: tuple[str, ...]) -> str:
    scaled, step = float(abs(value)), 0
    while step < len(units) - 1 and scaled >= (base if step == 0 else base - 0.5):
        scaled, step = scaled / base, step + 1
    digits = 0 if step == 0 else max(0, 3 - len(str(int(scaled + _half(scaled)))))
    sign = "-" if value < 0 else ""
    return f"{sign}{scaled:.{digits}f} {units[step]}".rstrip()


def _half(scaled: float) -> float:
    """Return half of the last digit shown: what rounding may add."""
    return 0.005 if scaled < 10 else 0.05 if scaled < 100 else 0.5


def percent(value: float) -> str:
    """Return "35.7 %"; what is not zero never reads as zero."""
    if 0 < abs(value) < 0.05:
        return "<0.1 %"
    return f"{value:.1f} %"


def share(part: int, whole: int) -> float:
    """Return ``part`` as percent of ``whole``; 0 where there is no whole."""
    return 100.0 * part / whole if whole else 0.0


def change(before: int, after: int) -> str:
    """Return "-35.7 %", "+2.0 %", "same", or "new" where nothing was there before."""
    if before == after:
        return "same"
    if before == 0:
        return "new"
    value = share(after - before, before)
    if abs(value) < 0.05:
        return "<0.1 % less" if value < 0 else "<0.1 % more"
    return f"{value:+.1f} %"


def shape(sizes: Sequence[int], by: str = "x") -> str:
    """Return "1x3x224x224"; a tensor without axes is "scalar"."""
    return by.join(str(size) for size in sizes) or "scalar"


def field(value: ReceptiveField | None, by: str = "x") -> str:
    """Return the largest receptive field: "11x11", "∞" where it is not bounded."""
    if value is None:
        return "–"
    if value.max is None:
        return "∞"
    return by.join(f"{side:g}" for side in value.max) or "–"


def typographic(text: str) -> str:
    """Return formatted numbers with a true minus sign and units that do not wrap, for pages."""
    return text.replace("-", "−").replace(" %", "\u00a0%")
