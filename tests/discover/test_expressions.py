"""How a root is built, and with what, from what its file shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.discover.asking import requests

NET = "class Net(nn.Module):\n    def __init__(self, n, width=8): pass\n    def forward(self, x): pass\n"


def expressions(tmp_path: Path, text: str) -> tuple[str, ...]:
    """Return the expressions of the file's only root."""
    (request,) = requests(tmp_path, text)
    return request.expressions


def shapes(tmp_path: Path, text: str) -> list[list[tuple[int, ...]]]:
    """Return the candidate input lists of the file's only root."""
    (request,) = requests(tmp_path, text)
    return [[spec.shape for spec in inputs] for inputs in request.inputs]


def test_defaults_are_enough(tmp_path: Path) -> None:
    """A constructor whose arguments all have defaults is called without any."""
    text = "class Net(nn.Module):\n    def __init__(self, n=10, *, w=3): pass\n"
    assert expressions(tmp_path, text) == ("Net()",)


def test_an_inherited_constructor_counts(tmp_path: Path) -> None:
    """A class without __init__ needs what its base in the file needs."""
    (request,) = requests(tmp_path, NET + "class Big(Net): pass\n")
    assert request.expressions == ()
    assert request.required == ("n",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("if __name__ == '__main__':\n    model = Net(10)\n", "Net(10)"),
        ("if __name__ == '__main__':\n    n = 10\n    model = Net(n).cuda()\n", "Net(10)"),
        ("N = 4\nif __name__ == '__main__':\n    k = N * 2\n    Net(n=k)\n", "Net(n=N * 2)"),
        ("def test_net():\n    net = Net(5, width=4)\n", "Net(5, width=4)"),
        (
            "def net18(pretrained=True, **kw):\n    return Net(18, **kw)\n",
            "net18(pretrained=False)",
        ),
        ("def make(pretrained, **kw):\n    m = Net(18, **kw)\n    return m\n", "Net(18)"),
        ("def _net(n): return Net(n)\ndef net(): return _net(3)\n", "net()"),
    ],
)
def test_calls_that_the_file_shows(tmp_path: Path, text: str, expected: str) -> None:
    """Literal calls in the main block, tests and factories are ways to build the model."""
    assert expressions(tmp_path, NET + text) == (expected,)


def test_a_class_that_is_named_is_built_as_the_file_shows(tmp_path: Path) -> None:
    """``net.py:Net`` is the model that ``net.py`` leads to; without a call there, the class."""
    text = NET + "def net18(): return Net(18)\n"
    (whole,) = requests(tmp_path, text)
    (named,) = requests(tmp_path, text, "net.py:Net")
    assert named.expressions == whole.expressions == ("net18()",)
    assert named.target == whole.target
    assert requests(tmp_path, NET, "net.py:Net")[0].expressions == ("Net",)
    assert requests(tmp_path, text, "net.py:Net(3)")[0].expressions == ("Net(3)",)


def test_docstring_examples(tmp_path: Path) -> None:
    """A docstring shows how to build the model and what to feed it."""
    text = '''
class Net(nn.Module):
    """A net.

    >>> model = Net(
    ...     n=3)
    >>> y = model(torch.randn(2, 3, 16, 16))
    """
    def __init__(self, n): pass
'''
    (request,) = requests(tmp_path, text)
    assert request.expressions == ("Net(n=3)",)
    ((spec,),) = request.inputs
    assert spec.shape == (2, 3, 16, 16)
    assert spec.found_at is not None
    assert spec.found_at.line == 9


@pytest.mark.parametrize(
    "text",
    [
        "    args = parser.parse_args()\n    Net(args.n)\n",
        "    for i in range(3):\n        Net(i)\n",
        "    n = load()\n    n = 3\n    Net(n)\n",
        "    Net(int(input()))\n",
        "    Net(undefined)\n",
    ],
)
def test_calls_that_only_a_run_knows_are_dropped(tmp_path: Path, text: str) -> None:
    """A call that depends on the command line, a loop or the outside is no expression."""
    assert expressions(tmp_path, NET + "if __name__ == '__main__':\n" + text) == ()


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("'--n-out', type=int, default=7", ("Net(7, 7 * 2)",)),
        ("'-n', '--n_out', default=7", ("Net(7, 7 * 2)",)),
        ("'-n', dest='n_out', default=7", ("Net(7, 7 * 2)",)),
        ("'--n_out', type=int", ()),
        ("'--n_out', default=os.cpu_count()", ()),
        ("'--n_out', type=int, default=None", ()),
    ],
)
def test_options_have_their_defaults(
    tmp_path: Path, option: str, expected: tuple[str, ...]
) -> None:
    """What a script builds when it is run without a word, whatever its functions are called."""
    text = (
        "import argparse\nimport os\ndef get_args():\n    parser = argparse.ArgumentParser()\n"
        f"    parser.add_argument({option})\n    return parser.parse_args()\n"
        "def main(args):\n    n = args.n_out * 2\n    Net(args.n_out, n)\n"
        "if __name__ == '__main__':\n    args = get_args()\n    main(args)\n"
    )
    assert expressions(tmp_path, NET + text) == expected


