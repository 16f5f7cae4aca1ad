"""``convlint compare``: what changed between two revisions, two reports or two models."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convlint.cli.options import outputs_of, outputs_option, read_settings, settings_options
from convlint.cli.types import Memory

if TYPE_CHECKING:
    from convlint.contract import RunReport
    from convlint.gate import Comparison
    from convlint.pipeline import Job, Listener
    from convlint.settings import Settings

FORMATS = ("text", "json", "markdown")


class Kind(enum.Enum):
    """What a word names."""

    REPORT = "a report"
    REVISION = "a git revision"
    TARGET = "a target"


@dataclass(frozen=True, slots=True)
class Sides:
    """The two words, what both of them are, and the targets behind them."""

    kind: Kind
    base: str
    head: str | None
    targets: tuple[str, ...] = ()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("base", metavar="BASE")
@click.argument("head", required=False, metavar="[HEAD]")
@click.argument("targets", nargs=-1, metavar="[TARGET]...")
@click.option(
    "--input", "inputs", multiple=True, metavar="SHAPE", help="An input, like 1x3x224x224."
)
@outputs_option
@settings_options
@click.option("--exit-zero", is_flag=True, help="Exit 0 in spite of new findings.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), default="text", help="What is on stdout."
)
@click.option(
    "--report", "reports", multiple=True, metavar="NAME=PATH", help="Write it, too. Repeatable."
)
@click.option("--jobs", type=click.IntRange(min=0), default=0, help="Models read at once.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=120.0)
@click.option("--memory", type=Memory(), default="8GiB", help="What one model may take.")
@click.option("--python", metavar="PATH", help="The interpreter that reads the models.")
@click.option("-v", "--verbose", count=True, help="Say more, with traces.")
@click.option("-q", "--quiet", is_flag=True, help="Say less.")
def compare(**flags: Any) -> int:
    """Tell two states of models apart: totals, layers, findings that are new or fixed.

    \b
    convlint compare main HEAD           two git revisions
    convlint compare main                a revision and the files as they are
    convlint compare main HEAD nets/     of these files alone
    convlint compare old.json new.json   two JSON reports
    convlint compare a.py:A b.py:B       two models

    A revision is checked out beside your files, which stay as they are, and its models are built:
    its code runs. Without targets the declared models are compared, or all there are.

    Exit code: 0 nothing new; 1 new findings; 2 a model could not be read.
    """
    from convlint import gate
    from convlint.cli import compared, output

    sides = _sides(flags["base"], flags["head"], flags["targets"])
    files = _files(flags["reports"])
    settings = read_settings(_places(sides), flags)
    teller = output.Teller(verbose=flags["verbose"], quiet=flags["quiet"])
    then, now = _read(sides, flags, settings, teller.reply)
    names = sides.base, sides.head or "working tree"
    told = gate.compare(then, now, names, settings.fail_level)
    for name, path in files:
        _write(path, compared.render(told, name))
        teller.written(path)
    output.stdout(compared.render(told, flags["format_"], verbose=flags["verbose"] > 0))
    return _code(told, exit_zero=flags["exit_zero"])


def _code(told: Comparison, *, exit_zero: bool) -> int:
    code = told.summary.exit_code
    return 0 if exit_zero and code == 1 else code


def _read(
    sides: Sides, flags: dict[str, Any], settings: Settings, listen: Listener
) -> tuple[RunReport, RunReport]:
    from convlint import comparing, gate

    if sides.kind is Kind.REPORT:
        old, new = sides.base, sides.head or ""
        return gate.read_report(Path(old), old), gate.read_report(Path(new), new)
    job = _job(sides, flags)
    if sides.kind is Kind.REVISION:
        return comparing.compare_revisions(sides.base, sides.head, job, settings, listen)
    return comparing.compare_targets(sides.base, sides.head or "", job, settings, listen)


def _job(sides: Sides, flags: dict[str, Any]) -> Job:
    from convlint.pipeline import Job
    from convlint.sandbox import Limits
    from convlint.settings import parse_inputs

    return Job(
        targets=sides.targets,
        inputs=parse_inputs(flags["inputs"]),
        outputs=outputs_of(flags),
        python=flags["python"],
        limits=Limits(flags["timeout"], flags["memory"], flags["jobs"]),
    )


# --- what the words mean -----------------------------------------------------------------


def _sides(base: str, head: str | None, targets: tuple[str, ...]) -> Sides:
    """Return what is to be compared; raise UsageError where the words do not go together."""
    from convlint import errors

    first, second = _kind(base), _kind(head) if head is not None else None
    if first is Kind.REVISION and second in (Kind.TARGET, None):
        more = (head,) if head is not None else ()
        return Sides(Kind.REVISION, base, None, (*more, *targets))
    if second is None:
        fix = f"name the other one: convlint compare {base} HEAD"
        raise errors.UsageError(f"{first.value} alone", where=base, fix=fix)
    if first is not second:
        what = f"{base} is {first.value} and {head} is {second.value}"
        raise errors.UsageError(what, fix="compare two revisions, two reports or two targets")
    if targets and first is not Kind.REVISION:
        raise errors.UsageError(f"{2 + len(targets)} words", fix="two reports or two targets")
    return Sides(first, base, head, targets)


def _kind(word: str) -> Kind:
    from convlint import errors, gate
    from convlint.discover import split

    path = Path(word)
    if path.suffix == ".json" and (path.is_file() or not _revision(word)):
        return Kind.REPORT
    where, expression = split(word)
    if path.suffix == ".py" or where.endswith(".py") or (expression and not _revision(word)):
        return Kind.TARGET
    if gate.is_revision(word, Path.cwd()):
        return Kind.REVISION
    if path.exists():
        return Kind.TARGET
    fix = "name a revision, a report (.json), a file or file.py:EXPR"
    raise errors.UsageError("no such revision, file or folder", where=word, fix=fix)


def _revision(word: str) -> bool:
    from convlint import gate

    return gate.is_revision(word, Path.cwd())


def _places(sides: Sides) -> tuple[str, ...]:
    """Return the targets that say which configuration holds; none means the one from here."""
    if sides.kind is Kind.TARGET:
        return sides.base, sides.head or ""
    return sides.targets


def _files(texts: tuple[str, ...]) -> list[tuple[str, Path]]:
    from convlint import errors

    found = []
    for text in texts:
        name, _, place = text.partition("=")
        if name not in FORMATS or not place:
            fix = f"write NAME=PATH, NAME one of {', '.join(FORMATS)}"
            raise errors.UsageError(f"{text!r} names no report", where="--report", fix=fix)
        path = Path(place)
        if path.is_dir() or not path.parent.is_dir():
            raise errors.UsageError("cannot be written", where=place, fix="name a file")
        found.append((name, path))
    return found


def _write(path: Path, text: str) -> None:
    from convlint import errors

    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        what = f"the report cannot be written: {error.strerror}"
        raise errors.UsageError(what, where=str(path)) from None
