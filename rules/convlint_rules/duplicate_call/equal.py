"""Which nodes of a graph compute what another one has computed before: value numbering.

Two nodes are equal where their operation, weights and inputs are, and where the operation says
all that the call depends on. Where it does not (the slope of a LeakyReLU, the bounds of a clamp),
they have to be calls of the same layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from convlint.cost.traffic import FREE
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

_FUNCTIONS = frozenset(
    "relu relu6 sigmoid tanh silu hardswish hardsigmoid mish selu softsign logsigmoid tanhshrink "
    "exp exp2 expm1 log log1p log2 log10 sqrt rsqrt square abs neg sin cos erf reciprocal".split()
)
"""Functions of one tensor that have no other argument."""

_REDUCTIONS = frozenset("mean sum max min amax amin prod".split())

_TOLD = (
    ir.Slice, ir.Split, ir.Concat, ir.Stack, ir.Reshape, ir.Permute, ir.Expand, ir.Repeat, ir.Flip,
    ir.Roll, ir.PixelShuffle, ir.ChannelShuffle, ir.Pad, ir.Upsample, ir.Softmax, ir.Add, ir.Mul,
    ir.Matmul, ir.Embedding,
)  # fmt: skip
"""Operations that say all that a call depends on."""

_LAYERS = (ir.Conv, ir.Linear, ir.Norm)
_RANDOM = (ir.Input, ir.Output, ir.Opaque)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Nodes that hang together and repeat others: ``first`` gives for each the node it repeats."""

    nodes: tuple[str, ...]
    first: Mapping[str, str]


def duplicates(graph: ModelGraph) -> Iterator[Duplicates]:
    """Yield the duplicates, those that read one another as one; views alone are left out."""
    first = _numbered(graph)
    group: dict[str, str] = {}
    for key in first:
        group[key] = key
        for ref in graph[key].inputs:
            if ref.node in first:
                _join(group, key, ref.node)
    members: dict[str, list[str]] = {}
    for key in first:
        members.setdefault(_root(group, key), []).append(key)
    for keys in members.values():
        if any(not isinstance(graph[key].op, FREE) for key in keys):
            yield Duplicates(tuple(keys), {key: first[key] for key in keys})


def _root(group: dict[str, str], key: str) -> str:
    while group[key] != key:
        key = group[key]
    return key


def _join(group: dict[str, str], a: str, b: str) -> None:
    group[_root(group, a)] = _root(group, b)


def _numbered(graph: ModelGraph) -> dict[str, str]:
    """Return for each node that repeats another the first of its kind, in execution order."""
    known: dict[object, str] = {}
    first: dict[str, str] = {}
    for node in graph:
        key = _key(node, first)
        if key is None:
            continue
        original = known.setdefault(key, node.id)
        if original != node.id:
            first[node.id] = original
    return first


def _key(node: Node, first: Mapping[str, str]) -> object | None:
    """Return what two equal nodes have in common; None where that cannot be told."""
    if isinstance(node.op, _RANDOM):
        return None
    where = "" if _says_all(node) else _layer(node)
    if where is None:
        return None
    inputs = tuple(Ref(first.get(ref.node, ref.node), ref.output) for ref in node.inputs)
    params = tuple((param.role, param.storage) for param in node.params)
    return (where, node.op, inputs, params, node.outputs)


def _layer(node: Node) -> str | None:
    """Return which layer was called, None for a function."""
    return node.module if node.layer and not node.function and node.module else None


def _says_all(node: Node) -> bool:
    """Tell whether the operation, with weights and inputs, is all that the result depends on.

    A function that is called with a weight may be given the weight or what is computed from it.
    """
    op = node.op
    if isinstance(op, _LAYERS):
        if isinstance(op, ir.Norm) and op.type == "local_response":
            return False
        return not node.function or not node.params
    if isinstance(op, (ir.Activation, ir.Elementwise)):
        return op.fn in _FUNCTIONS and len(node.inputs) == 1 and not node.params
    if isinstance(op, ir.Reduce):
        return op.fn in _REDUCTIONS
    if isinstance(op, ir.Pool):
        return op.type != "lp"
    if isinstance(op, ir.Gather):
        return op.indices is not None or len(node.inputs) > 1
    if isinstance(op, ir.Constant):
        return op.origin in ("parameter", "buffer") and bool(node.params)
    if isinstance(op, ir.Identity):  # F.dropout may be told to drop in eval mode too
        return not (node.function and "dropout" in op.fn)
    return isinstance(op, _TOLD)
