"""What ``convlint compare`` prints: text, JSON or Markdown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import msgspec

from convlint.contract import Totals
from convlint.gate.amounts import amount
from convlint.gate.compare import Comparison, LayerChange, ModelComparison, Told

TOTALS = (
    ("macs", "MACs"),
    ("params", "params"),
    ("param_bytes", "weights"),
    ("peak_activation_bytes", "peak activations"),
)
LAYERS, FINDINGS, NAME = 12, 10, 300
SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}
UNSAFE = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def render(told: Comparison, name: str, *, verbose: bool = False) -> str:
    """Return the comparison in a format: "text", "json" or "markdown"."""
    if name == "json":
        data = msgspec.json.encode(_writable(msgspec.to_builtins(told)))
        return msgspec.json.format(data, indent=2).decode() + "\n"
    lines = _text(told, verbose=verbose) if name == "text" else _markdown(told)
    return "\n".join(lines) + "\n"


# --- text ----------------------------------------------------------------------------------


def _text(told: Comparison, *, verbose: bool) -> Iterator[str]:
    yield f"convlint {told.tool.version}, {safe(told.base)} against {safe(told.head)}"
    for model in told.models:
        if model.status == "same" and not (model.new or model.fixed or verbose):
            continue
        yield ""
        yield from _model(model, LAYERS if not verbose else 10**9)
    yield ""
    yield last_line(told)


def _model(model: ModelComparison, most: int) -> Iterator[str]:
    was = f" (was {safe(model.base_target)})" if model.base_target else ""
    yield f"{safe(model.target)}{was}  {model.status}"
    for problem in model.problems:
        yield f"  {safe(problem)}"
    for name, title in TOTALS:
        old, new = _value(model.base, name), _value(model.head, name)
        if old is not None or new is not None:
            yield f"  {title:18} {_row(name, old, new)}"
    changes = model.layers
    if model.base and model.head:
        yield f"  {'layers':18} {_layer_counts(model)}"
    for change in changes[:most]:
        yield f"    {SIGNS[change.change]} {_layer(change)}"
    if len(changes) > most:
        yield f"    and {len(changes) - most} more (-v shows all)"
    for title, findings in (("new", model.new), ("fixed", model.fixed)):
        for found in findings:
            yield f"  {title:6} {_finding(found)}"


def _row(name: str, old: int | None, new: int | None) -> str:
    if old is None or new is None:
        side = "new" if old is None else "removed"
        return f"{amount(name, new if old is None else old):>14}  {side}"  # type: ignore[arg-type]
    return f"{amount(name, old):>14} -> {amount(name, new):<14} {change(old, new)}".rstrip()


def _layer(told: LayerChange) -> str:
    old, new = told.base, told.head
    state = new or old
    assert state is not None
    name = f"{safe(state.module) or '(root)'} {safe(state.kind)}"
    if old is None or new is None:
        return f"{name}: {_shape(state.input_shapes)} -> {_shape(state.output_shapes)}, {amount('macs', state.macs)}"
    if told.change == "moved":
        return f"{name}: was {safe(old.module) or '(root)'}"
    parts = [
        f"{title} {amount(key, a)} -> {amount(key, b)} ({change(a, b)})"
        for key, title, a, b in (
            ("macs", "", old.macs, new.macs),
            ("params", "", old.params, new.params),
        )
        if a != b
    ]
    if (old.input_shapes, old.output_shapes) != (new.input_shapes, new.output_shapes):
        shapes = [f"{_shape(s.input_shapes)} -> {_shape(s.output_shapes)}" for s in (old, new)]
        parts.append(f"[{shapes[0]}] to [{shapes[1]}]")
    return f"{name}: " + "; ".join(part.strip() for part in parts)


def _layer_counts(model: ModelComparison) -> str:
    kinds = [each.change for each in model.layers]
    words = [f"{kinds.count(kind)} {kind}" for kind in SIGNS if kind in kinds]
    return ", ".join([*words, f"{model.same_layers} same"])


def _finding(found: Told) -> str:
    at = f"{safe(found.location.path)}:{found.location.line}: " if found.location else ""
    saves = f", saves {amount('macs', found.saving.macs)}" if found.saving.macs > 0 else ""
    text = f"{at}{found.code} {safe(found.name)} [{found.severity.value}]"
    return f"{text} {_cut(safe(found.message))}{saves}"


def last_line(told: Comparison) -> str:
    """Return how much was compared and what came of it."""
    total = told.summary
    models = "1 model" if total.models == 1 else f"{total.models} models"
    new = "1 new finding" if total.new == 1 else f"{total.new} new findings"
    return (
        f"{models}, {total.changed} changed, {new}, {total.fixed} fixed, "
        f"{total.known} known, {total.failed} failed"
    )


# --- Markdown ------------------------------------------------------------------------------


def _markdown(told: Comparison) -> Iterator[str]:
    yield f"### convlint: {verdict(told)}"
    yield ""
    yield f"{_code(told.base)} against {_code(told.head)}: {last_line(told)}"
    open_: list[ModelComparison] = []
    same: list[ModelComparison] = []
    for model in told.models:
        quiet = model.status == "same" and not (model.new or model.fixed)
        (same if quiet else open_).append(model)
    if open_:
        yield ""
        yield "| model | MACs | params | peak activations |"
        yield "|---|---|---|---|"
        for model in open_:
            cells = (_cell(model, key) for key in ("macs", "params", "peak_activation_bytes"))
            yield f"| {_code(model.target)} | {' | '.join(cells)} |"
    new = [found for model in told.models for found in model.new]
    fixed = [found for model in told.models for found in model.fixed]
    for title, found in (("New", new), ("Fixed", fixed)):
        if found:
            yield ""
            yield f"**{title}**"
            yield ""
            yield from (f"- {_bullet(each)}" for each in found[:FINDINGS])
        if len(found) > FINDINGS:
            yield f"- and {len(found) - FINDINGS} more"
    for model in told.models:
        for problem in model.problems:
            yield ""
            yield f"{_code(model.target)}: {_code(_cut(problem))}"
    yield from _folded(same)


def verdict(told: Comparison) -> str:
    """Return what the comparison comes to in a few words."""
    total = told.summary
    if total.failed:
        return f"{total.failed} of {total.models} models could not be read"
    news = {0: "no new findings", 1: "1 new finding"}.get(total.new, f"{total.new} new findings")
    return news + (f", {total.fixed} fixed" if total.fixed else "")


def _folded(same: list[ModelComparison]) -> Iterator[str]:
    if not same:
        return
    yield ""
    count = "1 model" if len(same) == 1 else f"{len(same)} models"
    yield f"<details><summary>{count} unchanged</summary>"
    yield ""
    for model in same[:200]:
        macs = amount("macs", model.head.macs) if model.head else ""
        yield f"- {_code(model.target)} {macs}"
    yield ""
    yield "</details>"


def _cell(model: ModelComparison, key: str) -> str:
    old, new = _value(model.base, key), _value(model.head, key)
    if new is None:
        return model.status
    if old is None:
        return f"{amount(key, new)} (new)"
    return f"{amount(key, new)} ({change(old, new)})"


def _bullet(found: Told) -> str:
    at = f"{found.location.path}:{found.location.line} " if found.location else ""
    saves = f", saves {amount('macs', found.saving.macs)}" if found.saving.macs > 0 else ""
    return f"{_code(f'{at}{found.code} {found.name}')} {_code(_cut(found.message))}{saves}"


def _code(text: str) -> str:
    """Return a code span that the text cannot leave, in a table cell too."""
    line = safe(text).replace("`", "'").replace("|", "\u2502")
    return f"`{line}`" if line.strip() else ""


# --- parts -----------------------------------------------------------------------------------


def change(old: int, new: int) -> str:
    """Return "+2.1 %", "-10 %", "same", or "new" where nothing was there."""
    if old == new:
        return "same"
    if old == 0:
        return "new"
    share = 100 * (new - old) / old
    if abs(share) < 0.05:
        return "<0.1 % more" if share > 0 else "<0.1 % less"
    return f"{share:+.1f} %"


def safe(text: str) -> str:
    """Return the text on one line and not without end.

    What moves the cursor or hides text is replaced, and so is the start of a command to GitHub.
    """
    line = "".join("\ufffd" if unicodedata.category(c) in UNSAFE else c for c in text)
    if line.lstrip().startswith("::"):
        line = line.replace(":", "\ufffd", 1)
    return _cut(line, NAME)


def _writable(value: Any) -> Any:
    """Return builtins whose strings can be written as UTF-8 (a path may hold raw bytes)."""
    if isinstance(value, dict):
        return {key: _writable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _cut(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _value(totals: Totals | None, name: str) -> int | None:
    return None if totals is None else int(getattr(totals, name))


def _shape(shapes: tuple[tuple[int, ...], ...]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
