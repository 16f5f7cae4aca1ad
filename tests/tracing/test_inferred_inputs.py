"""Inputs nobody declared: several of them, with other channels each, or by keyword."""

from __future__ import annotations

import torch
from torch import nn

from convlint.tracing import inputs
from convlint.tracing.inline import read_instance
from convlint.wire import InputSpec


class Fusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rgb = nn.Conv2d(3, 8, 3)
        self.depth = nn.Conv2d(1, 8, 3)

    def forward(self, rgb: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        return self.rgb(rgb) + self.depth(depth)


class ByKeyword(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)

    def forward(self, *, image: torch.Tensor) -> torch.Tensor:
        return self.a(image)


class Denoiser(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Embedding(100, 8)
        self.a = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.a(x) + self.time(t)[:, :, None, None]


def inputs_of(model: nn.Module) -> tuple[InputSpec, ...]:
    reply = read_instance(model, (), {}, target="net")
    assert reply.status == "complete", reply.failure
    assert {spec.origin for spec in reply.inputs} == {"inferred"}
    return reply.inputs


def test_two_inputs_of_different_widths_are_found() -> None:
    """Each argument gets the channels that its own first conv reads."""
    assert [spec.shape[1] for spec in inputs_of(Fusion())] == [3, 1]


def test_an_argument_by_keyword_only_is_given_by_its_name() -> None:
    """A keyword-only argument of forward is passed as one."""
    (spec,) = inputs_of(ByKeyword())
    assert spec.name == "image"


def test_a_time_step_is_one_number() -> None:
    """An argument called t or timestep is an integer per sample."""
    _, step = inputs_of(Denoiser())
    assert (step.shape, step.dtype) == ((1,), "int64")


def test_tensors_come_in_the_containers_that_their_keys_tell_of() -> None:
    """Positions make lists, names make dicts, in arguments by position and by keyword."""
    specs = (
        InputSpec((1, 3), within=("image",), argument=0),
        InputSpec((1, 1), within=("depth",), argument=0),
        InputSpec((2, 2)),
        InputSpec((4, 4), name="maps", within=(0,)),
        InputSpec((8, 8), name="maps", within=(1,)),
    )
    args, kwargs = inputs.make(specs, "meta")
    assert [list(args[0]), args[0]["depth"].shape] == [["image", "depth"], (1, 1)]
    assert args[1].shape == (2, 2) and len(args) == 2
    assert [tensor.shape for tensor in kwargs["maps"]] == [(4, 4), (8, 8)]


def test_a_failure_tells_which_shapes_were_tried() -> None:
    """Where no inferred shape fits, the first failure is told, and what else was tried."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(12345, 10))
    reply = read_instance(model, (), {}, target="net")
    assert reply.status == "failed" and reply.failure is not None
    message = reply.failure.message
    assert "1x3x224x224" in message and "12345" in message
    assert "also tried 1x3x32x32, 1x3x28x28, 1x3x64x64, and" in message
    assert reply.failure.fix.endswith("or which arguments: --model 'Sequential(...)'")


class Waves(nn.Module):
    """Folds a wave of three axes into maps, as discriminators of sound do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, (5, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, length = x.shape
        return self.conv(x.view(batch, channels, length // 2, 2))


def test_unpacking_tells_how_many_axes_there_are() -> None:
    """A first layer for maps, in a model that takes sequences: the error says so."""
    reply = read_instance(Waves(), (), {}, target="net")
    assert (reply.status, reply.failure) == ("complete", None)
    assert [len(spec.shape) for spec in reply.inputs] == [3]
    reply = read_instance(Waves(), (torch.zeros(1, 1, 8, 8),), {}, target="net")
    assert reply.failure is not None and "(expected 3)" in reply.failure.message


class Last(nn.Module):
    """Takes its channels last and moves them itself."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        self.conv = (nn.Conv1d, nn.Conv2d)[axes - 1](88, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x.movedim(-1, 1))


def test_channels_may_come_last() -> None:
    """Where no shape with the channels first fits, those with the channels last are tried."""
    for axes, shape in ((1, (1, 1024, 88)), (2, (1, 224, 224, 88))):
        reply = read_instance(Last(axes), (), {}, target="net")
        assert [spec.shape for spec in reply.inputs] == [shape]
