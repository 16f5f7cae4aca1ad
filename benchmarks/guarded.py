"""Runs one model's work in a forked child, so that no model takes a sweep down or holds it up."""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import warnings
from collections.abc import Callable
from typing import Any


def run(work: Callable[[], Any], seconds: float) -> tuple[Any, str]:
    """Return what ``work`` returned in a child and "", or None and why there is nothing."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(work, theirs))
    child.start()
    theirs.close()
    try:
        answer = mine.recv() if mine.poll(seconds) else (None, f"ran longer than {seconds:.0f} s")
    except EOFError:
        answer = (None, "died")
    child.kill()
    child.join()
    return answer


def _in_child(work: Callable[[], Any], pipe: Any) -> None:
    import torch

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            answer = (work(), "")
        except BaseException as error:
            answer = (None, f"{type(error).__name__}: {error}"[:300])
    pipe.send(answer)
