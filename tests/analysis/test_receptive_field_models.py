"""Receptive fields of the last convolution of real models, along the shortest and longest paths.

The chains (AlexNet, VGG) and the largest field of Inception v3 are also those of Araujo et al.,
"Computing Receptive Fields of Convolutional Neural Networks", Distill 2019; the pairs of the
branched models are what rfa_toolbox gives for the same torchvision code.
"""

from __future__ import annotations

import pytest

from convlint.analysis.receptive_field import Field, receptive_fields
from convlint.ir import nodes as ir
from tests.zoo import graph_of

NO_HEADS = {"init_weights": False, "aux_logits": False}
KNOWN: dict[str, tuple[int, int | None]] = {
    "alexnet": (163, 163),
    "vgg11": (134, 134),
    "vgg16": (196, 196),
    "resnet18": (139, 435),
    "resnet34": (139, 899),
    "resnet50": (75, 427),
    "resnext50_32x4d": (75, 427),
    "wide_resnet50_2": (75, 427),
    "resnet101": (75, 971),
    "resnet152": (75, 1451),
    "mobilenet_v2": (163, 491),
    "mnasnet1_0": (219, 843),
    "shufflenet_v2_x1_0": (63, 527),
    "squeezenet1_0": (35, 155),
    "densenet121": (103, 2071),
    "googlenet": (123, 379),
    "inception_v3": (143, 1247),
    "convnext_tiny": (224, 1688),
    # Squeeze-and-excite gates make max infinite. Blocks of the same width and stride 1 are
    # passed by their shortcut, so min is the stem (3, jump 2) and the blocks that change:
    # small: k3 s2 3+2*2=7, k3 s2 +2*4=15, k5 s2 +4*8=47, k5 +4*16=111, k5 s2 +4*16=175
    "mobilenet_v3_small": (175, None),
    # large: k3 s2 3+2*2=7, k5 s2 +4*4=23, k3 s2 +2*8=39, k3 +2*16=71, k5 s2 +4*16=135
    "mobilenet_v3_large": (135, None),
    "efficientnet_b0": (235, None),
}


def _side(value: tuple[object, ...] | None) -> object:
    if value is None:
        return None
    assert len(set(value)) == 1
    return value[0]


def _last_and_all(name: str) -> tuple[Field, list[Field]]:
    options = NO_HEADS if name in ("googlenet", "inception_v3") else {}
    side = 299 if name == "inception_v3" else 224
    graph = graph_of(name, 1, 3, side, side, **options)
    fields = receptive_fields(graph)
    convs = [fields[node.id] for node in graph if isinstance(node.op, ir.Conv)]
    return convs[-1], convs


@pytest.mark.parametrize("name", KNOWN)
def test_the_last_conv_has_its_known_field(name: str) -> None:
    """Min and max over all paths, in pixels of the input."""
    last, _ = _last_and_all(name)
    assert (_side(last.min), _side(last.max)) == KNOWN[name]


def test_the_largest_field_of_inception_v3_is_that_of_distill() -> None:
    """1311, in the branch with two 3-tap layers."""
    _, convs = _last_and_all("inception_v3")
    assert max(side for field in convs if field.max for side in field.max) == 1311


def test_vgg16_after_its_last_pool_is_that_of_distill() -> None:
    """212."""
    graph = graph_of("vgg16")
    fields = receptive_fields(graph)
    pools = [n for n in graph if isinstance(n.op, ir.Pool) and n.op.type == "max"]
    assert fields[pools[-1].id].max == (212, 212)
