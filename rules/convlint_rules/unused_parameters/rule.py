"""CL410 unused-parameters: weights that no operation reads, operations that no one reads.

What it does
------------
Finds parameters that are registered in the model and that no operation of its forward pass in
eval mode reads: auxiliary heads, branches that are never taken, layers that were replaced and
left. It names the largest module around them that is idle as a whole.

Told which outputs inference reads (--outputs out, or outputs = ["out"] for a model in
pyproject.toml), it also finds the operations that feed the other outputs alone. Without that all
outputs count.

Why it costs
------------
They are stored, shipped, loaded and kept in memory. An auxiliary classifier kept for training
only is half of GoogLeNet. One that forward runs in eval mode too costs its MACs with every call:
torchvision's fcn_resnet50 with aux_loss=True spends 9.99 of 152.7 GMACs at 520x520 on it.

Example
-------
    self.aux1 = InceptionAux(512, 1000)  # forward calls it in training only

Use instead
-----------
    model = torchvision.models.googlenet(aux_logits=False)
    model.load_state_dict(old, strict=False)

or, before the weights are saved for inference: del model.aux1. For an output that nobody reads:
torchvision.models.segmentation.fcn_resnet50(aux_loss=False), or

    convlint apply "torchvision.models.segmentation:fcn_resnet50(aux_loss=True)" --outputs out

whose model returns a dict with "out" alone: dicts, dataclasses and other objects become dicts of
the kept keys, lists, tuples and NamedTuples become tuples of the kept values in their order.

Savings
-------
The parameters and their bytes; with --outputs everything that the operations cost, taken out
before the other rules look.

When not to apply
-----------------
True for this forward pass: a flag, another input, another method of the class or training may
reach them. An output that the loss reads is needed in training: take the smaller model for
inference alone. Weights that are read by a function call, or shared with a layer that runs, are
used. Silent where the run ended early or read no parameter at all, and on copies that their name
calls moving averages (ema, momentum, teacher).

Already done by
---------------
Exporters (ONNX, TorchScript after freezing) leave them out of what they write; the checkpoint and
the model in PyTorch keep them.

Options
-------
None.

References
----------
torchvision's googlenet and inception_v3, whose auxiliary heads run in training only; its fcn and
deeplabv3, whose auxiliary classifier runs in eval mode too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convlint_rules.unused_parameters import unread
from convlint_rules.unused_parameters.unread import Unread

from convlint import contract
from convlint.contract import Context, Place, Refusal, Rewrite, Severity
from convlint.edit import GraphEdit
from convlint.ir.nodes import Idle, Param

AVERAGES = frozenset({"ema", "momentum", "teacher"})
"""Words in the name of a module that is a moving average of another."""


@dataclass(frozen=True, slots=True)
class Unused:
    """Parameters that nothing reads, of one module; ``storages`` are theirs and its buffers'."""

    anchor: str
    nodes: tuple[str, ...]
    place: Place
    idle: Idle
    params: tuple[Param, ...]
    storages: frozenset[str]

    @property
    def elements(self) -> int:
        """Their number."""
        return sum(param.elements for param in self.params)


def find(context: Context, _options: contract.Options) -> Iterator[Unused | Unread]:
    """Yield what only unread outputs need, and one place for each module with idle parameters."""
    yield from unread.find_unread(context)
    end = context.graph.model_output
    if end is None:
        return  # the run was cut short: what comes after was not seen
    groups: dict[str, list[Param]] = {}
    for param in context.graph.unused:
        path = _idle(param).module or param.name.rpartition(".")[0]
        groups.setdefault(path, []).append(param)
    for members in groups.values():
        params = tuple(param for param in members if not param.buffer)
        if params:
            idle = _idle(params[0])
            names = (idle.module,) if idle.module else tuple(param.name for param in params)
            place = Place(names, idle.built_at, idle.built_through)
            gone = frozenset(param.storage for param in (members if idle.module else params))
            yield Unused(end.id, (end.id,), place, idle, params, gone)


def _idle(param: Param) -> Idle:
    return param.idle or Idle("")


