"""Requests: one for each root model of a file, or for the expression that was typed."""

from __future__ import annotations

import ast
from pathlib import Path

from convlint import wire
from convlint.discover.blocks import Block, blocks_of
from convlint.discover.bound import Bound, bound_models, callables, without_parts
from convlint.discover.elsewhere import expressions_elsewhere
from convlint.discover.expressions import expressions_for, factories, signature_of
from convlint.discover.kinds import Judge
from convlint.discover.project import top_folder
from convlint.discover.roots import ModelClass, model_classes, root_classes
from convlint.discover.shapes import Inputs, Makers, inputs_for
from convlint.discover.source import SourceFile, built_by, dotted
from convlint.discover.targets import Target


def of_module(target: Target, declared: Inputs) -> wire.Request:
    """Return the Request for ``package.module:EXPR``."""
    return wire.Request(
        target=target.asked,
        root=str(target.root),
        module=target.module,
        expressions=(target.expression,),
        inputs=(declared,) if declared else (),
        search_path=_unique(target.root, target.root / "src", Path.cwd()),
    )


def of_file(
    source: SourceFile, target: Target, declared: Inputs, judge: Judge, *, quiet: bool = False
) -> tuple[wire.Request, ...]:
    """Return the Requests for a file: its expression, or its bound models and root classes.

    ``quiet`` where nobody named the file: what an import may build is a guess then.
    """
    models = model_classes(source, judge)
    if target.expression:
        return (_of_expression(source, target, declared, models, judge),)
    bound = bound_models(source, models, judge, quiet=quiet)
    taken = {model.built for model in bound.values() if model.stands}
    bound = without_parts(source, bound)
    roots = [
        model
        for model in root_classes(source, models)
        if not ({model.name} | factories(source, model.name)) & taken
    ]
    if not bound and not roots:
        return ()
    blocks = blocks_of(source)
    only = len(bound) + len(roots) == 1
    requests = []
    for name, found in bound.items():
        makers = Makers(callables(source, found.built, models), frozenset({name}))
        inputs = declared_or_shown(declared, blocks, makers, only=only)
        requests.append(_of_name(source, target, name, found, inputs))
    for model in roots:
        makers = Makers(frozenset({model.name}) | factories(source, model.name))
        inputs = declared_or_shown(declared, blocks, makers, only=only)
        shown = _shown(source, blocks, model.name, judge)
        requests.append(_of_class(source, target, shown, model, inputs))
    kept = [item for item in requests if item.expressions or not item.base]
    return tuple(sorted(kept, key=lambda request: request.class_line))


def declared_or_shown(
    declared: Inputs, blocks: tuple[Block, ...], makers: Makers, *, only: bool
) -> tuple[Inputs, ...]:
    """Return the input lists to try: the declared one alone, else those the file shows."""
    return (declared,) if declared else inputs_for(blocks, makers, only=only)


def _shown(
    source: SourceFile, blocks: tuple[Block, ...], name: str, judge: Judge
) -> tuple[str, ...]:
    """Return how to build a class: as its file shows, else as the rest of the project does."""
    inside = expressions_for(source, blocks, name)
    makers = factories(source, name) | {name}
    return inside or expressions_elsewhere(source, makers, judge.project)


def _of_expression(
    source: SourceFile,
    target: Target,
    declared: Inputs,
    models: dict[str, ModelClass],
    judge: Judge,
) -> wire.Request:
    blocks = blocks_of(source)
    node = ast.parse(target.expression, mode="eval").body
    name = built_by(node) or dotted(node)
    makers = Makers(frozenset({name}) | factories(source, name))
    if name in source.values and name not in source.classes:
        makers = Makers(frozenset(), frozenset({name}))
    for class_name in models:
        if name in factories(source, class_name):
            makers = Makers(frozenset({class_name}) | factories(source, class_name))
    shown = _shown(source, blocks, name, judge) if target.expression in models else ()
    return _request(
        target,
        shown=target.expression,
        expressions=shown or (target.expression,),
        class_line=source.classes[name].lineno if name in source.classes else 1,
        inputs=declared_or_shown(declared, blocks, makers, only=False),
    )


def _of_class(
    source: SourceFile,
    target: Target,
    expressions: tuple[str, ...],
    model: ModelClass,
    inputs: tuple[Inputs, ...],
) -> wire.Request:
    required = signature_of(source, model.name).required or ()
    return _request(
        target,
        shown=model.name,
        expressions=expressions,
        class_name=model.name,
        class_line=model.node.lineno,
        required=() if expressions else required,
        tentative=model.tentative,
        base=model.base,
        inputs=inputs,
    )


def _of_name(
    source: SourceFile, target: Target, name: str, bound: Bound, inputs: tuple[Inputs, ...]
) -> wire.Request:
    value = source.values[name]
    return _request(
        target,
        shown=name,
        expressions=(name,),
        class_name=name,
        class_line=value.lineno if value is not None else 1,
        tentative=bound.tentative,
        guess=bound.guess,
        inputs=inputs,
    )


def _request(
    target: Target,
    *,
    shown: str,
    expressions: tuple[str, ...],
    class_line: int,
    inputs: tuple[Inputs, ...],
    class_name: str | None = None,
    required: tuple[str, ...] = (),
    tentative: bool = False,
    base: bool = False,
    guess: bool = False,
) -> wire.Request:
    return wire.Request(
        target=f"{target.path}:{shown}",
        root=str(target.root),
        file=str(target.file),
        expressions=expressions,
        class_name=class_name,
        class_line=class_line,
        required=required,
        tentative=tentative,
        base=base,
        guess=guess,
        inputs=inputs,
        search_path=search_path(target),
    )


def search_path(target: Target) -> tuple[str, ...]:
    """Return what the child adds to sys.path: as Python itself would find the file's imports.

    First the folder above the topmost package the file is in (else its own folder), then the
    root and its ``src``; last the own folder of a file in a package.
    """
    assert target.file is not None
    top = top_folder(target.file)
    return _unique(top, target.root, target.root / "src", target.file.parent)


def _unique(*folders: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))
