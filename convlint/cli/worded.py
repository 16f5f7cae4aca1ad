"""What ``convlint apply`` and ``convlint measure`` print."""

from __future__ import annotations

from collections.abc import Iterator

from convlint.work import Timed, WorkReply

_UNITS = (("G", 10**9), ("M", 10**6), ("k", 10**3))
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
    yield f"{report.target}{_inputs(reply)}"
    if reply.random_weights:
        yield "weights: those of the constructor (--weights FILE loads trained ones)"
    for change in reply.changes:
        kind = "" if change.exact else " (new layers are untrained: retrain)"
        yield f"  made {change.code} {change.name}: {', '.join(change.modules)}{kind}"
    for text in reply.refused:
        yield f"  refused {text}"
    if not reply.changes:
        yield "  no rewrite was made" if not reply.refused else "  no other rewrite was made"
    yield from _proof(reply)
    yield from _totals(reply)
    for written in reply.written:
        note = f" ({written.note})" if written.note else ""
        yield f"wrote {written.kind.replace('_', ' ')}: {written.path}, {size(written.bytes)}{note}"


def _proof(reply: WorkReply) -> Iterator[str]:
    if reply.largest_difference is not None:
        yield (
            f"outputs in float64 on two random inputs: the largest difference is "
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
        yield f"  {'':{width}} {'MACs':>10} {'of it':>7} {'ms':>8} {'':19} {'time':>6}"
        for row in rows:
            yield _time_row(row, width, first=row is rows[0])
    for text in reply.skipped:
        yield f"skipped {text}"
    yield from reply.notes


def _time_row(row: Timed, width: int, *, first: bool) -> str:
    times = f"{row.seconds * 1e3:8.2f} [{row.low * 1e3:.2f}, {row.high * 1e3:.2f}]"
    text = f"  {row.variant:{width}} {number(row.macs):>10} {row.macs_ratio:6.3f}x {times:28}"
    return text.rstrip() if first else f"{text} {row.ratio:5.2f}x {verdict(row)}"


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


def _change(before: int, after: int) -> str:
    if before == after:
        return "same"
    return f"{100 * (after - before) / before:+.1f} %" if before else "new"
