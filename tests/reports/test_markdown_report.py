"""The Markdown report: bounded, and hostile names are only text."""

from __future__ import annotations

import re

import msgspec
import pytest
from convlint_reports import _markup
from convlint_reports.markdown import LIMIT, render
from markdown_it import MarkdownIt

from convlint.contract import Step, View
from tests.reports import hostile, sample
from tests.reports.pages import read

ALLOWED = {
    "h2",
    "h3",
    "p",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "code",
    "pre",
    "details",
    "summary",
    "strong",
    "ul",
    "li",
}


def as_html(text: str) -> str:
    """Markdown with tables, as HTML."""
    return MarkdownIt("commonmark").enable("table").render(text)


def test_everything_is_said() -> None:
    """Everything is said."""
    text = render(sample.run(sample.resnet(), sample.failed()), View())
    assert text.startswith("## convlint: 3 findings in 2 models, 1 could not be read\n")
    assert "| MACs | 4.09 G | 4.01 G | −1.9\u00a0% | 2.38 G | −41.7\u00a0% |" in text
    assert "| `nets/resnet.py:86:22` | CL301 dense-conv | `layer*.*.conv2 x16` | 1.63 GMACs" in text
    assert "layer3  ██████████▊                     36.0 %" in text
    assert "mat1 and mat2 shapes cannot be multiplied" in text


@pytest.mark.parametrize("name", hostile.NAMES, ids=range(len(hostile.NAMES)))
def test_hostile_name_is_only_text(name: str) -> None:
    """Hostile name is only text."""
    text = render(sample.run(hostile.model(name)), View())
    reading = read(as_html(text))
    assert reading.tags <= ALLOWED, reading.tags - ALLOWED
    assert all(n in {"style", "class"} and "url" not in v for _, n, v in reading.attributes)
    assert reading.faults == [] and reading.open == []
    assert text.count("<details>") == text.count("</details>") or "details" in name
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", text
    )
    text.encode()


@pytest.mark.parametrize("name", hostile.NAMES, ids=range(len(hostile.NAMES)))
def test_every_row_keeps_its_columns(name: str) -> None:
    """Every row keeps its columns."""
    plain = read(as_html(render(sample.run(hostile.model("plain")), View())))
    odd = read(as_html(render(sample.run(hostile.model(name)), View())))
    assert odd.tags == plain.tags


def test_prose_makes_no_link_and_no_mention() -> None:
    """Prose makes no link and no mention."""
    assert _markup.prose("@me www.x.y http://z") == "@<!-- -->me www.<!-- -->x.y http:<!-- -->//z"


def test_code_holds_any_backticks() -> None:
    """Code holds any backticks."""
    for text in ("a`b", "`", "``x```", " ", "a|b"):
        html = as_html(_markup.code(text))
        assert read(html).text.rstrip("\n") == text


def test_under_the_limit_whatever_comes() -> None:
    """Under the limit whatever comes."""
    layers = tuple(
        sample.conv(f"backbone.stage.{i}.block.convolution", 64, 64, 3, 56, 84, i)
        for i in range(1200)
    )
    big = msgspec.structs.replace(
        sample.resnet(), layers=layers, findings=(sample.DENSE, sample.POOL) * 200
    )
    for run in (sample.run(big), sample.run(*[big] * 40), hostile.run()):
        text = render(run, View())
        assert len(text) < LIMIT
        reading = read(as_html(text))
        assert reading.faults == [] and reading.open == []
    text = render(sample.run(big), View())
    assert re.search(r"and \d+ more findings\.", text)
    assert re.search(r"and [\d,]+ more layers\.", text)


def test_hidden_models_are_counted() -> None:
    """Hidden models are counted."""
    text = render(sample.run(*[sample.resnet()] * 150), View())
    assert re.search(r"and \d+ more models\.", text)


BASE = "https://example.org/me/net/blob/main/"


def test_lines_are_links_below_the_base() -> None:
    """Path and line follow the base; without one there is no link."""
    linked = render(sample.run(sample.resnet()), View(link_base=BASE))
    assert f"[`nets/resnet.py:86:22`]({BASE}nets/resnet.py#L86)" in linked
    links = {v for t, n, v in read(as_html(linked)).attributes if (t, n) == ("a", "href")}
    assert links == {f"{BASE}nets/resnet.py#L86", f"{BASE}nets/resnet.py#L140"}
    assert "example.org" not in render(sample.run(sample.resnet()), View())
    assert "javascript" not in render(sample.run(sample.resnet()), View(link_base="javascript:x"))


@pytest.mark.parametrize("name", hostile.NAMES, ids=range(len(hostile.NAMES)))
def test_hostile_paths_stay_below_the_base(name: str) -> None:
    """A file name cannot end its link or begin another."""
    text = render(sample.run(hostile.model(name)), View(link_base=BASE))
    reading = read(as_html(text))
    assert reading.tags <= ALLOWED | {"a"} and reading.faults == []
    links = [v for t, n, v in reading.attributes if (t, n) == ("a", "href")]
    assert links and all(re.fullmatch(re.escape(BASE) + r"[\w%./~-]+#L3", v) for v in links)


def test_what_is_cut_is_counted() -> None:
    """A comment of GitHub holds 65,536 characters; findings and layers over it are counted."""
    findings = tuple(
        msgspec.structs.replace(sample.DENSE, fingerprint=str(i), message="m" * 900)
        for i in range(400)
    )
    text = render(sample.run(msgspec.structs.replace(sample.resnet(), findings=findings)), View())
    assert len(text) < LIMIT
    rows = text.count("| CL301 dense-conv |")
    assert f"and {400 - rows} more findings." in text


def test_base_and_limits_are_told() -> None:
    """Arrows at what changed since the base, the state of each limit."""
    run = msgspec.structs.replace(sample.run(sample.limited()), base="main")
    text = render(run, View())
    assert "| | Now, vs main |" in text and "| MACs | 4.09 G ↑ +2.2\u00a0% |" in text
    assert "| `max-macs` | 4 GMACs | 4.09 GMACs | 4.01 GMACs | over by 89.3 MMACs" in text


def test_the_exact_steps_are_a_table() -> None:
    """One row a rewrite, folded."""
    model = msgspec.structs.replace(
        sample.resnet(), steps=(Step("CL401", "pool", ("a",), sample.resnet().after.exact),)
    )
    text = render(sample.run(model), View())
    assert "| CL401 pool `a` | 4.01 G −1.9\u00a0% |" in text
