"""How projects lie on disk: what a file imports and reads is found where Python would."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import discover
from convlint.sandbox import Limits, Sandbox
from convlint.wire import Reply, Request

BLOCK = "from torch import nn\n\n\ndef block(i, o):\n    return nn.Conv2d(i, o, 3, padding=1)\n"
NET = """\
import torch
from torch import nn
{imports}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {body}

    def forward(self, x):
        return self.conv(x)
"""
PROJECT = '[project]\nname = "p"\nversion = "0"\n'


def net(imports: str, body: str = "self.conv = block(3, 8)") -> str:
    return NET.format(imports=imports, body=body)


LAYOUTS: dict[str, tuple[dict[str, str], str]] = {
    "relative import": (
        {
            "nets/__init__.py": "",
            "nets/blocks.py": BLOCK,
            "nets/m.py": net("from .blocks import block"),
        },
        "nets/m.py",
    ),
    "two packages up": (
        {
            "nets/__init__.py": "",
            "nets/blocks.py": BLOCK,
            "nets/seg/__init__.py": "",
            "nets/seg/m.py": net("from ..blocks import block"),
        },
        "nets/seg/m.py",
    ),
    "src layout": (
        {
            "src/p/__init__.py": "",
            "src/p/blocks.py": BLOCK,
            "src/p/m.py": net("from p.blocks import block"),
        },
        "src/p/m.py",
    ),
    "namespace package": (
        {"nets/blocks.py": BLOCK, "nets/m.py": net("from nets.blocks import block")},
        "nets/m.py",
    ),
    "relative imports without a package": (
        {
            "lib/nets/m.py": net("from .blocks import block\nfrom ..base import WIDTH"),
            "lib/nets/blocks.py": BLOCK,
            "lib/base.py": "WIDTH = 8\n",
        },
        "lib/nets/m.py",
    ),
    "root on the path": (
        {"common/blocks.py": BLOCK, "train/m.py": net("from common.blocks import block")},
        "train/m.py",
    ),
    "beside the file": (
        {"deep/blocks.py": BLOCK, "deep/m.py": net("from blocks import block")},
        "deep/m.py",
    ),
    "hyphens in the name": (
        {"blocks.py": BLOCK, "my-net v2.py": net("from blocks import block")},
        "my-net v2.py",
    ),
    "name of a standard module": (
        {"blocks.py": BLOCK, "types.py": net("from blocks import block")},
        "types.py",
    ),
    "exported notebook": (
        {
            "book.py": "# coding: utf-8\n# In[1]:\n\n"
            + net("", "self.conv = nn.Conv2d(3, 8, 3)")
            + "\n\n# In[2]:\nprint(Net())\n"
        },
        "book.py",
    ),
    "config beside the file": (
        {
            "nets/net.json": '{"width": 8}',
            "nets/m.py": net(
                "import json\nfrom pathlib import Path",
                "width = json.loads((Path(__file__).parent / 'net.json').read_text())['width']\n"
                "        self.conv = nn.Conv2d(3, width, 3)",
            ),
        },
        "nets/m.py",
    ),
    "weights read in the constructor": (
        {
            "m.py": net(
                "",
                "self.conv = nn.Conv2d(3, 8, 3)\n"
                "        url = 'https://example.org/w.pth'\n"
                "        self.conv.load_state_dict(torch.hub.load_state_dict_from_url(url))",
            )
        },
        "m.py",
    ),
    "weights inside a checkpoint": (
        {
            "m.py": net(
                "",
                "self.conv = nn.Conv2d(3, 8, 3)\n"
                "        saved = torch.hub.load_state_dict_from_url('https://example.org/w.pth')\n"
                "        self.load_state_dict(saved['model'])\n"
                "        self.load_state_dict(saved['state_dict_ema'], strict=True)",
            )
        },
        "m.py",
    ),
    "weights file that is not there": (
        {
            "m.py": net(
                "",
                "self.conv = nn.Conv2d(3, 8, 3)\n"
                "        self.load_state_dict(torch.load('weights/best.pth', map_location='cpu'))",
            )
        },
        "m.py",
    ),
    "weights kept by Git LFS": (
        {
            "best.pth": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "m.py": net(
                "from pathlib import Path",
                "self.conv = nn.Conv2d(3, 8, 3)\n"
                "        self.load_state_dict(torch.load(Path(__file__).with_name('best.pth')))",
            ),
        },
        "m.py",
    ),
    "weights copied in order": (
        {
            "m.py": net(
                "from collections import OrderedDict\nfrom torch.utils import model_zoo",
                "self.conv = nn.Conv2d(3, 8, 3)\n"
                "        saved = model_zoo.load_url('https://example.org/w.pth')\n"
                "        pairs = zip(self.state_dict(), saved.values())\n"
                "        renamed = OrderedDict((own, value) for own, value in pairs)\n"
                "        renamed['more'] = torch.ones(1)\n"
                "        self.load_state_dict(renamed)",
            )
        },
        "m.py",
    ),
    "main block": (
        {
            "m.py": net("import sys", "self.conv = nn.Conv2d(3, 8, 3)")
            + "\n\nif __name__ == '__main__':\n    sys.exit('not here')\n"
        },
        "m.py",
    ),
}


def read_layout(folder: Path, files: dict[str, str], target: str) -> list[Reply]:
    for name, text in {"pyproject.toml": PROJECT, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    targets = discover.locate([str(folder / target)], discover.Filter(()))
    found = discover.read(targets, (), ())
    requests = [one.what for one in found if isinstance(one.what, Request)]
    with Sandbox(limits=Limits()) as box:
        return [reply for reply in box.run(requests) if reply.status != "skipped"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_model_of_this_layout_is_read(name: str, tmp_path: Path) -> None:
    """One model, read whole, with nothing told but the file."""
    files, target = LAYOUTS[name]
    replies = read_layout(tmp_path, files, target)
    assert [(reply.status, reply.failure) for reply in replies] == [("complete", None)]
    assert replies[0].class_name == "Net"


def test_weights_that_were_skipped_are_told(tmp_path: Path) -> None:
    """A CL910 names them; a constructor that needs their content says how to do without."""
    files, target = LAYOUTS["weights file that is not there"]
    told = read_layout(tmp_path, files, target)[0].diagnostics
    assert [(one.code, one.severity) for one in told] == [("CL910", "info")]
    assert told[0].message.startswith("best.pth not read")
    body = (
        "shape = torch.load('best.pth')['conv.weight'].shape\n"
        "        self.conv = nn.Conv2d(shape[1], shape[0], 3)"
    )
    reply = read_layout(tmp_path, {"m.py": net("", body)}, "m.py")[0]
    assert reply.failure is not None and "IndexError" in reply.failure.message
    assert reply.failure.fix.endswith("as in --model 'Net(pretrained=False)'")
    assert [one.code for one in reply.diagnostics] == ["CL910"]


def test_weights_that_do_not_fit_are_an_error_with_the_first_of_them(tmp_path: Path) -> None:
    """Where no download was skipped, a state dict has to fit."""
    body = (
        "self.conv = nn.Conv2d(3, 8, 3)\n"
        "        self.load_state_dict({'conv.weight': torch.zeros(8, 3, 3, 3)})"
    )
    failure = read_layout(tmp_path, {"m.py": net("", body)}, "m.py")[0].failure
    assert failure is not None
    assert 'state_dict for Net: Missing key(s) in state_dict: "conv.bias"' in failure.message


FACTORY = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, depth, *, width):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x)


def net(**kwargs):
    return Net(**kwargs)
"""


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        (FACTORY, "needs-arguments", "Net needs the argument depth"),
        (
            "from torch import nn\n\n\nclass Net(nn.DataParallel):\n    pass\n",
            "needs-arguments",
            "Net needs the argument module",
        ),
        (
            net("", "self.conv = Part()") + "\n\nclass Part(nn.Module):\n"
            "    def __init__(self, width):\n        super().__init__()\n",
            "build-error",
            "building Net() failed: TypeError: Part.__init__() missing",
        ),
    ],
)
def test_arguments_that_a_factory_does_not_give(
    tmp_path: Path, text: str, kind: str, said: str
) -> None:
    """Those of the model are to be given by the user; those of a part are a bug."""
    (reply,) = read_layout(tmp_path, {"m.py": text}, "m.py")
    assert reply.failure is not None and reply.failure.kind == kind
    assert said in reply.failure.message


