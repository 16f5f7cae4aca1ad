"""``convlint apply``, ``measure`` and ``fix``: rewritten, proven, saved; and what is refused.

Most cases do the child's work in this process (``here``), which spares a start of torch; the
process wall itself is crossed where a test says ``run``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from convlint.applying import serve
from tests.cli.conftest import Run

POOLED = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.mix = nn.Conv2d(16, 8, 1)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.pool(self.norm(self.mix(torch.relu(self.stem(x)))))
        return self.head(torch.relu(x).mean((2, 3)))


class Noisy(Net):
    def forward(self, x):
        return super().forward(x) + torch.rand(1)


class Wide(Net):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8192, 3, padding=1)
        self.mix = nn.Conv2d(8192, 8, 1)


class Nested(Net):
    def forward(self, batch, mask=None, gain=2.0):
        x = torch.relu(self.stem(batch["image"])) * gain
        x = self.pool(self.mix(x))
        return {"map": x if mask is None else x * mask, "parts": [x + 1, (x.mean(), None)]}


class Squeezed(Net):
    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.mix(torch.relu(self.stem(x))).mean((2, 3), keepdim=True)
        return self.last(torch.relu(x))
"""
SIZE = ("--input", "2x3x16x16", "--rules", "CL401")


@pytest.fixture
def pooled(project: Path) -> str:
    (project / "pooled.py").write_text(POOLED)
    return "pooled.py:Net"


