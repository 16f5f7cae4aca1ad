"""The nodes of a ModelGraph: a closed set of kinds, as plain data.

Every operation of a traced model is one :class:`Node` whose ``op`` is one of
the structs below; what none of them describes is an :class:`Opaque`. Shapes are
those of the traced input, batch included. No torch here: a node can be built by
hand in a test.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

DTYPE_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "complex64": 8,
    "complex128": 16,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every plain value that crosses a wall: frozen, strictly decoded."""


class SourceSpan(Data, frozen=True):
    """Where something stands in a file; lines and columns count from 1.

    ``path`` is relative to the project's root (POSIX), or to the entry of
    ``sys.path`` that an installed package was imported from.
    """

    path: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0


class TensorSpec(Data, frozen=True):
    """Shape and dtype of one tensor."""

    shape: Ints
    dtype: str = "float32"

    @property
    def elements(self) -> int:
        """Number of elements, batch included."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes; a dtype that is not known counts 4 bytes an element."""
        return self.elements * DTYPE_BYTES.get(self.dtype, 4)


class Param(Data, frozen=True):
    """One parameter or buffer as a node uses it.

    ``storage`` is equal for two names that share memory, so that shared weights
    are counted once.
    """

    name: str
    storage: str
    shape: Ints
    dtype: str = "float32"
    role: str = "weight"
    buffer: bool = False

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.elements * DTYPE_BYTES.get(self.dtype, 4)


class Ref(Data, frozen=True):
    """One output of a node: ``node`` is its id, ``output`` counts from 0."""

    node: str
    output: int = 0


class Op(Data, frozen=True, tag_field="kind"):
    """Base of all operations; the tag is the node's kind."""


class Input(Op, frozen=True, tag="input"):
    """A tensor the caller passes in."""

    name: str = "x"


class Output(Op, frozen=True, tag="output"):
    """The model's results; its inputs are the tensors returned, in order."""


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
    """A function of each element alone, named as in ``torch.nn.functional``."""

    fn: str


class Softmax(Op, frozen=True, tag="softmax"):
    """softmax, log_softmax or softmin over one axis."""

    axis: int
    fn: str = "softmax"


class Pool(Op, frozen=True, tag="pool"):
    """A spatial pooling. ``adaptive`` ones carry the kernel only where it is even.

    ``whole`` is true where the kernel spans the whole map (global pooling).
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


class Reduce(Op, frozen=True, tag="reduce"):
    """mean, sum, max, min, … over axes."""

    fn: str
    axes: Ints
    keepdim: bool = False


class Upsample(Op, frozen=True, tag="upsample"):
    """An interpolation of the spatial axes, up or down; ``scale`` per axis as out/in."""

    mode: str
    scale: tuple[float, ...]
    align_corners: bool = False
    antialias: bool = False


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
    """Any other function of corresponding elements of its inputs."""

    fn: str


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


class Node(Data, frozen=True):
    """One operation of the model, in the place where it ran.

    ``module`` is the path of the module that owns the operation ("" is the root).
    ``built_at`` is the line that constructed that module, where it is a layer;
    ``built_through`` the project's lines above it, innermost first (a helper's
    caller). ``called_at`` is the line of ``forward`` that ran it. ``layer`` is true where the
    operation is a layer's own, so that only its constructor line is the place to change.
    ``layer_class`` is the class of the layer that was called ("torch.nn.Conv2d", or a subclass
    by its own name), empty where the call went past ``__call__``; ``function`` what was called
    instead of a plain layer ("torch.nn.functional.relu", "torch.add", "Tensor.add").
    """

    id: str
    op: AnyOp
    inputs: tuple[Ref, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    module: str = ""
    params: tuple[Param, ...] = ()
    built_at: SourceSpan | None = None
    built_through: tuple[SourceSpan, ...] = ()
    called_at: SourceSpan | None = None
    inplace: bool = False
    layer: bool = False
    layer_class: str = ""
    function: str = ""

    @property
    def kind(self) -> str:
        """The tag of the operation: "conv", "linear", …"""
        return str(self.op.__struct_config__.tag)

    @property
    def output(self) -> TensorSpec:
        """The first output."""
        return self.outputs[0]

    @property
    def location(self) -> SourceSpan | None:
        """Where a finding about this node points: the constructor line, or None if not known.

        For a functional call it is the line of the call.
        """
        return self.built_at or (None if self.layer else self.called_at)
