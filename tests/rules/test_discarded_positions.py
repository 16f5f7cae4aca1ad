"""CL407: what only one reader position in s needs runs on those positions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

import convlint
from convlint.tracing import stubs
from tests.rules.proving import applied, fires

CODE = "CL407"


class Block(nn.Module):
    """A residual block of one dimension or more, and readers with a stride."""

    def __init__(self, axes, step, k, readers, groups, squeeze=False):
        super().__init__()
        conv, norm = getattr(nn, f"Conv{axes}d"), getattr(nn, f"BatchNorm{axes}d")
        self.reduce, self.conv = conv(8, 4, 1), conv(4, 4, k, padding=k // 2, groups=groups)
        self.norm, self.expand = norm(4), conv(4, 8, 1)
        self.readers = nn.ModuleList(conv(8, 4, 1, step) for _ in range(readers))
        self.pick = (slice(None), slice(None), *(slice(None, None, step),) * axes)
        self.squeeze = squeeze

    def forward(self, x):
        y = self.expand(torch.relu(self.norm(self.conv(torch.relu(self.reduce(x))))))
        if self.squeeze:
            y = y * torch.sigmoid(y.mean(tuple(range(2, y.dim())), keepdim=True))
        x = torch.relu(x + y)
        return sum(reader(x) for reader in self.readers) if len(self.readers) else x[self.pick]


@settings(max_examples=12, deadline=None)
@given(
    axes=st.integers(1, 3), step=st.integers(2, 3), k=st.sampled_from([1, 3, 5]),
    readers=st.integers(0, 2), groups=st.sampled_from([1, 4]), size=st.integers(3, 8),
    squeeze=st.booleans(),
)  # fmt: skip
def test_any_block_keeps_its_outputs(axes, step, k, readers, groups, size, squeeze):
    """Through sums, norms, activations, 1x1 and up to the first layer with taps; odd sizes too."""
    x = torch.randn(1, 8, *(size, size + 1, size)[:axes])
    made = applied(Block(axes, step, k, readers, groups, squeeze), CODE, x)
    assert len(made.changes) == 1
    assert made.largest_difference < 1e-12


def test_saves_three_of_four_positions():
    """Stride 2: 3/4 of the MACs of expand and conv; reduce runs before a 3x3 and stays."""
    made = applied(Block(2, 2, 3, 1, 1), CODE, torch.randn(1, 8, 16, 16))
    (finding,) = made.report.findings
    assert finding.saving.macs == (4 * 8 + 9 * 4 * 4) * (256 - 64)
    assert finding.saving.params == 0


def test_what_needs_every_position_ends_the_region():
    """With a squeeze only what stands behind it moves: the sum, the product, the activation."""
    made = applied(Block(2, 2, 3, 1, 1, squeeze=True), CODE, torch.randn(1, 8, 16, 16))
    (finding,) = made.report.findings
    assert finding.saving.macs == 0
    assert finding.saving.activation_bytes > 0


def test_a_map_that_is_returned_or_read_at_an_offset_is_silent():
    """Other positions are needed, too."""

    class Tapped(Block):
        def forward(self, x):
            x = torch.relu(self.conv(self.reduce(x)))
            return x, x[:, :, ::2, ::2]

    class Offset(Block):
        def forward(self, x):
            return torch.relu(self.conv(self.reduce(x)))[:, :, 1::2, 1::2]

    x = torch.randn(1, 8, 8, 8)
    assert fires(Tapped(2, 2, 3, 0, 1), CODE, x) == 0
    assert fires(Offset(2, 2, 3, 0, 1), CODE, x) == 0
    block = Block(2, 2, 3, 0, 1).eval()
    wrong = nn.functional.conv2d(
        block.reduce(x), block.conv.weight, block.conv.bias, stride=2, padding=1
    )
    right = block.conv(block.reduce(x))[:, :, 1::2, 1::2]
    assert not torch.allclose(wrong, right, atol=1e-3)


class Read(nn.Module):
    """A 3x3 with an activation, a function of its result, and a 1x1 of stride 2 that reads it."""

    def __init__(self, function=lambda m, x: x, axes=2, conv=None, reader=None):
        super().__init__()
        kind = getattr(nn, f"Conv{axes}d")
        self.conv = conv or kind(4, 4, 3, padding=1)
        self.point = kind(4, 4, 1)
        self.function, self.reader = function, reader or kind(4, 4, 1, 2)

    def forward(self, x):
        return self.reader(self.function(self, torch.relu(self.conv(x))))


READERS = {
    "max pool": lambda x: F.max_pool2d(x, 1, 2),
    "average pool": lambda x: F.avg_pool2d(x, 1, (2, 3)),
    "slice of one axis": lambda x: x[..., ::3],
    "nearest": lambda x: F.interpolate(x, scale_factor=0.5),
    "sizes": lambda x: F.interpolate(x, size=(4, 2)),
}


@pytest.mark.parametrize("name", READERS)
def test_every_reader_that_skips(name):
    """It goes, and the 3x3 strides in its place."""
    made = applied(Read(lambda m, x: READERS[name](x), reader=nn.Tanh()), CODE, _map(8, 6))
    (finding,) = made.report.findings
    left = READERS[name](_map(8, 6))[0, 0].numel()
    assert finding.saving.macs == 9 * 4 * 4 * (48 - left)


OTHERS = {
    "divides by 2": lambda x: F.avg_pool2d(x, 1, 2, divisor_override=2),
    "nearest, cut off": lambda x: F.interpolate(x, scale_factor=0.5),
    "nearest-exact": lambda x: F.interpolate(x, scale_factor=0.5, mode="nearest-exact"),
    "last left out": lambda x: x[:, :, :5:2, :5:2],
    "two taps": lambda x: F.max_pool2d(x, 2, 2),
}


@pytest.mark.parametrize("name", OTHERS)
def test_readers_that_do_more_or_read_elsewhere(name):
    """They do not give the positions 0, 2, 4, ... as they are."""
    x = _map(7, 7)
    assert fires(Read(lambda m, x: OTHERS[name](x), reader=nn.Tanh()), CODE, x) == 0
    right, wrong = OTHERS[name](x), x[:, :, ::2, ::2]
    assert right.shape != wrong.shape or not torch.allclose(right, wrong)


def _map(*sizes):
    return torch.randn(1, 4, *sizes)


@pytest.mark.parametrize(
    ("function", "axes"),
    [
        (lambda m, x: x + m.point(x), 2),
        (lambda m, x: m.point(x) + x, 1),
        (lambda m, x: torch.cat([x[:, :2], m.point(x)[:, 2:]], 1) * 2, 2),
        (lambda m, x: torch.cat([m.point(x), x], 1)[:, ::2].sigmoid(), 2),
        (lambda m, x: x * torch.ones(4, 1, 1, dtype=x.dtype), 2),
        (lambda m, x: x + torch.ones(1, dtype=x.dtype), 1),
        (lambda m, x: x * torch.ones(1, 4, 7, 6, dtype=x.dtype), 2),
    ],
)
def test_branches_that_meet_again(function, axes):
    """Whichever operand is read first; constants of every channel and of every position."""
    made = applied(Read(function, axes), CODE, _map(7, 6)[..., :: 3 - axes].flatten(axes + 1))
    assert len(made.changes) == 1


@pytest.mark.parametrize(
    ("shape", "axes"), [((7, 6), 2), ((6,), 2), ((1, 6), 2), ((4, 42), 1), ((42,), 1), ((7, 1, 1), 3)]
)  # fmt: skip
def test_tables_of_some_axes_are_left_alone(shape, axes):
    """A table that is broadcast would have to be cut, too: with it the sizes do not fit."""
    table = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    x = _map(7, 6, 5) if axes == 3 else _map(7, 6).flatten(axes + 1)
    model = Read(lambda m, x: x + table.to(x), axes)
    assert fires(model, CODE, x) == 0
    model(x)


def test_computed_weights_take_no_stride():
    """A kernel of weight_norm is computed in each call: a slice behind it, or nothing."""
    made = applied(Read(conv=weight_norm(nn.Conv2d(4, 4, 3, padding=1))), CODE, _map(8, 8))
    assert len(made.changes) == 1
    assert made.report.after.exact.macs == made.report.totals.macs
    assert fires(Read(reader=weight_norm(nn.Conv2d(4, 4, 1, 2))), CODE, _map(8, 8)) == 0


def _caffe_resnet50():
    """ResNet-50 with the stride in the first 1x1 of a stage, as it was first published."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    model = torchvision.models.resnet50(weights=None)
    for layer in (model.layer2, model.layer3, model.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    return model


def test_the_first_published_resnet50():
    """376 MMACs of the last blocks of three stages, 9.7 % of the model."""
    report = convlint.lint(
        _caffe_resnet50(), torch.empty(1, 3, 224, 224, device="meta"), select=[CODE]
    )
    saved = report.totals.macs - report.after.exact.macs
    assert saved / 1e6 == pytest.approx(376, abs=1)
    assert 100 * saved / report.totals.macs == pytest.approx(9.7, abs=0.1)


def test_a_pyramid_on_the_first_published_resnet50():
    """Where each stage is returned as well, all of it is needed."""
    model = _caffe_resnet50()

    class Taps(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            m, taps = self.model, []
            x = m.maxpool(m.relu(m.bn1(m.conv1(x))))
            for stage in (m.layer1, m.layer2, m.layer3, m.layer4):
                x = stage(x)
                taps.append(x)
            return taps

    assert fires(Taps(), CODE, torch.empty(1, 3, 224, 224, device="meta")) == 0


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (
            nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1, 2)),
            "1 conv and what is between run on 16x16, and every reader keeps 1 of 4 positions: "
            "with the stride moved up they do 9.2 of 36.9 kMACs",
        ),
        (
            nn.Sequential(nn.Conv2d(4, 64, 1), nn.ReLU6(), nn.Tanh(), nn.MaxPool2d(1, 2)),
            "1 conv and what is between run on 16x16, and every reader keeps 1 of 4 positions: "
            "with the stride moved up they do 16.4 of 65.5 kMACs",
        ),
        (
            nn.Sequential(nn.Linear(16, 16), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1, 2)),
            "norm, relu run on 16x16, and every reader keeps 1 of 4 positions: with the stride "
            "moved up 2.0 of 8.0 KiB are written",
        ),
        (
            nn.Sequential(nn.Linear(16, 16), nn.SiLU(), nn.Conv2d(4, 2, 1, 2)),
            "silu runs on 16x16, and every reader keeps 1 of 4 positions: with the stride moved up "
            "1.0 of 4.0 KiB are written",
        ),
    ],
)
def test_words_tell_what_is_saved(net, words):
    """MACs in a unit that shows them; where there are none, the bytes that are written."""
    (finding,) = convlint.lint(net.eval(), torch.randn(1, 4, 16, 16), select=[CODE]).findings
    assert finding.message == words


