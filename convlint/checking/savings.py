"""Savings and totals as the report has them, and the gate under which findings are not shown."""

from __future__ import annotations

from convlint.contract import Saving, Totals
from convlint.cost import GraphCost, Savings
from convlint.edit import GraphEdit

GATED = ("macs", "params", "param_bytes", "activation_bytes", "bytes_read", "peak_activation_bytes")
"""The quantities of which a finding has to save a share; kernels and other ops are told only."""


def totals(cost: GraphCost) -> Totals:
    """Return the totals of a counted graph."""
    return Totals(
        params=cost.params,
        macs=cost.macs,
        param_bytes=cost.param_bytes,
        activation_bytes=cost.activation_bytes,
        peak_activation_bytes=cost.peak_activation_bytes,
        other_ops=cost.other_ops,
        buffer_bytes=cost.buffer_bytes,
        bytes_read=cost.bytes_read,
        weight_bytes=cost.weight_bytes,
        other_ops_by_kind=cost.other,
        peak_module=cost.peak_module,
    )


def saving_of(edit: GraphEdit, savings: Savings, cost: GraphCost) -> Saving:
    """Return what an edit saves, with its share of the model and the fall of the peak."""
    saved = savings.of(edit)
    return Saving(
        macs=saved.macs,
        params=saved.params,
        param_bytes=saved.param_bytes,
        activation_bytes=saved.activation_bytes,
        macs_percent=percent(saved.macs, cost.macs),
        params_percent=percent(saved.params, cost.params),
        bytes_read=saved.bytes_read,
        other_ops=saved.other_ops,
        peak_activation_bytes=savings.peak_of(edit),
        kernels=saved.kernels,
    )


def percent(part: int, whole: int) -> float:
    """Return the share in percent, rounded to 2 decimals; 0 of nothing is 0."""
    return round(100 * part / whole, 2) if whole else 0.0


def passes_gate(saving: Saving, cost: GraphCost, share: float) -> bool:
    """Tell whether the saving is at least this share of the model in any counted quantity."""
    return any(
        getattr(saving, name) > 0 and getattr(saving, name) >= share * getattr(cost, name)
        for name in GATED
    )
