"""What is true at one input size only is told where it is true at every declared one."""

from __future__ import annotations

import msgspec
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from convlint import profiles
from convlint.checking import ActiveRule, check_at_each
from convlint.checking.run import run_rules
from convlint.checking.sizes import Sizes
from convlint.contract import Context, ModelReport, Severity
from convlint.cost import count
from convlint.ir import nodes as ir
from convlint.ir.codec import open_document
from convlint.ir.graph import ModelGraph
from convlint.tracing import inline
from convlint.wire import Failure, InputSpec, Reply
from tests.graphs import Builder
from tests.rules.proving import scrambled
from tests.rules.runs import rule
from tests.test_checking import make_rule


def dilated(size: int, *, dilation=12, module="wide", calls=1) -> ModelGraph:
    """Return a conv of 3x3 taps on a map of this size, after some others of another kind."""
    b = Builder(1, 8, size, size)
    x = b.x
    for _ in range(calls):
        x = b.relu(x)
    b.conv(x, 8, 3, padding=dilation, dilation=dilation, module=module, line=7)
    return b.graph()


def told(*graphs: ModelGraph | None, codes=("CL102",), rules=()):
    """Return the reports of one model at each of these sizes."""
    replies = [
        Reply(
            f"net.py:Net @ {place}",
            "failed" if graph is None else "complete",
            class_name="Net",
            graph=graph.document() if graph is not None else None,
            failure=Failure("forward-error", "no") if graph is None else None,
        )
        for place, graph in enumerate(graphs)
    ]
    chosen = (*(rule(code) for code in codes), *rules)
    active = tuple(ActiveRule(r, r.meta.severity, r.options()) for r in chosen)
    return check_at_each(replies, active)


def reasons(report: ModelReport) -> list[str]:
    return [refusal.reason for refusal in report.refusals]


def test_what_fires_at_one_size_alone_is_no_finding():
    """Dead at 8, alive at 32: neither found nor counted, and the reason names both sizes."""
    small, large = told(dilated(8), dilated(32))
    assert small.findings == large.findings == ()
    assert small.after.exact == small.after.all == small.totals
    assert not small.steps
    assert reasons(small) == [
        "it holds at 1x8x8x8 and not at 1x8x32x32, and the model is declared for both"
    ]
    assert reasons(large) == []
    (alone,) = told(dilated(8))
    assert alone.findings and alone.after.exact.macs < alone.totals.macs


@pytest.mark.parametrize("sizes", [(8, 11), (11, 8, 5)])
def test_the_same_taps_at_every_size_are_found_and_counted(sizes):
    """1x1 of 3x3 taps live at each: a finding at each, and each size has its own totals."""
    reports = told(*map(dilated, sizes))
    for size, report in zip(sizes, reports, strict=True):
        (finding,) = report.findings
        assert finding.saving.macs == 8 * 8 * 8 * size * size
        assert report.after.exact.macs == 8 * 8 * size * size
        assert [step.code for step in report.steps] == ["CL102"]
    assert len({report.findings[0].fingerprint for report in reports}) == 1


def test_other_taps_at_the_other_size_do_not_hold():
    """One tap at 1, three by three of five by five at 2: there is no kernel that serves both."""
    graphs = []
    for size in (1, 2):
        b = Builder(1, 8, size, size)
        b.conv(b.x, 8, 5, padding=2, module="wide", line=7)
        graphs.append(b.graph())
    assert all(len(told(graph)[0].findings) == 1 for graph in graphs)
    small, large = told(*graphs)
    assert small.findings == large.findings == ()
    assert small.after.exact == small.totals and large.after.exact == large.totals
    text = "one rewrite does not hold at both: kernel {} at {}, kernel {} at {}"
    assert reasons(small) == [text.format("1x1", "1x8x1x1", "3x3", "1x8x2x2")]
    assert reasons(large) == [text.format("3x3", "1x8x2x2", "1x1", "1x8x1x1")]


