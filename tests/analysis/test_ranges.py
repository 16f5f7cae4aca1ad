"""Ranges of values on odd graphs."""

from __future__ import annotations

from convlint.analysis.ranges import ANY, ranges
from convlint.ir import nodes as ir
from tests.graphs import Builder


def test_a_concatenation_of_nothing_known_may_hold_anything():
    """A detector without detections joins no tensors at all: no crash."""
    b = Builder(1, 4, 2, 2)
    joined = b.add(ir.Concat(1), (), (1, 0, 2, 2))
    assert ranges(b.graph(joined))[joined] == ANY
