"""Reports built by hand: a ResNet-50 with findings, a clean, a failed, a hostile one."""

from __future__ import annotations

import msgspec

from convlint.contract import (
    SCHEMA_VERSION,
    After,
    Alternative,
    Budget,
    Finding,
    Layer,
    ModelReport,
    ReceptiveField,
    Refused,
    Related,
    RuleInfo,
    RunReport,
    Saving,
    Severity,
    SnippetLine,
    Summary,
    Tool,
    Totals,
)
from convlint.ir.nodes import SourceSpan
from convlint.wire import Diagnostic, InputSpec

RULES = (
    RuleInfo("CL301", "dense-conv", "Dense convolutions that depthwise ones could replace", False),
    RuleInfo("CL401", "pool-after-pointwise", "A 1x1 convolution before average pooling", True),
    RuleInfo("CL406", "bias-before-norm", "A bias that the batch norm behind it removes", True),
    RuleInfo("CL501", "misaligned-channels", "Channel counts the hardware has to pad", False),
)
STAGES = ((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7))


def conv(name: str, cin: int, cout: int, k: int, size: int, line: int, field: int) -> Layer:
    """A convolution's row; ``size`` is the output's side."""
    weights = k * k * cin * cout
    return Layer(
        module=name,
        kind="conv",
        params=weights,
        macs=weights * size * size,
        input_shapes=((1, cin, size, size),),
        output_shapes=((1, cout, size, size),),
        receptive_field=ReceptiveField(min=(1, 1), max=(field, field)),
        location=SourceSpan("nets/resnet.py", line, 22, line, 60),
        activation_bytes=4 * cout * size * size,
    )


def resnet_layers() -> tuple[Layer, ...]:
    """The convolutions and the classifier of ResNet-50."""
    layers = [conv("conv1", 3, 64, 7, 112, 121, 7)]
    channels, field = 64, 11
    for stage, (width, blocks, size) in enumerate(STAGES, 1):
        for block in range(blocks):
            path = f"layer{stage}.{block}"
            layers.append(conv(f"{path}.conv1", channels, width, 1, size, 84, field))
            layers.append(conv(f"{path}.conv2", width, width, 3, size, 86, field := field + 16))
            layers.append(conv(f"{path}.conv3", width, 4 * width, 1, size, 88, field))
            if block == 0:
                layers.append(
                    conv(f"{path}.downsample.0", channels, 4 * width, 1, size, 140, field)
                )
            channels = 4 * width
    location = SourceSpan("nets/resnet.py", 131, 19, 131, 56)
    shapes = (((1, 2048),), ((1, 1000),))
    everywhere = ReceptiveField(min=None, max=None)
    layers.append(
        Layer(
            "fc", "linear", 2049000, 2048000, *shapes, everywhere, location, activation_bytes=4000
        )
    )
    return tuple(layers)


def totals(macs: int, params: int, peak: int = 6422528) -> Totals:
    """Totals in float32."""
    return Totals(params, macs, 4 * params, 44000000, peak, 63000000)


DENSE = Finding(
    code="CL301",
    name="dense-conv",
    severity=Severity.WARNING,
    exact=False,
    message="16 dense 3x3 convs = 45.4 % of MACs; depthwise + 1x1 would need 8.7x fewer MACs",
    modules=tuple(x.module for x in resnet_layers() if x.module.endswith("conv2")),
    module_groups=("layer*.*.conv2 x16",),
    location=SourceSpan("nets/resnet.py", 86, 22, 86, 88),
    related=(Related("nets/resnet.py", 105, "runs here, in forward"),),
    saving=Saving(1630000000, 9860000, 39440000, -5619712, 39.9, 38.6),
    fingerprint="a1",
    instead=(
        "nn.Sequential(\n"
        "    nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False),\n"
        "    nn.Conv2d(width, width, 1, bias=False),\n"
        ")"
    ),
    risk="typical cost 1 point of top-1 (MobileNetV1, table 4); retrain",
    alternatives=(
        Alternative("grouped 3x3, 4 groups", Saving(1380000000, 8480000, 0, 0, 33.7, 33.2)),
    ),
    snippet=(
        SnippetLine(85, "        self.bn1 = norm_layer(width)"),
        SnippetLine(86, "        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)"),
        SnippetLine(87, "        self.bn2 = norm_layer(width)"),
    ),
    sites=16,
)
POOL = Finding(
    code="CL401",
    name="pool-after-pointwise",
    severity=Severity.WARNING,
    exact=True,
    message="1x1 conv 1024->512 runs on 14x14, then avg-pool keeps 7x7: pool first",
    modules=("layer4.0.downsample.0",),
    location=SourceSpan("nets/resnet.py", 140, 3, 140, 49),
    related=(),
    saving=Saving(77070336, 0, 0, 301056, 1.9, 0.0),
    fingerprint="b2",
    instead="nn.AvgPool2d(2, 2), nn.Conv2d(inplanes, planes * 4, 1, bias=False)",
    snippet=(SnippetLine(140, "\t\tnn.Conv2d(inplanes, planes * 4, 1, bias=False),"),),
)
ALIGN = Finding(
    code="CL501",
    name="misaligned-channels",
    severity=Severity.INFO,
    exact=False,
    message="Linear 2048->1001: 1001 is padded to 1008 by fp16 tensor cores (limit 8)",
    modules=("fc",),
    location=None,
    related=(),
    saving=Saving(),
    fingerprint="c3",
)
SILENT = Finding(
    code="CL406",
    name="bias-before-norm",
    severity=Severity.WARNING,
    exact=True,
    message="the bias is removed by the batch norm behind it",
    modules=("conv1",),
    location=SourceSpan("nets/resnet.py", 121, 22, 121, 70),
    related=(),
    saving=Saving(0, 64, 256, 0, 0.0, 0.0003),
    fingerprint="d4",
    suppressed="weights are shared with the old head",
)


