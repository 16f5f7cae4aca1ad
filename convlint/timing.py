"""Where the time of a check goes: seconds of each step and of each rule."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from convlint.checking import ActiveRule


class Stopwatch:
    """Adds up seconds under names; ``seconds`` has them in the order they came up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def add(self, name: str, seconds: float) -> None:
        """Add seconds to a name."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Add the time spent inside to a name."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def around(self, active: Sequence[ActiveRule]) -> tuple[ActiveRule, ...]:
        """Return the same rules, whose own time is added up under "CL301 dense-conv"."""
        return tuple(self._around(one) for one in active)

    def _around(self, one: ActiveRule) -> ActiveRule:
        rule = one.rule
        name = f"{rule.meta.code} {rule.meta.name}"
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
        """Time a generator while it works, not while others use what it gave."""

        def draw(*args: Any) -> Iterator[Any]:
            with self.running(name):
                sites = iter(function(*args))
            while True:
                with self.running(name):
                    site = next(sites, self)
                if site is self:
                    return
                yield site

        return draw
