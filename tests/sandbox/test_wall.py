"""The wall: user code can do what it likes in the child, the parent only gets data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from convlint.sandbox import Limits, Sandbox
from convlint.wire import Reply, Request

MODEL = """\
import os, sys, time
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        {statement}
        return self.conv(x)
"""
LINE = 12


def write(folder: Path, name: str, statement: str) -> Request:
    file = folder / f"{name}.py"
    file.write_text(MODEL.format(statement=statement))
    return Request(
        target=f"{name}.py:Net", root=str(folder), file=str(file), expressions=("Net()",)
    )


def read_all(requests: list[Request], limits: Limits, *, spawn: bool = False) -> list[Reply]:
    with Sandbox(limits=limits, spawn=spawn) as box:
        return list(box.run(requests))


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reply]:
    """One run over a good model between nine that misbehave, each in its own way."""
    folder = tmp_path_factory.mktemp("models")
    bad = {
        "good": "pass",
        "raises": "raise ValueError('no luck')",
        "exits": "sys.exit(3)",
        "os_exits": "os._exit(0)",
        "aborts": "os.abort()",
        "loops": "\n        while True: pass",
        "segfaults": "__import__('ctypes').string_at(0)",
        "allocates": "bytearray(64 << 30)",
        "recurses": "return self(x)",
        "prints": "print('from python'); os.system('echo from C')",
        "changes": "os.environ['X'] = '1'; os.chdir('/'); torch.set_default_dtype(torch.float64)",
        "last": "assert 'X' not in os.environ and torch.get_default_dtype() == torch.float32",
    }
    requests = [write(folder, name, statement) for name, statement in bad.items()]
    found = read_all(requests, Limits(timeout=4.0, jobs=2))
    assert [reply.target for reply in found] == [request.target for request in requests]
    return {reply.target.partition(".")[0]: reply for reply in found}


def test_a_good_model_is_read_whatever_its_neighbours_do(replies: dict[str, Reply]) -> None:
    """The first and the last model are complete, and global state does not leak to the last."""
    assert replies["good"].status == "complete"
    assert replies["last"].status == "complete", replies["last"].failure


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("raises", "forward-error", "ValueError: no luck"),
        ("exits", "exited", "sys.exit(3)"),
        ("os_exits", "exited", "status 0"),
        ("aborts", "crashed", "SIGABRT"),
        ("loops", "timeout", "still running after 4 s"),
        ("segfaults", "crashed", "SIGSEGV"),
        ("allocates", "memory", "MemoryError"),
        ("recurses", "forward-error", "RecursionError"),
    ],
)
def test_every_way_to_fail_is_one_failure_that_says_how(
    replies: dict[str, Reply], name: str, kind: str, words: str
) -> None:
    """The failure has its kind, the value seen, and the file it came from."""
    reply = replies[name]
    assert reply.status == "failed" and reply.failure is not None
    assert reply.failure.kind == kind
    assert words in reply.failure.message
    assert reply.failure.location is not None
    assert reply.failure.location.path == f"{name}.py"


@pytest.mark.parametrize("name", ["raises", "exits", "aborts", "segfaults", "allocates"])
def test_a_failure_names_the_line_that_was_running(replies: dict[str, Reply], name: str) -> None:
    """Exceptions and signals alike point at the line of forward."""
    failure = replies[name].failure
    assert failure is not None and failure.location is not None
    assert failure.location.line == LINE


def test_prints_of_python_and_of_c_are_captured(replies: dict[str, Reply]) -> None:
    """What user code prints is in the reply, not on the parent's streams."""
    reply = replies["prints"]
    assert reply.status == "complete"
    assert reply.output == "from python\nfrom C\n"


def test_spawn_gives_the_same_reply_as_fork(tmp_path: Path) -> None:
    """Where there is no fork, a fresh interpreter reads the same graph."""
    request = write(tmp_path, "net", "pass")
    forked, spawned = (read_all([request], Limits(), spawn=spawn)[0] for spawn in (False, True))
    assert forked.status == spawned.status == "complete"
    assert forked.graph is not None and spawned.graph is not None
    shapes = [[node.outputs for node in graph.nodes] for graph in (forked.graph, spawned.graph)]
    assert shapes[0] == shapes[1]


def test_an_interpreter_without_torch_is_named(tmp_path: Path) -> None:
    """A child that has no torch answers with the interpreter and what to do."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v"], check=True)
    python = str(tmp_path / "v" / "bin" / "python")
    request = write(tmp_path, "net", "pass")
    with Sandbox(python) as box:
        (reply,) = box.run([request])
    assert reply.failure is not None and reply.failure.kind == "no-torch"
    assert python in reply.failure.message
    assert "--python" in reply.failure.fix


def test_the_parent_never_imports_torch(tmp_path: Path) -> None:
    """A whole read leaves torch out of the parent's modules."""
    request = write(tmp_path, "net", "pass")
    code = (
        "import sys; from convlint.sandbox import Sandbox; from convlint import wire;"
        f"request = wire.decode_request({request_bytes(request)!r})\n"
        "with Sandbox() as box: (reply,) = box.run([request])\n"
        "assert reply.status == 'complete', reply.failure\n"
        "assert not {'torch', 'networkx', 'jinja2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def request_bytes(request: Request) -> bytes:
    from convlint import wire

    return wire.encode(request)


def test_one_child_serves_one_run_after_another(tmp_path: Path) -> None:
    """What changed on disk in between is seen: every request is a process of its own."""
    request = write(tmp_path, "net", "pass")
    with Sandbox() as box:
        (first,) = box.run([request])
        file = tmp_path / "net.py"
        file.write_text(file.read_text().replace("nn.Conv2d(3, 8, 3)", "nn.Conv2d(3, 16, 3)"))
        (second,) = box.run([request])
    shapes = [reply.graph.nodes[1].outputs[0].shape[1] for reply in (first, second) if reply.graph]
    assert shapes == [8, 16]
