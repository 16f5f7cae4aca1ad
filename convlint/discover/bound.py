"""Module-level names that are bound to a model."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from convlint.discover.expressions import factories
from convlint.discover.kinds import Judge, Kind, is_library_model
from convlint.discover.roots import ModelClass
from convlint.discover.source import SourceFile, built_by, module_level

# What people call models, and what builds them.
_LIKE_A_MODEL = re.compile(
    r"model|net|backbone|encoder|decoder|generator|discriminator|classifier|detector|former|cnn",
    re.IGNORECASE,
)
_TRAINING = frozenset({"backward", "fit"})


@dataclass(frozen=True, slots=True)
class Bound:
    """What a name is bound to.

    ``built`` is the class or factory of the file that builds it, else an empty string;
    ``stands`` says that the name stands for that class. With ``tentative`` it may be no model;
    with ``guess`` the file gives no hint but the name.
    """

    built: str
    stands: bool = True
    tentative: bool = False
    guess: bool = False


def bound_models(
    source: SourceFile, models: dict[str, ModelClass], judge: Judge, *, quiet: bool
) -> dict[str, Bound]:
    """Return the module-level names bound to a model.

    Models of the file, containers and models of a library; beside them what an imported class
    or function builds, unless the file trains it where it is imported; ``quiet`` makes that a
    guess always.
    """
    found: dict[str, Bound] = {}
    trains = _trains(source)
    for name, value in source.values.items():
        bound = None if value is None else _local(source, models, value)
        if bound is None and value is not None and not trains:
            bound = _imported(source, name, value, judge, quiet=quiet)
        if bound is not None:
            found[name] = bound
    return found


def without_parts(source: SourceFile, bound: dict[str, Bound]) -> dict[str, Bound]:
    """Return the bound models but those that another one is built from."""
    values = {name: source.values[name] or ast.Constant(None) for name in bound}
    parts = {
        node.id
        for name, value in values.items()
        for node in ast.walk(value)
        if isinstance(node, ast.Name) and node.id != name
    }
    return {name: model for name, model in bound.items() if name not in parts}


def callables(source: SourceFile, built: str, models: dict[str, ModelClass]) -> frozenset[str]:
    """Return what builds the same class as ``built``: that class and its factories."""
    groups = (frozenset({name}) | factories(source, name) for name in models)
    return next((group for group in groups if built in group), frozenset())


def _local(source: SourceFile, models: dict[str, ModelClass], value: ast.expr) -> Bound | None:
    """Return what a model of this file or of a library is bound as."""
    plain, built = built_by(value), built_by(value, any_method=True)
    group = callables(source, built, models)
    if group:
        doubted = built in models and models[built].tentative
        return Bound(built, stands=plain == built, tentative=plain != built or doubted)
    path = source.canonical(ast.parse(plain, mode="eval").body) if plain else ""
    return Bound("") if is_library_model(path) else None


def _imported(
    source: SourceFile, name: str, value: ast.expr, judge: Judge, *, quiet: bool
) -> Bound | None:
    """Return what something imported is bound as, if it may be a model."""
    built = built_by(value, any_method=True)
    kind = judge.of_call(source, built) if built else Kind.OTHER
    named = _LIKE_A_MODEL.search(name) or _LIKE_A_MODEL.search(built.rpartition(".")[2])
    if kind is Kind.OTHER or (kind is Kind.TENTATIVE and not named):
        return None
    return Bound("", tentative=True, guess=quiet or kind is Kind.TENTATIVE or not named)


def _trains(source: SourceFile) -> bool:
    """Say whether importing the file would train a model."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in _TRAINING
        for statement in module_level(source.tree.body)
        if isinstance(statement, ast.For | ast.While | ast.Expr | ast.Assign | ast.With)
        for node in ast.walk(statement)
    )
