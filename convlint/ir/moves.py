"""The kinds of operation that only move data, and the base of all kinds."""

from __future__ import annotations

from convlint.ir.values import Data, Ints


class Op(Data, frozen=True, tag_field="kind"):
    """Base of all operations; the tag is the node's kind."""


class Concat(Op, frozen=True, tag="concat"):
    """Inputs joined along one axis."""

    axis: int


class Stack(Op, frozen=True, tag="stack"):
    """Inputs joined along a new axis."""

    axis: int


class Split(Op, frozen=True, tag="split"):
    """One tensor cut along one axis into parts of these sizes."""

    axis: int
    sizes: Ints


class Reshape(Op, frozen=True, tag="reshape"):
    """Same elements in row-major order, another shape (view, flatten, squeeze, …)."""


class Permute(Op, frozen=True, tag="permute"):
    """Axes reordered: output axis i is input axis ``axes[i]``."""

    axes: Ints


class SliceAxis(Data, frozen=True):
    """Positions kept along one axis: start, stop (exclusive), step > 0."""

    axis: int
    start: int
    stop: int
    step: int = 1


class Slice(Op, frozen=True, tag="slice"):
    """Basic indexing: axes sliced, then ``dropped`` axes (length 1) removed.

    A new axis (``None``) shows only in the output's shape: the result has the
    sliced elements in row-major order.
    """

    slices: tuple[SliceAxis, ...]


class Gather(Op, frozen=True, tag="gather"):
    """Positions picked along one axis; ``indices`` is None where they are not known."""

    axis: int
    indices: Ints | None = None


class Expand(Op, frozen=True, tag="expand"):
    """Broadcast of length-1 axes to the output's shape (leading axes may be new)."""


class Repeat(Op, frozen=True, tag="repeat"):
    """The tensor tiled along its axes (torch.repeat)."""

    repeats: Ints


class Flip(Op, frozen=True, tag="flip"):
    """Axes reversed."""

    axes: Ints


class Roll(Op, frozen=True, tag="roll"):
    """Axes rotated by shifts."""

    axes: Ints
    shifts: Ints


class PixelShuffle(Op, frozen=True, tag="pixel_shuffle"):
    """Channels to space by ``factor``; ``inverse`` for pixel_unshuffle."""

    factor: int
    inverse: bool = False


class ChannelShuffle(Op, frozen=True, tag="channel_shuffle"):
    """Channels seen as (groups, C/groups) and transposed."""

    groups: int
