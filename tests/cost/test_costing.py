"""Cost tables: rows that add up, repeated blocks folded, groups and orders."""

from __future__ import annotations

import msgspec
import pytest

from convlint.cost import count
from convlint.costing.fold import folded
from convlint.costing.rows import rated, rows_of
from convlint.costing.table import by_kind, table
from convlint.costs import CostRow
from convlint.errors import UsageError
from tests.graphs import Builder


def _stages():
    """Two stages of three blocks, the first block of each wider in its input, and a head."""
    b = Builder(1, 3, 32, 32)
    x = b.conv(b.x, 8, 3, module="stem")
    for stage, width in enumerate((8, 16), 1):
        for block in range(3):
            y = b.relu(b.conv(x, width, 3, module=f"layer{stage}.{block}.conv"))
            x = b.conv(y, width, 1, module=f"layer{stage}.{block}.out")
    return b.graph()


def _rows():
    graph = _stages()
    return rows_of(graph, count(graph))


def test_rows_add_up_to_the_totals() -> None:
    """MACs, params and bytes of the rows are those of the graph."""
    graph = _stages()
    cost, rows = count(graph), rows_of(graph, count(graph))
    assert sum(row.macs for row in rows) == cost.macs
    assert sum(row.params for row in rows) == cost.params
    assert sum(row.bytes_moved for row in rows) == cost.bytes_moved
    assert sum(row.other_ops for row in rows) == cost.other_ops


@pytest.mark.parametrize("by", ["node", "module", "kind", "line"])
@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("depth", [None, 1, 2])
def test_no_grouping_loses_anything(by, fold, depth) -> None:
    """Whatever the table, its sums are those of the rows."""
    rows = _rows()
    made = table(rows, by, depth, fold, "macs")
    for name in ("macs", "params", "bytes_moved", "other_ops"):
        assert sum(getattr(row, name) for row in made) == sum(getattr(row, name) for row in rows)
    assert [row.macs for row in made] == sorted((row.macs for row in made), reverse=True)


def test_equal_neighbours_are_one_with_their_number() -> None:
    """layer1 has three equal blocks, layer2 a first one with another input."""
    # the activations have no module path here
    names = [(row.module, row.times) for row in folded(r for r in _rows() if r.kind == "conv")]
    assert names == [
        ("stem", 1),
        ("layer1.0-2.conv", 3),
        ("layer1.0-2.out", 3),
        ("layer2.0.conv", 1),
        ("layer2.0.out", 1),
        ("layer2.1-2.conv", 2),
        ("layer2.1-2.out", 2),
    ]


def _row(module: str, macs: int = 1) -> CostRow:
    return CostRow(module, "conv", macs=macs)


def test_blocks_in_blocks_are_folded_and_gaps_are_listed() -> None:
    """Outer blocks first, then what repeats inside; numbers that skip one are written out."""
    inner = [_row(f"a.{i}.b.{j}") for i in (0, 1) for j in (0, 1, 2)]
    assert [(r.module, r.times) for r in folded(inner)] == [("a.0-1.b.0-2", 6)]
    gaps = [_row("a.0"), _row("a.2"), _row("a.3", 5)]
    assert [r.module for r in folded(gaps)] == ["a.0,2", "a.3"]


def test_a_bound_is_told_by_the_ridge() -> None:
    """Under the ridge memory, at it compute; what moves nothing has neither."""
    row = CostRow("a", "conv", macs=100, bytes_moved=10)
    assert rated(row, 200, 40, 10.0).bound == "compute"
    slow = rated(row, 200, 40, 10.1)
    assert (slow.bound, slow.intensity, slow.macs_percent, slow.bytes_percent) == (
        "memory",
        10.0,
        50.0,
        25.0,
    )
    still = rated(msgspec.structs.replace(row, bytes_moved=0), 0, 0, 10.0)
    assert (still.bound, still.intensity, still.macs_percent) == ("", None, 0.0)


def test_kinds_come_by_macs() -> None:
    """One row a kind, the dearest first."""
    assert [row.kind for row in by_kind(_rows())] == ["conv", "activation"]


def test_an_unknown_column_is_refused() -> None:
    """With the close one."""
    with pytest.raises(UsageError, match="no column 'macz'"):
        table(_rows(), "node", None, True, "macz")
