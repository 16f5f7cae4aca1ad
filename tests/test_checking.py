"""check_model: grouping, counting, gates, precedence, diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import pytest

from convlint import contract, edit
from convlint.analysis.folding import fold
from convlint.checking import ActiveRule, check_model
from convlint.contract import Advice, Refusal, Rewrite, Rule, RuleMeta, Severity
from convlint.cost import Savings, count
from convlint.edit import GraphEdit, replace_node
from convlint.ir import nodes as ir
from convlint.ir.nodes import Param, SourceSpan
from convlint.plugins import load_rules
from convlint.wire import Diagnostic, Failure, Reply
from tests.graphs import Builder


@dataclass(frozen=True, slots=True)
class Place:
    """A conv."""

    anchor: str
    nodes: tuple[str, ...]


def make_rule(code="CL990", rewrite=None, **facts) -> Rule:
    """Return a rule that halves the output work of every conv by a 1x1 in its place."""

    def find(context, _options):
        for node in context.graph:
            if isinstance(node.op, ir.Conv):
                yield Place(node.id, (node.id,))

    def one_by_one(context, site, _options):
        node = context.graph[site.anchor]
        op = msgspec.structs.replace(node.op, kernel=(1, 1), padding=((0, 0), (0, 0)))
        params = tuple(
            msgspec.structs.replace(p, storage=f"{p.storage}~{code}", shape=(*p.shape[:2], 1, 1))
            for p in node.params
        )
        new = msgspec.structs.replace(node, id=f"{node.id}~{code}", op=op, params=params)
        return (Rewrite("1x1", replace_node(node, (new,))),)

    made = {
        "severity": Severity.WARNING, "exact": False, "since": "0", "name": code.lower(),
        "summary": "s", **facts,
    }  # fmt: skip
    return Rule(
        meta=RuleMeta(code=code, **made),
        find=find,
        guard=lambda _c, _s, _o: None,
        rewrite=rewrite or one_by_one,
        advise=lambda _c, sites, _o: Advice(f"{len(sites)} places", "nn.Conv2d(1, 1, 1)"),
        doc="",
        folder="",
    )


def active(*rules: Rule) -> tuple[ActiveRule, ...]:
    """Return the rules with their defaults."""
    return tuple(ActiveRule(rule, rule.meta.severity, rule.options()) for rule in rules)


def check(graph, *rules: Rule, **facts) -> contract.ModelReport:
    """Return the report of a graph."""
    base = {"target": "net.py:Net", "status": "complete", "class_name": "Net"}
    return check_model(Reply(graph=graph.document(), **(base | facts)), active(*rules))


def chain(count: int, *, lines=True, share=None, channels=8) -> Builder:
    """Return a chain of 3x3 convs built on one line and called on another."""
    b = Builder(1, channels, 16, 16)
    shape = (1, channels, 16, 16)
    b.shape = lambda _ref: shape
    x = b.x
    for place in range(count):
        facts = {"line": 10, "called": 20} if lines else {}
        x = b.conv(x, channels, 3, module=f"body.{place}.conv", shared=share, **facts)
    return b


def test_one_finding_per_constructor_line_lists_its_modules():
    """Eight convs built on one line are one finding, folded, with the forward line related."""
    (finding,) = check(chain(8).graph(), make_rule()).findings
    assert finding.modules == tuple(f"body.{i}.conv" for i in range(8))
    assert finding.module_groups == ("body.*.conv x8",)
    assert (finding.sites, finding.message) == (8, "8 places")
    assert (finding.location.path, finding.location.line) == ("model.py", 10)
    assert [(r.path, r.line, r.message) for r in finding.related] == [("model.py", 20, "called at")]


def test_without_lines_findings_group_by_module():
    """A built model whose lines are not known gets one finding a module, location null."""
    findings = check(chain(3, lines=False).graph(), make_rule()).findings
    assert [f.location for f in findings] == [None] * 3
    assert sorted(f.modules for f in findings) == [(f"body.{i}.conv",) for i in range(3)]


def test_lines_that_built_through_a_helper_are_related_and_capped():
    """The helper's callers are named once each, eight related lines at most."""
    graph = chain(20).graph()
    nodes = tuple(
        msgspec.structs.replace(node, built_through=(SourceSpan("model.py", 100 + i % 12),))
        for i, node in enumerate(graph)
    )
    graph = type(graph)(nodes)
    (finding,) = check(graph, make_rule()).findings
    lines = [(r.line, r.message) for r in finding.related]
    assert lines[:2] == [(20, "called at"), (101, "built through")]
    assert len(lines) == len(set(lines)) == 8


