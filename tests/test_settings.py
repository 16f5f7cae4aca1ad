"""The settings of a run: what is merged, from where, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import settings
from convlint.contract import Severity
from convlint.errors import ConfigError, UsageError
from convlint.settings.python import interpreter


def load(tmp_path: Path, text: str = "", **flags: object) -> settings.Settings:
    """Return the settings for a folder whose pyproject.toml holds this text."""
    (tmp_path / "pyproject.toml").write_text(text)
    return settings.load([tmp_path], settings.Flags(**flags))  # type: ignore[arg-type]


def test_without_a_table_all_is_default(tmp_path: Path) -> None:
    """A project that says nothing about convlint gets the defaults, and they say so."""
    chosen = load(tmp_path, "[project]\nname = 'x'\n")
    assert chosen.select == (settings.ALL_RULES,)
    assert chosen.fail_level is settings.FailLevel.WARNING
    assert chosen.profile.name == "generic"
    assert chosen.source("select") == "default"


def test_the_file_is_read_and_named_as_the_source(tmp_path: Path) -> None:
    """Each value set in pyproject.toml knows that it comes from there."""
    (tmp_path / "net.py").touch()
    chosen = load(
        tmp_path,
        """
[tool.convlint]
select = ["CL3"]
fail-level = "error"
profile = "gpu-fp16"
exclude = ["old/"]
[tool.convlint.rules.large-kernel]
severity = "info"
min-kernel = 9
[[tool.convlint.models]]
target = "net.py:Net(3)"
inputs = ["1x3x32x32", "mask=1x1"]
""",
    )
    assert chosen.select == ("CL3",)
    assert chosen.source("select").endswith("pyproject.toml")
    assert chosen.source("ignore") == "default"
    assert chosen.exclude == ("old/",)
    assert chosen.rules["large-kernel"].severity is Severity.INFO
    assert chosen.rules["large-kernel"].options == {"min-kernel": 9}
    (model,) = chosen.models
    assert (model.expression, model.path) == ("Net(3)", (tmp_path / "net.py").resolve())
    assert [spec.shape for spec in model.inputs[0]] == [(1, 3, 32, 32), (1, 1)]


def test_select_on_the_command_line_starts_anew(tmp_path: Path) -> None:
    """--select puts aside what the file selects and ignores."""
    text = "[tool.convlint]\nselect = ['CL1']\nextend-select = ['CL2']\nignore = ['CL301']\n"
    chosen = load(tmp_path, text, select=("CL301",))
    assert (chosen.select, chosen.extend_select, chosen.ignore) == (("CL301",), (), ())
    assert chosen.source("select") == "--select"
    assert chosen.source("ignore") == "default"


def test_ignore_and_extend_select_on_the_command_line_add(tmp_path: Path) -> None:
    """--ignore and --extend-select leave what the file says in force."""
    text = "[tool.convlint]\nignore = ['CL301']\n"
    chosen = load(tmp_path, text, ignore=("CL101",), extend_select=("CL9",))
    assert chosen.ignore == ("CL301", "CL101")
    assert chosen.source("ignore").endswith("pyproject.toml and --ignore")
    assert chosen.source("extend-select") == "--extend-select"


def test_the_nearest_file_is_used(tmp_path: Path) -> None:
    """The pyproject.toml nearest above the target counts, not that of the working directory."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "pyproject.toml").write_text("[tool.convlint]\nprofile = 'cpu'\n")
    (inner / "pyproject.toml").write_text("[tool.convlint]\nprofile = 'arm'\n")
    assert settings.load([inner], settings.Flags()).profile.name == "arm"
    assert settings.load([tmp_path], settings.Flags()).profile.name == "cpu"
    given = settings.load([inner], settings.Flags(), tmp_path / "pyproject.toml")
    assert given.profile.name == "cpu"


