"""``convlint measure``: what the rewrites bring on this machine, by the clock."""

from __future__ import annotations

from typing import Any

import click

from convlint.cli.apply import absolute, show
from convlint.cli.options import outputs_of, outputs_option, read_settings, settings_options
from convlint.cli.types import Memory, words

BACKENDS = ("eager", "compile", "onnxruntime", "openvino", "cuda")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, required=True, metavar="TARGET [TARGET]")
@click.option("--model", default="", metavar="EXPR", help="The model in the one file named.")
@click.option(
    "--input", "inputs", multiple=True, metavar="SHAPE", help="An input, like 1x3x224x224."
)
@click.option("--rules", multiple=True, metavar="RULES", help="Time these (default: exact ones).")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAMES",
    help=f"{', '.join(BACKENDS)} or all, by comma (default: eager).",
)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), default="float32")
@click.option("--batch", type=click.IntRange(min=1), help="The size of the first axis.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="The time to spend on each backend.",
)
@click.option(
    "--weights", metavar="FILE", help="A state_dict or safetensors file to load strictly."
)
@outputs_option
@settings_options
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=1800.0)
@click.option("--memory", type=Memory(), default="16GiB", help="What the model may take.")
@click.option("--python", metavar="PATH", help="The interpreter that runs the model.")
@click.option("-v", "--verbose", count=True, help="Say more, with traces.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
def measure(**flags: Any) -> int:
    """Time a model now, with each rule's rewrites, and with all; or two models side by side.

    Variants are called in turn on random inputs. MACs saved stand beside time saved, and
    "slower" is said where it is so.

    Exit code: 0; 1 where a rewrite was refused; 2 where nothing could be timed.
    """
    from convlint import errors, workbench
    from convlint.sandbox import Limits
    from convlint.settings import parse_inputs
    from convlint.work import Timing

    if len(flags["targets"]) > 2:
        raise errors.UsageError(f"{len(flags['targets'])} targets", fix="name one model, or two")
    settings = read_settings(flags["targets"], flags)
    task = workbench.Task(
        targets=flags["targets"],
        model=flags["model"],
        inputs=parse_inputs(flags["inputs"]),
        outputs=outputs_of(flags),
        rules=words(flags["rules"]) or (),
        weights=absolute(flags["weights"]),
        timing=Timing(
            backends=_backends(flags["backends"]),
            threads=flags["threads"],
            seconds=flags["seconds"],
            dtype=flags["dtype"],
            batch=flags["batch"],
        ),
        python=flags["python"],
        limits=Limits(flags["timeout"], flags["memory"]),
    )
    reply = workbench.work(task, settings)
    if reply.failure is None and not reply.timed:
        raise errors.ModelError("nothing was timed", detail="", fix="; ".join(reply.skipped))
    return show(reply, flags, "timed")


def _backends(given: tuple[str, ...]) -> tuple[str, ...]:
    from convlint import errors

    chosen = words(given) or ("eager",)
    if "all" in chosen:
        return BACKENDS
    for name in chosen:
        if name not in BACKENDS:
            fix = errors.suggest(name, BACKENDS) or f"one of {', '.join(BACKENDS)}, all"
            raise errors.UsageError(f"no backend {name!r}", where="--backend", fix=fix)
    return chosen