@pytest.mark.parametrize("share", [None, "body"])
def test_saving_equals_the_difference_of_two_counted_graphs(share):
    """Counting the touched nodes gives what counting both graphs gives, shared weights too."""
    graph = chain(6, share=share).graph()
    rule = make_rule()
    context = contract.Context(graph, count(graph))
    sites = list(rule.find(context, None))
    for chosen in (sites[:1], sites[1:4], sites):
        ways = [rule.rewrite(context, site, None)[0].edit for site in chosen]
        whole = edit.merge(ways)[0]
        saving = Savings(graph, context.cost).of(whole)
        after = count(edit.apply(graph, whole))
        for quantity in ("macs", "params", "param_bytes", "activation_bytes"):
            expected = getattr(context.cost, quantity) - getattr(after, quantity)
            assert getattr(saving, quantity) == expected


def test_percentages_are_of_the_whole_model():
    """8 of 9 taps saved on every conv is 88.89 % of the MACs and of the params."""
    (finding,) = check(chain(4).graph(), make_rule()).findings
    assert (finding.saving.macs_percent, finding.saving.params_percent) == (88.89, 88.89)


def test_gate_is_taken_on_the_sum_of_a_rules_findings():
    """Places of 1.1 % each pass the 2 % gate together, and none of them passes it alone."""
    small = Builder(1, 8, 16, 16)
    x = small.conv(small.x, 8, 21, line=1)
    small.conv(x, 8, 3, line=2)
    one = small.graph()
    rule = make_rule()

    def only_small(context, site, options):
        node = context.graph[site.anchor]
        return rule.rewrite(context, site, options) if node.op.kernel == (3, 3) else ()

    assert check(one, make_rule(rewrite=only_small)).findings == ()
    assert len(check(one, make_rule(rewrite=only_small, exact=True)).findings) == 2
    small.conv(x, 8, 3, line=3)
    assert len(check(small.graph(), make_rule(rewrite=only_small)).findings) == 3
    assert len(check(one, make_rule(rewrite=only_small, gated=False)).findings) == 2


def test_an_unclaimed_rewrite_passes_the_gate_and_promises_nothing():
    """The finding is shown with a saving of 0 and stays out of "after"."""
    rule = make_rule()

    def unclaimed(context, site, options):
        return tuple(replace(w, claimed=False) for w in rule.rewrite(context, site, options))

    report = check(chain(2).graph(), make_rule(rewrite=unclaimed))
    assert report.findings[0].saving.macs == 0
    assert report.after.all == report.totals


def test_a_rule_yields_on_the_same_node():
    """The rule that yields is silent where the other has a finding, and speaks where it has none."""
    loser = make_rule("CL991", yields_to=("CL992",))
    winner = make_rule("CL992")
    graph = chain(2).graph()
    assert [f.code for f in check(graph, loser, winner).findings] == ["CL992"]
    none = make_rule("CL992", rewrite=lambda _c, _s, _o: ())
    assert [f.code for f in check(graph, loser, none).findings] == ["CL991"]


def test_a_rule_that_raises_leaves_a_diagnostic_and_the_others_findings():
    """CL903 names the rule and the exception; nothing else of that rule is told."""

    def boom(_context, _site, _options):
        raise ValueError("no such axis")

    report = check(chain(2).graph(), make_rule("CL991", rewrite=boom), make_rule("CL992"))
    assert [f.code for f in report.findings] == ["CL992"]
    (told,) = report.diagnostics
    assert (told.code, told.severity) == ("CL903", "error")
    assert "CL991" in told.message
    assert "ValueError: no such axis" in told.message


