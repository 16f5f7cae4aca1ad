"""``convlint new-rule`` and ``convlint test-rule``: a rule's folder, and its tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_HELP = {"help_option_names": ["-h", "--help"]}


@click.command("new-rule", context_settings=_HELP)
@click.argument("name", metavar="NAME")
@click.option("--code", default="XX100", metavar="CODE", show_default=True, help="Like AB101.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="Where it goes.")
def new_rule(**flags: Any) -> int:
    """Write the folder of a new rule: rule.py, bad.py and good.py, with tests that fail.

    NAME is lower-case words joined by "-"; the folder is named with "_". Then edit, and run
    `convlint test-rule FOLDER`.
    """
    from convlint import errors
    from convlint.cli.output import stdout
    from convlint.scaffold import files_of

    name, code = flags["name"], flags["code"]
    if not _NAME.fullmatch(name):
        fix = 'lower-case words joined by "-", like large-kernel'
        raise errors.UsageError(f"{name!r} is no rule's name", where="NAME", fix=fix)
    if not re.fullmatch(r"[A-Z]{2,6}[0-9]{3,4}", code):
        fix = "letters and a number, like AB101"
        raise errors.UsageError(f"{code!r} is no code", where="--code", fix=fix)
    folder = flags["folder"] / name.replace("-", "_")
    if folder.exists():
        raise errors.UsageError("is there already", where=str(folder), fix="take another name")
    if not flags["folder"].is_dir():
        raise errors.UsageError("no such folder", where=f"--folder {flags['folder']}")
    folder.mkdir()
    for file, text in files_of(name, code).items():
        (folder / file).write_text(text, encoding="utf-8")
        stdout(f"wrote {folder / file}")
    stdout(f"next: convlint test-rule {folder}")
    return 0


@click.command("test-rule", context_settings=_HELP)
@click.argument("folder", type=click.Path(path_type=Path), metavar="FOLDER")
@click.option("-v", "--verbose", count=True, help="Say more, with traces.")
def test_rule(**flags: Any) -> int:
    """Run the tests of a rule's folder: its form, its bad.py and its good.py.

    Every line of bad.py marked "# expect: CODE" has to carry a finding and no other line may;
    good.py has to be silent; the rule must not crash.

    Exit code: 0; 1 where a test fails; 2 where the folder holds no rule.
    """
    from convlint.cli.output import stdout
    from convlint.rule_tests import try_rule

    failures = 0
    for line, passed in try_rule(flags["folder"]):
        failures += not passed
        stdout(f"{'ok  ' if passed else 'FAIL'} {line}")
    stdout(f"{failures} failed" if failures else "all passed")
    return 1 if failures else 0
