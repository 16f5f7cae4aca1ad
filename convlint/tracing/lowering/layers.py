"""Norms, activations, pooling, upsampling and padding, as layers and as functions."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from convlint.ir import nodes as ir
from convlint.tracing.lowering.call import Call, Handler, Lowered, tuple_of

ACTIVATIONS = (
    "celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid mish relu"
    " relu6 rrelu selu sigmoid silu softplus softshrink softsign tanh tanhshrink threshold"
).split()
_ACTIVATION_LAYERS = {name.replace("_", ""): name for name in ACTIVATIONS}
_BATCH = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_INSTANCE = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


def norm_layer(call: Call) -> Lowered:
    """Lower every normalisation layer."""
    layer: Any = call.layer
    own = [*layer._parameters.items(), *layer._buffers.items()]
    roles = tuple((name, name) for name, tensor in own if tensor is not None)
    affine = getattr(layer, "weight", None) is not None
    eps = _eps(call, getattr(layer, "eps", None))
    if isinstance(layer, _BATCH):
        op = ir.Norm("batch", affine=affine, running_stats=layer.running_mean is not None, eps=eps)
    elif isinstance(layer, _INSTANCE):
        op = ir.Norm("instance", affine=affine, running_stats=layer.track_running_stats, eps=eps)
    elif isinstance(layer, nn.GroupNorm):
        op = ir.Norm("group", groups=layer.num_groups, affine=affine, eps=eps)
    elif isinstance(layer, (nn.LocalResponseNorm, nn.CrossMapLRN2d)):
        op = ir.Norm("local_response", affine=False, eps=eps)
    else:
        kind = "layer" if isinstance(layer, nn.LayerNorm) else "rms"
        axes = _last_axes(call.shape, len(layer.normalized_shape))
        op = ir.Norm(kind, axes=axes, affine=affine, eps=eps)  # type: ignore[arg-type]
    return Lowered(op, (call.source,), roles)


def _eps(call: Call, given: Any) -> float:
    """Return the eps of a norm; an RMS norm takes that of the dtype where none is given."""
    return torch.finfo(getattr(torch, call.output.dtype)).eps if given is None else float(given)


def _last_axes(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    return tuple(range(len(shape) - count, len(shape)))


def norm(call: Call) -> Lowered:
    """Lower F.batch_norm, instance_norm, group_norm, layer_norm, rms_norm, local_response_norm."""
    params = tuple(
        (_norm_role(call, node), node) for node in call.tensors[1:] if node.op == "get_attr"
    )
    computed = tuple(node for node in call.tensors[1:] if node.op != "get_attr")
    affine = len(call.tensors) > 1
    weight = call.arg(3, "weight") is not None
    if call.name == "batch_norm":
        fixed = call.arg(1, "running_mean") is not None and not call.arg(5, "training")
        eps = float(call.arg(7, "eps", 1e-5))
        op = ir.Norm("batch", affine=weight, running_stats=fixed, eps=eps)
    elif call.name == "instance_norm":
        fixed = call.arg(1, "running_mean") is not None and not call.arg(5, "use_input_stats", True)
        eps = float(call.arg(7, "eps", 1e-5))
        op = ir.Norm("instance", affine=weight, running_stats=fixed, eps=eps)
    elif call.name == "group_norm":
        eps = float(call.arg(4, "eps", 1e-5))
        op = ir.Norm("group", groups=int(call.arg(1, "num_groups")), affine=affine, eps=eps)
    elif call.name == "local_response_norm":
        op = ir.Norm("local_response", affine=False)
    else:
        axes = _last_axes(call.shape, len(tuple_of(call.arg(1, "normalized_shape"), 1)))
        if call.name == "layer_norm":
            op = ir.Norm("layer", axes=axes, affine=affine, eps=float(call.arg(4, "eps", 1e-5)))
        else:
            op = ir.Norm("rms", axes=axes, affine=affine, eps=_eps(call, call.arg(3, "eps")))
    return Lowered(op, (call.source, *computed), params)


def _norm_role(call: Call, node: fx.Node) -> str:
    with_statistics = call.name in ("batch_norm", "instance_norm")
    between = ("running_mean", "running_var") if with_statistics else ("normalized_shape",)
    names: tuple[str, ...] = ("input", *between, "weight", "bias")
    for place, name in enumerate(names):
        if call.arg(place, name) is node:
            return name
    return "weight"


def activation_layer(call: Call) -> Lowered:
    """Lower every activation layer; PReLU has a parameter."""
    kind = type(call.layer).__name__.lower()
    roles = (("weight", "weight"),) if kind == "prelu" else ()
    fn = _ACTIVATION_LAYERS.get(kind, kind)
    if isinstance(call.layer, nn.Softplus):
        fn = _softplus(call.layer.beta, call.layer.threshold)
    approximate: Any = getattr(call.layer, "approximate", "none")
    return Lowered(ir.Activation(fn, approximate), (call.source,), roles)


def activation(call: Call) -> Lowered:
    """Lower a functional activation."""
    weights = tuple(("weight", node) for node in call.tensors[1:] if node.op == "get_attr")
    fn = call.name
    if fn == "softplus":
        fn = _softplus(call.arg(1, "beta", 1), call.arg(2, "threshold", 20))
    approximate: Any = call.kwargs.get("approximate", "none") if fn == "gelu" else "none"
    return Lowered(ir.Activation(fn, approximate), (call.source,), weights)


def _softplus(beta: float, threshold: float) -> str:
    """Return a name of its own for a softplus that is not log(1 + exp(x)) to the last digits."""
    return "softplus" if beta == 1 and threshold >= 20 else "softplus_scaled"


def softmax_layer(call: Call) -> Lowered:
    """Lower Softmax, LogSoftmax, Softmin; Softmax2d is over the channels."""
    layer: Any = call.layer
    kind = type(layer).__name__
    names = {"LogSoftmax": "log_softmax", "Softmin": "softmin"}
    axis = getattr(layer, "dim", None)
    if axis is None:
        axis = -3 if kind == "Softmax2d" else (1 if len(call.shape) in (2, 4, 5) else 0)
    return Lowered(ir.Softmax(call.axis(axis), names.get(kind, "softmax")), (call.source,))


def softmax(call: Call) -> Lowered:
    """Lower softmax, log_softmax, softmin; without an axis torch takes 1 (or 0)."""
    axis = call.arg(1, "dim")
    axis = axis if axis is not None else (0 if len(call.shape) in (0, 1, 3) else 1)
    return Lowered(ir.Softmax(call.axis(axis), call.name), (call.source,))


def pool_layer(call: Call) -> Lowered:
    """Lower MaxPool, AvgPool, LPPool and their adaptive forms."""
    layer: Any = call.layer
    kind = type(layer).__name__
    axes = int(kind[-2])
    if kind.startswith("Adaptive"):
        return adaptive("max" if "Max" in kind else "avg", call, axes)
    return _pool(
        call,
        axes,
        "max" if kind.startswith("Max") else "avg" if kind.startswith("Avg") else "lp",
        layer.kernel_size,
        layer.stride,
        getattr(layer, "padding", 0),
        getattr(layer, "dilation", 1),
        bool(layer.ceil_mode),
        bool(getattr(layer, "count_include_pad", True)),
        getattr(layer, "divisor_override", None),
    )


def _pool(
    call: Call,
    axes: int,
    kind: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    include: bool,
    divisor: int | None = None,
) -> Lowered:
    size = tuple_of(kernel, axes)
    op = ir.Pool(
        kind,
        size,
        tuple_of(stride if stride not in (None, []) else kernel, axes),
        tuple_of(padding, axes),
        tuple_of(dilation, axes),
        ceil_mode,
        include,
        whole=size == call.shape[-axes:] and set(call.output.shape[-axes:]) == {1},
        divisor=divisor,
    )
    return Lowered(op, (call.source,))


def adaptive(kind: Any, call: Call, axes: int) -> Lowered:
    """Lower an adaptive pool: kernel and stride are even where the sizes divide."""
    before, after = call.shape[-axes:], call.output.shape[-axes:]
    pairs = list(zip(before, after, strict=True))
    kernel = tuple(-(-b // a) if a else 1 for b, a in pairs)
    stride = tuple(b // a if a else 1 for b, a in pairs)
    whole = all(size == 1 for size in after)
    op = ir.Pool(kind, kernel, stride, (0,) * axes, adaptive=True, whole=whole)
    return Lowered(op, (call.source,))


def pool(call: Call) -> Lowered:
    """Lower F.max_pool*d, F.avg_pool*d and the adaptive forms."""
    name = call.name.lstrip("_").removesuffix("_with_indices")
    axes = int(name[-2])
    kind = "max" if "max" in name else "avg" if "avg" in name else "lp"
    if name.startswith("adaptive"):
        return adaptive(kind, call, axes)
    kernel, stride = call.arg(1, "kernel_size"), call.arg(2, "stride")
    padding = call.arg(3, "padding", 0)
    if kind == "max":
        dilation, ceil = call.arg(4, "dilation", 1), call.arg(5, "ceil_mode", False)
        return _pool(call, axes, kind, kernel, stride, padding, dilation, bool(ceil), True)
    ceil, include = call.arg(4, "ceil_mode", False), call.arg(5, "count_include_pad", True)
    divisor: Any = call.arg(6, "divisor_override")
    return _pool(call, axes, kind, kernel, stride, padding, 1, bool(ceil), bool(include), divisor)


def _upsample(call: Call, mode: str, corners: Any, antialias: Any, factor: Any) -> Lowered:
    """``factor`` is the scale factor as given, None where torch takes it from the sizes."""
    before, after = call.shape[2:], call.output.shape[2:]
    scale = tuple(a / b for a, b in zip(after, before, strict=True))
    each = factor if isinstance(factor, (list, tuple)) else (factor,) * len(before)
    given = tuple(float(one) for one in each if isinstance(one, (int, float)))
    op = ir.Upsample(mode, scale, bool(corners), bool(antialias), () if given == scale else given)
    return Lowered(op, (call.source,))


def upsample_layer(call: Call) -> Lowered:
    """Lower nn.Upsample and its old subclasses."""
    layer: Any = call.layer
    factor = None if layer.recompute_scale_factor else layer.scale_factor
    return _upsample(call, layer.mode, layer.align_corners, False, factor)


def interpolate(call: Call) -> Lowered:
    """Lower F.interpolate and F.upsample."""
    mode = call.arg(3, "mode", "nearest")
    taken = mode == "area" or call.arg(5, "recompute_scale_factor")
    factor = None if taken else call.arg(2, "scale_factor")
    antialias = call.arg(6, "antialias")
    return _upsample(call, mode, call.arg(4, "align_corners"), antialias, factor)


def pad_layer(call: Call) -> Lowered:
    """Lower ZeroPad, ConstantPad, ReflectionPad, ReplicationPad and CircularPad."""
    layer: Any = call.layer
    kind = type(layer).__name__
    modes = {"Refl": "reflect", "Repl": "replicate", "Circ": "circular"}
    mode = modes.get(kind[:4], "constant")
    return _pad(call, tuple(layer.padding), mode, float(getattr(layer, "value", 0.0) or 0.0))


def pad(call: Call) -> Lowered:
    """Lower F.pad."""
    value = call.arg(3, "value")
    mode = call.arg(2, "mode", "constant")
    return _pad(call, tuple(call.arg(1, "pad")), mode, float(value or 0.0))


def _pad(call: Call, flat: tuple[int, ...], mode: str, value: float) -> Lowered:
    rank = len(call.shape)
    sides = [(0, 0)] * rank
    for place in range(len(flat) // 2):
        sides[rank - 1 - place] = (int(flat[2 * place]), int(flat[2 * place + 1]))
    return Lowered(ir.Pad(tuple(sides), mode, value), (call.source,))


def identity(call: Call) -> Lowered:
    """Lower what does nothing in eval mode."""
    name = type(call.layer).__name__.lower() if call.layer else call.name
    return Lowered(ir.Identity(name), (call.source,))


def _layers(*names: str) -> list[type[nn.Module]]:
    return [getattr(nn, name) for name in names if hasattr(nn, name)]


def _sized(*stems: str) -> list[type[nn.Module]]:
    return _layers(*(f"{stem}{axes}d" for stem in stems for axes in (1, 2, 3)))


_POOLS = ("max_pool", "avg_pool", "adaptive_max_pool", "adaptive_avg_pool", "lp_pool")
LAYERS: dict[type[nn.Module], Handler] = {
    **dict.fromkeys([*_BATCH, *_INSTANCE], norm_layer),
    **dict.fromkeys(
        _layers("GroupNorm", "LayerNorm", "RMSNorm", "LocalResponseNorm", "CrossMapLRN2d"), norm_layer
    ),
    **dict.fromkeys(_layers("Softmax", "LogSoftmax", "Softmin", "Softmax2d"), softmax_layer),
    **dict.fromkeys(
        [
            kind
            for name in dir(nn.modules.activation)
            if isinstance(kind := getattr(nn.modules.activation, name), type)
            and name.lower() in {*_ACTIVATION_LAYERS, "prelu"}
        ],
        activation_layer,
    ),
    **dict.fromkeys(
        _sized("MaxPool", "AvgPool", "LPPool", "AdaptiveMaxPool", "AdaptiveAvgPool"), pool_layer
    ),
    **dict.fromkeys(
        _layers("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"), upsample_layer
    ),
    **dict.fromkeys(
        _sized("ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad"), pad_layer
    ),
    **dict.fromkeys(
        _layers(
            "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout",
            "FeatureAlphaDropout",
        ),
        identity,
    ),
}  # fmt: skip
FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys((*ACTIVATIONS, "prelu"), activation),
    **dict.fromkeys(("softmax", "log_softmax", "softmin"), softmax),
    **dict.fromkeys(
        ("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm", "local_response_norm"),
        norm,
    ),
    **{
        f"{mark}{stem}{axes}d{tail}": pool
        for stem in _POOLS
        for axes in (1, 2, 3)
        for mark in ("", "_")
        for tail in ("", "_with_indices")
    },
    **dict.fromkeys(("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"), interpolate),
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
    **dict.fromkeys(
        (
            "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout",
            "feature_alpha_dropout", "contiguous", "clone", "detach", "to", "type", "float", "half",
            "bfloat16", "double", "cuda", "cpu", "type_as", "requires_grad_", "data", "real",
            "_to_copy", "alias", "resolve_conj", "resolve_neg", "int", "long", "bool",
        ),
        identity,
    ),
}  # fmt: skip
