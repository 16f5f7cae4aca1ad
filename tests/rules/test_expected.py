"""The text report of every rule's bad.py, to the letter, as ``expected.txt`` beside it.

``UPDATE_EXPECTED=1 pytest tests/rules`` writes the files anew; read the diff.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from convlint.plugins import load_rules

ROOT = Path(__file__).parents[2]
RULES = {rule.meta.code: Path(rule.folder) for rule in load_rules()}


@pytest.mark.parametrize("code", RULES)
def test_text_report_of_the_bad_example(code):
    """What a user reads on bad.py is what the rule's folder shows."""
    bad = RULES[code] / "bad.py"
    named = re.findall(r"^# (profile|ram|outputs): (\S+)", bad.read_text(), re.MULTILINE)
    command = [sys.executable, "-m", "convlint", "check", str(bad), "--select", code]
    command += [word for flag, value in named for word in (f"--{flag}", value)]
    plain = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
    done = subprocess.run(
        command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode in (0, 1), done.stderr
    expected = RULES[code] / "expected.txt"
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(done.stdout, encoding="utf-8")
    assert done.stdout == expected.read_text(encoding="utf-8")
