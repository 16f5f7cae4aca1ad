"""The library call: lint a model instance in this process, without files and flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from convlint import checking, frames, gate, plugins
from convlint.contract import ModelReport
from convlint.errors import UsageError, suggest
from convlint.settings import ALL_RULES, Profile, Settings


def lint(
    model: Any,
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    select: Iterable[str] = (ALL_RULES,),
    ignore: Iterable[str] = (),
    profile: str = "generic",
    target: str = "",
) -> ModelReport:
    """Return what the rules say about ``model`` on these inputs.

    ``inputs`` and ``kwargs`` are what ``forward`` takes, on any device; without any, shapes are
    inferred as on the command line. The model runs once, in eval mode, on meta twins of its
    weights, and is left as it was found. ``select`` and ``ignore`` take codes, prefixes and
    names. Where a layer's constructor line is not known, a finding's ``location`` is None.

    A model that cannot be read gives a report with status ``failed``. Raises ConvlintError for an
    unknown rule or profile, and TypeError for something that is no ``torch.nn.Module``.
    """
    from convlint.tracing import inline

    settings = Settings(
        root=Path.cwd(),
        select=tuple(select),
        ignore=tuple(ignore),
        profile=_profile(profile),
        sources={"select": "lint()", "ignore": "lint()"},
    )
    active = gate.active_rules(plugins.load_rules(), settings)
    reply = inline.read_instance(
        model, inputs, dict(kwargs or {}), target=target or type(model).__name__
    )
    report = checking.check_model(reply, active, profile=settings.profile.value)
    return frames.fill(report, reply.sources)


def _profile(name: str) -> Profile:
    try:
        return Profile(name)
    except ValueError:
        known = [profile.value for profile in Profile]
        fix = suggest(name, known) or f"known are {', '.join(known)}"
        raise UsageError(f"unknown profile {name!r}", fix=fix) from None
