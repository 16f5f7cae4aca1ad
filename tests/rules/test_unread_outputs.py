"""CL410 told which outputs are read: what runs for the others alone is found and taken out."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import convlint
from convlint.checking import ActiveRule, check_model
from convlint.errors import ApplyError
from convlint.plugins import load_rules
from convlint.wire import Reply
from tests.rules.proving import scrambled
from tests.rules.runs import rule
from tests.zoo import graph_of

CODE = "CL410"
X = (1, 3, 16, 16)


class Pair(NamedTuple):
    """Two of the heads."""

    a: torch.Tensor
    b: torch.Tensor


@dataclasses.dataclass
class Record:
    """The same as an object."""

    a: torch.Tensor
    b: torch.Tensor


class Heads(nn.Module):
    """A trunk, and heads that read it or another head; ``pack`` makes the result of them."""

    def __init__(self, above, pack, widths=(4, 6, 5, 3)):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.heads = nn.ModuleDict()
        for place, (source, width) in enumerate(zip(above, widths, strict=False)):
            cin = 4 if source is None else widths[source]
            self.heads[f"h{place}"] = nn.Sequential(
                nn.Conv2d(cin, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
            )
        self.above, self.pack = above, pack

    def forward(self, x):
        x = self.stem(x)
        made = []
        for source, head in zip(self.above, self.heads.values(), strict=True):
            made.append(head(x if source is None else made[source]))
        return self.pack(made)


def in_dict(made):
    """Return the heads by name."""
    return dict(zip("abcd", made, strict=False))


def applied(model, *outputs, size=X):
    """Return the model in float64 with CL410 applied, kept outputs and promised cost checked."""
    model = scrambled(model).double()
    x = torch.randn(size, dtype=torch.float64)
    made = convlint.apply(model, x, rules=(CODE,), outputs=outputs)
    assert made.refused == ()
    again = convlint.lint(made.module, x, select=(CODE,)).totals
    assert again == made.report.after.exact
    with torch.no_grad():
        return made, model(x), made.module(x)


def same(a, b):
    """Tell whether two outputs agree to 1e-9 of their scale."""
    gap, scale = (a - b).detach().abs().max(), a.detach().abs().max()
    return float(gap) <= 1e-9 * max(float(scale), 1e-30)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_the_kept_outputs_stay_and_the_rest_goes(data):
    """Any heads in a row or side by side, any outputs kept: equal, and as cheap as promised."""
    count = data.draw(st.integers(2, 4))
    above = tuple(
        data.draw(st.sampled_from([None, *range(place)]), label=f"above {place}")
        for place in range(count)
    )
    kept = sorted(data.draw(st.sets(st.sampled_from("abcd"[:count]), min_size=1)))
    size = (data.draw(st.integers(1, 2)), 3, data.draw(st.integers(3, 9)), 7)
    made, expected, found = applied(Heads(above, in_dict), *kept, size=size)
    assert list(found) == kept
    assert all(same(expected[name], found[name]) for name in kept)
    needed = {place for place in range(count) if "abcd"[place] in kept}
    for place in reversed(range(count)):
        if place in needed and above[place] is not None:
            needed.add(above[place])
    left = {key.split(".")[1] for key in made.module.state_dict() if key.startswith("heads")}
    assert left == {f"h{place}" for place in needed}
    gone = {module for finding in made.report.findings for module in finding.modules}
    assert gone == {f"heads.h{place}" for place in range(count) if place not in needed}


def test_all_outputs_count_where_none_is_named():
    """Without outputs nothing is found, and the report says nothing of outputs."""
    report = convlint.lint(Heads((None, None), in_dict), torch.randn(X), select=(CODE,))
    assert report.findings == ()
    assert (report.outputs, report.unread_outputs) == ((), ())


STRUCTURES = [
    (lambda made: {"a": made[0], "b": made[1]}, ("b",), dict),
    (lambda made: Pair(made[0], made[1]), ("b",), tuple),
    (lambda made: Pair(made[0], made[1]), ("1",), tuple),
    (lambda made: Record(made[0], made[1]), ("b",), dict),
    (lambda made: (made[0], made[1]), (1,), tuple),
    (lambda made: [made[0], made[1]], ("1",), tuple),
]


@pytest.mark.parametrize(("pack", "kept", "kind"), STRUCTURES)
def test_the_structure_stays(pack, kept, kind):
    """Keys stay keys, and positions a tuple of what is kept, one value too."""
    _, expected, found = applied(Heads((None, None), pack), *kept)
    assert type(found) is kind
    (value,) = found.values() if kind is dict else found
    assert same(expected["b"] if isinstance(expected, dict) else tuple_of(expected)[1], value)


def tuple_of(result):
    """Return the fields or items of a result."""
    return (result.a, result.b) if isinstance(result, Record) else tuple(result)


def test_a_tensor_deeper_down_is_named_by_the_way_to_it():
    """aux[1] of a dict of lists; aux alone is the whole list; what is no tensor needs its name."""

    def pack(made):
        return {"out": made[0], "aux": [made[1], {"low": made[2]}], "size": 3}

    made, expected, found = applied(Heads((None,) * 3, pack), "out", "aux[1][low]")
    assert list(found) == ["out", "aux"]
    assert len(found["aux"]) == 1
    assert same(expected["aux"][1]["low"], found["aux"][0]["low"])
    assert made.report.outputs == ("out", "aux[1][low]")
    assert made.report.unread_outputs == ("aux[0]",)
    whole, _, found = applied(Heads((None,) * 3, pack), "aux")
    assert [type(each) for each in found["aux"]] == [torch.Tensor, dict]
    assert whole.report.unread_outputs == ("out",)


def test_what_a_kept_output_needs_costs_nothing():
    """Features on the way: no finding, and the applied model does not return them."""

    def pack(made):
        return {"features": made[0], "out": made[1]}

    made, _, found = applied(Heads((None, 0), pack), "out")
    assert made.report.findings == ()
    assert made.report.unread_outputs == ("features",)
    assert list(found) == ["out"]


def test_one_tensor_under_two_names_is_read_where_one_is():
    """The same tensor twice is kept whole for either."""

    def pack(made):
        return {"a": made[0], "b": made[1], "again": made[1]}

    made, expected, found = applied(Heads((None, None), pack), "again")
    assert [finding.modules for finding in made.report.findings] == [("heads.h0",)]
    assert same(expected["b"], found["again"])


def test_what_is_written_in_place_for_a_kept_output_stays():
    """A write into memory that another output shares is part of what is read."""

    class Writes(Heads):
        def forward(self, x):
            made = super().forward(x)
            made["a"].add_(1)
            view = made["b"][:, :2]
            view.mul_(made["c"][:, :2])
            return {"out": made["b"], "a": made["a"], "c": made["c"]}

    made, expected, found = applied(Writes((None,) * 3, in_dict), "out")
    assert same(expected["out"], found["out"])
    assert [finding.modules for finding in made.report.findings] == [("heads.h0",)]


def test_shared_weights_stay_with_who_still_runs():
    """A head called twice, once for nobody: its MACs go, its parameters stay."""

    class Twice(Heads):
        def forward(self, x):
            x = self.stem(x)
            return {"out": self.heads["h0"](x), "aux": self.heads["h0"](x + 1)}

    made, expected, found = applied(Twice((None,), in_dict), "out")
    (finding,) = made.report.findings
    assert (finding.saving.params, finding.saving.macs > 0) == (0, True)
    assert finding.modules == ("heads.h0.0",)
    assert same(expected["out"], found["out"])


def test_a_function_without_a_module_points_at_its_call():
    """Softmax for an output that nobody reads: bytes alone, at the line that calls it."""

    def pack(made):
        return {"out": made[0], "shares": made[0].softmax(1)}

    made, _, found = applied(Heads((None,), pack), "out")
    (finding,) = made.report.findings
    assert finding.saving.macs == finding.saving.params == 0
    assert finding.saving.activation_bytes > 0
    assert list(found) == ["out"]


def test_other_rules_are_silent_about_what_goes():
    """A finding of another rule on the auxiliary head is CL410's; it is there where all count."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 5, 1)
            self.aux = nn.Sequential(
                nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 5, 1)
            )

        def forward(self, x):
            x = torch.relu(self.stem(x))
            return {"out": self.head(x), "aux": self.aux(x)}

    def told(code, outputs):
        report = convlint.lint(Net(), torch.randn(1, 3, 64, 64), outputs=outputs)
        return {m for f in report.findings if f.code == code for m in f.modules}

    assert "aux.0" in told("CL301", ())
    assert "aux.0" not in told("CL301", "out")
    assert told("CL410", "out") == {"aux"}


