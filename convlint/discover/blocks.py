"""Pieces of a file that show how a model is used: its main block, functions, docstrings."""

from __future__ import annotations

import ast
import enum
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from convlint.discover.source import (
    FunctionNode,
    SourceFile,
    dotted,
    is_main_block,
    module_level,
    targets_of,
)

MAX_DEPTH = 8
# What never belongs into an expression: it reads the command line, a file or a person.
OUTSIDE = frozenset({"parse_args", "parse_known_args", "input", "open"})
PRETRAINED = {"pretrained": False, "weights": None, "weights_backbone": None}
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Pow)


class Kind(enum.Enum):
    """Where a block stands."""

    MAIN = "main"
    MODULE = "module"
    FUNCTION = "function"
    DOCSTRING = "docstring"


class OpenExpressionError(Exception):
    """An expression depends on something that only a run knows."""


@dataclass(frozen=True, slots=True)
class Block:
    """Statements with the names they bind: an expression, or None where several or unknown.

    ``line`` is added to the line numbers of a docstring's statements.
    """

    kind: Kind
    source: SourceFile
    body: tuple[ast.stmt, ...]
    names: dict[str, ast.expr | None] = field(default_factory=dict)
    owner: str = ""
    line: int = 0

    def calls(self) -> Iterator[ast.Call]:
        """Yield the calls of the block in the order they stand."""
        found = (n for part in self.body for n in ast.walk(part) if isinstance(n, ast.Call))
        yield from sorted(found, key=lambda call: (call.lineno, call.col_offset))

    def lookup(self, name: str) -> ast.expr | None:
        """Return what a name is bound to, here or in the module, where that is one thing."""
        return self.names[name] if name in self.names else self.source.values.get(name)

    def closed(self, node: ast.expr) -> str:
        """Return ``node`` as an expression of the module's namespace, locals put in.

        Raise OpenExpressionError where it depends on an argument, a loop or the outside.
        """
        return ast.unparse(_Closer(self).visit(_copy(node)))

    def value(self, node: ast.expr, depth: int = 0) -> object:
        """Return the value of a literal: numbers, strings, tuples, arithmetic and names of them."""
        if depth > MAX_DEPTH:
            raise OpenExpressionError
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Tuple | ast.List):
            return tuple(self.value(item, depth + 1) for item in node.elts)
        if isinstance(node, ast.Name):
            bound = self.lookup(node.id)
            if bound is None:
                raise OpenExpressionError
            return self.value(bound, depth + 1)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return _arithmetic(ast.Sub(), 0, self.value(node.operand, depth + 1))
        if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
            left, right = self.value(node.left, depth + 1), self.value(node.right, depth + 1)
            return _arithmetic(node.op, left, right)
        raise OpenExpressionError


def blocks_of(source: SourceFile) -> tuple[Block, ...]:
    """Return the blocks of a file: main blocks, module level, functions, docstrings."""
    mains = [s for s in source.tree.body if is_main_block(s) and isinstance(s, ast.If)]
    found = [
        Block(Kind.MAIN, source, tuple(main.body), _bindings(main.body), owner="__main__")
        for main in mains
    ]
    plain = tuple(s for s in module_level(source.tree.body) if isinstance(s, ast.Expr | ast.Assign))
    found.append(Block(Kind.MODULE, source, plain))
    found.extend(_function_blocks(source))
    found.extend(_docstring_blocks(source))
    return tuple(found)


def _function_blocks(source: SourceFile) -> Iterator[Block]:
    tests = (
        method
        for name, node in source.classes.items()
        if "test" in name.lower()
        for method in node.body
        if isinstance(method, FunctionNode)
    )
    for function in (*source.functions.values(), *tests):
        names = _parameters(function) | _bindings(function.body)
        yield Block(Kind.FUNCTION, source, tuple(function.body), names, owner=function.name)


def _docstring_blocks(source: SourceFile) -> Iterator[Block]:
    owners: list[tuple[str, ast.Module | ast.ClassDef | FunctionNode]] = [("", source.tree)]
    for name, node in source.classes.items():
        owners.append((name, node))
        owners += [(name, child) for child in node.body if isinstance(child, FunctionNode)]
    owners += source.functions.items()
    for name, owner in owners:
        if not (owner.body and isinstance(owner.body[0], ast.Expr) and ast.get_docstring(owner)):
            continue
        text = owner.body[0].value
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            body = tuple(_examples(text.value))
            if body:
                yield Block(
                    Kind.DOCSTRING, source, body, _bindings(body), name, line=text.lineno - 1
                )


def _examples(docstring: str) -> Iterator[ast.stmt]:
    """Yield the statements of a docstring: those behind prompts, else lines that are calls."""
    lines = docstring.splitlines()
    prompted = [(i, line.strip()[4:]) for i, line in enumerate(lines) if _prompted(line)]
    for number, text in prompted or list(enumerate(map(str.strip, lines))):
        if not re.search(r"\w\(", text) and not re.match(r"\w+\s*=", text):
            continue
        more = number + 1
        while more < len(lines) and lines[more].strip().startswith("... "):
            text += "\n" + lines[more].strip()[4:]
            more += 1
        try:
            statements = ast.parse(inspect.cleandoc(text)).body
        except (SyntaxError, ValueError):
            continue
        for statement in statements:
            yield ast.increment_lineno(statement, number)


def _prompted(line: str) -> bool:
    return line.strip().startswith(">>> ")


def _parameters(function: FunctionNode) -> dict[str, ast.expr | None]:
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


def _bindings(body: list[ast.stmt] | tuple[ast.stmt, ...]) -> dict[str, ast.expr | None]:
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


def _arithmetic(operator: ast.operator, left: object, right: object) -> object:
    if isinstance(left, tuple) and isinstance(right, tuple) and isinstance(operator, ast.Add):
        return left + right
    if not isinstance(left, int) or not isinstance(right, int):
        raise OpenExpressionError
    return _apply(operator, left, right)


def _apply(operator: ast.operator, left: int, right: int) -> int:
    try:
        match operator:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.FloorDiv():
                return left // right
            case ast.Mod():
                return left % right
            case ast.Pow() if 0 <= right <= 64:
                return int(left**right)
    except ArithmeticError:
        pass
    raise OpenExpressionError


def _copy(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


class _Closer(ast.NodeTransformer):
    """Puts local names in; raises OpenExpressionError at what cannot be written out."""

    def __init__(self, block: Block, depth: int = 0) -> None:
        self.block = block
        self.depth = depth

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.block.names:
            bound = self.block.names[node.id]
            if bound is None or self.depth > MAX_DEPTH:
                raise OpenExpressionError
            result: ast.expr = _Closer(self.block, self.depth + 1).visit(_copy(bound))
            return result
        if not self.block.source.defines(node.id) or node.id in OUTSIDE:
            raise OpenExpressionError
        value = self.block.source.values.get(node.id)
        if value is not None and _reads_outside(value):
            raise OpenExpressionError
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        if dotted(node.func).rpartition(".")[2] in OUTSIDE:
            raise OpenExpressionError
        node.func = self.visit(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [
            ast.keyword(keyword.arg, self.visit(keyword.value)) for keyword in node.keywords
        ]
        node.keywords = [k for k in node.keywords if k.arg or ast.unparse(k.value) != "{}"]
        node.args = [a for a in node.args if ast.unparse(a) not in ("*()", "*[]")]
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Lambda | ast.Await | ast.NamedExpr | ast.Yield | ast.ListComp):
            raise OpenExpressionError
        return super().generic_visit(node)


def _reads_outside(value: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in OUTSIDE
        for node in ast.walk(value)
    )
