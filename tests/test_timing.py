"""-v tells where the time goes; a rule's time is its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from convlint import gate, plugins
from convlint.settings import Settings
from convlint.timing import Stopwatch


def test_a_rule_is_timed_while_it_works_and_not_while_others_do() -> None:
    """A clock that only the rule moves: what happens between two sites is not the rule's."""
    now = [0.0]
    watch = Stopwatch(lambda: now[0])

    def find(_context: object, _options: object) -> Iterator[int]:
        for site in range(3):
            now[0] += 1.0
            yield site

    active = gate.active_rules(plugins.load_rules(), Settings(root=Path()))
    one = replace(active[0], rule=replace(active[0].rule, find=find))
    (timed,) = watch.around([one])
    for _ in timed.rule.find(None, None):
        now[0] += 10.0
    name = f"rule {one.rule.meta.code} {one.rule.meta.name}"
    assert watch.seconds == {name: 3.0}
    watch.add("check", 5.0)
    assert watch.told() == [("check", 5.0), (name, 3.0)]
