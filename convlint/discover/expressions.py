"""How a root class can be built: the calls that the file itself shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.discover.bindings import PRETRAINED
from convlint.discover.blocks import Block, Kind, OpenExpressionError
from convlint.discover.source import FunctionNode, SourceFile, dotted

MAX_EXPRESSIONS = 8


@dataclass(frozen=True, slots=True)
class Signature:
    """What a constructor asks for: names without default, None where the file does not tell."""

    required: tuple[str, ...] | None


def signature_of(source: SourceFile, name: str) -> Signature:
    """Return what building class ``name`` needs, seen through bases in the same file."""
    seen: set[str] = set()
    while name in source.classes and name not in seen:
        seen.add(name)
        node = source.classes[name]
        for method in node.body:
            if isinstance(method, FunctionNode) and method.name == "__init__":
                return Signature(required_of(method, bound=True))
        name = next((dotted(b) for b in node.bases if dotted(b) in source.classes), "")
    return Signature(None)


def required_of(function: FunctionNode, *, bound: bool = False) -> tuple[str, ...]:
    """Return the arguments a function cannot be called without."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    needed = plain[: len(plain) - len(arguments.defaults)][1 if bound else 0 :]
    only = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return tuple(a.arg for a in [*needed, *(name for name, value in only if value is None)])


def expressions_for(source: SourceFile, blocks: tuple[Block, ...], name: str) -> tuple[str, ...]:
    """Return the expressions that may build class ``name``, in the order to try them."""
    found: dict[str, None] = {}
    if not signature_of(source, name).required:
        found[f"{name}()"] = None
    makers = factories(source, name)
    for block in blocks:
        for expression in _shown_in(block, name, makers):
            found[expression] = None
        if len(found) >= MAX_EXPRESSIONS:
            break
    return tuple(found)[:MAX_EXPRESSIONS]


def factories(source: SourceFile, name: str) -> frozenset[str]:
    """Return the module-level functions that return an instance of class ``name``."""
    makers = {name}
    for _ in range(3):  # factories of factories: resnet18 -> _resnet -> ResNet
        makers |= {function for function, built in source.returns.items() if built & makers}
    return frozenset(makers - {name})


def _shown_in(block: Block, name: str, makers: frozenset[str]) -> Iterator[str]:
    if block.kind is Kind.FUNCTION and block.owner in makers:
        function = block.source.functions[block.owner]
        if not required_of(function):
            yield _plain_call(function)
            return
    for call in block.calls:
        if dotted(call.func) not in makers | {name}:
            continue
        try:
            yield block.closed(call)
        except OpenExpressionError:
            continue


def _plain_call(function: FunctionNode) -> str:
    """Return the call without arguments, but never one that downloads weights."""
    arguments = function.args
    asked = [a.arg for a in [*arguments.args, *arguments.kwonlyargs] if a.arg in PRETRAINED]
    return f"{function.name}({', '.join(f'{a}={PRETRAINED[a]}' for a in asked)})"
