"""The numbers that the page's own script draws and sorts by, as JSON inside the page.

Words stay in the table: a layer's name and shapes are read from its row.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from convlint.contract import Layer, ModelReport
from convlint_reports import blocks, modules
from convlint_reports.words import cut

_OUT_OF_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def data(model: ModelReport) -> str:
    """Return the numbers of a model's layers, in the order of the table's rows."""
    layers = model.layers
    found = modules.touched(model)
    facts: dict[str, Any] = {
        "target": cut(model.target),
        "names": [modules.called(layer) for layer in layers],
        "macs": [layer.macs for layer in layers],
        "params": [layer.params for layer in layers],
        "written": [layer.activation_bytes for layer in layers],
        "read": [layer.bytes_read for layer in layers],
        "sides": [modules.side(layer) for layer in layers],
        "fields": [_field(layer) for layer in layers],
        "marks": [modules.mark(found.get(layer.module, ())) for layer in layers],
        "folds": [[cut(fold.name), fold.rows] for fold in blocks.folded(layers)],
    }
    return inline(msgspec.json.encode(facts).decode())


def inline(text: str) -> str:
    """Return JSON that stands inside a script element and cannot end it."""
    return text.translate(_OUT_OF_SCRIPT)


def _field(layer: Layer) -> float | None:
    """Return the receptive field's side; -1 where it has no bound."""
    if layer.receptive_field is None:
        return None
    field = layer.receptive_field.max
    if field is None:
        return -1
    return round(math.prod(field) ** (1 / len(field)), 1) if field else None
