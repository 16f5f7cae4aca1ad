"""Counts against those that torchvision publishes; benchmarks/published.py has all entries."""

from __future__ import annotations

import pytest

from benchmarks.published import Entry, compare, entries
from tests.zoo import torchvision

assert torchvision
SAMPLE = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_v2_s", "fcn_resnet50", "googlenet",
    "inception_v3", "lraspp_mobilenet_v3_large", "maxvit_t", "mnasnet0_5", "mobilenet_v2",
    "quantized_resnet18", "r2plus1d_18", "regnet_y_400mf", "resnet50", "s3d", "shufflenet_v2_x1_0",
    "squeezenet1_1", "swin_v2_t", "vit_b_16", "wide_resnet50_2",
)  # fmt: skip
ENTRIES = [entry for entry in entries() if entry.model in SAMPLE]


def test_there_is_an_entry_of_every_room() -> None:
    """Classification, quantized, segmentation and video; several crops."""
    assert {entry.room for entry in ENTRIES} == {
        "classification",
        "quantization",
        "segmentation",
        "video",
    }
    assert len({entry.shape[-1] for entry in ENTRIES}) > 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.model}-{e.weights}")
def test_macs_and_params_are_the_published_ones(entry: Entry) -> None:
    """GMACs at three decimals, parameters exactly, at the entry's own input."""
    found = compare(entry)
    assert (found.status, found.gmacs, found.params) == ("complete", entry.gmacs, entry.params)
