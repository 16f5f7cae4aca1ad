"""Which classes of a file are models, and which of them no other one builds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from convlint.discover.kinds import LOSS, Judge, Kind
from convlint.discover.source import FunctionNode, SourceFile, dotted


@dataclass(frozen=True, slots=True)
class ModelClass:
    """A class that is an nn.Module, surely or (``tentative``) perhaps.

    ``base`` says that another root of the file inherits from it.
    """

    name: str
    node: ast.ClassDef
    tentative: bool
    base: bool = False


def model_classes(source: SourceFile, judge: Judge) -> dict[str, ModelClass]:
    """Return the nn.Module classes of the file, in the order they stand in it."""
    found = {}
    for name, node in sorted(source.classes.items(), key=lambda item: item[1].lineno):
        kind = judge.of_class(source, name)
        if kind is not Kind.OTHER:
            found[name] = ModelClass(name, node, tentative=kind is Kind.TENTATIVE)
    return found


def root_classes(source: SourceFile, models: dict[str, ModelClass]) -> tuple[ModelClass, ...]:
    """Return the model classes that nothing else of the file builds.

    A class that others inherit from is a root beside one of them that is, if it can run.
    Where each is used by another one, the last class stands for the file. A loss beside models
    is no root.
    """
    used = _used_names(source, models)
    free = [model for name, model in models.items() if name not in used]
    heirs = {model.name: _heirs(model.name, models) for model in free}
    roots = [model for model in free if not heirs[model.name]]
    if not roots and models:
        roots = [list(models.values())[-1]]
    roots = [model for model in roots if not LOSS.search(model.name)] or roots
    leaves = {model.name for model in roots}
    bases = [
        replace(model, base=True)
        for model in free
        if heirs[model.name] & leaves and _can_run(model, models)
    ]
    return tuple(sorted([*roots, *bases], key=lambda model: model.node.lineno))


def _heirs(name: str, models: dict[str, ModelClass]) -> set[str]:
    """Return the models that inherit from a class, at any distance."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        waiting = (
            {model.name for model in models.values() if waiting & _bases(model)} - found - {name}
        )
        found |= waiting
    return found


def _bases(model: ModelClass) -> set[str]:
    return {dotted(base) for base in model.node.bases}


def _can_run(model: ModelClass, models: dict[str, ModelClass]) -> bool:
    """Tell an abstract class apart: without ``forward`` in this file, or with one that raises."""
    seen: set[str] = set()
    waiting = [model.name]
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in models:
            continue
        seen.add(name)
        for method in models[name].node.body:
            if isinstance(method, FunctionNode) and method.name == "forward":
                return not _only_raises(method)
        waiting += [dotted(base) for base in models[name].node.bases]
    return any(
        dotted(base).endswith("Sequential") for name in seen for base in models[name].node.bases
    )


def _only_raises(method: FunctionNode) -> bool:
    abstract = any(dotted(item).endswith("abstractmethod") for item in method.decorator_list)
    return abstract or (isinstance(method.body[-1], ast.Raise | ast.Pass) and len(method.body) <= 2)


# --- who uses whom -----------------------------------------------------------------


def _used_names(source: SourceFile, models: dict[str, ModelClass]) -> set[str]:
    """Return the model classes that are parts of others."""
    if not models:
        return set()
    helpers = _Helpers(source, {})
    used: set[str] = set()
    for name, model in models.items():
        body = [*model.node.body, *model.node.decorator_list]
        names = set().union(*(_names_in(statement) for statement in body))
        used |= helpers.reached(names) & models.keys() - {name}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _is_local(source, dotted(node.func)):
            used |= _parts_passed(node, models) - {dotted(node.func)}
    return used


@dataclass(frozen=True, slots=True)
class _Helpers:
    """What the file's functions and constants name; each is looked at once."""

    source: SourceFile
    known: dict[str, set[str]]

    def reached(self, names: set[str]) -> set[str]:
        """Return ``names`` and what the functions and constants among them name in turn."""
        seen: set[str] = set()
        waiting = set(names)
        while waiting:
            name = waiting.pop()
            seen.add(name)
            waiting |= self._named_by(name) - seen
        return seen

    def _named_by(self, name: str) -> set[str]:
        if name not in self.known:
            body: ast.AST | None = self.source.functions.get(name) or self.source.values.get(name)
            self.known[name] = set() if body is None else _names_in(body)
        return self.known[name]


def _names_in(node: ast.AST) -> set[str]:
    return {child.id for child in _without_hints(node) if isinstance(child, ast.Name)}


def _without_hints(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a node, leaving out annotations, the checks of isinstance, ``Base.forward``."""
    yield node
    hints = {"annotation", "returns"}
    if isinstance(node, ast.Call) and dotted(node.func) in ("isinstance", "issubclass", "super"):
        return
    if isinstance(node, ast.Attribute) and dotted(node).endswith((".__init__", ".forward")):
        return
    for field, value in ast.iter_fields(node):
        if field in hints:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _without_hints(child)


def _parts_passed(call: ast.Call, models: dict[str, ModelClass]) -> set[str]:
    """Return the model classes handed to a call: ``ResNet(BasicBlock, …)``, ``Seg(Net())``.

    An instance is a part only of another model: ``train(Net())`` leaves Net a root.
    """
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    parts = {argument.id for argument in arguments if isinstance(argument, ast.Name)}
    if dotted(call.func) in models:
        parts |= {dotted(arg.func) for arg in arguments if isinstance(arg, ast.Call)}
    return parts & models.keys()


def _is_local(source: SourceFile, name: str) -> bool:
    return name in source.classes or name in source.functions
