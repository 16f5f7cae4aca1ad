"""What bounds a layer, in words: MACs saved are not time saved where memory does."""

from __future__ import annotations

import msgspec
import pytest
from convlint_reports import html, markdown, text

from convlint.contract import Saving, View
from tests.reports import sample

WORDS = "MACs saved will not be time saved"


@pytest.mark.parametrize("report", [text, html, markdown])
@pytest.mark.parametrize(
    ("bound", "saving", "told"),
    [
        ("memory", Saving(macs=10**9), True),
        ("memory", Saving(params=10**6), False),
        ("compute", Saving(macs=10**9), False),
        ("", Saving(macs=10**9), False),
    ],
)
def test_macs_saved_where_memory_binds(report, bound, saving, told):
    """Every report for people says it, and only where MACs are what is saved."""
    finding = msgspec.structs.replace(sample.DENSE, bound=bound, saving=saving)
    model = msgspec.structs.replace(sample.resnet(), findings=(finding,))
    shown = report.REPORT.render(sample.run(model), View(width=200))
    assert (WORDS in shown) is told
