"""Edits: replacing, inserting, merging, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from convlint import edit
from convlint.edit import GraphEdit, replace_node
from convlint.errors import GraphError
from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, Ref
from tests.graphs import Builder


def _chain(count=3):
    b = Builder(1, 8, 8, 8)
    x = b.x
    for _ in range(count):
        x = b.relu(x)
    return b.graph()


def _between(graph, node_id, new_id, op):
    node = graph[node_id]
    return Node(new_id, op, node.inputs, node.outputs)


def _twice(graph, node_id):
    first = _between(graph, node_id, f"{node_id}a", ir.Identity())
    second = Node(f"{node_id}b", ir.Activation("silu"), (Ref(first.id),), first.outputs)
    return replace_node(graph[node_id], (first, second))


def test_a_chain_takes_the_place_of_a_node():
    """Its readers read the chain's end; the order is a valid one."""
    graph = _chain()
    after = edit.apply(graph, _twice(graph, "n2"))
    assert [n.id for n in after] == ["n0", "n1", "n2a", "n2b", "n3", "out"]
    assert after["n3"].inputs == (Ref("n2b"),)
    assert after["n2a"].inputs == (Ref("n1"),)


def test_edits_of_neighbours_merge_into_one():
    """An edit may read what another one replaces: the redirects are followed."""
    graph = _chain()
    whole, skipped = edit.merge([_twice(graph, "n1"), _twice(graph, "n2"), _twice(graph, "n3")])
    after = edit.apply(graph, whole)
    assert skipped == ()
    assert [n.id for n in after] == ["n0", "n1a", "n1b", "n2a", "n2b", "n3a", "n3b", "out"]
    assert after["n3a"].inputs == (Ref("n2b"),)
    assert after["out"].inputs == (Ref("n3b"),)


def test_the_later_of_two_edits_on_one_node_is_left_out():
    """Merging tells which ones were left out."""
    graph = _chain()
    whole, skipped = edit.merge([_twice(graph, "n2"), _twice(graph, "n2"), _twice(graph, "n3")])
    assert skipped == (1,)
    assert len(edit.apply(graph, whole)) == len(graph) + 2


def test_merging_nothing_changes_nothing():
    """The empty edit gives the graph back."""
    graph = _chain()
    assert edit.apply(graph, edit.merge([])[0]).nodes == graph.nodes


def test_the_graph_itself_is_never_changed():
    """Applying gives a new graph and leaves the old one as it was."""
    graph = _chain()
    before = graph.document()
    edit.apply(graph, _twice(graph, "n1"))
    assert graph.document() == before


def test_all_outputs_of_a_split_can_be_replaced():
    """Each output is redirected by itself, to its own stand-in."""
    b = Builder(1, 8, 4, 4)
    split = b.add(ir.Split(1, (4, 4)), [b.x], (1, 4, 4, 4), (1, 4, 4, 4))
    b.sum(split, Ref(split.node, 1))
    graph = b.graph()
    halves = [
        Node(f"half{i}", ir.Slice((ir.SliceAxis(1, 4 * i, 4 * i + 4),)), (b.x,), (part,))
        for i, part in enumerate(graph[split.node].outputs)
    ]
    redirect = {Ref(split.node, i): Ref(half.id) for i, half in enumerate(halves)}
    whole = GraphEdit(frozenset({split.node}), tuple(halves), redirect)
    assert edit.apply(graph, whole)["n2"].inputs == (Ref("half0"), Ref("half1"))


def test_faults_are_refused_with_the_node():
    """A node that is not there, a removed output still read, a cycle, a wrong shape."""
    graph = _chain()
    with pytest.raises(GraphError, match="not there"):
        edit.apply(graph, GraphEdit(frozenset({"nowhere"})))
    with pytest.raises(GraphError, match="n2"):
        edit.apply(graph, GraphEdit(frozenset({"n2"})))
    loop = {Ref("n2"): Ref("n3"), Ref("n3"): Ref("n2")}
    with pytest.raises(GraphError, match="circle"):
        edit.apply(graph, GraphEdit(frozenset({"n2", "n3"}), (), loop))
    behind = msgspec.structs.replace(graph["n1"], id="new", inputs=(Ref("n3"),))
    with pytest.raises(GraphError, match="cycle"):
        edit.apply(graph, replace_node(graph["n1"], (behind,)))
    wrong = Node("new", ir.Reshape(), (Ref("n1"),), (ir.TensorSpec((1, 7)),))
    with pytest.raises(GraphError, match="number of elements"):
        edit.apply(graph, replace_node(graph["n2"], (wrong,)))
