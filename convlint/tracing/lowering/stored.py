"""Weights that are computed, but from parameters alone: they are as good as stored.

``weight_norm``, ``spectral_norm`` and weight standardisation compute the kernel from
parameters in every call; a deployed model computes it once. Such a conv is an ordinary one
that uses those parameters, not one whose kernel comes from the input.
"""

from __future__ import annotations

from torch import fx

from convlint.tracing.lowering.call import record_of

_MOST = 400
_PRODUCTS = ("matmul", "mm", "bmm", "addmm", "baddbmm", "linear", "einsum", "tensordot", "conv")


def sources_of(weight: fx.Node) -> tuple[fx.Node, ...] | None:
    """Return the ``get_attr`` nodes that ``weight`` is computed from, in graph order.

    None where it depends on the model's input, or where a matrix product computes it (that work
    is counted, so it stays in the graph).
    """
    seen: dict[fx.Node, None] = {}
    waiting = [weight]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen[node] = None
        if node.op == "placeholder" or len(seen) > _MOST or _multiplies(node):
            return None
        waiting += node.all_input_nodes
    found = [node for node in reversed(seen) if node.op == "get_attr"]
    return tuple(found) or None


def with_roles(role: str, origins: tuple[fx.Node, ...]) -> list[tuple[str, fx.Node | str]]:
    """Return the origins with the largest as ``role`` and the rest (norms, vectors) as its parts."""
    largest = max(origins, key=lambda node: record_of(node).outputs[0].elements)
    return [(role if node is largest else f"{role}_part", node) for node in origins]


def chain_of(weight: fx.Node) -> set[str]:
    """Return the names of all nodes that ``weight`` is computed by, itself included."""
    names: set[str] = set()
    waiting = [weight]
    while waiting:
        node = waiting.pop()
        if node.name not in names:
            names.add(node.name)
            waiting += node.all_input_nodes
    return names


def _multiplies(node: fx.Node) -> bool:
    if node.op not in ("call_function", "call_method", "call_module"):
        return False
    if node.op == "call_module" or record_of(node).macs:
        return True
    name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")
    return name.startswith(_PRODUCTS)