def test_a_kernel_of_the_same_size_from_other_taps_does_not_hold():
    """The last tap lives at one size and the first at the other: both kernels are 1x1."""
    graphs = []
    for before, after in ((8, 0), (0, 8)):
        b = Builder(1, 4, 4, 4)
        op = ir.Conv(4, 4, (3, 3), (1, 1), ((before, after),) * 2, (4, 4), 1, False)
        weight = ir.Param("wide.weight", "w", (4, 4, 3, 3), "float32", "weight")
        b.add(op, (b.x,), (1, 4, 4, 4), module="wide", params=(weight,), line=7)
        graphs.append(b.graph())
    assert all(len(told(graph)[0].findings) == 1 for graph in graphs)
    first, second = told(*graphs)
    assert first.findings == second.findings == ()
    assert reasons(first) == [
        "one rewrite does not hold at both: kernel 1x1 at 1x4x4x4, another kernel 1x1 at 1x4x4x4"
    ]


def test_what_promises_nothing_stays_where_the_other_size_is_no_better():
    """Mostly padding at 13, dead taps at 8: the note stands, the rewrite does not."""
    small, middle = told(dilated(8), dilated(13))
    assert small.findings == ()
    assert reasons(small) == [
        "one rewrite does not hold at both: kernel 1x1 at 1x8x8x8, none at 1x8x13x13"
    ]
    (note,) = middle.findings
    assert note.severity is Severity.INFO and note.saving.macs == 0
    assert middle.after.exact == middle.totals


def test_layers_are_the_same_whatever_they_are_numbered():
    """More calls before the layer at one size: it is the same layer; another module is not."""
    small, large = told(dilated(8), dilated(11, calls=3))
    assert len(small.findings) == len(large.findings) == 1
    here, there = told(dilated(8), dilated(11, module="other"))
    assert here.findings == there.findings == ()


def test_a_size_at_which_it_cannot_be_read_is_not_taken_for_granted():
    """The other declared input fails: nothing is known of it, and it is told as failed."""
    read, failed = told(dilated(8), None)
    assert (read.status, failed.status) == ("complete", "failed")
    assert read.findings == () and read.after.exact == read.totals
    assert reasons(read) == ["it holds at 1x8x8x8, and net.py:Net @ 1 could not be read"]


def test_rules_that_hold_at_every_size_are_not_asked_elsewhere():
    """A rule without ``at_size`` is told at the size it is found at; one with it is not."""
    graphs = dilated(8), Builder(1, 8, 8, 8)
    graphs = graphs[0], graphs[1].graph(graphs[1].relu(graphs[1].x))
    plain, sized = make_rule(), make_rule("CL991", at_size=True)
    first, _ = told(*graphs, codes=(), rules=(plain, sized))
    assert [finding.code for finding in first.findings] == ["CL990"]


def test_a_limit_is_broken_at_any_size():
    """--ram is too small for the large input: the model has to run there too."""
    graphs = [dilated(8), dilated(64)]
    one, target = rule("CL503"), msgspec.structs.replace(profiles.load("generic"), ram=64 * 1024)
    replies = [Reply("n", "complete", class_name="Net", graph=g.document()) for g in graphs]
    active = (ActiveRule(one, one.meta.severity, one.options()),)
    small, large = check_at_each(replies, active, profile=target)
    assert small.findings == ()
    assert [finding.code for finding in large.findings] == ["CL503"]


def test_who_yields_to_what_does_not_hold_speaks_again():
    """A rule is not silenced by a finding that is not shown."""
    winner = make_rule("CL990", at_size=True, yields_to=())
    loser = make_rule("CL991", yields_to=("CL990",))
    first, second = told(
        dilated(8), dilated(8, module="other"), codes=(), rules=(winner, loser)
    )  # fmt: skip
    assert [finding.code for finding in first.findings] == ["CL991"]
    assert [finding.code for finding in second.findings] == ["CL991"]


