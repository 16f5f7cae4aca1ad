"""Pieces of a file that show how a model is used: its main block, functions, docstrings."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from dataclasses import dataclass

from convlint.discover.bindings import bindings, parameters
from convlint.discover.docstrings import examples
from convlint.discover.source import (
    FunctionNode,
    SourceFile,
    dotted,
    is_main_block,
    module_level,
)

MAX_DEPTH = 8
# What never belongs into an expression: it reads the command line, a file or a person.
OUTSIDE = frozenset({"parse_args", "parse_known_args", "input", "open"})
_PLAIN = frozenset("abs bool dict float int len list max min range round sum tuple".split())
"""Builtins that an expression for any file may use."""
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

    ``calls`` stand in the order of the text; ``words`` are all names that occur; ``line`` is
    added to the line numbers of a docstring's statements.
    """

    kind: Kind
    source: SourceFile
    names: dict[str, ast.expr | None]
    calls: tuple[ast.Call, ...]
    assignments: tuple[ast.Assign, ...]
    words: frozenset[str]
    owner: str = ""
    line: int = 0

    def lookup(self, name: str) -> ast.expr | None:
        """Return what a name is bound to, here or in the module, where that is one thing."""
        return self.names[name] if name in self.names else self.source.values.get(name)

    def before(self, name: ast.Name) -> ast.expr | None:
        """Return what a name was bound to last in the lines above, where it is bound again below."""
        found = None
        for assignment in self.assignments:
            bound = any(isinstance(t, ast.Name) and t.id == name.id for t in assignment.targets)
            if bound and assignment.lineno < name.lineno:
                found = assignment
        return None if found is None else found.value

    def closed(self, node: ast.expr, *, anywhere: bool = False) -> str:
        """Return ``node`` as an expression of the module's namespace, locals put in.

        With ``anywhere`` what the module's names stand for is put in too, so that it means the
        same in any file. Raise OpenExpressionError where it depends on an argument, a loop or the
        outside.
        """
        return ast.unparse(_Closer(self, anywhere).visit(_copy(node)))

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
        _block(Kind.MAIN, source, main.body, bindings(main.body), owner="__main__")
        for main in mains
    ]
    plain: list[ast.stmt] = [
        s for s in module_level(source.tree.body) if isinstance(s, ast.Expr | ast.Assign)
    ]
    found.append(_block(Kind.MODULE, source, plain, {}))
    found.extend(_function_blocks(source))
    found.extend(_docstring_blocks(source))
    return tuple(found)


def _block(
    kind: Kind,
    source: SourceFile,
    body: list[ast.stmt],
    names: dict[str, ast.expr | None],
    owner: str = "",
    line: int = 0,
) -> Block:
    nodes = [node for statement in body for node in ast.walk(statement)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return Block(
        kind=kind,
        source=source,
        names=names,
        calls=tuple(sorted(calls, key=lambda call: (call.lineno, call.col_offset))),
        assignments=tuple(
            sorted((n for n in nodes if isinstance(n, ast.Assign)), key=lambda node: node.lineno)
        ),
        words=frozenset(node.id for node in nodes if isinstance(node, ast.Name)),
        owner=owner,
        line=line,
    )


def _function_blocks(source: SourceFile) -> Iterator[Block]:
    tests = (
        method
        for name, node in source.classes.items()
        if "test" in name.lower()
        for method in node.body
        if isinstance(method, FunctionNode)
    )
    for function in (*source.functions.values(), *tests):
        names = parameters(function) | bindings(function.body)
        yield _block(Kind.FUNCTION, source, function.body, names, owner=function.name)


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
            body = list(examples(text.value))
            if body:
                names = bindings(body)
                yield _block(Kind.DOCSTRING, source, body, names, name, text.lineno - 1)


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

    def __init__(self, block: Block, anywhere: bool = False, depth: int = 0) -> None:
        self.block = block
        self.anywhere = anywhere
        self.depth = depth

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.block.names:
            return self._bound(self.block.names[node.id])
        if not self.block.source.defines(node.id) or node.id in OUTSIDE:
            raise OpenExpressionError
        value = self.block.source.values.get(node.id)
        if value is not None and _reads_outside(value):
            raise OpenExpressionError
        if not self.anywhere or (value is None and node.id in _PLAIN):
            return node
        unset = isinstance(value, ast.Constant) and value.value is None
        return self._bound(None if unset else value)  # a global that is None is set somewhere

    def _bound(self, value: ast.expr | None) -> ast.expr:
        if value is None or self.depth > MAX_DEPTH:
            raise OpenExpressionError
        closer = _Closer(self.block, self.anywhere, self.depth + 1)
        result: ast.expr = closer.visit(_copy(value))
        return result

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        default = self.block.source.command_line.value(node)
        return self.generic_visit(node) if default is None else default

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
