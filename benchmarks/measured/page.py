"""Writes ``docs/measured.md`` from the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.measured.results import RowResult, Time, VariantResult

FILE = Path(__file__).resolve().parent.parent.parent / "docs" / "measured.md"
_BACKENDS = {
    "eager": "eager",
    "compile": "`torch.compile`",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
}
_HEAD = """\
# Measured: what the rewrites bring by the clock

convlint counts MACs, parameters and bytes. What they are worth in time is the runtime's and the
machine's business, so here it is measured: every exact rule on an example of its pattern, and the
classic swaps that need retraining. Written by `python benchmarks/rewrites.py`; a row is measured
again with `--only NAME`. For your own model: `convlint measure model.py --backend all`.

## How to read it

- Every figure is **after / before**: 0.71 takes 71 % of the time, 1.05 is slower. In brackets the
  interval that holds the median with 95 % certainty, from order statistics of the pairs.
- Both models are called in turn, in alternating order, after a warm-up of each. Times are
  processor times of one thread; there are no milliseconds here on purpose, since other programs
  ran on the machine meanwhile.
- One thread, batch 1, float32, random weights. `torch.compile` without freezing. ONNX files from
  `torch.onnx.export`. Another processor, batch or precision gives other figures.
- *MACs* and *bytes* are counted by convlint: multiply-accumulates, and bytes read and written by
  all layers.
- **slower** stands where the whole interval is above 1 and the ratio above 1.02. The row *control*
  times a layer against itself: that is what no difference looks like.
"""


def write(rows: Iterable[RowResult]) -> None:
    """Write the page."""
    FILE.write_text(text(rows), encoding="utf-8")


def text(rows: Iterable[RowResult]) -> str:
    """Return the page."""
    return "\n".join(_page(list(rows)))


def line(row: RowResult) -> str:
    """Return a row for the terminal, one line a variant after the first."""
    words = []
    for variant in row.variants[1:]:
        cells = [f"{key} {_cell(variant.times.get(key))}" for key in _BACKENDS]
        words.append(
            f"{row.name:18} {variant.name:20} MACs {variant.macs:.3f} bytes"
            f" {variant.bytes_moved:.3f} | {' | '.join(cells)}"
        )
    words += [f"{row.name:18} no {key}: {why}" for key, why in row.skipped.items()]
    return "\n".join(words)


def _page(rows: list[RowResult]) -> Iterator[str]:
    yield _HEAD
    for machine in dict.fromkeys(row.machine for row in rows):
        yield f"Machine: {machine}."
    yield ""
    exact = [row for row in rows if row.rules]
    swaps = [row for row in rows if not row.rules]
    yield from _exact(exact)
    yield from _swaps(swaps)
    skipped = [f"- {row.name}, {key}: {why}" for row in rows for key, why in row.skipped.items()]
    if skipped:
        yield from ("## Not measured", "", *skipped, "")


def _exact(rows: list[RowResult]) -> Iterator[str]:
    yield "## Exact rewrites"
    yield ""
    worst = max((row.difference or 0.0 for row in rows), default=0.0)
    yield "The outputs of every row were equal in float64 before it was timed; the largest difference"
    yield f"was {worst:.0e} of their scale. Whole nets have no figure for `torch.compile`, which takes"
    yield "minutes for them: see the row of their part."
    yield ""
    yield _header("rule", "example", "input")
    for row in rows:
        yield _line((row.name, _told(row), row.input), row.variants[-1])
    yield ""
    slow = [row for row in rows if len(_slower(row.variants[-1])) >= 2]
    if slow:
        names = ", ".join(f"{row.name} ({', '.join(_slower(row.variants[-1]))})" for row in slow)
        yield f"Slower on two backends or more: {names}."
        yield ""


def _told(row: RowResult) -> str:
    return f"{row.what}, {row.rewrites} rewrite{'' if row.rewrites == 1 else 's'}"


def _swaps(rows: list[RowResult]) -> Iterator[str]:
    yield "## Swaps that need retraining"
    yield ""
    yield "Not the same function: what accuracy they cost is on the pages of CL101, CL201, CL202 and"
    yield "CL301. Every convolution has its batch norm and ReLU."
    yield ""
    yield from _claims({row.name: row for row in rows})
    yield ""
    yield _header("row", "in place of", "what")
    for row in rows:
        for variant in row.variants[1:]:
            yield _line((row.name, row.what, variant.name), variant)
    yield ""


def _claims(rows: dict[str, RowResult]) -> Iterator[str]:
    """Yield the classic claims with the range of what was measured."""
    kernels = [rows[f"kernel-{k}x{k}"] for k in (5, 7, 9) if f"kernel-{k}x{k}" in rows]
    separable = [row for name, row in rows.items() if name.startswith("separable-")]
    grouped = [rows[name] for name in ("groups", "groups-shuffled") if name in rows]
    yield from _claim("A dilated 3x3 for a dense 5x5, 7x7 or 9x9", [r.variants[1] for r in kernels])
    yield from _claim("Stacked 3x3 for the same", [r.variants[-1] for r in kernels])
    yield from _claim("4 groups for dense, shuffled or not", [r.variants[2] for r in grouped])
    yield from _claim("16 groups for dense, shuffled or not", [r.variants[4] for r in grouped])
    yield from _claim("Depthwise and 1x1 for a dense 3x3", [r.variants[1] for r in separable])


def _claim(words: str, variants: list[VariantResult]) -> Iterator[str]:
    times = [time.ratio for variant in variants for time in variant.times.values()]
    if times:
        macs = [variant.macs for variant in variants]
        yield f"- {words}: {_range(macs)} of the MACs, {_range(times)} of the time."


def _range(values: list[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _header(*first: str) -> str:
    names = [*first, "MACs", "bytes", *_BACKENDS.values()]
    rule = ["---"] * len(first) + ["---:"] * (len(names) - len(first))
    return f"| {' | '.join(names)} |\n| {' | '.join(rule)} |"


def _line(first: tuple[str, ...], variant: VariantResult) -> str:
    cells = [_cell(variant.times.get(key)) for key in _BACKENDS]
    counted = [f"{variant.macs:.3f}", f"{variant.bytes_moved:.3f}"]
    return f"| {' | '.join([*first, *counted, *cells])} |"


def _cell(time: Time | None) -> str:
    if time is None:
        return "-"
    word = " **slower**" if time.slower else ""
    return f"{time.ratio:.2f} [{time.low:.2f}, {time.high:.2f}]{word}"


def _slower(variant: VariantResult) -> list[str]:
    return [_BACKENDS[key].strip("`") for key, time in variant.times.items() if time.slower]
