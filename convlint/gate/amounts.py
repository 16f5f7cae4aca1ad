"""Counted quantities in words, for messages about limits."""

from __future__ import annotations

_SI = ("", "k", "M", "G", "T", "P")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi")


def amount(quantity: str, value: int) -> str:
    """Return "4.2 GMACs", "25.6 M params" or "512 KiB" of a total's quantity."""
    if quantity.endswith("bytes"):
        number, unit = _scaled(value, 1024, _BINARY)
        return f"{number} {unit}B"
    number, unit = _scaled(value, 1000, _SI)
    if quantity == "macs":
        return f"{number} {unit}MACs"
    return f"{number} {unit} params" if unit else f"{number} params"


def percent(part: int, whole: int) -> str:
    """Return the share as "2.1 %"; what is not zero never reads as zero."""
    share = 100 * part / whole if whole else 0.0
    return "<0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"


def _scaled(value: int, base: int, units: tuple[str, ...]) -> tuple[str, str]:
    scaled, step = float(value), 0
    while abs(scaled) >= base and step < len(units) - 1:
        scaled, step = scaled / base, step + 1
    text = f"{scaled:.4g}" if step else str(value)
    return text, units[step]
