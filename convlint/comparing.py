"""The order of the steps where two states of the models are checked, on one screen.

revision -> worktree -> Run of the base -> Run of the head, told what is new -> Comparison
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from convlint import discover, gate, pipeline
from convlint.contract import RunReport
from convlint.pipeline import Job, Listener, Run
from convlint.settings import ModelEntry, Settings
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

    Models that cannot be built there are told as failed, and end nothing.
    """
    python = interpreter(settings.root, job.python)
    with gate.checked_out(ref, settings.root) as tree:
        targets = tuple(_targets(job.targets, tree))
        models = tuple(_entries(settings.models, tree))
        there = replace(
            settings,
            root=tree.path(settings.root) or tree.folder,
            models=models,
            baseline=None,
        )
        past = replace(
            job,
            targets=targets,
            python=python and str(Path(python).absolute()),
            hook=True,
            strict=False,
            baseline=None,
            accept=False,
        )
        if job.targets and not targets:
            there = replace(there, models=())
        with _standing_in(tree):
            return pipeline.check(past, there).report


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
