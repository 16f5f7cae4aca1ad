"""apply: the steps from a model to the rewritten model and its proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from convlint.applying import content, proof
from convlint.applying.recording import Recording, start
from convlint.checking.rewriting import Step, rewrite_exactly, rewrite_once
from convlint.checking.run import ActiveRule
from convlint.contract import Context, place_of
from convlint.errors import ApplyError
from convlint.profiles import GENERIC, Target
from convlint.tracing import twins
from convlint.tracing.tensors import tensors_in

RANDOM = "the outputs depend on randomness in eval mode: they were not compared"
EMPTY = "the outputs are all NaN or infinite: comparing them says nothing"


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
    something to). ``refused`` are rewrites that were not made, each with its reason. ``origins``
    gives for each key of the module's state_dict the old keys that it is made of.
    """

    module: fx.GraphModule
    changes: tuple[Change, ...]
    before: Context
    after: Context
    largest_difference: float | None
    refused: tuple[str, ...] = ()
    note: str = ""
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """What to rewrite, at which inputs, with which rules; ``bound`` as in :mod:`.proof`.

    ``inferred`` is true where the inputs' shapes were guessed.
    """

    model: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    active: tuple[ActiveRule, ...]
    profile: Target = GENERIC
    inferred: bool = False
    bound: float = proof.BOUND

    @property
    def given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The model's inputs."""
        return self.args, dict(self.kwargs)


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
        for step in rewrite_once(made.now, task.active):
            made.take(step)
        module, keys = made.emitted()
    changes = tuple(change for step in made.steps for change in _changes(step))
    reasons = tuple(refused.reasons.values())
    return Applied(module, changes, made.start, made.now, largest, reasons, note, keys)


def _make_exact(task: Task, given: Any, storages: dict[int, str], refused: _Refused) -> Recording:
    """Return a recording with all exact rewrites made whose weights can be computed."""
    while True:
        made = start(task.model, given, storages, profile=task.profile, inferred=task.inferred)
        failed = _take_all(made, rewrite_exactly(made.start, task.active, refused.keys), refused)
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
            expected = [_seeded(task.model, *trial) for trial in given]
        except Exception as error:
            if filled:
                return None, ""
            raise ApplyError(f"the model does not run in float64: {error}") from error
        if proof.difference(expected[0], _seeded(task.model, *given[0], seed=7)) > 0:
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


def _seeded(model: nn.Module, args: Any, kwargs: Any, seed: int = 0) -> list[torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return proof.outputs_of(model, args, kwargs)


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
