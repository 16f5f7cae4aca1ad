"""Which rules run, with which severity and options, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from convlint import errors, plugins
from convlint.checking import ActiveRule
from convlint.contract import Options, Rule
from convlint.gate.budget import budget_rules, is_budget
from convlint.settings import ALL_RULES, NO_RUNTIME, RuleTable, Settings
from convlint.settings.table import plain_words

_EXACT = 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """A rule, whether it runs, and the reason."""

    rule: Rule
    on: bool
    why: str


def known_rules() -> tuple[Rule, ...]:
    """Return every rule that can be selected: the installed ones and those about limits."""
    return tuple(sorted((*plugins.load_rules(), *budget_rules()), key=lambda r: r.meta.code))


def graph_rules(active: Iterable[ActiveRule]) -> tuple[ActiveRule, ...]:
    """Return those that look at a model's graph: all but the ones about limits."""
    return tuple(one for one in active if not is_budget(one.rule.meta.code))


def choose(rules: Sequence[Rule], settings: Settings) -> tuple[Choice, ...]:
    """Return of every rule whether it runs; raise UsageError for a selector of none.

    A selector is a code, a name, the beginning of codes, or "all". The longest one that fits a
    rule decides; of equal ones the ignoring. A preview rule needs its exact code or name.
    """
    for key in ("select", "extend-select", "ignore"):
        for selector in getattr(settings, key.replace("-", "_")):
            _check_selector(selector, rules, settings.source(key), key)
    for one in settings.overrides:
        for selector in (*one.ignore, *one.severity):
            _check_selector(selector, rules, one.where, "")
    _check_runtime(rules, settings)
    return tuple(_choose(rule, settings) for rule in rules)


def active_rules(rules: Sequence[Rule], settings: Settings) -> tuple[ActiveRule, ...]:
    """Return the rules that run, with severity and options as configured."""
    tables = _tables_by_code(rules, settings)
    return tuple(
        _active(choice.rule, tables.get(choice.rule.meta.code), settings)
        for choice in choose(rules, settings)
        if choice.on
    )


def find_rule(rules: Sequence[Rule], word: str) -> Rule:
    """Return the rule with this code or name; raise UsageError with the closest one."""
    for rule in rules:
        if word.lower() in (rule.meta.code.lower(), rule.meta.name):
            return rule
    raise errors.UsageError(f"unknown rule {word!r}", fix=_closest(word, rules))


def _choose(rule: Rule, settings: Settings) -> Choice:
    selected, by = _best(rule, (*settings.select, *settings.extend_select))
    ignored, against = _best(rule, settings.ignore)
    if not selected:
        return Choice(rule, False, "not selected")
    if ignored >= selected:
        return Choice(rule, False, f"ignored by {against} ({settings.source('ignore')})")
    if settings.runtime in rule.meta.done_by and selected < _EXACT:
        source = settings.source("runtime")
        return Choice(rule, False, f"{settings.runtime} makes this rewrite itself ({source})")
    if rule.meta.preview and selected < _EXACT:
        return Choice(rule, False, f"preview: select {rule.meta.code} itself to turn it on")
    key = "select" if by in settings.select else "extend-select"
    return Choice(rule, True, f"selected by {by} ({settings.source(key)})")


def _best(rule: Rule, selectors: Iterable[str]) -> tuple[int, str]:
    """Return the weight and the text of the most specific selector that fits."""
    return max(((_weight(rule, text), text) for text in selectors), default=(0, ""))


def _weight(rule: Rule, selector: str) -> int:
    return weight(rule.meta.code, rule.meta.name, selector)


def weight(code: str, name: str, selector: str) -> int:
    """Return how closely a selector fits a rule: 0 not at all, the most for its code or name."""
    word = selector.strip()
    if word.upper() == code or word.lower() == name:
        return _EXACT
    if word.lower() == ALL_RULES:
        return 1
    return 1 + len(word) if word and code.startswith(word.upper()) else 0


def _check_selector(selector: str, rules: Sequence[Rule], source: str, key: str) -> None:
    if selector.lower() == ALL_RULES or any(_weight(rule, selector) for rule in rules):
        return
    where = f"{source}: {key}" if key and not source.startswith("--") else source
    kind = errors.UsageError if source.startswith("--") else errors.ConfigError
    raise kind(f"unknown rule {selector!r}", where=where, fix=_closest(selector, rules))


def _check_runtime(rules: Sequence[Rule], settings: Settings) -> None:
    known = {NO_RUNTIME, *(name for rule in rules for name in rule.meta.done_by)}
    if settings.runtime not in known:
        source = settings.source("runtime")
        kind = errors.UsageError if source.startswith("--") else errors.ConfigError
        fix = errors.suggest(settings.runtime, known) or f"one of {', '.join(sorted(known))}"
        where = source if source.startswith("--") else f"{source}: runtime"
        raise kind(f"unknown runtime {settings.runtime!r}", where=where, fix=fix)


def _closest(word: str, rules: Sequence[Rule]) -> str:
    known = {rule.meta.code for rule in rules} | {rule.meta.name for rule in rules}
    close = errors.suggest(word, known) or errors.suggest(word.upper(), known)
    return close or "`convlint rule` lists them"


def _tables_by_code(rules: Sequence[Rule], settings: Settings) -> dict[str, RuleTable]:
    found: dict[str, RuleTable] = {}
    for word, table in settings.rules.items():
        try:
            rule = find_rule(rules, word)
        except errors.UsageError as error:
            raise errors.ConfigError(error.what, where=table.where, fix=error.fix) from None
        if rule.meta.code in found:
            first = found[rule.meta.code].where
            raise errors.ConfigError(
                f"{rule.meta.code} has a table already, {first}", where=table.where
            )
        _options(rule, table)
        found[rule.meta.code] = table
    return found


def _active(rule: Rule, table: RuleTable | None, settings: Settings) -> ActiveRule:
    severity = rule.meta.severity_under(settings.profile)
    if table is None:
        return ActiveRule(rule, severity, rule.options())
    return ActiveRule(rule, table.severity or severity, _options(rule, table))


def _options(rule: Rule, table: RuleTable) -> Options:
    """Return the rule's options; raise ConfigError naming the key that is wrong."""
    known = [field.encode_name for field in msgspec.structs.fields(rule.options)]
    for key in table.options:
        if key not in known:
            names = ", ".join(["severity", *known])
            fix = errors.suggest(key, ["severity", *known]) or f"it has {names}"
            raise errors.ConfigError(f"unknown option {key}", where=table.where, fix=fix)
    try:
        return msgspec.convert(dict(table.options), rule.options)
    except msgspec.ValidationError as error:
        raise errors.ConfigError(plain_words(str(error)), where=table.where) from None
