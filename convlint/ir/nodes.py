"""The nodes of a ModelGraph, and the door to all that they are made of.

Every operation of a traced model is one :class:`Node` whose ``op`` is one of the structs in
``ops.py`` and ``moves.py``. Shapes are those of the traced input, batch included. No torch
here: a node can be built by hand in a test.
"""

from __future__ import annotations

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
    SliceAxis,
    Split,
    Stack,
)
from convlint.ir.ops import (
    Activation,
    Add,
    AnyOp,
    Attention,
    Constant,
    Conv,
    Elementwise,
    Embedding,
    Identity,
    Input,
    Linear,
    Matmul,
    Mul,
    Norm,
    Opaque,
    Output,
    Pad,
    Pool,
    Recurrent,
    Reduce,
    Softmax,
    Upsample,
)
from convlint.ir.values import (
    DTYPE_BYTES,
    Data,
    Idle,
    Ints,
    Pairs,
    Param,
    Ref,
    SourceSpan,
    TensorSpec,
)

__all__ = [
    "DTYPE_BYTES",
    "Activation",
    "Add",
    "AnyOp",
    "Attention",
    "ChannelShuffle",
    "Concat",
    "Constant",
    "Conv",
    "Data",
    "Elementwise",
    "Embedding",
    "Expand",
    "Flip",
    "Gather",
    "Identity",
    "Idle",
    "Input",
    "Ints",
    "Linear",
    "Matmul",
    "Mul",
    "Node",
    "Norm",
    "Op",
    "Opaque",
    "Output",
    "Pad",
    "Pairs",
    "Param",
    "Permute",
    "PixelShuffle",
    "Pool",
    "Recurrent",
    "Reduce",
    "Ref",
    "Repeat",
    "Reshape",
    "Roll",
    "Slice",
    "SliceAxis",
    "Softmax",
    "SourceSpan",
    "Split",
    "Stack",
    "TensorSpec",
    "Upsample",
]


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
