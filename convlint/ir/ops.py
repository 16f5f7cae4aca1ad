"""The kinds of operation: a closed set of structs, each with what it needs to be counted.

Those that only move data stand in ``moves.py``. What none of them describes is an
:class:`Opaque`.
"""

from __future__ import annotations

import math
from typing import Literal

from convlint.ir.moves import (
    ChannelShuffle,
    Concat,
    Expand,
    Flip,
    Gather,
    Op,
    Permute,
    PixelShuffle,
    Repeat,
    Reshape,
    Roll,
    Slice,
    Split,
    Stack,
)
from convlint.ir.values import Idle, Ints, Pairs


class Input(Op, frozen=True, tag="input"):
    """A tensor the caller passes in."""

    name: str = "x"


class Output(Op, frozen=True, tag="output"):
    """The model's results; its inputs are the tensors returned, in order.

    ``kept`` are the outputs that were said to be read, empty where all are; ``others`` the names
    of the tensors that nobody reads. Of those, what the kept ones need anyway is no input.
    ``unread`` has a word for each input then: its name where nobody reads it, "" where it is read.
    ``idle`` are the largest modules that run for unread ones alone.
    """

    kept: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    idle: tuple[Idle, ...] = ()


class Constant(Op, frozen=True, tag="constant"):
    """A tensor that does not depend on the input.

    ``values`` holds the elements (row-major) of small integer tensors whose
    content is known at trace time, else it is None.
    """

    origin: Literal["parameter", "buffer", "literal", "factory"] = "literal"
    name: str = ""
    values: Ints | None = None


class Conv(Op, frozen=True, tag="conv"):
    """A convolution over 1, 2 or 3 axes, transposed or not.

    ``padding`` is (before, after) for each axis, ``padding_word`` the "same" or "valid" it was
    written as. ``computed_weight`` is true where the kernel is not a parameter but the result
    of other nodes (it is then the second input).
    """

    in_channels: int
    out_channels: int
    kernel: Ints
    stride: Ints
    padding: Pairs
    dilation: Ints
    groups: int = 1
    bias: bool = False
    padding_mode: str = "zeros"
    transposed: bool = False
    output_padding: Ints = ()
    computed_weight: bool = False
    padding_word: str = ""

    @property
    def depthwise(self) -> bool:
        """One input channel per group (a channel multiplier is allowed)."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def taps(self) -> int:
        """Positions of the kernel."""
        return math.prod(self.kernel)


class Linear(Op, frozen=True, tag="linear"):
    """``x @ W.T + b`` over the last axis."""

    in_features: int
    out_features: int
    bias: bool = False
    computed_weight: bool = False


class Norm(Op, frozen=True, tag="norm"):
    """A normalisation.

    ``groups`` is the number of channel groups of a group norm; ``axes`` are the
    normalised axes of a layer or rms norm.
    """

    type: Literal["batch", "instance", "group", "layer", "rms", "local_response"]
    groups: int = 1
    axes: Ints = ()
    affine: bool = True
    running_stats: bool = True
    eps: float = 1e-5


class Activation(Op, frozen=True, tag="activation"):
    """A function of each element alone, named as in ``torch.nn.functional``.

    ``approximate`` is "tanh" for the GELU that computes no error function.
    """

    fn: str
    approximate: Literal["none", "tanh"] = "none"


class Softmax(Op, frozen=True, tag="softmax"):
    """softmax, log_softmax or softmin over one axis."""

    axis: int
    fn: str = "softmax"


class Pool(Op, frozen=True, tag="pool"):
    """A spatial pooling. ``adaptive`` ones carry the kernel only where it is even.

    ``whole`` is true where the kernel spans the whole map (global pooling). ``divisor`` is what
    an average divides by, where it is not the number of taps.
    """

    type: Literal["max", "avg", "lp"]
    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints = ()
    ceil_mode: bool = False
    count_include_pad: bool = True
    adaptive: bool = False
    whole: bool = False
    divisor: int | None = None


class Reduce(Op, frozen=True, tag="reduce"):
    """mean, sum, max, min, … over axes.

    ``correction`` is what a variance or deviation takes off the count that it divides by: 1
    where it is unbiased, 0 where it is not.
    """

    fn: str
    axes: Ints
    keepdim: bool = False
    correction: float | None = None


class Upsample(Op, frozen=True, tag="upsample"):
    """An interpolation of the spatial axes, up or down; ``scale`` per axis as out/in.

    ``factors`` are the scale factors that positions were computed with, where they are not
    ``scale``: 2.3 for 3 positions to 6.
    """

    mode: str
    scale: tuple[float, ...]
    align_corners: bool = False
    antialias: bool = False
    factors: tuple[float, ...] = ()


class Pad(Op, frozen=True, tag="pad"):
    """Padding: (before, after) for every axis of the tensor, negative ones crop."""

    amounts: Pairs
    mode: str = "constant"
    value: float = 0.0


class Add(Op, frozen=True, tag="add"):
    """Sum of two tensors, or of a tensor and a number."""

    scalar: float | None = None


class Mul(Op, frozen=True, tag="mul"):
    """Product, element by element, of two tensors, or of a tensor and a number."""

    scalar: float | None = None


class Elementwise(Op, frozen=True, tag="elementwise"):
    """Any other function of corresponding elements of its inputs.

    ``number`` is the exponent of a power and the dividend of a quotient, where that is a number.
    """

    fn: str
    number: float | None = None


class Matmul(Op, frozen=True, tag="matmul"):
    """A product of two computed tensors: ``batch`` times (m x k) by (k x n)."""

    batch: int
    m: int
    k: int
    n: int


class Attention(Op, frozen=True, tag="attention"):
    """Scaled dot-product attention, with its projections where they belong to it.

    ``batch`` counts heads times samples for the two products; the projections are
    ``positions * in * out`` each, listed in ``projections`` as (positions, in, out).
    """

    batch: int
    queries: int
    keys: int
    head_dim: int
    value_dim: int
    projections: tuple[tuple[int, int, int], ...] = ()


class Recurrent(Op, frozen=True, tag="recurrent"):
    """RNN, GRU or LSTM over a sequence.

    ``cells`` lists (input size, hidden size, projected size or 0) of every layer and
    direction; ``gates`` is 1, 3 or 4; ``steps`` is sequence length times batch.
    """

    type: str
    gates: int
    steps: int
    cells: tuple[tuple[int, int, int], ...]


class Embedding(Op, frozen=True, tag="embedding"):
    """Rows looked up in a table."""

    rows: int
    size: int


class Identity(Op, frozen=True, tag="identity"):
    """Nothing in eval mode: dropout, contiguous, clone, a cast, detach."""

    fn: str = "identity"


class Opaque(Op, frozen=True, tag="opaque"):
    """An operation the lowering does not describe.

    ``may_hold_macs`` is false where the function is known to multiply nothing
    (comparisons, sorting, …), so that the counts stay complete.
    """

    target: str
    may_hold_macs: bool = True


AnyOp = (
    Input
    | Output
    | Constant
    | Conv
    | Linear
    | Norm
    | Activation
    | Softmax
    | Pool
    | Reduce
    | Upsample
    | Pad
    | Add
    | Mul
    | Elementwise
    | Concat
    | Stack
    | Split
    | Reshape
    | Permute
    | Slice
    | Gather
    | Expand
    | Repeat
    | Flip
    | Roll
    | PixelShuffle
    | ChannelShuffle
    | Matmul
    | Attention
    | Recurrent
    | Embedding
    | Identity
    | Opaque
)
