"""Asks discovery about a file of the given text."""

from __future__ import annotations

from pathlib import Path

from convlint import discover, wire

HEAD = "import torch\nfrom torch import nn\n"


def requests(tmp_path: Path, text: str, target: str = "net.py") -> list[wire.Request]:
    """Write ``net.py`` and return the Requests for the target."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "net.py").write_text(HEAD + text)
    found = discover.read(discover.locate([str(tmp_path / target)], discover.Filter()))
    return [item.what for item in found if isinstance(item.what, wire.Request)]
