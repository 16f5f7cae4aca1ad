"""What is typed: files, folders, expressions, shapes; and how bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import discover, settings, wire
from convlint.discover.requests import search_path
from convlint.errors import UsageError

NET = "import torch.nn as nn\nclass Net(nn.Module): pass\n"


def read(*texts: str, hook: bool = False, **options: object) -> list[wire.Request | wire.Reply]:
    """Return what the targets lead to."""
    targets = discover.locate(texts, discover.Filter(**options), hook=hook)  # type: ignore[arg-type]
    return [found.what for found in discover.read(targets, hook=hook)]


def put(folder: Path, name: str, text: str = NET) -> Path:
    """Write a file and the folders above it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_is_walked_in_order_without_foreign_code(tmp_path: Path) -> None:
    """Hidden folders, environments, builds and files without a model are left out."""
    for name in ("b/net.py", "a.py", ".git/x.py", "env1/pyvenv.cfg", "env1/y.py", "build/z.py"):
        put(tmp_path, name)
    put(tmp_path, "plain.py", "print(1)\n")
    put(tmp_path, "pyproject.toml", "")
    assert [item.target for item in read(str(tmp_path))] == ["a.py:Net", "b/net.py:Net"]


def test_paths_are_told_from_the_project_root(tmp_path: Path) -> None:
    """The root is the folder of the nearest pyproject.toml above, else the file's own folder."""
    put(tmp_path, "pyproject.toml", "")
    path = put(tmp_path, "nets/small/net.py")
    assert read(str(path))[0].target == "nets/small/net.py:Net"
    if not any((above / "pyproject.toml").exists() for above in tmp_path.parents):
        (tmp_path / "pyproject.toml").unlink()
        assert read(str(path))[0].target == "net.py:Net"


def test_excludes_hold_for_folders_and_for_named_files_when_forced(tmp_path: Path) -> None:
    """Patterns are relative to the root; a named file is read all the same unless forced."""
    put(tmp_path, "pyproject.toml", "")
    path = put(tmp_path, "old/net.py")
    put(tmp_path, "new.py")
    assert [i.target for i in read(str(tmp_path), exclude=("old/",))] == ["new.py:Net"]
    assert len(read(str(path), exclude=("old/",))) == 1
    assert read(str(path), exclude=("old/",), force=True) == []


def test_a_file_is_read_once(tmp_path: Path) -> None:
    """A file that two targets lead to is checked once."""
    path = put(tmp_path, "net.py")
    assert len(read(str(path), str(tmp_path))) == 1


def test_the_search_path_is_that_of_the_package(tmp_path: Path) -> None:
    """A file in a package is found from above the topmost package, then root and src."""
    put(tmp_path, "pyproject.toml", "")
    (tmp_path / "src").mkdir()
    put(tmp_path, "lib/pkg/__init__.py", "")
    path = put(tmp_path, "lib/pkg/net.py")
    (target,) = discover.locate([str(path)], discover.Filter())
    folders = [Path(p).relative_to(tmp_path.resolve()).as_posix() for p in search_path(target)]
    assert folders == ["lib", ".", "src", "lib/pkg"]


def test_a_module_expression_needs_no_file(tmp_path: Path) -> None:
    """package.module:EXPR is handed on, with the working directory's root on the path."""
    (item,) = read("torchvision.models:resnet18(weights=None)")
    assert isinstance(item, wire.Request)
    assert item.module == "torchvision.models"
    assert item.expressions == ("resnet18(weights=None)",)


def test_declared_inputs_are_the_only_ones(tmp_path: Path) -> None:
    """--input silences what the file shows."""
    text = NET + "if __name__ == '__main__':\n    Net()(torch.randn(1, 3, 8, 8))\n"
    path = put(tmp_path, "net.py", "import torch\n" + text)
    targets = discover.locate([str(path)], discover.Filter())
    declared = settings.parse_inputs(["1x3x16x16"])
    (found,) = discover.read(targets, (), declared)
    assert isinstance(found.what, wire.Request)
    assert found.what.inputs == (declared,)