def test_targets_of_two_projects_need_the_same_settings(tmp_path: Path) -> None:
    """One run has one configuration; targets configured differently are refused."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, profile in zip(folders, ("cpu", "arm"), strict=True):
        folder.mkdir()
        (folder / "pyproject.toml").write_text(f"[tool.convlint]\nprofile = '{profile}'\n")
    with pytest.raises(ConfigError, match="differently configured"):
        settings.load(folders, settings.Flags())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("selct = ['CL1']", "unknown key selct; did you mean select?"),
        ("color = true", "unknown key color; known are"),
        ("baseline = '../b.json'", "baseline: ../b.json lies outside"),
        ("baseline = 3", "expected string, got integer"),
        ("required-version = '>=99'", "the project asks for >=99; install"),
        ("required-version = 'new'", "'new' is no version; write it like"),
        ("cache = true", "cache is not supported in this version"),
        ("overrides = [{ignore = ['CL1']}]", "overrides[0]: an override that changes nowhere"),
        ("overrides = [{paths = ['a']}]", "overrides[0]: an override that changes nothing"),
        ("overrides = [{path = ['a']}]", "unknown key path; did you mean paths?"),
        (
            "overrides = [{paths = ['a'], severity = {CL1 = 'high'}}]",
            "overrides[0].severity.CL1: unknown value 'high'",
        ),
        ("select = 'CL1'", "expected list, got string"),
        ("select = [1]", "expected string, got integer"),
        ("fail-level = 'eror'", "unknown value 'eror'; did you mean error?"),
        ("profile = 'tpu'", "unknown value 'tpu'; "),
        ("profile = 3", "expected string, got integer"),
        ("rules = 3", "expected table, got integer"),
        ("rules.dense-conv = 1", "expected table, got integer"),
        ("rules.dense-conv.severity = 'high'", "rules.dense-conv.severity: unknown value 'high'"),
        ("models = [{inputs = ['1x3']}]", "models[0]: has no target"),
        ("models = [{target = 'net'}]", "'net' names no model"),
        ("models = [{target = 'no.py'}]", "no such file: no.py"),
        ("models = [{target = '../../x.py'}]", "lies outside"),
        ("models = [{target = 'a.b:C', input = []}]", "unknown key input; did you mean inputs?"),
        (
            "models = [{target = 'a.b:C', max-macs = 600}]",
            'models[0].max-macs: 600 has no unit; write it like "4.2 GMACs"',
        ),
        ("models = [{target = 'a.b:C', max-macs = '1 G'}]", "'G' is no unit of macs"),
        ("models = [{target = 'a.b:C', max-macs = '9 GFLOPs'}]", "one MAC is two FLOPs"),
        ("models = [{target = 'a.b:C', max-macs = '2%'}]", "'%' is no unit of macs"),
        ("models = [{target = 'a.b:C', max-macs = true}]", "True is no amount"),
        ("models = [{target = 'a.b:C', max-macs = '-1 MACs'}]", "'-1 MACs' is no amount"),
        ("models = [{target = 'a.b:C', max-params-increase = []}]", "is an empty list"),
        ("models = [{target = 'a.b:C', max-mac = '1 MACs'}]", "did you mean max-macs?"),
        (
            "models = [{target = 'a.b:C', inputs = ['1,3']}]",
            "models[0].inputs: '1,3' is not a shape",
        ),
        ("models = [{target = 'a.b:C', inputs = [['1x3'], '1x4']}]", "expected list, got string"),
        ("models = [{target = 'a.b:C', inputs = 3}]", "expected list, got integer"),
        ("select = [", "is not valid TOML"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """An unknown key or a bad value names file and key, and what is meant where it is near."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"[tool.convlint]\n{text}\n")
    assert said in caught.value.format()
    assert "pyproject.toml" in caught.value.format()


def test_a_config_file_that_is_named_must_hold_settings(tmp_path: Path) -> None:
    """--config with a missing file, or one without the table, is refused."""
    with pytest.raises(ConfigError, match="no such file"):
        settings.load([tmp_path], settings.Flags(), tmp_path / "no.toml")
    (tmp_path / "x.toml").write_text("[tool.other]\n")
    with pytest.raises(ConfigError, match="has no table"):
        settings.load([tmp_path], settings.Flags(), tmp_path / "x.toml")


def test_the_projects_own_interpreter_is_used_where_it_has_torch(tmp_path: Path) -> None:
    """The root's .venv reads the models if torch is installed there, else our interpreter."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert interpreter(tmp_path) is None
    (tmp_path / ".venv/lib/python3.12/site-packages/torch").mkdir(parents=True)
    assert interpreter(tmp_path) == str(python)
    assert interpreter(tmp_path, str(tmp_path / ".venv/bin/python")) == str(python)
    with pytest.raises(UsageError, match="no such interpreter"):
        interpreter(tmp_path, str(tmp_path / "nope"))


def test_an_input_goes_into_a_dict_or_a_list() -> None:
    """``name[key]=shape`` says where in the keyword's container the tensor stands."""
    specs = settings.parse_inputs(
        ["batch[image]=1x3x8x8", "batch[depth]=1x1x8x8", "maps[0]=1x4x8x8"]
    )
    assert [(spec.name, spec.within) for spec in specs] == [
        ("batch", ("image",)),
        ("batch", ("depth",)),
        ("maps", (0,)),
    ]
    with pytest.raises(UsageError, match="given twice"):
        settings.parse_inputs(["batch[image]=1x3x8x8", "batch[image]=1x3x8x8"])
