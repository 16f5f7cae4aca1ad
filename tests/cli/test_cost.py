"""``convlint cost``: the table, its formats, several models, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.cli.conftest import Run

BLOCKS = """\
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        return self.norm(self.conv(x)).relu()


class Tower(nn.Module):
    def __init__(self, blocks=4):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.body = nn.Sequential(*(Block() for _ in range(blocks)))

    def forward(self, x):
        return self.body(self.stem(x))
"""
SIZE = ("--input", "1x3x16x16")


@pytest.fixture
def tower(project: Path) -> str:
    (project / "tower.py").write_text(BLOCKS)
    return "tower.py:Tower"


def test_the_table_of_one_model(run: Run, tower: str) -> None:
    """Totals, a row an operation with repeated blocks as one, sums by kind, what bounds them."""
    told = run("cost", tower, *SIZE)
    assert told.code == 0
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    assert "tower.py:Tower complete" in lines
    assert any(line.startswith("body.0-3.conv x4 conv 590 k 99.0 %") for line in lines)
    assert any(line.startswith("body.0-3.norm x4 norm - - 64") for line in lines)
    assert any(line.startswith("under 10 MACs a byte") for line in lines)
    assert [line.split()[0] for line in lines[-4:] if line] == [
        "kind",
        "conv",
        "norm",
        "activation",
    ]


def test_json_adds_up(run: Run, tower: str) -> None:
    """The rows of the JSON are the totals, at every grouping."""
    for extra in ((), ("--full",), ("--by", "kind"), ("--by", "line"), ("--depth", "1")):
        told = json.loads(run("cost", tower, *SIZE, "--format", "json", *extra).out)
        (model,) = told["models"]
        assert sum(row["macs"] for row in model["rows"]) == model["totals"]["macs"]
        assert sum(row["params"] for row in model["rows"]) == model["totals"]["params"]
        kinds = model["totals"]["other_ops_by_kind"]
        assert sum(kinds.values()) == model["totals"]["other_ops"]


def test_csv_has_a_line_a_row_sorted(run: Run, tower: str) -> None:
    """Sorted by a column written either way, unfolded."""
    told = run("cost", tower, *SIZE, "--format", "csv", "--full", "--sort", "bytes-moved")
    rows = list(csv.DictReader(io.StringIO(told.out)))
    moved = [int(row["bytes_moved"]) for row in rows]
    assert len(rows) == 13 and moved == sorted(moved, reverse=True)


def test_html_is_one_page(run: Run, tower: str) -> None:
    """With the rows, and without scripts."""
    page = run("cost", tower, *SIZE, "--format", "html").out
    assert "body.0-3.conv x4" in page and "<script" not in page and "default-src" in page


def test_two_models_stand_side_by_side(run: Run, tower: str, tmp_path: Path) -> None:
    """Params, weights, MACs, peak, with the ratio; the weights are the size of a saved model."""
    told = run("cost", "tower.py:Tower(1)", tower, *SIZE)
    lines = {line.split("  ")[0]: line.split() for line in told.out.splitlines() if line}
    assert lines["MACs"][-1] == "3.88x"
    assert "layer" not in told.out
    data = json.loads(run("cost", tower, *SIZE, "--format", "json").out)
    assert data["models"][0]["state_bytes"] == 4 * (32 + 4 * (584 + 16 + 16)) + 4 * 8


def test_weights_are_the_size_of_a_saved_model(run: Run, tmp_path: Path, project: Path) -> None:
    """Within 1 % of the file that torch.save writes."""
    text = (
        "from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 256, 3), nn.Conv2d(256, 512, 3))\n"
    )
    (project / "big.py").write_text(text)
    model = nn.Sequential(nn.Conv2d(3, 256, 3), nn.Conv2d(256, 512, 3))
    torch.save(model.state_dict(), tmp_path / "saved.pt")
    told = json.loads(run("cost", "big.py:net", *SIZE, "--format", "json").out)
    size = (tmp_path / "saved.pt").stat().st_size
    assert abs(told["models"][0]["state_bytes"] - size) < 0.01 * size


def test_another_tool_with_the_lines_that_differ(run: Run, tower: str) -> None:
    """thop counts the norms, 4 a value, and says nothing of activations."""
    told = run("cost", tower, *SIZE, "--as", "thop")
    assert "thop 0.1.1 would say 628,736 MACs" in told.out
    assert "tower.py:8 x4" in told.out and "batch norm: 4 a value" in told.out
    page = run("cost", tower, *SIZE, "--as", "thop", "--format", "html").out
    assert "What thop would say" in page


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("--sort mac", "no column 'mac'; did you mean macs?"),
        ("--format yaml", "no cost table in format 'yaml'"),
        ("--as calflops", "calflops"),
        ("--depth 0", "depth"),
        ("--input 1x3x0x16", "x0x"),
        ("--input 1x3xHxW", "HxW"),
        ("--input 1x3x-1x16", "-1"),
        ("--input 1x4x16x16", "1x4x16x16"),
    ],
)
def test_what_cannot_be_done_is_one_line(run: Run, tower: str, typed: str, word: str) -> None:
    """Exit 2, what was typed and what is known, no trace."""
    told = run("cost", tower, *typed.split())
    assert told.code == 2
    (line,) = told.err.splitlines()
    assert line.startswith("error: ") and word in line


def test_nothing_to_count(run: Run, project: Path) -> None:
    """No target and none declared."""
    assert "nothing to count" in run("cost").err


def test_models_without_convs_or_parameters_say_so(run: Run, project: Path) -> None:
    """Counted all the same, each with its sentence."""
    (project / "odd.py").write_text(
        "from torch import nn\nrelu = nn.ReLU()\nfc = nn.Linear(4, 2)\n"
    )
    told = run("cost", "odd.py:relu", *SIZE)
    assert told.code == 0 and "no convolutions and no parameters" in told.out
    told = run("cost", "odd.py:fc", "--input", "1x4")
    assert told.code == 0 and "no convolutions" in told.out and "8 MACs" in told.out


def test_times_are_told_where_they_are_asked_for(run: Run, tower: str) -> None:
    """``--time`` calls each model in turn and says on which machine; without it there is no time."""
    two = (tower + "(2)", tower + "(6)")
    told = run("cost", *two, *SIZE, "--time", "--format", "json")
    report = json.loads(told.out)
    assert told.code == 0, told.err
    assert all(model["nanoseconds"] > 0 for model in report["models"])
    assert "1 thread" in report["timed_on"]
    plain = json.loads(run("cost", *two, *SIZE, "--format", "json").out)
    assert [model["nanoseconds"] for model in plain["models"]] == [None, None]
    assert plain["timed_on"] == ""
