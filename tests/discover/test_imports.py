"""Models whose base, class or builder comes from another file."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint import discover, wire

BASE = "import torch.nn as nn\nclass BaseNet(nn.Module):\n    def forward(self, x): return x\n"


def put(folder: Path, **files: str) -> None:
    """Write the files of a package ``p`` below a project root."""
    (folder / "pyproject.toml").touch()
    (folder / "p").mkdir()
    for name, text in {"__init__": "", **files}.items():
        (folder / "p" / f"{name}.py").write_text(text)


def ask(path: Path, *, hook: bool = False) -> dict[str, wire.Request]:
    """Return the Requests for a file or folder by class or name."""
    targets = discover.locate([str(path)], discover.Filter(), hook=hook)
    found = [item.what for item in discover.read(targets, hook=hook)]
    return {w.class_name or "": w for w in found if isinstance(w, wire.Request)}


@pytest.mark.parametrize(
    "text",
    [
        "from .base import BaseNet\nclass Net(BaseNet): pass\n",
        "from p.base import BaseNet\nclass Net(BaseNet): pass\n",
        "from . import base\nclass Net(base.BaseNet): pass\n",
        "import p.base as b\nclass Net(b.BaseNet): pass\n",
        "from .base import *\nclass Net(BaseNet): pass\n",
        "from .again import BaseNet as B\nclass Net(B): pass\n",
    ],
)
def test_a_base_in_another_file_is_looked_up(tmp_path: Path, text: str) -> None:
    """The file need not say torch: the imports are followed through the project's files."""
    put(tmp_path, base=BASE, again="from .base import BaseNet\n", net=text)
    request = ask(tmp_path / "p" / "net.py")["Net"]
    assert (request.tentative, request.guess) == (False, False)
    assert ask(tmp_path)["Net"].expressions == ("Net()",)


def test_a_base_of_a_package_is_a_guess_where_nothing_says_torch(tmp_path: Path) -> None:
    """A third party's class may be a model; where it is not, or not there, nobody is told."""
    put(tmp_path, net="from zoo import Base\nclass Net(Base): pass\n")
    request = ask(tmp_path / "p" / "net.py")["Net"]
    assert (request.tentative, request.guess) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "from django.db import models\nclass A(models.Model): pass\n",
        "from collections import OrderedDict\nclass A(OrderedDict): pass\n",
        "from .base import Table\nclass A(Table): pass\n",
        "from .base import Table\nmodel = Table()\n",
        "from .base import settings\nmodel_settings = settings()\n",
        "from flask import Flask\nnet = Flask(__name__)\n",
        "from zoo import start\napp = start()\n",
        "class A: pass\nmodel = A()\n",
        "from zoo import MyLoss\nnet_loss = MyLoss()\n",
    ],
)
def test_what_is_no_model_is_not_imported(tmp_path: Path, text: str) -> None:
    """Classes of the project that are no models, model-free packages and plain names are out."""
    put(tmp_path, base="class Table: pass\ndef settings(): return dict()\n", net=text)
    assert ask(tmp_path / "p" / "net.py") == {}


@pytest.mark.parametrize(
    ("text", "guess"),
    [
        ("from .base import BaseNet\nmodel = BaseNet(3)\n", False),
        ("from .base import BaseNet\nmodel = BaseNet(3).half().fuse()\n", False),
        ("from .base import BaseNet\nmodel: object = BaseNet(3)\n", False),
        ("from .base import make\nmodel = make()\n", False),
        ("from .base import BaseNet\ndef build(): return BaseNet()\nmodel = build()\n", False),
        ("from zoo import Base\nmodel = Base(3)\n", True),
        ("from .base import pick\nmodel = pick('a')\n", True),
    ],
)
def test_a_name_bound_to_what_an_import_builds(tmp_path: Path, text: str, guess: bool) -> None:
    """The name is the target; in a folder or a hook it is a guess, since it may be a script."""
    more = "def make(): return BaseNet()\ndef pick(name): return TABLE[name]\n"
    put(tmp_path, base=BASE + more, net=text)
    net = tmp_path / "p" / "net.py"
    request = ask(net)["model"]
    assert request.expressions == ("model",)
    assert (request.tentative, request.guess) == (True, guess)
    assert ask(tmp_path)["model"].guess
    assert ask(net, hook=True)["model"].guess


def test_a_script_that_trains_on_import_is_left_alone(tmp_path: Path) -> None:
    """What a file trains at module level is not worth the run."""
    text = "from .base import BaseNet\nmodel = BaseNet()\nfor x in range(9):\n    model(x).backward()\n"
    put(tmp_path, base=BASE, net=text)
    assert ask(tmp_path / "p" / "net.py") == {}


def test_a_base_of_another_file_is_known_as_one(tmp_path: Path) -> None:
    """Beside the class that inherits from it, an abstract base may fail in silence."""
    put(tmp_path, base=BASE, net="from .base import BaseNet\nclass Net(BaseNet): pass\n")
    both = ask(tmp_path)
    assert (both["BaseNet"].base, both["Net"].base) == (True, False)
    assert not ask(tmp_path / "p" / "base.py")["BaseNet"].base
