"""Names a user's code can hold, each made to break out of some report."""

from __future__ import annotations

import msgspec

from convlint.contract import Finding, Layer, ModelReport, RunReport, SnippetLine
from convlint.ir.nodes import SourceSpan
from tests.reports import sample

NAMES = (
    "<script>alert(1)</script>",
    "</title><script>alert(2)</script>",
    "</style><img src=x onerror=alert(3)>",
    "</svg><iframe src='https://evil.example/'></iframe>",
    '" onmouseover="alert(4)" x=\'',
    "a`b``c```d",
    "```\n# heading\n```",
    "x | y \\| z |",
    "]]><!-- -->",
    "line\nbreak\r\nnext",
    "\x1b[31mred\x1b[0m\x07",
    "abc\u202edcb\u2066x\u200b\u2028",
    "{{ 7 * 7 }}{% raw %}",
    "[click](https://evil.example) www.evil.example @someone #1",
    "**bold** __b__ ~~s~~ ![i](https://evil.example/i.png)",
    "</details></summary></table>",
    "\ud800 lone surrogate",
    "N" * 10_000,
)


def layer(name: str) -> Layer:
    """A layer whose every word is the name."""
    plain = sample.conv("x", 8, 8, 3, 8, 3, 3)
    at = SourceSpan(name, 3, 5, 3, 9)
    return msgspec.structs.replace(plain, module=name, kind=name, location=at)


def finding(name: str) -> Finding:
    """A finding whose every word is the name."""
    return msgspec.structs.replace(
        sample.DENSE,
        name=name,
        message=name,
        modules=(name,),
        module_groups=(name,),
        location=SourceSpan(name, 3, 5, 3, 9),
        instead=name,
        risk=name,
        snippet=(SnippetLine(3, "    " + name),),
        alternatives=(sample.Alternative(name, sample.Saving(1000)),),
        related=(sample.Related(name, 3, name),),
    )


def model(name: str) -> ModelReport:
    """A model that is called so, all through."""
    return msgspec.structs.replace(
        sample.resnet(),
        target=name,
        expression=name,
        inputs=(sample.InputSpec((1, 3, 8, 8), name, name, "example", SourceSpan(name, 1)),),
        layers=(layer(name), layer("x." + name)),
        findings=(finding(name), msgspec.structs.replace(finding(name), suppressed=name)),
        refusals=(sample.Refused("CL301", name, name, name),),
        diagnostics=(sample.Diagnostic("CL901", name, "error", SourceSpan(name, 2)),),
    )


def run() -> RunReport:
    """One model a name."""
    report = sample.run(*(model(name) for name in NAMES))
    tool = sample.Tool("convlint", NAMES[0])
    rules = tuple(sample.RuleInfo("CL301", name, name, True) for name in NAMES)
    return msgspec.structs.replace(report, tool=tool, profile=NAMES[1], rules=rules)
