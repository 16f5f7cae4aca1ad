"""What goes into a model: the tensors of literal shape that the file itself shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from convlint.discover.blocks import Block, Kind, OpenExpressionError
from convlint.discover.source import built_by, dotted
from convlint.ir.nodes import SourceSpan
from convlint.wire import InputSpec

MAX_CANDIDATES = 6
FILLED = frozenset({"randn", "rand", "zeros", "ones", "empty", "Tensor", "FloatTensor"})
DTYPES = {
    "int64": "int64",
    "long": "int64",
    "int32": "int32",
    "int": "int32",
    "uint8": "uint8",
    "bool": "bool",
    "complex64": "complex64",
    "cfloat": "complex64",
}
CASTS = {"long": "int64", "int": "int32", "bool": "bool", "byte": "uint8"}
UNCHANGED = frozenset(
    {"to", "cuda", "cpu", "float", "double", "half", "requires_grad_", "detach", "clone"}
    | {"contiguous", "type"}
)
# Helpers that take a shape, and those of them that add the batch themselves.
SUMMARIES = frozenset({"summary", "get_model_complexity_info", "torchsummary", "torchinfo"})

Inputs = tuple[InputSpec, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """An input list that the file shows; a smaller ``rank`` is better evidence."""

    rank: int
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class Makers:
    """What stands for the model: ``callables`` build it, ``instances`` are it."""

    callables: frozenset[str]
    instances: frozenset[str] = frozenset()


def inputs_for(blocks: tuple[Block, ...], makers: Makers, *, only: bool) -> tuple[Inputs, ...]:
    """Return the input lists shown for the model, best evidence first.

    ``only`` says that it is the file's single root, so that any tensor may be meant for it.
    """
    shown: list[Shown] = []
    for block in blocks:
        held = _held(block, makers)
        shown += _passed(block, held, makers)
        related = bool(held or block.words & makers.callables or block.owner in makers.callables)
        if related or only:
            shown += _lone_tensors(block, 2 if related else 3)
    unique: dict[tuple[object, ...], Inputs] = {}
    for item in sorted(shown, key=lambda item: item.rank):
        key = tuple((spec.shape, spec.dtype, spec.name) for spec in item.inputs)
        unique.setdefault(key, item.inputs)
    return tuple(unique.values())[:MAX_CANDIDATES]


def _held(block: Block, makers: Makers) -> frozenset[str]:
    """Return the names that hold the model in this block."""
    held = block.words & makers.instances
    for node in block.assignments:
        if built_by(node.value) in makers.callables:
            held |= {dotted(target) for target in node.targets} - {""}
    return held


def _passed(block: Block, held: frozenset[str], makers: Makers) -> Iterator[Shown]:
    """Yield what is passed to a call of the model, or to a helper together with it."""
    for call in block.calls:
        if _calls_model(call, held, makers):
            inputs = _arguments(block, call)
            if inputs:
                yield Shown(0, inputs)
        elif call.args and _is_model(call.args[0], held, makers):
            inputs = _helper_inputs(block, call)
            if inputs:
                yield Shown(1, inputs)


def _calls_model(call: ast.Call, held: frozenset[str], makers: Makers) -> bool:
    func = call.func
    if isinstance(func, ast.Attribute) and func.attr == "forward":
        func = func.value
    if isinstance(func, ast.Call):  # Net()(x)
        return built_by(func) in makers.callables
    return dotted(func) in held


def _is_model(node: ast.expr, held: frozenset[str], makers: Makers) -> bool:
    return dotted(node) in held or built_by(node) in makers.callables


def _arguments(block: Block, call: ast.Call) -> Inputs:
    """Return the tensors of a call of the model, or nothing where one is not known."""
    specs: list[InputSpec] = []
    named = [(None, argument) for argument in call.args]
    keywords = [(keyword.arg, keyword.value) for keyword in call.keywords]
    for place, (name, argument) in enumerate([*named, *keywords]):
        found = _contained(block, argument)
        if not found and name is None:
            return ()
        for keys, spec in found:
            within = {"within": keys, "argument": place} if keys and name is None else {}
            within = {"within": keys} if keys and name is not None else within
            specs.append(msgspec.structs.replace(spec, name=name, **within))
    return tuple(specs)


def _contained(
    block: Block, node: ast.expr, depth: int = 0
) -> list[tuple[tuple[int | str, ...], InputSpec]]:
    """Return the tensors of an argument under the keys to them: a tensor, a dict or a list.

    Nothing where one of them is not known.
    """
    spec = _tensor(block, node)
    if spec is not None:
        return [((), spec)]
    bound = block.lookup(node.id) if isinstance(node, ast.Name) else node
    if depth > 4 or not isinstance(bound, ast.Dict | ast.List | ast.Tuple):
        return []
    keys: list[object] = (
        list(range(len(bound.elts)))
        if not isinstance(bound, ast.Dict)
        else [key.value if isinstance(key, ast.Constant) else None for key in bound.keys]
    )
    values = bound.values if isinstance(bound, ast.Dict) else bound.elts
    found: list[tuple[tuple[int | str, ...], InputSpec]] = []
    for key, value in zip(keys, values, strict=True):
        inner = _contained(block, value, depth + 1)
        if not inner or not isinstance(key, int | str):
            return []
        found += [((key, *rest), spec) for rest, spec in inner]
    return found


def _helper_inputs(block: Block, call: ast.Call) -> Inputs:
    """Return the inputs in ``summary(model, (3, 32, 32))``, ``trace(model, x)`` and the like."""
    helper = dotted(call.func).rpartition(".")[2]
    for argument in [*call.args[1:], *(keyword.value for keyword in call.keywords)]:
        items = _items(block, argument)
        tensors = [spec for item in items if (spec := _tensor(block, item)) is not None]
        if tensors and len(tensors) == len(items):
            return tuple(tensors)
    if helper not in SUMMARIES:
        return ()
    sizes = [
        keyword.value for keyword in call.keywords if keyword.arg in ("input_size", "input_res")
    ]
    for argument in [*sizes, *call.args[1:]]:
        specs = _sizes(block, argument)
        if specs:
            return specs
    return ()


def _items(block: Block, node: ast.expr) -> list[ast.expr]:
    bound = block.lookup(node.id) if isinstance(node, ast.Name) else None
    if isinstance(bound, ast.Tuple | ast.List):
        node = bound
    return list(node.elts) if isinstance(node, ast.Tuple | ast.List) else [node]


def _sizes(block: Block, node: ast.expr) -> Inputs:
    """Return the shapes of a size or a list of sizes; one without batch gets a batch of 1."""
    try:
        value = block.value(node)
    except OpenExpressionError:
        return ()
    if not isinstance(value, tuple) or not value:
        return ()
    sizes = value if all(isinstance(item, tuple) for item in value) else (value,)
    shapes = [_shape(size) for size in sizes]
    if not all(shapes):
        return ()
    where = _span(block, node)
    return tuple(
        InputSpec(shape if len(shape) >= 4 else (1, *shape), origin="example", found_at=where)
        for shape in shapes
        if shape
    )


def _lone_tensors(block: Block, rank: int) -> Iterator[Shown]:
    if block.kind is Kind.MODULE:
        return
    for call in block.calls:
        spec = _created(block, call)
        if spec is not None and len(spec.shape) >= 3:
            yield Shown(rank, (spec,))


# --- one tensor ------------------------------------------------------------------


def _tensor(block: Block, node: ast.expr, depth: int = 0) -> InputSpec | None:
    """Return shape and dtype of an expression that makes a tensor of literal shape."""
    if depth > 8:
        return None
    if isinstance(node, ast.Name):
        bound = block.lookup(node.id) or block.before(node)
        return None if bound is None else _tensor(block, bound, depth + 1)
    if not isinstance(node, ast.Call):
        return None
    if dotted(node.func).rpartition(".")[2] == "Variable" and node.args:
        return _tensor(block, node.args[0], depth + 1)
    created = _created(block, node)
    if created is not None or not isinstance(node.func, ast.Attribute):
        return created
    inner = _tensor(block, node.func.value, depth + 1)
    method = node.func.attr
    if inner is None or method in UNCHANGED:
        return inner
    if method in CASTS:
        return msgspec.structs.replace(inner, dtype=CASTS[method])
    if method == "unsqueeze" and [ast.unparse(argument) for argument in node.args] == ["0"]:
        return msgspec.structs.replace(inner, shape=(1, *inner.shape))
    return None


def _created(block: Block, call: ast.Call) -> InputSpec | None:
    """Return the tensor of ``torch.randn(1, 3, 224, 224)`` and its relatives."""
    path = block.source.canonical(call.func)
    owner, _, name = path.rpartition(".")
    if owner not in ("torch", "torch.cuda"):
        return None
    arguments = list(call.args)
    if name == "randint":
        arguments = arguments[1:][-1:]
    elif name == "full":
        arguments = arguments[:1]
    elif name not in FILLED:
        return None
    arguments += [keyword.value for keyword in call.keywords if keyword.arg == "size"]
    try:
        values = tuple(block.value(argument) for argument in arguments)
    except OpenExpressionError:
        return None
    shape = _shape(values[0] if len(values) == 1 and isinstance(values[0], tuple) else values)
    if not shape:
        return None
    dtype = _dtype(call, "int64" if name == "randint" else "float32")
    return InputSpec(shape, dtype=dtype, origin="example", found_at=_span(block, call))


def _dtype(call: ast.Call, default: str) -> str:
    """Return the dtype asked for; any float is float32, as the model's weights are."""
    for keyword in call.keywords:
        if keyword.arg == "dtype":
            return DTYPES.get(dotted(keyword.value).rpartition(".")[2], "float32")
    return default


def _shape(value: object) -> tuple[int, ...]:
    """Return a shape, or an empty tuple where ``value`` is none."""
    if not isinstance(value, tuple):
        return ()
    plain = [item for item in value if isinstance(item, int) and not isinstance(item, bool)]
    return tuple(plain) if len(plain) == len(value) and all(n > 0 for n in plain) else ()


def _span(block: Block, node: ast.expr) -> SourceSpan:
    span = block.source.span(node)
    if block.kind is not Kind.DOCSTRING:
        return span
    return SourceSpan(path=span.path, line=span.line + block.line)
