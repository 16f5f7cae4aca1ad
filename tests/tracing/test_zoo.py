"""A fixed sample of torchvision and timm: read whole, counted exactly, and runnable."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convlint import cost
from convlint.ir.validate import validate
from convlint.tracing import build, read, stubs
from convlint.tracing.lowering import lower
from convlint.tracing.sources import Locator
from convlint.tracing.tensors import KnownValues
from convlint.tracing.tracer import CALL, record
from convlint.wire import Request

# name -> (MACs at 1x3x224x224, params): torchvision's published _ops and num_params
TORCHVISION = {
    "alexnet": (714_188_480, 61_100_840),
    "densenet121": (2_834_161_664, 7_978_856),
    "efficientnet_b0": (385_814_752, 5_288_548),
    "mobilenet_v3_small": (56_510_400, 2_542_856),
    "regnet_y_400mf": (401_842_848, 4_344_144),
    "resnet50": (4_089_184_256, 25_557_032),
    "shufflenet_v2_x1_0": (144_907_992, 2_278_604),
    "swin_t": (4_490_566_656, 28_288_354),
    "vit_b_16": (17_563_828_224, 86_567_656),
}
TIMM = (
    "convnextv2_atto",
    "davit_tiny",
    "dpn68",
    "edgenext_xx_small",
    "efficientvit_b0",
    "hrnet_w18_small",
    "inception_next_tiny",
    "nasnetalarge",
    "nf_resnet26",
    "repvgg_a0",
    "resnetv2_50",
    "tf_efficientnet_lite0",
    "xcit_nano_12_p8_224",
)


def torchvision_maker(name: str) -> Callable[[], nn.Module]:
    stubs.install()
    import torchvision

    return lambda: torchvision.models.get_model(name, weights=None)


def timm_maker(name: str) -> Callable[[], nn.Module]:
    stubs.install()
    import timm

    return lambda: timm.create_model(name, pretrained=False)


def read_zoo_model(make: Callable[[], nn.Module]) -> tuple[nn.Module, read.Reading]:
    warnings.simplefilter("ignore")
    model = build.build(make)
    return model, read.read_model(model, Request("zoo", ".", module="zoo"), Locator("."))


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision_counts_are_the_published_ones(name: str) -> None:
    """MACs and params of the whole model, to the last digit."""
    _, reading = read_zoo_model(torchvision_maker(name))
    assert reading.stopped is None
    counted = cost.count(reading.graph)
    assert (counted.macs, counted.params) == TORCHVISION[name]


@pytest.mark.parametrize("name", TIMM)
def test_timm_counts_equal_torchs_counter(name: str) -> None:
    """A model that symbolic_trace often cannot read is read whole, MACs equal to torch's."""
    model, reading = read_zoo_model(timm_maker(name))
    assert reading.stopped is None
    meta = model.to("meta").eval()
    shape = reading.inputs[0].shape
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        meta(torch.empty(shape, device="meta"))
    assert 2 * cost.count(reading.graph).macs == counter.get_total_flops()


@pytest.mark.parametrize(
    "make",
    [
        *(torchvision_maker(n) for n in ("googlenet", "shufflenet_v2_x1_0", "swin_t")),
        *(timm_maker(n) for n in ("nf_resnet26", "edgenext_xx_small", "tf_efficientnet_lite0")),
    ],
    ids=lambda make: make.__name__,
)
def test_the_recorded_graph_runs_and_gives_the_same_bits(make: Callable[[], Any]) -> None:
    """GraphModule(trace) on real weights equals the model, bit for bit."""
    warnings.simplefilter("ignore")
    model = make().eval()
    x = torch.randn(1, 3, 224, 224)
    trace = record(model, (x,), {}, locator=Locator("."), known=KnownValues())
    assert trace.stopped is None
    module = trace.graph_module()
    with torch.no_grad():
        assert torch.equal(module(x), model(x))
        y = torch.randn(1, 3, 224, 224)
        assert torch.equal(module(y), model(y))
    validate(lower(trace, {}))
    assert all(CALL in node.meta for node in trace.graph.nodes if node.op != "output")
