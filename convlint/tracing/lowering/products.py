"""Matrix products, attention, recurrent layers and embeddings."""

from __future__ import annotations

import math
from typing import Any

from torch import fx, nn

from convlint.ir import nodes as ir
from convlint.tracing.lowering.call import Call, Handler, Lowered, spec_of
from convlint.tracing.lowering.convs import with_weights

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4, "RNNCell": 1, "GRUCell": 3, "LSTMCell": 4}


def linear_layer(call: Call) -> Lowered:
    """Lower nn.Linear."""
    layer: Any = call.layer
    op = ir.Linear(layer.in_features, layer.out_features, layer.bias is not None)
    roles = (("weight", "weight"), ("bias", "bias")) if op.bias else (("weight", "weight"),)
    return Lowered(op, (call.source,), roles)


def linear(call: Call) -> Lowered | None:
    """Lower F.linear."""
    weight, bias = call.arg(1, "weight"), call.arg(2, "bias")
    shape = spec_of(weight).shape
    if len(shape) != 2:
        return None
    op = ir.Linear(shape[1], shape[0], bias is not None, computed_weight=weight.op != "get_attr")
    return with_weights(op, call.source, weight, bias)


def bilinear_layer(call: Call) -> Lowered:
    """Lower nn.Bilinear: x1 W x2 for every output."""
    layer: Any = call.layer
    rows = math.prod(call.output.shape[:-1])
    k = layer.in1_features * layer.in2_features + layer.in2_features
    op = ir.Matmul(batch=rows, m=1, k=k, n=layer.out_features)
    return Lowered(op, tuple(call.tensors), (("weight", "weight"),))


def matmul(call: Call) -> Lowered | None:
    """Lower matmul, mm, bmm, mv and dot; addmm and baddbmm count their product."""
    names = call.name
    first = 1 if names in ("addmm", "addmv", "baddbmm") else 0
    if names == "__rmatmul__":
        left, right = call.args[1], call.args[0]
    else:
        left = call.arg(first, "mat1" if first else "input")
        right = call.arg(first + 1, "mat2" if first else "other")
    if not (isinstance(left, fx.Node) and isinstance(right, fx.Node)):
        return None
    a, b = spec_of(left).shape, spec_of(right).shape
    m = a[-2] if len(a) > 1 else 1
    n = b[-1] if len(b) > 1 else 1
    batch = call.output.elements // max(1, m * n)
    op = ir.Matmul(batch=batch, m=m, k=a[-1], n=n)
    return Lowered(op, tuple(call.tensors))


def measured(call: Call) -> Lowered:
    """Lower a product whose MACs torch's own counter measured (einsum, tensordot, …)."""
    op = ir.Matmul(batch=1, m=call.record.macs, k=1, n=1)
    return Lowered(op, tuple(call.tensors))


def attention(call: Call) -> Lowered:
    """Lower F.scaled_dot_product_attention: QK^T and AV for every head and sample."""
    query, key, value = (spec_of(node).shape for node in call.tensors[:3])
    op = ir.Attention(
        batch=math.prod(query[:-2]),
        queries=query[-2],
        keys=key[-2],
        head_dim=query[-1],
        value_dim=value[-1],
    )
    return Lowered(op, tuple(call.tensors))


def multi_head(call: Call) -> Lowered:
    """Lower F.multi_head_attention_forward: four projections and the two products."""
    nodes = [call.arg(place, key) for place, key in enumerate(("query", "key", "value"))]
    query, key, value = (spec_of(node).shape for node in nodes)
    embed, heads = call.arg(3, "embed_dim_to_check"), call.arg(4, "num_heads")
    batch = query[1] if len(query) == 3 else 1
    rows = [shape[0] * batch for shape in (query, key, value)]
    widths = (query[-1], key[-1], value[-1])
    projections = [(n, width, embed) for n, width in zip(rows, widths, strict=True)]
    projections.append((rows[0], embed, embed))
    head = embed // heads
    op = ir.Attention(batch * heads, query[0], key[0], head, head, tuple(projections))
    names = [n for n in call.tensors if n.op == "get_attr" and n not in nodes]
    params = tuple(("weight", node) for node in names)
    inputs = dict.fromkeys(node for node in call.tensors if node not in names)
    return Lowered(op, tuple(inputs), params)


def recurrent_layer(call: Call) -> Lowered:
    """Lower RNN, GRU and LSTM, layers and cells, by formula (fused kernels hide products)."""
    layer: Any = call.layer
    kind = type(layer).__name__
    names = tuple(name for name, _ in layer.named_parameters(recurse=False))
    roles = tuple(("bias" if "bias" in name else "weight", name) for name in names)
    steps = math.prod(call.shape[:-1])
    if kind.endswith("Cell"):
        cells = [(layer.input_size, layer.hidden_size, 0)]
    else:
        directions = 2 if layer.bidirectional else 1
        state = layer.proj_size or layer.hidden_size
        cells = []
        for depth in range(layer.num_layers):
            size = layer.input_size if depth == 0 else state * directions
            cells += [(size, layer.hidden_size, layer.proj_size)] * directions
    op = ir.Recurrent(kind.lower(), _GATES[kind], steps, tuple(cells))
    return Lowered(op, tuple(call.tensors), roles)


def embedding_layer(call: Call) -> Lowered:
    """Lower nn.Embedding and nn.EmbeddingBag."""
    layer: Any = call.layer
    op = ir.Embedding(layer.num_embeddings, layer.embedding_dim)
    return Lowered(op, tuple(call.tensors), (("weight", "weight"),))


def embedding(call: Call) -> Lowered | None:
    """Lower F.embedding."""
    weight = call.arg(1, "weight")
    if not isinstance(weight, fx.Node):
        return None
    rows, size = spec_of(weight).shape
    return with_weights(ir.Embedding(rows, size), call.source, weight, None)


FUNCTIONS: dict[str, Handler] = {
    "linear": linear,
    "embedding": embedding,
    "scaled_dot_product_attention": attention,
    "multi_head_attention_forward": multi_head,
    **dict.fromkeys(
        ("matmul", "mm", "bmm", "mv", "dot", "addmm", "addmv", "baddbmm", "vdot"), matmul
    ),
    **dict.fromkeys(("__matmul__", "__rmatmul__"), matmul),
}
LAYERS: dict[type[nn.Module], Handler] = {
    nn.Linear: linear_layer,
    nn.modules.linear.NonDynamicallyQuantizableLinear: linear_layer,
    nn.Bilinear: bilinear_layer,
    nn.Embedding: embedding_layer,
    nn.EmbeddingBag: embedding_layer,
    **dict.fromkeys(
        (nn.RNN, nn.GRU, nn.LSTM, nn.RNNCell, nn.GRUCell, nn.LSTMCell), recurrent_layer
    ),
}