@pytest.fixture
def here(run: Run, pooled: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run convlint with the child's work done in this process."""
    monkeypatch.setattr(
        "convlint.workbench.perform", lambda work, _child, _limits: serve.serve(work)
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    before, threads = set(sys.modules), torch.get_num_threads()
    yield run
    for name in set(sys.modules) - before:
        if "pooled" in name:
            del sys.modules[name]
    torch.set_num_threads(threads)


def _net(project: Path) -> nn.Module:
    room: dict[str, object] = {"__name__": "pooled"}
    exec((project / "pooled.py").read_text(), room)
    torch.manual_seed(5)
    made: nn.Module = room["Net"]().eval()  # type: ignore[operator]
    with torch.no_grad():
        for name, tensor in made.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.copy_(torch.rand_like(tensor) + 0.5)
    return made


def test_the_rewritten_model_is_proven_and_saved(run: Run, project: Path, pooled: str) -> None:
    """Trained weights in; a state_dict, a program and a Python file out that give the same."""
    net = _net(project)
    torch.save(net.state_dict(), project / "old.pt")
    told = run(
        "apply", pooled, *SIZE, "--weights", "old.pt", "--save", "new.pt",
        "--save-program", "new.pt2", "--save-source", "new.py", "--format", "json",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert told.err == ""
    reply = json.loads(told.out)
    assert [change["code"] for change in reply["changes"]] == ["CL401"]
    assert reply["largest_difference"] < 1e-12
    assert reply["before"]["macs"] - reply["after"]["macs"] == 2 * 16 * 8 * (256 - 64)
    assert not reply["random_weights"]
    x = torch.randn(2, 3, 16, 16)
    room: dict[str, object] = {"__name__": "new"}
    exec((project / "new.py").read_text(), room)
    made: nn.Module = room["Rewritten"]().eval()  # type: ignore[operator]
    made.load_state_dict(torch.load(project / "new.pt", weights_only=True))
    program = torch.export.load(project / "new.pt2").module()
    with torch.no_grad():
        torch.testing.assert_close(made(x), net(x))
        torch.testing.assert_close(program(x), net(x))
    mapping = json.loads((project / "new.pt.mapping.json").read_text())
    assert mapping["mix.weight"] == ["mix.weight"]


def test_a_file_is_as_large_as_was_counted(here: Run, project: Path) -> None:
    """The saved weights are within 1 % of the bytes told, and of those that ``cost`` tells."""
    told = here("apply", "pooled.py:Wide", *SIZE, "--save", "wide.pt", "--format", "json")
    assert told.code == 0, told.err
    reply = json.loads(told.out)
    size = (project / "wide.pt").stat().st_size
    assert reply["state_bytes"][1] == pytest.approx(size, rel=0.01)
    state = torch.load(project / "wide.pt", weights_only=True)
    exact = sum(t.numel() * t.element_size() for t in state.values())
    assert reply["state_bytes"] == [exact, exact]
    params = sum(
        t.numel() * t.element_size()
        for key, t in state.items()
        if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
    )
    assert reply["after"]["param_bytes"] == params


def test_the_words_of_an_applied_model(here: Run) -> None:
    """What was made, how it was proven, before and after, what was written and where."""
    told = here("apply", "pooled.py:Net", *SIZE, "--save", "new.safetensors")
    assert told.code == 0, told.err
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    assert "made CL401 pool-after-pointwise: mix, norm, pool" in lines
    assert any(line.startswith("outputs in float64 on random inputs") for line in lines)
    assert any(line.startswith("MACs ") for line in lines)
    assert any("--weights FILE loads trained ones" in line for line in lines)
    assert any(line.startswith("wrote state_dict new.safetensors, ") for line in lines)


def test_of_many_places_the_first_are_named(here: Run, project: Path) -> None:
    """Ten layers of ten names are not all spelled out; how many are left is said."""
    (project / "pooled.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__()\n        for name in 'abcdefghij':\n"
        "            self.add_module(name, nn.Conv2d(3, 3, 1))\n"
        "            self.add_module(name * 2, nn.BatchNorm2d(3))\n"
        "            self.add_module(name * 3, nn.ReLU())\n"
    )
    told = here("apply", "pooled.py:Net", "--input", "1x3x8x8", "--rules", "CL406")
    line = next(line for line in told.out.splitlines() if "made" in line)
    assert line.strip() == (
        "made CL406 bias-before-norm, 10 times: a, aa, b, bb, c, cc, d, dd and 12 more places "
        "(--format json names all)"
    )


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (lambda s: {k: v for k, v in s.items() if k != "mix.bias"}, "missing mix.bias"),
        (lambda s: {**s, "more": torch.zeros(1)}, "unexpected more"),
        (lambda s: {**s, "head.bias": torch.zeros(5)}, "head.bias is (5,), should be (4,)"),
        (lambda s: [1, 2], "holds no state_dict"),
        (lambda s: nn.Linear(2, 2), "cannot be read as weights"),
    ],
)
def test_weights_that_do_not_fit(here: Run, project: Path, state, said: str) -> None:
    """Keys and shapes are listed, nothing but tensors is unpickled, and nothing is written."""
    torch.save(state(_net(project).state_dict()), project / "bad.pt")
    told = here("apply", "pooled.py:Net", *SIZE, "--weights", "bad.pt", "--save", "new.pt")
    assert told.code == 2
    assert said in told.err
    assert not (project / "new.pt").exists()


def test_a_file_that_exists_is_kept(here: Run, project: Path) -> None:
    """Without --force nothing is written over; with it, it is."""
    (project / "new.pt").write_text("mine")
    told = here("apply", "pooled.py:Net", *SIZE, "--save", "new.pt")
    assert told.code == 2
    assert "new.pt exists; take another name, or --force" in told.err
    assert (project / "new.pt").read_text() == "mine"
    assert here("apply", "pooled.py:Net", *SIZE, "--save", "new.pt", "--force").code == 0
    assert (project / "new.pt").stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("apply", "pooled.py"), "are there (pooled.py:Net, pooled.py:Noisy"),
        (("apply", "no.py:Net"), "no such file"),
        (("apply", "pooled.py:Net", "--rules", "CL999"), "unknown rule 'CL999'"),
        (("apply", "pooled.py:Net", "--save", "nowhere/new.pt"), "there is no folder nowhere"),
        (("apply", "pooled.py:Net", "--weights", "no.pt"), "no such file: no.pt"),
        (("measure", "pooled.py:Net", "--backend", "egaer"), "did you mean eager?"),
        (("measure", "a.py:A", "b.py:B", "c.py:C"), "name one model, or two"),
    ],
)
def test_what_cannot_be_done_is_one_line(here: Run, arguments, said: str) -> None:
    """Exit 2, one error, no traceback."""
    told = here(*arguments)
    assert told.code == 2
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_time_limit_ends_the_child(run: Run, pooled: str) -> None:
    """The limit and the flag that raises it are named."""
    told = run("apply", pooled, "--timeout", "0.01")
    assert told.code == 2
    assert "still running after 0.01 s" in told.err
    assert "--timeout" in told.err


def test_outputs_that_are_random_are_said(here: Run) -> None:
    """A model that draws numbers in eval mode is not compared."""
    told = here("apply", "pooled.py:Noisy", *SIZE)
    assert told.code == 0, told.err
    assert "depend on randomness" in told.out
    assert "largest difference" not in told.out


