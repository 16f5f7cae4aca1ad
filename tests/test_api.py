"""convlint.lint: the same report as the command line, for an instance, which stays as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import convlint
from convlint.errors import ConvlintError, UsageError


def net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(16, 32, 7, padding=3), nn.ReLU(), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()
    )


def test_the_report_has_the_names_of_the_json() -> None:
    """Attributes are the keys of the JSON report, and to_dict gives plain data."""
    report = convlint.lint(net(), torch.randn(1, 16, 32, 32))
    assert report.status == "complete"
    assert report.totals.macs == 32 * 32 * (32 * 16 * 49 + 64 * 32 * 9)
    assert report.to_dict()["totals"]["macs"] == report.totals.macs
    found = {finding.code: finding for finding in report.findings}
    assert found["CL101"].modules == ("0",)
    assert found["CL101"].saving.macs == 32 * 32 * 32 * 16 * (49 - 9)


def test_a_location_that_is_not_known_is_none() -> None:
    """Layers built before the call have no constructor line, and none is made up."""
    report = convlint.lint(net(), torch.randn(1, 16, 32, 32))
    assert report.findings
    assert all(finding.location is None for finding in report.findings)


def test_findings_without_a_line_are_grouped_by_module() -> None:
    """Two equal layers at unknown lines are two findings."""
    model = nn.Sequential(*(nn.Conv2d(16, 16, 7, padding=3) for _ in range(2)))
    report = convlint.lint(model, torch.randn(1, 16, 32, 32), select=["CL101"])
    assert [finding.modules for finding in report.findings] == [("0",), ("1",)]


def test_the_model_is_left_as_it_was_found() -> None:
    """Train mode, weights, their identity and BatchNorm statistics do not change."""
    model = nn.Sequential(net(), nn.BatchNorm2d(64)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ids = [id(parameter) for parameter in model.parameters()]
    convlint.lint(model, torch.randn(2, 16, 32, 32))
    assert all(module.training for module in model.modules())
    assert [id(parameter) for parameter in model.parameters()] == ids
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("where", ["no_grad", "device", "meta", "eval"])
def test_the_callers_state_does_not_matter(where: str) -> None:
    """Inside no_grad, under a device context, on meta or in eval the counts are the same."""
    expected = convlint.lint(net(), torch.randn(1, 16, 32, 32)).totals
    if where == "no_grad":
        with torch.no_grad():
            report = convlint.lint(net(), torch.randn(1, 16, 32, 32))
    elif where == "device":
        with torch.device("meta"):
            report = convlint.lint(net(), torch.randn(1, 16, 32, 32))
    elif where == "meta":
        report = convlint.lint(net().to("meta"), torch.randn(1, 16, 32, 32, device="meta"))
    else:
        report = convlint.lint(net().eval(), torch.randn(1, 16, 32, 32))
    assert report.totals == expected


def test_keyword_inputs_go_to_forward() -> None:
    """kwargs are the model's own keyword inputs."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 8, 1)

        def forward(self, x: torch.Tensor, *, mask: torch.Tensor) -> torch.Tensor:
            return self.a(x) * mask

    report = convlint.lint(Two(), torch.ones(1, 3, 4, 4), kwargs={"mask": torch.ones(1, 1, 4, 4)})
    assert report.status == "complete"
    assert report.totals.macs == 8 * 3 * 16


def test_values_are_used_where_the_model_asks_for_them() -> None:
    """A model that branches on values is run on the given tensors."""

    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Conv2d(3, 8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) if x.sum() > 0 else x

    assert convlint.lint(Gate(), torch.ones(1, 3, 4, 4)).totals.macs == 8 * 3 * 16
    assert convlint.lint(Gate(), -torch.ones(1, 3, 4, 4)).totals.macs == 0


def test_what_does_not_fit_is_said() -> None:
    """A wrong shape is a failed report that names the layer and both shapes."""
    report = convlint.lint(net(), torch.randn(1, 3, 32, 32))
    assert report.status == "failed"
    (word,) = report.diagnostics
    assert "1x3x32x32" in word.message and "Conv2d(16, 32" in word.message


def test_bad_arguments_raise_with_the_close_match() -> None:
    """An unknown rule or profile is refused with what was probably meant."""
    with pytest.raises(ConvlintError, match="large-kernle"):
        convlint.lint(net(), select=["large-kernle"])
    with pytest.raises(UsageError, match="gpu-fp61"):
        convlint.lint(net(), profile="gpu-fp61")
    with pytest.raises(TypeError, match="int"):
        convlint.lint(3)


def test_importing_convlint_loads_nothing() -> None:
    """``import convlint`` imports no dependency, and all names in __all__ exist."""
    code = (
        "import sys, convlint; heavy = {'torch', 'networkx', 'jinja2', 'rich', 'click', 'msgspec'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "[getattr(convlint, name) for name in convlint.__all__]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_made_in_a_notebook_cell_gets_no_wrong_line() -> None:
    """Code without a file has no line; that of the caller is not taken for it."""
    cell = (
        "import torch.nn.functional as F\n"
        "from torch import nn\n"
        "class Cell(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.weight = nn.Parameter(torch.randn(64, 64, 7, 7))\n"
        "    def forward(self, x):\n"
        "        return F.conv2d(x, self.weight, padding=3)\n"
    )
    names = {"torch": torch, "__name__": "cell"}
    exec(compile(cell, "<ipython-input-1-0>", "exec"), names)
    report = convlint.lint(names["Cell"](), torch.randn(1, 64, 32, 32))  # type: ignore[operator]
    assert [(f.code, f.location) for f in report.findings if f.code == "CL101"] == [("CL101", None)]


def test_a_graph_module_is_a_model_like_any_other() -> None:
    """What torch.fx traced is counted as its original."""
    model = net().eval()
    traced = torch.fx.symbolic_trace(model)
    x = torch.randn(1, 16, 32, 32)
    assert convlint.lint(traced, x).totals.macs == convlint.lint(model, x).totals.macs
