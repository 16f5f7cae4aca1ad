"""The HTML report in a real browser: read, sorted, filtered, switched, folded, copied."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from convlint_reports.html import render

from convlint.contract import Check, RunReport, Step, View
from tests.reports import hostile, sample

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")

Open = Callable[..., "sync_api.Page"]
ROWS = ".layers tbody tr"


def steps(model):
    """The model with the exact rewrite it was counted with, and what became of its rules."""
    step = Step("CL401", "pool-after-pointwise", ("layer4.0.downsample.0",), model.after.exact)
    return msgspec.structs.replace(
        model, steps=(step,), checks=(Check("CL301", 16), Check("CL406", 5), Check("CL501", 0))
    )


RUNS = {
    "resnet": sample.run(steps(sample.resnet())),
    "many": sample.run(steps(sample.resnet()), sample.failed(), sample.clean()),
    "failed": sample.run(sample.failed()),
    "hostile": hostile.run(),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    """Debian's Chromium."""
    flags = ["--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*flags, *(["--no-sandbox"] if os.getuid() == 0 else [])]
        )
        yield started
        started.close()


@pytest.fixture
def show(browser: sync_api.Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a report from disk; afterwards there was no dialog, no error and no request."""
    faults: list[str] = []
    contexts = []

    def opened(run: RunReport, width: int = 1280, text: str = "", **how: object) -> sync_api.Page:
        file = tmp_path / "report.html"
        file.write_text(text or render(run, View()), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, **how)
        contexts.append(context)
        page = context.new_page()
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda word: faults.append(f"{word.type}: {word.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: sent.url == file.as_uri() or faults.append(sent.url))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def shown(page: sync_api.Page, css: str) -> list[str]:
    """The text of what is visible of a selector, in order."""
    return [x.inner_text().strip() for x in page.locator(css).all() if x.is_visible()]


def drawn(page: sync_api.Page) -> None:
    """Scroll to the first picture and wait for it."""
    page.locator(".picture").first.scroll_into_view_if_needed()
    page.wait_for_selector(".strip-chart canvas")


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", [360, 1600])
def test_opens_at_any_width(show: Open, name: str, width: int) -> None:
    """No dialog, no error, no request, and nothing wider than the window."""
    page = show(RUNS[name], width)
    if name != "failed":
        drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").is_visible()


def test_layers_sort_by_a_column_and_back(show: Open) -> None:
    """Largest first, then smallest first, then the order of execution."""
    page = show(RUNS["resnet"])
    page.locator("input.fold").uncheck()
    before = shown(page, f"{ROWS} th")
    assert len(before) == 54 and before[0] == "conv1"
    head = page.locator(".layers thead th").nth(3)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    params = {x.module: x.params for x in sample.resnet_layers()}
    ranked = shown(page, f"{ROWS} th")
    assert [params[name] for name in ranked] == sorted(params.values(), reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [params[name] for name in shown(page, f"{ROWS} th")] == sorted(params.values())
    head.locator("button").click()
    assert head.get_attribute("aria-sort") is None
    assert shown(page, f"{ROWS} th") == before


def test_layers_are_found_by_any_word(show: Open) -> None:
    """A module, a kind or the code of a finding."""
    page = show(RUNS["resnet"])
    page.locator("input.fold").uncheck()
    search = page.get_by_label("Filter")
    search.fill("CL301")
    assert len(shown(page, ROWS)) == 16
    assert page.locator(".shown").inner_text() == "16 of 54 layers"
    search.fill("linear")
    assert shown(page, f"{ROWS} th") == ["fc"]
    search.fill("nothing such")
    assert shown(page, ROWS) == []


def test_repeated_blocks_fold_into_sums(show: Open) -> None:
    """One row for blocks built alike, with their sum; it opens to its members."""
    page = show(RUNS["resnet"])
    row = page.locator(ROWS, has_text="layer3.1-5.conv2 x5")
    assert row.locator("td").nth(2).inner_text() == "2.95 M"
    assert "layer3.3.conv2" not in shown(page, f"{ROWS} th")
    row.get_by_role("button").click()
    names = shown(page, f"{ROWS} th")
    at = names.index("layer3.1-5.conv2 x5")
    assert names[at + 1 : at + 6] == [f"layer3.{i}.conv2" for i in range(1, 6)]
    assert row.get_by_role("button").get_attribute("aria-expanded") == "true"
    row.get_by_role("button").click()
    assert "layer3.3.conv2" not in shown(page, f"{ROWS} th")


def test_findings_filter_by_what_they_save(show: Open) -> None:
    """Only what saves it, by how much of it; sections without any go."""
    page = show(RUNS["resnet"])
    assert shown(page, ".findings h4") == [
        "CL401 pool-after-pointwise", "CL301 dense-conv", "CL501 misaligned-channels",
    ]  # fmt: skip
    page.get_by_label("Params 1").check()
    assert shown(page, ".findings h4") == ["CL301 dense-conv"]
    assert shown(page, ".findings .gain") == ["−9.86 M params (−38.6\u00a0%)"]
    page.get_by_label("Everything").check()
    assert len(shown(page, ".findings h4")) == 3
    assert shown(page, ".findings .gain")[0] == "−77.1 MMACs (−1.9\u00a0%)"


def test_pictures_switch_their_quantity(show: Open) -> None:
    """Another quantity and another track draw another picture."""
    page = show(RUNS["resnet"])
    drawn(page)
    seen = {page.locator(".map-chart").screenshot()}
    for label in ("Params", "Activation bytes"):
        page.locator(".picture").get_by_label(label, exact=True).check()
        seen.add(page.locator(".map-chart").screenshot())
    assert len(seen) == 3
    strip = page.locator(".strip-chart").screenshot()
    page.get_by_label("Receptive field").check()
    assert page.locator(".strip-chart").screenshot() != strip


def test_a_layer_in_the_map_leads_to_its_finding_or_its_row(show: Open) -> None:
    """A click on a tile goes where more is said."""
    page = show(RUNS["resnet"])
    drawn(page)
    box = page.locator(".map-chart").bounding_box()
    places = [(x / 9, y / 7) for x in range(1, 9) for y in range(1, 7)]
    for across, down in places:
        page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
        page.evaluate("document.querySelector('.picture').scrollIntoView()")
        box = page.locator(".map-chart").bounding_box()
        if page.evaluate("location.hash") and page.evaluate(
            "document.activeElement.tagName == 'TR'"
        ):
            break
    assert page.evaluate("location.hash") in {"#m1-f1", "#m1-f2"}
    assert page.evaluate("document.activeElement.tagName") == "TR"


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_table_is_copied_as_csv(show: Open, clipboard: bool) -> None:
    """All digits, every layer, quoted; with or without the clipboard's own interface."""
    page = show(RUNS["resnet"], permissions=["clipboard-read", "clipboard-write"])
    if not clipboard:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error()); }")
    page.get_by_role("button", name="Copy CSV").click()
    page.wait_for_function("document.querySelector('.toast').textContent")
    assert page.locator(".toast").inner_text() == "Copied 54 layers as CSV"
    text = page.evaluate("navigator.clipboard.readText()")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["module"] for row in rows] == [x.module for x in sample.resnet_layers()]
    assert [int(row["macs"]) for row in rows] == [x.macs for x in sample.resnet_layers()]


