"""convlint.apply: the emitted model is the model, wrong rewrites are refused by name."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import convlint
from convlint.applying import Task, apply
from convlint.checking import ActiveRule
from convlint.contract import Advice, Context, Options, Rewrite, Rule, RuleMeta, Severity
from convlint.edit import GraphEdit
from convlint.errors import ApplyError
from convlint.ir import nodes as ir
from convlint.ir.nodes import Ref
from convlint.tracing import stubs
from tests.applying import wrong


def emitted(model: nn.Module, *inputs: torch.Tensor):
    """Return the GraphModule of a model with no rewrite made."""
    return apply(Task(model.eval(), inputs, {}, ())).module


class InPlace(nn.Module):
    """Writes into its tensors in every way that is common."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.register_buffer("shift", torch.randn(8, 1, 1))

    def forward(self, x):
        x = self.relu(self.conv(x))
        y = x.clone()
        y += self.shift
        y.mul_(2).clamp_(-1, 3)
        y[:, :2] = x[:, 2:4]
        y = torch.nn.functional.leaky_relu(y, 0.1, inplace=True)
        return {"sum": x + y, "parts": torch.sigmoid_(y.clone()).chunk(2, 1)}


class Recurrent(nn.Module):
    """Results in nested containers, a weight norm, a tied weight."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 6, 3, padding=1))
        self.lstm = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.a = nn.Linear(10, 10)
        self.b = nn.Linear(10, 10)
        self.b.weight = self.a.weight

    def forward(self, x):
        steps = self.conv(x).transpose(1, 2)
        out, (h, c) = self.lstm(steps)
        places = torch.arange(out.shape[1], device=x.device, dtype=x.dtype)
        return self.b(torch.relu(self.a(out))) + places[None, :, None], (h, c)


class Unbatched(nn.Module):
    """A convolution on an input without batch axis."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x[0])[None]


@pytest.mark.parametrize(
    ("make", "shape"),
    [(InPlace, (2, 3, 6, 6)), (Recurrent, (2, 4, 7)), (Unbatched, (2, 3, 6, 6))],
)
def test_the_emitted_model_is_the_model(make, shape):
    """Without rewrites the outputs are the same to the bit, and so are counts and shared weights."""
    model, x = make().eval(), torch.randn(shape)
    module = emitted(model, x)
    with torch.no_grad():
        expected, found = model(x), module(x)
    torch.testing.assert_close(found, _plain(expected), rtol=0, atol=0)
    before, after = convlint.lint(model, x).totals, convlint.lint(module, x).totals
    assert (before.macs, before.params) == (after.macs, after.params)


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, (tuple, list)) else value


ZOO = ("densenet121", "shufflenet_v2_x1_0", "googlenet")


@pytest.mark.parametrize("name", ZOO)
def test_the_emitted_zoo_model_is_the_model(name):
    """Torchvision models come out with the same outputs, MACs and parameters, unused ones too."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    kwargs = {"init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, weights=None, **kwargs).eval()
    x = torch.randn(1, 3, 64, 64)
    module = emitted(model, x)
    with torch.no_grad():
        assert torch.equal(module(x), model(x))
    before, after = convlint.lint(model, x).totals, convlint.lint(module, x).totals
    assert (before.macs, before.params) == (after.macs, after.params)


def _rule(weights: str, rewrite=None, exact: bool = True) -> ActiveRule:
    """A rule that puts a new pointwise conv in the place of every pointwise conv."""
    rule = Rule(
        meta=RuleMeta("XX401", "swap", "swaps convs", Severity.INFO, exact, "0.1.0", gated=False),
        find=wrong.find,
        guard=lambda _context, _site, _options: None,
        rewrite=rewrite or wrong.rewrite,
        advise=lambda _context, _sites, _options: Advice("1", "nn."),
        doc="",
        folder="",
        weights=weights,
    )
    return ActiveRule(rule, Severity.INFO, Options())


class Two(nn.Module):
    """Two pointwise convs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.second = nn.Conv2d(4, 5, 1, bias=False)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))


