"""An argument is set in one call; formatting, comments and everything else stay."""

from __future__ import annotations

import pytest

from convlint.contract import ArgumentEdit
from convlint.errors import UsageError
from convlint.fixing import edit_call

OFF = (ArgumentEdit("bias", "False"),)


def at(text: str) -> str:
    """Return ``text`` with the call that "@" marks edited."""
    before, _, after = text.partition("@")
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    return edit_call(before + after, line, column, OFF)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("c = @nn.Conv2d(3, 8, 3)\n", "c = nn.Conv2d(3, 8, 3, bias=False)\n"),
        (
            "c = @nn.Conv2d(3, 8, 3,bias = True)  # x\n",
            "c = nn.Conv2d(3, 8, 3,bias = False)  # x\n",
        ),
        (
            "c = @nn.Conv2d(3, 8, 3, 1, 1, 1, 1, True)\n",
            "c = nn.Conv2d(3, 8, 3, 1, 1, 1, 1, False)\n",
        ),
        ("f(@nn.Conv2d(3, 8, 3), g(1))\n", "f(nn.Conv2d(3, 8, 3, bias=False), g(1))\n"),
        (
            "c = @nn.Conv2d(\n    3,  # in\n    8,\n    3,  # side\n)\n",
            "c = nn.Conv2d(\n    3,  # in\n    8,\n    3,  # side\n    bias=False,\n)\n",
        ),
        (
            "c = @nn.Conv2d(\n    3,\n    8,\n    3  # side\n)\n",
            "c = nn.Conv2d(\n    3,\n    8,\n    3,  # side\n    bias=False\n)\n",
        ),
        (
            "c = @nn.Conv2d(\n    3, 8, 3\n)\n",
            "c = nn.Conv2d(\n    3, 8, 3, bias=False\n)\n",
        ),
        (
            "c = @nn.Conv2d(3, 8, 3)\r\nd = 1\r\n",
            "c = nn.Conv2d(3, 8, 3, bias=False)\r\nd = 1\r\n",
        ),
        ("@a(\n    1,  # one\n)\n", "a(\n    1,  # one\n    bias=False,\n)\n"),
        ("@a(1)(2)\n", "a(1, bias=False)(2)\n"),
    ],
)
def test_the_argument_is_set(given: str, made: str) -> None:
    """Once, where the call begins, in the style of its neighbours."""
    found = at(given)
    compile(found, "x.py", "exec")
    assert found == made


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("c = @nn.Conv2d(3, 8, 3, bias=bias)\n", "bias is no literal"),
        ("c = @nn.Conv2d(*args)\n", "unpacked"),
        ("c = @nn.Conv2d(3, 8, 3, **options)\n", "unpacked"),
        ("c = @3\n", "no call begins there"),
    ],
)
def test_what_is_not_plain_is_left(given: str, why: str) -> None:
    """A variable, an unpacking, a line without a call: for a person to do."""
    with pytest.raises(UsageError, match=why):
        at(given)
