"""The text report: whole screens as golden files, and what must hold for any input."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
from convlint_reports.text import render

from convlint.contract import RunReport, View
from tests.reports import hostile, sample

GOLDEN = Path(__file__).parent / "golden"


def screens() -> dict[str, tuple[RunReport, View]]:
    """The screens that are compared whole."""
    every = sample.run(sample.resnet(), sample.failed(), sample.clean())
    return {
        "all": (every, View()),
        "quiet": (every, View(quiet=True)),
        "verbose": (every, View(verbose=1)),
        "narrow": (sample.run(sample.resnet()), View(width=60)),
        "limits": (
            msgspec.structs.replace(sample.run(sample.limited()), base="main"),
            View(width=80),
        ),
        "clean": (sample.run(sample.clean()), View()),
        "color": (sample.run(sample.clean(), sample.failed()), View(color=True)),
    }


@pytest.mark.parametrize("name", screens())
def test_screen_is_the_golden_one(name: str) -> None:
    """Screen is the golden one."""
    run, view = screens()[name]
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(render(run, view), encoding="utf-8")
    assert render(run, view) == path.read_text(encoding="utf-8")


def test_every_finding_starts_a_line_with_path_line_column_code_name() -> None:
    """Every finding starts a line with path line column code name."""
    lines = render(sample.run(sample.resnet()), View(width=40)).splitlines()
    assert any(x.startswith("nets/resnet.py:86:22: CL301 dense-conv [warning]") for x in lines)
    assert any(x.startswith("nets/resnet.py:ResNet50: CL501 misaligned-channels") for x in lines)


def test_carets_stand_under_the_constructor() -> None:
    """Carets stand under the constructor."""
    lines = render(sample.run(sample.resnet()), View()).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("     86 |"))
    caret = lines[at + 1]
    assert lines[at][caret.index("^") :] == "nn.Conv2d(width, width, 3, stride, 1, bias=False)"
    assert caret.strip(" |") == "^" * len("nn.Conv2d(width, width, 3, stride, 1, bias=False)")


def test_last_line_counts_everything() -> None:
    """Last line counts everything."""
    text = render(sample.run(sample.resnet(), sample.failed()), View())
    assert text.splitlines()[-1] == (
        "2 models, 54 layers, 3 findings (0 errors, 2 warnings, 1 info), 3 new, 0 known, 1 suppressed, 1 failed"
    )


def test_the_next_command_can_be_typed() -> None:
    """Exact rewrites first, else the page of the dearest rule, else the layers."""
    text = render(sample.run(sample.resnet()), View())
    assert text.splitlines()[-2].startswith("next: convlint apply nets/resnet.py:ResNet50  #")
    retrain = msgspec.structs.replace(sample.resnet(), findings=(sample.DENSE,))
    assert "next: convlint rule CL301" in render(sample.run(retrain), View())
    odd = msgspec.structs.replace(sample.clean(), target="a b.py:Net('x')")
    assert """next: convlint cost "a b.py:Net('x')\"""" in render(sample.run(odd), View())
    odd = msgspec.structs.replace(sample.clean(), target="$(rm x)'")
    assert """next: convlint cost '$(rm x)'"'"''""" in render(sample.run(odd), View())
    assert "next:" not in render(sample.run(sample.failed()), View())
    assert "next:" not in render(sample.run(sample.resnet()), View(quiet=True))


def test_base_and_limits_are_in_the_head() -> None:
    """What changed since the base, what limit is broken."""
    model = sample.limited()
    run = msgspec.structs.replace(sample.run(model), base="main")
    text = render(run, View())
    assert "4.09 GMACs (+2.2 % vs main)" in text
    assert "over budget 4 GMACs by 89.3 MMACs" in text
    assert "budget 30 M params" in text


def test_counting_convention_is_said_once() -> None:
    """Counting convention is said once."""
    text = render(sample.run(sample.resnet(), sample.clean()), View())
    assert text.count("FLOPs = 2 x MACs") == 1


def test_suppressed_and_known_findings_are_silent_until_asked_for() -> None:
    """Suppressed and known findings are silent until asked for."""
    known = msgspec.structs.replace(sample.DENSE, baseline="known")
    model = msgspec.structs.replace(sample.resnet(), findings=(known, sample.SILENT))
    run = sample.run(model)
    assert "CL301" not in render(run, View()) and "CL406" not in render(run, View())
    loud = render(run, View(verbose=1))
    assert "CL301 dense-conv [warning] saves 1.63 GMACs (39.9 %) (in the baseline)" in loud
    assert "weights are shared with the old head" in loud


def test_no_escape_sequence_without_color() -> None:
    """No escape sequence without color."""
    assert "\x1b" in render(*screens()["color"])
    assert "\x1b" not in render(screens()["all"][0], View(color=False))


@pytest.mark.parametrize("color", [False, True])
def test_hostile_names_cannot_drive_the_terminal(color: bool) -> None:
    """Hostile names cannot drive the terminal."""
    text = render(hostile.run(), View(color=color, verbose=2))
    ours = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", ours
    )
    assert "\\x1b[31mred" in ours
    assert "N" * 5000 not in ours
    text.encode()


def test_names_are_no_rich_markup() -> None:
    """Names are no rich markup."""
    model = msgspec.structs.replace(sample.clean(), target="a[red]b[/red]:emoji::smile:")
    assert "a[red]b[/red]:emoji::smile:" in render(sample.run(model), View())
