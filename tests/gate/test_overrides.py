"""Overrides: other severities, or none, for some files and modules."""

from __future__ import annotations

import pytest

from convlint import gate
from convlint.contract import Finding, Severity
from convlint.settings import Override
from tests.gate.made import finding, outcome, span


def changed(found: Finding, *overrides: Override) -> Finding:
    """Return the finding with the overrides applied."""
    return gate.override([outcome(found)], overrides)[0].report.findings[0]


def there(**where: tuple[str, ...]) -> Override:
    """Return an override that ignores CL301 there."""
    return Override("pyproject.toml: tool.convlint.overrides[3]", ignore=("CL301",), **where)


@pytest.mark.parametrize(
    ("modules", "globs", "ignored"),
    [
        (("layer2.0.conv1",), ("layer2.*",), True),
        (("layer2.0.conv1", "layer3.0.conv1"), ("layer2.*",), False),
        (("layer2.0.conv1", "layer3.0.conv1"), ("layer2.*", "*.conv1"), True),
        (("head",), ("HEAD",), False),
        ((), ("*",), True),
    ],
)
def test_modules_are_globs_and_all_of_a_finding_must_fit(
    modules: tuple[str, ...], globs: tuple[str, ...], ignored: bool
) -> None:
    """A finding with one module outside the globs stays."""
    found = changed(finding(modules=modules), there(modules=globs))
    assert (found.suppressed is not None) == ignored


@pytest.mark.parametrize(
    ("path", "patterns", "ignored"),
    [
        ("nets/old/a.py", ("nets/old/",), True),
        ("nets/new/a.py", ("nets/old/",), False),
        ("nets/a.py", ("*.py", "!nets/a.py"), False),
    ],
)
def test_paths_are_gitignore_patterns(path: str, patterns: tuple[str, ...], ignored: bool) -> None:
    """The file of the constructor line decides."""
    found = changed(finding(location=span(1, path=path)), there(paths=patterns))
    assert (found.suppressed is not None) == ignored


def test_the_reason_names_the_override() -> None:
    """What the configuration ignores stays in the report and says why."""
    assert changed(finding(), there(paths=("*",))).suppressed == (
        "ignored by the configuration's overrides[3]"
    )


def test_the_last_severity_stands_and_the_closest_selector_wins() -> None:
    """Overrides apply in order; within one, a code beats a prefix."""
    first = Override("a", paths=("*",), severity={"CL3": Severity.INFO, "CL301": Severity.ERROR})
    second = Override("b", paths=("*",), severity={"all": Severity.INFO})
    assert changed(finding(), first).severity is Severity.ERROR
    assert changed(finding(), first, second).severity is Severity.INFO
    other = Override("c", paths=("*",), severity={"CL101": Severity.ERROR})
    assert changed(finding(), other).severity is Severity.WARNING
