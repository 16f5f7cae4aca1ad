"""The HTML report: complete, self-contained, and deaf to hostile names."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import msgspec
import pytest
from convlint_reports._templates import FOLDER
from convlint_reports.html import render

from convlint.contract import Check, RuleInfo, RunReport, Step, View
from tests.reports import hostile, sample
from tests.reports.pages import body, read

RUNS = {
    "resnet": sample.run(sample.resnet()),
    "all": sample.run(sample.resnet(), sample.failed(), sample.clean()),
    "failed": sample.run(sample.failed()),
    "none": sample.run(),
    "hostile": hostile.run(),
}


@pytest.fixture(params=RUNS)
def run(request: pytest.FixtureRequest) -> RunReport:
    """Each of the runs."""
    return RUNS[request.param]


def test_tags_are_balanced(run: RunReport) -> None:
    """Tags are balanced."""
    reading = read(render(run, View()))
    assert reading.faults == [] and reading.open == []


def test_nothing_is_loaded(run: RunReport) -> None:
    """Nothing is loaded, and no attribute runs anything."""
    page = render(run, View())
    reading = read(page)
    assert not reading.tags & {"link", "img", "iframe", "object", "base", "form"}
    for tag, name, value in reading.attributes:
        assert name not in {"src", "srcset", "style", "action", "data"}, (tag, name, value)
        assert not name.startswith("on")
        assert name not in {"href", "xlink:href"} or re.fullmatch(r"#(content|m\d+(-f\d+)?)", value)
    css = page.split("<style>")[1].split("</style>")[0]
    assert "@import" not in css and not re.search(r"url\((?!#)", css)
    assert "http://" not in page.replace(body(page), "") and "import(" not in page


def test_anchors_are_unique_and_lead_somewhere(run: RunReport) -> None:
    """Anchors are unique and lead somewhere."""
    reading = read(render(run, View()))
    ids = [value for _, name, value in reading.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, name, value in reading.attributes if name == "href"}
    named = {v for _, n, v in reading.attributes if n == "aria-labelledby"}
    assert targets | named <= set(ids)


def test_policy_allows_exactly_the_style_sheet_and_the_scripts() -> None:
    """Policy allows exactly the style sheet and the scripts of convlint itself."""
    page = render(RUNS["resnet"], View())
    css = page.split("<style>")[1].split("</style>")[0]
    policy = next(v for t, n, v in read(page).attributes if t == "meta" and "default-src" in v)
    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    assert len(scripts) == 3
    allowed = " ".join(f"'{digest(script)}'" for script in scripts)
    assert policy.startswith(
        f"default-src 'none'; style-src '{digest(css)}'; script-src {allowed}; img-src data:;"
    )
    assert "unsafe" not in policy


def digest(text: str) -> str:
    """The hash of an inline element as the policy writes it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def test_scripts_are_left_out_where_nothing_is_drawn() -> None:
    """A page without layers carries no charts."""
    assert len(render(RUNS["failed"], View())) < 60_000


@pytest.mark.parametrize("name", hostile.NAMES, ids=range(len(hostile.NAMES)))
def test_hostile_name_is_only_text(name: str) -> None:
    """Hostile name is only text."""
    plain = read(render(sample.run(hostile.model("plain")), View()))
    page = render(sample.run(hostile.model(name)), View())
    reading = read(page)
    assert reading.tags == plain.tags
    assert {(t, n) for t, n, _ in reading.attributes} == {(t, n) for t, n, _ in plain.attributes}
    assert reading.faults == [] and reading.open == []
    for script in reading.scripts[:-3]:
        assert "<" not in script
        assert set(json.loads(script)) >= {"names", "macs", "folds"}
    assert not re.search(
        r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", body(page)
    )
    assert "N" * 5000 not in page
    page.encode()