def test_csv_of_hostile_names_runs_nothing_in_a_spreadsheet(show: Open) -> None:
    """A cell that begins like a formula is text."""
    layers = (hostile.layer('=HYPERLINK("x")'), hostile.layer('a,"b'))
    model = msgspec.structs.replace(sample.resnet(), layers=layers)
    page = show(sample.run(model), permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy CSV").click()
    page.wait_for_function("document.querySelector('.toast').textContent")
    rows = list(csv.reader(io.StringIO(page.evaluate("navigator.clipboard.readText()"))))
    assert [row[0] for row in rows] == ["module", '\'=HYPERLINK("x")', 'a,"b']


def test_the_suppress_comment_is_copied(show: Open) -> None:
    """Exactly what has to stand on the line."""
    page = show(RUNS["resnet"], permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy # convlint: ignore[CL401] reason").click()
    page.wait_for_function("document.querySelector('.toast').textContent")
    assert page.evaluate("navigator.clipboard.readText()") == "# convlint: ignore[CL401] reason"


def test_dark_mode_follows_the_system_while_open(show: Open) -> None:
    """Page and pictures change with it."""
    page = show(RUNS["resnet"], color_scheme="light")
    drawn(page)
    color = "getComputedStyle(document.body).backgroundColor"
    light, picture = page.evaluate(color), page.locator(".map-chart").screenshot()
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(color) != light
    assert page.locator(".map-chart").screenshot() != picture


def test_everything_is_there_without_scripts(show: Open) -> None:
    """Tables and the picture as they are; no control that would do nothing."""
    page = show(RUNS["resnet"], java_script_enabled=False)
    for css in (".totals", ".waterfall table", "svg.map", "svg.strip", "svg.levels"):
        assert page.locator(css).is_visible(), css
    assert page.locator(ROWS).count() == 54 and page.locator(ROWS).last.is_visible()
    assert page.locator(".card").first.is_visible()
    for css in ("button", "input", ".chart"):
        assert not any(x.is_visible() for x in page.locator(css).all()), css


def test_what_is_folded_opens_with_the_keyboard(show: Open) -> None:
    """Tab leads through every control; Enter, space and arrows work them."""
    page = show(RUNS["resnet"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(e => e.tagName + '.' + (e.className || e.type || ''))(document.activeElement)"
        )
        reached.add(name)
        if name == "INPUT.radio" and "filtered" not in reached:
            page.keyboard.press("ArrowRight")
            reached.add("filtered")
            assert "CL501 misaligned-channels" not in shown(page, ".findings h4")
        if name == "BUTTON.sort" and "sorted" not in reached:
            page.keyboard.press("Enter")
            reached.add("sorted")
            assert page.locator("th[aria-sort]").count() == 1
        if name == "BUTTON.opener" and "opened" not in reached:
            page.keyboard.press("Enter")
            reached.add("opened")
            assert page.locator("tr.member").count() == 2
        if name == "SUMMARY." and "unfolded" not in reached:
            page.keyboard.press("Enter")
            reached.add("unfolded")
            assert page.locator("details[open]").count() == 1
            break
    wanted = {"filtered", "sorted", "opened", "unfolded", "BUTTON.copier", "BUTTON.csv",
              "INPUT.search", "INPUT.fold", "DIV.wide tall"}  # fmt: skip
    assert wanted <= reached, wanted - reached


def test_prints_the_still_pictures_and_all_layers(show: Open) -> None:
    """On paper there are no controls, nothing is folded away or cut off."""
    page = show(RUNS["resnet"])
    drawn(page)
    page.emulate_media(media="print")
    assert page.locator("svg.map").is_visible()
    for css in (".chart", ".tools", ".filter", ".copier"):
        assert not any(x.is_visible() for x in page.locator(css).all()), css
    height = "(e => e.scrollHeight - e.clientHeight)(document.querySelector('.tall'))"
    assert page.evaluate(height) <= 1
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["resnet", "many", "failed", "hostile"])
def test_axe_finds_no_violation(show: Open, name: str, width: int, scheme: str) -> None:
    """Everything open, as it is read aloud, by keyboard and by colour."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is missing")
    run = RUNS[name]
    if name == "hostile":
        run = msgspec.structs.replace(run, models=run.models[:3])
    page = show(run, width, color_scheme=scheme)
    if name != "failed":
        drawn(page)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    told = [(x["id"], [n["html"][:160] for n in x["nodes"]][:3]) for x in found]
    assert told == []