def test_a_rewrite_that_breaks_the_graph_is_a_crash_of_its_rule():
    """An edit that takes out a node that others still read is caught before it is counted."""

    def broken(_context, site, _options):
        return (Rewrite("gone", GraphEdit(frozenset({site.anchor}))),)

    report = check(chain(2).graph(), make_rule(rewrite=broken))
    assert report.findings == ()
    assert [d.code for d in report.diagnostics] == ["CL903"]


def test_advice_that_raises_is_a_crash_too():
    """The words are part of the rule."""
    rule = replace(make_rule(), advise=lambda _c, _s, _o: {}["x"])
    assert [d.code for d in check(chain(2).graph(), rule).diagnostics] == ["CL903"]


def test_after_holds_exact_rewrites_first_and_all_compatible_ones():
    """Two rules on the same convs: the exact one is made, the other has nothing left to take."""
    exact = make_rule("CL995", exact=True)
    other = make_rule("CL991")
    report = check(chain(3).graph(), exact, other)
    assert report.after.exact.macs == report.totals.macs // 9
    assert report.after.all == report.after.exact
    alone = check(chain(3).graph(), other)
    assert alone.after.exact == alone.totals
    assert alone.after.all.macs == alone.totals.macs // 9


def test_findings_are_sorted_by_saving():
    """The dearest line comes first."""
    b = Builder(1, 8, 16, 16)
    x = b.conv(b.x, 8, 3, line=1)
    x = b.conv(x, 8, 7, line=2)
    b.conv(x, 8, 5, line=3)
    lines = [f.location.line for f in check(b.graph(), make_rule()).findings]
    assert lines == [2, 3, 1]


def test_fingerprints_survive_moved_lines_and_moved_files():
    """They hold rule, class, modules and layer facts, not lines, not the file's path."""
    graph = chain(3).graph()
    moved = type(graph)(
        tuple(
            n if n.built_at is None else msgspec.structs.replace(n, built_at=SourceSpan("b.py", 99))
            for n in graph
        )
    )
    (before,) = check(graph, make_rule()).findings
    (after,) = check(moved, make_rule(), target="b.py:Net").findings
    (other,) = check(graph, make_rule("CL991")).findings
    (wider,) = check(chain(3, channels=16).graph(), make_rule()).findings
    assert before.fingerprint == after.fingerprint
    assert len(before.fingerprint) == 16
    assert len({before.fingerprint, other.fingerprint, wider.fingerprint}) == 3


def test_fingerprints_within_a_model_differ():
    """Two functional convs alike in everything but their line keep two fingerprints."""
    b = Builder(1, 8, 16, 16)
    x = b.conv(b.x, 8, 3, module="", line=1)
    b.conv(x, 8, 3, module="", line=2)
    findings = check(b.graph(), make_rule()).findings
    assert len({f.fingerprint for f in findings}) == 2


def test_refusals_carry_module_and_reason():
    """why-not reads them from the report."""
    rule = replace(make_rule(), guard=lambda _c, s, _o: Refusal("it is odd", s.nodes))
    report = check(chain(1).graph(), rule)
    assert [(r.code, r.module, r.reason) for r in report.refusals] == [
        ("CL990", "body.0.conv", "it is odd")
    ]


