"""The order of the steps where two states of the models are checked, on one screen.

revision -> worktree -> Run of the base -> Run of the head, told what is new -> Comparison
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from convlint import discover, errors, gate, pipeline
from convlint.contract import RunReport
from convlint.pipeline import Job, Listener, Run
from convlint.settings import Flags, ModelEntry, Settings, load
from convlint.settings.python import interpreter


def check_against(ref: str, job: Job, settings: Settings, listen: Listener | None = None) -> Run:
    """Check the models of ``job``; what they had in the revision ``ref`` is known.

    The revision is read under today's settings, by the same interpreter, in a worktree of its
    own. Raises ConvlintError where it cannot be checked out.
    """
    base = check_revision(ref, job, settings)
    return pipeline.check(replace(job, base=base, base_name=ref), settings, listen)


def check_revision(ref: str, job: Job, settings: Settings) -> RunReport:
    """Return what the targets of ``job`` were in a revision; those that were not are left out.

    Without targets they are the models that the revision declares itself, and of the other files
    those that are declared today. Models that cannot be built there are told as failed, and end
    nothing.
    """
    python = interpreter(settings.root, job.python)
    with gate.checked_out(ref, settings.root) as tree:
        targets = tuple(_targets(job.targets, tree))
        root = tree.path(settings.root) or tree.folder
        models = tuple(_entries(settings.models, tree))
        if not job.targets:
            models = _with_own(models, root)
        there = replace(settings, root=root, models=models, baseline=None)
        past = replace(
            job,
            targets=targets,
            python=python and str(Path(python).absolute()),
            hook=True,
            strict=False,
            baseline=None,
            accept=False,
            expecting=None,
            server=None,  # it stands in the user's folder, and relative files are to be the base's
            meanwhile=None,
            cache=None,
        )
        if job.targets and not targets:
            there = replace(there, models=())
        with _standing_in(tree):
            run = pipeline.check(past, there)
    _require_read(ref, run, lost_only=True)
    return run.report


def compare_revisions(
    base: str, head: str | None, job: Job, settings: Settings, listen: Listener | None = None
) -> tuple[RunReport, RunReport]:
    """Return what two revisions are; ``head`` None is the user's tree as it stands.

    Without targets each side has the models that its own configuration declares, or every model
    below the root where today's declares none.
    """
    if not job.targets and not settings.models:
        job = replace(job, targets=(str(settings.root),), hook=True)
    then = check_revision(base, job, settings)
    later = replace(job, base=then, base_name=base)
    if head is None:
        return then, pipeline.check(later, settings, listen).report
    return then, check_revision(head, later, settings)


def compare_targets(
    base: str, head: str, job: Job, settings: Settings, listen: Listener | None = None
) -> tuple[RunReport, RunReport]:
    """Return what two targets of today are."""
    run = pipeline.check(replace(job, targets=(base,)), settings, listen)
    _require_read(base, run, lost_only=False)
    later = replace(job, targets=(head,), base=run.report, base_name=base)
    return run.report, pipeline.check(later, settings, listen).report


def _require_read(name: str, run: Run, *, lost_only: bool) -> None:
    """Raise ModelError where the base could not be read, and nothing can be compared with it.

    With ``lost_only`` a model that was broken then is let pass: its findings count as new.
    """
    for outcome in run.outcomes:
        failure = outcome.failure
        if failure is None or outcome.checked or (lost_only and not gate.is_lost(failure)):
            continue
        what = f"the base could not be read: {' '.join(failure.message.split())}"
        raise errors.ModelError(
            what, where=f"{name}: {outcome.report.target}", fix=failure.fix, detail=failure.trace
        )


@contextlib.contextmanager
def _standing_in(tree: gate.Tree) -> Iterator[None]:
    """Work in the folder of the revision that stands for the current one.

    So relative targets, and the files that models open, are those of the revision.
    """
    here = tree.path(Path.cwd().resolve())
    with contextlib.chdir(here if here is not None and here.is_dir() else tree.folder):
        yield


def _targets(texts: Sequence[str], tree: gate.Tree) -> Iterator[str]:
    """Yield what was typed as it reads in the revision; what is not there is left out."""
    for text in texts:
        where, expression = discover.split(text)
        if not where.endswith(".py") and expression:  # package.module:EXPR
            yield text
            continue
        place = tree.path(Path(where).resolve())
        if place is not None:
            yield f"{place}:{expression}" if expression else str(place)


def _entries(models: Sequence[ModelEntry], tree: gate.Tree) -> Iterator[ModelEntry]:
    for entry in models:
        path = tree.path(entry.path) if entry.path is not None else None
        if entry.path is None or path is not None:
            yield replace(entry, path=path)


def _with_own(models: tuple[ModelEntry, ...], root: Path) -> tuple[ModelEntry, ...]:
    """Return the models that the revision declares, and those given of files it does not name."""
    try:
        own = load([root], Flags()).models
    except errors.ConfigError:  # another convlint's configuration, or a broken one
        own = ()
    named = {entry.path or entry.place for entry in own}
    return (*own, *(entry for entry in models if (entry.path or entry.place) not in named))
