"""CL410: parameters that nothing reads, named by the largest idle module around them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import convlint
from convlint.checking import ActiveRule, check_model
from convlint.ir.nodes import Idle, Param, SourceSpan
from convlint.tracing.read import read
from convlint.wire import InputSpec, Reply, Request
from tests.graphs import Builder
from tests.rules.proving import applied, fires, refused
from tests.rules.runs import findings, reasons, report, rule
from tests.zoo import graph_of

CODE = "CL410"


def _param(name, *shape, storage="", idle=None, buffer=False):
    return Param(name, storage or name, shape, idle=idle, buffer=buffer)


def _graph(*unused):
    b = Builder(1, 3, 8, 8)
    b.conv(b.x, 4, module="conv")
    return b.graph(unused=unused)


def test_counts_the_parameters_of_an_idle_module():
    """Elements and bytes, buffers of the module not counted; one finding at its line."""
    idle = Idle("aux", "Head", SourceSpan("net.py", 12), (SourceSpan("net.py", 30),))
    unused = (
        _param("aux.0.weight", 8, 4, idle=idle),
        _param("aux.1.weight", 8, idle=idle),
        _param("aux.1.running_mean", 8, idle=idle, buffer=True),
    )
    (finding,) = findings(_graph(*unused), CODE)
    assert (finding.saving.params, finding.saving.param_bytes) == (40, 160)
    assert finding.saving.macs == 0
    assert finding.modules == ("aux",)
    assert finding.location == SourceSpan("net.py", 12)
    assert [related.line for related in finding.related] == [30]
    assert "aux (Head)" in finding.message


def test_modules_of_one_line_are_one_finding():
    """A list built in a loop; others stay apart, and so do modules without a known line."""
    here, there = SourceSpan("net.py", 12), SourceSpan("net.py", 13)
    unused = [_param(f"heads.{i}.weight", 5, idle=Idle(f"heads.{i}", "Linear", here)) for i in (1, 2)]  # fmt: skip
    unused += [_param("b.weight", 5, idle=Idle("b", "Linear", there))]
    unused += [_param(f"{n}.weight", 5, idle=Idle(n, "Linear")) for n in ("c", "d")]
    found = findings(_graph(*unused), CODE)
    assert sorted(finding.modules for finding in found) == [
        ("b",), ("c",), ("d",), ("heads.1", "heads.2"),
    ]  # fmt: skip
    assert len({finding.fingerprint for finding in found}) == 4
    assert report(_graph(*unused), CODE).after.exact.params == 3 * 4 * 9


def test_a_parameter_of_a_module_that_runs_is_named_itself():
    """The bias of a layer whose weight alone is used."""
    (finding,) = findings(_graph(_param("conv.bias", 4, idle=Idle("", "Conv2d"))), CODE)
    assert finding.modules == ("conv.bias",)
    assert 'model.conv.register_parameter("bias", None)' in finding.instead


def test_silent_where_the_run_ended_early_or_read_nothing():
    """What was not reached is not unused."""
    b = Builder(1, 3, 8, 8)
    b.relu(b.x)
    assert reasons(b.graph(unused=[_param("w", 4)]), CODE) == ["the run read no parameter at all"]
    graph = _graph(_param("w", 4))
    cut = type(graph)(graph.nodes[:-1], graph.unused)
    assert findings(cut, CODE) == ()


def test_moving_averages_are_refused():
    """Kept on purpose: their name says so."""
    for name in ("net_ema.weight", "momentum_encoder.0.weight", "teacher.weight"):
        path = name.rpartition(".")[0]
        (reason,) = reasons(_graph(_param(name, 4, idle=Idle(path))), CODE)
        assert reason == f"its name says that it is a moving average: {path}"
    assert len(findings(_graph(_param("schema.weight", 4, idle=Idle("schema"))), CODE)) == 1


class Net(nn.Module):
    """Idle children of every kind beside some that are used without a call."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.idle = nn.ModuleList(nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)) for _ in range(2))  # fmt: skip
        self.partly = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
        self.twin = nn.Conv2d(3, 4, 3)
        self.twin.weight, self.twin.bias = self.a.weight, self.a.bias
        self.loose = nn.Parameter(torch.zeros(7))

    def forward(self, x):
        y = self.a(x) + F.conv2d(x, self.b.weight.data) + F.conv2d(x, self.c.weight.flip(2), self.c.bias)  # fmt: skip
        return self.partly[0](y.mean((2, 3)))


