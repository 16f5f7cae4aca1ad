"""The imports left out change no result, and come back when they are needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

READ = """
import sys, torch
from convlint.tracing import shortcuts
if {shortcut}:
    assert shortcuts.skip_dynamo() > 0
    assert shortcuts.skip_sympy()
import torch.nn.functional as F
from torch import nn
from convlint.ir import codec
from convlint.tracing.inline import read_instance

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, stride=2)
        self.n = nn.BatchNorm2d(8)
        self.t = nn.ConvTranspose2d(8, 8, 2, 2, groups=2)
        self.m = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = F.relu(self.n(self.a(x)))
        x = F.interpolate(self.t(x), scale_factor=2, mode="bilinear")
        y = F.adaptive_avg_pool2d(x, 4).flatten(2).transpose(1, 2)
        y = self.m(y, y, y)[0].softmax(-1)
        return torch.cat([y.mean(1), x.amax((2, 3))], 1) @ torch.ones(16, 4)

reply = read_instance(Net(), (torch.randn(1, 3, 32, 32),), {{}}, target="net")
assert reply.failure is None, reply.failure
loaded = {{"torch._dynamo", "sympy.core"}} & set(sys.modules)
assert not ({shortcut} and loaded), loaded
kinds = [(n.id, n.kind, [o.shape for o in n.outputs]) for n in reply.graph.nodes]
print(kinds)
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_graph_is_the_same_with_and_without() -> None:
    """Same nodes, kinds and shapes; with the shortcuts neither dynamo nor sympy is imported."""
    assert run(READ.format(shortcut=True)) == run(READ.format(shortcut=False))


@pytest.mark.parametrize(
    "question",
    [
        "expect_true(True)",
        "guard_or_false(False)",
        "sym_eq((1, 2), (1, 2))",
        "sym_eq((1, 2), (1, 3))",
        "sym_and(True, False, True)",
        "sym_or(False, True)",
        "is_nested_int(3)",
        "guarding_hint_or_throw(7)",
        "has_guarding_hint(7)",
        "statically_known_true(False)",
        "is_symbolic(3)",
        "is_concrete_int(3)",
    ],
)
def test_the_stand_in_answers_as_the_real_module(question: str) -> None:
    """Every answer for plain numbers is torch's own."""
    from torch.fx.experimental import symbolic_shapes as real

    from convlint.tracing import shortcuts

    plain = {name: shortcuts._PLAIN[name] for name in shortcuts._PLAIN}
    assert eval(question, plain) == eval(question, vars(real))


def test_what_is_not_plain_gets_the_real_module() -> None:
    """A class asked of the stand-in, or torch.export, finds the real module."""
    run(
        "import torch\n"
        "from convlint.tracing import shortcuts\n"
        "assert shortcuts.skip_sympy()\n"
        "from torch.fx.experimental.symbolic_shapes import ShapeEnv\n"
        "import sys\n"
        "import sympy, sympy.core\n"
        "assert sympy.Symbol('x') + 1 != 2 and ShapeEnv().create_unbacked_symint() is not None\n"
        "class M(torch.nn.Module):\n"
        "    def forward(self, x): return x.relu()\n"
        "torch.export.export(M(), (torch.ones(2, 3),))\n"
    )
