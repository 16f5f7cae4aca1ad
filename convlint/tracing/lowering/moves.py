"""Calls that only move data: reshapes, permutations, slices, joins and splits."""

from __future__ import annotations

from typing import Any

from torch import fx, nn

from convlint.ir import nodes as ir
from convlint.tracing.lowering.call import Call, Handler, Lowered, record_of, spec_of, tuple_of


def reshape(call: Call) -> Lowered:
    """Lower what keeps the elements in row-major order."""
    return Lowered(ir.Reshape(), (call.source,))


def permute(call: Call) -> Lowered:
    """Lower permute and movedim by what they do to the axes."""
    rank = len(call.shape)
    if call.name == "permute":
        given = call.args[1] if len(call.args) == 2 else call.args[1:]
        axes = given if given else call.kwargs["dims"]
        return Lowered(ir.Permute(tuple(call.axis(a) for a in axes)), (call.source,))
    if call.name in ("movedim", "moveaxis"):
        source = [call.axis(a) for a in tuple_of(call.arg(1, "source"), 1)]
        target = [call.axis(a) for a in tuple_of(call.arg(2, "destination"), 1)]
        rest = iter(a for a in range(rank) if a not in source)
        placed = dict(zip(target, source, strict=True))
        moved = tuple(placed[a] if a in placed else next(rest) for a in range(rank))
        return Lowered(ir.Permute(moved), (call.source,))
    if call.name in ("t", "T", "H", "numpy_T", "adjoint", "mT", "mH"):
        axes = list(range(rank))
        pair = axes[::-1] if call.name in ("t", "T", "H") else axes
        if pair is axes and rank > 1:
            axes[-1], axes[-2] = axes[-2], axes[-1]
        return Lowered(ir.Permute(tuple(pair)), (call.source,))
    first, second = call.axis(call.arg(1, "dim0")), call.axis(call.arg(2, "dim1"))
    axes = list(range(rank))
    axes[first], axes[second] = axes[second], axes[first]
    return Lowered(ir.Permute(tuple(axes)), (call.source,))


def join(call: Call) -> Lowered:
    """Lower cat and stack; empty one-dimensional parts, which torch skips, are left out."""
    parts: Any = call.args[0] if call.args else call.kwargs["tensors"]
    nodes = tuple(node for node in parts if spec_of(node).shape != (0,))
    axis = int(call.arg(1, "dim", call.kwargs.get("axis", 0)) or 0) % len(call.output.shape)
    if call.name == "stack":
        return Lowered(ir.Stack(axis), nodes)
    return Lowered(ir.Concat(axis), nodes)


def split(call: Call) -> Lowered | None:
    """Lower chunk, split and tensor_split by the sizes that came out; unbind drops an axis."""
    if call.name == "unbind":
        axis = call.axis(call.arg(1, "dim", 0))
        return Lowered(ir.Split(axis, (1,) * len(call.record.outputs)), (call.source,))
    default = 1 if call.name in ("chunk", "split", "tensor_split", "split_with_sizes") else 0
    axis = call.axis(call.arg(2, "dim", 0)) if default else 0
    sizes = tuple(spec.shape[axis] for spec in call.record.outputs)
    if sum(sizes) != call.shape[axis]:
        return None
    return Lowered(ir.Split(axis, sizes), (call.source,))


def getitem(call: Call) -> Lowered | None:
    """Lower ``x[...]``: basic slices, or one index list along one axis."""
    index = call.args[1]
    items = list(index) if isinstance(index, tuple) else [index]
    items = _fill_ellipsis(items, len(call.shape))
    picks = [item for item in items if isinstance(item, (fx.Node, list))]
    if not picks:
        slices = _basic(items, call.shape)
        return Lowered(ir.Slice(slices), (call.source,)) if slices is not None else None
    return _advanced(call, items, picks)


def _fill_ellipsis(items: list[Any], rank: int) -> list[Any]:
    used = sum(1 for item in items if item is not None and item is not Ellipsis)
    full = [slice(None)] * (rank - used)
    if any(item is Ellipsis for item in items):
        place = next(i for i, item in enumerate(items) if item is Ellipsis)
        return items[:place] + full + items[place + 1 :]
    return items + full


def _basic(items: list[Any], shape: tuple[int, ...]) -> tuple[ir.SliceAxis, ...] | None:
    slices = []
    axis = 0
    for item in items:
        if item is None:
            continue
        if isinstance(item, bool) or not isinstance(item, (int, slice)):
            return None
        if isinstance(item, int):
            start = item % shape[axis]
            slices.append(ir.SliceAxis(axis, start, start + 1))
        else:
            try:
                start, stop, step = item.indices(shape[axis])
            except TypeError:
                return None
            if (start, stop, step) != (0, shape[axis], 1):
                slices.append(ir.SliceAxis(axis, start, max(start, stop), step))
        axis += 1
    return tuple(slices)


