"""What ``convlint apply`` and ``convlint measure`` print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from convlint.analysis.folding import fold
from convlint.work import ChangeTold, Timed, WorkReply

_UNITS = (("G", 10**9), ("M", 10**6), ("k", 10**3))
_KINDS = {
    "state_dict": "state_dict",
    "program": "torch.export program",
    "onnx": "ONNX model",
    "source": "Python source",
}
_MOST_PLACES = 8
_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def applied(reply: WorkReply) -> str:
    """Return the words about an applied model."""
    return "\n".join(_applied(reply)) + "\n"


def timed(reply: WorkReply) -> str:
    """Return the table of times, one block a backend."""
    return "\n".join(_timed(reply)) + "\n"


def _applied(reply: WorkReply) -> Iterator[str]:
    report = reply.report
    assert report is not None
    inputs = _inputs(reply)
    known = report.target.endswith(inputs.replace(" at ", " @ ", 1))
    yield report.target if known else f"{report.target}{inputs}"
    if report.outputs:
        yield f"returns {', '.join(report.outputs)} alone (--outputs)"
    if reply.random_weights:
        yield "weights: those of the constructor (--weights FILE loads trained ones)"
    yield from (f"  made {words}" for words in _made(reply.changes))
    for text in reply.refused:
        yield f"  refused {text}"
    if not reply.changes:
        yield "  no rewrite was made" if not reply.refused else "  no other rewrite was made"
    yield from _proof(reply)
    yield from _totals(reply)
    for written in reply.written:
        note = f" ({written.note})" if written.note else ""
        yield f"wrote {_KINDS[written.kind]} {_near(written.path)}, {size(written.bytes)}{note}"


def _made(changes: tuple[ChangeTold, ...]) -> Iterator[str]:
    """Yield one line a rule, its places folded."""
    for code in dict.fromkeys(change.code for change in changes):
        same = [change for change in changes if change.code == code]
        times = f", {len(same)} times" if len(same) > 1 else ""
        where = _places(fold(module for change in same for module in change.modules))
        kind = "" if same[0].exact else " (new layers are untrained: retrain)"
        if same[0].at_size:
            kind += " (the same at this input size only)"
        yield f"{code} {same[0].name}{times}: {where}{kind}"


def _places(names: Sequence[str]) -> str:
    more = len(names) - _MOST_PLACES
    shown = ", ".join(names[:_MOST_PLACES] if more > 1 else names)
    return f"{shown} and {more} more places (--format json names all)" if more > 1 else shown


def _proof(reply: WorkReply) -> Iterator[str]:
    if reply.largest_difference is not None:
        yield (
            f"outputs in float64 on random inputs: the largest difference is "
            f"{reply.largest_difference:.1e} of their scale (bound 1e-09)"
        )
    yield from reply.notes


def _totals(reply: WorkReply) -> Iterator[str]:
    before, after = reply.before, reply.after
    rows = (
        ("MACs", number(before.macs), number(after.macs), _change(before.macs, after.macs)),
        (
            "params",
            number(before.params),
            number(after.params),
            _change(before.params, after.params),
        ),
        ("state_dict", *map(size, reply.state_bytes), _change(*reply.state_bytes)),
        (
            "bytes moved",
            size(before.bytes_read + before.activation_bytes),
            size(after.bytes_read + after.activation_bytes),
            _change(
                before.bytes_read + before.activation_bytes,
                after.bytes_read + after.activation_bytes,
            ),
        ),
        (
            "peak activation",
            size(before.peak_activation_bytes),
            size(after.peak_activation_bytes),
            _change(before.peak_activation_bytes, after.peak_activation_bytes),
        ),
    )
    yield f"{'':16} {'before':>12} {'after':>12} {'change':>9}"
    for name, old, new, change in rows:
        yield f"{name:16} {old:>12} {new:>12} {change:>9}"


def _timed(reply: WorkReply) -> Iterator[str]:
    yield f"{reply.machine}{_inputs(reply)}"
    for text in reply.refused:
        yield f"refused {text}"
    blocks: dict[str, list[Timed]] = {}
    for row in reply.timed:
        blocks.setdefault(row.backend, []).append(row)
    for backend, rows in blocks.items():
        yield ""
        yield f"{backend}, {rows[0].runs} calls of each in turn, medians [95 % interval]"
        width = max(len(row.variant) for row in rows)
        yield f"  {'':{width}} {'MACs':>9} {'':7} {'ms':>9}"
        yield from (_time_row(row, width, first=row is rows[0]) for row in rows)
    for text in reply.skipped:
        yield f"skipped {text}"
    yield from reply.notes


def _time_row(row: Timed, width: int, *, first: bool) -> str:
    ms = f"{_ms(row.seconds):>9} [{_ms(row.low)}, {_ms(row.high)}]"
    macs = f"{number(row.macs):>9}"
    if first:
        return f"  {row.variant:{width}} {macs} {'':7} {ms}"
    ratio = f"{_times(row.ratio)}x [{_times(row.ratio_low)}, {_times(row.ratio_high)}]"
    counted = f"{_times(row.macs_ratio)}x"
    return f"  {row.variant:{width}} {macs} {counted:7} {ms:28} {ratio} {verdict(row)}"


def _times(ratio: float) -> str:
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:.3g}"


def _ms(seconds: float) -> str:
    """Return milliseconds with three digits: "0.0812", "12.3", "1840"."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def verdict(row: Timed) -> str:
    """Return "faster", "slower" or "no difference seen", by the interval of the ratio."""
    if row.ratio_high < 1:
        return "faster"
    return "slower" if row.ratio_low > 1 else "no difference seen"


def _inputs(reply: WorkReply) -> str:
    shapes = ", ".join("x".join(map(str, spec.shape)) for spec in reply.inputs)
    return f" at {shapes}" if shapes else ""


def number(value: int) -> str:
    """Return "4.09 G", "812 k", "90"."""
    for unit, scale in _UNITS:
        if abs(value) >= scale:
            return f"{value / scale:.4g} {unit}"
    return str(value)


def size(value: int) -> str:
    """Return a number of bytes: "97.5 MiB"."""
    for unit, scale in _SIZES:
        if abs(value) >= scale:
            return f"{value / scale:.4g} {unit}"
    return f"{value} B"


def _near(path: str) -> str:
    """Return a path as seen from the current folder, where it is in it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _change(before: int, after: int) -> str:
    if before == after:
        return "same"
    if not before:
        return "new"
    percent = 100 * (after - before) / before
    return f"{percent:+.1f} %" if abs(percent) >= 0.1 else f"{percent:+.1g} %"