def test_layers_list_what_holds_macs_or_params_once():
    """Params of a shared module stand in its first call; the columns add up to the totals."""
    b = Builder(1, 8, 16, 16)
    x = b.relu(b.conv(b.x, 8, 3, module="a"))
    x = b.conv(b.conv(x, 8, 3, module="a"), 8, 1, module="b")
    weight = [Param("n.weight", "n.weight", (8,))]
    x = b.same(ir.Norm("batch"), x, module="n", params=weight)
    b.linear(b.add(ir.Reduce("mean", (2, 3)), [x], (1, 8)), 4)
    report = check(b.graph())
    assert [(x.module, x.kind, x.call) for x in report.layers] == [
        ("a", "conv", 1), ("a", "conv", 2), ("b", "conv", 1), ("n", "norm", 1), ("fc", "linear", 1)
    ]  # fmt: skip
    assert sum(x.macs for x in report.layers) == report.totals.macs
    assert sum(x.params for x in report.layers) == report.totals.params
    assert report.layers[1].receptive_field.min == (5.0, 5.0)
    assert report.layers[4].receptive_field.max is None


def test_a_failed_reply_is_a_failed_report_with_its_reason():
    """CL902 carries message, fix and place of the failure, after the reply's own words."""
    failure = Failure("build-error", "Net() raised", "type --model", SourceSpan("net.py", 4))
    reply = Reply("net.py:Net", "failed", failure=failure, diagnostics=(Diagnostic("CL901", "a"),))
    report = check_model(reply, ())
    assert (report.status, report.findings, report.totals.macs) == ("failed", (), 0)
    first, second = report.diagnostics
    assert first.code == "CL901"
    assert (second.code, second.severity, second.location.line) == ("CL902", "error", 4)
    assert second.message == "Net() raised; type --model"


def test_a_broken_graph_is_a_failed_report():
    """A trace that breaks an invariant is told, not raised."""
    graph = chain(1).graph()
    bad = type(graph)((*graph.nodes, graph.nodes[0]))
    report = check(bad)
    assert (report.status, report.diagnostics[0].code) == ("failed", "CL902")


def test_a_model_without_convs_is_a_word_and_complete():
    """CL904 is an info; the status stays."""
    b = Builder(1, 8)
    b.linear(b.x, 4)
    report = check(b.graph())
    assert report.status == "complete"
    assert [(d.code, d.severity) for d in report.diagnostics] == [("CL904", "info")]


def test_unknown_operations_make_the_counts_partial():
    """CL905 names each unknown operation once, with its count and first line."""
    b = chain(1)
    for _ in range(3):
        b.same(ir.Opaque("torch.fft.rfft"), b.x, called=8)
    b.same(ir.Opaque("torch.sort", may_hold_macs=False), b.x)
    report = check(b.graph())
    (told,) = report.diagnostics
    assert (report.status, told.code, told.location.line) == ("partial", "CL905", 8)
    assert "torch.fft.rfft" in told.message
    assert "3 times" in told.message


def test_same_input_gives_the_same_bytes():
    """The report is a function of reply and rules."""
    graph = chain(5).graph()
    one, two = (check(graph, make_rule(), make_rule("CL991")) for _ in range(2))
    assert msgspec.json.encode(one) == msgspec.json.encode(two)


@pytest.mark.parametrize(("lines", "layers"), [(True, 5_000), (False, 1_000)])
def test_thousands_of_layers_are_checked(lines, layers):
    """One finding of 5,000 places and 1,000 findings; benchmarks/scale.py has the times."""
    graph = chain(layers, lines=lines).graph()
    report = check(graph, make_rule(), *load_rules())
    assert len(report.layers) == layers
    places = [finding.sites for finding in report.findings if finding.code == make_rule().meta.code]
    assert sum(places) == layers
    assert len(places) == (1 if lines else layers)


@pytest.mark.parametrize(
    ("paths", "folded"),
    [
        (["a.0.c", "a.1.c", "b.0.c"], ("a.*.c x2", "b.0.c")),
        (["layer1.0.conv1", "layer2.0.conv1"], ("layer1.0.conv1", "layer2.0.conv1")),
        (["s.0.b.1", "s.0.b.2", "s.1.b.1"], ("s.*.b.* x3",)),
        ([""], ("(model)",)),
        ([], ()),
    ],
)
def test_module_paths_fold_over_numeric_parts(paths, folded):
    """Only numbers fold; names never do."""
    assert fold(paths) == folded
