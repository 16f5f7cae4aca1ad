"""What the numbers of a model rest on: its inputs, the profile, how costs are counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from convlint.contract import ModelReport, RuleInfo
from convlint.wire import InputSpec
from convlint_reports import numbers
from convlint_reports.words import cut

COUNTING = (
    "MACs are multiply-accumulates of convolutions and matrix products; FLOPs = 2 × MACs. "
    "Bytes are those of the traced dtypes and the batch above, moved when nothing is fused."
)
MOST = 16


def told(model: ModelReport, profile: str, rules: Mapping[str, RuleInfo]) -> tuple[str, ...]:
    """Return one sentence an assumption, the inputs first."""
    return tuple(_told(model, profile, rules))


def _told(model: ModelReport, profile: str, rules: Mapping[str, RuleInfo]) -> Iterator[str]:
    for spec in model.inputs[:MOST]:
        yield f"Input {input_words(spec)}"
    if len(model.inputs) > MOST:
        yield f"and {len(model.inputs) - MOST} more inputs"
    yield from (f"{words[:1].upper()}{words[1:]}" for words in outputs_read(model))
    if model.expression and model.expression not in model.target:
        yield f"Built as {cut(model.expression, 400)}"
    yield f"Profile {cut(profile)}: sets severities and the thresholds of the hardware notes."
    sized = ", ".join(cut(rule.code, 40) for rule in rules.values() if rule.at_size)
    guessed = any(spec.origin == "inferred" for spec in model.inputs)
    if sized and guessed:
        yield (
            f"{sized} hold at the traced input size only; since it was guessed, what they "
            "find is left out of the totals after exact rewrites."
        )
    elif sized:
        yield f"{sized} hold at the traced input size only."


def outputs_read(model: ModelReport) -> Iterator[str]:
    """Yield which outputs are read, if that was said, and the names of the others."""
    if model.outputs:
        kept, others = (_names(names) for names in (model.outputs, model.unread_outputs))
        yield f"outputs read: {kept}" + (
            f"; not read: {others}" if others else "; there are no others"
        )


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(cut(name, 80) for name in names[:MOST]) + more


def input_words(spec: InputSpec) -> str:
    """Return an input with where its shape comes from."""
    name = f"{cut(spec.label)}: " if spec.label else ""
    text = f"{name}{numbers.shape(spec.shape, '×')} {cut(spec.dtype, 40)}, {spec.origin}"
    if spec.origin == "inferred":
        return f"{text}: an assumption; --input or the configuration sets it"
    at = spec.found_at
    return f"{text} at {cut(at.path)}:{at.line}" if at else text
