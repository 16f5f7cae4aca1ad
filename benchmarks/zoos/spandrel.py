"""Every super-resolution and restoration architecture of spandrel, with its defaults.

``pip install spandrel``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

from spandrel import architectures
from torch import nn

from benchmarks.zoos import Entry

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "AuraSR": {
        "dim": 16,
        "image_size": 64,
        "input_image_size": 16,
        "unconditional": True,
        "style_network": {"dim_in": 16, "dim_out": 32, "depth": 2},
    },
    "HAT": {"window_size": 16},
    "Swin2SR": {"window_size": 8},
    "SwinIR": {"window_size": 8},
    "MMRealSR": {"num_in_ch": 3, "num_out_ch": 3},
    "LaMa": {"in_nc": 4},
    "SAFMN": {"dim": 36},
    "SAFMNBCIE": {"dim": 36},
    "SPAN": {"num_in_ch": 3, "num_out_ch": 3},
}


def entries() -> Iterator[Entry]:
    """Yield the nn.Module classes that each architecture's package shows."""
    for found in pkgutil.iter_modules(architectures.__path__):
        if found.name.startswith("__"):
            continue
        module = importlib.import_module(f"spandrel.architectures.{found.name}")
        for name, kind in sorted(vars(module).items()):
            if inspect.isclass(kind) and issubclass(kind, nn.Module):
                options = _ARGUMENTS.get(name, {})
                yield Entry(name, lambda kind=kind, options=options: kind(**options))
