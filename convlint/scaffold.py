"""The files that a new rule starts from."""

from __future__ import annotations

_RULE = '''"""{code} {name}: one line that says what is found.

What it does
------------
Finds convolutions of one tap. Say which places, with the conditions.

Why it costs
------------
Say what the hardware does for nothing.

Example
-------
    self.conv = nn.Conv2d(64, 64, 1)

Use instead
-----------
    self.conv = nn.Identity()

Savings
-------
The formula, in MACs, parameters or bytes.

When not to apply
-----------------
Every exemption, and the risk.

Already done by
---------------
Nobody, or the runtimes that make this rewrite.

Options
-------
min-channels = 8: least input channels.

References
----------
Paper, section, table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint import contract
from convlint.analysis import drafting, neighbours
from convlint.contract import Context, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir import nodes as ir
from convlint.ir.nodes import Ref


class {title}Options(contract.Options, frozen=True):
    """Options of {code}."""

    min_channels: int = 8


@dataclass(frozen=True, slots=True)
class {title}:
    """One place: the node whose line is named, and all nodes of the place."""

    anchor: str
    nodes: tuple[str, ...]
    op: ir.Conv


def find(context: Context, _options: {title}Options) -> Iterator[{title}]:
    """Yield the candidates in execution order."""
    for node, op in neighbours.convs(context.graph):
        if op.taps == 1:
            yield {title}(node.id, (node.id,), op)


def guard(context: Context, site: {title}, options: {title}Options) -> Refusal | None:
    """Return why a place is left alone, with the values, or None."""
    if site.op.in_channels < options.min_channels:
        what = f"{{site.op.in_channels}} input channels, under {{options.min_channels}}"
        return Refusal(what, site.nodes)
    if context.graph.spec(context.graph[site.anchor].inputs[0]) != context.graph[site.anchor].output:
        return Refusal("its output is not as large as its input", site.nodes)
    return None


def rewrite(context: Context, site: {title}, _options: {title}Options) -> tuple[Rewrite, ...]:
    """Return what the place becomes; the saving is counted from it."""
    node = context.graph[site.anchor]
    edit = GraphEdit(frozenset(site.nodes), (), {{Ref(node.id): node.inputs[0]}})
    return (Rewrite("left out", edit),)


def advise(
    context: Context, sites: tuple[{title}, ...], _options: {title}Options
) -> contract.Advice:
    """Word all places that one line builds."""
    op = sites[0].op
    return contract.Advice(
        message=f"1x1 {{drafting.channels(op)}} ({{len(sites)}} in all)",
        instead="nn.Identity()",
        risk="another function, retrain",
    )


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="{code}",
        name="{name}",
        summary="one line for the list of rules",
        severity=Severity.INFO,
        exact=False,
        since="0.1.0",
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
    options={title}Options,
)
'''

_BAD = '''"""Models that {code} speaks about: the marked lines, and no others."""

import torch
from torch import nn


class Bad(nn.Module):
    """Say what is wasted here."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3)  # expect: {code}  <- wrong on purpose: mark the right line
        self.point = nn.Conv2d(64, 64, 1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.point(torch.relu(self.stem(x)))).mean((2, 3)))
'''

_GOOD = '''"""Models that {code} is silent about: near misses."""

import torch
from torch import nn


class Good(nn.Module):
    """Say why this is no finding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3)
        self.point = nn.Conv2d(64, 64, 1)  # found, wrongly: show a near miss here
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.point(torch.relu(self.stem(x)))).mean((2, 3)))
'''


def files_of(name: str, code: str) -> dict[str, str]:
    """Return the files of a new rule's folder: a rule that works, examples that fail."""
    title = "".join(word.capitalize() for word in name.split("-"))
    values = {"name": name, "code": code, "title": title}
    return {
        "__init__.py": "",
        "rule.py": _RULE.format(**values),
        "bad.py": _BAD.format(**values),
        "good.py": _GOOD.format(**values),
    }
