"""The package: what it finds, what it imports, and that it repeats itself."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from convlint_reports import reports

from convlint.contract import View
from tests.reports import hostile, sample

FORMATS = {report.name: report.render for report in reports()}


def test_the_formats_are_found() -> None:
    """All formats are found."""
    assert {"badge", "csv", "html", "json", "markdown", "svg", "text"} <= set(FORMATS)
    assert list(FORMATS) == sorted(FORMATS)


def test_finding_reports_loads_neither_jinja2_nor_rich() -> None:
    """Finding reports loads neither Jinja2 nor rich."""
    code = (
        "import sys; from convlint_reports import reports; reports();"
        "assert not {'jinja2', 'rich', 'torch'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", FORMATS)
def test_same_input_gives_the_same_bytes(name: str) -> None:
    """Same input gives the same bytes."""
    for make in (hostile.run, lambda: sample.run(sample.resnet(), sample.clean())):
        assert FORMATS[name](make(), View()) == FORMATS[name](make(), View())


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_ends_in_one_newline(name: str) -> None:
    """Every format ends in one newline."""
    text = FORMATS[name](sample.run(sample.resnet()), View())
    assert text.endswith("\n") and not text.endswith("\n\n")


@pytest.mark.parametrize("name", FORMATS)
def test_20_models_of_300_layers_are_rendered(name: str) -> None:
    """A whole folder of models fits into one report of bounded size."""
    layers = tuple(
        sample.conv(f"stages.{i // 30}.blocks.{i % 30}.conv", 64 + i // 30, 64, 3, 56, 84, i)
        for i in range(300)
    )
    model = msgspec.structs.replace(sample.resnet(), layers=layers)
    run = sample.run(*(msgspec.structs.replace(model, target=f"n.py:M{i}") for i in range(20)))
    assert 0 < len(FORMATS[name](run, View()).encode()) < 8_000_000