def test_what_a_model_really_leaves_out():
    """Functional use, views of a weight and tied weights are use; outputs stay, weights go."""
    x = torch.randn(1, 3, 6, 6)
    made = applied(Net(), CODE, x)
    told = sorted(change.modules for change in made.changes)
    assert told == [("b.bias",), ("idle",), ("loose",), ("partly.1",)]
    kept = sum(p.numel() for p in made.module.parameters())
    assert kept == 3 * (4 * 27) + 4 + 4 + 20
    assert not any("idle" in key for key in made.module.state_dict())


def test_a_child_that_a_method_of_its_module_hides():
    """self.half is a method of every module: a child of that name is never reached."""

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.half = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x):
            return self.conv(x)

    (finding,) = convlint.lint(Hidden(), torch.randn(1, 3, 4, 4), select=(CODE,)).findings
    assert finding.modules == ("half",)


def test_a_model_that_uses_all_is_silent():
    """Every parameter is read once at least."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU())
    assert fires(model, CODE, torch.randn(1, 3, 8, 8)) == 0
    assert refused(model, CODE, torch.randn(1, 3, 8, 8)) == []


def test_parts_that_other_inputs_reach_are_said_to_be_so():
    """A branch chosen by a flag: the finding holds for this forward pass, and says it."""

    class Flagged(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

        def forward(self, x, other=False):
            return self.b(x) if other else self.a(x)

    x = torch.randn(1, 3, 4, 4)
    (finding,) = convlint.lint(Flagged(), x, select=(CODE,)).findings
    assert "a flag" in finding.risk
    model = Flagged()
    made = convlint.apply(model, x, rules=(CODE,)).module
    assert not torch.allclose(made(x), model(x, other=True), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "size", "params", "modules"),
    [
        ("googlenet", 224, 6.38e6, [("aux1",), ("aux2",)]),
        ("inception_v3", 299, 3.33e6, [("AuxLogits",)]),
        ("resnet18", 64, 0, []),
        ("mobilenet_v3_small", 64, 0, []),
    ],
)
def test_known_models(name, size, params, modules):
    """The auxiliary heads of torchvision's models as they are built by default."""
    graph = graph_of(name, 1, 3, size, size)
    one = rule(CODE)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    found = check_model(reply, (ActiveRule(one, one.meta.severity, one.options()),)).findings
    assert sum(finding.saving.params for finding in found) == pytest.approx(params, rel=0.001)
    assert sorted(finding.modules for finding in found) == modules


def test_points_at_the_line_that_builds_the_idle_module(tmp_path):
    """The constructor call of the outermost idle module, in the project's file."""
    file = tmp_path / "net.py"
    file.write_text(
        "import torch\nfrom torch import nn\n\n"
        "class Head(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(4, 2)\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(3, 4, 3)\n"
        "        self.aux = Head()\n\n"
        "    def forward(self, x):\n        return self.conv(x)\n"
    )
    asked = Request("net.py:Net", str(tmp_path), file=str(file), expressions=("Net()",), inputs=((InputSpec((1, 3, 8, 8)),),))  # fmt: skip
    one = rule(CODE)
    active = (ActiveRule(one, one.meta.severity, one.options()),)
    (finding,) = check_model(read(asked), active).findings
    assert (finding.location.path, finding.location.line) == ("net.py", 13)
    assert finding.modules == ("aux",)
