"""MONAI's networks for medical images and volumes. ``pip install monai``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from monai.networks import nets

from benchmarks.zoos import Entry, Given

_UNET = {"channels": (16, 32, 64, 128), "strides": (2, 2, 2)}
_DYN = {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2]}
_DIFFUSION = {"channels": (32, 64), "attention_levels": (False, True), "num_res_blocks": 1,
              "num_head_channels": 32}  # fmt: skip
_VOLUME = (96, 96, 96)
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "ahnet_3d": ("AHNet", {"spatial_dims": 3}),
    "attention_unet_3d": ("AttentionUnet", {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, **_UNET}),
    "attention_unet_2d": ("AttentionUnet", {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, **_UNET}),
    "autoencoder_2d": ("AutoEncoder", {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "channels": (16, 32), "strides": (2, 2)}),
    "autoencoder_kl_2d": ("AutoencoderKL", {"spatial_dims": 2, "channels": (32, 64), "num_res_blocks": (1, 1), "attention_levels": (False, True)}),
    "basic_unet_3d": ("BasicUNet", {}),
    "basic_unet_2d": ("BasicUNet", {"spatial_dims": 2}),
    "basic_unet_pp_3d": ("BasicUNetPlusPlus", {}),
    "classifier": ("Classifier", {"in_shape": (1, 64, 64), "classes": 2, "channels": (8, 16), "strides": (2, 2)}),
    "critic": ("Critic", {"in_shape": (1, 64, 64), "channels": (8, 16), "strides": (2, 2)}),
    "daf3d": ("DAF3D", {"in_channels": 1, "out_channels": 1}),
    "densenet121_3d": ("DenseNet121", {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}),
    "densenet169_2d": ("DenseNet169", {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}),
    "densenet201_2d": ("DenseNet201", {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}),
    "densenet264_2d": ("DenseNet264", {"spatial_dims": 2, "in_channels": 1, "out_channels": 2}),
    "discriminator": ("Discriminator", {"in_shape": (1, 64, 64), "channels": (8, 16), "strides": (2, 2)}),
    "dynunet_3d": ("DynUNet", {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, **_DYN}),
    "dynunet_3d_deep": ("DynUNet", {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, **_DYN, "deep_supervision": True, "deep_supr_num": 1}),
    "efficientnet_b0_2d": ("EfficientNetBN", {"model_name": "efficientnet-b0", "pretrained": False}),
    "efficientnet_b0_3d": ("EfficientNetBN", {"model_name": "efficientnet-b0", "pretrained": False, "spatial_dims": 3}),
    "flexible_unet": ("FlexibleUNet", {"in_channels": 3, "out_channels": 2, "backbone": "efficientnet-b0"}),
    "flexible_unet_resnet_3d": ("FlexibleUNet", {"in_channels": 1, "out_channels": 2, "backbone": "resnet10", "spatial_dims": 3}),
    "generator": ("Generator", {"latent_shape": (16,), "start_shape": (8, 8, 8), "channels": (8, 1), "strides": (2, 2)}),
    "highresnet": ("HighResNet", {}),
    "hovernet": ("HoVerNet", {}),
    "local_net": ("LocalNet", {"spatial_dims": 3, "in_channels": 2, "num_channel_initial": 8, "extract_levels": (0, 1, 2)}),
    "masked_autoencoder_vit": ("MaskedAutoEncoderViT", {"in_channels": 1, "img_size": (64, 64), "patch_size": (16, 16), "spatial_dims": 2}),
    "mednext": ("MedNeXt", {}),
    "mil_model": ("MILModel", {"num_classes": 2, "pretrained": False}),
    "patch_discriminator": ("PatchDiscriminator", {"spatial_dims": 2, "channels": 16, "in_channels": 3}),
    "multi_scale_patch_discriminator": ("MultiScalePatchDiscriminator", {"num_d": 2, "num_layers_d": 3, "spatial_dims": 2, "channels": 16, "in_channels": 3, "minimum_size_im": 256}),
    "quicknat": ("Quicknat", {}),
    "regressor": ("Regressor", {"in_shape": (1, 64, 64), "out_shape": (1,), "channels": (8, 16), "strides": (2, 2)}),
    "reg_unet": ("RegUNet", {"spatial_dims": 3, "in_channels": 2, "num_channel_initial": 8, "depth": 2}),
    "resnet18_3d": ("resnet18", {"n_input_channels": 1}),
    "resnet50_3d": ("resnet50", {"n_input_channels": 1}),
    "resnext_se_50_2d": ("SEResNeXt50", {"spatial_dims": 2, "in_channels": 3, "num_classes": 2}),
    "se_resnet50_3d": ("SEResNet50", {"spatial_dims": 3, "in_channels": 1, "num_classes": 2}),
    "senet154_2d": ("SENet154", {"spatial_dims": 2, "in_channels": 3, "num_classes": 2}),
    "segresnet_3d": ("SegResNet", {}),
    "segresnet_ds_3d": ("SegResNetDS", {}),
    "segresnet_vae_3d": ("SegResNetVAE", {"input_image_size": (32, 32, 32)}),
    "swin_unetr_3d": ("SwinUNETR", {"in_channels": 1, "out_channels": 2, "feature_size": 24}),
    "swin_unetr_2d": ("SwinUNETR", {"in_channels": 1, "out_channels": 2, "feature_size": 24, "spatial_dims": 2}),
    "swin_unetr_v2_3d": ("SwinUNETR", {"in_channels": 1, "out_channels": 2, "feature_size": 24, "use_v2": True}),
    "unet_3d": ("UNet", {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, **_UNET, "num_res_units": 2}),
    "unet_2d": ("UNet", {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, **_UNET}),
    "unet_1d": ("UNet", {"spatial_dims": 1, "in_channels": 1, "out_channels": 2, **_UNET}),
    "unetr_3d": ("UNETR", {"in_channels": 1, "out_channels": 2, "img_size": _VOLUME}),
    "vnet": ("VNet", {}),
    "vqvae_2d": ("VQVAE", {"spatial_dims": 2, "in_channels": 1, "out_channels": 1}),
    "var_autoencoder": ("VarAutoEncoder", {"spatial_dims": 2, "in_shape": (1, 32, 32), "out_channels": 1, "latent_size": 8, "channels": (8, 16), "strides": (2, 2)}),
    "vit_3d": ("ViT", {"in_channels": 1, "img_size": _VOLUME, "patch_size": (16, 16, 16)}),
    "vit_autoenc_3d": ("ViTAutoEnc", {"in_channels": 1, "img_size": _VOLUME, "patch_size": (16, 16, 16)}),
    "torchvision_fc": ("TorchVisionFCModel", {"model_name": "resnet18", "num_classes": 2, "pretrained": False}),
    "voxel_morph_unet": ("VoxelMorphUNet", {"spatial_dims": 3, "in_channels": 2, "unet_out_channels": 8, "channels": (8, 8, 8, 8), "final_conv_channels": (8,)}),
    "fully_connected": ("FullyConnectedNet", {"in_channels": 16, "out_channels": 4, "hidden_channels": (8, 8)}),
    "diffusion_unet_2d": ("DiffusionModelUNet", {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, **_DIFFUSION}),
    "controlnet_2d": ("ControlNet", {"spatial_dims": 2, "in_channels": 1, **_DIFFUSION}),
    "spade_net_2d": ("SPADENet", {"spatial_dims": 2, "in_channels": 1, "out_channels": 1, "label_nc": 3, "input_shape": [64, 64], "channels": [16, 32], "is_vae": False}),
    "spade_autoencoder_kl_2d": ("SPADEAutoencoderKL", {"spatial_dims": 2, "label_nc": 3, "channels": (32, 64), "num_res_blocks": (1, 1), "attention_levels": (False, False)}),
    "voxel_morph": ("VoxelMorph", {}),
    "global_net": ("GlobalNet", {"image_size": (32, 32, 32), "spatial_dims": 3, "in_channels": 2, "num_channel_initial": 8, "depth": 2}),
}  # fmt: skip


def _tensors(*shapes: tuple[int, ...]) -> Callable[[str], Given]:
    return lambda device: (tuple(torch.rand(shape, device=device) for shape in shapes), {})


def _with_steps(device: str) -> Given:
    return (
        torch.rand(1, 1, 32, 32, device=device),
        torch.zeros(1, dtype=torch.int64, device=device),
    ), {}


def _control(device: str) -> Given:
    (x, steps), _ = _with_steps(device)
    return (x, steps, torch.rand(1, 1, 256, 256, device=device)), {}


_INPUTS: dict[str, Callable[[str], Given]] = {
    "mil_model": _tensors((1, 4, 3, 64, 64)),
    "diffusion_unet_2d": _with_steps,
    "controlnet_2d": _control,
    "spade_net_2d": _tensors((1, 3, 64, 64)),
    "spade_autoencoder_kl_2d": _tensors((1, 1, 64, 64), (1, 3, 64, 64)),
    "voxel_morph": _tensors((1, 1, 64, 64, 64), (1, 1, 64, 64, 64)),
    "generator": _tensors((1, 16)),
    "fully_connected": _tensors((1, 16)),
    "hovernet": _tensors((1, 3, 256, 256)),
}


def entries() -> Iterator[Entry]:
    """Yield the table's nets."""
    for name, (kind, options) in NETS.items():
        maker = getattr(nets, kind)
        yield Entry(name, lambda maker=maker, options=options: maker(**options), _INPUTS.get(name))