def test_new_weights_are_carried_and_the_model_stays_as_it_was():
    """The swap with the right weights is made and proven; the given model is untouched."""
    model, x = Two().train(), torch.randn(1, 3, 4, 4)
    state = copy.deepcopy(model.state_dict())
    made = apply(Task(model, (x,), {}, (_rule("tests.applying.wrong:same"),)))
    assert model.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert [change.modules for change in made.changes] == [("first",), ("second",)]
    assert made.largest_difference is not None and made.largest_difference < 1e-15
    with torch.no_grad():
        torch.testing.assert_close(made.module(x), model.eval()(x))
    names = {name for name, _ in made.module.named_parameters()}
    assert names == {"first.weight", "first.bias", "second.weight"}


def test_a_rewrite_with_wrong_outputs_is_refused_by_name():
    """Outputs that differ are found, the rewrite is left out, and the reason has its figure."""
    model, x = Two(), torch.randn(1, 3, 4, 4)
    made = apply(Task(model, (x,), {}, (_rule("tests.applying.wrong:doubled"),)))
    assert made.changes == ()
    assert any("XX401 swap at first" in text and "differ by" in text for text in made.refused)
    with torch.no_grad():
        assert torch.equal(made.module(x), model.eval()(x))


def test_weights_that_are_missing_or_of_a_wrong_shape_are_refused():
    """What a rule's apply.py gets wrong is told, and nothing is made."""
    model, x = Two(), torch.randn(1, 3, 4, 4)
    for function, words in (("none", "no tensor for the new"), ("flat", "should be (4, 3, 1, 1)")):
        made = apply(Task(model, (x,), {}, (_rule(f"tests.applying.wrong:{function}"),)))
        assert made.changes == ()
        assert any(words in text for text in made.refused), made.refused


def test_a_rule_that_is_not_exact_builds_untrained_layers():
    """No weights are asked for and nothing is compared; the layer is there, to be trained."""
    model, x = Two(), torch.randn(1, 3, 4, 4)
    made = apply(Task(model, (x,), {}, (_rule("", exact=False),)))
    assert [change.exact for change in made.changes] == [False, False]
    assert made.largest_difference is None
    assert not torch.equal(made.module.first.weight, model.first.weight)


def test_outputs_that_are_random_in_eval_are_said_and_not_compared():
    """A model that draws numbers in eval mode cannot be proven."""

    class Noisy(Two):
        def forward(self, x):
            return super().forward(x) + torch.rand_like(x[:, :1])

    made = apply(
        Task(Noisy(), (torch.randn(1, 3, 4, 4),), {}, (_rule("tests.applying.wrong:same"),))
    )
    assert made.largest_difference is None
    assert "randomness" in made.note


def test_what_runs_on_values_is_refused():
    """A branch on the input's content would be frozen by the trace: no rewrite is made of it."""

    class Branching(Two):
        def forward(self, x):
            y = super().forward(x)
            return y * 2 if bool((x.abs() > 100).all()) else y

    x = torch.full((1, 3, 4, 4), 200.0)
    with pytest.raises(ApplyError, match="depends on values"):
        apply(Task(Branching(), (x,), {}, (_rule("tests.applying.wrong:same"),)))


