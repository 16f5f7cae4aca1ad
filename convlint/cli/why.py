"""``convlint why`` and ``convlint why-not``: one module, and one rule on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from convlint.cli.options import outputs_of, outputs_option, read_settings, settings_options
from convlint.cli.types import Memory

if TYPE_CHECKING:
    from convlint.contract import Finding, Layer, ModelReport, Rule
    from convlint.pipeline import Run

_HELP = {"help_option_names": ["-h", "--help"]}
_MOST = 12


def _shared(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--model", default="", metavar="EXPR", help="The model of the file."),
            click.option(
                "--input", "inputs", multiple=True, metavar="SHAPE", help="Like 1x3x224x224."
            ),
            outputs_option,
            settings_options,
            click.option("--python", metavar="PATH", help="The interpreter that reads the model."),
            click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=120.0),
            click.option("--memory", type=Memory(), default="8GiB", help="What it may take."),
            click.option("-v", "--verbose", count=True, help="Say more, with traces."),
            click.option("-q", "--quiet", is_flag=True, help="Say less."),
        )
    ):
        command = option(command)
    return command


@click.command(context_settings=_HELP)
@click.argument("module", metavar="MODULE")
@click.argument("target", metavar="TARGET")
@_shared
def why(**flags: Any) -> int:
    """Tell what one module costs, what is found on it, and what was looked at and left alone.

    MODULE is a path in the model, like layer1.0.conv1; a beginning of paths takes all below it.
    """
    from convlint.cli.output import stdout

    run = _run(flags, ())
    for report in _reports(run, flags):
        layers = _layers(report, flags["module"])
        stdout("\n".join(_told(report, layers, flags["module"])))
    return 0


@click.command("why-not", context_settings=_HELP)
@click.argument("rule", metavar="RULE")
@click.argument("layer", metavar="LAYER")
@click.argument("target", metavar="TARGET")
@_shared
def why_not(**flags: Any) -> int:
    """Tell why a rule finds nothing on a layer: its reason and the modules at fault.

    RULE is a code or a name, LAYER the path of a module, like layer1.0.conv1.
    """
    from convlint import gate
    from convlint.cli.output import stdout

    known = gate.known_rules()
    rule = gate.find_rule(known, flags["rule"])
    first = (one.meta.code for one in known if one.meta.first)
    run = _run(flags, (rule.meta.code, *rule.meta.yields_to, *first))
    for report in _reports(run, flags):
        _layers(report, flags["layer"])
        stdout("\n".join(_reasons(report, rule, flags["layer"])))
    return 0


def _run(flags: dict[str, Any], codes: tuple[str, ...]) -> Run:
    from dataclasses import replace

    from convlint import gate, pipeline
    from convlint.cli import output
    from convlint.pipeline import Job
    from convlint.sandbox import Limits
    from convlint.settings import parse_inputs

    settings = read_settings((flags["target"],), flags)
    if codes:
        known = {rule.meta.code for rule in gate.known_rules()}
        chosen = tuple(code for code in codes if code in known)
        settings = replace(settings, select=chosen, extend_select=(), ignore=())
    job = Job(
        targets=(flags["target"],),
        model=flags["model"],
        inputs=parse_inputs(flags["inputs"]),
        outputs=outputs_of(flags),
        python=flags["python"],
        limits=Limits(flags["timeout"], flags["memory"], 0),
    )
    run = pipeline.check(job, settings)
    output.Teller(verbose=flags["verbose"], quiet=flags["quiet"]).outcomes(run.outcomes)
    return run


def _reports(run: Run, flags: dict[str, Any]) -> list[ModelReport]:
    from convlint import errors

    found = [one.report for one in run.outcomes if one.report.status in ("complete", "partial")]
    if not found:
        raise errors.ModelError("no model was read", where=flags["target"])
    return found


def _layers(report: ModelReport, module: str) -> list[Layer]:
    """Return the layers of a module and below; raise UsageError with the close ones."""
    from convlint import errors

    found = [
        layer
        for layer in report.layers
        if layer.module == module or layer.module.startswith(f"{module}.")
    ]
    known = list(dict.fromkeys(layer.module for layer in report.layers))
    places = {refusal.module for refusal in report.refusals}
    if not found and module not in places:
        close = errors.suggest(module, known)
        fix = close or f"layers there: {', '.join(known[:_MOST])}{', …' if known[_MOST:] else ''}"
        raise errors.UsageError(f"no layer {module!r}", where=report.target, fix=fix)
    return found


def _below(modules: tuple[str, ...], module: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for name in modules)


def _told(report: ModelReport, layers: list[Layer], module: str) -> Iterator[str]:
    from convlint.cli.worded import number, size

    total = report.totals
    macs = sum(layer.macs for layer in layers)
    params = sum(layer.params for layer in layers)
    moved = sum(layer.bytes_read + layer.activation_bytes for layer in layers)
    share = 100 * macs / total.macs if total.macs else 0.0
    yield f"{report.target}: {module}"
    yield (
        f"  costs {number(macs)} MACs ({share:.1f} % of the model), {number(params)} params, moves "
        f"{size(moved)}, in {len(layers)} calls of layers"
    )
    for layer in layers[:_MOST]:
        yield f"  {_line(layer)}"
    if layers[_MOST:]:
        yield f"  … and {len(layers) - _MOST} more"
    found = [finding for finding in report.findings if _below(finding.modules, module)]
    for finding in found:
        yield from _found(finding)
    for refusal in report.refusals:
        if _below((refusal.module,), module):
            yield f"  {refusal.code} {refusal.name} left {refusal.module} alone: {refusal.reason}"
    if not found:
        yield "  nothing is found on it"


def _line(layer: Layer) -> str:
    from convlint.cli.worded import number

    shapes = [
        "x".join(map(str, shape)) for shape in (*layer.input_shapes[:1], *layer.output_shapes[:1])
    ]
    where = f"  {layer.location.path}:{layer.location.line}" if layer.location else ""
    return f"{layer.module or '(root)'} {layer.kind} {' -> '.join(shapes)} {number(layer.macs)} MACs{where}"


def _found(finding: Finding) -> Iterator[str]:
    from convlint.cli.worded import number

    saved = finding.saving
    where = f"{finding.location.path}:{finding.location.line}: " if finding.location else ""
    yield f"  {where}{finding.code} {finding.name} [{finding.severity.value}]"
    yield f"    {finding.message}"
    if saved.macs or saved.params:
        yield f"    saves {number(saved.macs)} MACs, {number(saved.params)} params (alone)"
    for line in finding.instead.splitlines():
        yield f"    | {line}"


def _reasons(report: ModelReport, rule: Rule, layer: str) -> Iterator[str]:
    meta = rule.meta
    head = f"{report.target}: {meta.code} {meta.name} on {layer}"
    found = [f for f in report.findings if f.code == meta.code and _below(f.modules, layer)]
    if found:
        yield f"{head}: it is found"
        for finding in found:
            yield from _found(finding)
        return
    told = [r for r in report.refusals if r.code == meta.code and _below((r.module,), layer)]
    for refusal in told:
        at = [name for name in refusal.at if name and name != refusal.module]
        more = f" (at fault: {', '.join(at)})" if at else ""
        yield f"{head}: {refusal.reason}{more}"
    if told:
        return
    yield f"{head}: it is no place of this rule, which finds {meta.summary}"
    others = [r for r in report.refusals if r.code == meta.code]
    places = [f for f in report.findings if f.code == meta.code]
    for finding in places[:3]:
        yield f"  found on {', '.join(finding.module_groups)}"
    for refusal in others[:3]:
        yield f"  the nearest misses: {refusal.module}: {refusal.reason}"
    if not places and not others:
        yield "  it has no place in this model at all"