@pytest.mark.parametrize("name", ["legacy_seresnet50", "dpn68"])
def test_models_of_timm_that_save_elementwise_work_alone(name):
    """Squeezes and activations before the norm keep their convolutions from moving."""
    stubs.install()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    model = timm.create_model(name)
    report = convlint.lint(model, torch.empty(1, 3, 224, 224, device="meta"), select=[CODE])
    assert sum(finding.sites for finding in report.findings) == 3
    assert report.totals.macs == report.after.exact.macs
    assert report.totals.activation_bytes > report.after.exact.activation_bytes
    assert all(" MiB are written" in finding.message for finding in report.findings)


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "shufflenet_v2_x1_0"])
def test_models_that_stride_in_time(name):
    """torchvision's ResNets stride in the 3x3."""
    stubs.install()
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    model = torchvision.models.get_model(name, weights=None)
    assert fires(model, CODE, torch.empty(1, 3, 224, 224, device="meta")) == 0


def test_a_table_that_is_sliced_has_no_positions():
    """Swin slices its matrix of position biases: no map, nothing found, no crash."""

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.table = nn.Linear(8, 8)

        def forward(self, x):
            return self.table(self.conv(x).mean((2, 3)))[:]

    assert fires(Table(), CODE, torch.empty(2, 3, 8, 8, device="meta")) == 0
