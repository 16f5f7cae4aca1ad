"""An example of every exact rule: a zoo's model, or the part of one that carries the pattern."""

from __future__ import annotations

from collections.abc import Iterator

import timm
import torchvision
from torch import nn

from benchmarks.measured import parts
from benchmarks.measured.rows import Rewritten

_IMAGE = ((1, 3, 224, 224),)


def _zoo(name: str) -> nn.Module:
    """Return a torchvision model without weights."""
    made: nn.Module = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    return made


def _plain(name: str) -> nn.Module:
    made: nn.Module = torchvision.models.get_model(name, weights=None)
    return made


def _stem() -> nn.Module:
    net = _plain("resnet18")
    return nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)


def rows() -> Iterator[Rewritten]:
    """Yield the rows in the order of their codes."""
    yield from _pooling()
    yield from _upsampling()
    yield from _merging()
    yield from _cropping()
    yield from _folding()
    yield from _elementwise()


def _pooling() -> Iterator[Rewritten]:
    yield Rewritten(
        "CL401", "densenet121", lambda: _plain("densenet121"), _IMAGE, ("CL401",), whole=True
    )
    yield Rewritten(
        "CL401-transition",
        "densenet121's first transition",
        lambda: _plain("densenet121").features.transition1,
        ((1, 256, 56, 56),),
        ("CL401",),
    )


