"""Keeps what belongs to one machine out of reports: absolute paths, secrets of the environment.

The words of an exception are the user's code's own; they may hold anything. stderr still has all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from convlint.contract import ModelReport
from convlint.gate.outcome import Outcome

LONGEST = 2000
SHORTEST = 6
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL|AUTH|COOKIE", re.IGNORECASE)
_STOP = r"\s'\":;,()\[\]{}<>|"
_POSIX = re.compile(rf"(?<![\w.:/…-])/(?:[^/{_STOP}]+/)+(?=[^/{_STOP}])")
_WINDOWS = re.compile(rf"(?<!\w)[A-Za-z]:[\\/](?:[^\\/{_STOP}]+[\\/]+)*(?=[^\\/{_STOP}])")


def without_private(
    outcomes: Sequence[Outcome], root: Path, environment: Mapping[str, str] | None = None
) -> tuple[Outcome, ...]:
    """Return the outcomes, the messages of their diagnostics fit to leave the machine.

    Paths below ``root`` are told relative to it, of others the last part; values of variables
    that are called like secrets are starred.
    """
    variables = os.environ if environment is None else environment
    secrets = sorted(
        (v for k, v in variables.items() if _SECRET.search(k) and len(v) >= SHORTEST),
        key=len,
        reverse=True,
    )
    return tuple(
        replace(outcome, report=_cleaned(outcome.report, root, secrets)) for outcome in outcomes
    )


def _cleaned(report: ModelReport, root: Path, secrets: Sequence[str]) -> ModelReport:
    words = tuple(
        msgspec.structs.replace(word, message=fit_to_leave(word.message, root, secrets))
        for word in report.diagnostics
    )
    return msgspec.structs.replace(report, diagnostics=words)


def fit_to_leave(text: str, root: Path, secrets: Sequence[str] = ()) -> str:
    """Return the text without absolute paths and secrets, and not longer than a page."""
    for secret in secrets:
        text = text.replace(secret, "***")
    own = str(root).rstrip("/\\")
    if len(own) > 1:
        text = text.replace(f"{own}/", "").replace(f"{own}\\", "")
    text = _WINDOWS.sub("…/", _POSIX.sub("…/", text))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
