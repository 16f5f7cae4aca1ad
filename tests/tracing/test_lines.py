"""Where it points: the line that builds a layer, the line that calls it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from convlint.ir import nodes as ir
from convlint.sandbox import Sandbox
from convlint.tracing.read import read
from convlint.wire import Reply, Request

HEADER = "import copy\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"

SOURCES = {
    "direct": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)  # built: a
        self.b = nn.Conv2d(
            8,
            8,
            3,
        )  # built: b -4

    def forward(self, x):
        return self.b(self.a(x))
""",
    "sequential": """
def Net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),  # built: 0
        nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3)),  # built: 1.1
    )
""",
    "helper": """
def conv(i, o):
    return nn.Conv2d(i, o, 3)  # built: a, b.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(3, 8)
        self.b = nn.Sequential(conv(8, 8), nn.ReLU())

    def forward(self, x):
        return self.b(self.a(x))
""",
    "loop": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 8, 3)]  # built: layers.0
        for _ in range(2):
            layers.append(nn.Conv2d(8, 8, 3))  # built: layers.1, layers.2
        self.layers = nn.ModuleList(layers)
        self.more = nn.Sequential(*[nn.Conv2d(8, 8, 3) for _ in range(2)])  # built: more.0, more.1

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.more(x)
""",
    "subclass": """
class Same(nn.Conv2d):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def forward(self, x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride)


class Deeper(Same):
    def __init__(self, width):
        super().__init__(width, width, 3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Same(3, 8, 3)  # built: a
        self.b = Deeper(8)  # built: b

    def forward(self, x):
        return self.b(self.a(x))
""",
    "copies": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        block = nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU())  # built: blocks.0.0, blocks.1.0
        self.stem = nn.Conv2d(3, 8, 3)  # built: stem
        self.blocks = nn.ModuleList([copy.deepcopy(block) for _ in range(2)])

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x
""",
    "functional": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.child = nn.Conv2d(8, 8, 3)  # built: child

    def forward(self, x):
        x = F.conv2d(x, self.weight)  # built: weight
        return self.child.forward(x)
""",
    "made in forward": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)  # built: a

    def forward(self, x):
        return nn.Conv2d(8, 8, 3)(self.a(x))  # built: _module0
""",
}


def read_source(folder: Path, source: str) -> Reply:
    file = folder / "net.py"
    file.write_text(HEADER + source)
    request = Request("net.py:Net", str(folder), file=str(file), expressions=("Net()",))
    return read(request)


def marked(source: str) -> dict[str, int]:
    """Return module -> line from the marks ``# built: a, b`` (``-3`` is lines above)."""
    found = {}
    for number, line in enumerate((HEADER + source).splitlines(), 1):
        match = re.search(r"# built: ?([\w., ]*)(-\d+)?$", line)
        if match:
            for name in match[1].split(","):
                found[name.strip()] = number + int(match[2] or 0)
    return found


@pytest.mark.parametrize("name", SOURCES)
def test_every_conv_points_at_the_line_that_builds_it(tmp_path: Path, name: str) -> None:
    """The location of each conv is the marked line, in whatever way it is written."""
    reply = read_source(tmp_path, SOURCES[name])
    assert reply.graph is not None, reply.failure
    convs = [node for node in reply.graph.nodes if isinstance(node.op, ir.Conv)]
    told = {node.module: node.location.line for node in convs if node.location}
    assert told == marked(SOURCES[name])
    assert {node.location.path for node in convs if node.location} == {"net.py"}


def test_the_call_line_and_the_helpers_caller_are_kept(tmp_path: Path) -> None:
    """Beside the constructor line a node knows its forward line and who called the helper."""
    reply = read_source(tmp_path, SOURCES["helper"])
    assert reply.graph is not None
    first = next(node for node in reply.graph.nodes if node.module == "a")
    lines = (HEADER + SOURCES["helper"]).splitlines()
    assert first.called_at is not None and first.built_through
    assert lines[first.called_at.line - 1].strip() == "return self.b(self.a(x))"
    assert lines[first.built_through[0].line - 1].strip() == "self.a = conv(3, 8)"


def test_columns_count_characters(tmp_path: Path) -> None:
    """A line with wide characters before the call keeps its column."""
    source = SOURCES["direct"].replace(
        "self.a = nn.Conv2d(3, 8, 3)", 'é = "日本"; self.a = nn.Conv2d(3, 8, 3)'
    )
    reply = read_source(tmp_path, source)
    assert reply.graph is not None
    span = next(node for node in reply.graph.nodes if node.module == "a").built_at
    assert span is not None
    line = (HEADER + source).splitlines()[span.line - 1]
    assert line[span.column - 1 : span.end_column - 1] == "nn.Conv2d(3, 8, 3)"


def test_a_package_inside_the_project_is_told_from_its_own_folder(tmp_path: Path) -> None:
    """With a virtual environment in the project, reports say the same as with one outside."""
    folder = tmp_path / ".venv" / "lib" / "site-packages"
    (folder / "zoo").mkdir(parents=True)
    (folder / "zoo" / "__init__.py").write_text(HEADER + SOURCES["direct"])
    request = Request(
        "zoo:Net", str(tmp_path), module="zoo", expressions=("Net()",), search_path=(str(folder),)
    )
    with Sandbox() as box:
        (reply,) = box.run([request])
    assert reply.graph is not None, reply.failure
    spans = {node.built_at.path for node in reply.graph.nodes if node.built_at}
    assert spans == {"zoo/__init__.py"}
