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
    axes = len(op.kernel)
    name = f"nn.Conv{'Transpose' if op.transposed else ''}{axes}d"
    padding = tuple(before for before, _ in op.padding)
    given = [
        ("stride", short(op.stride), "1"),
        ("padding", short(padding), "0"),
        ("dilation", short(op.dilation), "1"),
        ("groups", str(op.groups), "1"),
        ("bias", str(op.bias), "True"),
        ("padding_mode", repr(op.padding_mode), repr("zeros")),
    ]
    options = "".join(f", {key}={value}" for key, value, usual in given if value != usual)
    return f"{name}({op.in_channels}, {op.out_channels}, {short(op.kernel)}{options})"


def short(values: Sequence[int]) -> str:
    """Return equal values as one, "2", others as a tuple, "(0, 3)"."""
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))
