"""What a script's own command line is without any word: the defaults of its argparse options."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

_PARSERS = frozenset({"parse_args", "parse_known_args"})
_SWITCHES = {"store_true": False, "store_false": True}


@dataclass(frozen=True, slots=True)
class CommandLine:
    """``names`` hold what was parsed; ``defaults`` are the literals of options that have one."""

    names: frozenset[str]
    defaults: dict[str, Any]

    def value(self, node: ast.Attribute) -> ast.Constant | None:
        """Return the default that ``args.width`` stands for, None where there is none."""
        held = isinstance(node.value, ast.Name) and node.value.id in self.names
        found = self.defaults.get(node.attr) if held else None
        return None if found is None else ast.Constant(found)


def command_line(tree: ast.Module) -> CommandLine:
    """Return the command line that a file declares with ``add_argument``."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    if not any(_name(call) in _PARSERS for call in calls):
        return CommandLine(frozenset(), {})
    makers = _PARSERS | {f.name for f in tree.body if isinstance(f, ast.FunctionDef) and _parses(f)}
    names = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _name(node.value) in makers
        for target in node.targets
        for name in (target.elts[:1] if isinstance(target, ast.Tuple) else [target])
        if isinstance(name, ast.Name)
    }
    pairs = (_default(call) for call in calls if _name(call) == "add_argument")
    return CommandLine(frozenset(names), dict(pair for pair in pairs if pair is not None))


def _parses(function: ast.FunctionDef) -> bool:
    return any(_name(node) in _PARSERS for node in ast.walk(function))


def _name(node: ast.AST) -> str:
    """Return the last part of what a call calls: "parse_args"."""
    func = node.func if isinstance(node, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _default(call: ast.Call) -> tuple[str, Any] | None:
    """Return the name and the default of an option; None where it is no literal."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    words = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    long = next((word for word in words if word.startswith("--")), words[0] if words else "")
    try:
        name = ast.literal_eval(given["dest"]) if "dest" in given else long.lstrip("-")
        action = ast.literal_eval(given["action"]) if "action" in given else ""
        default = ast.literal_eval(given["default"]) if "default" in given else None
    except (ValueError, TypeError, SyntaxError):
        return None
    default = _SWITCHES.get(action) if default is None else default
    return None if default is None else (str(name).replace("-", "_"), default)
