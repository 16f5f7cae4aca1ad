"""Writes what the documentation quotes of convlint anew, from convlint itself.

``python docs/update.py`` rewrites the output below every ``$ convlint ...`` in README.md's
``console`` blocks and its table of rules, a page in docs/rules/ for every rule, and the schema of
the configuration. With ``--check`` it writes nothing and exits with 1 where something is out of
date.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from convlint import gate

ROOT = Path(__file__).resolve().parent.parent
WIDTH = "100"

_TABLE = re.compile(r"(?<=<!-- rules -->\n)(.*?)(?=<!-- end of rules -->)", re.DOTALL)
_CONSOLE = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)


def run_convlint(command: str) -> subprocess.CompletedProcess[str]:
    """Return what ``convlint ...`` does in the root of the checkout, 100 columns wide."""
    environ = {**os.environ, "COLUMNS": WIDTH, "NO_COLOR": "1"}
    arguments = [str(Path(sys.executable).with_name("convlint")), *shlex.split(command)[1:]]
    return subprocess.run(
        arguments, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def render_readme(text: str) -> str:
    """Return the page with the output of every quoted command as it is now."""
    text = _TABLE.sub(lambda _: render_table(), text)
    return _CONSOLE.sub(lambda match: _render_block(match[1]), text)


def render_table() -> str:
    """Return the rules as a Markdown table: exact ones first, then those that need retraining."""
    rows = ["", "| code | name | finds | level |", "|---|---|---|---|"]
    rules = sorted(gate.known_rules(), key=lambda rule: (not rule.meta.exact, rule.meta.code))
    for meta in (rule.meta for rule in rules if not rule.meta.code.startswith("CL7")):
        link = f"[{meta.name}](docs/rules/{meta.name}.md)"
        kind = "exact, " if meta.exact else ""
        rows.append(f"| {meta.code} | {link} | {meta.summary} | {kind}{meta.severity.value} |")
    return "\n".join([*rows, "", ""])


def render_rules() -> dict[Path, str]:
    """Return the page of every rule under its path."""
    names = [rule.meta.name for rule in gate.known_rules()]
    return {
        ROOT / "docs" / "rules" / f"{name}.md": run_convlint(f"convlint rule {name}").stdout
        for name in names
    }


def _render_block(block: str) -> str:
    commands = [line for line in block.splitlines() if line.startswith("$ convlint")]
    parts = [f"{line}\n{run_convlint(line[2:]).stdout.rstrip()}\n" for line in commands]
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them; return the exit code."""
    readme = ROOT / "README.md"
    schema = {
        ROOT / "docs" / "configuration.schema.json": run_convlint("convlint config --schema").stdout
    }
    pages = {readme: render_readme(readme.read_text(encoding="utf-8")), **render_rules(), **schema}
    stale = [page for page, text in pages.items() if _read(page) != text]
    for page in stale:
        if "--check" in arguments:
            print(f"{page.relative_to(ROOT)} is out of date: run make docs", file=sys.stderr)
        else:
            page.parent.mkdir(exist_ok=True)
            page.write_text(pages[page], encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    return 1 if stale and "--check" in arguments else 0


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8") if page.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
