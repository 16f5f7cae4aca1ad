"""A model recorded on its own weights, and the rewrites made on it so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from convlint.applying.origins import origins
from convlint.applying.program import Program
from convlint.applying.values import Values
from convlint.applying.weights import compute
from convlint.checking.rewriting import Step
from convlint.contract import Context
from convlint.cost import count
from convlint.errors import ApplyError
from convlint.ir.nodes import Ref
from convlint.profiles import Target
from convlint.tracing.lowering import Bound, lower_bound
from convlint.tracing.sources import Locator
from convlint.tracing.tensors import KnownValues
from convlint.tracing.tracer import record


@dataclass(slots=True)
class Recording:
    """A recorded model: ``start`` is its graph with costs, ``steps`` what was made on it."""

    bound: Bound
    values: Values
    start: Context
    steps: list[Step] = field(default_factory=list)

    @property
    def now(self) -> Context:
        """The graph with all steps made."""
        return self.steps[-1].context if self.steps else self.start

    def take(self, step: Step) -> None:
        """Add a step with its new weights; raise ApplyError where they cannot be computed."""
        compute(step, self.values)
        self.steps.append(step)

    def first(self, count: int) -> Recording:
        """Return the same with only the first steps."""
        return Recording(self.bound, self.values, self.start, self.steps[:count])

    def module(self) -> fx.GraphModule:
        """Return the torch model with the steps made; raise ApplyError where it cannot be."""
        return self.emitted()[0]

    def emitted(self) -> tuple[fx.GraphModule, dict[str, tuple[str, ...]]]:
        """Return the torch model, and for each key of its state_dict the old keys it comes from."""
        redirect: dict[Ref, Ref] = {}
        for step in self.steps:
            for made in step.made:
                redirect.update(made.edit.redirect)
        program = Program(self.bound, self.now.graph, redirect, self.values)
        module = program.module()
        return module, origins(module, self.bound.graph, self.steps, program.parameters)


def start(
    model: nn.Module,
    given: tuple[tuple[Any, ...], dict[str, Any]],
    storages: dict[int, str],
    *,
    profile: Target,
    inferred: bool,
    outputs: tuple[str, ...] = (),
) -> Recording:
    """Record ``model`` on real tensors; raise ApplyError where it stops early.

    ``outputs`` are those that are read, if not all: what is emitted returns them alone.
    """
    locator = Locator(".")
    trace = record(model, *given, locator=locator, known=KnownValues(), outputs=outputs)
    if trace.stopped is not None:
        raise ApplyError(f"the model could not be run: {trace.stopped}") from trace.stopped
    bound = lower_bound(trace, storages)
    calls = {node.name: node for node in trace.graph.nodes}
    context = Context(bound.graph, count(bound.graph), profile, inferred)
    return Recording(bound, Values(bound, calls), context)
