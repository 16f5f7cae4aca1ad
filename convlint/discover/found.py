"""From targets to what is sent to the child; what is clear without it is answered here."""

from __future__ import annotations

import ast
import contextlib
import gc
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from convlint import errors, wire
from convlint.discover.kinds import Judge
from convlint.discover.requests import of_file, of_module
from convlint.discover.shapes import Inputs
from convlint.discover.source import SourceFile
from convlint.discover.targets import Target
from convlint.ir.nodes import SourceSpan
from convlint.settings import ModelEntry

_MENTIONS_MODELS = re.compile(rb"torch|\bnn\b|Module")
# Where the model may come from another file: a class with a base, a name bound to a call.
_MAY_HOLD_MODELS = re.compile(
    rb"^[ \t]*class\s+\w+\s*[(\[]|^\w+[ \t]*(?::[^=\n]*)?=(?!=)[^#\n]*\(", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Found:
    """One model to check: the Request for it, or the Reply where none need be sent.

    ``asked`` is the target the user typed; all that one target led to share it. ``alternative``
    (K, N) says that it is the model at the K-th of the N input lists that are declared for it;
    they come one after the other.
    """

    asked: str
    what: wire.Request | wire.Reply
    alternative: tuple[int, int] = (1, 1)


def read(
    targets: Sequence[Target],
    models: Sequence[ModelEntry] = (),
    declared: Inputs = (),
    *,
    outputs: tuple[str, ...] = (),
    hook: bool = False,
) -> tuple[Found, ...]:
    """Return the models of the targets; raise UsageError for a folder without any.

    ``models`` are those that the configuration declares: they stand for their files.
    ``declared`` is the input list of ``--input``, the only one tried, and ``outputs``
    are those of ``--outputs``. In a ``hook`` files without a model are left out in silence.
    """
    judge = Judge()
    with _no_collection():
        found = [
            Found(target.asked, _reading(item, outputs or read), alternative)
            for target in targets
            for chosen, lists, read in _declared_models(target, models)
            for item, alternative in _at_each(
                chosen, (declared,) if declared else lists, judge, hook=hook
            )
        ]
    found = [replace(item, what=_as_base(item.what, judge)) for item in found]
    asked = {item.asked for item in found}
    empty = next((target for target in targets if target.asked not in asked), None)
    if empty is not None and not hook:
        raise errors.UsageError(
            "no model in this folder (no class derives from nn.Module)",
            where=empty.asked,
            fix="name the model as file.py:EXPR",
        )
    return tuple(found)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from walking syntax trees over and over: 4 times as fast."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _reading(
    item: wire.Request | wire.Reply, outputs: tuple[str, ...]
) -> wire.Request | wire.Reply:
    """Return the item with the outputs that are read."""
    if isinstance(item, wire.Reply) or not outputs:
        return item
    return msgspec.structs.replace(item, outputs=outputs)


def _as_base(item: wire.Request | wire.Reply, judge: Judge) -> wire.Request | wire.Reply:
    """Mark a class that a class of another file inherits from."""
    if isinstance(item, wire.Reply) or not item.file or not item.class_name:
        return item
    inherited = (Path(item.file), item.class_name) in judge.bases
    return msgspec.structs.replace(item, base=item.base or inherited)


def declared_targets(models: Sequence[ModelEntry], root: Path) -> tuple[Target, ...]:
    """Return the targets for a run that names none: the models that are declared."""
    return tuple(
        Target(
            asked=entry.target,
            root=root,
            file=entry.path,
            module="" if entry.path else entry.place,
            expression=entry.expression,
        )
        for entry in models
    )


