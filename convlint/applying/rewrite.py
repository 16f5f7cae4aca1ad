"""apply: the steps from a model to the rewritten model and its proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from convlint.analysis.folding import fold
from convlint.applying import content, proof
from convlint.applying.recording import Recording, start
from convlint.checking.rewriting import Step, rewrite_exactly, rewrite_once
from convlint.checking.run import ActiveRule, run_rules
from convlint.checking.sizes import Sizes
from convlint.contract import Context, place_of
from convlint.cost import count
from convlint.errors import ApplyError
from convlint.ir.graph import ModelGraph
from convlint.profiles import GENERIC, Target
from convlint.tracing import twins
from convlint.tracing.tensors import tensors_in

RANDOM = "the outputs depend on randomness in eval mode: they were not compared"
EMPTY = "the outputs are all NaN or infinite: comparing them says nothing"
GUESSED = "it holds at this input size only, which was guessed: --input SHAPE says which it is"


@dataclass(frozen=True, slots=True)
class Change:
    """One rewrite that was made: the rule, the modules, whether it keeps the function.

    ``at_size`` is true where it does so only at the given input size.
    """

    code: str
    name: str
    modules: tuple[str, ...]
    exact: bool
    at_size: bool = False


@dataclass(frozen=True, slots=True)
class Applied:
    """A rewritten model.

    ``module`` is a GraphModule in eval mode with weights of its own; it takes the tensors that
    the model takes, in order. ``before`` and ``after`` are the graphs with their costs.
    ``largest_difference`` is that of the outputs in float64 with the exact rewrites made, in
    parts of the outputs' scale; None where nothing was compared (``note`` says why, if there was
    something to). ``refused`` are rewrites that were not made, each with its reason; ``left``
    those that were not tried, since they hold only at a size that was guessed, or not at every
    declared one. ``origins`` gives for each key of the module's state_dict the old keys that it
    is made of.
    """

    module: fx.GraphModule
    changes: tuple[Change, ...]
    before: Context
    after: Context
    largest_difference: float | None
    refused: tuple[str, ...] = ()
    note: str = ""
    left: tuple[str, ...] = ()
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """What to rewrite, at which inputs, with which rules; ``bound`` as in :mod:`.proof`.

    ``inferred`` is true where the inputs' shapes were guessed. ``others`` are the graphs of the
    model at the other inputs that are declared for it. ``outputs`` are those that are read, if not
    all: the rewritten model returns them alone.
    """

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    active: tuple[ActiveRule, ...]
    profile: Target = GENERIC
    inferred: bool = False
    others: tuple[ModelGraph, ...] = ()
    outputs: tuple[str, ...] = ()
    bound: float = proof.BOUND

    @property
    def given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The model's inputs."""
        return self.args, dict(self.kwargs)

    def sizes(self, first: Context) -> Sizes:
        """Return the recorded model, and the others beside it."""
        others = (Context(graph, count(graph), self.profile) for graph in self.others)
        return Sizes((first, *others))


@dataclass(slots=True)
class _Refused:
    """The places that are left alone, by rule and anchor, with the reason; grows as they fail."""

    reasons: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        return frozenset(self.reasons)

    def add(self, step: Step, why: str) -> None:
        meta = step.rule.rule.meta
        for each in step.made:
            anchor = each.site.anchor
            module = step.before[anchor].module or anchor
            self.reasons[meta.code, anchor] = f"{meta.code} {meta.name} at {module}: {why}"


def apply(task: Task) -> Applied:
    """Return the model with the rules' rewrites made on it; the given model stays as it was.

    The exact ones are made first and proven: outputs in float64 on the given inputs and on
    random ones of their shapes. A rewrite that differs by more than the bound is left out and
    named. Rules that are not exact build new layers untrained.

    Raises ApplyError where the model cannot be recorded, emitted or compared at all.
    """
    _require_weights(task.model)
    refused = _Refused()
    largest, note = _prove(task, refused)
    with twins.as_it_is(task.model) as storages:
        made = _make_exact(task, task.given, storages, refused)
        for step, *_ in rewrite_once(Sizes((made.now,)), task.active):
            if step is not None:
                made.take(step)
        module, keys = made.emitted()
    changes = tuple(change for step in made.steps for change in _changes(step))
    reasons = tuple(refused.reasons.values())
    left = tuple(_left(task, made.start))
    return Applied(module, changes, made.start, made.now, largest, reasons, note, left, keys)


