"""Every decoder of segmentation_models_pytorch on resnet18, and Unet on every encoder.

``pip install segmentation-models-pytorch``.
"""

from __future__ import annotations

from collections.abc import Iterator

import segmentation_models_pytorch as smp

from benchmarks.zoos import Entry, Maker

_DECODERS = sorted(smp.MODEL_ARCHITECTURES_MAPPING)
_TIMM = ("tu-convnext_tiny", "tu-mobilenetv3_large_100", "tu-swin_tiny_patch4_window7_224")


def entries() -> Iterator[Entry]:
    """Yield decoder-encoder pairs; not every pair exists."""
    for decoder in _DECODERS:
        backbone = "tu-vit_base_patch16_224.augreg_in21k" if decoder == "dpt" else "resnet18"
        yield Entry(f"{decoder}-{backbone}", _maker(decoder, backbone))
    for encoder in sorted(smp.encoders.get_encoder_names()):
        if not encoder.startswith(("mit_", "mobileone")):
            yield Entry(f"unet-{encoder}", _maker("unet", encoder))
        yield Entry(f"fpn-{encoder}", _maker("fpn", encoder))
    for encoder in _TIMM:
        yield Entry(f"unet-{encoder}", _maker("unet", encoder))


def _maker(decoder: str, encoder: str) -> Maker:
    return lambda: smp.create_model(decoder, encoder, encoder_weights=None)
