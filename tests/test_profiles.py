"""Profiles are data: every value has its source, and a user's own file works like ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import profiles
from convlint.contract import RuleMeta, Severity
from convlint.errors import ConfigError, UsageError


@pytest.mark.parametrize("name", profiles.names())
def test_every_value_has_a_source(name: str) -> None:
    """No value is from nowhere, and none is told as remembered."""
    target = profiles.load(name)
    assert target.name == name
    assert target.summary
    values = [getattr(target, key) for key in target.__struct_fields__]
    told = [value for value in values if isinstance(value, profiles.Value)]
    assert told
    assert all(len(value.source) >= 13 and "from memory" not in value.source for value in told)


def test_a_file_starts_from_its_base(tmp_path: Path) -> None:
    """What the file does not say is the base's, severities too."""
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nsummary = "a board"\nbase = "cpu"\n'
        '[channel-multiple]\nvalue = 16\nsource = "its manual"\n'
    )
    target = profiles.load("mine.toml", tmp_path)
    assert target.number("channel_multiple") == 16
    assert target.source("channel_multiple") == "its manual"
    assert target.number("ridge") == profiles.load("cpu").number("ridge")
    meta = RuleMeta(
        "XX100", "x", "x", Severity.INFO, False, "0.1.0",
        severity_by_profile={"cpu": Severity.WARNING},
    )  # fmt: skip
    assert meta.severity_under(target) is Severity.WARNING
    assert meta.severity_under(profiles.GENERIC) is Severity.INFO


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'x'\nsummary = 'y'\nchannel-multiple = 8\n", "channel-multiple"),
        (
            "name = 'x'\nsummary = 'y'\n[channel-multipel]\nvalue = 8\nsource = 's'\n",
            "unknown field",
        ),
        ("name = 'x'\nbase = 'cpus'\n", "unknown base 'cpus'; did you mean cpu?"),
        ("name = 'x'\nsummary = 'y'\n[ridge]\nvalue = 8\n", "source"),
        ("name = ", "is no TOML"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """The error names the file and the key at fault."""
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        profiles.load("mine.toml", tmp_path)
    assert said in caught.value.format()
    assert "mine.toml" in caught.value.format()


def test_unknown_names_are_refused_with_the_close_one() -> None:
    """Beginnings and slips both lead to what was meant."""
    for word, said in (("gpu", "did you mean gpu-fp16 or gpu-int8"), ("ethosu", "mean ethos-u")):
        with pytest.raises(UsageError) as caught:
            profiles.load(word)
        assert said in caught.value.format()
    with pytest.raises(ConfigError, match="cannot be read"):
        profiles.load("nowhere.toml")