def test_what_goes_no_longer_stands_in_the_way():
    """A rewrite that an unread reader blocked is made after it is gone: after.exact has both."""

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.mix = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 8, 1)
            self.aux = nn.Conv2d(8, 2, 1)

        def forward(self, x):
            x = self.mix(torch.relu(self.stem(x)))
            return {"out": nn.functional.avg_pool2d(x, 2), "aux": self.aux(x)}

    model = scrambled(Pooled()).double()
    x = torch.randn(X, dtype=torch.float64)
    made = convlint.apply(model, x, outputs=("out",))
    assert {change.code for change in made.changes} == {"CL401", "CL410"}
    assert made.report.after.exact.macs == 16 * 16 * 27 * 16 + 8 * 8 * 16 * 8
    assert convlint.lint(made.module, x).totals == made.report.after.exact
    assert same(model(x)["out"], made.module(x)["out"])


def test_a_run_that_needs_values_knows_its_outputs_too():
    """Where meta tensors do not do, the run on real ones is asked for the same outputs."""

    class Values(Heads):
        def forward(self, x):
            return super().forward(x if bool(x.sum() > -1e9) else -x)

    report = convlint.lint(Values((None, None), in_dict), torch.randn(X), outputs="a")
    assert [d.code for d in report.diagnostics] == ["CL901"]
    assert [f.modules for f in report.findings if f.code == CODE] == [("heads.h1",)]
    wrong = convlint.lint(Values((None, None), in_dict), torch.randn(X), outputs="c")
    assert (wrong.status, "its outputs are a, b" in wrong.diagnostics[0].message) == (
        "failed",
        True,
    )


