"""Whether a class, or what a call builds, is an nn.Module, as far as files read as text tell."""

from __future__ import annotations

import ast
import enum
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from convlint.discover.project import Project
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
LOSS = re.compile(r"(Loss|Criterion|Metric)$", re.IGNORECASE)
# Packages in which no class is an nn.Module.
MODEL_FREE = frozenset(
    """absl aiohttp albumentations altair argh attr attrs boto3 bs4 celery click cv2 cvxpy
    dash dask datasets django docutils fastapi fire flask flax google gradio gym gymnasium h5py
    httpx hydra hypothesis IPython jax jaxlib jinja2 joblib keras librosa loguru lxml marshmallow
    matplotlib mlflow msgspec nltk nose networkx numba numpy omegaconf onnx onnxruntime pandas
    paramiko peewee PIL plotly polars psutil pyarrow pydantic pygame pymongo pytest
    rich requests scipy seaborn setuptools simple_parsing six skimage sklearn sphinx sqlalchemy
    starlette streamlit structlog sympy tap tensorboard tensorboardX tensorflow toml tomli tqdm
    tornado typer typing_extensions wandb werkzeug yacs yaml zmq""".split()
)
_LIBRARY_MODELS = re.compile(r"(torchvision\.models|timm|segmentation_models_pytorch)\.")
_CONTAINERS = frozenset({"torch.nn.Sequential", "torch.nn.modules.container.Sequential"})


class Kind(enum.Enum):
    """What a class is, or what a call builds, as far as the files tell."""

    MODEL = "model"
    TENTATIVE = "tentative"
    OTHER = "other"


@dataclass(slots=True)
class Judge:
    """Judges classes and calls, each class once.

    ``bases`` are the classes, by file and name, that a class of another file inherits from.
    """

    project: Project = field(default_factory=Project)
    known: dict[tuple[Path, str], Kind] = field(default_factory=dict)
    bases: set[tuple[Path, str]] = field(default_factory=set)

    def of_class(self, source: SourceFile, name: str) -> Kind:
        """Return what a class of the file is; classes that inherit in a circle are none."""
        key = (source.file, name)
        if key not in self.known:
            self.known[key] = Kind.OTHER
            kinds = [self._of_base(source, base) for base in source.classes[name].bases]
            self.known[key] = _strongest(kinds)
        return self.known[key]

    def _of_base(self, source: SourceFile, base: ast.expr) -> Kind:
        if isinstance(base, ast.Subscript):  # Generic[T], Base[Config]
            base = base.value
        text = dotted(base)
        if text in source.classes:
            return self.of_class(source, text)
        path = source.canonical(base)
        if text in MODEL_SPELLINGS or path in MODEL_BASES or _is_torch_layer(path):
            return Kind.MODEL
        if text.partition(".")[0] not in source.imports:
            starred = any("nn" in name.split(".") for name in source.star)
            return Kind.MODEL if text == "Module" and starred else self._unknown(source, text)
        return Kind.OTHER if _is_model_free(path) else self._imported(source, path)

    def _imported(self, source: SourceFile, path: str) -> Kind:
        place = self.project.find(source, path)
        if place is not None:
            return self._at(*place)
        return Kind.OTHER if NO_MODELS.search(path) else Kind.TENTATIVE

    def _unknown(self, source: SourceFile, text: str) -> Kind:
        """Judge a base that no import names: it may come through a star import."""
        if not text or not source.star or text in BUILTINS:
            return Kind.OTHER
        place = self.project.starred(source, text)
        if place is not None:
            return self._at(*place)
        return Kind.OTHER if NO_MODELS.search(text) else Kind.TENTATIVE

    def _at(self, source: SourceFile, name: str) -> Kind:
        if name not in source.classes:
            return Kind.TENTATIVE
        self.bases.add((source.file, name))
        return self.of_class(source, name)

    def of_call(self, source: SourceFile, callee: str, hops: int = 0) -> Kind:
        """Return what calling ``callee`` gives, seen through functions and imports."""
        head = callee.partition(".")[0]
        path = source.imports.get(head, head) + callee.removeprefix(head)
        if hops > 8 or LOSS.search(callee):
            return Kind.OTHER
        if callee in source.classes:
            return self.of_class(source, callee)
        if callee in source.functions:
            return self._of_function(source, callee, hops)
        if is_library_model(path):
            return Kind.MODEL
        if hops and head in source.classes:  # Net.small()
            known = self.of_class(source, head) is Kind.OTHER
            return Kind.OTHER if known else Kind.TENTATIVE
        if head in source.imports and not _is_model_free(path) and not NO_MODELS.search(path):
            place = self.project.find(source, path)
            return Kind.TENTATIVE if place is None else self.of_call(*place, hops + 1)
        return Kind.OTHER

    def _of_function(self, source: SourceFile, name: str, hops: int) -> Kind:
        made = source.returns[name]
        if not made and hops:  # what it returns is no call: nobody can tell
            gives = any(
                isinstance(n, ast.Return) and n.value for n in ast.walk(source.functions[name])
            )
            return Kind.TENTATIVE if gives else Kind.OTHER
        return _strongest([self.of_call(source, callee, hops + 1) for callee in sorted(made)])


def is_library_model(path: str) -> bool:
    """Tell containers, and functions and classes of libraries whose result is a model."""
    last = path.rpartition(".")[2]
    named = bool(_LIBRARY_MODELS.match(path)) and not last.endswith(("Weights", "transforms"))
    return named or path in _CONTAINERS


def _strongest(kinds: list[Kind]) -> Kind:
    return next((kind for kind in (Kind.MODEL, Kind.TENTATIVE) if kind in kinds), Kind.OTHER)


def _is_model_free(path: str) -> bool:
    top = path.partition(".")[0]
    return top in sys.stdlib_module_names or top == "torch" or top in MODEL_FREE


def _is_torch_layer(path: str) -> bool:
    last = path.rpartition(".")[2]
    return path.startswith("torch.nn.") and last[:1].isupper() and not NO_MODELS.search(last)
