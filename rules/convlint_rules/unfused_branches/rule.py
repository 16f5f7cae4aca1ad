"""CL409 unfused-branches: parallel linear branches that are summed.

What it does
------------
Finds sums whose terms are branches of one tensor, each a convolution, a batch norm, both or the
tensor itself, with no activation inside: RepVGG, MobileOne and their like as they are trained. Of
x + conv(x) with no norm (positional encodings by a depthwise convolution) it tells as information.

Why it costs
------------
The branches are linear, so one convolution does the same. MobileOne-S0 takes 1.05 GMACs in 191
convolutions unfused and 0.27 in 43 fused.

Example
-------
    x = self.norm3(self.conv3(x)) + self.norm1(self.conv1(x)) + self.norm0(x)

Use instead
-----------
    x = self.fused(x)   # nn.Conv2d(64, 64, 3, padding=1)

or call what the class has for it before export: reparameterize(), switch_to_deploy(), fuse().

Savings
-------
MACs and weights of all branches but the one with the largest kernel, and their kernels' passes. Of
x + conv(x) the addition's pass alone, no MACs: 8 % of the bytes that timm davit_tiny writes, and 0.99
(eager) and 0.97 (ONNX Runtime) of its time on one thread of a CPU.

Measured, time after / before in eager, torch.compile, ONNX Runtime, OpenVINO (docs/measured.md):
timm mobileone_s0: 0.17, -, 0.29, 0.29; timm repvgg_a0: 0.67, -, 0.88, 0.85; mobileone_s0's second
stage: 0.15, 0.16, 0.27, 0.30.

When not to apply
-----------------
The same function in eval mode, not in training. Old checkpoints fit the unfused model: fuse after
loading (convlint apply writes the new weights). Silent where a branch has an activation or a pool,
where strides or kinds of padding differ, where a branch's result or layer is used elsewhere too, and
where the one kernel would cost more than the branches (1x7 beside 7x1, depthwise beside dense).

Already done by
---------------
Nobody of those looked at.

Options
-------
None.

References
----------
Ding et al., RepVGG, arXiv 2101.03697 (3.3); Vasu et al., MobileOne, arXiv 2206.04040.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint_rules.unfused_branches import branches
from convlint_rules.unfused_branches.branches import Branch

from convlint import contract
from convlint.analysis import drafting
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Ref

SUFFIX = "fused"


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum: the branches of one tensor in it, and its other terms."""

    anchor: str
    nodes: tuple[str, ...]
    root: str
    source: Ref
    branches: tuple[Branch, ...]
    rest: tuple[Ref, ...]
    scalar: float

    @property
    def residual(self) -> bool:
        """Whether it is one conv without a norm, and the tensor itself: x + conv(x)."""
        convs = [branch for branch in self.branches if branch.conv is not None]
        bare = not any(branch.norms for branch in self.branches)
        return bare and len(convs) == 1 and len(self.branches) == 2


def find(context: Context, _options: contract.Options) -> Iterator[Sum]:
    """Yield sums with two branches or more of one tensor, one of them a convolution at least."""
    yield from _places(context.graph)


def _places(graph: ModelGraph) -> Iterator[Sum]:
    for node in graph:
        if isinstance(node.op, ir.Add) and not _inside(graph, node):
            terms, adds, scalar = branches.terms(graph, node)
            if len(terms) >= 2:
                yield from _sums(graph, node, terms, adds, scalar)


def _inside(graph: ModelGraph, node: Node) -> bool:
    """Tell whether a sum is only a term of another one."""
    users = graph.users(node)
    return len(users) == 1 and isinstance(users[0].op, ir.Add) and users[0].output == node.output


def _sums(
    graph: ModelGraph, root: Node, terms: list[Ref], adds: list[str], scalar: float
) -> Iterator[Sum]:
    by_source: dict[Ref, list[Branch]] = {}
    for place, term in enumerate(terms):
        branch = branches.branch(graph, term, place)
        by_source.setdefault(branch.source, []).append(branch)
    for source, members in by_source.items():
        convs = [branch for branch in members if branch.conv is not None]
        if len(members) < 2 or not convs:
            continue
        taken = {branch.place for branch in members}
        rest = tuple(term for place, term in enumerate(terms) if place not in taken)
        inner = [key for branch in members for key in branch.nodes]
        largest = max(convs, key=lambda b: graph[b.conv or ""].op.taps)  # type: ignore[union-attr]
        assert largest.conv is not None
        yield Sum(
            largest.conv, (*dict.fromkeys((*inner, *adds)),), root.id, source, tuple(members),
            rest, scalar,
        )  # fmt: skip
        return


