"""Times every report of a run over 20 models of 300 layers: best of five, CPU seconds."""

from __future__ import annotations

import time

import msgspec

from convlint import plugins
from convlint.contract import RunReport, View
from tests.reports import sample

RUNS = 5
MODELS, LAYERS = 20, 300


def made() -> RunReport:
    """Return the run: the findings of a ResNet-50 on models of ten stages."""
    layers = tuple(
        sample.conv(f"stages.{i // 30}.blocks.{i % 30}.conv", 64 + i // 30, 64, 3, 56, 84, i)
        for i in range(LAYERS)
    )
    model = msgspec.structs.replace(sample.resnet(), layers=layers)
    return sample.run(
        *(msgspec.structs.replace(model, target=f"nets.py:Net{i}") for i in range(MODELS))
    )


def main() -> None:
    """Print one line a report."""
    run = made()
    print(f"{'seconds':>7}  {'bytes':>10}  report")
    for report in plugins.load_reports():
        seconds, text = [], ""
        for _ in range(RUNS):
            start = time.process_time()
            text = report.render(run, View())
            seconds.append(time.process_time() - start)
        print(f"{min(seconds):7.2f}  {len(text.encode()):10,}  {report.name}")


if __name__ == "__main__":
    main()
