"""A tiny builder of ModelGraphs by hand, without torch."""

from __future__ import annotations

from convlint.ir import nodes as ir
from convlint.ir.graph import ModelGraph
from convlint.ir.nodes import Node, Param, Ref, SourceSpan, TensorSpec
from convlint.ir.validate import conv_output_shape


class Builder:
    """Adds nodes one after the other; every method returns the Ref of what it made."""

    def __init__(self, *shape: int) -> None:
        self.nodes: list[Node] = []
        self.x = self.add(ir.Input(), (), shape)

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """Return the shape of an output."""
        node = next(node for node in self.nodes if node.id == ref.node)
        return node.outputs[ref.output].shape

    def add(self, op, inputs, *shapes, module="", params=(), line=None, called=None) -> Ref:
        """Add a node of any kind with outputs of these shapes."""
        node = Node(
            id=f"n{len(self.nodes)}",
            op=op,
            inputs=tuple(inputs),
            outputs=tuple(TensorSpec(tuple(shape)) for shape in shapes),
            module=module,
            params=tuple(params),
            built_at=None if line is None else SourceSpan("model.py", line),
            called_at=None if called is None else SourceSpan("model.py", called),
        )
        self.nodes.append(node)
        return Ref(node.id)

    def same(self, op, *inputs: Ref, **facts) -> Ref:
        """Add a node whose output has the shape of its first input."""
        return self.add(op, inputs, self.shape(inputs[0]), **facts)

    def relu(self, x: Ref) -> Ref:
        """Add a ReLU."""
        return self.same(ir.Activation("relu"), x)

    def norm(self, x: Ref) -> Ref:
        """Add a batch norm without parameters."""
        return self.same(ir.Norm("batch"), x)

    def sum(self, a: Ref, b: Ref) -> Ref:
        """Add the sum of two."""
        return self.same(ir.Add(), a, b)

    def conv(
        self, x, out, kernel=3, *, stride=1, padding=None, dilation=1, groups=1, bias=False,
        module=None, line=None, called=None, transposed=False, buffer=False, shared=None,
    ) -> Ref:  # fmt: skip
        """Add a convolution with its parameters; padding is "same" where none is given."""
        source = self.shape(x)
        axes = len(source) - 2

        def each(value):
            return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes

        kernel, dilation = each(kernel), each(dilation)
        if padding is None:
            padding = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        op = ir.Conv(
            in_channels=source[1], out_channels=out, kernel=kernel, stride=each(stride),
            padding=tuple((p, p) for p in each(padding)), dilation=dilation, groups=groups,
            bias=bias, transposed=transposed,
        )  # fmt: skip
        module = f"conv{len(self.nodes)}" if module is None else module
        name = shared or module
        shape = (out, source[1] // groups, *kernel)
        params = [Param(f"{name}.weight", f"{name}.weight", shape, buffer=buffer)]
        if bias:
            params.append(Param(f"{name}.bias", f"{name}.bias", (out,), role="bias"))
        result = conv_output_shape(op, source)
        return self.add(op, [x], result, module=module, params=params, line=line, called=called)

    def linear(self, x, out, module="fc", line=None) -> Ref:
        """Add a linear layer with its weight."""
        source = self.shape(x)
        weight = Param(f"{module}.weight", f"{module}.weight", (out, source[-1]))
        op = ir.Linear(source[-1], out)
        shape = (*source[:-1], out)
        return self.add(op, [x], shape, module=module, params=[weight], line=line)

    def shuffle(self, x: Ref, groups: int) -> Ref:
        """Add the view, transpose, view that people write."""
        n, c, *rest = self.shape(x)
        seen = self.add(ir.Reshape(), [x], (n, groups, c // groups, *rest))
        order = (0, 2, 1, *range(3, 3 + len(rest)))
        turned = self.add(ir.Permute(order), [seen], (n, c // groups, groups, *rest))
        return self.add(ir.Reshape(), [turned], (n, c, *rest))

    def pool(self, x: Ref) -> Ref:
        """Add global average pooling to 1x1."""
        n, c, *rest = self.shape(x)
        op = ir.Pool("avg", tuple(rest), tuple(rest), (0,) * len(rest), whole=True)
        return self.add(op, [x], (n, c, *(1 for _ in rest)))

    def graph(self, *outputs: Ref, unused=()) -> ModelGraph:
        """Return the graph; the last node is the result where none is named."""
        results = outputs or (Ref(self.nodes[-1].id),)
        end = Node(id="out", op=ir.Output(), inputs=tuple(results))
        return ModelGraph((*self.nodes, end), tuple(unused))
