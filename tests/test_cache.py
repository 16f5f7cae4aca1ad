"""The cache: what was read is not read again, until something that it was made of changes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from convlint import wire
from convlint.cache import stamps, store
from convlint.cache.replies import KIND, Replies
from convlint.sandbox import Sandbox

CONVLINT = str(Path(sys.executable).with_name("convlint"))
NET = """\
import os
from pathlib import Path

import installed
from torch import nn

from parts import block

try:
    import extra
except ImportError:
    extra = None

WIDTH = int((Path(__file__).parent / "width.yaml").read_text().partition(":")[2])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = block.make(3, WIDTH * int(os.environ.get("NET_FACTOR", "1")))
        self.parts = len(list(Path(__file__).parent.joinpath("blocks").iterdir()))

    def forward(self, x):
        return self.body(x)
"""
BLOCK = """\
from torch import nn


def make(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3), nn.ReLU())
"""
PLAIN = """\
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 7)
        self.last = nn.Conv2d(16, 16, 7)

    def forward(self, x):
        return self.last(self.conv(x))
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that imports, reads a YAML, lists a folder and asks for a variable."""
    folder = tmp_path_factory.mktemp("project")
    write(
        folder,
        {
            "pyproject.toml": "",
            "net.py": NET,
            "parts/__init__.py": "",
            "parts/block.py": BLOCK,
            "width.yaml": "width: 8\n",
            "blocks/one.txt": "",
            "unread.txt": "",
            "env/site-packages/installed/__init__.py": "VALUE = 1\n",
            "env/site-packages/installed-1.0.dist-info/METADATA": "Name: installed\nVersion: 1.0\n",
        },
    )
    return folder


@pytest.fixture(scope="module")
def request_(project: Path) -> wire.Request:
    return wire.Request(
        target="net.py:Net",
        root=str(project),
        file=str(project / "net.py"),
        expressions=("Net()",),
        search_path=(str(project), str(project / "env" / "site-packages")),
    )


@pytest.fixture(scope="module")
def reply(request_: wire.Request) -> wire.Reply:
    """What a real child says of it."""
    with Sandbox() as box:
        (found,) = box.run([request_])
    assert found.status == "complete", found.failure
    return found


@pytest.fixture
def kept(project: Path, request_: wire.Request, reply: wire.Reply, tmp_path: Path) -> Path:
    """A cache that holds the reply."""
    folder = tmp_path / store.NAME
    replies = Replies(str(folder))
    replies.keep(request_, reply)
    assert replies.trouble == "" and replies.made_of
    assert Replies(str(folder)).find(request_) is not None
    return folder


def found(folder: Path, request: wire.Request) -> bool:
    return Replies(str(folder)).find(request) is not None


# --- what the child tells --------------------------------------------------------------


def test_the_child_tells_what_the_model_was_made_of(project: Path, reply: wire.Reply) -> None:
    """The file, what it imports and reads, the folder it lists, the variable it asks for."""
    touched = reply.touched
    assert touched is not None and touched.uncertain == ""
    names = ("net.py", "parts/__init__.py", "parts/block.py", "width.yaml")
    site = project / "env" / "site-packages"
    assert {*(str(project / name) for name in names), str(site / "installed/__init__.py")} <= set(
        touched.files
    )
    assert str(project / "unread.txt") not in touched.files
    assert any(path.endswith("torch/version.py") for path in touched.files)
    assert len([path for path in touched.files if "/torch/" in path]) == 1
    assert touched.listed == (str(project / "blocks"),)
    assert str(project) in touched.searched
    assert str(site) in touched.sites
    assert touched.environment["NET_FACTOR"] is None


def test_the_same_request_gets_the_same_reply(
    kept: Path, request_: wire.Request, reply: wire.Reply
) -> None:
    """All but the time it took."""
    again = Replies(str(kept)).find(request_)
    assert again == msgspec.structs.replace(reply, seconds=0.0)


# --- what makes a miss ----------------------------------------------------------------


def grow(path: Path) -> None:
    path.write_text(path.read_text() + "\n# more\n")


def same_size_and_time(path: Path) -> None:
    """Change the content alone: as long as before, at the time of before."""
    before = path.stat()
    path.write_text(path.read_text().replace("3", "5", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], object]] = {
    "the file": lambda p: grow(p / "net.py"),
    "an imported file": lambda p: grow(p / "parts/block.py"),
    "an imported file, size and time alike": lambda p: same_size_and_time(p / "parts/block.py"),
    "an imported file is gone": lambda p: (p / "parts/__init__.py").unlink(),
    "a file the constructor read": lambda p: (p / "width.yaml").write_text("width: 16\n"),
    "a folder the constructor listed": lambda p: (p / "blocks/two.txt").write_text(""),
    "a module that was not there": lambda p: (p / "extra.py").write_text(""),
    "an installed file": lambda p: grow(p / "env/site-packages/installed/__init__.py"),
    "an installed version": lambda p: (
        p / "env/site-packages/installed-1.0.dist-info/METADATA"
    ).write_text("Name: installed\nVersion: 1.1\n"),
    "a package installed anew": lambda p: (p / "env/site-packages/installed-1.0.dist-info").rename(
        p / "env/site-packages/installed-2.0.dist-info"
    ),
}


@pytest.fixture
def restored(project: Path, tmp_path: Path) -> Iterator[None]:
    """Put the project back afterwards, times included."""
    shutil.copytree(project, tmp_path / "copy", copy_function=shutil.copy2)
    yield
    shutil.rmtree(project)
    shutil.copytree(tmp_path / "copy", project, copy_function=shutil.copy2)


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.usefixtures("restored")
def test_a_change_is_a_miss(project: Path, kept: Path, request_: wire.Request, what: str) -> None:
    """Whatever the model was made of."""
    CHANGES[what](project)
    assert not found(kept, request_)


@pytest.mark.usefixtures("restored")
def test_what_played_no_part_is_no_miss(project: Path, kept: Path, request_: wire.Request) -> None:
    """Other files, the same content written again, times alone, a new text file."""
    grow(project / "unread.txt")
    (project / "net.py").write_text(NET)
    os.utime(project / "parts/block.py", (1, 1))
    (project / "notes.md").write_text("")
    (project / "env/site-packages/installed-1.0.dist-info/METADATA").touch()
    assert found(kept, request_)


def test_another_variable_expression_or_input_is_a_miss(
    kept: Path, request_: wire.Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is the key, and so are the values of variables that were read."""
    changed = msgspec.structs.replace
    assert not found(kept, changed(request_, expressions=("Net",)))
    assert not found(kept, changed(request_, inputs=((wire.InputSpec((1, 3, 64, 64)),),)))
    monkeypatch.setenv("NET_OTHER", "2")
    assert found(kept, request_)
    monkeypatch.setenv("NET_FACTOR", "2")
    assert not found(kept, request_)