@pytest.mark.parametrize(
    ("pack", "outputs", "words"),
    [
        (in_dict, ("aa",), "no tensor 'aa'; its outputs are a, b"),
        (lambda made: (made[0], None), ("1",), "no tensor '1'; its outputs are 0"),
        (lambda made: {"a": [made[0]], "b": made[1]}, ("a[1]",), "outputs are a, a[0], b"),
        (lambda made: made[0], ("out",), "returns one tensor: there is no output 'out'"),
        (lambda made: None, ("out",), "returns no tensor: there is no output 'out'"),
    ],
)
def test_an_output_that_is_not_there_is_an_error(pack, outputs, words):
    """The names that there are, in a report that says failed; apply raises the same."""
    model, x = Heads((None, None), pack), torch.randn(X)
    report = convlint.lint(model, x, outputs=outputs)
    assert report.status == "failed"
    (word,) = report.diagnostics
    assert (word.code, word.severity) == ("CL902", "error")
    assert words in word.message
    with pytest.raises(ApplyError, match="output"):
        convlint.apply(model, x, outputs=outputs)


@pytest.mark.parametrize(
    ("name", "macs", "share", "params", "outputs"),
    [
        ("fcn_resnet50", 9.99e9, 6.54, 2.365e6, ("out",)),
        ("deeplabv3_resnet50", 9.99e9, 5.59, 2.365e6, ("out",)),
        ("deeplabv3_mobilenet_v3_large", 16.1e6, 0.15, 3.85e3, ("out",)),
    ],
)
def test_auxiliary_classifiers_of_torchvision(name, macs, share, params, outputs):
    """At 520x520 the classifier for training costs what the catalogue says; all else stays."""
    options = {"weights_backbone": None, "aux_loss": True}
    graph = graph_of(name, 1, 3, 520, 520, outputs=outputs, **options)
    one = rule(CODE)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    report = check_model(reply, (ActiveRule(one, one.meta.severity, one.options()),))
    (finding,) = report.findings
    assert finding.modules == ("aux_classifier",)
    assert finding.saving.macs == pytest.approx(macs, rel=0.002)
    assert finding.saving.macs_percent == share
    assert finding.saving.params == pytest.approx(params, rel=0.002)
    plain = graph_of(name, 1, 3, 520, 520, **{**options, "aux_loss": False})
    alone = check_model(Reply("net", "complete", graph=plain.document()), ())
    assert report.after.exact == alone.totals


def test_the_whole_of_fcn_after_its_classifier_is_gone():
    """152.7 GMACs, 142.7 with every exact rule: the head counts once, with it and without."""
    options = {"weights_backbone": None, "aux_loss": True}
    active = tuple(ActiveRule(r, r.meta.severity, r.options()) for r in load_rules())
    graph = graph_of("fcn_resnet50", 1, 3, 520, 520, outputs=("out",), **options)
    report = check_model(Reply("net", "complete", graph=graph.document()), active)
    assert report.totals.macs == pytest.approx(152.7e9, rel=0.001)
    assert report.totals.macs - report.after.exact.macs == pytest.approx(9.99e9, rel=0.001)
    assert [step.code for step in report.steps] == ["CL410"]
    spoken = {m for f in report.findings if f.code != CODE for m in f.modules}
    assert not [module for module in spoken if module.startswith("aux_classifier")]


@pytest.mark.parametrize(("name", "size"), [("googlenet", 224), ("inception_v3", 299)])
def test_a_named_tuple_of_training_is_one_tensor_in_eval_mode(name, size):
    """googlenet and inception_v3 return logits alone: there is nothing to choose."""
    from convlint.tracing.failures import ReadError

    with pytest.raises(ReadError, match="returns one tensor"):
        graph_of(name, 1, 3, size, size, outputs=("logits",), init_weights=False)
