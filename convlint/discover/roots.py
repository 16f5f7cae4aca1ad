"""Which classes of a file are models, and which of them no other one builds."""

from __future__ import annotations

import ast
import enum
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from convlint.discover.source import BUILTINS, SourceFile, dotted

MODEL_BASES = frozenset(
    {
        "torch.jit.ScriptModule",
        "torch.jit.script_module.ScriptModule",
        "pytorch_lightning.LightningModule",
        "pytorch_lightning.core.LightningModule",
        "lightning.LightningModule",
        "lightning.pytorch.LightningModule",
    }
)
# Spelled so without an import that explains them (star imports, or names passed around).
MODEL_SPELLINGS = frozenset(
    {"nn.Module", "torch.nn.Module", "nn.Sequential", "pl.LightningModule", "LightningModule"}
)
NO_MODELS = re.compile(
    r"(Dataset|DataModule|Sampler|Config|Callback|Optimizer|Scheduler|Trainer|Transform"
    r"|Error|Exception|TestCase|Function|Enum|BaseModel|Parameter)$"
)
LOSS = re.compile(r"(Loss|Criterion|Metric)$")


class Kind(enum.Enum):
    """What a class is, as far as the file tells."""

    MODEL = "model"
    TENTATIVE = "tentative"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ModelClass:
    """A class that is an nn.Module, surely or (``tentative``) perhaps."""

    name: str
    node: ast.ClassDef
    tentative: bool


def model_classes(source: SourceFile) -> dict[str, ModelClass]:
    """Return the nn.Module classes of the file, in the order they stand in it."""
    kinds: dict[str, Kind] = {}
    found = {}
    for name, node in sorted(source.classes.items(), key=lambda item: item[1].lineno):
        kind = _kind_of_class(source, name, kinds, ())
        if kind is not Kind.OTHER:
            found[name] = ModelClass(name, node, tentative=kind is Kind.TENTATIVE)
    return found


def root_classes(source: SourceFile, models: dict[str, ModelClass]) -> tuple[ModelClass, ...]:
    """Return the model classes that nothing else of the file builds or inherits from.

    Where each is used by another one, the last class stands for the file. A loss beside
    models is no root.
    """
    used = _used_names(source, models)
    roots = [model for name, model in models.items() if name not in used]
    if not roots and models:
        roots = [list(models.values())[-1]]
    without_losses = [model for model in roots if not LOSS.search(model.name)]
    return tuple(without_losses or roots)


def _kind_of_class(
    source: SourceFile, name: str, kinds: dict[str, Kind], above: tuple[str, ...]
) -> Kind:
    if name in above:
        return Kind.OTHER
    if name not in kinds:
        bases = [
            _kind_of_base(source, base, kinds, (*above, name))
            for base in source.classes[name].bases
        ]
        kinds[name] = next((k for k in (Kind.MODEL, Kind.TENTATIVE) if k in bases), Kind.OTHER)
    return kinds[name]


def _kind_of_base(
    source: SourceFile, base: ast.expr, kinds: dict[str, Kind], above: tuple[str, ...]
) -> Kind:
    if isinstance(base, ast.Subscript):  # Generic[T], Base[Config]
        base = base.value
    text = dotted(base)
    if text in source.classes:
        return _kind_of_class(source, text, kinds, above)
    path = source.canonical(base)
    if text in MODEL_SPELLINGS or path in MODEL_BASES or _is_torch_layer(path):
        return Kind.MODEL
    if text.partition(".")[0] not in source.imports:
        starred = any("nn" in name.split(".") for name in source.star)
        return Kind.MODEL if text == "Module" and starred else _unknown(source, text)
    top = path.partition(".")[0]
    if top in sys.stdlib_module_names or top == "torch" or NO_MODELS.search(path):
        return Kind.OTHER
    return Kind.TENTATIVE


def _unknown(source: SourceFile, text: str) -> Kind:
    """Judge a base that no import names: it may come through a star import."""
    other = not text or not source.star or text in BUILTINS or bool(NO_MODELS.search(text))
    return Kind.OTHER if other else Kind.TENTATIVE


def _is_torch_layer(path: str) -> bool:
    last = path.rpartition(".")[2]
    return path.startswith("torch.nn.") and last[:1].isupper() and not NO_MODELS.search(last)


# --- who uses whom -----------------------------------------------------------------


def _used_names(source: SourceFile, models: dict[str, ModelClass]) -> set[str]:
    """Return the model classes that are parts or bases of others."""
    helpers = _Helpers(source, {})
    used: set[str] = set()
    for name, model in models.items():
        used |= helpers.reached(_names_in(model.node)) & models.keys() - {name}
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
    """Walk a node, leaving out annotations and the checks of isinstance."""
    yield node
    hints = {"annotation", "returns"}
    if isinstance(node, ast.Call) and dotted(node.func) in ("isinstance", "issubclass", "super"):
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
