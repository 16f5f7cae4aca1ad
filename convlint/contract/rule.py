"""What a rule must be: pure functions of (Context, options), and what they return."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import msgspec

from convlint.contract.report import ArgumentEdit
from convlint.contract.severity import Severity
from convlint.cost import GraphCost, Saved, Savings
from convlint.edit import GraphEdit
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import SourceSpan
from convlint.profiles import GENERIC, Target


class Options(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """Base of a rule's options: the table ``[tool.convlint.rules.<name>]``.

    Fields are written kebab-case in TOML; a unknown key is refused.
    """


@dataclass(frozen=True)
class Context:
    """What a rule may look at: the graph, its counted costs, the target.

    ``inferred`` is true where the input's shape was guessed: what holds only at the traced size
    is then an assumption.
    """

    graph: ModelGraph
    cost: GraphCost
    target: Target = GENERIC
    inferred: bool = False

    @property
    def profile(self) -> str:
        """The name of the target profile."""
        return self.target.name

    @cached_property
    def savings(self) -> Savings:
        """Counts edits of the graph."""
        return Savings(self.graph, self.cost)

    def saves(self, edit: GraphEdit) -> Saved:
        """Return the cost of the graph minus the cost of the edited graph."""
        return self.savings.of(edit)


class Site(Protocol):
    """One place where a rule applies; a rule has a frozen dataclass of its own for it.

    ``anchor`` is the node whose constructor line the finding points at; ``nodes`` are all
    nodes the place consists of, the anchor included. A site of a module that no node stands for
    has a :class:`Place` as its ``place`` too; its anchor is then a node inside that module, or
    the model's Output node.
    """

    @property
    def anchor(self) -> str:
        """The id of the node that the finding points at."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """The ids of all nodes of the place."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Modules that no node stands for: their paths, and the lines that build them."""

    modules: tuple[str, ...]
    location: SourceSpan | None
    built_through: tuple[SourceSpan, ...] = ()


def place_of(site: Site) -> Place | None:
    """Return where a site is that no node stands for; None for sites of nodes."""
    place = getattr(site, "place", None)
    return place if isinstance(place, Place) else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a place that matched is left alone: a reason with values, the nodes at fault."""

    reason: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One way to build a place differently.

    ``claimed`` is false where the rewrite only shows that the place is worth a word (it
    passes the gate with it) but the finding promises nothing.
    """

    label: str
    edit: GraphEdit
    claimed: bool = True


@dataclass(frozen=True, slots=True)
class Advice:
    """The words of a finding over all its places (one constructor line).

    ``message`` is what and why with this layer's numbers, on one line, without the saving
    (the engine adds it); ``instead`` is code to write, a few lines; ``risk`` the honest
    warning. ``severity`` is this finding's own, where the profile's default is too much.
    ``fix`` are arguments to change where the finding points, if that alone is the cure.
    """

    message: str
    instead: str
    risk: str = ""
    severity: Severity | None = None
    fix: tuple[ArgumentEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleMeta:
    """What is known of a rule before it runs.

    ``gated`` rules show nothing while the sum of their savings in the model is under the
    gate in every counted quantity. What ``first`` rules find, they take out before all others,
    which are silent about those nodes. ``yields_to`` lists codes of rules whose findings on the
    same node silence this one. ``at_size`` rules are true only at the traced input size: of a
    model that is declared at several they tell what holds at all, or, with ``any_size``, at one
    (a limit that has to be kept at every size).
    ``done_by`` names the runtimes that make this rewrite themselves.
    """

    code: str
    name: str
    summary: str
    severity: Severity
    exact: bool
    since: str
    gated: bool = True
    preview: bool = False
    yields_to: tuple[str, ...] = ()
    first: bool = False
    severity_by_profile: Mapping[str, Severity] = field(default_factory=dict)
    at_size: bool = False
    any_size: bool = False
    done_by: tuple[str, ...] = ()

    def severity_under(self, target: Target) -> Severity:
        """Return the default severity under a target profile, or under the one it is based on."""
        known = [self.severity_by_profile.get(name) for name in target.family]
        return next((severity for severity in known if severity is not None), self.severity)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: where, may it, what it becomes, and the words for it.

    ``find`` yields candidate sites in execution order. ``guard`` returns why a site is left
    alone, or None. ``rewrite`` returns the ways to build it differently, the first is the one
    counted. ``advise`` gets all sites that share a constructor line. ``doc`` is the page that
    ``convlint rule CODE`` prints; ``folder`` is where bad.py and good.py stand.

    ``weights`` names the function that computes the tensors of new parameters on the real torch
    model, as "package.module:function" (see :mod:`convlint.applying`); a rule that only moves
    layers needs none, and one that is not exact gets new layers untrained.
    """

    meta: RuleMeta
    find: Callable[[Context, Any], Iterable[Any]]
    guard: Callable[[Context, Any, Any], Refusal | None]
    rewrite: Callable[[Context, Any, Any], tuple[Rewrite, ...]]
    advise: Callable[[Context, tuple[Any, ...], Any], Advice]
    doc: str
    folder: str
    options: type[Options] = Options
    weights: str = ""
