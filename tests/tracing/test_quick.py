"""The results made without torch's own Python on meta are those of torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convlint.tracing import quick

IMAGE = (2, 8, 6, 5)
LAYERS = [
    (nn.BatchNorm1d(8), (2, 8)),
    (nn.BatchNorm1d(8), (2, 8, 5)),
    (nn.BatchNorm2d(8), IMAGE),
    (nn.BatchNorm2d(8, affine=False), IMAGE),
    (nn.BatchNorm3d(8), (2, 8, 3, 4, 5)),
    (nn.GroupNorm(4, 8), IMAGE),
    (nn.GroupNorm(1, 8, affine=False), (2, 8)),
    (nn.LayerNorm((6, 5)), IMAGE),
    (nn.LayerNorm(8, elementwise_affine=False), (2, 3, 8)),
    (nn.Linear(8, 4), (8,)),
    (nn.Linear(8, 4, bias=False), (2, 3, 8)),
    *((kind(), IMAGE) for kind in quick._ACTIVATIONS),
    (nn.ReLU(inplace=True), IMAGE),
    (nn.Hardswish(inplace=True), IMAGE),
]
OTHERWISE = [
    (nn.BatchNorm2d(8), (8, 6, 5)),
    (nn.BatchNorm2d(8), (2, 4, 6, 5)),
    (nn.BatchNorm2d(8, track_running_stats=False), IMAGE),
    (nn.BatchNorm2d(8).half(), IMAGE),
    (nn.GroupNorm(4, 8), (2, 4, 6, 5)),
    (nn.LayerNorm(8), IMAGE),
    (nn.Linear(8, 4), (2, 3)),
    (nn.Linear(8, 4).double(), (2, 8)),
    (nn.Dropout(), IMAGE),
]


def meta(shape: tuple[int, ...], **options: object) -> torch.Tensor:
    return torch.empty(shape, device="meta", **options)


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_layer_gives_what_torch_gives(
    layer: nn.Module, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    """Shape, dtype, strides, and whether the result is the input itself."""
    layer = layer.eval().to("meta", dtype)
    x = meta(shape, dtype=dtype)
    with torch.no_grad():
        mine, theirs = quick.of_layer(layer, (x,), {}), layer(x)
    assert mine is not None
    assert (mine.shape, mine.dtype, mine.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
    assert (mine is x) == (theirs is x)
    assert mine.device.type == "meta" and not mine.requires_grad


@pytest.mark.parametrize(("layer", "shape"), OTHERWISE, ids=str)
def test_what_is_not_plain_is_left_to_torch(layer: nn.Module, shape: tuple[int, ...]) -> None:
    """Wrong shapes, other dtypes, batch statistics: torch says what happens."""
    assert quick.of_layer(layer.eval().to("meta"), (meta(shape),), {}) is None


def test_training_strides_and_real_tensors_are_left_to_torch() -> None:
    """Nothing is made up for what has another layout or content."""
    relu = nn.ReLU()
    assert quick.of_layer(relu.train(), (meta(IMAGE),), {}) is None
    relu.eval()
    assert quick.of_layer(relu, (torch.ones(IMAGE),), {}) is None
    assert quick.of_layer(relu, (meta(IMAGE).transpose(1, 2),), {}) is None
    assert quick.of_layer(relu, (meta(IMAGE, dtype=torch.int64),), {}) is None


def _named(func: Any) -> str:
    """Return a name that is the same in every process."""
    return f"{type(func).__name__} {func.__name__}"


@pytest.mark.parametrize("func", sorted(quick._SAME_SHAPE, key=_named), ids=_named)
def test_an_activation_gives_what_torch_gives(func: object) -> None:
    """The same for functions; one that writes into its input returns it."""
    x = meta(IMAGE)
    with torch.no_grad():
        mine, theirs = quick.of_function(func, (x,), {}), func(x)
    assert mine is not None
    assert (mine.shape, mine.dtype, mine.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
    assert (mine is x) == (theirs is x)
    assert quick.of_function(F.silu, (x,), {"inplace": True}) is x


@pytest.mark.parametrize("func", sorted(quick._ARITHMETIC, key=_named), ids=_named)
@pytest.mark.parametrize("other", [2, 0.5, meta(IMAGE)], ids=["int", "float", "tensor"])
def test_arithmetic_gives_what_torch_gives(func: Any, other: Any) -> None:
    """With a number, or a tensor of the same shape; what writes in place returns its input."""
    x = meta(IMAGE)
    mine, theirs = quick.of_function(func, (x, other), {}), func(x, other)
    assert mine is not None
    assert (mine.shape, mine.dtype, mine.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
    assert (mine is x) == (theirs is x)


@pytest.mark.parametrize("func", sorted(quick._ARITHMETIC, key=_named), ids=_named)
def test_arithmetic_that_is_not_plain_is_left_to_torch(func: Any) -> None:
    """Broadcasting, promotion, other layouts, options, and values that are there."""
    x = meta(IMAGE)
    turned = meta((5, 6, 8, 2)).permute(3, 2, 1, 0)
    others = [meta((2, 8, 1, 1)), meta(IMAGE, dtype=torch.float64), turned, 1j, True]
    for other in (*others, torch.ones(IMAGE)):
        assert quick.of_function(func, (x, other), {}) is None
    assert quick.of_function(func, (meta(IMAGE, dtype=torch.int64), 2), {}) is None
    assert quick.of_function(func, (x, 2), {"out": x}) is None
    assert quick.of_function(func, (x,), {}) is None


W = (8,)
NORMS = [
    (F.batch_norm, (meta(IMAGE), meta(W), meta(W)), {}),
    (F.batch_norm, (meta((2, 8)), meta(W), meta(W), meta(W), meta(W), False, 0.1, 1e-5), {}),
    (F.batch_norm, (meta(IMAGE), meta(W), meta(W)), {"weight": meta(W), "eps": 1e-3}),
    (F.layer_norm, (meta((2, 3, 8)), W), {}),
    (F.layer_norm, (meta((2, 3, 8)), [8], meta(W), meta(W), 1e-6), {}),
    (F.layer_norm, (meta(IMAGE), (6, 5)), {"weight": meta((6, 5))}),
]
OTHER_NORMS = [
    (F.batch_norm, (meta(IMAGE), None, None, None, None, True), {}),
    (F.batch_norm, (meta(IMAGE), meta(W), meta(W)), {"training": True}),
    (F.batch_norm, (meta(IMAGE), meta(W), meta((4,))), {}),
    (F.batch_norm, (meta(IMAGE), meta(W)), {}),
    (F.batch_norm, (meta(W), meta(W), meta(W)), {}),
    (F.layer_norm, (meta((2, 3, 8)), (4,)), {}),
    (F.layer_norm, (meta((2, 3, 8)), W, meta(W, dtype=torch.float64)), {}),
    (F.layer_norm, (meta((2, 3, 8)), W), {"axis": 1}),
    (F.layer_norm, (meta((2, 3, 8)), 8), {}),
]


@pytest.mark.parametrize(("func", "args", "kwargs"), NORMS)
def test_a_functional_norm_gives_what_torch_gives(func: Any, args: Any, kwargs: Any) -> None:
    """Shape, dtype and strides of the norms as functions, in eval mode."""
    mine, theirs = quick.of_function(func, args, kwargs), func(*args, **kwargs)
    assert mine is not None
    assert (mine.shape, mine.dtype, mine.stride()) == (theirs.shape, theirs.dtype, theirs.stride())


@pytest.mark.parametrize(("func", "args", "kwargs"), OTHER_NORMS)
def test_a_functional_norm_that_is_not_plain_is_left_to_torch(
    func: Any, args: Any, kwargs: Any
) -> None:
    """Batch statistics, sizes that do not fit, arguments that torch does not take."""
    assert quick.of_function(func, args, kwargs) is None


@pytest.mark.parametrize(
    ("shapes", "options"),
    [
        ([(2, 3, 4), (2, 5, 4)], {"dim": 1}),
        ([(2, 3, 4), (2, 3, 6)], {"axis": -1}),
        ([(2, 3)] * 3, {}),
    ],
)
def test_joined_tensors_are_those_of_torch(
    shapes: list[tuple[int, ...]], options: dict[str, int]
) -> None:
    """Shape, dtype and strides of ``torch.cat``."""
    tensors = [meta(shape) for shape in shapes]
    mine, theirs = quick.of_function(torch.cat, (tensors,), options), torch.cat(tensors, **options)
    assert mine is not None
    assert (mine.shape, mine.dtype, mine.stride()) == (theirs.shape, theirs.dtype, theirs.stride())


@pytest.mark.parametrize(
    ("tensors", "options"),
    [
        ([meta((2, 3)), meta((4, 5))], {"dim": 1}),
        ([meta((2, 3)), meta((2, 3), dtype=torch.float64)], {}),
        ([meta((2, 3)), meta((2, 3))], {"dim": 2}),
        ([meta((0,)), meta((2, 3))], {"dim": 1}),
        ([], {}),
        ([torch.ones(2), torch.ones(2)], {}),
    ],
)
def test_joins_that_are_not_plain_are_left_to_torch(
    tensors: list[torch.Tensor], options: dict[str, int]
) -> None:
    """Errors and promotions are torch's."""
    assert quick.of_function(torch.cat, (tensors,), options) is None


def test_torch_is_imported_without_what_is_not_needed() -> None:
    """Import, a first run on meta: no dynamo, no sympy, and torch.compile is there all the same."""
    code = (
        "import sys\n"
        "from convlint.tracing import shortcuts\n"
        "shortcuts.import_torch()\n"
        "import torch\n"
        "net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.PReLU()).to('meta')\n"
        "net(torch.empty(1, 1, 2, 2, device='meta'))\n"
        "assert not {'torch._dynamo', 'sympy.core'} & set(sys.modules)\n"
        "assert torch.compile(lambda x: x + 1, backend='eager')(torch.ones(1)).item() == 2\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
