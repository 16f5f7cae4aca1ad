"""``convlint config``: each setting with its source, each rule with the reason it is on or off."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convlint.cli.options import read_settings, settings_options

if TYPE_CHECKING:
    from convlint.checking import ActiveRule
    from convlint.contract import Rule
    from convlint.gate import Choice
    from convlint.settings import Settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@settings_options
@click.option("--schema", is_flag=True, help="Print a JSON schema of [tool.convlint].")
@click.option(
    "--check",
    is_flag=True,
    help="Check configuration, baseline and the comments in the files named; no model is built.",
)
def config(**flags: Any) -> int:
    """Show every setting that holds for the targets (default: here), and where it comes from.

    Exit code: 0; with --check 1 for a comment that suppresses nothing; 2 for a bad setting.
    """
    from convlint import gate
    from convlint.cli.output import stdout

    rules = gate.known_rules()
    if flags["schema"]:
        stdout(json.dumps(gate.config_schema(rules), indent=2))
        return 0
    if flags["check"]:
        return _check(flags, rules)
    settings = read_settings(flags["targets"], flags)
    active = {one.rule.meta.code: one for one in gate.active_rules(rules, settings)}
    lines = [*_values(settings), "", *_rules(gate.choose(rules, settings), active)]
    stdout("\n".join(lines))
    return 0


def _check(flags: dict[str, Any], rules: Sequence[Rule]) -> int:
    """Check what can be checked without building a model; print each comment at fault."""
    from convlint import gate
    from convlint.cli.output import stdout

    paths = [Path(target) for target in flags["targets"]]
    for place in dict.fromkeys(path.parent for path in paths) or [Path()]:
        settings = read_settings([str(place)], flags)
        gate.active_rules(rules, settings)
        if settings.baseline is not None:
            gate.read_baseline(settings.baseline, settings.baseline.name)
    problems = [
        f"{path.as_posix()}:{word.location.line}:{word.location.column}: {word.code} {word.message}"
        for path in paths
        for word in gate.comment_problems(path, rules)
        if word.location is not None
    ]
    stdout("\n".join(problems))
    return 1 if problems else 0


def _values(settings: Settings) -> Iterator[str]:
    baseline = settings.baseline
    values: dict[str, Any] = {
        "select": list(settings.select),
        "extend-select": list(settings.extend_select),
        "ignore": list(settings.ignore),
        "exclude": list(settings.exclude),
        "fail-level": settings.fail_level.value,
        "profile": settings.profile.name,
        "ram": settings.ram,
        "runtime": settings.runtime,
        "required-version": settings.required_version,
        "baseline": baseline.relative_to(settings.root).as_posix() if baseline else "",
        "models": [entry.target for entry in settings.models],
        "overrides": [_override(one) for one in settings.overrides],
    }
    texts = {key: f"{key} = {json.dumps(value)}" for key, value in values.items()}
    width = min(60, max(map(len, texts.values())))
    for key, text in texts.items():
        yield f"{text:<{width}}  # {settings.source(key)}"
    for entry in settings.models:
        for limit in entry.limits:
            text = f"{entry.target}: {limit.key} = {json.dumps(limit.text)}"
            yield f"{text:<{width}}  # {settings.source('models')}"


def _override(one: Any) -> dict[str, Any]:
    lists = {key: list(getattr(one, key)) for key in ("paths", "modules", "ignore")}
    table = {key: value for key, value in lists.items() if value}
    levels = {rule: level.value for rule, level in one.severity.items()}
    return {**table, "severity": levels} if levels else table


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
