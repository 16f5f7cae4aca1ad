"""The report's table of layers: every node that holds MACs or parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from convlint.analysis.receptive_field import Field, receptive_fields
from convlint.contract import Layer, ReceptiveField
from convlint.cost import GraphCost
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param


def layers(graph: ModelGraph, cost: GraphCost) -> tuple[Layer, ...]:
    """Return the layers in execution order.

    Parameters count where their storage is first used, so the column adds up to the model's
    used parameters; later calls of a shared module carry ``call`` 2, 3, … and no params.
    """
    fields = receptive_fields(graph)
    seen: set[str] = set()
    calls: Counter[tuple[str, ...]] = Counter()
    found = []
    for node in graph:
        counted = cost.nodes[node.id]
        if not counted.macs and not counted.params:
            continue
        weights = {param.storage: param for param in node.params if not param.buffer}
        key = (node.module, node.kind, *(weights or (node.id,)))
        calls[key] += 1
        new = [param for name, param in weights.items() if name not in seen]
        seen.update(weights)
        found.append(_layer(graph, node, cost, new, calls[key], fields.get(node.id)))
    return tuple(found)


def _layer(
    graph: ModelGraph,
    node: Node,
    cost: GraphCost,
    params: Sequence[Param],
    call: int,
    field: Field | None,
) -> Layer:
    counted = cost.nodes[node.id]
    return Layer(
        module=node.module,
        kind=node.kind,
        params=sum(param.elements for param in params),
        macs=counted.macs,
        input_shapes=tuple(spec.shape for spec in graph.input_specs(node)),
        output_shapes=tuple(spec.shape for spec in node.outputs),
        receptive_field=_receptive_field(field),
        location=node.location,
        activation_bytes=counted.bytes_written,
        call=call,
        bytes_read=counted.bytes_read,
        param_bytes=sum(param.bytes for param in params),
        buffer_bytes=counted.buffer_bytes,
        other_ops=counted.other_ops,
    )


def _receptive_field(field: Field | None) -> ReceptiveField | None:
    if field is None:
        return None
    return ReceptiveField(
        min=None if field.min is None else tuple(float(r) for r in field.min),
        max=None if field.max is None else tuple(float(r) for r in field.max),
    )
