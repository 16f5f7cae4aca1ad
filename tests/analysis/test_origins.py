"""Origins of channels on odd shapes."""

from __future__ import annotations

from convlint.analysis.origins import origins
from convlint.ir import nodes as ir
from tests.graphs import Builder


def test_an_empty_batch_has_no_origins():
    """A detector without detections flattens maps of no images: nothing to follow, no crash."""
    for batch, known in ((0, 0), (2, 1)):
        b = Builder(batch, 4, 2, 2)
        b.linear(b.add(ir.Reshape(), [b.x], (batch, 16)), 10)
        graph = b.graph()
        (linear,) = [node for node in graph if isinstance(node.op, ir.Linear)]
        assert len(list(origins(graph, linear, 1))) == known
