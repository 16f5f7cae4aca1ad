"""``convlint config``: each setting with its source, each rule with the reason it is on or off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from convlint.cli.options import read_settings, settings_options

if TYPE_CHECKING:
    from convlint.checking import ActiveRule
    from convlint.gate import Choice
    from convlint.settings import Settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@settings_options
def config(**flags: Any) -> int:
    """Show every setting that holds for the targets (default: here), and where it comes from."""
    from convlint import gate, plugins
    from convlint.cli.output import stdout

    settings = read_settings(flags["targets"], flags)
    rules = plugins.load_rules()
    active = {one.rule.meta.code: one for one in gate.active_rules(rules, settings)}
    lines = [*_values(settings), "", *_rules(gate.choose(rules, settings), active)]
    stdout("\n".join(lines))
    return 0


def _values(settings: Settings) -> Iterator[str]:
    values: dict[str, Any] = {
        "select": list(settings.select),
        "extend-select": list(settings.extend_select),
        "ignore": list(settings.ignore),
        "exclude": list(settings.exclude),
        "fail-level": settings.fail_level.value,
        "profile": settings.profile.name,
        "ram": settings.ram,
        "runtime": settings.runtime,
        "models": [entry.target for entry in settings.models],
    }
    texts = {key: f"{key} = {json.dumps(value)}" for key, value in values.items()}
    width = max(map(len, texts.values()))
    for key, text in texts.items():
        yield f"{text:<{width}}  # {settings.source(key)}"


def _rules(choices: tuple[Choice, ...], active: dict[str, ActiveRule]) -> Iterator[str]:
    import msgspec

    width = max(len(choice.rule.meta.name) for choice in choices)
    for choice in choices:
        meta = choice.rule.meta
        one = active.get(meta.code)
        state = f"on   {one.severity.value:<7}" if one else "off         "
        options = msgspec.to_builtins(one.options) if one else {}
        shown = "".join(f", {key} = {json.dumps(value)}" for key, value in options.items())
        yield f"{meta.code}  {meta.name:<{width}}  {state}  {choice.why}{shown}"
