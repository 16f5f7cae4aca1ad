"""What --as says for each tool is what the tool itself says, where it is installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from benchmarks import counters
from convlint.cost.peers import PEERS, ask
from convlint.ir import nodes as ir
from convlint.ir.codec import open_document
from convlint.ir.graph import ModelGraph
from convlint.tracing.inline import read_instance
from tests.graphs import Builder
from tests.tracing.test_cases import CASES
from tests.zoo import torchvision

REAL: dict[str, counters.Tool] = {
    "fvcore": counters.fvcore,
    "thop": counters.thop,
    "ptflops": counters.ptflops,
    "torchinfo": counters.torchinfo,
    "deepspeed": counters.deepspeed,
}
# what a graph does not show, as the tools' notes say
UNSEEN = {("thop", "two parents"), ("ptflops", "two parents"), ("torchinfo", "F.conv2d")}
MODELS = ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x1_0", "vit_b_32")


def _graph(model: nn.Module, x: torch.Tensor) -> ModelGraph:
    reply = read_instance(model, (x,), {}, target="model")
    assert reply.graph is not None
    return open_document(reply.graph)


def _same(tool: str, make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    if not counters.installed(tool):
        pytest.skip(f"{tool} is not installed")
    model, x = make().eval(), torch.randn(shape)
    real = counters.run(REAL[tool], model, x) * PEERS[tool].per_mac
    assert ask(PEERS[tool], _graph(model, x)).total == int(real)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tool", PEERS)
def test_small_cases(tool: str, name: str) -> None:
    """The 26 cases on which the tools disagree."""
    if (tool, name) in UNSEEN:
        pytest.skip("a graph does not show it; the tool's notes say so")
    make, shape, _ = CASES[name]
    _same(tool, make, shape)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("tool", PEERS)
def test_whole_models(tool: str, name: str) -> None:
    """Networks with norms, gates, shuffles and attention."""
    _same(tool, lambda: torchvision.models.get_model(name, weights=None), (1, 3, 224, 224))


class Layers(nn.Module):
    """Layers and functions that are counted each in its own way."""

    def __init__(self) -> None:
        super().__init__()
        acts = (nn.PReLU(), nn.ELU(), nn.SiLU(), nn.GELU(), nn.ReLU6(), nn.Hardswish())
        norms = (nn.GroupNorm(2, 8), nn.InstanceNorm2d(8), nn.BatchNorm2d(8, affine=False))
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), *acts, nn.LeakyReLU(), *norms)
        self.pools = nn.Sequential(
            nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), nn.Upsample(scale_factor=2)
        )
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1, output_padding=1, groups=2)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5), nn.Softmax(1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.up(self.pools(self.body(x)))
        x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        x = torch.add(nn.functional.relu(x), 1) * 2
        return self.head(nn.functional.max_pool2d(x.relu(), 2))


@pytest.mark.parametrize("tool", PEERS)
def test_one_of_each(tool: str) -> None:
    """Activations, norms, pools, interpolation and a transposed conv with output_padding."""
    _same(tool, Layers, (1, 3, 20, 20))


def test_a_difference_has_its_reason() -> None:
    """conv, batch norm, transposed conv: thop's two differences, its fault said plainly."""
    b = Builder(1, 8, 8, 8)
    x = b.same(ir.Norm("batch"), b.conv(b.x, 8, 3, module="a"))
    b.conv(x, 8, 2, stride=2, padding=0, transposed=True, module="up")
    graph = ModelGraph(
        tuple(
            _as_layer(node, {"conv": "Conv2d", "norm": "BatchNorm2d"}.get(node.kind, ""))
            for node in b.graph()
        )
    )
    said = ask(PEERS["thop"], graph)
    norm, up = said.differences
    assert (norm.theirs, norm.ours, norm.why) == (4 * 512, 0, "batch norm: 4 a value")
    assert up.theirs == 4 * up.ours and "fault of thop" in up.why
    assert said.total == said.ours + 4 * 512 + 3 * up.ours


def _as_layer(node: ir.Node, name: str) -> ir.Node:
    import msgspec

    return msgspec.structs.replace(node, layer_class=f"torch.nn.{name}" if name else "")
