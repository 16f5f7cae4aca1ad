"""Limits written into pyproject.toml: exact, and nothing else of the file changed."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlint.errors import ConfigError
from convlint.settings import parse_input
from convlint.settings.limits import QUANTITIES, parse_limits
from convlint.settings.write import Declared, appended, exactly, lowered, shape_text

FILE = """\
# ours
[project]
name = "x"   # keep

[tool.convlint]
select = ["CL"]

[[tool.convlint.models]]  # the first
target = "a.py:A"
  max-macs = "9 GMACs"   # agreed in May
max-params = '9 M'

[tool.convlint.rules.max-macs]
severity = "info"

[[ tool.convlint.models ]]
target = "b.py:B"
max-macs = "9 GMACs"
"""


@given(st.sampled_from(sorted(QUANTITIES)), st.integers(0, 2**60))
def test_values_are_written_exactly(name: str, value: int) -> None:
    """What is written is read back as the same number."""
    text = exactly(QUANTITIES[name], value)
    (limit,) = parse_limits(f"max-{name}", text, "here")
    assert limit.amount == value


@pytest.mark.parametrize(
    "text", ["1x3x224x224", "1x128:int64", "mask=1x1x64x64", "batch[image]=1x3x8x8", "maps[0]=1x4"]
)
def test_inputs_are_written_as_they_are_read(text: str) -> None:
    """A shape with its name, keys and dtype survives."""
    spec = parse_input(text)
    written = shape_text(spec)
    assert written is not None
    assert parse_input(written) == spec


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(names, names)
def test_what_is_appended_is_toml(target: str, shape: str) -> None:
    """Whatever a target holds, the file reads back with it."""
    declared = Declared(target, (shape,), {"max-macs": "1 MACs"})
    text = appended('[project]\nname = "x"\n', (declared,), "b.json", "f")
    table = tomllib.loads(text)["tool"]["convlint"]
    assert table["models"] == [{"target": target, "inputs": [shape], "max-macs": "1 MACs"}]
    assert table["baseline"] == "b.json"
    assert text.startswith('[project]\nname = "x"\n\n[tool.convlint]\n')


def test_a_table_that_is_there_is_not_written_over() -> None:
    """init is for a project that has no settings yet."""
    with pytest.raises(ConfigError, match="already"):
        appended(FILE, (), "b.json", "f")
    with pytest.raises(ConfigError, match="not valid TOML"):
        appended("tool = {a = 1}", (), "b.json", "f")


def test_only_the_limits_change() -> None:
    """Comments, order, quotes elsewhere and other models stay, line by line."""
    changes = {(0, "max-macs"): "1.5 GMACs", (0, "max-params"): "7 M params"}
    text = lowered(FILE, changes, "f")
    pairs = zip(FILE.splitlines(), text.splitlines(), strict=True)
    assert [(a, b) for a, b in pairs if a != b] == [
        ('  max-macs = "9 GMACs"   # agreed in May', '  max-macs = "1.5 GMACs"   # agreed in May'),
        ("max-params = '9 M'", 'max-params = "7 M params"'),
    ]
    crlf = lowered(FILE.replace("\n", "\r\n"), changes, "f")
    assert crlf.replace("\r\n", "\n") == text
    assert crlf.count("\r\n") == text.count("\n")


@pytest.mark.parametrize(
    "text",
    [
        'tool.convlint.models = [{target = "a.py:A", max-macs = "9 GMACs"}]\n',
        '[[tool.convlint.models]]\ntarget = "a"\nmax-macs = """9 GMACs"""\n',
        '[[tool.convlint.models]]\ntarget = "a"\n"max-macs" = "9 GMACs"\n',
    ],
)
def test_what_cannot_be_edited_is_said(text: str) -> None:
    """A limit written in another form is left alone, with the line to type."""
    with pytest.raises(ConfigError, match="cannot be edited") as caught:
        lowered(text, {(0, "max-macs"): "1 GMACs"}, "f")
    assert 'write max-macs = "1 GMACs" there' in caught.value.format()
