"""Reports hold no absolute paths and no secrets, whatever an exception says."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import gate
from convlint.gate.private import LONGEST, fit_to_leave
from convlint.wire import Diagnostic
from tests.gate.made import outcome

ROOT = Path("/home/me/net")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from 'b' (/home/me/net/src/b.py)", "from 'b' (src/b.py)"),
        ("No such file: '/data/sets/x.bin'", "No such file: '…/x.bin'"),
        ("see /usr/lib/python3/site.py:3", "see …/site.py:3"),
        (r"at C:\Users\me\net.py", "at …/net.py"),
        ("1/2 of a/b/c and x // y", "1/2 of a/b/c and x // y"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("shapes (1,3)/(2,3), 4/s", "shapes (1,3)/(2,3), 4/s"),
        ("/root alone", "/root alone"),
    ],
)
def test_paths_are_told_as_the_project_sees_them(text: str, told: str) -> None:
    """Below the root relative, elsewhere the last part; what is no path stays."""
    assert fit_to_leave(text, ROOT) == told


def test_secrets_are_starred_and_pages_end() -> None:
    """A value of a variable that is called like a secret is not in the report; nor is a flood."""
    word = Diagnostic("CL902", f"env: abc123xyz, plain-value {'x' * 5000}", "error")
    one = outcome(diagnostics=(word,))
    environment = {"API_TOKEN": "abc123xyz", "HOME": "plain-value", "KEY": "x"}
    (cleaned,) = gate.without_private([one], ROOT, environment)
    message = cleaned.report.diagnostics[0].message
    assert message.startswith("env: ***, plain-value xxx")
    assert len(message) == LONGEST