def test_script_methods_run_as_python_and_count_once(tmp_path: Path) -> None:
    """A ScriptModule of decorated methods is read like any module, its arithmetic once."""
    text = (
        "import torch\nfrom torch import nn\n\n\nclass Net(torch.jit.ScriptModule):\n"
        "    def __init__(self):\n        super().__init__()\n        self.conv = nn.Conv2d(3, 3, 1)\n\n"
        "    @torch.jit.script_method\n    def forward(self, x):\n"
        "        return self.conv(x) * 0.5 + x\n"
    )
    (reply,) = read_layout(tmp_path, {"m.py": text}, "m.py")
    assert reply.graph is not None
    kinds = [type(node.op).__name__ for node in reply.graph.nodes]
    assert kinds == ["Input", "Conv", "Mul", "Add", "Output"]


def test_a_socket_is_refused_with_advice(tmp_path: Path) -> None:
    """A constructor that downloads by itself fails at once and says what to pass."""
    body = (
        "import urllib.request\n"
        "        urllib.request.urlopen('http://192.0.2.1/w.pth', timeout=60)\n"
        "        self.conv = nn.Conv2d(3, 8, 3)"
    )
    replies = read_layout(tmp_path, {"m.py": net("", body)}, "m.py")
    failure = replies[0].failure
    assert failure is not None and failure.kind == "build-error"
    assert "weights=None" in failure.fix
    assert failure.location is not None and failure.location.path == "m.py"