def guard(context: Context, site: Unused | Unread, _options: contract.Options) -> Refusal | None:
    """Refuse moving averages, runs that read no parameter, and operations that cost nothing."""
    if isinstance(site, Unread):
        return unread.guard_unread(context, site)
    if not any(node.params for node in context.graph):
        return Refusal("the run read no parameter at all", site.nodes)
    path = site.params[0].name
    words = {word for part in path.lower().split(".") for word in part.split("_")}
    if words & AVERAGES:
        what = f"its name says that it is a moving average: {site.place.modules[0]}"
        return Refusal(what, site.nodes)
    if context.saves(_edit(site)).params <= 0:
        return Refusal("it has no elements", site.nodes)
    return None


def rewrite(
    _context: Context, site: Unused | Unread, _options: contract.Options
) -> tuple[Rewrite, ...]:
    """Return the model without them."""
    return (Rewrite("left out", _edit(site)),)


def _edit(site: Unused | Unread) -> GraphEdit:
    if isinstance(site, Unread):
        return unread.edit_of(site)
    return GraphEdit(frozenset(), unused=site.storages)


def advise(
    context: Context, sites: tuple[Unused | Unread, ...], _options: contract.Options
) -> contract.Advice:
    """Word the finding: what runs for nobody, and what nothing reads at all."""
    running = tuple(site for site in sites if isinstance(site, Unread))
    stored = tuple(site for site in sites if isinstance(site, Unused))
    told = [_of_unread(context, running)] if running else []
    told += [_of_unused(context, stored)] if stored else []
    return contract.Advice(
        message="; ".join(advice.message for advice in told),
        instead="\n".join(advice.instead for advice in told),
        risk="; ".join(advice.risk for advice in told),
    )


def _of_unread(context: Context, sites: tuple[Unread, ...]) -> contract.Advice:
    return contract.Advice(
        message=unread.message(context, sites),
        instead=unread.instead(context, sites),
        risk="same values in the outputs that are read; training may need the others; old "
        "checkpoints load with strict=False",
    )


def _of_unused(context: Context, sites: tuple[Unused, ...]) -> contract.Advice:
    """Word it by the largest module."""
    site = max(sites, key=lambda site: site.elements)
    total = sum(each.elements for each in sites)
    share = f"{100 * total / context.cost.params:.1f} % of the model's"
    return contract.Advice(
        message=f"no operation of the eval run reads the {total:,} parameters ({share}) of "
        f"{_what(site, sites)}",
        instead=_code(sites),
        risk="same function for this forward pass: a flag, another input or method, or training may "
        "reach them; old checkpoints load with strict=False",
    )


def _what(site: Unused, sites: tuple[Unused, ...]) -> str:
    names = site.place.modules
    more = len(sites) - 1
    beside = f" and {more} more built here" if more else ""
    if site.idle.module:
        return f"{names[0]} ({site.idle.class_name}){beside}"
    return f"{' and '.join(names) if len(names) < 3 else f'{names[0]} and {len(names) - 1} others'}{beside}"


def _code(sites: tuple[Unused, ...]) -> str:
    """Return what takes them out of a model that is built."""
    lines = ["# do not build them where the model is for inference, or before it is saved:"]
    for each in sites[:3]:
        if each.idle.module:
            lines.append(f"{_path(each.idle.module)} = nn.Identity()")
            continue
        for param in each.params[:3]:
            owner, _, name = param.name.rpartition(".")
            lines.append(f'{_path(owner)}.register_parameter("{name}", None)  # of nn.Module')
    return "\n".join(lines)


def _path(module: str) -> str:
    """Return the expression for a module of ``model``: numbers are places in a container."""
    parts = [f"[{part}]" if part.isdigit() else f".{part}" for part in module.split(".") if part]
    return f"model{''.join(parts)}"


RULE = contract.Rule(
    meta=contract.RuleMeta(
        code="CL410",
        name="unused-parameters",
        summary="parameters that nothing reads; what runs for outputs that nobody reads",
        severity=Severity.WARNING,
        exact=True,
        since="0.2.0",
        gated=False,
        first=True,
    ),
    find=find,
    guard=guard,
    rewrite=rewrite,
    advise=advise,
    doc=__doc__ or "",
    folder=str(Path(__file__).parent),
)
