"""The schema of the configuration says what the parser says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from convlint import gate, settings
from convlint.errors import ConvlintError
from convlint.settings.table import KEYS, MODEL_KEYS, OVERRIDE_KEYS

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = gate.known_rules()
SCHEMA = gate.config_schema(RULES)

GOOD = [
    "",
    "select = ['CL1', 'dense-conv']\nextend-select = []\nignore = ['CL301']\nexclude = ['a/']",
    "fail-level = 'none'\nprofile = 'cpu'\nbaseline = 'b.json'\nrequired-version = '>=0.1'",
    "[tool.convlint.rules.large-kernel]\nseverity = 'error'\nmin-kernel = 7\nmid = 'in'",
    "[tool.convlint.rules.CL101]\nmin-gain = 0.5",
    "[tool.convlint.rules.max-macs]\nseverity = 'info'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\ninputs = ['1x3x8x8']\nmax-macs = '4.2 GMACs'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\ninputs = [['1x3x8x8'], ['1x3x9x9']]",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\noutputs = ['out', 1]",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-params = '1_000 params'\n"
    "max-param-bytes = '512 KiB'\nmax-peak-activation-bytes = '1.5MB'\n"
    "max-macs-increase = ['2%', '10 MMACs']\nmax-params-increase = '25 M'",
    "[[tool.convlint.overrides]]\npaths = ['a/']\nignore = ['CL1']",
    "[[tool.convlint.overrides]]\nmodules = ['a.*']\nseverity = {CL301 = 'info'}",
]
BAD = [
    "selct = []",
    "select = 'CL1'",
    "fail-level = 'high'",
    "baseline = 3",
    "rules.large-kernel.severity = 'high'",
    "rules.large-kernel.min-kernel = 'big'",
    "rules.large-kernel.min-kernl = 7",
    "rules.large-kernl.min-kernel = 7",
    "[[tool.convlint.models]]\ninputs = []",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\noutputs = []",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\noutputs = ['']",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\noutputs = 'out'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\noutputs = [1.5]",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-mac = '1 MACs'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-macs = 600",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-macs = '600'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-macs = '4.2 G'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-macs = '2%'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-params = '3'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-param-bytes = '3 k'",
    "[[tool.convlint.models]]\ntarget = 'a.b:C'\nmax-macs-increase = []",
    "[[tool.convlint.overrides]]\nignore = ['CL1']",
    "[[tool.convlint.overrides]]\npaths = ['a/']",
    "[[tool.convlint.overrides]]\npath = ['a/']\nignore = ['CL1']",
]


def parsed(folder: Path, text: str) -> bool:
    """Say whether the parser and the rules take the configuration."""
    (folder / "pyproject.toml").write_text(text)
    try:
        gate.active_rules(RULES, settings.load([folder], settings.Flags()))
    except ConvlintError:
        return False
    return True


def valid(text: str) -> bool:
    """Say whether the schema takes the configuration."""
    table: dict[str, Any] = tomllib.loads(text)["tool"]["convlint"]
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(table)


@pytest.mark.parametrize("text", GOOD)
def test_what_is_right_passes_both(tmp_path: Path, text: str) -> None:
    """An editor has nothing to say about what convlint takes."""
    document = f"[tool.convlint]\n{text}\n"
    assert (parsed(tmp_path, document), valid(document)) == (True, True)


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_passes_neither(tmp_path: Path, text: str) -> None:
    """An editor marks what convlint refuses."""
    document = f"[tool.convlint]\n{text}\n"
    assert (parsed(tmp_path, document), valid(document)) == (False, False)


def test_every_key_is_in_the_schema() -> None:
    """A key that the parser knows is known to the schema, and no other."""
    properties = SCHEMA["properties"]
    assert set(properties) == KEYS
    assert set(properties["models"]["items"]["properties"]) == MODEL_KEYS
    assert set(properties["overrides"]["items"]["properties"]) == OVERRIDE_KEYS
    names = {word for rule in RULES for word in (rule.meta.code, rule.meta.name)}
    assert set(properties["rules"]["properties"]) == names


def test_the_schema_is_a_schema() -> None:
    """The schema itself is valid, and `convlint config --schema` prints it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads((ROOT / "docs" / "configuration.schema.json").read_text())["title"]


def test_the_documented_example_is_valid(tmp_path: Path) -> None:
    """What docs/configuration.md shows is taken as it stands."""
    page = (ROOT / "docs" / "configuration.md").read_text()
    example = page.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "resnet.py").touch()
    assert parsed(tmp_path, example)
    assert valid(example)
    shown = set(tomllib.loads(example)["tool"]["convlint"])
    assert shown == KEYS
