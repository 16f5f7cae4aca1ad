"""A finding as a page shows it: every number already a word, nothing left to decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from convlint.contract import Finding, RuleInfo, Saving, Totals
from convlint.ir.nodes import SourceSpan
from convlint_reports import numbers, quantities, related, savings
from convlint_reports.frame import frame
from convlint_reports.nextstep import LONGEST, typed
from convlint_reports.numbers import typographic
from convlint_reports.words import cut, plural

MODULES = 24
EXACT = "same outputs, equal in float64 to 1e-9 on random input; the weights still load"
AT_SIZE = "same outputs at the traced input size, not at every size; the weights still load"
COUNTED = "the saving is counted: this model minus the model with the rewrite made"


@dataclass(frozen=True, slots=True)
class Gain:
    """One quantity a finding changes; ``css`` is "up" where it would cost more."""

    key: str
    amount: str
    percent: str
    css: str


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One line of code; ``marked`` is the finding's part, ``number`` "" where it has none."""

    number: str
    before: str
    marked: str
    after: str


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """Code of one card: as it is now, or as it could be."""

    label: str
    lines: tuple[CodeLine, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a card's list; ``css`` says how it is set."""

    label: str
    text: str
    css: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One finding. ``amounts`` are (quantity, amount saved), for sorting and filtering."""

    anchor: str
    mark: str
    code: str
    name: str
    severity: str
    place: str
    message: str
    gain: str
    gains: tuple[Gain, ...]
    amounts: tuple[tuple[str, int], ...]
    blocks: tuple[CodeBlock, ...]
    facts: tuple[Fact, ...]
    css: str
    # What the Markdown report puts into its own order.
    main: str
    saves: str
    modules: tuple[str, ...]
    alternatives: tuple[tuple[str, str], ...]
    instead: str
    risk: str
    bound: str
    suppress: str
    location: SourceSpan | None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a card needs to know of the model and of the rules."""

    target: str
    totals: Totals
    rules: Mapping[str, RuleInfo]


def card(finding: Finding, anchor: str, scene: Scene) -> Card:
    """Return the card of a finding."""
    found = gains(finding.saving, scene.totals)
    blocks = tuple(_blocks(finding))
    first = _first(finding, found, scene.totals)
    return Card(
        anchor=anchor,
        mark=savings.section(finding).value,
        code=cut(finding.code, 40),
        name=cut(finding.name),
        severity=finding.severity.value,
        place=where(finding.location),
        message=finding.message,
        gain=f"{first.amount} {first.percent}".strip() if first else "",
        gains=found or (Gain("none", _nothing(finding), "", ""),),
        amounts=tuple((q.key, q.saved(finding.saving)) for q in quantities.SORTED),
        blocks=blocks,
        facts=tuple(_facts(finding, scene)),
        css="two" if blocks else "one",
        main=savings.main(finding.saving, scene.totals),
        saves=typographic(savings.words(finding.saving)),
        modules=_modules(finding),
        alternatives=tuple(_alternatives(finding)),
        instead=finding.instead.rstrip("\n"),
        risk=finding.risk,
        bound=savings.bound(finding),
        suppress=_suppress(finding),
        location=finding.location,
    )


def _first(finding: Finding, found: tuple[Gain, ...], totals: Totals) -> Gain | None:
    """Return the gain that heads the card, None where nothing is saved."""
    foremost = savings.foremost(finding.saving, totals)
    less = [gain for gain in found if not gain.css]
    named = [gain for gain in less if foremost is not None and gain.key == foremost.key]
    return next(iter(named or less), None)


def _nothing(finding: Finding) -> str:
    return "nothing by itself" if finding.budget is not None else "nothing that is counted"


def _blocks(finding: Finding) -> Iterator[CodeBlock]:
    lines = frame(finding)
    if lines:
        numbered = (CodeLine(str(x.number), x.before, x.marked, x.after) for x in lines)
        yield CodeBlock("Now", tuple(numbered))
    if finding.instead:
        code = finding.instead.rstrip("\n").split("\n")
        yield CodeBlock("Instead", tuple(CodeLine("", line, "", "") for line in code))


def _facts(finding: Finding, scene: Scene) -> Iterator[Fact]:
    names = finding.module_groups or finding.modules
    hidden = len(names) - MODULES
    more = f" and {plural(hidden, 'more group')}" if hidden > 0 else ""
    if names:
        yield Fact("Modules", ", ".join(_modules(finding)) + more, "mono")
    for label, saves in _alternatives(finding):
        yield Fact("Or", f"{label}: saves {saves}")
    rule = scene.rules.get(finding.code)
    if finding.exact or savings.main(finding.saving, scene.totals):
        yield Fact("Evidence", _evidence(finding, rule))
    if finding.bound:
        told = f"{cut(finding.bound, 40)}, under this profile, nothing fused"
        yield Fact("Bound by", savings.bound(finding) or told)
    if finding.risk:
        yield Fact("Risk", finding.risk)
    if rule is not None and rule.done_by:
        yield Fact("Done by", ", ".join(cut(name) for name in rule.done_by))
    for line in related.told(finding):
        yield Fact("See", line)
    silenced = _silenced(finding)
    yield Fact("Silenced", silenced) if silenced else Fact("Suppress", _suppress(finding), "copy")
    yield Fact("More", f"convlint rule {cut(finding.code, 40)}", "copy")
    module = next(iter(finding.modules), "")
    if module and len(module) <= LONGEST:
        yield Fact("Why", f"convlint why {typed(module)} {typed(scene.target)}", "copy")


def _evidence(finding: Finding, rule: RuleInfo | None) -> str:
    if not finding.exact:
        return COUNTED
    return AT_SIZE if rule is not None and rule.at_size else EXACT


def _suppress(finding: Finding) -> str:
    return f"# convlint: ignore[{cut(finding.code, 40)}] reason"


def _modules(finding: Finding) -> tuple[str, ...]:
    names = finding.module_groups or finding.modules
    return tuple(cut(name) or "(root)" for name in names[:MODULES])


def _alternatives(finding: Finding) -> Iterator[tuple[str, str]]:
    for other in finding.alternatives:
        yield cut(other.label, 400), typographic(savings.words(other.saving))


def _silenced(finding: Finding) -> str:
    if finding.suppressed is not None:
        return finding.suppressed or "suppressed without a reason"
    return "known to the baseline" if finding.baseline == "known" else ""


def where(at: SourceSpan | None) -> str:
    """Return "path:line:col", "" where the line is not known."""
    return f"{at.path}:{at.line}:{at.column}" if at else ""


def line_of(at: SourceSpan | None) -> str:
    """Return "path:line", "" where the line is not known."""
    return f"{at.path}:{at.line}" if at else ""


def gains(saving: Saving, totals: Totals) -> tuple[Gain, ...]:
    """Return the quantities a saving changes, MACs first, with their share of the model."""
    found = []
    for quantity in quantities.EVERY:
        value = quantity.saved(saving)
        if not value:
            continue
        sign = "−" if value > 0 else "+"
        share = abs(quantities.percent(quantity, saving, totals))
        percent = typographic(f"({sign}{numbers.percent(share)})").replace(f"{sign}<", "<")
        percent = percent if share else ""
        amount = typographic(f"{sign}{quantity.amount(value)}")
        found.append(Gain(quantity.key, amount, percent, "" if value > 0 else "up"))
    return tuple(found)