def test_dicts_lists_and_keywords_go_in_and_come_out(here: Run, project: Path) -> None:
    """A batch as a dict, a mask by keyword, nested outputs: rewritten, compared, saved."""
    told = here(
        "apply", "pooled.py:Nested", "--input", "batch[image]=2x3x16x16", "--input",
        "mask=2x1x8x8", "--rules", "CL401", "--save", "new.pt", "--save-source", "new.py",
        "--format", "json",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert json.loads(told.out)["largest_difference"] < 1e-12
    room: dict[str, object] = {"__name__": "new"}
    exec((project / "new.py").read_text(), room)
    made: nn.Module = room["Rewritten"]().eval()  # type: ignore[operator]
    made.load_state_dict(torch.load(project / "new.pt", weights_only=True))
    found = made(torch.randn(2, 3, 16, 16), torch.ones(2, 1, 8, 8))
    assert found["map"].shape == (2, 8, 8, 8)
    assert found["parts"][1][1] is None


def test_what_holds_at_one_size_says_so(here: Run) -> None:
    """Taps that read padding alone are cut off at a given size, and kept where it was guessed."""
    given = here("apply", "pooled.py:Squeezed", "--input", "1x3x16x16", "--rules", "CL102")
    assert "made CL102 dead-taps: last (the same at this input size only)" in given.out
    guessed = here("apply", "pooled.py:Squeezed", "--rules", "CL102")
    assert "no rewrite was made" in guessed.out


def test_measure_times_now_and_after(run: Run, pooled: str) -> None:
    """Each variant on the backend, with MACs beside the time and an interval around it."""
    told = run("measure", pooled, *SIZE, "--seconds", "0.2", "--format", "json")
    assert told.code == 0, told.err
    rows = json.loads(told.out)["timed"]
    assert [row["variant"] for row in rows] == ["now", "CL401 pool-after-pointwise"]
    now, after = rows
    assert after["macs"] < now["macs"]
    for row in rows:
        assert 0 < row["low"] <= row["seconds"] <= row["high"]
    assert now["ratio"] == 1


def test_measure_takes_a_batch_and_a_dtype(here: Run) -> None:
    """--batch changes every input of that size, and the MACs with it; bfloat16 runs."""
    flags = ("--seconds", "0.01", "--dtype", "bfloat16", "--format", "json")
    inputs = ("--input", "batch[image]=2x3x16x16", "--input", "mask=2x1x8x8")
    told = here("measure", "pooled.py:Nested", *inputs, "--batch", "3", *flags)
    assert told.code == 0, told.err
    reply = json.loads(told.out)
    assert [given["shape"][0] for given in reply["inputs"]] == [3, 3]
    assert reply["timed"][0]["macs"] == 3 * 256 * (27 * 16 + 16 * 8)
    assert reply["machine"].endswith("bfloat16")


def test_measure_two_models_and_a_backend_that_is_not_here(here: Run) -> None:
    """Two models side by side; what cannot run is skipped with a sentence."""
    told = here(
        "measure", "pooled.py:Net", "pooled.py:Noisy", *SIZE, "--seconds", "0.01", "--backend",
        "eager,cuda" if not torch.cuda.is_available() else "eager",
    )  # fmt: skip
    assert told.code == 0, told.err
    assert "Net" in told.out
    assert "Noisy" in told.out
    if not torch.cuda.is_available():
        assert "skipped cuda: there is no CUDA device here" in told.out


BIASED = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.point = nn.Conv2d(3, 8, 1, dilation=2)  # a helper's
        self.body = nn.ModuleList(nn.Conv2d(8, 8, 1, dilation=2) for _ in range(2))
        rate = 4
        self.last = nn.Conv2d(8, 4, 1, dilation=rate)

    def forward(self, x):
        x = torch.relu(self.point(x))
        for conv in self.body:
            x = torch.relu(conv(x))
        return self.last(x)
"""


def test_fix_shows_and_writes_what_is_safe(run: Run, project: Path) -> None:
    """One literal argument of one call is edited; the rest is told to be done by hand."""
    file = project / "biased.py"
    file.write_text(BIASED)
    shown = run("fix", "biased.py", "--input", "2x3x16x16", "--select", "CL104")
    assert shown.code == 1
    assert "-        self.point = nn.Conv2d(3, 8, 1, dilation=2)  # a helper's" in shown.out
    assert "+        self.point = nn.Conv2d(3, 8, 1, dilation=1)  # a helper's" in shown.out
    assert "the line builds 2 layers; by hand: set dilation=1" in shown.err
    assert "its argument dilation is no literal; by hand" in shown.err
    assert "old checkpoints load as before" in shown.err
    assert file.read_text() == BIASED
    written = run("fix", "biased.py", "--input", "2x3x16x16", "--select", "CL104", "--write")
    assert written.code == 1
    expected = BIASED.replace("3, 8, 1, dilation=2)", "3, 8, 1, dilation=1)")
    assert file.read_text() == expected
