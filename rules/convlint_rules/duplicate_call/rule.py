"""CL411 duplicate-call: the same layer runs twice on the same tensor.

What it does
------------
Finds calls that repeat an earlier one: same operation, same weights, same input. What follows
both and is the same again goes with them.

Why it costs
------------
In eval mode the second call computes what is already there.

Example
-------
    x = self.blocks[0](self.stem(x)) + self.blocks[1](self.stem(x))

Use instead
-----------
    y = self.stem(x)
    x = self.blocks[0](y) + self.blocks[1](y)

Savings
-------
MACs, bytes and kernels of every call but the first. No weights: they are shared already.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
one conv called twice: 0.53, 0.53, 1.00, 1.00.

When not to apply
-----------------
Silent where inputs differ, as in recurrent layers (R2U-Net), where the weights differ, on
random functions, and where a call has arguments that the trace does not tell (the slope of a
LeakyReLU that is a function, a weight that is computed). In training two calls of a dropout
differ, and two of a batch norm move its statistics twice.

Already done by
---------------
ONNX Runtime, OpenVINO and Inductor remove common subexpressions. Eager PyTorch runs both.

Options
-------
None.

References
----------
Common subexpression elimination.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from convlint_rules.duplicate_call.equal import duplicates

from convlint import contract
from convlint.analysis import mixers
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref, SourceSpan


@dataclass(frozen=True, slots=True)
class Repeated:
    """Nodes that repeat earlier ones; ``first`` gives for each the node that it repeats."""

    anchor: str
    nodes: tuple[str, ...]
    first: Mapping[str, str]


def find(context: Context, _options: contract.Options) -> Iterator[Repeated]:
    """Yield what is computed a second time, at its dearest node."""
    for found in duplicates(context.graph):
        anchor = max(found.nodes, key=lambda key: _weight(context, key))
        yield Repeated(anchor, found.nodes, found.first)


def _weight(context: Context, key: str) -> tuple[int, int]:
    cost = context.cost.nodes[key]
    return cost.macs, cost.bytes_moved


def guard(context: Context, site: Repeated, _options: contract.Options) -> Refusal | None:
    """Refuse what moves and computes nothing."""
    saved = context.saves(_edit(context.graph, site))
    if saved.macs <= 0 and saved.bytes_moved <= 0:
        return Refusal("it would save no MACs and no bytes", site.nodes)
    return None


def rewrite(context: Context, site: Repeated, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the graph in which all read the first result."""
    return (Rewrite("the first result again", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Repeated) -> GraphEdit:
    redirect = {
        Ref(key, output): Ref(site.first[key], output)
        for key in site.nodes
        for output in range(len(graph[key].outputs))
    }
    return GraphEdit(frozenset(site.nodes), (), redirect)


def advise(
    context: Context, sites: tuple[Repeated, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding by its dearest call."""
    site = max(sites, key=lambda site: _weight(context, site.anchor))
    node = context.graph[site.anchor]
    first = context.graph[site.first[site.anchor]]
    alike = [key for each in sites for key in each.nodes if context.graph[key].op == node.op]
    more = sum(len(each.nodes) for each in sites) - len(alike)
    again = "runs again" if node.module == first.module else f"repeats {first.module or first.kind}"
    what = f"{_words(node)} {again} on the same {_shape(context.graph, node)}"
    if len(alike) > 1:
        what += f", {len(alike)} times"
    repeated = "operation around it is" if more == 1 else "operations around it are"
    after = f", and {more} {repeated} repeated" if more else ""
    return contract.Advice(
        message=f"{what}{_lines(first, node)}{after}",
        instead=_code(node),
        risk="same function in eval mode, and old checkpoints load as they are; in training a batch "
        "norm would be updated once instead of twice",
    )


def _words(node: Node) -> str:
    if isinstance(node.op, (ir.Conv, ir.Linear)):
        return mixers.words(node)
    name = node.module or node.kind
    return f"{name} ({node.kind})" if name != node.kind else name


def _shape(graph: ModelGraph, node: Node) -> str:
    return "x".join(map(str, graph.spec(node.inputs[0]).shape)) if node.inputs else "weights"


def _lines(first: Node, again: Node) -> str:
    """Return where both calls are, "" where they are on one line or not known."""
    before, after = first.called_at, again.called_at
    if before is None or after is None or _told(before) == _told(after):
        return ""
    return f" (the call at {_told(after)} repeats {_told(before)})"


def _told(span: SourceSpan) -> str:
    return f"{span.path}:{span.line}"


def _code(node: Node) -> str:
    """Return the one call to make."""
    if node.module and node.layer and not node.function:
        call = f"y = self.{node.module}(x)"
        built = node.layer_class.rpartition(".")[2] or "Module"
        built = mixers.code(node) if isinstance(node.op, (ir.Conv, ir.Linear)) else f"nn.{built}"
        return f"{call}  # once, {built}\n# and y wherever its result is needed"
    return "y = ...  # the call, once\n# and y wherever its result is needed"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL411",
        name="duplicate-call",
        summary="the same call on the same tensor a second time",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
        done_by=("onnxruntime", "openvino", "inductor"),
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
)
