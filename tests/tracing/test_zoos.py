"""A fixed sample of the zoos that ``benchmarks/zoo.py`` sweeps, from six more packages."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from typing import Any

import pytest
import torch

from benchmarks import zoo, zoos
from convlint.tracing import inputs, stubs
from convlint.tracing.sources import Locator
from convlint.tracing.tensors import KnownValues, tensors_in
from convlint.tracing.tracer import record
from convlint.wire import Request

SAMPLE = {
    "pytorchcv": ("resnet18", "igcv3_w1", "shufflenetv2b_w1", "alphapose_fastseresnet101b_coco"),
    "smp": ("unet-resnet18", "deeplabv3plus-resnet18", "segformer-resnet18"),
    "monai": ("unet_3d", "dynunet_3d", "swin_unetr_2d", "segresnet_3d", "unet_1d"),
    "spandrel": ("Compact", "NAFNet", "SPAN", "SwinIR"),
    "demucs": ("htdemucs_deep",),
    "braindecode": ("EEGNet", "ATCNet", "ShallowFBCSPNet", "USleep"),
    "ptlflow": ("raft_small", "pwcnet", "liteflownet"),
}
RUN = {
    "pytorchcv": "shufflenetv2b_w1",
    "smp": "unet-resnet18",
    "monai": "unet_1d",
    "spandrel": "NAFNet",
    "braindecode": "EEGNet",
}


def entry_of(package: str, name: str) -> zoos.Entry:
    stubs.install()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    try:
        found = {entry.name: entry for entry in zoos.entries(package)}
    except ImportError as error:
        pytest.skip(f"{package} is not installed whole: {error}")
    return found[name]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Any:
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("package", "name"), [(p, n) for p, names in SAMPLE.items() for n in names]
)
def test_a_sampled_model_is_read_whole_and_counted_exactly(package: str, name: str) -> None:
    """Complete, and MACs equal to torch's own counter where that can run the model."""
    result = zoo.read_one(entry_of(package, name))
    assert result.status == "complete", result.words
    assert result.macs > 0
    assert result.torch_macs in (None, result.macs)


@pytest.mark.parametrize("package", RUN)
def test_the_recorded_graph_gives_the_same_bits(package: str) -> None:
    """GraphModule(trace) on real weights equals the model, on the traced input and another."""
    entry = entry_of(package, RUN[package])
    model = entry.make().eval()
    request = Request("zoo", ".", module="zoo")
    first = entry.inputs or (
        lambda device: inputs.make(next(inputs.candidates(request, model)), device)
    )
    args, kwargs = first("cpu")
    trace = record(model, args, kwargs, locator=Locator("."), known=KnownValues())
    assert trace.stopped is None
    module = trace.graph_module()
    for given_args, given_kwargs in ((args, kwargs), first("cpu")):
        with torch.no_grad():
            expected = list(tensors_in(model(*given_args, **given_kwargs)))
            given = list(tensors_in(module(*tensors_in((given_args, given_kwargs)))))
        assert len(expected) == len(given)
        assert all(map(torch.equal, expected, given))


def test_every_zoo_says_what_to_install() -> None:
    """The docstring of each module names the package to pip install."""
    for name in zoos.ZOOS:
        spec = importlib.util.find_spec(f"benchmarks.zoos.{name}")
        assert spec is not None and spec.loader is not None
        assert "pip install" in spec.loader.get_source(spec.name).split('"""')[1]  # type: ignore[attr-defined]