def test_everything_is_said() -> None:
    """Everything is said."""
    text = read(render(RUNS["all"], View())).text
    for words in (
        "3 findings in 3 models, 1 could not be read",
        "4.09 G",
        "2.38 G",
        "−41.7\u00a0%",
        "+50.0\u00a0%",
        "Exact",
        "Needs retraining",
        "Hardware notes",
        "nets/resnet.py:86:22",
        "nn.Conv2d(width, width, 3, stride, 1, bias=False)",
        "layer*.*.conv2 x16",
        "grouped 3x3, 4 groups: saves 1.38 GMACs",
        "groups=width",
        "typical cost 1 point of top-1",
        "# convlint: ignore[CL301] reason",
        "convlint why layer1.0.conv2 nets/resnet.py:ResNet50",
        "1×3×224×224 float32, inferred: an assumption",
        "the stem: 3 input channels, limit 4",
        "weights are shared with the old head",
        "mat1 and mat2 shapes cannot be multiplied",
        "∞",
        "FLOPs = 2 × MACs",
        "pool-after-pointwise",
    ):
        assert words in text, words


def test_layers_with_findings_are_marked_in_the_picture() -> None:
    """Layers with findings are marked in the picture."""
    page = render(RUNS["resnet"], View())
    marks = [v for t, n, v in read(page).attributes if (t, n) == ("rect", "class")]
    assert marks.count("bar retrain") == 16 and marks.count("bar exact") == 1
    assert marks.count("tile retrain") == 16 + 1


def test_partial_and_unknown_states_are_shown_as_they_are() -> None:
    """Partial and unknown states are shown as they are."""
    model = msgspec.structs.replace(sample.clean(), status='odd" x="')
    assert 'class="badge unknown"' in render(sample.run(model), View())


def test_500_layers_stay_under_two_megabytes() -> None:
    """500 layers stay under two megabytes."""
    layers = tuple(
        sample.conv(f"backbone.stages.{i // 50}.blocks.{i}.convolution", 64, 64, 3, 56, 84, i)
        for i in range(500)
    )
    model = msgspec.structs.replace(sample.resnet(), layers=layers)
    assert len(render(sample.run(model), View()).encode()) < 2_000_000


def test_sections_stand_in_their_order() -> None:
    """Verdict, totals, findings, steps, map, layers, checks, refusals, assumptions."""
    model = msgspec.structs.replace(
        sample.resnet(),
        steps=(Step("CL401", "pool-after-pointwise", ("a",), sample.totals(4012214272, 25556968)),),
        checks=(Check("CL301", 16), Check("CL401", 1), Check("CL406", 5), Check("CL501", 0, True)),
    )
    rules = (*sample.RULES, RuleInfo("CL999", "odd-rule", "what is odd", True))
    page = render(msgspec.structs.replace(sample.run(model), rules=rules), View())
    text = read(page).text
    order = (
        "4.09 GMACs · 3 findings", "After exact rewrites", "Show what saves", "Exact",
        "Needs retraining", "Hardware notes", "From now to all exact rewrites",
        "Where the cost is", "Cost by layer", "Failed to run", "Checked and passed",
        "Left alone, with the reason", "Suppressed or known", "Assumptions",
    )  # fmt: skip
    places = [text.index(words) for words in order[:3]]
    for words in order[3:]:
        places.append(text.index(words, places[-1]))
    assert places == sorted(places)


def test_base_and_limits_are_told() -> None:
    """The change since the base, the limits with what the exact rewrites reach."""
    run = msgspec.structs.replace(sample.run(sample.limited()), base="main")
    text = read(render(run, View())).text
    assert (
        "4.09 GMACs (+2.2\u00a0% vs main) · over budget 4 GMACs by 89.3 MMACs · budget 30" in text
    )
    assert "Now, vs main" in text
    assert "over by 89.3 MMACs; not reached by exact rewrites alone" in text
    assert text.index("max-macs") < text.index("max-params")


def test_templates_only_loop() -> None:
    """Templates hold no logic: whatever is optional is a list of none or one."""
    for template in FOLDER.glob("*.j2"):
        text = template.read_text(encoding="utf-8")
        words = set(re.findall(r"{%-?\s*(\w+)", text))
        assert words <= {"for", "endfor", "include"}, (template.name, words)
        assert not re.search(r"{{[^}]*\b(if|else)\b", text), template.name