def resnet() -> ModelReport:
    """A complete model with three live findings and a suppressed one."""
    return ModelReport(
        target="nets/resnet.py:ResNet50",
        status="complete",
        inputs=(InputSpec((1, 3, 224, 224), "float32", None, "inferred"),),
        totals=totals(4089284608, 25557032),
        after=After(exact=totals(4012214272, 25556968), all=totals(2382214272, 15696968, 9633792)),
        layers=resnet_layers(),
        findings=(ALIGN, POOL, SILENT, DENSE),
        refusals=(Refused("CL301", "dense-conv", "conv1", "the stem: 3 input channels, limit 4"),),
        diagnostics=(
            Diagnostic("CL905", "the input's shape was guessed", "info", None),
            Diagnostic(
                "CL902",
                "class Decoder needs arguments: width\nconvlint 'nets/resnet.py:Decoder(width=…)'",
                "info",
                SourceSpan("nets/resnet.py", 160, 1),
            ),
        ),
        expression="ResNet50()",
    )


def limited() -> ModelReport:
    """The ResNet-50 compared with a base, one limit broken and one kept."""
    macs = Budget("CL701", "max-macs", "macs", "4 GMACs", 4_000_000_000, 4089284608, 4012214272)
    params = Budget("CL702", "max-params", "params", "30 M params", 30_000_000, 25557032, 25556968)
    return msgspec.structs.replace(
        resnet(), base=totals(4_000_000_000, 25557032), budgets=(params, macs)
    )


def failed() -> ModelReport:
    """A model that could not be read."""
    message = "forward raised RuntimeError: mat1 and mat2 shapes cannot be multiplied\ntry --input"
    at = SourceSpan("nets/broken.py", 12, 9)
    return ModelReport(
        target="nets/broken.py:Net",
        status="failed",
        diagnostics=(Diagnostic("CL901", message, "error", at),),
    )


def clean() -> ModelReport:
    """A model without a finding."""
    layers = (
        conv("stem", 3, 16, 3, 32, 5, 3),
        conv("body.dw", 16, 16, 3, 32, 6, 5),
        conv("body.pw", 16, 32, 1, 32, 7, 5),
    )
    counted = totals(sum(x.macs for x in layers), sum(x.params for x in layers), 131072)
    declared = InputSpec((1, 3, 32, 32), "float32", "image", "declared")
    return ModelReport(
        target="nets/small.py:Small",
        status="complete",
        inputs=(declared,),
        totals=counted,
        after=After(exact=counted, all=counted),
        layers=layers,
    )


def run(*models: ModelReport) -> RunReport:
    """A run over these models, its summary counted."""
    found = [f for m in models for f in m.findings if f.suppressed is None]
    summary = Summary(
        models=len(models),
        failed=sum(m.status == "failed" for m in models),
        layers=sum(len(m.layers) for m in models),
        findings=len(found),
        errors=sum(f.severity is Severity.ERROR for f in found),
        warnings=sum(f.severity is Severity.WARNING for f in found),
        infos=sum(f.severity is Severity.INFO for f in found),
        suppressed=sum(len(m.findings) for m in models) - len(found),
        new=sum(f.baseline == "new" for f in found),
        known=sum(f.baseline == "known" for f in found),
        exit_code=2 if any(m.status == "failed" for m in models) else int(bool(found)),
    )
    tool = Tool("convlint", "0.1.0")
    return RunReport(SCHEMA_VERSION, tool, models, summary, "generic", RULES)