def _declared_models(
    target: Target, models: Sequence[ModelEntry]
) -> Iterator[tuple[Target, tuple[Inputs, ...], tuple[str, ...]]]:
    """Yield the target with its declared input lists and outputs, or the models of its file."""
    same = [
        entry
        for entry in models
        if (entry.path == target.file if target.file else entry.place == target.module)
    ]
    exact = [entry for entry in same if entry.expression == target.expression]
    if exact or target.expression:
        for outputs in dict.fromkeys(entry.outputs for entry in exact) or ((),):
            alike = [entry for entry in exact if entry.outputs == outputs]
            yield target, tuple(inputs for entry in alike for inputs in entry.inputs), outputs
        return
    for entry in same:
        yield replace(target, expression=entry.expression), entry.inputs, entry.outputs
    if not same:
        yield target, (), ()


def _at_each(
    target: Target, lists: tuple[Inputs, ...], judge: Judge, *, hook: bool
) -> Iterator[tuple[wire.Request | wire.Reply, tuple[int, int]]]:
    """Yield the target's models, each at every declared input list in turn."""
    if len(lists) < 2:
        for item in _models(target, lists[0] if lists else (), judge, hook=hook):
            yield item, (1, 1)
        return
    at_each = [tuple(_models(target, inputs, judge, hook=hook)) for inputs in lists]
    for items in zip(*at_each, strict=True):
        for number, (item, inputs) in enumerate(zip(items, lists, strict=True), 1):
            named = msgspec.structs.replace(item, target=f"{item.target} @ {_sizes(inputs)}")
            yield named, (number, len(lists))


def _sizes(inputs: Inputs) -> str:
    return ", ".join("x".join(map(str, spec.shape)) for spec in inputs)


def _models(
    target: Target, declared: Inputs, judge: Judge, *, hook: bool
) -> Iterator[wire.Request | wire.Reply]:
    if target.file is None:
        yield of_module(target, declared)
        return
    try:
        text = target.file.read_bytes()
        source = _parsed(target, text, judge)
    except OSError as error:
        yield _failed(target, "import-error", f"cannot be read: {error.strerror}")
    except SyntaxError as error:
        yield _broken(target, error)
    except ValueError as error:  # null bytes, an encoding that does not exist
        yield _failed(target, "syntax-error", f"is not Python: {error}")
    else:
        quiet = hook or not target.named
        requests = of_file(source, target, declared, judge, quiet=quiet) if source else ()
        for request in requests:
            yield _as_guess(request, source, text)
        if not requests and target.named and not hook:
            what = "no model in this file (no class derives from nn.Module)"
            yield _failed(target, "not-a-module", what, fix=f"name it: {target.asked}:EXPR")


def _as_guess(request: wire.Request, source: SourceFile | None, text: bytes) -> wire.Request:
    """Mark a class that may be a model where the file itself says nothing of models."""
    of_class = source is not None and request.class_name in source.classes
    doubted = request.tentative and of_class and not _MENTIONS_MODELS.search(text)
    return msgspec.structs.replace(request, guess=request.guess or doubted)


def _parsed(target: Target, text: bytes, judge: Judge) -> SourceFile | None:
    """Return the parsed file, or None where it is plain that no model is in it."""
    assert target.file is not None
    imports = b"import" in text and _MAY_HOLD_MODELS.search(text)
    if target.expression or imports or _MENTIONS_MODELS.search(text):
        return replace(judge.project.parsed(target.file, text), path=target.path)
    if target.named:
        ast.parse(text, filename=target.path)
    return None


def _broken(target: Target, error: SyntaxError) -> wire.Reply:
    span = SourceSpan(path=target.path, line=error.lineno or 1, column=error.offset or 1)
    line = f": {error.text.strip()}" if error.text else ""
    return _failed(target, "syntax-error", f"{error.msg}{line}", span=span)


def _failed(
    target: Target,
    kind: wire.FailureKind,
    message: str,
    *,
    fix: str = "",
    span: SourceSpan | None = None,
) -> wire.Reply:
    where = span or SourceSpan(path=target.path, line=1)
    return wire.Reply(
        target=target.path,
        status="failed",
        failure=wire.Failure(kind=kind, message=message, fix=fix, location=where),
        sources={target.path: str(target.file)},
    )
