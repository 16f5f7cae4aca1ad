"""What the names of a function or block are bound to."""

from __future__ import annotations

import ast

from convlint.discover.source import FunctionNode, targets_of

PRETRAINED = {"pretrained": False, "weights": None, "weights_backbone": None}


def parameters(function: FunctionNode) -> dict[str, ast.expr | None]:
    """Return a function's parameters with their defaults; no pretrained weights are asked for."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
    defaults += arguments.defaults
    pairs = [*zip(plain, defaults, strict=True)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    names: dict[str, ast.expr | None] = {argument.arg: value for argument, value in pairs}
    for name in names.keys() & PRETRAINED.keys():
        names[name] = ast.Constant(PRETRAINED[name])
    if arguments.kwarg:
        names[arguments.kwarg.arg] = ast.Dict(keys=[], values=[])
    if arguments.vararg:
        names[arguments.vararg.arg] = ast.Tuple(elts=[], ctx=ast.Load())
    return names


def bindings(body: list[ast.stmt]) -> dict[str, ast.expr | None]:
    """Return the names that statements bind; None where it happens twice or in a loop."""
    names: dict[str, ast.expr | None] = {}
    for node in (child for statement in body for child in ast.walk(statement)):
        if isinstance(node, ast.stmt):
            for target, value in targets_of(node):
                if isinstance(target, ast.Name):
                    names[target.id] = None if target.id in names else value
                else:
                    names |= dict.fromkeys(_stored(target))
        if isinstance(node, ast.For | ast.AugAssign | ast.comprehension):
            names |= dict.fromkeys(_stored(node.target))
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            names |= dict.fromkeys(_stored(node.optional_vars))
    return names


def _stored(target: ast.AST) -> list[str]:
    return [
        n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
