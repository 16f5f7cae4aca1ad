"""Files that somebody else wrote are data: strictly parsed, and only up to a size."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from convlint import gate, settings
from convlint.errors import ConvlintError
from convlint.gate import baseline, files
from convlint.settings import table


def _settings(path: Path) -> object:
    return settings.load([path.parent], settings.Flags(), path)


READERS: list[tuple[Callable[[Path], object], int]] = [
    (lambda path: gate.read_baseline(path, path.name), baseline.LARGEST),
    (lambda path: gate.read_report(path, path.name), files.LARGEST),
    (_settings, table.LARGEST),
]


@pytest.mark.parametrize(("read", "largest"), READERS)
def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, read: Callable[[Path], object], largest: int
) -> None:
    """The size is looked at before anything is read into memory."""
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, largest + 1)
    with pytest.raises(ConvlintError, match="is larger than"):
        read(path)


@pytest.mark.parametrize(("read", "largest"), READERS)
@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b'{"schema_version": 1e999, "findings": []}',
        b'{"schema_version": "1"}',
        b'{"__class__": "x"}',
        b"!!python/object/apply:os.system [id]",
    ],
)
def test_a_broken_file_is_one_error(
    tmp_path: Path, read: Callable[[Path], object], largest: int, data: bytes
) -> None:
    """Never a traceback, a crash or a default."""
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(ConvlintError) as caught:
        read(path)
    assert "file" in caught.value.where


@pytest.mark.parametrize("target", ["../x.py", "/etc/x.py", "a/../../x.py", "link/x.py:Net"])
def test_the_configuration_does_not_lead_out_of_its_folder(tmp_path: Path, target: str) -> None:
    """Neither dots nor absolute paths nor links name a model outside."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "x.py").touch()
    (tmp_path / "x.py").touch()
    (root / "link").symlink_to(outside)
    for line in (f"models = [{{target = '{target}'}}]", f"baseline = '{target.split(':')[0]}'"):
        (root / "pyproject.toml").write_text(f"[tool.convlint]\n{line}\n")
        with pytest.raises(ConvlintError, match="lies outside root/"):
            settings.load([root], settings.Flags())
