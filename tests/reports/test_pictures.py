"""The SVG and the badge: valid, self-contained, deaf to hostile names."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import msgspec
import pytest
from convlint_reports import badge, svg

from convlint.contract import View
from tests.reports import hostile, sample

SVG = "{http://www.w3.org/2000/svg}"
COLORS = {"red", "yellow", "blue", "brightgreen"}


def drawn(*models) -> ElementTree.Element:
    """The SVG of models, parsed."""
    return ElementTree.fromstring(svg.render(sample.run(*models), View()).encode())


def test_the_svg_stands_alone_and_shows_every_layer() -> None:
    """Both pictures of each model, one below the other, on a ground of their own."""
    root = drawn(sample.resnet(), sample.clean())
    assert root.tag == f"{SVG}svg" and root.get("viewBox") == f"0 0 1160 {root.get('height')}"
    classes = [rect.get("class", "") for rect in root.iter(f"{SVG}rect")]
    layers = sum(x.macs > 0 for x in (*sample.resnet().layers, *sample.clean().layers))
    assert sum(name.split()[0] == "bar" for name in classes if name) == layers
    assert sum(name == "tile retrain" for name in classes) == 16 + 1
    words = "".join(root.itertext())
    assert "nets/resnet.py:ResNet50" in words and "4.09 GMACs · 3 findings" in words
    assert "nets/small.py:Small" in words


def test_the_svg_loads_and_runs_nothing() -> None:
    """No script, no link, no picture from elsewhere."""
    text = svg.render(hostile.run(), View())
    root = ElementTree.fromstring(text.encode())
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "style", "defs", "pattern", "rect", "path", "text"}
    for element in root.iter():
        assert not any(name.startswith("on") or "href" in name for name in element.attrib)
    assert not re.search(r"url\((?!#)|@import", text)


@pytest.mark.parametrize("name", hostile.NAMES, ids=range(len(hostile.NAMES)))
def test_hostile_name_is_only_text_in_the_svg(name: str) -> None:
    """The same elements as with a plain name."""
    plain, odd = drawn(hostile.model("plain")), drawn(hostile.model(name))
    assert {e.tag for e in odd.iter()} == {e.tag for e in plain.iter()}


def test_models_without_layers_have_a_line_each() -> None:
    """A failed model says so; no model at all is an empty picture."""
    assert "could not be read" in "".join(drawn(sample.failed()).itertext())
    assert drawn().tag == f"{SVG}svg"


def endpoint(*models) -> dict[str, object]:
    """The badge as shields.io reads it: exactly these keys, of these types."""
    found = json.loads(badge.render(sample.run(*models), View()))
    assert {"schemaVersion", "label", "message", "color"} <= set(found)
    assert set(found) <= {"schemaVersion", "label", "message", "color", "isError"}
    assert found["schemaVersion"] == 1 and found["color"] in COLORS
    return found


def test_the_badge_says_the_cost_and_what_comes_for_nothing() -> None:
    """One model: its MACs and the exact saving."""
    assert endpoint(sample.resnet())["message"] == "4.09 GMACs, −1.9 % exactly"
    assert endpoint(sample.clean()) == {
        "schemaVersion": 1,
        "label": "convlint",
        "message": "3.33 MMACs, nothing to save",
        "color": "brightgreen",
    }


def test_the_badge_of_failed_and_of_many_models() -> None:
    """What could not be read is an error; many models are counted."""
    failed = endpoint(sample.failed(), sample.clean())
    assert (failed["message"], failed["isError"]) == ("1 model could not be read", True)
    assert endpoint(sample.resnet(), sample.clean())["message"] == "2 models, 3 findings"


def test_the_badge_color_is_the_worst_level() -> None:
    """Yellow for warnings, blue for notes alone."""
    assert endpoint(sample.resnet())["color"] == "yellow"
    noted = msgspec.structs.replace(sample.resnet(), findings=(sample.ALIGN,))
    assert endpoint(noted)["color"] == "blue"