def _advanced(call: Call, items: list[Any], picks: list[Any]) -> Lowered | None:
    """One known or unknown index list along one axis, all else untouched."""
    whole = all(item == slice(None) for item in items if not isinstance(item, (fx.Node, list)))
    if len(picks) != 1 or not whole:
        return None
    pick = picks[0]
    axis = next(i for i, item in enumerate(items) if item is pick)
    return _gather(call, axis, pick)


def _gather(call: Call, axis: int, pick: Any) -> Lowered | None:
    if isinstance(pick, list):
        values = tuple(int(v) for v in pick) if all(isinstance(v, int) for v in pick) else None
        rank = 1
    else:
        record = record_of(pick)
        values, rank = record.values, len(record.outputs[0].shape)
        if record.outputs[0].dtype == "bool":
            return None
    if rank != 1:
        return None
    size = call.shape[axis]
    known = tuple(v % size for v in values) if values is not None else None
    return Lowered(ir.Gather(axis, known), (call.source,))


def index_select(call: Call) -> Lowered | None:
    """Lower torch.index_select."""
    return _gather(call, call.axis(call.arg(1, "dim")), call.arg(2, "index"))


def narrow(call: Call) -> Lowered:
    """Lower narrow and select."""
    axis, start = call.axis(call.arg(1, "dim")), call.arg(2, "start", call.kwargs.get("index"))
    length = call.arg(3, "length") if call.name == "narrow" else 1
    start = int(start) % max(1, call.shape[axis])
    return Lowered(ir.Slice((ir.SliceAxis(axis, start, start + length),)), (call.source,))


def expand(call: Call) -> Lowered:
    """Lower expand, expand_as and broadcast_to."""
    return Lowered(ir.Expand(), (call.source,))


def repeat(call: Call) -> Lowered | None:
    """Lower Tensor.repeat and torch.tile."""
    given = call.args[1] if len(call.args) == 2 else call.args[1:]
    repeats = tuple_of(given, 1) if isinstance(given, (list, tuple, int)) else ()
    rank = len(call.output.shape)
    repeats = (1,) * (rank - len(repeats)) + repeats
    return Lowered(ir.Repeat(repeats), (call.source,))


def flip(call: Call) -> Lowered:
    """Lower flip, fliplr and flipud."""
    fixed = {"fliplr": (1,), "flipud": (0,)}.get(call.name)
    given = call.args[1] if len(call.args) == 2 else call.args[1:]
    axes = fixed or tuple_of(given or call.kwargs.get("dims"), 1)
    return Lowered(ir.Flip(tuple(call.axis(a) for a in axes)), (call.source,))


def roll(call: Call) -> Lowered | None:
    """Lower torch.roll along axes."""
    shifts, axes = call.arg(1, "shifts"), call.arg(2, "dims")
    if axes is None:
        return None
    axes = tuple_of(axes, 1)
    return Lowered(
        ir.Roll(tuple(call.axis(a) for a in axes), tuple_of(shifts, len(axes))), (call.source,)
    )


def pixel_shuffle(call: Call) -> Lowered:
    """Lower pixel_shuffle and pixel_unshuffle, layers too."""
    layer: Any = call.layer
    inverse = "unshuffle" in (type(layer).__name__.lower() if layer else call.name)
    if layer is None:
        factor = (
            call.args[1]
            if len(call.args) > 1
            else next(v for k, v in call.kwargs.items() if k != "input")
        )
    else:
        factor = layer.downscale_factor if inverse else layer.upscale_factor
    return Lowered(ir.PixelShuffle(int(factor), inverse), (call.source,))


def channel_shuffle(call: Call) -> Lowered:
    """Lower nn.ChannelShuffle and F.channel_shuffle."""
    layer: Any = call.layer
    groups = layer.groups if layer is not None else call.arg(1, "groups")
    return Lowered(ir.ChannelShuffle(int(groups)), (call.source,))


_RESHAPES = (
    "view reshape flatten unflatten squeeze unsqueeze view_as reshape_as ravel unsqueeze_ squeeze_"
    " unsafe_chunk _unsafe_view"
).split()
_PERMUTES = "permute transpose swapaxes swapdims t T H mT mH adjoint movedim moveaxis".split()
FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(_RESHAPES, reshape),
    **dict.fromkeys(_PERMUTES, permute),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), join),
    **dict.fromkeys(("chunk", "split", "tensor_split", "split_with_sizes", "unbind"), split),
    "getitem": getitem,
    "index_select": index_select,
    **dict.fromkeys(("narrow", "select"), narrow),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    **dict.fromkeys(("repeat", "tile"), repeat),
    **dict.fromkeys(("flip", "fliplr", "flipud"), flip),
    "roll": roll,
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), pixel_shuffle),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), channel_shuffle),
}
LAYERS: dict[type[nn.Module], Handler] = {
    nn.Flatten: reshape,
    nn.Unflatten: reshape,
    nn.PixelShuffle: pixel_shuffle,
    nn.PixelUnshuffle: pixel_shuffle,
    nn.ChannelShuffle: channel_shuffle,
}
