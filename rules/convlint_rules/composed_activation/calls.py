"""The call of torch in the place of a norm by hand: as nodes, and as code."""

from __future__ import annotations

import msgspec
from convlint_rules.composed_activation.affine import Affine, Form
from convlint_rules.composed_activation.norms import Normalised

from convlint.analysis.readers import left_unread
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, TensorSpec

SUFFIX = "fused"


def edit_of(graph: ModelGraph, site: Normalised) -> GraphEdit:
    """Return the edit that puts one norm in the place of the steps."""
    added = tuple(_nodes(graph, site))
    laid = [one.ref for one in (site.weight, site.bias) if one is not None]
    removed = left_unread(graph, site.nodes, laid)
    return GraphEdit(removed, added, {Ref(site.anchor): Ref(added[-1].id)})


def _nodes(graph: ModelGraph, site: Normalised) -> list[Node]:
    node, source = graph[site.anchor], site.core.source
    shape, dtype = node.output.shape, node.output.dtype
    params = tuple(one.param for one in (site.weight, site.bias) if one is not None)
    made = msgspec.structs.replace(
        node, id=f"{node.id}~{SUFFIX}", op=op_of(graph, site), inputs=(source,), inplace=False,
        params=params, function=f"torch.nn.functional.{name_of(site)}",
    )  # fmt: skip
    if site.form is not Form.CHANNELS:
        return [made]
    there, back = orders(len(shape))
    turned = TensorSpec(tuple(shape[axis] for axis in there), dtype)

    def moved(suffix: str, axes: ir.Ints, ref: Ref, spec: TensorSpec) -> Node:
        return msgspec.structs.replace(
            node, id=f"{node.id}~{suffix}", op=ir.Permute(axes), inputs=(ref,), outputs=(spec,),
            inplace=False, params=(), function="torch.permute",
        )  # fmt: skip

    first = moved("last", there, source, turned)
    made = msgspec.structs.replace(made, inputs=(Ref(first.id),), outputs=(turned,))
    return [first, made, moved("back", back, Ref(made.id), node.output)]


def op_of(graph: ModelGraph, site: Normalised) -> ir.Norm:
    """Return the norm as an operation; its axes are those of what it reads."""
    rank, core = len(graph[site.anchor].output.shape), site.core
    affine, eps = site.weight is not None, core.deviation.eps
    if site.form is Form.INSTANCE:
        return ir.Norm("instance", affine=affine, running_stats=False, eps=eps)
    axes = (rank - 1,) if site.form is Form.CHANNELS else core.axes
    return ir.Norm("rms" if core.rms else "layer", axes=axes, affine=affine, eps=eps)


def orders(rank: int) -> tuple[ir.Ints, ir.Ints]:
    """Return the permutation that puts the channels last, and the one back."""
    return (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))


def name_of(site: Normalised) -> str:
    """Return "layer_norm", "rms_norm" or "instance_norm"."""
    if site.form is Form.INSTANCE:
        return "instance_norm"
    return "rms_norm" if site.core.rms else "layer_norm"


def code(graph: ModelGraph, site: Normalised) -> str:
    """Return the call to write."""
    eps = f"eps={site.core.deviation.eps:g}"
    named = (("weight", site.weight), ("bias", site.bias))
    words = [f"{role}={_attribute(one)}" for role, one in named if one is not None]
    if site.form is not Form.INSTANCE:
        words.insert(0, _size(site.weight, len(site.core.axes)))
    call = f"torch.nn.functional.{name_of(site)}({', '.join(['x', *words, eps])})"
    if site.form is not Form.CHANNELS:
        return call
    there, back = orders(len(graph[site.anchor].output.shape))
    return f"x = x.permute({_listed(there)})\nx = {call}\nx = x.permute({_listed(back)})"


def _size(weight: Affine | None, count: int) -> str:
    """Return the normalised shape; that of the weight holds for every call of a class."""
    if weight is None:
        return f"x.shape[-{count}:]"
    shape = weight.param.shape
    if shape == weight.stored.shape:
        return f"{_attribute(weight)}.shape"
    return f"({shape[0]},)" if len(shape) == 1 else str(shape)


def _attribute(one: Affine) -> str:
    name = f"self.{one.stored.name.rpartition('.')[2]}"
    if one.param.shape == one.stored.shape:
        return name
    return f"{name}.reshape({_listed(one.param.shape)})"


def _listed(values: ir.Ints) -> str:
    return ", ".join(map(str, values))
