"""The corpus of findings over the zoos: written, compared, and a changed line is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.zoo import torchvision  # skips where it is not installed

ROOT = Path(__file__).parent.parent
pytest.importorskip("timm", reason="timm is not installed")


def corpus(file, *arguments):
    """Return what the corpus says of two models: exit code and lines."""
    made = subprocess.run(
        [sys.executable, "benchmarks/corpus.py", "torchvision", "--match", "vgg1[16]_bn", "--file", file, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not made.stderr, made.stderr
    return made.returncode, made.stdout.splitlines()


def test_a_corpus_is_written_and_a_changed_line_is_a_difference(tmp_path):
    """What was just written is equal; a line taken out and one changed are told, and exit with 1."""
    assert torchvision is not None
    file = tmp_path / "corpus.txt"
    assert corpus(file)[0] == 0
    lines = file.read_text().splitlines()
    told = [text for text in lines if text.startswith("torchvision/vgg11_bn CL406 ")]
    assert len(told) == 1 and " x8 " in told[0] and "torchvision/models/vgg.py:" in told[0]
    assert any(text.startswith("# CL406 bias-before-norm: 2 (") for text in lines)
    assert corpus(file, "--check")[0] == 0
    file.write_text("\n".join(text.replace(" x8 ", " x9 ") for text in lines) + "\n")
    code, words = corpus(file, "--check")
    assert code == 1
    assert f"+ {told[0]}" in words and f"- {told[0].replace(' x8 ', ' x9 ')}" in words
