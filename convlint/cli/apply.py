"""``convlint apply``: makes the exact rewrites on the model with its weights, proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convlint.cli.options import outputs_of, outputs_option, read_settings, settings_options
from convlint.cli.types import Memory, words

_HELP = {"help_option_names": ["-h", "--help"]}


@click.command(context_settings=_HELP)
@click.argument("target", metavar="TARGET")
@click.option("--model", default="", metavar="EXPR", help="The model in the one file named.")
@click.option(
    "--input", "inputs", multiple=True, metavar="SHAPE", help="An input, like 1x3x224x224."
)
@click.option(
    "--rules", multiple=True, metavar="RULES", help="Apply these alone (default: all exact ones)."
)
@click.option(
    "--weights", metavar="FILE", help="A state_dict or safetensors file to load strictly."
)
@click.option("--save", "state_dict", metavar="FILE", help="Write the state_dict, and its mapping.")
@click.option("--save-program", "program", metavar="FILE", help="Write a torch.export program.")
@click.option("--save-onnx", "onnx", metavar="FILE", help="Write an ONNX model.")
@click.option("--save-source", "source", metavar="FILE", help="Write the module as Python source.")
@click.option("--force", is_flag=True, help="Write over files that exist.")
@outputs_option
@settings_options
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=600.0)
@click.option("--memory", type=Memory(), default="16GiB", help="What the model may take.")
@click.option("--python", metavar="PATH", help="The interpreter that runs the model.")
@click.option("-v", "--verbose", count=True, help="Say more, with traces.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
def apply(**flags: Any) -> int:
    """Make the exact rewrites of one model and prove its outputs unchanged.

    The model is built with real weights and rewritten; both are run in float64 on random inputs
    and compared. A rewrite that differs by more than 1e-9 of the outputs' scale is left out and
    named. TARGET is as for `convlint check`, and names one model. Old checkpoints fit the given
    model, not the rewritten one: --save writes which old keys each new key comes from.

    Exit code: 0; 1 where a rewrite was refused; 2 where it could not be done.
    """
    from convlint import workbench
    from convlint.sandbox import Limits
    from convlint.settings import parse_inputs
    from convlint.work import Files

    settings = read_settings((flags["target"],), flags)
    task = workbench.Task(
        targets=(flags["target"],),
        model=flags["model"],
        inputs=parse_inputs(flags["inputs"]),
        outputs=outputs_of(flags),
        rules=words(flags["rules"]) or (),
        weights=absolute(flags["weights"]),
        files=Files(
            state_dict=absolute(flags["state_dict"]),
            program=absolute(flags["program"]),
            onnx=absolute(flags["onnx"]),
            source=absolute(flags["source"]),
            force=flags["force"],
        ),
        python=flags["python"],
        limits=Limits(flags["timeout"], flags["memory"]),
    )
    return show(workbench.work(task, settings), flags, "applied")


def show(reply: Any, flags: dict[str, Any], words_of: str) -> int:
    """Print what came of a piece of work and return the exit code; raise ModelError on failure."""
    import msgspec

    from convlint import errors
    from convlint.cli import output, worded

    if not flags["quiet"]:
        for line in reply.output.splitlines():
            output.stderr(f"model| {line}")
    failure = reply.failure
    if failure is not None:
        where = f"{failure.location.path}:{failure.location.line}" if failure.location else ""
        raise errors.ModelError(
            " ".join(failure.message.split()), where=where, fix=failure.fix, detail=failure.trace
        )
    if flags["format_"] == "json":
        told = msgspec.to_builtins(reply)
        for key in ("failure", "sources", "output"):
            told.pop(key)
        output.stdout(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())
    else:
        output.stdout(getattr(worded, words_of)(reply))
    return 1 if reply.refused else 0


def absolute(text: str | None) -> str | None:
    """Return a path as it is from here, wherever the model moves its process."""
    return None if text is None else str(Path(text).absolute())
