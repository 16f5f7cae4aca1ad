"""Which classes of a file are taken for its models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.discover.asking import requests


def names(tmp_path: Path, text: str) -> list[str]:
    """Return the displayed names of the roots."""
    return [request.target.partition(":")[2] for request in requests(tmp_path, text)]


@pytest.mark.parametrize(
    ("header", "base"),
    [
        ("", "nn.Module"),
        ("", "nn.Sequential"),
        ("import torch.nn as tnn\n", "tnn.Module"),
        ("import torch\n", "torch.nn.Module"),
        ("from torch.nn import Module\n", "Module"),
        ("from torch.nn import *\n", "Module"),
        ("import pytorch_lightning as pl\n", "pl.LightningModule"),
        ("from lightning.pytorch import LightningModule\n", "LightningModule"),
        ("from typing import Generic, TypeVar\nT = TypeVar('T')\n", "nn.Module, Generic[T]"),
    ],
)
def test_every_spelling_of_a_module_is_a_model(tmp_path: Path, header: str, base: str) -> None:
    """A class is a model however its base is imported and spelled."""
    (request,) = requests(tmp_path, f"{header}class Net({base}):\n    pass\n")
    assert request.class_name == "Net"
    assert not request.tentative


def test_a_base_from_elsewhere_is_tentative(tmp_path: Path) -> None:
    """A class whose base another project defines is tried, and may turn out to be no model."""
    (request,) = requests(tmp_path, "from zoo import Base\nclass Net(Base):\n    pass\n")
    assert request.tentative


@pytest.mark.parametrize(
    "base",
    [
        "dict",
        "Exception",
        "torch.utils.data.Dataset",
        "torch.autograd.Function",
        "collections.Counter",
    ],
)
def test_other_classes_are_no_models(tmp_path: Path, base: str) -> None:
    """Builtins, the standard library and torch's other classes are no models."""
    text = f"import collections\nclass Data({base}):\n    pass\nclass Net(nn.Module):\n    pass\n"
    assert names(tmp_path, text) == ["Net"]


def test_parts_are_no_roots(tmp_path: Path) -> None:
    """What a model builds or gets as an argument is not a model of its own."""
    text = """
class Block(nn.Module): pass
class Stem(nn.Module): pass
class Head(nn.Module): pass
class Base(nn.Module): pass
def make_stem(): return Stem()
class Net(Base):
    def __init__(self, block):
        self.stem = make_stem()
        self.head = Head()
        self.body = block()
def net(): return Net(Block)
"""
    assert names(tmp_path, text) == ["Net"]


BASES = """
class Net(nn.Module):
    def __init__(self, n=1):
        self.part = self.make()
    def forward(self, x): return self.part(x)
class Small(Net):
    def __init__(self): super(Small, self).__init__(); Net.__init__(self)
class Tiny(Small): pass
"""


def test_a_base_is_a_root_of_its_own(tmp_path: Path) -> None:
    """Inheriting is no use: what can run alone is looked at alone, and may fail in silence."""
    found = {r.class_name: r.base for r in requests(tmp_path, BASES)}
    assert found == {"Net": True, "Small": True, "Tiny": False}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def forward(self, x): return self.part(x)", "pass"),
        ("return self.part(x)", "raise NotImplementedError"),
        ("n=1", "n"),
        ("class Tiny(Small): pass", "class Tiny(Small): pass\nclass Top(nn.Module):\n"
         "    def __init__(self): self.a, self.b = Small(), Tiny()"),
    ],
)  # fmt: skip
def test_an_abstract_base_and_a_parts_base_are_no_roots(tmp_path: Path, old: str, new: str) -> None:
    """Without forward, with one that raises, without arguments, or of parts only: no target."""
    assert "Net" not in names(tmp_path, BASES.replace(old, new))


def test_an_instance_handed_to_a_function_stays_a_root(tmp_path: Path) -> None:
    """``train(Net())`` does not make Net a part of anything."""
    assert names(tmp_path, "class Net(nn.Module): pass\ndef train(m): pass\ntrain(Net())\n") == [
        "Net"
    ]


def test_checks_and_hints_do_not_use(tmp_path: Path) -> None:
    """isinstance checks and annotations are no uses."""
    text = """
class A(nn.Module): pass
class B(nn.Module):
    def f(self, a: A) -> A: return isinstance(a, A)
"""
    assert names(tmp_path, text) == ["A", "B"]


def test_where_all_use_each_other_the_last_stands_for_the_file(tmp_path: Path) -> None:
    """A file whose classes build each other still has a model."""
    text = """
class A(nn.Module):
    def f(self): return B()
class B(nn.Module):
    def f(self): return A()
"""
    assert names(tmp_path, text) == ["B"]


def test_a_loss_beside_a_model_is_no_root(tmp_path: Path) -> None:
    """Losses are modules too; beside a model they are left out."""
    text = "class DiceLoss(nn.Module): pass\nclass Net(nn.Module): pass\n"
    assert names(tmp_path, text) == ["Net"]


def test_a_bound_name_replaces_its_class(tmp_path: Path) -> None:
    """``model = Net(10).eval()`` at module level is the model, built as the file builds it."""
    text = "class Net(nn.Module):\n    def __init__(self, n): pass\nmodel = Net(10).eval()\n"
    (request,) = requests(tmp_path, text)
    assert request.target == "net.py:model"
    assert request.expressions == ("model",)


def test_each_bound_name_is_a_target(tmp_path: Path) -> None:
    """Two names of one class are two models, whatever methods the calls chain."""
    text = "class Net(nn.Module): pass\nmodel = Net().half()\nbf = Net().bfloat16()\n"
    assert names(tmp_path, text) == ["model", "bf"]
    assert not any(request.tentative for request in requests(tmp_path, text))


def test_a_method_that_may_return_anything_makes_it_tentative(tmp_path: Path) -> None:
    """``Net().state_dict()`` is tried, and does not stand for the class."""
    text = "class Net(nn.Module): pass\nkept = Net().state_dict()\n"
    found = {r.class_name: r.tentative for r in requests(tmp_path, text)}
    assert found == {"Net": False, "kept": True}


def test_a_bound_sequential_is_a_model(tmp_path: Path) -> None:
    """A module-level nn.Sequential is a model, a lone layer or loss is none."""
    text = "net = nn.Sequential(nn.Conv2d(3, 8, 3))\nloss = nn.CrossEntropyLoss()\n"
    assert names(tmp_path, text) == ["net"]


def test_a_bound_part_of_a_bound_model_is_no_root(tmp_path: Path) -> None:
    """A backbone that another bound model wraps is looked at as its part."""
    text = """
class Body(nn.Module): pass
class Net(nn.Module): pass
body = Body()
net = Net(body)
"""
    assert names(tmp_path, text) == ["net"]


def test_an_expression_is_taken_as_typed(tmp_path: Path) -> None:
    """file.py:EXPR asks for exactly that, colons and quotes in it included."""
    text = "class Net(nn.Module):\n    def __init__(self, **k): pass\n"
    (request,) = requests(tmp_path, text, "net.py:Net(a={'b': 1})")
    assert request.expressions == ("Net(a={'b': 1})",)
    assert request.target == "net.py:Net(a={'b': 1})"
