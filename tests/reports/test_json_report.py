"""The JSON report: the structs as they are, described by their schema."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest
from convlint_reports.json import render, schema

from convlint.contract import RunReport, View
from tests.reports import hostile, sample

RUNS = {
    "resnet": sample.run(sample.resnet()),
    "all": sample.run(sample.resnet(), sample.failed(), sample.clean()),
    "none": sample.run(),
}


@pytest.mark.parametrize("name", RUNS)
def test_round_trip(name: str) -> None:
    """Round trip."""
    text = render(RUNS[name], View())
    assert msgspec.json.decode(text, type=RunReport) == RUNS[name]


@pytest.mark.parametrize("name", RUNS)
def test_schema_holds(name: str) -> None:
    """Schema holds."""
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(render(RUNS[name], View())), schema())


def test_schema_refuses_what_is_no_report() -> None:
    """Schema refuses what is no report."""
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema_version": 1, "models": []}, schema())


def test_keys_of_the_contract_are_there() -> None:
    """Keys of the contract are there."""
    report = json.loads(render(RUNS["resnet"], View()))
    assert list(report)[:3] == ["schema_version", "tool", "models"]
    model = report["models"][0]
    assert {
        "target",
        "status",
        "inputs",
        "totals",
        "after",
        "layers",
        "findings",
        "diagnostics",
    } <= set(model)
    assert set(model["after"]) == {"exact", "all"}
    assert model["layers"][-1]["receptive_field"]["max"] is None
    finding = model["findings"][3]
    assert finding["location"] == {
        "path": "nets/resnet.py",
        "line": 86,
        "column": 22,
        "end_line": 86,
        "end_column": 88,
    }
    assert finding["suppressed"] is None and finding["baseline"] == "new"


def test_indented_with_a_trailing_newline() -> None:
    """Indented with a trailing newline."""
    text = render(RUNS["none"], View())
    assert text.startswith('{\n  "schema_version": 1,') and text.endswith("}\n")


def test_hostile_names_stay_valid_json() -> None:
    """Hostile names stay valid JSON."""
    text = render(hostile.run(), View())
    text.encode()
    targets = [model["target"] for model in json.loads(text)["models"]]
    assert targets == [n.replace("\ud800", "\\ud800") for n in hostile.NAMES]
