"""A rule for tests that puts a new conv in the place of each pointwise one, rightly or wrongly."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.analysis import drafting
from convlint.contract import Rewrite
from convlint.edit import replace_node
from convlint.ir import nodes as ir


@dataclass(frozen=True, slots=True)
class Place:
    """One pointwise conv."""

    anchor: str
    nodes: tuple[str, ...]


def find(context, _options):
    """Yield pointwise convs that no edit has made."""
    for node in context.graph:
        if isinstance(node.op, ir.Conv) and node.op.taps == 1 and "~" not in node.id:
            yield Place(node.id, (node.id,))


def rewrite(context, site, _options):
    """Put in a conv with the same op and new parameters."""
    node = context.graph[site.anchor]
    shape = context.graph.spec(node.inputs[0]).shape
    new = drafting.draft_conv(node, "new", node.op, node.inputs[0], shape)
    return (Rewrite("new", replace_node(node, (new,))),)


def same(graph, site, edit, values):
    """The tensors that were there."""
    return _scaled(graph, site, edit, values, 1)


def doubled(graph, site, edit, values):
    """Twice the tensors that were there."""
    return _scaled(graph, site, edit, values, 2)


def none(_graph, _site, _edit, _values):
    """No tensors."""
    return {}


def flat(graph, site, edit, values):
    """Tensors of another shape."""
    found = _scaled(graph, site, edit, values, 1)
    return {storage: tensor.flatten() for storage, tensor in found.items()}


def _scaled(graph, site, edit, values, factor):
    node = graph[site.anchor]
    (new,) = edit.added
    return {param.storage: values.of(node, param.role) * factor for param in new.params}
