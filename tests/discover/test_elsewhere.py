"""A class that its own file does not build is built as other files of the project do."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import discover, wire

NET = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, size, width):
        super().__init__()
        self.conv = nn.Conv2d(size, width, 3)

    def forward(self, x):
        return self.conv(x)


def net(width):
    return Net(3, width)
"""


def asked(tmp_path: Path, target: str = "nets/m.py", **files: str) -> tuple[str, ...]:
    """Write the files (their names with / as __) and return the expressions for the one model."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets/__init__.py").touch()
    (tmp_path / "nets/m.py").write_text(NET)
    for name, text in files.items():
        path = tmp_path / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found = discover.read(discover.locate([str(tmp_path / target)], discover.Filter()))
    (request,) = [item.what for item in found if isinstance(item.what, wire.Request)]
    return request.expressions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from nets.m import Net\nmodel = Net(3, 8)\n", ("Net(3, 8)",)),
        ("import nets.m as m\ndef main():\n    m.Net(size=1, width=2 * 4)\n", ("Net(size=1, width=2 * 4)",)),
        ("from nets import m\nW = 16\nif __name__ == '__main__':\n    n = 4\n    m.Net(n, W)\n", ("Net(4, 16)",)),
        ("from nets.m import *\ndef test_net():\n    Net(3, 4)\n    Net(3, 5)\n", ("Net(3, 4)", "Net(3, 5)")),
        ("from nets.m import net as make\nx = make(8)\n", ("net(8)",)),
        ("from nets.m import net\nx = net(8)\n", ("net(8)",)),
        (
            "import argparse\nfrom nets.m import Net\nparser = argparse.ArgumentParser()\n"
            "parser.add_argument('--hidden', type=int, default=8)\nargs = parser.parse_args()\n"
            "n = 3\nw = args.hidden * n\nmodel = Net(n, w)\n",
            ("Net(3, 8 * 3)",),
        ),
    ],
)  # fmt: skip
def test_literal_calls_of_the_project(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    """Main blocks, functions and tests of other files show how the class is built."""
    assert asked(tmp_path, demo=text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "from nets.m import Net\nimport sys\nNet(3, len(sys.argv))\n",
        "from nets.m import Net\ndef make(width):\n    return Net(3, width)\n",
        "from nets.m import Net\nw = None\ndef main():\n    Net(3, w)\n",
        "from other import Net\nNet(3, 8)\n",
        "class Net: pass\nNet(3, 8)\n",
        "from nets.m import Net\nNet(3, 8\n",
    ],
)
def test_what_is_no_literal_call_of_it_shows_nothing(tmp_path: Path, text: str) -> None:
    """What only a run knows, another class of the name, a file that Python cannot read."""
    assert asked(tmp_path, demo=text) == ()


def test_the_own_file_comes_first_and_the_own_folder_next(tmp_path: Path) -> None:
    """Other files are asked only where the own one is silent; a class that is named, too."""
    near = "from nets.m import Net\nNet(3, 1)\n"
    far = "from nets.m import Net\nNet(3, 2)\n"
    found = asked(
        tmp_path,
        "nets/m.py:Net",
        a=far,
        nets__z=near,
        venv__b="from nets.m import Net\nNet(3, 9)\n",
    )
    assert found == ("Net(3, 1)", "Net(3, 2)")
    (tmp_path / "nets/m.py").write_text(f"{NET}\nif __name__ == '__main__':\n    Net(3, 7)\n")
    whole = discover.read(discover.locate([str(tmp_path / "nets/m.py")], discover.Filter()))
    assert [item.what.expressions for item in whole] == [("Net(3, 7)",)]  # type: ignore[union-attr]
