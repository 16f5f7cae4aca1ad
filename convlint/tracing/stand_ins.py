"""torchvision's operators in plain torch: right in shape and value, not made for speed.

Each pairs with a schema of ``stubs.py``. Those whose result shape follows from the arguments
also run on the meta device.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Return the indices of the boxes kept, by falling score."""
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes[order]
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    alive = torch.ones(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if alive[place]:
            low = torch.maximum(boxes[place, :2], boxes[place + 1 :, :2])
            high = torch.minimum(boxes[place, 2:], boxes[place + 1 :, 2:])
            shared = (high - low).clamp(min=0).prod(1)
            alive[place + 1 :] &= shared <= iou_threshold * (
                areas[place] + areas[place + 1 :] - shared
            )
    return order[alive]


def roi_align(
    x: torch.Tensor,
    rois: torch.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> torch.Tensor:
    """Return the regions' features, bilinear samples averaged over each bin."""
    ratio = sampling_ratio if sampling_ratio > 0 else 2
    size = (pooled_height * ratio, pooled_width * ratio)
    made = x.new_empty((len(rois), x.shape[1], pooled_height, pooled_width))
    if x.device.type == "meta":
        return made
    corners = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    for image in range(len(x)):
        chosen = rois[:, 0].long() == image
        if chosen.any():
            samples = _samples(x[image], corners[chosen], size, aligned)
            made[chosen] = F.avg_pool2d(samples, ratio)
    return made


def _samples(
    x: torch.Tensor, corners: torch.Tensor, size: tuple[int, int], aligned: bool
) -> torch.Tensor:
    """Return [regions, channels, *size] samples at the middle of each cell."""
    extent = corners[:, 2:] - corners[:, :2]
    extent = extent if aligned else extent.clamp(min=1)
    steps = [(torch.arange(n, dtype=x.dtype) + 0.5) / n for n in size]
    rows = corners[:, 1, None] + extent[:, 1, None] * steps[0]
    columns = corners[:, 0, None] + extent[:, 0, None] * steps[1]
    height, width = x.shape[-2:]
    grid = torch.stack(
        torch.broadcast_tensors(
            (columns * 2 / max(width - 1, 1) - 1)[:, None, :],
            (rows * 2 / max(height - 1, 1) - 1)[:, :, None],
        ),
        dim=-1,
    )
    flat = grid.reshape(1, -1, size[1], 2)
    found = F.grid_sample(x[None], flat, align_corners=True, padding_mode="border")
    return found.reshape(x.shape[0], len(corners), *size).transpose(0, 1)


def roi_pool(
    x: torch.Tensor, rois: torch.Tensor, spatial_scale: float, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the regions' maxima and where they lie in the map."""
    made = x.new_zeros((len(rois), x.shape[1], height, width))
    where = torch.zeros(made.shape, dtype=torch.int32, device=x.device)
    if x.device.type == "meta":
        return made, where
    for place, roi in enumerate(rois):
        left, top, right, bottom = (roi[1:] * spatial_scale).round().long().tolist()
        part = x[int(roi[0]), :, max(top, 0) : bottom + 1, max(left, 0) : right + 1]
        if part.numel():
            made[place], found = F.adaptive_max_pool2d(part, (height, width), return_indices=True)
            where[place] = found.int()
    return made, where


def ps_roi_align(
    x: torch.Tensor,
    rois: torch.Tensor,
    spatial_scale: float,
    height: int,
    width: int,
    sampling_ratio: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return position-sensitive features: every bin reads channels of its own."""
    full = roi_align(x, rois, spatial_scale, height, width, sampling_ratio, True)
    channels = x.shape[1] // (height * width)
    parts = full.reshape(len(rois), channels, height * width, height, width)
    made = torch.stack(
        [parts[:, :, n, n // width, n % width] for n in range(height * width)], dim=-1
    ).reshape(len(rois), channels, height, width)
    return made, torch.zeros(made.shape, dtype=torch.int32, device=x.device)


def ps_roi_pool(
    x: torch.Tensor, rois: torch.Tensor, spatial_scale: float, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return position-sensitive features, by sampling."""
    return ps_roi_align(x, rois, spatial_scale, height, width, 2)


def deform_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor,
    mask: torch.Tensor,
    bias: torch.Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> torch.Tensor:
    """Return a convolution that samples x where the offsets say, bilinear, zero outside."""
    batch, (height, width) = len(x), offset.shape[-2:]
    out, (kh, kw) = weight.shape[0], weight.shape[-2:]
    if x.device.type == "meta":
        return x.new_empty((batch, out, height, width))
    rows = torch.arange(height)[None, :, None] * stride_h - pad_h
    columns = torch.arange(width)[None, None, :] * stride_w - pad_w
    taps = torch.arange(kh * kw)[:, None, None]
    shift = offset.reshape(batch * offset_groups, kh * kw, 2, height, width)
    y_at = shift[:, :, 0] + rows + taps // kw * dilation_h
    x_at = shift[:, :, 1] + columns + taps % kw * dilation_w
    sampled = _sampled(x, y_at, x_at, offset_groups)
    if use_mask:
        gate = mask.reshape(batch * offset_groups, 1, kh * kw, height, width)
        sampled = sampled * gate
    column = sampled.reshape(batch, groups, -1, height * width)
    product = torch.einsum("goc,bgcp->bgop", weight.reshape(groups, out // groups, -1), column)
    return product.reshape(batch, out, height, width) + bias[:, None, None]


def _sampled(x: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, groups: int) -> Any:
    """Return [batch * groups, channels / groups, taps, height, width] samples of x."""
    height, width = x.shape[-2:]
    parts = x.reshape(len(x) * groups, -1, height, width)
    grid = torch.stack(
        [columns * 2 / max(width - 1, 1) - 1, rows * 2 / max(height - 1, 1) - 1], dim=-1
    )
    flat = grid.reshape(len(parts), -1, grid.shape[-2], 2).to(x.dtype)
    found = F.grid_sample(parts, flat, align_corners=True)
    return found.reshape(len(parts), parts.shape[1], *rows.shape[1:])