def test_a_module_level_command_line_is_not_followed(tmp_path: Path) -> None:
    """A name parsed from the command line at module level does not close a call."""
    text = "import argparse\nargs = argparse.ArgumentParser().parse_args()\ndef f():\n    return Net(args.n)\n"
    (request,) = requests(tmp_path, NET + text)
    assert "Net(args.n)" not in request.expressions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = torch.randn(1, 3, 64, 64)\n    y = m(x)", [[(1, 3, 64, 64)]]),
        ("m(torch.zeros((2, 3, 8, 8)).to('cuda'))", [[(2, 3, 8, 8)]]),
        ("s = 32\n    m(torch.rand(size=(1, 3, s, 2 * s)))", [[(1, 3, 32, 64)]]),
        (
            "m(torch.ones(1, 3, 8, 8), torch.randint(0, 9, (1, 7)))",
            [[(1, 3, 8, 8), (1, 7)], [(1, 3, 8, 8)]],
        ),
        ("summary(m, (3, 32, 32))", [[(1, 3, 32, 32)]]),
        ("summary(m, input_size=(4, 3, 32, 32))", [[(4, 3, 32, 32)]]),
        ("summary(m, [(3, 8, 8), (1, 8, 8)])", [[(1, 3, 8, 8), (1, 1, 8, 8)]]),
        ("x = torch.randn(1, 3, 9, 9)\n    profile(m, inputs=(x,))", [[(1, 3, 9, 9)]]),
        ("torch.jit.trace(m, torch.Tensor(1, 3, 9, 9))", [[(1, 3, 9, 9)]]),
        ("x = torch.randn(b, 3, 9, 9)\n    m(x)", []),
    ],
)
def test_inputs_that_the_file_shows(
    tmp_path: Path, text: str, expected: list[list[tuple[int, ...]]]
) -> None:
    """Tensors of literal shape, above all those passed to the model, are candidates."""
    code = f"if __name__ == '__main__':\n    m = Net(10)\n    {text}\n"
    assert shapes(tmp_path, NET + code) == expected


def test_a_name_that_is_bound_again_is_what_it_was_above(tmp_path: Path) -> None:
    """``x = net(x, s)`` takes the x of the lines before."""
    text = NET + (
        "if __name__ == '__main__':\n    net = Net(3)\n    x = torch.randn(2, 1, 24, 24)\n"
        "    s = torch.randn(2, 1, 1, 1)\n    x = net(x, s)\n    print(x.shape)\n"
    )
    assert shapes(tmp_path, text)[0] == [(2, 1, 24, 24), (2, 1, 1, 1)]


def test_what_is_passed_to_the_model_comes_first(tmp_path: Path) -> None:
    """A tensor that the model is called with beats one that only stands beside it."""
    code = """
if __name__ == "__main__":
    target = torch.zeros(1, 10, 10)
    m = Net(10)
    m(torch.randn(1, 3, 8, 8))
"""
    assert shapes(tmp_path, NET + code)[0] == [(1, 3, 8, 8)]


def test_integers_stay_integers_and_floats_follow_the_weights(tmp_path: Path) -> None:
    """randint and dtype=torch.int32 are kept; half and double inputs become float32."""
    code = """
if __name__ == "__main__":
    m = Net(10)
    m(torch.randint(0, 5, (1, 7)), torch.zeros(1, 2, dtype=torch.int32), k=torch.ones(3).half())
"""
    (request,) = requests(tmp_path, NET + code)
    assert [(spec.dtype, spec.name) for spec in request.inputs[0]] == [
        ("int64", None),
        ("int32", None),
        ("float32", "k"),
    ]


def test_each_root_gets_its_own_inputs(tmp_path: Path) -> None:
    """In a file of two models, a tensor goes to the one that is called with it."""
    text = """
class A(nn.Module): pass
class B(nn.Module): pass
def test_a(): A()(torch.randn(1, 1, 8, 8))
def test_b():
    b = B()
    b(torch.randn(1, 3, 9, 9))
"""
    a, b = requests(tmp_path, text)
    assert [spec.shape for spec in a.inputs[0]] == [(1, 1, 8, 8)]
    assert [spec.shape for spec in b.inputs[0]] == [(1, 3, 9, 9)]


def test_tensors_in_a_dict_or_a_list_are_one_argument(tmp_path: Path) -> None:
    """What the file passes in a container is given in one, under the same keys."""
    (request,) = requests(
        tmp_path,
        "class Net(nn.Module):\n    def forward(self, batch, maps): return batch\n"
        "if __name__ == '__main__':\n    net = Net()\n"
        "    maps = [torch.randn(1, 8, 4, 4), torch.randn(1, 8, 2, 2)]\n"
        "    net({'image': torch.randn(1, 3, 8, 8), 'depth': torch.randn(1, 1, 8, 8)}, maps)\n",
    )
    assert [spec.label for spec in request.inputs[0]] == [
        "argument 1[image]",
        "argument 1[depth]",
        "argument 2[0]",
        "argument 2[1]",
    ]
