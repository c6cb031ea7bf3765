"""The results tab: figures drawn to scale, told in words too, escaped; a page without figures says what to do."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from demo.html import charts
from demo.shell.examples import Examples
from demo.tabs import results
from omnibind_core.evaluation.report import Chart, Report, Section, write_report

from ..html.test_cards import EVIL, Checker

CHART = Chart("task", "R@1", "from", "to", "chance")
COLUMNS = ["task", "R@1", "from", "to", "chance", "R@5"]
BARS = Section(
    "Pictures -> names",
    "Some **words**.",
    COLUMNS,
    [["sounds -> label", 50.0, 40.0, 65.0, 5, "80.0 (70.0-90.0)"], ["shapes -> picture", "", "", "", "", "-"]],
    CHART,
)


def shares(html: str, tag: str) -> list[str]:
    return re.findall(rf'<{tag} style="([^"]*)"', html)


def test_bars_whiskers_and_chance_are_drawn_to_scale() -> None:
    html = charts.chart(BARS)
    Checker(html)
    assert shares(html, "b") == ["width:50.00%"]
    assert shares(html, "s") == ["left:40.00%;width:25.00%"]
    assert shares(html, "u") == ["left:5.00%"]


def test_what_is_drawn_is_told_in_words_too() -> None:
    text = re.sub("<[^>]+>", " ", charts.chart(BARS))
    assert "sounds → label" in text
    assert "50.0" in text
    assert "(40.0–65.0), chance 5.0" in text
    assert "shapes → picture" in text, "a row that was not measured is still listed"


def test_a_bar_has_the_colour_of_what_is_asked_with() -> None:
    html = charts.chart(BARS)
    assert 'class="ob-bar-row ob-audio"' in html
    rows = [["sum", 1, 0, 2, 0, "-"], ["names -> picture", 1, 0, 2, 0, "-"]]
    html = charts.chart(Section("t", "", COLUMNS, rows, CHART))
    assert 'class="ob-bar-row"' in html
    assert 'class="ob-bar-row ob-text"' in html


@pytest.mark.parametrize(("most", "end"), [(35, 100), (100, 100), (12, 20), (0.3, 0.4), (340, 400), (0, 1e-9)])
def test_scales_end_at_round_numbers_and_percentages_compare(most: float, end: float) -> None:
    assert charts._scale(most) == pytest.approx(end)


def test_a_chart_without_intervals_or_chance_has_bars_alone() -> None:
    html = charts.chart(Section("t", "", ["a", "b"], [["x", 3]], Chart("a", "b")))
    assert shares(html, "b") and not shares(html, "s") and not shares(html, "u")
    assert charts.chart(Section("t", "", ["a", "b"], [["x", 3]])) == ""


def test_tables_scroll_in_their_own_box_and_line_numbers_up() -> None:
    html = charts.table(BARS)
    Checker(html)
    assert '<div class="ob-scroll" role="region" tabindex="0"' in html
    assert html.startswith("<details"), "beside a chart it is folded away"
    assert '<th scope="row">sounds → label</th><td class="ob-num">50.0 (40.0-65.0)</td>' in html
    words = charts.table(Section("t", "", ["a", "b", "c"], [["x", "some words", 3]]))
    assert words.startswith('<div class="ob-scroll"')
    assert '<td>some words</td><td class="ob-num">3</td>' in words


def test_nothing_that_a_report_says_becomes_a_tag() -> None:
    evil = Section(EVIL, EVIL, [EVIL, "v"], [[EVIL, 1.0]], Chart(EVIL, "v"))
    report = Report(EVIL, EVIL, EVIL, [evil])
    pages = [
        charts.introduction(report, EVIL + "2"),
        charts.missing(EVIL, EVIL),
        charts.heading(evil),
        charts.chart(evil),
        charts.table(evil),
    ]
    for page in pages:
        assert "<img" not in page
        assert "onerror" not in {name for _, name, _ in Checker(page).attributes}


def test_figures_of_another_preset_say_so() -> None:
    report = Report("mini", "2026-11-24", "make eval", [])
    assert "do not describe" not in charts.introduction(report, "mini")
    assert "<b>base</b>, which they do not describe" in charts.introduction(report, "base")


def built(folder: Path) -> list[Any]:
    """Components of the tab of a service whose gallery lies in this folder."""
    service: Any = SimpleNamespace(folder=folder / "gallery", settings=SimpleNamespace(preset="mini"))

    async def make() -> gr.Blocks:  # where no loop runs, gradio makes a few and never closes them
        with gr.Blocks() as page:
            results.build(service, Examples())
        return page

    page = asyncio.run(make())
    return [block for block in page.blocks.values() if isinstance(block, (gr.HTML, gr.Markdown))]


def test_the_tab_shows_every_section(tmp_path: Path) -> None:
    plain = Section("Only a table", "", ["a", "b"], [["x", 3]])
    write_report(Report("mini", "2026-11-24", "make eval", [BARS, plain]), data=tmp_path / "results.json")
    values = [str(block.value) for block in built(tmp_path)]
    assert len(values) == 1 + 4 + 2
    assert "How good is it?" in values[0]
    assert "Some **words**." in values
    assert "<h3>Only a table</h3>" in values


@pytest.mark.parametrize("content", [None, "{}"])
def test_without_figures_the_tab_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    values = [str(block.value) for block in built(tmp_path)]
    assert len(values) == 1
    assert "<code>make eval</code>" in values[0]
