"""The library calls: lint or rewrite a model instance in this process, without files and flags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlint import checking, frames, gate, plugins, profiles
from convlint.checking import ActiveRule
from convlint.contract import ModelReport
from convlint.errors import ApplyError
from convlint.profiles import Target
from convlint.settings import ALL_RULES, Settings, parse_outputs

if TYPE_CHECKING:
    from convlint.applying import Change


def lint(
    model: Any,
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    select: Iterable[str] = (ALL_RULES,),
    ignore: Iterable[str] = (),
    profile: str = "generic",
    target: str = "",
    outputs: Iterable[str | int] = (),
) -> ModelReport:
    """Return what the rules say about ``model`` on these inputs.

    ``inputs`` and ``kwargs`` are what ``forward`` takes, on any device; without any, shapes are
    inferred as on the command line. The model runs once, in eval mode, on meta twins of its
    weights, and is left as it was found. ``select`` and ``ignore`` take codes, prefixes and
    names. ``outputs`` are those that inference reads, by key or position; without any all count.
    Where a layer's constructor line is not known, a finding's ``location`` is None.

    A model that cannot be read gives a report with status ``failed``. Raises ConvlintError for an
    unknown rule or profile, and TypeError for something that is no ``torch.nn.Module``.
    """
    from convlint.tracing import inline

    active, settings = active_rules("lint()", select, ignore, profile)
    reply = inline.read_instance(
        model,
        inputs,
        dict(kwargs or {}),
        target=target or type(model).__name__,
        outputs=output_names(outputs),
    )
    report = checking.check_model(reply, active, profile=settings.profile)
    return frames.fill(report, reply.sources)


@dataclass(frozen=True, slots=True)
class Application:
    """What :func:`apply` gives; unpacks as ``module, report``.

    ``module`` is the rewritten model, a ``torch.fx.GraphModule`` in eval mode; ``report`` that of
    the given model, whose ``after.exact`` is what the module costs. ``largest_difference`` is
    that of the outputs in float64, in parts of their scale; None where nothing was compared.
    ``changes`` are the rewrites made, ``refused`` those left out, with the reason.
    """

    module: Any
    report: ModelReport
    changes: tuple[Change, ...]
    largest_difference: float | None
    refused: tuple[str, ...] = ()
    note: str = ""

    def __iter__(self) -> Iterator[Any]:
        """Yield the module and the report."""
        yield self.module
        yield self.report


def apply(
    model: Any,
    *inputs: Any,
    kwargs: Mapping[str, Any] | None = None,
    rules: Iterable[str] | None = None,
    profile: str = "generic",
    outputs: Iterable[str | int] = (),
) -> Application:
    """Return ``model`` with rewrites made, and what is said about it; the model stays as it was.

    ``rules`` takes codes, prefixes and names; without it all exact rules are applied. The outputs
    with the exact rewrites are compared in float64, on the given inputs and on random ones of
    their shapes; a rewrite that differs by more than 1e-9 of the outputs' scale is left out and
    named in ``refused``. Rules that are not exact, where asked for, build new layers untrained.
    Without ``inputs`` shapes are inferred, and rules that hold only at one size are left out.
    ``outputs`` are those that inference reads: the module returns them alone, in a dict of their
    keys or a tuple in their order, and they alone are compared.

    Raises ApplyError where the model cannot be run in float64, recorded or emitted (weights on
    the meta device, outputs that depend on values), ConvlintError for an unknown rule.
    """
    from convlint import applying
    from convlint.tracing import inputs as shapes

    known = plugins.load_rules()
    chosen = (
        tuple(rules) if rules is not None else tuple(r.meta.code for r in known if r.meta.exact)
    )
    active = gate.active_rules(known, _settings("apply()", chosen, (), profile))
    names = output_names(outputs)
    report = lint(model, *inputs, kwargs=kwargs, select=chosen, profile=profile, outputs=names)
    if report.status == "failed":
        raise ApplyError(
            "; ".join(d.message for d in report.diagnostics) or "the model was not read"
        )
    inferred = any(given.origin == "inferred" for given in report.inputs)
    given, named = inputs, dict(kwargs or {})
    if not inputs and not named:
        given, named = shapes.make(report.inputs, "cpu")
    made = applying.apply(
        applying.Task(
            model,
            tuple(given),
            named,
            active,
            profile=_profile(profile),
            inferred=inferred,
            outputs=names,
        )
    )
    return Application(
        made.module, report, made.changes, made.largest_difference, made.refused, made.note
    )


def active_rules(
    where: str, select: Iterable[str], ignore: Iterable[str], profile: str
) -> tuple[tuple[ActiveRule, ...], Settings]:
    """Return the rules that are to run, and the settings; ``where`` begins an error about them."""
    settings = _settings(where, select, ignore, profile)
    return gate.active_rules(plugins.load_rules(), settings), settings


def _settings(where: str, select: Iterable[str], ignore: Iterable[str], profile: str) -> Settings:
    return Settings(
        root=Path.cwd(),
        select=tuple(select),
        ignore=tuple(ignore),
        profile=_profile(profile),
        sources={"select": where, "ignore": where},
    )


def output_names(outputs: Iterable[str | int]) -> tuple[str, ...]:
    """Return the names of outputs as text; one string is one name."""
    names = [outputs] if isinstance(outputs, str) else list(outputs)
    return parse_outputs(names or None, "outputs")


def _profile(name: str) -> Target:
    return profiles.load(name, where="profile")
