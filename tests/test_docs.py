"""What the documentation says is so: paths exist, commands run, quoted output is real."""

from __future__ import annotations

import ast
import importlib.util
import re
import runpy
import shlex
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

_UPDATE = runpy.run_path(str(ROOT / "docs" / "update.py"))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SUFFIXES = ("/", ".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".typed")
_PLACEHOLDERS = re.compile(r"[<*{ ]|\.\.\.")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")

# Files of the reader's own.
_NOT_OURS = {"model.py"}


def _paths_named(text: str) -> list[str]:
    """Return what stands in backticks or at the head of a tree's line and looks like a path."""
    spans = re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text))
    trees = [block for language, block in _BLOCK.findall(text) if language == "text"]
    spans += [word for tree in trees for word in re.findall(r"^ *(\S+/\S*|\S+\.py)", tree, re.M)]
    return sorted(
        {
            span
            for span in spans
            if (span.endswith(_SUFFIXES) or "/" in span)
            and not _PLACEHOLDERS.search(span)
            and span not in _NOT_OURS
        }
    )


def _modules_named(text: str) -> list[str]:
    return sorted(set(re.findall(r"`(convlint(?:_\w+)?(?:\.\w+)+)`", text)))


def _commands() -> list[str]:
    """Return the distinct ``convlint`` commands of README's fenced shell blocks."""
    prompts = {"sh": "", "console": "$ "}
    lines = [
        line.removeprefix(prompts[kind])
        for kind, block in _BLOCK.findall(README)
        if kind in prompts
        for line in block.splitlines()
        if line.startswith(f"{prompts[kind]}convlint ")
    ]
    return sorted({line.split("  #")[0].strip() for line in lines})


@pytest.mark.parametrize("path", _paths_named(ARCHITECTURE))
def test_architecture_names_only_paths_that_exist(path: str) -> None:
    """A path in docs/architecture.md stands in the checkout, from its root or in the engine."""
    bases = (ROOT, ROOT / "convlint", ROOT / "rules", *ROOT.glob("rules/convlint_rules/*/"))
    assert any((base / path).exists() for base in bases)


@pytest.mark.parametrize("name", _modules_named(ARCHITECTURE))
def test_architecture_names_only_modules_that_exist(name: str) -> None:
    """A dotted name in docs/architecture.md is a module, an attribute of one, or an entry point."""
    if metadata.entry_points(group=name):
        return
    parent, _, attribute = name.rpartition(".")
    found = importlib.util.find_spec(name) if _is_package(parent) else None
    assert found or hasattr(importlib.import_module(parent), attribute)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    """A relative link of a page leads to a file of the checkout."""
    file = ROOT / page
    links = _LINK.findall(file.read_text(encoding="utf-8"))
    assert [link for link in links if not (file.parent / link).exists()] == []


@pytest.mark.parametrize("command", _commands())
def test_readme_commands_run(command: str, tmp_path: Path) -> None:
    """A command of README.md exits with 0 or 1 in the checkout; files it writes go elsewhere."""
    reports = re.compile(r"^(\w+)=(?=\S+\.\w+$)")
    words = [reports.sub(rf"\1={tmp_path}/", word) for word in shlex.split(command)]
    run = _UPDATE["run_convlint"](shlex.join(words))
    assert run.returncode in (0, 1), run.stderr


def test_readme_says_both_commands_first() -> None:
    """The first fenced block of README.md holds make demo and make test."""
    _, first = _BLOCK.findall(README)[0]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_readme_quotes_what_convlint_prints() -> None:
    """The output shown in README.md is the output of today."""
    assert _UPDATE["render_readme"](README) == README, "run make docs"


def test_examples_are_described() -> None:
    """Every example has its line in examples/README.md."""
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    assert sorted(re.findall(r"^- `(\w+\.py)`", page, re.MULTILINE)) == files


def test_every_test_states_its_claim() -> None:
    """Every test function has a docstring: the claim it holds."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert silent == []


def _is_package(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None
