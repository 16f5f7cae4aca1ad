"""Runs convlint and the counters in use on the same models and compares their MACs.

    python benchmarks/counters.py [--tools PATTERN] [--small]

The models are the 26 small cases of tests/tracing/test_cases.py, whose MACs are derived by hand,
and torchvision models, whose MACs torchvision publishes. A tool's number counts as exact where
it is the MACs of convolutions and matrix products; as close where it is within 5 %, because
bias, norms or activations are in it; else as wrong. Totals that count two operations a MAC are
halved first. Tools that are not installed are named and left out.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import fnmatch
import functools
import io
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import nn

from convlint import cost
from convlint.ir.codec import open_document
from convlint.tracing import stubs
from convlint.tracing.inline import read_instance

CLOSE = 0.05
VERDICTS = ("exact", "close", "wrong", "failed")
TORCHVISION = (
    "resnet50",
    "mobilenet_v2",
    "densenet121",
    "shufflenet_v2_x1_0",
    "convnext_tiny",
    "lraspp_mobilenet_v3_large",
    "swin_t",
    "vit_b_32",
)


def fvcore(model: nn.Module, x: torch.Tensor) -> float:
    """Return the MACs that fvcore counts."""
    from fvcore.nn import FlopCountAnalysis

    found = FlopCountAnalysis(model, (x,))
    found.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    return float(found.total())


def thop(model: nn.Module, x: torch.Tensor) -> float:
    """Return the MACs that thop counts."""
    from thop import profile

    return float(profile(model, inputs=(x,), verbose=False)[0])


def _ptflops(model: nn.Module, x: torch.Tensor, backend: str) -> float:
    from ptflops import get_model_complexity_info

    macs, _ = get_model_complexity_info(
        model,
        tuple(x.shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        input_constructor=lambda _: x,
        backend=backend,
    )
    return float(macs)


def ptflops(model: nn.Module, x: torch.Tensor) -> float:
    """Return the "MACs" of ptflops' pytorch backend."""
    return _ptflops(model, x, "pytorch")


def ptflops_aten(model: nn.Module, x: torch.Tensor) -> float:
    """Return the MACs of ptflops' aten backend."""
    return _ptflops(model, x, "aten")


def torchinfo(model: nn.Module, x: torch.Tensor) -> float:
    """Return torchinfo's mult-adds."""
    import torchinfo as tool

    return float(tool.summary(model, input_data=x, verbose=0).total_mult_adds)


def deepspeed(model: nn.Module, x: torch.Tensor) -> float:
    """Return half the FLOPs of DeepSpeed's profiler."""
    from deepspeed.profiling.flops_profiler import get_model_profile

    found = get_model_profile(model, args=[x], print_profile=False, as_string=False, warm_up=0)
    return float(found[0]) / 2


def torch_counter(model: nn.Module, x: torch.Tensor) -> float:
    """Return half of what torch's FlopCounterMode counts on this device."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(x)
    return counter.get_total_flops() / 2


def torchscan(model: nn.Module, x: torch.Tensor) -> float:
    """Return the MACs that torchscan's module formulas give."""
    from torchscan import crawl_module

    return float(crawl_module(model, args=(x,))["totals"]["macs"]["known_value"])


def convlint(model: nn.Module, x: torch.Tensor) -> float:
    """Return the MACs that convlint counts."""
    reply = read_instance(model, (x,), {}, target="model")
    if reply.graph is None:
        raise ValueError(reply.failure)
    return float(cost.count(open_document(reply.graph)).macs)


