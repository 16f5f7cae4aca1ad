"""The wheel holds what a user needs and works alone, away from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("convlint", "convlint_rules", "convlint_reports")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built with the build tools that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    _run([sys.executable, *build], cwd=folder)
    (path,) = folder.glob("convlint-*.whl")
    return path


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a venv that has this wheel, and borrows the dependencies alone.

    A path that a .pth file adds is not searched for .pth files in turn, so the editable
    convlint of the running interpreter stays out of reach.
    """
    venv = tmp_path_factory.mktemp("venv")
    _run([sys.executable, "-m", "venv", "--without-pip", str(venv)], cwd=venv)
    folder = venv / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "python")]
    _run([*pip, "install", "--no-index", "--no-deps", "--quiet", str(wheel)], cwd=venv)
    installed = _run([str(folder / "python"), "-c", _PRINT_SITE_PACKAGES], cwd=venv)
    borrowed = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    Path(installed.stdout.strip(), "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return folder


_PRINT_SITE_PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


def test_wheel_holds_templates_examples_and_types_but_no_tests(wheel: Path) -> None:
    """Templates, each rule's bad.py and good.py, py.typed and the licence ship; tests do not."""
    names = zipfile.ZipFile(wheel).namelist()
    folders = [name.split("/") for name in names if name.startswith("convlint_rules/")]
    rules = {parts[1] for parts in folders if parts[-1] == "rule.py"}
    assert rules == {path.parent.name for path in ROOT.glob("rules/convlint_rules/*/rule.py")}
    assert rules
    for rule in sorted(rules):
        assert f"convlint_rules/{rule}/bad.py" in names
        assert f"convlint_rules/{rule}/good.py" in names
    templates = sorted(path.name for path in ROOT.glob("reports/convlint_reports/templates/*"))
    assert templates
    assert not {f"convlint_reports/templates/{name}" for name in templates} - set(names)
    assert "convlint/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [name for name in names if "/test" in name or name.startswith("test")]


def test_installed_wheel_is_what_is_imported(bin_folder: Path, tmp_path: Path) -> None:
    """All three packages come from the venv, none from the checkout."""
    code = f"import {', '.join(PACKAGES)}; print(*(m.__file__ for m in ({', '.join(PACKAGES)})))"
    files = _run([str(bin_folder / "python"), "-c", code], cwd=tmp_path).stdout.split()
    venv = bin_folder.parent.resolve()
    assert len(files) == len(PACKAGES)
    assert all(venv in Path(file).resolve().parents for file in files)


def test_installed_wheel_lints_a_model(bin_folder: Path, tmp_path: Path) -> None:
    """``convlint model.py`` of the wheel finds the large kernel on its line and exits with 1."""
    source = _copy_model(tmp_path).splitlines()
    run = _run([str(bin_folder / "convlint"), "model.py"], cwd=tmp_path, code=1)
    found = re.search(r"^model\.py:(\d+):\d+: CL101 large-kernel", run.stdout, re.MULTILINE)
    assert found, run.stdout
    assert "kernel_size=7" in source[int(found[1]) - 1]


def test_installed_wheel_renders_html_and_explains_rules(bin_folder: Path, tmp_path: Path) -> None:
    """The templates and the rules' examples are found where the wheel put them."""
    _copy_model(tmp_path)
    command = str(bin_folder / "convlint")
    run = _run([command, "model.py", "--format", "html"], cwd=tmp_path, code=1)
    assert run.stdout.lstrip().lower().startswith("<!doctype html>")
    assert "nn.Conv2d" in _run([command, "rule", "CL101"], cwd=tmp_path).stdout


def _copy_model(folder: Path) -> str:
    """Put a bad model into a project of its own; return its source."""
    (folder / "pyproject.toml").touch()
    source = (ROOT / "examples" / "grouped_net.py").read_text(encoding="utf-8")
    (folder / "model.py").write_text(source, encoding="utf-8")
    return source


def _run(command: list[str], *, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run outside the checkout and without its paths; fail with the output on another exit code."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    run = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode == code, f"{command}\n{run.stdout}\n{run.stderr}"
    return run
