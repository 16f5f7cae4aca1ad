"""Applies one exact rule to a real model and compares with torch itself."""

from __future__ import annotations

import torch
from torch import nn

import convlint
from convlint.api import Application


def scrambled(model: nn.Module, seed: int = 0) -> nn.Module:
    """Return the model in eval mode with random weights, statistics and affines of both signs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                made = torch.randn(tensor.shape, generator=generator)
                tensor.copy_(made.abs() + 0.5 if name.endswith("running_var") else made)
    return model.eval()


def applied(model: nn.Module, code: str, *inputs: torch.Tensor, profile="generic") -> Application:
    """Return the model in float64 with one rule applied, outputs and promised cost checked."""
    model = scrambled(model).double()
    double = [x.double() if x.is_floating_point() else x for x in inputs]
    made = convlint.apply(model, *double, rules=(code,), profile=profile)
    assert made.refused == ()
    if made.changes:
        _same_outputs(model, made.module, *double)
        again = convlint.lint(made.module, *double, select=(code,), profile=profile)
        promised = made.report.after.exact
        assert (again.totals.macs, again.totals.params) == (promised.macs, promised.params)
        assert not again.findings
    return made


def _same_outputs(model: nn.Module, module: nn.Module, *inputs: torch.Tensor) -> None:
    with torch.no_grad():
        expected, found = model(*inputs), module(*inputs)
    if torch.is_tensor(expected):
        expected, found = (expected,), (found,)
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape
        scale = max(float(a.double().abs().max()), 1e-30)
        assert float((a - b).double().abs().max()) <= 1e-9 * scale


def fires(model: nn.Module, code: str, *inputs: torch.Tensor, profile="generic") -> int:
    """Return how many places the rule finds, on any device."""
    report = convlint.lint(model, *inputs, select=(code,), profile=profile)
    assert not [d for d in report.diagnostics if d.code == "CL903"], report.diagnostics
    return sum(finding.sites for finding in report.findings)


def refused(model: nn.Module, code: str, *inputs: torch.Tensor, profile="generic") -> list[str]:
    """Return why the rule leaves places alone."""
    report = convlint.lint(model, *inputs, select=(code,), profile=profile)
    return [refusal.reason for refusal in report.refusals]
