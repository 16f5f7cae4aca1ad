"""What a norm by hand is multiplied with and what is added to it, and the torch norm it fits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import msgspec

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Param, Ref


class Form(Enum):
    """Which axes a norm of torch is over: the last ones, the channels in front, the positions."""

    LAST = "last"
    CHANNELS = "channels"
    INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Affine:
    """A weight or bias as it is broadcast (``ref``), and as the norm has it (``param``)."""

    ref: Ref
    param: Param
    stored: Param


def forms(axes: ir.Ints, rank: int, *, rms: bool) -> tuple[Form, ...]:
    """Return the norms of torch over these axes, the more usual one first."""
    last = axes == tuple(range(rank - len(axes), rank))
    positions = last and axes[0] == 2 and rank <= 5 and not rms
    if positions:
        return (Form.LAST, Form.INSTANCE) if rank == 3 else (Form.INSTANCE, Form.LAST)
    if last:
        return (Form.LAST,)
    return (Form.CHANNELS,) if axes == (1,) and rank > 2 else ()


def affine_of(
    graph: ModelGraph, ref: Ref, shape: ir.Ints, axes: ir.Ints, form: Form, role: str
) -> Affine | None:
    """Return a factor or summand as a norm of ``form`` has it, None where it has none such.

    A parameter that is stored in another shape is taken where nothing else reads it.
    """
    taken = axes if form is Form.LAST else (1,)
    wanted = tuple(shape[axis] for axis in taken)
    spread = tuple(size if axis in taken else 1 for axis, size in enumerate(shape))
    found, alone = _stored(graph, ref, spread)
    if found is None or found.dtype != graph.spec(ref).dtype:
        return None
    if found.shape == wanted:
        return Affine(ref, msgspec.structs.replace(found, role=role), found)
    if not alone:
        return None
    storage = f"{found.storage}~{'x'.join(map(str, wanted))}"
    param = msgspec.structs.replace(found, role=role, shape=wanted, storage=storage)
    return Affine(ref, param, found)


def _stored(graph: ModelGraph, ref: Ref, wanted: ir.Ints) -> tuple[Param | None, bool]:
    """Return the parameter that is laid out as ``wanted``, and whether nothing else reads it."""
    node = graph[ref.node]
    alone = len(graph.users(node)) == 1
    while isinstance(node.op, (ir.Expand, ir.Identity)) and node.inputs:
        ref = node.inputs[0]
        node = graph[ref.node]
        alone = alone and len(graph.users(node)) == 1
    shape = graph.spec(ref).shape
    if (1,) * (len(wanted) - len(shape)) + shape != wanted:
        return None, False
    while isinstance(node.op, (ir.Reshape, ir.Slice, ir.Identity)) and node.inputs:
        node = graph[node.inputs[0].node]
        alone = alone and len(graph.users(node)) == 1
    if not isinstance(node.op, ir.Constant) or len(node.params) != 1:
        return None, False
    (param,) = node.params
    whole = param.elements == math.prod(wanted) and not param.buffer
    return (param, alone and len(graph.holders([param.storage])) == 1) if whole else (None, False)
