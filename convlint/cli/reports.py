"""The reports of a run: which are asked for, and writing them to files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from convlint import __version__, errors, plugins
from convlint.contract import SCHEMA_VERSION, ReportFormat, RunReport, Tool, View


@dataclass(frozen=True, slots=True)
class Plan:
    """The format for stdout, and (format, file) for each report to be written."""

    format: ReportFormat
    files: tuple[tuple[ReportFormat, Path], ...]


def plan(name: str, reports: Sequence[str]) -> Plan:
    """Return what is to be rendered; raise UsageError before anything runs if it cannot be."""
    formats = {report.name: report for report in plugins.load_reports()}
    files = tuple(_file(text, formats) for text in reports)
    paths = [path.resolve() for _, path in files]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise errors.UsageError("two reports are to be written there", where=twice.name)
    return Plan(_format(name, formats, "--format"), files)


def warm_up(chosen: Plan) -> None:
    """Have the formats load what they render with, while others are at work."""
    nothing = RunReport(SCHEMA_VERSION, Tool("convlint", __version__), ())
    wanted = (chosen.format, *(report for report, _ in chosen.files))
    for report in {report.name: report for report in wanted}.values():
        with contextlib.suppress(Exception):
            report.render(nothing, View())


def write(chosen: Plan, run: RunReport, link_base: str = "", prefix: str = "") -> Iterator[Path]:
    """Write the report files and yield their paths; raise UsageError where one cannot be."""
    for report, path in chosen.files:
        text = report.render(run, View(link_base=link_base, prefix=prefix))
        try:
            path.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            what = f"the report cannot be written: {error.strerror}"
            raise errors.UsageError(what, where=str(path)) from None
        yield path


def beside(chosen: Plan) -> ReportFormat | None:
    """Return the format to print on stderr beside the one on stdout, if that one wants any."""
    if not chosen.format.beside:
        return None
    formats = {report.name: report for report in plugins.load_reports()}
    return formats.get(chosen.format.beside)


def prefix_of(root: Path) -> str:
    """Return the way from the top of the git repository to the root: "" or "services/vision/"."""
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    inside = root.relative_to(top).as_posix()
    return "" if inside == "." else f"{inside}/"


def _file(text: str, formats: dict[str, ReportFormat]) -> tuple[ReportFormat, Path]:
    name, equals, place = text.partition("=")
    if not equals or not place:
        fix = f"write NAME=PATH, like {next(iter(formats))}=report.{next(iter(formats))}"
        raise errors.UsageError(f"{text!r} names no file", where="--report", fix=fix)
    path = Path(place)
    if path.is_dir():
        raise errors.UsageError("is a folder", where=f"--report {text}", fix="name a file in it")
    if not path.parent.is_dir():
        what = f"there is no folder {path.parent}"
        raise errors.UsageError(what, where=f"--report {text}", fix="make it first")
    return _format(name, formats, "--report"), path


def _format(name: str, formats: dict[str, ReportFormat], where: str) -> ReportFormat:
    if name in formats:
        return formats[name]
    fix = errors.suggest(name, formats) or f"one of {', '.join(formats)}"
    raise errors.UsageError(f"unknown report {name!r}", where=where, fix=fix)