@pytest.mark.parametrize(
    ("text", "shape", "dtype", "name"),
    [
        ("1x3x224x224", (1, 3, 224, 224), "float32", None),
        ("1x128:int64", (1, 128), "int64", None),
        ("mask=1x1x64x64", (1, 1, 64, 64), "float32", "mask"),
        ("ids=7:int32", (7,), "int32", "ids"),
    ],
)
def test_shapes_as_people_type_them(
    text: str, shape: tuple[int, ...], dtype: str, name: str | None
) -> None:
    """A shape has sizes, and where wanted a dtype and the keyword of forward."""
    spec = settings.parse_input(text)
    assert (spec.shape, spec.dtype, spec.name) == (shape, dtype, name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a shape"),
        ("224", ""),
        ("1,3,224,224", "is not a shape"),
        ("1x3x", "is not a shape"),
        ("1x-3", "is not a shape"),
        ("1x0x4", "length 0"),
        ("1x3:floot32", "did you mean float32?"),
        ("a b=1x3", "keyword of forward"),
        ("999999999x999999999", "no machine"),
        ("a=b=1x3", "is not a shape"),
    ],
)
def test_bad_shapes_are_refused(text: str, said: str) -> None:
    """A shape that cannot be is refused with what was typed and what to type."""
    if not said:
        assert settings.parse_input(text).shape == (224,)
        return
    with pytest.raises(UsageError, match="--input") as caught:
        raise UsageError(_refused(text).format())
    assert said in str(caught.value)


def _refused(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        settings.parse_input(text)
    return caught.value


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nte.py", "no such file or folder; did you mean net.py?"),
        ("nte.py:Net", "no such file or folder; did you mean net.py?"),
        ("notes.txt", "not a Python file"),
        ("empty", "no Python file"),
        ("plain", "no model in this folder"),
        ("net.py:Net(", "is not valid Python"),
        ("net.py:", "is not valid Python"),
        ("net.py:12", "names no model"),
    ],
)
def test_what_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, said: str
) -> None:
    """A target that cannot be served ends the run with one line that says why."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path, "net.py")
    put(tmp_path, "notes.txt", "")
    (tmp_path / "empty").mkdir()
    put(tmp_path, "plain/a.py", "x = 1\n")
    with pytest.raises(UsageError) as caught:
        read(target)
    assert said in caught.value.format()


def test_a_syntax_error_is_that_files_own(tmp_path: Path) -> None:
    """A file Python cannot read fails with line, column and text; the others go on."""
    put(tmp_path, "pyproject.toml", "")
    put(tmp_path, "bad.py", "import torch\nclass Net(nn.Module:\n    pass\n")
    put(tmp_path, "good.py")
    bad, good = read(str(tmp_path))
    assert isinstance(bad, wire.Reply)
    assert bad.failure is not None
    assert bad.failure.kind == "syntax-error"
    assert bad.failure.location is not None
    assert (bad.failure.location.path, bad.failure.location.line) == ("bad.py", 2)
    assert "class Net(nn.Module:" in bad.failure.message
    assert isinstance(good, wire.Request)


@pytest.mark.parametrize("text", ["x = 1\n", "import torch\nx = torch.ones(3)\n", ""])
def test_a_named_file_without_model_fails_except_in_a_hook(tmp_path: Path, text: str) -> None:
    """Naming a file without a model is a mistake; a hook passes such files all the time."""
    path = put(tmp_path, "util.py", text)
    (item,) = read(str(path))
    assert isinstance(item, wire.Reply)
    assert item.failure is not None
    assert item.failure.kind == "not-a-module"
    assert read(str(path), hook=True) == []


def test_bytes_that_are_no_text_fail_alone(tmp_path: Path) -> None:
    """A null byte or a broken encoding is a failure of the file, not of the run."""
    (tmp_path / "a.py").write_bytes(b"import torch\n\x00")
    (tmp_path / "b.py").write_bytes(b"# coding: nonsense\nimport torch\n")
    assert [type(item) for item in read(str(tmp_path / "a.py"), str(tmp_path / "b.py"))] == [
        wire.Reply,
        wire.Reply,
    ]


def test_model_flag_goes_with_one_file(tmp_path: Path) -> None:
    """--model names the expression of one file and is refused with anything else."""
    path = str(put(tmp_path, "net.py"))
    (target,) = discover.locate([path], discover.Filter(), model="Net()")
    assert target.expression == "Net()"
    for texts in ([], [path, path], [str(tmp_path)], [f"{path}:Net"]):
        with pytest.raises(UsageError, match="--model"):
            discover.locate(texts, discover.Filter(), model="Net()")


def test_declared_models_stand_for_their_file(tmp_path: Path) -> None:
    """A file with declared models is checked as declared, at each of its input lists."""
    path = put(tmp_path, "net.py")
    put(
        tmp_path,
        "pyproject.toml",
        """
