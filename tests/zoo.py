"""Torchvision models as graphs, without weights."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from convlint.ir.graph import ModelGraph
from convlint.tracing import build, read, stubs
from convlint.tracing.sources import Locator
from convlint.wire import InputSpec, Request

stubs.install()
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")


def graph_of(name: str, *shape: int, outputs: tuple[str, ...] = (), **options: Any) -> ModelGraph:
    """Return the graph of a torchvision model on an input of this shape; ``outputs`` are read."""
    given = ((InputSpec(shape or (1, 3, 224, 224)),),)
    asked = Request(name, ".", module="zoo", inputs=given, outputs=outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build.build(lambda: torchvision.models.get_model(name, weights=None, **options))
        return read.read_model(model, asked, Locator(".")).graph
