"""Where the time of a check goes: seconds of each step and of each rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from convlint.checking import ActiveRule

T = TypeVar("T")
_RULE = "rule "


class Stopwatch:
    """Adds up seconds of a clock under names; ``seconds`` has them in the order they came up."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to a name."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def told(self) -> list[tuple[str, float]]:
        """Return (name, seconds), the steps in their order, then the rules, slowest first."""
        rules = [name for name in self.seconds if name.startswith(_RULE)]
        steps = [name for name in self.seconds if not name.startswith(_RULE)]
        rules.sort(key=lambda name: -self.seconds[name])
        return [(name, self.seconds[name]) for name in (*steps, *rules)]

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a name."""
        started = self._clock()
        try:
            yield
        finally:
            self.add(name, self._clock() - started)

    def around(self, active: Sequence[ActiveRule]) -> tuple[ActiveRule, ...]:
        """Return the same rules, whose own time is added up under "rule CL301 dense-conv"."""
        return tuple(self._around(one) for one in active)

    def _around(self, one: ActiveRule) -> ActiveRule:
        rule = one.rule
        name = f"{_RULE}{rule.meta.code} {rule.meta.name}"
        self.add(name, 0.0)
        timed = replace(
            rule,
            find=self._drawn(name, rule.find),
            guard=self._called(name, rule.guard),
            rewrite=self._called(name, rule.rewrite),
            advise=self._called(name, rule.advise),
        )
        return replace(one, rule=timed)

    def _called(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            with self.running(name):
                return function(*args)

        return call

    def _drawn(
        self, name: str, function: Callable[..., Iterable[Any]]
    ) -> Callable[..., Iterator[Any]]:
        def draw(*args: Any) -> Iterator[Any]:
            with self.running(name):
                sites = function(*args)
            return self.drawn(name, sites)

        return draw

    def drawn(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; the time until each comes is added up, not what is done with it."""
        waiting = iter(items)
        while True:
            with self.running(name):
                found = next(waiting, self)
            if isinstance(found, Stopwatch):
                return
            yield found
