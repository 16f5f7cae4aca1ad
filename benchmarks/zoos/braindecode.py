"""Every EEG net of braindecode, with the arguments its own tests need.

``pip install braindecode`` (or with ``--no-deps``: skorch mne h5py docstring-inheritance
pandas pydantic scikit-learn scipy).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from braindecode import models
from braindecode.models.util import models_mandatory_parameters
from torch import nn

from benchmarks.zoos import Entry, Given, Maker

_DEFAULTS: dict[str, Any] = {"n_chans": 3, "n_times": 1000, "n_outputs": 2, "sfreq": 250.0}
_CHANNELS = [{"ch_name": f"C{n}", "kind": "eeg", "loc": [float(n)] * 12} for n in range(1, 4)]


def entries() -> Iterator[Entry]:
    """Yield the nets that the package lists."""
    for name, needed, given in models_mandatory_parameters:
        if not name.startswith("Interpolated"):
            special = given() if callable(given) else given or {}
            options = {**_DEFAULTS, "chs_info": _CHANNELS, **special}
            if "chs_info" in special:
                options["n_chans"] = len(options["chs_info"])
            wanted = {key: options[key] for key in (*needed, *special)}
            chans = len(options["chs_info"]) if "chs_info" in wanted else options["n_chans"]
            yield Entry(name, _maker(name, wanted), _signal(chans, options["n_times"]))


def _maker(name: str, options: dict[str, Any]) -> Maker:
    def make() -> nn.Module:
        made: nn.Module = getattr(models, name)(**options)
        return made

    return make


def _signal(channels: int, times: int) -> Callable[[str], Given]:
    def inputs(device: str) -> Given:
        return (torch.rand(1, channels, times, device=device),), {}

    return inputs