def _upsampling() -> Iterator[Rewritten]:
    yield Rewritten(
        "CL402", "lraspp_mobilenet_v3_large", lambda: parts.out_of(_zoo("lraspp_mobilenet_v3_large")),
        _IMAGE, ("CL402",), whole=True,
    )  # fmt: skip
    yield Rewritten(
        "CL402-decoder",
        "bilinear x2, then a 1x1 256->64",
        parts.bilinear_step,
        ((1, 256, 56, 56),),
        ("CL402",),
    )
    yield Rewritten(
        "CL403",
        "smp PSPNet, efficientnet-b0",
        lambda: parts.smp("pspnet", "efficientnet-b0"),
        _IMAGE,
        ("CL403",),
        whole=True,
    )
    yield Rewritten(
        "CL403+CL408",
        "SegFormer's head as in B0, 512x512 images",
        parts.SegFormerHead,
        tuple((1, c, s, s) for c, s in ((32, 128), (64, 64), (160, 32), (256, 16))),
        ("CL403", "CL408"),
    )
    yield Rewritten(
        "CL404",
        "torchvision's DeepLabHead on mobilenet_v3_large",
        lambda: torchvision.models.segmentation.deeplabv3.DeepLabHead(960, 21),
        ((1, 960, 28, 28),),
        ("CL404",),
    )
    yield Rewritten(
        "CL405",
        "smp Unet, resnet18",
        lambda: parts.smp("unet", "resnet18"),
        _IMAGE,
        ("CL405",),
        whole=True,
    )
    yield Rewritten(
        "CL405-step",
        "nearest x2, then a 3x3 64->64",
        parts.nearest_step,
        ((1, 64, 56, 56),),
        ("CL405",),
    )
    yield Rewritten(
        "CL423",
        "hrnet_w18_small's last exchange between branches",
        lambda: parts.Exchange(timm.create_model("hrnet_w18_small", pretrained=False)),
        tuple((1, 16 * 2**i, 56 // 2**i, 56 // 2**i) for i in range(4)),
        ("CL423",),
    )


def _merging() -> Iterator[Rewritten]:
    yield Rewritten(
        "CL408",
        "mobilenet_v3_small",
        lambda: _plain("mobilenet_v3_small"),
        _IMAGE,
        ("CL408",),
        whole=True,
    )
    yield Rewritten(
        "CL409",
        "timm mobileone_s0",
        lambda: timm.create_model("mobileone_s0", pretrained=False),
        _IMAGE,
        ("CL409",),
        whole=True,
    )
    yield Rewritten(
        "CL409-repvgg",
        "timm repvgg_a0",
        lambda: timm.create_model("repvgg_a0", pretrained=False),
        _IMAGE,
        ("CL409",),
        whole=True,
    )
    yield Rewritten(
        "CL409-block",
        "mobileone_s0's second stage",
        lambda: timm.create_model("mobileone_s0", pretrained=False).stages[1],
        ((1, 48, 56, 56),),
        ("CL409",),
    )
    yield Rewritten("CL411", "one conv called twice", parts.Twice, ((1, 64, 56, 56),), ("CL411",))
    yield Rewritten(
        "CL412", "SPP of max pools 5, 9, 13", parts.Pyramid, ((1, 256, 20, 20),), ("CL412",)
    )
    yield Rewritten(
        "CL416",
        "googlenet's first inception block",
        lambda: torchvision.models.googlenet(weights=None, init_weights=False).inception3a,
        ((1, 192, 28, 28),),
        ("CL416",),
        "gpu-fp16",
    )


def _cropping() -> Iterator[Rewritten]:
    yield Rewritten(
        "CL102", "resnet18 at 32x32", lambda: _plain("resnet18"), ((1, 3, 32, 32),), ("CL102",)
    )
    yield Rewritten(
        "CL407",
        "two ResNet blocks with the stride in the first 1x1",
        parts.StrideFirst,
        ((1, 256, 56, 56),),
        ("CL407",),
    )
    yield Rewritten("CL417", "YOLOv5's Focus, 12->32", parts.Focus, ((1, 3, 320, 320),), ("CL417",))
    yield Rewritten(
        "CL418", "TCN block, 25 channels, k 7, d 64", parts.Causal, ((1, 25, 784),), ("CL418",)
    )
    yield Rewritten(
        "CL427", "conv of which half the channels are read", parts.HalfRead,
        ((1, 64, 56, 56),), ("CL427",),
    )  # fmt: skip


def _folding() -> Iterator[Rewritten]:
    yield Rewritten(
        "CL406",
        "vgg11_bn's features",
        lambda: _plain("vgg11_bn").features,
        ((1, 3, 112, 112),),
        ("CL406",),
    )
    yield Rewritten(
        "CL413",
        "convnext_tiny's first stage",
        lambda: timm.create_model("convnext_tiny", pretrained=False).stages[0],
        ((1, 96, 56, 56),),
        ("CL413",),
    )
    yield Rewritten(
        "CL414",
        "inception_next_tiny's first stage",
        lambda: timm.create_model("inception_next_tiny", pretrained=False).stages[0],
        ((1, 96, 56, 56),),
        ("CL414",),
    )
    yield Rewritten(
        "CL415", "YOLOv5's BottleneckCSP, early form", parts.BottleneckCSP,
        ((1, 128, 40, 40),), ("CL415",),
    )  # fmt: skip
    yield Rewritten("CL419", "CoordConv stem, 3+2->32", parts.CoordConv, _IMAGE, ("CL419",))
    yield Rewritten(
        "CL420",
        "channel shuffle, then a dense 1x1",
        lambda: nn.Sequential(nn.ChannelShuffle(4), nn.Conv2d(128, 128, 1)),
        ((1, 128, 28, 28),),
        ("CL420",),
    )
    yield Rewritten(
        "CL421",
        "resnet18's stem on a grey image repeated three times",
        lambda: parts.Grey(_stem()),
        ((1, 1, 224, 224),),
        ("CL421",),
    )
    yield Rewritten(
        "CL426",
        "resnet18's stem with the image's scaling in the model",
        lambda: parts.Scaled(_stem()),
        _IMAGE,
        ("CL426",),
    )


def _elementwise() -> Iterator[Rewritten]:
    yield Rewritten(
        "CL422",
        "timm legacy_seresnet18",
        lambda: timm.create_model("legacy_seresnet18", pretrained=False),
        _IMAGE,
        ("CL422",),
        whole=True,
    )
    yield Rewritten(
        "CL424",
        "1x1 to 21 classes, softmax, argmax",
        parts.Labels,
        ((1, 64, 128, 128),),
        ("CL424",),
    )
    yield Rewritten(
        "CL425",
        "hard-swish by hand after a 1x1",
        parts.HandSwish,
        ((1, 64, 56, 56),),
        ("CL425",),
        "eager",
    )
