"""``convlint rule``: the rules, or the page of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from convlint.contract import Rule, RuleMeta


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("word", required=False, metavar="[CODE|NAME]")
@click.option("--all", "all_", is_flag=True, help="The pages of all rules.")
def rule(word: str | None, all_: bool) -> int:
    """List the rules, or show the page of one: what it finds, why, and what to write instead."""
    from convlint.cli.output import stdout
    from convlint.gate import find_rule, known_rules

    rules = known_rules()
    if word is not None:
        stdout(page(find_rule(rules, word)))
    elif all_:
        stdout("\n\n".join(page(one) for one in rules))
    else:
        stdout(table(rules))
    return 0


def page(rule: Rule) -> str:
    """Return a rule's page with the code that fires and the code that does not."""
    meta = rule.meta
    kind = _kind(meta)
    head = f"{meta.code} {meta.name} ({meta.severity.value}, {kind}, since {meta.since})"
    parts = [head, "=" * len(head), "", rule.doc.strip()]
    if not rule.folder:
        return "\n".join(parts)
    for name, title in (("bad.py", "Code it speaks about"), ("good.py", "Code it is silent about")):
        file = Path(rule.folder, name)
        if file.is_file():
            lines = file.read_text(encoding="utf-8").rstrip().splitlines()
            code = "\n".join(f"    {line}".rstrip() for line in lines)
            parts += ["", f"{title} ({name}):", "", code]
    return "\n".join(parts)


def _kind(meta: RuleMeta) -> str:
    from convlint.gate import is_budget

    if is_budget(meta.code):
        return "limit"
    return "exact" if meta.exact else "approximate"


def table(rules: Sequence[Rule]) -> str:
    """Return one line a rule."""
    width = max(len(rule.meta.name) for rule in rules)
    lines = [
        f"{m.code}  {m.name:<{width}}  {m.severity.value:<7}  {_kind(m):<11}  {m.summary}"
        for m in (rule.meta for rule in rules)
    ]
    return "\n".join([*lines, "", "convlint rule CODE shows the page of one."])
