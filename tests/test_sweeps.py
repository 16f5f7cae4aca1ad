"""Many models: lint_many on any executor, shards that add up, a sweep that goes on after a kill."""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from torch import nn

import convlint
from benchmarks import sweep

ROOT = Path(__file__).resolve().parent.parent
CONVLINT = str(Path(sys.executable).with_name("convlint"))
POINTS = [{"width": w, "kernel": k, "groups": 2, "depth": 2} for w in (8, 16) for k in (3, 7)]


def candidates() -> list[convlint.Candidate]:
    return [
        convlint.Candidate(functools.partial(sweep.make, **point), ("1x3x32x32",))
        for point in POINTS
    ]


@pytest.fixture(scope="module")
def expected() -> list[dict[str, object]]:
    """The reports of ``convlint.lint_many`` in this process."""
    return [report.to_dict() for report in convlint.lint_many(candidates())]


def test_reports_come_in_order_and_are_those_of_lint(expected: list[dict[str, object]]) -> None:
    """Each is what ``convlint.lint`` says of the same model."""
    import torch

    for point, report in zip(POINTS, expected, strict=True):
        single = convlint.lint(sweep.make(**point), torch.zeros(1, 3, 32, 32))
        assert report["totals"] == single.to_dict()["totals"]
        codes = {finding["code"] for finding in report["findings"]}
        assert codes == {finding.code for finding in single.findings}
        assert all(
            finding["location"]["path"] == "benchmarks/sweep.py" for finding in report["findings"]
        )
    assert expected[0]["target"] == "make(width=8, kernel=3, groups=2, depth=2)"


def threads() -> Executor:
    return ThreadPoolExecutor(3)


def processes() -> Executor:
    return ProcessPoolExecutor(2, get_context("spawn"))


@pytest.mark.parametrize("pool", [threads, processes])
def test_the_standard_pools_give_the_same(pool: object, expected: list[dict[str, object]]) -> None:
    """In order, whoever works."""
    with pool() as executor:
        found = list(convlint.lint_many(candidates(), executor, ahead=2))
    assert [report.to_dict() for report in found] == expected


def test_dask_gives_the_same(expected: list[dict[str, object]]) -> None:
    """A LocalCluster of two processes."""
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        found = list(convlint.lint_many(candidates(), client.get_executor()))
    assert [report.to_dict() for report in found] == expected


def test_requests_may_never_end() -> None:
    """Only ``ahead`` of them are under way; leaving cancels what waits."""

    class Slow(Executor):
        def __init__(self) -> None:
            self.asked: list[Future[object]] = []

        def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def]
            future: Future[object] = Future()
            if not self.asked:
                future.set_result(fn(*args, **kwargs))
            self.asked.append(future)
            return future

    executor = Slow()
    endless: Iterator[convlint.Candidate] = itertools.cycle(candidates())
    reports = convlint.lint_many(endless, executor, ahead=5)
    assert next(reports).status == "complete"
    assert len(executor.asked) == 5
    reports.close()
    assert all(future.cancelled() for future in executor.asked[1:])


def broken() -> nn.Module:
    raise ValueError("no such width")


def test_a_model_that_cannot_be_made_is_a_failed_report(tmp_path: Path) -> None:
    """The others are not touched; a target, a model and a callable are all requests."""
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\n\ndef net(width):\n    return nn.Sequential(nn.Conv2d(3, width, 9))\n"
    )
    requests = [broken, nn.Conv2d(3, 4, 3), f"{file}:net(8)", f"{file}:nothing()", "gone.py", dict]
    found = list(convlint.lint_many(requests))
    status = ["failed", "complete", "complete", "failed", "failed", "failed"]
    assert [report.status for report in found] == status
    assert "ValueError: no such width" in found[0].diagnostics[0].message
    assert found[2].target == "net.py:net(8)" and found[2].layers[0].macs > 0
    assert "gone.py" in found[4].diagnostics[0].message
    with pytest.raises(convlint.ConvlintError):
        convlint.lint_many(requests, select=["CL999"])


# --- shards -----------------------------------------------------------------------------


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, CONVLINT, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_shards_merge_to_the_whole(tmp_path: Path) -> None:
    """Each model is in one shard; ``convlint report`` gives the whole run's models again."""
    text = (ROOT / "examples" / "lenet.py").read_text()
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.py").write_text(text)
    whole = json.loads(run(tmp_path, ".", "--format", "json", "--exit-zero").stdout)
    assert len(whole["models"]) == 3
    parts = []
    for k in (1, 2):
        done = run(tmp_path, ".", "--shard", f"{k}/2", "--report", f"json={k}.json", "--exit-zero")
        assert done.returncode == 0, done.stderr
        parts.append(json.loads((tmp_path / f"{k}.json").read_text()))
    assert [len(part["models"]) for part in parts] == [2, 1]
    merged = json.loads(run(tmp_path, "report", "1.json", "2.json", "--format", "json").stdout)
    by_target = {model["target"]: model for model in merged["models"]}
    assert by_target == {model["target"]: model for model in whole["models"]}
    assert merged["summary"] == whole["summary"]


@pytest.mark.parametrize("shard", ["0/2", "3/2", "half", "1/0"])
def test_a_wrong_shard_is_refused(tmp_path: Path, shard: str) -> None:
    """One line says how to write it."""
    (tmp_path / "a.py").write_text("")
    done = run(tmp_path, "a.py", "--shard", shard)
    assert done.returncode == 2
    assert "--shard" in done.stderr and "1/4" in done.stderr


# --- the sweep --------------------------------------------------------------------------


def test_a_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    """A line that was cut short is scored again, whole lines are not."""
    path = tmp_path / "scores.jsonl"
    assert sweep.score(path, 4, None) == 4
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:2]) + "\n" + lines[2][:10])
    assert sweep.score(path, 4, None) == 2
    assert path.read_text().splitlines() == lines
    assert sweep.score(path, 4, None) == 0
    first = json.loads(lines[0])
    assert first["status"] == "complete" and first["macs"] >= first["macs_after"] > 0