@dataclass(frozen=True, slots=True)
class Case:
    """A model, its input, and whether a number is its MACs; ``truth`` is them as a number."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    truth: float
    decimals: int

    def verdict(self, macs: float) -> str:
        """Return exact, close or wrong."""
        if round(macs, self.decimals) == self.truth:
            return "exact"
        return "close" if abs(macs - self.truth) <= CLOSE * self.truth else "wrong"


@dataclass(slots=True)
class Score:
    """What a tool came to over a group of models; ``ratios`` of those that are not exact."""

    verdicts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    ratios: list[str] = field(default_factory=list)


Tool = Callable[[nn.Module, torch.Tensor], float]
TOOLS: dict[str, tuple[str, Tool]] = {
    "convlint": ("convlint", convlint),
    "fvcore": ("fvcore", fvcore),
    "FlopCounterMode, CPU": ("torch", torch_counter),
    "thop": ("thop", thop),
    "ptflops, pytorch": ("ptflops", ptflops),
    "ptflops, aten": ("ptflops", ptflops_aten),
    "torchinfo": ("torchinfo", torchinfo),
    "torchscan": ("torchscan", torchscan),
    "DeepSpeed": ("deepspeed", deepspeed),
}


def installed(package: str) -> bool:
    """Tell whether a tool can be imported."""
    stubs.install()
    with _silence(), contextlib.suppress(Exception):
        __import__(package)
        return True
    return False


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    logging.disable(logging.WARNING)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def run(tool: Tool, model: nn.Module, x: torch.Tensor) -> float:
    """Run a tool on a copy of the model, in eval mode; it may print what it likes."""
    with _silence(), contextlib.redirect_stderr(io.StringIO()):
        return tool(copy.deepcopy(model).eval(), x)


def small_cases() -> Iterator[Case]:
    """Yield the 26 cases whose MACs are derived by hand."""
    from tests.tracing.test_cases import CASES

    for name, (make, shape, macs) in CASES.items():
        yield Case(name, make, shape, float(macs), 0)


def published_cases() -> Iterator[Case]:
    """Yield torchvision models with the GMACs published for them (three decimals)."""
    from torchvision import models

    from benchmarks.published import entries

    for entry in {one.model: one for one in entries() if one.model in TORCHVISION}.values():
        extra = {"weights_backbone": None} if entry.room == "segmentation" else {}
        yield Case(
            entry.model,
            functools.partial(models.get_model, entry.model, weights=None, **extra),
            entry.shape,
            round(entry.gmacs * 1e9),
            -6,
        )


def score(tool: Tool, cases: list[Case]) -> Score:
    """Run a tool on every case."""
    found = Score()
    for case in cases:
        torch.manual_seed(0)
        model, x = case.make().eval(), torch.randn(case.shape)
        started = time.perf_counter()
        try:
            macs = run(tool, model, x)
        except Exception as error:
            found.verdicts["failed"] += 1
            found.ratios.append(f"{case.name} {type(error).__name__}")
            continue
        found.seconds += time.perf_counter() - started
        verdict = case.verdict(macs)
        found.verdicts[verdict] += 1
        if verdict == "wrong":
            ratio = macs / case.truth if case.truth else macs
            found.ratios.append(f"{case.name} {'x' if case.truth else ''}{ratio:.3g}")
    return found


def main() -> int:
    """Print a table a group: exact, close, wrong, failed and seconds of each tool."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tools", default="*", help="a pattern of tool names")
    parser.add_argument("--small", action="store_true", help="the 26 cases only")
    options = parser.parse_args()
    stubs.install()
    chosen = {name: tool for name, tool in TOOLS.items() if fnmatch.fnmatch(name, options.tools)}
    groups = {"26 small cases": list(small_cases())}
    if not options.small:
        groups["torchvision, as published"] = list(published_cases())
    for title, cases in groups.items():
        print(f"\n| {title} ({len(cases)}) | exact | close | wrong | failed | seconds |")
        print("|---|---|---|---|---|---|")
        for name, (package, tool) in chosen.items():
            if not installed(package):
                print(f"| {name} | not installed | | | | |", flush=True)
                continue
            found = score(tool, cases)
            counts = " | ".join(str(found.verdicts[key]) for key in VERDICTS)
            print(f"| {name} | {counts} | {found.seconds:.1f} |", flush=True)
            print(f"  {name}: {'; '.join(found.ratios) or 'none wrong'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
