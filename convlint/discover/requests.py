"""Requests: one for each root model of a file, or for the expression that was typed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from convlint import wire
from convlint.discover.blocks import Block, blocks_of
from convlint.discover.expressions import expressions_for, factories, signature_of
from convlint.discover.roots import ModelClass, model_classes, root_classes
from convlint.discover.shapes import Inputs, Makers, inputs_for
from convlint.discover.source import SourceFile, built_by, dotted
from convlint.discover.targets import Target

# Functions of libraries whose result is a model.
_LIBRARY_MODELS = re.compile(r"(torchvision\.models|timm|segmentation_models_pytorch)\.")
_CONTAINERS = frozenset({"torch.nn.Sequential", "torch.nn.modules.container.Sequential"})


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


def of_file(source: SourceFile, target: Target, declared: Inputs) -> tuple[wire.Request, ...]:
    """Return the Requests for a file: its expression, or its bound models and root classes."""
    models = model_classes(source)
    if target.expression:
        return (_of_expression(source, blocks_of(source), target, declared),)
    bound = _bound_models(source, models)
    taken = set(bound.values())
    bound = _without_parts(source, bound)
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
    for name, built in bound.items():
        makers = Makers(_callables(source, built, models), frozenset({name}))
        inputs = declared_or_shown(declared, blocks, makers, only=only)
        requests.append(_of_name(source, target, name, built, models, inputs))
    for model in roots:
        makers = Makers(frozenset({model.name}) | factories(source, model.name))
        inputs = declared_or_shown(declared, blocks, makers, only=only)
        requests.append(_of_class(source, target, blocks, model, inputs))
    return tuple(sorted(requests, key=lambda request: request.class_line))


def declared_or_shown(
    declared: Inputs, blocks: tuple[Block, ...], makers: Makers, *, only: bool
) -> tuple[Inputs, ...]:
    """Return the input lists to try: the declared one alone, else those the file shows."""
    return (declared,) if declared else inputs_for(blocks, makers, only=only)


def _of_expression(
    source: SourceFile, blocks: tuple[Block, ...], target: Target, declared: Inputs
) -> wire.Request:
    node = ast.parse(target.expression, mode="eval").body
    name = built_by(node) or dotted(node)
    makers = Makers(frozenset({name}) | factories(source, name))
    if name in source.values and name not in source.classes:
        makers = Makers(frozenset(), frozenset({name}))
    for class_name in model_classes(source):
        if name in factories(source, class_name):
            makers = Makers(frozenset({class_name}) | factories(source, class_name))
    return _request(
        target,
        shown=target.expression,
        expressions=(target.expression,),
        class_line=source.classes[name].lineno if name in source.classes else 1,
        inputs=declared_or_shown(declared, blocks, makers, only=False),
    )


def _of_class(
    source: SourceFile,
    target: Target,
    blocks: tuple[Block, ...],
    model: ModelClass,
    inputs: tuple[Inputs, ...],
) -> wire.Request:
    expressions = expressions_for(source, blocks, model.name)
    required = signature_of(source, model.name).required or ()
    return _request(
        target,
        shown=model.name,
        expressions=expressions,
        class_name=model.name,
        class_line=model.node.lineno,
        required=() if expressions else required,
        tentative=model.tentative,
        inputs=inputs,
    )


def _of_name(
    source: SourceFile,
    target: Target,
    name: str,
    built: str,
    models: dict[str, ModelClass],
    inputs: tuple[Inputs, ...],
) -> wire.Request:
    value = source.values[name]
    known = built in models or not built
    maker = next((m for m in models if built in factories(source, m)), "")
    sure = (known and not (built in models and models[built].tentative)) or bool(maker)
    return _request(
        target,
        shown=name,
        expressions=(name,),
        class_name=name,
        class_line=value.lineno if value is not None else 1,
        tentative=not sure,
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
        inputs=inputs,
        search_path=search_path(target),
    )


def search_path(target: Target) -> tuple[str, ...]:
    """Return what the child adds to sys.path: as Python itself would find the file's imports.

    First the folder above the topmost package the file is in (else its own folder), then the
    root and its ``src``; last the own folder of a file in a package.
    """
    assert target.file is not None
    own = target.file.parent
    top = own
    while (top / "__init__.py").is_file() and top != top.parent:
        top = top.parent
    return _unique(top, target.root, target.root / "src", own)


def _unique(*folders: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))


# --- module-level names --------------------------------------------------------------


def _bound_models(source: SourceFile, models: dict[str, ModelClass]) -> dict[str, str]:
    """Return the module-level names that are bound to a model.

    Each with the class or factory of the file that builds it, or an empty string for a
    container and for models of a library.
    """
    makers = set(models).union(*(factories(source, name) for name in models))
    found: dict[str, str] = {}
    for name, value in source.values.items():
        built = "" if value is None else built_by(value)
        if value is None or not built:
            continue
        path = source.canonical(ast.parse(built, mode="eval").body)
        if built in makers:
            found[name] = built
        elif path in _CONTAINERS or _is_library_model(path):
            found[name] = ""
    return found


def _without_parts(source: SourceFile, bound: dict[str, str]) -> dict[str, str]:
    """Return the bound models but those that another one is built from."""
    values = {name: source.values[name] or ast.Constant(None) for name in bound}
    parts = {
        node.id
        for name, value in values.items()
        for node in ast.walk(value)
        if isinstance(node, ast.Name) and node.id != name
    }
    return {name: built for name, built in bound.items() if name not in parts}


def _is_library_model(path: str) -> bool:
    last = path.rpartition(".")[2]
    return bool(_LIBRARY_MODELS.match(path)) and not last.endswith(("Weights", "transforms"))


def _callables(source: SourceFile, built: str, models: dict[str, ModelClass]) -> frozenset[str]:
    for name in models:
        group = frozenset({name}) | factories(source, name)
        if built in group:
            return group
    return frozenset()
