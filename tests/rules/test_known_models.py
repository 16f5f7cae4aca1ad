"""What the rules that ask for a retraining say of known models, and what they must not say."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from convlint import profiles
from convlint.checking import ActiveRule, check_model
from convlint.plugins import load_rules
from convlint.wire import Reply
from tests.zoo import graph_of

SHAPE_RULES = ("CL101", "CL301", "CL302")
"""They are about the shape of one conv: no conv is told of by two of them."""


@dataclass(frozen=True)
class Known:
    """A model; ``told`` maps codes to (modules named, MACs saved in %, parameters saved in %)."""

    name: str
    told: dict[str, tuple[int, float, float]]
    silent: tuple[str, ...] = ()
    size: int = 224
    profile: str = "generic"
    options: dict = field(default_factory=dict)


BACKBONE = {"weights_backbone": None}
MODELS = [
    Known("alexnet", {"CL101": (1, 20.07, 0.32), "CL303": (1, 5.14, 60.06), "CL301": (3, 44.8, 3.1)}),
    Known("vgg16", {"CL301": (12, 87.1, 9.4), "CL303": (1, 0.65, 72.8), "CL603": (1, 0, 0)}, ("CL302",)),
    Known("resnet18", {"CL301": (16, 81.4, 83.3)}, ("CL101", "CL302", "CL601")),
    Known("resnet50", {"CL301": (16, 39.9, 39.2)}, ("CL101", "CL302", "CL602")),
    Known("resnext50_32x4d", {"CL202": (7, 0, 0)}, ("CL201", "CL301"), profile="gpu-fp16"),
    Known("regnet_x_3_2gf", {}, ("CL201", "CL202", "CL301"), profile="gpu-fp16"),
    Known("regnet_y_400mf", {"CL202": (16, 0, 0)}, ("CL201",), profile="gpu-fp16"),
    Known("squeezenet1_1", {"CL602": (1, 24.6, 0)}),
    Known("inception_v3", {"CL101": (3, 3.15, 0.54)}, ("CL103",), size=299),
    Known("mobilenet_v2", {"CL602": (1, 6.5, 0)}, ("CL301", "CL201")),
    Known("mobilenet_v3_large", {}, ("CL602", "CL301", "CL101")),
    Known("shufflenet_v2_x1_0", {}, ("CL201", "CL202", "CL501"), profile="gpu-fp16"),
    Known("convnext_tiny", {}, ("CL101", "CL201", "CL301")),
    Known("fcn_resnet50", {"CL302": (1, 26.5, 27.2), "CL103": (8, 0, 0), "CL604": (8, 0, 0)}, size=520, options=BACKBONE),
    Known("deeplabv3_resnet50", {"CL301": (6, 47.1, 47.4), "CL103": (8, 0, 0), "CL604": (8, 0, 0)}, ("CL302",), size=520, options=BACKBONE),
    Known("resnet18", {"CL601": (3, 0, 0)}, size=32),
]  # fmt: skip


@pytest.mark.parametrize("known", MODELS, ids=lambda known: f"{known.name}-{known.size}")
def test_advice_on_known_models(known):
    """Rules, layers and savings of the catalogue; nothing from the rules that must be silent."""
    graph = graph_of(known.name, 1, 3, known.size, known.size, **known.options)
    target = profiles.load(known.profile)
    rules = [one for one in load_rules() if not one.meta.exact]
    active = tuple(ActiveRule(r, r.meta.severity_under(target), r.options()) for r in rules)
    reply = Reply("net.py:Net", "complete", class_name="Net", graph=graph.document())
    report = check_model(reply, active, profile=target)
    for code, (modules, macs, params) in known.told.items():
        found = [finding for finding in report.findings if finding.code == code]
        assert sum(len(finding.modules) for finding in found) == modules, code
        assert sum(f.saving.macs_percent for f in found) == pytest.approx(macs, abs=0.06), code
        assert sum(f.saving.params_percent for f in found) == pytest.approx(params, abs=0.06), code
    assert {finding.code for finding in report.findings}.isdisjoint(known.silent)
    shaped = [m for f in report.findings if f.code in SHAPE_RULES for m in f.modules]
    assert len(shaped) == len(set(shaped))