[[tool.convlint.models]]
target = "net.py:Net()"
inputs = [["1x3x8x8"], ["1x3x9x9"]]
""",
    )
    chosen = settings.load([path], settings.Flags())
    targets = discover.locate([str(path)], discover.Filter())
    requests = [found.what for found in discover.read(targets, chosen.models)]
    assert [r.target for r in requests] == ["net.py:Net() @ 1x3x8x8", "net.py:Net() @ 1x3x9x9"]
    assert all(isinstance(r, wire.Request) and r.expressions == ("Net()",) for r in requests)
    again = discover.read(discover.declared_targets(chosen.models, chosen.root), chosen.models)
    assert [found.what for found in again] == requests


def test_the_inputs_of_a_model_stay_together(tmp_path: Path) -> None:
    """Two models in a declared file at two sizes: model by model, and whole in one shard."""
    path = put(tmp_path, "net.py", NET + NET.replace("Net", "Twin"))
    inputs = 'inputs = [["1x3x8x8"], ["1x3x9x9"]]'
    put(tmp_path, "pyproject.toml", f'[[tool.convlint.models]]\ntarget = "net.py"\n{inputs}\n')
    chosen = settings.load([path], settings.Flags())
    found = discover.read(discover.locate([str(path)], discover.Filter()), chosen.models)
    names = [item.what.target for item in found]
    assert names == [f"net.py:{c} @ {s}" for c in ("Net", "Twin") for s in ("1x3x8x8", "1x3x9x9")]
    assert [item.alternative for item in found] == [(1, 2), (2, 2)] * 2
    for k in (1, 2):
        assert discover.part(found, (k, 2)) == found[2 * k - 2 : 2 * k]
    assert discover.part(found, (1, 1)) == found
    assert discover.part(found, (3, 3)) == ()


def test_a_model_is_told_as_soon_as_its_last_answer_is_there() -> None:
    """Nothing waits for the model after it: reports stream."""
    asked = iter(range(9))
    places = [(1, 1), (1, 2), (2, 2), (1, 1)]
    found = [discover.Found("a", wire.Reply("a", "failed"), place) for place in places]
    groups = discover.by_model((item, next(asked)) for item in found)
    assert [n for _, n in next(groups)] == [0]
    assert [n for _, n in next(groups)] == [1, 2]
    assert next(asked) == 3


def test_declared_outputs_go_with_their_model(tmp_path: Path) -> None:
    """Each request has the outputs declared for it; those of the flag stand for all."""
    path = put(tmp_path, "net.py")
    declared = """
[[tool.convlint.models]]
target = "net.py:Net()"
inputs = ["1x3x8x8"]
outputs = ["out"]
[[tool.convlint.models]]
target = "net.py:Net()"
inputs = ["1x3x9x9"]
outputs = [0, "aux"]
"""
    put(tmp_path, "pyproject.toml", declared)
    models = settings.load([path], settings.Flags()).models
    for text in (str(path), f"{path}:Net()"):
        targets = discover.locate([text], discover.Filter())
        found = [item.what for item in discover.read(targets, models)]
        assert [item.outputs for item in found] == [("out",), ("0", "aux")]
        assert [item.inputs[0][0].shape[-1] for item in found] == [8, 9]
        found = [item.what for item in discover.read(targets, models, outputs=("b",))]
        assert {item.outputs for item in found} == {("b",)}
    (plain,) = discover.read(discover.locate([str(path)], discover.Filter()))
    assert plain.what.outputs == ()