def test_a_computed_scale_may_ask_a_value_for_its_dtype():
    """``exp(a).type_as(z)`` is a weight: what computes z is not run a second time for it."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
            self.gamma = nn.Parameter(torch.randn(4, 1, 1))
            self.a = nn.Parameter(torch.tensor(0.3))

        def forward(self, x):
            z = self.second(torch.relu(self.first(x) * self.gamma))
            return torch.relu(z) - torch.exp(self.a).type_as(z) * z

    x = torch.randn(2, 3, 5, 5)
    made = convlint.apply(Scaled().eval(), x, rules=["CL413"])
    assert [change.code for change in made.changes] == ["CL413"]
    assert made.refused == ()
    assert made.largest_difference is not None and made.largest_difference < 1e-12
    again = convlint.lint(made.module, x).totals
    assert (again.macs, again.params) == (made.report.totals.macs, made.report.after.exact.params)


def test_a_write_that_cannot_be_made_again_is_named():
    """A part of two axes written in place: the error names the tensor and the line."""

    class Padded(Two):
        def forward(self, x):
            batch = x.new_full((1, 3, 8, 8), 0.0)
            batch[0, :, :4, :4].copy_(x[0])
            return super().forward(batch)

    with pytest.raises(ApplyError, match=r"a write into a part of new_full at .*test_rewritten"):
        apply(Task(Padded(), (torch.randn(1, 3, 4, 4),), {}, (_rule("tests.applying.wrong:same"),)))


def test_a_model_without_weights_is_refused():
    """Meta tensors have no content to carry."""
    with torch.device("meta"):
        model = Two()
    with pytest.raises(ApplyError, match=r"first\.weight is on the meta device"):
        convlint.apply(model, torch.randn(1, 3, 4, 4))


def test_the_call_unpacks_and_reports():
    """``module, report = convlint.apply(...)``; the report is that of the given model."""
    model, x = Two(), torch.randn(1, 3, 4, 4)
    made = convlint.apply(model, x)
    module, report = made
    assert report.totals.macs == 16 * (3 * 4 + 4 * 5)
    with torch.no_grad():
        torch.testing.assert_close(module(x), model.eval()(x))
    assert module.first.weight is not model.first.weight


def test_unknown_rules_are_refused():
    """A name that no rule has is an error with the close match."""
    with pytest.raises(convlint.ConvlintError, match="CL999"):
        convlint.apply(Two(), torch.randn(1, 3, 4, 4), rules=("CL999",))


def test_asymmetric_padding_is_emitted_as_a_padding_before():
    """torch's layers pad both sides alike; the edit may not."""

    def cropped(context: Context, site, options) -> tuple[Rewrite, ...]:
        node = context.graph[site.anchor]
        n, _c, h, w = context.graph.spec(node.inputs[0]).shape
        _, out, _, _ = node.output.shape
        import msgspec

        op = msgspec.structs.replace(node.op, padding=((0, 0), (1, 2)))
        conv = msgspec.structs.replace(
            node, id=f"{node.id}~wide", op=op,
            outputs=(ir.TensorSpec((n, out, h, w + 3), node.output.dtype),),
        )  # fmt: skip
        cut = ir.Node(
            f"{node.id}~cut", ir.Slice((ir.SliceAxis(3, 1, w + 1),)), (Ref(conv.id),), node.outputs
        )
        edit = GraphEdit(frozenset({node.id}), (conv, cut), {Ref(node.id): Ref(cut.id)})
        return (Rewrite("wide", edit),)

    model, x = Two(), torch.randn(1, 3, 4, 4)
    made = apply(Task(model, (x,), {}, (_rule("", cropped),)))
    assert made.refused == ()
    assert made.largest_difference is not None and made.largest_difference < 1e-12


class Faint(nn.Module):
    """A branch that its layer scale has at nothing, as a constructor leaves it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.first = nn.Conv2d(3, 3, 1)
        self.scale = nn.Parameter(torch.full((3, 1, 1), 1e-12))

    def forward(self, x):
        return x + self.scale * self.first(self.norm(x))


def test_a_fault_that_fresh_weights_hide_is_found():
    """Behind a layer scale of 1e-12 twice the weights make no difference, until it has content."""
    model, x = Faint(), torch.randn(1, 3, 4, 4)
    state = copy.deepcopy(model.state_dict())
    made = apply(Task(model, (x,), {}, (_rule("tests.applying.wrong:doubled"),)))
    assert made.changes == ()
    assert any("XX401 swap at first" in text and "differ by" in text for text in made.refused)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    right = apply(Task(model, (x,), {}, (_rule("tests.applying.wrong:same"),)))
    assert right.largest_difference is not None and right.largest_difference < 1e-15
    with torch.no_grad():
        torch.testing.assert_close(right.module(x), model.eval()(x))


def test_outputs_without_a_number_prove_nothing():
    """Weights that are NaN give equal NaNs, whatever the rewrite: said, not compared."""
    model = Two()
    with torch.no_grad():
        model.first.weight.fill_(float("nan"))
    made = apply(Task(model, (torch.randn(1, 3, 4, 4),), {}, (_rule("tests.applying.wrong:same"),)))
    assert made.largest_difference is None
    assert "NaN" in made.note