def guard(context: Context, site: Sum, _options: contract.Options) -> Refusal | None:
    """Refuse branches that do not fold into one kernel, or whose result is used elsewhere."""
    graph = context.graph
    for branch in site.branches:
        reason = branches.fault(graph, branch, site.source)
        if reason:
            return Refusal(reason, branch.nodes)
    inner = [key for key in site.nodes if key != site.root]
    tapped = [key for key in inner if len(graph.users(graph[key])) > 1]
    if tapped:
        return Refusal("a branch is read elsewhere", tuple(tapped))
    op = branches.merged(graph, site.branches, site.source, site.scalar)
    if isinstance(op, str):
        return Refusal(op, site.nodes)
    other = _other_use(graph, site)
    if other is not None:
        return Refusal(f"{other.module or other.id} is also called outside this sum", (other.id,))
    saved = context.saves(_edit(graph, site))
    if saved.macs < 0 or (saved.macs == 0 and saved.bytes_moved <= 0):
        return Refusal(f"it would save {saved.macs} MACs and {saved.bytes_moved} bytes", site.nodes)
    return None


def _other_use(graph: ModelGraph, site: Sum) -> Node | None:
    """Return a call of one of the layers that is in no sum of the same branches."""
    used = {param.storage for key in site.nodes for param in graph[key].params}
    outside = [node for node in graph.holders(used) if node.id not in site.nodes]
    if not outside:
        return None
    key = _key(graph, site)
    alike = {node for each in _places(graph) if _key(graph, each) == key for node in each.nodes}
    return next((node for node in outside if node.id not in alike), None)


def _key(graph: ModelGraph, site: Sum) -> object:
    """Return what is equal for two sums that one kernel serves."""
    layers = (graph[node] for branch in site.branches for node in branch.nodes)
    used = tuple((node.op, tuple(param.storage for param in node.params)) for node in layers)
    return used, site.scalar, branches.merged(graph, site.branches, site.source, site.scalar)


def rewrite(context: Context, site: Sum, _options: contract.Options) -> tuple[Rewrite, ...]:
    """Return the one convolution, and the sum with the other terms where there are any."""
    return (Rewrite("one convolution", _edit(context.graph, site)),)


def _edit(graph: ModelGraph, site: Sum) -> GraphEdit:
    node, root = graph[site.anchor], graph[site.root]
    op = branches.merged(graph, site.branches, site.source, site.scalar)
    assert isinstance(op, ir.Conv)
    made = [drafting.draft_conv(node, SUFFIX, op, site.source, graph.spec(site.source).shape)]
    last = Ref(made[0].id)
    for place, term in enumerate(site.rest):
        total = Node(
            f"{root.id}~rest{place}", ir.Add(), (last, term), root.outputs, module=root.module
        )
        made.append(total)
        last = Ref(total.id)
    return GraphEdit(frozenset({*site.nodes, site.root}), tuple(made), {Ref(root.id): last})


def advise(context: Context, sites: tuple[Sum, ...], _options: contract.Options) -> contract.Advice:
    """Word the finding by its dearest sum, one that saves a kernel before one that saves none."""
    graph = context.graph
    site = max(sites, key=lambda site: (not site.residual, context.cost.macs_of(site.anchor)))
    op = branches.merged(graph, site.branches, site.source, site.scalar)
    assert isinstance(op, ir.Conv)
    among = "" if len(sites) == 1 else f" (the dearest of {len(sites)} sums)"
    node = graph[site.anchor]
    code = drafting.chain_code(node, op)
    hint = "  # or the class's own fuse() before export"
    if site.residual:
        hint = "  # alone, 1 more on the middle tap"
    return contract.Advice(
        message=_message(graph, site, op, among),
        instead=code if drafting.is_functional(node) else f"{code}{hint}",
        risk="same function in eval mode, not in training; fuse after loading a checkpoint: convlint "
        "apply makes the new weights",
        severity=Severity.INFO if site.residual else None,
    )


def _message(graph: ModelGraph, site: Sum, op: ir.Conv, among: str) -> str:
    kernel = drafting.extent(op.kernel)
    if site.residual:
        return (
            f"a tensor is added to its own {kernel} conv {drafting.channels(op)}{among}: a kernel with "
            "1 more on the middle tap does the same without the addition's pass"
        )
    kinds = ", ".join(branches.words(graph, branch) for branch in site.branches)
    return (
        f"{len(site.branches)} linear branches of one tensor are summed{among}: {kinds}; one "
        f"{kernel} {drafting.channels(op)} does the same"
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL409",
        name="unfused-branches",
        summary="parallel linear branches that are summed",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    weights="convlint_rules.unfused_branches.apply:weights",
)
