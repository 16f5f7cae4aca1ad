"""Drafts of new layers for a rewrite, and the code that builds them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from convlint.ir import nodes as ir
from convlint.ir.nodes import Node, Param, Ref, TensorSpec
from convlint.ir.validate import conv_output_shape


def draft_conv(like: Node, suffix: str, op: ir.Conv, source: Ref, shape: ir.Ints) -> Node:
    """Return a new convolution that takes over lines and module of ``like``.

    ``source`` is the output it reads and ``shape`` that output's shape. Its parameters are
    named after those of ``like``, so that two calls of one module draft shared weights.
    """
    weight = next((param for param in like.params if param.role == "weight"), None)
    return msgspec.structs.replace(
        like,
        id=f"{like.id}~{suffix}",
        op=op,
        inputs=(source, *like.inputs[1:]),
        outputs=(TensorSpec(conv_output_shape(op, shape), like.output.dtype),),
        params=() if weight is None else _params(weight, suffix, op),
    )


def _params(stem: Param, suffix: str, op: ir.Conv) -> tuple[Param, ...]:
    """Return weight and bias of ``op``, named after the weight of the layer it replaces."""
    shapes = {"weight": (op.out_channels, op.in_channels // op.groups, *op.kernel)}
    if op.transposed:
        shapes["weight"] = (op.in_channels, op.out_channels // op.groups, *op.kernel)
    if op.bias:
        shapes["bias"] = (op.out_channels,)
    return tuple(
        Param(
            name=f"{stem.name}.{suffix}.{role}",
            storage=f"{stem.storage}~{suffix}.{role}",
            shape=size,
            dtype=stem.dtype,
            role=role,
            buffer=stem.buffer,
        )
        for role, size in shapes.items()
    )


def draft(like: Node, suffix: str, op: ir.AnyOp, source: Ref, spec: TensorSpec) -> Node:
    """Return a new node without parameters that reads ``source`` and writes ``spec``."""
    return Node(
        id=f"{like.id}~{suffix}",
        op=op,
        inputs=(source,),
        outputs=(spec,),
        module=like.module,
        called_at=like.called_at,
    )


def extent(sizes: Sequence[int]) -> str:
    """Return sizes as people write them: "3x3"."""
    return "x".join(map(str, sizes))


def channels(op: ir.Conv) -> str:
    """Return "64->192"."""
    return f"{op.in_channels}->{op.out_channels}"


def conv_code(op: ir.Conv) -> str:
    """Return the call that builds ``op``, arguments at their defaults left out."""
    name = f"nn.Conv{'Transpose' if op.transposed else ''}{len(op.kernel)}d"
    options = _options(op) + _given(
        ("bias", str(op.bias), "True"), ("padding_mode", repr(op.padding_mode), repr("zeros"))
    )
    return f"{name}({op.in_channels}, {op.out_channels}, {short(op.kernel)}{options})"


def is_functional(node: Node) -> bool:
    """Tell a call of ``F.conv2d`` and its like, which no layer of the model stands for."""
    return bool(node.function) and node.built_at is None


def chain_code(node: Node, *ops: ir.Conv, between: str = "") -> str:
    """Return the code of convs in a row that take the place of ``node``: layers, or calls.

    ``between`` names the layer after each but the last, "ReLU".
    """
    if is_functional(node):
        calls = map(_functional_code, ops)
        joint = f"x = F.{between.lower()}(x)\n" if between else ""
        return f"\n{joint}".join(calls) if len(ops) > 1 else next(calls).removeprefix("x = ")
    if len(ops) == 1:
        return conv_code(ops[0])
    joint = f"nn.{between}(),\n    " if between else ""
    lines = f",\n    {joint}".join(map(conv_code, ops))
    return f"nn.Sequential(\n    {lines},\n)"


def _functional_code(op: ir.Conv) -> str:
    """Return ``x = F.conv2d(x, weight, …)`` with the shape that its weight has."""
    name = f"F.conv{'_transpose' if op.transposed else ''}{len(op.kernel)}d"
    sizes = (op.out_channels, op.in_channels // op.groups)
    if op.transposed:
        sizes = (op.in_channels, op.out_channels // op.groups)
    bias = ", bias" if op.bias else ""
    return f"x = {name}(x, weight{bias}{_options(op)})  # weight: {extent((*sizes, *op.kernel))}"


def _options(op: ir.Conv) -> str:
    return _given(
        ("stride", short(op.stride), "1"),
        ("padding", short([before for before, _ in op.padding]), "0"),
        ("output_padding", short(op.output_padding or (0,)), "0"),
        ("dilation", short(op.dilation), "1"),
        ("groups", str(op.groups), "1"),
    )


def _given(*options: tuple[str, str, str]) -> str:
    return "".join(f", {key}={value}" for key, value, usual in options if value != usual)


def layer_key(node: Node) -> str:
    """Return what two calls of one layer share: its module, or the weight it is called with."""
    weight = next((param.name for param in node.params if param.role == "weight"), "")
    return weight if is_functional(node) and weight else node.module or weight or node.id


def counted(nodes: Sequence[Node], noun: str) -> str:
    """Return "3 convs", "1 conv called 5 times", "2 convs called 6 times" for these calls."""
    layers = len({layer_key(node) for node in nodes})
    text = f"{layers} {noun}{'' if layers == 1 else 's'}"
    return text if layers == len(nodes) else f"{text} called {len(nodes)} times"


def short(values: Sequence[int]) -> str:
    """Return equal values as one, "2", others as a tuple, "(0, 3)"."""
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))
