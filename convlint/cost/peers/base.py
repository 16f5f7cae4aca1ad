"""What a peer is, and how it is asked about a whole graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from convlint.cost.node import macs_of
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, TensorSpec

Specs = tuple[TensorSpec, ...]


class Said(NamedTuple):
    """What a tool counts for one node; ``why`` says how that differs from the MACs.

    ``whole_batch`` is true where a tool that divides by the batch leaves this count whole.
    """

    amount: float
    why: str = ""
    whole_batch: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: what its headline number is called, how many of it make a MAC, how it counts.

    ``version`` is the release whose code was read and run; ``by_sample`` is true where the sum
    is divided by the batch size; ``notes`` say what cannot be told from a graph.
    """

    name: str
    version: str
    unit: str
    per_mac: int
    count: Callable[[Node, Specs, int], Said]
    by_sample: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """A node that the tool counts otherwise: its number, ours in the same unit, the reason."""

    node: str
    theirs: float
    ours: int
    why: str


@dataclass(frozen=True, slots=True)
class PeerCount:
    """The tool's total for a graph, ours in the same unit, and where they part."""

    peer: Peer
    total: int
    ours: int
    differences: tuple[Difference, ...] = field(default_factory=tuple)


def ask(peer: Peer, graph: ModelGraph) -> PeerCount:
    """Return what ``peer`` would print for the model of ``graph``."""
    batch = batch_of(graph)
    total, ours = 0.0, 0
    found = []
    for node in graph:
        specs = graph.input_specs(node)
        mine = macs_of(node.op, specs, node.outputs) * peer.per_mac
        said = peer.count(node, specs, mine)
        shared = peer.by_sample and not said.whole_batch
        theirs = said.amount / batch if shared else said.amount
        total, ours = total + theirs, ours + mine
        if theirs != mine:
            found.append(Difference(node.id, theirs, mine, said.why or _by_sample(batch)))
    return PeerCount(peer, int(total), ours, tuple(found))


def batch_of(graph: ModelGraph) -> int:
    """Return the length of the first input's first axis."""
    shape = graph.model_inputs[0].output.shape if graph.model_inputs else ()
    return shape[0] if shape and shape[0] else 1


def _by_sample(batch: int) -> str:
    return f"counted for one sample of the {batch} in the batch"


# --- what the tools' functions look at ------------------------------------------------


def called(node: Node) -> str:
    """Return the layer class or function, without the path: "Conv2d", "relu", "Tensor.add"."""
    name = node.layer_class or node.function
    return name if name.startswith("Tensor.") else name.rpartition(".")[2]


def plain_layer(node: Node) -> str:
    """Return "Conv2d" where a torch.nn layer of exactly that type was called, else ""."""
    name = node.layer_class
    return name.removeprefix("torch.nn.") if _is_plain(name) else ""


def _is_plain(name: str) -> bool:
    return name.startswith("torch.nn.") and name.count(".") == 2


def functional(node: Node) -> str:
    """Return the name of the torch.nn.functional function that was called, else ""."""
    room, _, name = node.function.rpartition(".")
    return name if room in ("torch.nn.functional", "torch._C._nn") else ""


def written(node: Node) -> int:
    """Return the elements of the first result."""
    return node.outputs[0].elements if node.outputs else 0


def read(inputs: Specs) -> int:
    """Return the elements of the first input."""
    return inputs[0].elements if inputs else 0


def weights(node: Node) -> int:
    """Return the elements of the node's own weight and bias; those of a computed kernel too."""
    op = node.op
    if isinstance(op, ir.Conv) and op.computed_weight:
        kernel = op.out_channels * op.in_channels // op.groups * math.prod(op.kernel)
        return kernel + (op.out_channels if op.bias else 0)
    return sum(p.elements for p in node.params if not p.buffer and p.role in ("weight", "bias"))


def returns_weights(node: Node) -> bool:
    """Tell whether a multi-head attention returned its weights: its products then run unfused."""
    return len(node.outputs) > 1


def numpys_words(operations: int) -> int:
    """Return a number as NumPy's ``einsum_path`` prints it: four digits are left of it."""
    return int(float(f"{operations:.3e}"))
