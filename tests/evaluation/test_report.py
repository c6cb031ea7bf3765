"""The results page as data: what is written can be read again, and what cannot be shown is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from omnibind_core.errors import ReportError
from omnibind_core.evaluation.report import Chart, Report, Section, put_section, read_report, table, write_report
from omnibind_core.evaluation.retrieval import measure, section
from omnibind_core.store.paths import assets_directory

CHART = Chart("task", "R@1", "from", "to", "chance")
BARS = Section(
    "Pictures",
    "Held *out*.",
    ["task", "n", "chance", "R@1", "from", "to", "R@5"],
    [["a -> b", 12, 0.5, 23.61, 18.0, 29.6, "47.3 (40.4-54.2)"], ["c | d", 7, 0.5, "", "", "", "-"]],
    CHART,
)
PLAIN = Section("Words", "", ["what", "how much"], [["x", 1.25]])
REPORT = Report("mini", "2026-11-24", "make eval", [BARS, PLAIN])


def test_a_report_comes_back_as_it_was_written(tmp_path):
    write_report(REPORT, tmp_path / "results.md", tmp_path / "results.json")
    read = read_report(tmp_path / "results.json")
    assert read.to_json() == REPORT.to_json()
    assert read.sections[0].chart == CHART
    assert read.sections[1].chart is None
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == REPORT.to_markdown()


def test_the_data_have_the_agreed_form():
    found = json.loads(REPORT.to_json())
    assert list(found) == ["preset", "date", "command", "sections"]
    assert list(found["sections"][0]) == ["title", "text", "columns", "rows", "chart"]
    assert found["sections"][0]["chart"] == {
        "label": "task", "value": "R@1", "low": "from", "high": "to", "chance": "chance", "kind": "bars",
    }  # fmt: skip
    assert found["sections"][1]["chart"] is None


def test_the_page_shows_an_interval_behind_its_value():
    page = REPORT.to_markdown()
    assert "# Results of `mini`\n\nWritten by `make eval` on 2026-11-24.\n" in page
    assert "| task | n | chance | R@1 | R@5 |\n| --- | --- | --- | --- | --- |\n" in page
    assert "| a -> b | 12 | 0.5 | 23.6 (18.0-29.6) | 47.3 (40.4-54.2) |" in page
    assert r"| c \| d | 7 | 0.5 |  | - |" in page, "a bar inside a cell would end it"


def test_measured_rows_become_a_section():
    queries = np.eye(3, dtype=np.float32)
    row = measure("a -> b", queries, queries[[0, 1, 2]], np.eye(3, dtype=bool))
    made = section("Title", "Text", [row])
    assert made.column("R@1") == [100.0]
    assert made.column("chance") == [33.3]
    assert made.shown()[1][0][:5] == ["a -> b", "3", "3", "33.3", "100.0 (100.0-100.0)"]


@pytest.mark.parametrize(
    ("columns", "rows", "chart", "told"),
    [
        (["a", "b"], [["x"]], None, "2 texts or finite numbers"),
        (["a", "b"], [["x", float("nan")]], None, "finite"),
        (["a", "b"], [["x", None]], None, "finite"),
        (["a", "b"], [["x", True]], None, "finite"),
        (["a", "a"], [], None, "different columns"),
        (["a", "b"], [["x", 1]], Chart("a", "c"), "out of"),
        (["a", "b"], [["x", 1]], Chart("a", "b", low="b"), "both ends"),
        (["a", "b"], [["x", "1 (0-2)"]], Chart("a", "b"), "numbers"),
        (["a", "b"], [["x", 1]], Chart("a", "b", kind="pie"), "kind 'pie'"),
    ],
)
def test_what_cannot_be_shown_is_refused(columns, rows, chart, told):
    with pytest.raises(ReportError, match=told):
        Section("t", "", columns, rows, chart)


def change(path, value):
    """The report's JSON with one part replaced."""
    whole = json.loads(REPORT.to_json())
    part = whole
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "not JSON"),
        ("[]", "another form"),
        ("{}", "another form"),
        (change(["preset"], 3), "not a text"),
        (change(["sections", 0, "rows", 0], ["x"]), "7 texts or finite numbers"),
        (change(["sections", 0, "chart", "value"], "nothing"), "out of"),
        (change(["sections", 0, "chart"], {"pie": 1}), "another form"),
        (change(["sections", 0, "chart", "kind"], "pie"), "kind 'pie'"),
        (change(["sections", 0, "rows"], 5), "another form"),
        (change(["sections", 0], {}), "another form"),
    ],
)
def test_damaged_data_are_explained(tmp_path, content, told):
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError, match=told) as caught:
        read_report(path)
    assert "make eval" in caught.value.action
    assert str(path) in caught.value.given


def test_a_missing_file_is_explained(tmp_path):
    with pytest.raises(ReportError, match="no results at"):
        read_report(tmp_path / "nothing.json")


def test_the_committed_figures_can_be_read():
    assert read_report(assets_directory() / "results.json").sections


def test_tables_round_numbers_and_keep_counts():
    assert table(["a", "b"], [[1, 2.345]]).splitlines()[-1] == "| 1 | 2.3 |"


def test_one_section_takes_the_place_before_the_last(tmp_path):
    page, data = tmp_path / "page.md", tmp_path / "page.json"
    sections = [Section(title, "", ["n"], [[1]]) for title in ("first", "measured again", "last")]
    write_report(Report("mini", "2026-01-01", "make eval", sections), page, data)
    put_section(Section("measured again", "anew", ["n"], [[2]]), page, data)
    found = read_report(data).sections
    assert [one.title for one in found] == ["first", "measured again", "last"]
    assert found[1].rows == [[2]]
    assert "anew" in page.read_text(encoding="utf-8")