def _make_exact(task: Task, given: Any, storages: dict[int, str], refused: _Refused) -> Recording:
    """Return a recording with all exact rewrites made whose weights can be computed."""
    while True:
        made = start(
            task.model,
            given,
            storages,
            profile=task.profile,
            inferred=task.inferred,
            outputs=task.outputs,
        )
        steps = rewrite_exactly(task.sizes(made.start), task.active, refused.keys)
        failed = _take_all(made, (first for first, *_ in steps if first is not None), refused)
        if not failed:
            return made


def _take_all(made: Recording, steps: Iterable[Step], refused: _Refused) -> bool:
    for step in steps:
        try:
            made.take(step)
        except ApplyError as error:
            refused.add(step, error.what)
            return True
    return False


def _left(task: Task, start: Context) -> Iterator[str]:
    """Yield what is not made of the rules that are exact at one size, a line a rule and reason."""
    if not (task.inferred or task.others):
        return
    sized = tuple(o for o in task.active if o.rule.meta.exact and o.rule.meta.at_size)
    for run in run_rules(task.sizes(start), sized)[0]:
        found: dict[str, list[str]] = {}
        for refusal in run.sized:
            found.setdefault(refusal.reason, []).append(refusal.module)
        guessed = [p.site.anchor for p in run.proposals if task.inferred and p.edit() is not None]
        if guessed:
            found[GUESSED] = [start.graph[anchor].module for anchor in guessed]
        meta = run.active.rule.meta
        for why, modules in found.items():
            yield f"{meta.code} {meta.name} at {', '.join(fold(modules))}: {why}"


def _prove(task: Task, refused: _Refused) -> tuple[float | None, str]:
    """Return the largest difference with all exact rewrites; those that fail are refused.

    A model that still has what its constructor wrote is compared a second time, with content.
    """
    largest, note = _prove_with(task, refused, filled=False)
    if largest is None or not content.is_fresh(task.model):
        return largest, note
    again, _ = _prove_with(task, refused, filled=True)
    return (largest if again is None else max(largest, again)), note


def _prove_with(task: Task, refused: _Refused, *, filled: bool) -> tuple[float | None, str]:
    given = list(proof.trials(*task.given))
    with twins.in_double(task.model) as storages, proof.Doubled():
        try:
            if filled:
                content.fill(task.model, *given[0])
            expected = [_seeded(task, *trial) for trial in given]
        except Exception as error:
            if filled:
                return None, ""
            raise ApplyError(f"the model does not run in float64: {error}") from error
        if proof.difference(expected[0], _seeded(task, *given[0], seed=7)) > 0:
            return None, RANDOM
        if not proof.telling(expected):
            return None, EMPTY
        while True:
            made = _make_exact(task, given[0], storages, refused)
            if not made.steps:
                return None, ""
            worst, why = _compare(made, given, expected)
            if worst <= task.bound:
                return worst, ""
            _blame(made, given, expected, task.bound, refused, why)


def _seeded(task: Task, args: Any, kwargs: Any, seed: int = 0) -> list[torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return proof.outputs_of(task.model, args, kwargs, task.outputs)


def _compare(made: Recording, given: Any, expected: Any) -> tuple[float, str]:
    """Return the largest difference over all trials, and the words for it."""
    try:
        module = made.module()
        found = [proof.outputs_of(module, tuple(tensors_in(trial)), {}) for trial in given]
    except Exception as error:
        return float("inf"), f"it cannot be made: {error}"
    worst = max(proof.difference(a, b) for a, b in zip(expected, found, strict=True))
    return worst, f"its outputs differ by {worst:.1e} of their scale"


def _blame(
    made: Recording, given: Any, expected: Any, bound: float, refused: _Refused, why: str
) -> None:
    """Refuse the first step whose outputs differ; raise ApplyError where none is at fault."""
    for length in range(len(made.steps) + 1):
        worst, why = _compare(made.first(length), given, expected)
        if worst > bound and length == 0:
            what = why.replace("it cannot be made", "the model cannot be emitted")
            what = what.replace("its outputs differ", "what runs depends on values: outputs differ")
            raise ApplyError(what)
        if worst > bound:
            refused.add(made.steps[length - 1], why)
            return
    raise ApplyError(f"the rewritten model fails, and no single rewrite does: {why}")


def _changes(step: Step) -> Iterator[Change]:
    meta = step.rule.rule.meta
    for each in step.made:
        place = place_of(each.site)
        nodes = dict.fromkeys(step.before[key].module for key in each.site.nodes)
        modules = place.modules if place else tuple(nodes)
        yield Change(meta.code, meta.name, modules, meta.exact, meta.at_size)


def _require_weights(model: nn.Module) -> None:
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.device.type == "meta":
            raise ApplyError(
                f"{name} is on the meta device and has no content",
                fix="build the model on the CPU, or load its weights",
            )