def test_a_rule_that_raises_at_one_size_holds_at_none():
    """CL903 where it raised, silence at the other size; other rules go on."""

    def broken(context, site, _options):
        if context.graph.model_inputs[0].output.shape[-1] > 8:
            raise ValueError("large")
        return make_rule("CL990").rewrite(context, site, None)

    odd = make_rule("CL990", at_size=True, rewrite=broken)
    small, large = told(dilated(8), dilated(11), rules=(odd,))
    assert [finding.code for finding in small.findings] == ["CL102"]
    assert [finding.code for finding in large.findings] == ["CL102"]
    assert [d.code for d in large.diagnostics] == ["CL903"]
    assert small.diagnostics == ()


def test_a_guessed_size_is_told_and_counts_nowhere():
    """The finding stands with its assumption; no total after rewrites has it in."""
    graph = dilated(8)
    spec = InputSpec((1, 8, 8, 8), origin="inferred")
    one = rule("CL102")
    active = (ActiveRule(one, one.meta.severity, one.options()),)
    reply = Reply("n", "complete", class_name="Net", inputs=(spec,), graph=graph.document())
    (report,) = check_at_each([reply], active)
    (finding,) = report.findings
    assert finding.saving.macs == 8 * 8 * 8 * 64
    assert "the input size was guessed: --input sets it" in finding.risk
    assert report.after.exact == report.after.all == report.totals
    known = msgspec.structs.replace(reply, inputs=(InputSpec((1, 8, 8, 8)),))
    (sure,) = check_at_each([known], active)
    assert "guessed" not in sure.findings[0].risk
    assert sure.after.exact.macs < sure.totals.macs


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=2, max_size=3, unique=True),
    k=st.integers(2, 5), stride=st.integers(1, 3), padding=st.integers(0, 6),
    dilation=st.integers(1, 6), bias=st.booleans(),
)  # fmt: skip
def test_what_is_found_is_exact_at_every_size(sizes, k, stride, padding, dilation, bias):
    """The kernel proposed at one size computes the same at the others too, in float64."""
    assume(min(sizes) + 2 * padding > dilation * (k - 1))
    conv = scrambled(nn.Conv2d(2, 3, k, stride, padding, dilation, bias=bias)).double()
    given_ = [torch.randn(1, 2, size, size, dtype=torch.float64) for size in sizes]
    graphs = [_traced(conv, x) for x in given_]
    one = rule("CL102")
    active = (ActiveRule(one, one.meta.severity, one.options()),)
    contexts = tuple(Context(graph, count(graph)) for graph in graphs)
    runs = [run for (run,) in run_rules(Sizes(contexts), active)]
    claimed = [[p for p in run.proposals if p.edit() is not None] for run in runs]
    assert len({len(each) for each in claimed}) == 1
    for proposal in claimed[0]:
        new = _cropped(conv, proposal.site)
        for x in given_:
            with torch.no_grad():
                expected, found = conv(x), new(x)
            scale = max(float(expected.abs().max()), 1e-30)
            assert expected.shape == found.shape
            assert float((expected - found).abs().max()) <= 1e-9 * scale


def _traced(conv: nn.Module, x: torch.Tensor) -> ModelGraph:
    reply = inline.read_instance(conv, (x,), {}, target="conv")
    assert reply.graph is not None
    return open_document(reply.graph)


def _cropped(conv: nn.Conv2d, site) -> nn.Module:
    """Return the conv with the taps that the site keeps, after the padding it says."""
    new, (rows, columns) = site.new, site.kept
    made = nn.Conv2d(2, 3, new.kernel, new.stride, 0, new.dilation, bias=conv.bias is not None)
    made = made.double()
    with torch.no_grad():
        made.weight.copy_(conv.weight[:, :, list(rows)][..., list(columns)])
        if conv.bias is not None:
            made.bias.copy_(conv.bias)
    sides = [side for pair in reversed(new.padding) for side in pair]
    return nn.Sequential(nn.ZeroPad2d(sides), made).eval()