def test_another_interpreter_folder_or_version_is_a_miss(
    kept: Path, request_: wire.Request, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So is another convlint."""
    assert Replies(str(kept), str(tmp_path / "python")).find(request_) is None
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        assert not found(kept, request_)
    monkeypatch.setattr("convlint.__version__", "99.0")
    assert not found(kept, request_)


# --- what is not kept -----------------------------------------------------------------


@pytest.mark.usefixtures("restored")
def test_a_file_that_changed_meanwhile_is_not_kept(
    project: Path, request_: wire.Request, reply: wire.Reply, tmp_path: Path
) -> None:
    """Nobody knows which content the child saw."""
    replies = Replies(str(tmp_path))
    time.sleep(0.02)
    grow(project / "parts/block.py")
    replies.keep(request_, reply)
    assert replies.made_of is None
    assert replies.find(request_) is None


@pytest.mark.parametrize("kind", ["timeout", "crashed", "memory", "exited", "internal-error"])
def test_an_accident_is_not_kept(
    request_: wire.Request, reply: wire.Reply, tmp_path: Path, kind: str
) -> None:
    """It may go better next time."""
    failed = msgspec.structs.replace(reply, status="failed", failure=wire.Failure(kind, "it"))
    replies = Replies(str(tmp_path))
    replies.keep(request_, failed)
    assert replies.find(request_) is None


def test_a_full_disk_is_told_and_nothing_is_left(
    request_: wire.Request, reply: wire.Reply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on; no half entry stays."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    replies = Replies(str(tmp_path))
    replies.keep(request_, reply)
    assert replies.trouble == "No space left on device"
    assert list((tmp_path / KIND).iterdir()) == []


# --- broken entries -------------------------------------------------------------------

BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "a byte changed": lambda data: data[:-20] + b"#" + data[-19:],
    "of another program": lambda data: b"\x80\x04K\x01.",
    "of another version": lambda data: data.replace(b"cache 1", b"cache 0", 1),
    "whole, and no entry": lambda data: sealed(b"[1, 2]"),
    "whole, and no reply": lambda data: sealed(
        json.dumps({"made_of": [], "environment": {}, "reply": {"target": 3}}).encode()
    ),
    "whole, and no stamps": lambda data: sealed(
        json.dumps({**json.loads(data.partition(b"\n")[2]), "made_of": [["file"], 3]}).encode()
    ),
}


def sealed(body: bytes) -> bytes:
    return b"convlint cache 1 " + stamps.digest(body).encode() + b"\n" + body


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_entry_is_a_miss_and_is_replaced(
    kept: Path, request_: wire.Request, reply: wire.Reply, how: str
) -> None:
    """In whatever way it broke."""
    (entry,) = (kept / KIND).iterdir()
    entry.write_bytes(BREAKS[how](entry.read_bytes()))
    replies = Replies(str(kept))
    assert replies.find(request_) is None
    replies.keep(request_, reply)
    assert found(kept, request_)


def test_old_entries_go(kept: Path, request_: wire.Request) -> None:
    """What nobody asked for in a month; a use keeps an entry young."""
    (entry,) = (kept / KIND).iterdir()
    week, year = (time.time() - days * 86400 for days in (7, 365))
    os.utime(entry, (week, week))
    assert found(kept, request_)
    assert entry.stat().st_mtime > week + 86400
    store.prune(str(kept))
    assert found(kept, request_)
    os.utime(entry, (year, year))
    store.prune(str(kept))
    assert not entry.exists()


# --- the command ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A git repository with one model."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    write(tmp_path, {"plain.py": PLAIN, "pyproject.toml": ""})
    return tmp_path


def convlint(folder: Path, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, CONVLINT, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def modules_of(folder: Path, *words: str) -> set[str]:
    """Return what the command itself imports."""
    command = [sys.executable, "-X", "importtime", CONVLINT, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_a_command_over_nothing_new_prints_the_same_and_loads_nothing(folder: Path) -> None:
    """Same streams, same exit code, the report written again; no child, no torch."""
    words = ("plain.py", "--report", "json=out.json", "--fail-level", "info")
    first = convlint(folder, *words)
    assert first.returncode == 1 and "CL101" in first.stdout, first.stderr
    report = (folder / "out.json").read_bytes()
    (folder / "out.json").unlink()
    second = convlint(folder, *words)
    assert (second.returncode, second.stdout, second.stderr) == (
        first.returncode,
        first.stdout,
        first.stderr,
    )
    assert (folder / "out.json").read_bytes() == report
    loaded = modules_of(folder, *words)
    assert "convlint.cache.runs" in loaded
    assert not {"torch", "networkx", "jinja2", "subprocess", "click"} & loaded
    untracked = ["git", "-C", folder, "status", "--porcelain"]
    seen = subprocess.run(untracked, capture_output=True, text=True, check=True).stdout
    assert store.NAME not in seen and "plain.py" in seen
    assert (folder / store.NAME / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d")


def test_what_a_command_depends_on_is_seen(folder: Path) -> None:
    """The file, the configuration, a new configuration, other words, a comment."""
    assert "CL101" in convlint(folder, "plain.py").stdout
    (folder / "pyproject.toml").write_text("[tool.convlint]\nignore = ['CL101']\n")
    assert "CL101" not in convlint(folder, "plain.py").stdout
    assert "CL101" in convlint(folder, "plain.py", "--select", "CL101").stdout
    (folder / "pyproject.toml").write_text("")
    (folder / "plain.py").write_text(PLAIN.replace("16, 16, 7", "16, 16, 3"))
    assert "CL101" not in convlint(folder, "plain.py").stdout


def test_a_folder_sees_a_new_file(folder: Path) -> None:
    """Also one without a model before."""
    (folder / "other.py").write_text("x = 1\n")
    assert "1 model," in convlint(folder, ".").stdout
    assert "1 model," in convlint(folder, ".").stdout
    (folder / "other.py").write_text(PLAIN)
    assert "2 models," in convlint(folder, ".").stdout
    (folder / "third.py").write_text(PLAIN)
    assert "3 models," in convlint(folder, ".").stdout


def test_rules_run_on_what_was_read_before(folder: Path) -> None:
    """With other rules the model is not read again: the child that would is never ready."""
    convlint(folder, "plain.py")
    done = convlint(folder, "plain.py", "-v", "--select", "CL101")
    assert "plain.py:Plain: complete as Plain()" in done.stderr
    assert "from the cache" in done.stderr


def test_no_cache_keeps_nothing_and_a_folder_can_be_named(folder: Path) -> None:
    """``--no-cache`` writes nowhere, ``--cache-dir`` writes there."""
    first = convlint(folder, "plain.py", "--no-cache")
    assert not (folder / store.NAME).exists()
    for _ in range(2):
        named = convlint(folder, "plain.py", "--cache-dir", "kept")
        assert named.stdout == first.stdout
    assert not (folder / store.NAME).exists()
    assert (folder / "kept" / "runs").is_dir()


def test_a_cache_that_cannot_be_written_is_a_warning(folder: Path) -> None:
    """The report and the exit code are what they are without."""
    (folder / "kept").write_text("")
    blocked = convlint(folder, "plain.py", "--cache-dir", "kept/inside")
    assert blocked.returncode == convlint(folder, "plain.py", "--no-cache").returncode
    assert blocked.stderr.count("warning: the cache cannot be written:") == 1
    assert "--no-cache" in blocked.stderr


def test_two_at_once_are_fine(folder: Path) -> None:
    """Both print the report, and leave whole entries."""
    commands = [
        subprocess.Popen(
            [sys.executable, CONVLINT, "plain.py"], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    printed = {command.communicate()[0] for command in commands}
    assert len(printed) == 1 and "CL101" in printed.pop()
    for entry in (folder / store.NAME).glob("*/*"):
        assert store.read(str(folder / store.NAME), entry.parent.name, entry.name) is not None
