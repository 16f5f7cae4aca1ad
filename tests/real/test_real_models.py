"""Real models through the command line, as a user names them, against a checked expectation.

``expected.txt`` was checked by a person against the published figures (torchvision's own
``_ops`` and ``num_params``) and the papers' formulas; regenerate it with
``UPDATE_EXPECTED=1 pytest tests/real`` and read the diff.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
MODELS = (
    "torchvision.models:resnet18",
    "torchvision.models:resnet50",
    "torchvision.models:vgg16",
    "torchvision.models:alexnet",
    "torchvision.models:resnext50_32x4d",
    "torchvision.models:regnet_y_400mf",
    "torchvision.models:mobilenet_v2",
    "torchvision.models:mobilenet_v3_small",
    "torchvision.models:shufflenet_v2_x1_0",
    "torchvision.models:densenet121",
    "torchvision.models:googlenet(weights=None, init_weights=False)",
    "torchvision.models:convnext_tiny",
    "torchvision.models:efficientnet_b0",
    "torchvision.models.segmentation:deeplabv3_resnet50(weights_backbone=None)",
)
AT_299 = ("torchvision.models:inception_v3(init_weights=False)",)


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "convlint", *arguments, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def lines_of(model: dict[str, Any]) -> list[str]:
    totals = model["totals"]
    shape = "x".join(map(str, model["inputs"][0]["shape"]))
    found = [f"{model['target']} at {shape}: {totals['macs']} MACs, {totals['params']} params"]
    for finding in model["findings"]:
        place = finding["location"]
        saving = finding["saving"]
        found.append(
            f"  {place['path']}:{place['line']} {finding['code']} x{len(finding['modules'])}"
            f" saves {saving['macs']} MACs ({saving['macs_percent']} %), {saving['params']} params"
        )
        found.append(f"    {', '.join(finding['module_groups'])}")
    return found


@pytest.fixture(scope="module")
def told() -> list[str]:
    code, report = run(*MODELS, "--profile", "cpu")
    assert code == 1
    other, at_299 = run(*AT_299, "--input", "1x3x299x299", "--profile", "cpu")
    assert other == 1
    models = [*report["models"], *at_299["models"]]
    assert all(model["status"] == "complete" for model in models)
    return [line for model in models for line in lines_of(model)]


def test_findings_and_totals_are_the_checked_ones(told: list[str]) -> None:
    """Totals, findings, lines, modules and savings of fifteen zoo models do not drift."""
    expected = HERE / "expected.txt"
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text("\n".join(told) + "\n")
    assert told == expected.read_text().splitlines()


def test_resnet50_costs_what_torchvision_publishes(told: list[str]) -> None:
    """4,089,184,256 MACs and 25,557,032 params, exactly."""
    assert "torchvision.models:resnet50 at 1x3x224x224: 4089184256 MACs, 25557032 params" in told


@pytest.mark.parametrize(
    ("file", "target", "shape"),
    [
        ("unet.py", "UNet", None),
        ("lenet.py", "LeNet5", [1, 1, 32, 32]),
        ("train_script.py", None, None),
    ],
)
def test_files_nobody_prepared_are_read_as_they_lie(
    file: str, target: str | None, shape: list[int] | None
) -> None:
    """Required arguments, a fixed input size and training code in the file need no help."""
    code, report = run(str(EXAMPLES / file))
    assert code in (0, 1)
    (model,) = report["models"]
    assert model["status"] == "complete"
    assert model["totals"]["macs"] > 0
    if target:
        assert model["target"].endswith(f":{target}")
    if shape:
        assert model["inputs"][0]["shape"] == shape
