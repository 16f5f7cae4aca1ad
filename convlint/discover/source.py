"""One Python file, parsed: its imports, classes, functions and module-level names."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from convlint.discover.commandline import CommandLine, command_line
from convlint.ir.nodes import SourceSpan

BUILTINS = frozenset(dir(builtins))
# Methods that return the model they are called on.
CHAINED = frozenset(
    {"to", "cuda", "cpu", "xpu", "eval", "train", "float", "half", "bfloat16", "double", "type"}
    | {"requires_grad_", "apply", "to_empty", "share_memory"}
)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class SourceFile:
    """A parsed file. ``path`` is what reports call it; ``file`` is where it lies.

    ``imports`` maps a name to the dotted path it stands for; ``values`` a module-level
    name to the expression bound last, or None where that is not one plain assignment.
    """

    path: str
    file: Path
    tree: ast.Module
    imports: dict[str, str]
    star: tuple[str, ...]
    classes: dict[str, ast.ClassDef]
    functions: dict[str, FunctionNode]
    values: dict[str, ast.expr | None]

    @cached_property
    def returns(self) -> dict[str, frozenset[str]]:
        """Each function with the names whose calls it returns."""
        return {name: _returned(function) for name, function in self.functions.items()}

    @cached_property
    def command_line(self) -> CommandLine:
        """The options that the file declares, with their defaults."""
        return command_line(self.tree)

    def canonical(self, node: ast.expr) -> str:
        """Return the dotted path of a name or attribute, its first part seen through imports."""
        text = dotted(node)
        head, _, rest = text.partition(".")
        known = self.imports.get(head, head)
        return f"{known}.{rest}" if rest else known

    def defines(self, name: str) -> bool:
        """Say whether ``name`` can be used in an expression of this module."""
        return (
            name in self.classes
            or name in self.functions
            or name in self.imports
            or name in BUILTINS
            or name in self.values
        )

    def span(self, node: ast.expr | ast.stmt) -> SourceSpan:
        """Return where ``node`` stands."""
        return SourceSpan(
            path=self.path,
            line=node.lineno,
            column=node.col_offset + 1,
            end_line=node.end_lineno or node.lineno,
            end_column=(node.end_col_offset or node.col_offset) + 1,
        )


def parse(text: bytes, path: str, file: Path) -> SourceFile:
    """Return the parsed file; raise SyntaxError or ValueError where Python cannot read it."""
    tree = ast.parse(text, filename=path)
    found = SourceFile(path, file, tree, {}, _star_imports(tree), {}, {}, {})
    for statement in module_level(tree.body):
        _register(found, statement)
    return found


def module_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run on import, those under if, try and with included.

    The ``if __name__ == "__main__"`` block does not run on import and is left out.
    """
    for statement in body:
        if is_main_block(statement):
            continue
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from module_level(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from module_level(handler.body)


def is_main_block(statement: ast.stmt) -> bool:
    """Say whether this is ``if __name__ == "__main__":``."""
    return isinstance(statement, ast.If) and any(
        isinstance(node, ast.Constant) and node.value == "__main__"
        for node in ast.walk(statement.test)
    )


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a name or attribute chain, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def built_by(node: ast.AST, *, any_method: bool = False) -> str:
    """Return what a call names, seen through ``.to(device).eval()``, else an empty string.

    With ``any_method`` also through methods that may return something else.
    """
    while isinstance(node, ast.Call):
        func = node.func
        if not isinstance(func, ast.Attribute):
            return dotted(func)
        chained = func.attr in CHAINED or (any_method and isinstance(func.value, ast.Call))
        if not chained:
            return dotted(func)
        node = func.value
    return ""


def joined(origin: str, name: str) -> str:
    """Return ``origin.name``; an origin of dots alone is the package itself."""
    return f"{origin}{name}" if origin.endswith(".") else f"{origin}.{name}"


def targets_of(statement: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    """Return (target, value) of an assignment, tuples taken apart pair by pair."""
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return [(statement.target, statement.value)]
    if not isinstance(statement, ast.Assign):
        return []
    pairs: list[tuple[ast.expr, ast.expr]] = []
    for target in statement.targets:
        value = statement.value
        if isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
            pairs.extend(zip(target.elts, value.elts, strict=False))
        else:
            pairs.append((target, value))
    return pairs


def _register(found: SourceFile, statement: ast.stmt) -> None:
    if isinstance(statement, ast.ClassDef):
        found.classes[statement.name] = statement
    elif isinstance(statement, FunctionNode):
        found.functions[statement.name] = statement
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            head = alias.name.partition(".")[0]
            found.imports[alias.asname or head] = alias.name if alias.asname else head
    elif isinstance(statement, ast.ImportFrom):
        origin = "." * statement.level + (statement.module or "")
        for alias in statement.names:
            found.imports[alias.asname or alias.name] = joined(origin, alias.name)
    for target, value in targets_of(statement):
        if isinstance(target, ast.Name):
            found.values[target.id] = value
    if isinstance(statement, ast.For | ast.AugAssign) and isinstance(statement.target, ast.Name):
        found.values[statement.target.id] = None


def _returned(function: FunctionNode) -> frozenset[str]:
    """Return what the function's results are calls of, seen through local names."""
    nodes = list(ast.walk(function))
    results = [node.value for node in nodes if isinstance(node, ast.Return) and node.value]
    names = {dotted(value) for value in results} - {""}
    results += [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign) and names & {dotted(target) for target in node.targets}
    ]
    return frozenset(built_by(value) for value in results) - {""}


def _star_imports(tree: ast.Module) -> tuple[str, ...]:
    return tuple(
        "." * statement.level + (statement.module or "")
        for statement in module_level(tree.body)
        if isinstance(statement, ast.ImportFrom)
        and any(alias.name == "*" for alias in statement.names)
    )
