"""The tables of words: whole, of the right form, and all that the page reads."""

from __future__ import annotations

import ast
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from demo.html import charts
from demo.shell import words
from omnibind_core.evaluation.report import read_report
from omnibind_core.store.paths import assets_directory

SLOT = re.compile(r"\{#?(\d)\}")
TABLES = words.tables()


def test_there_is_chinese() -> None:
    assert TABLES["zh"]["name"] == "中文"
    assert len(TABLES["zh"]["words"]) > 500


@pytest.mark.parametrize("code", TABLES)
def test_a_table_names_its_language_and_no_word_is_empty(code: str) -> None:
    table = TABLES[code]
    assert table.keys() == {"name", "words"}
    assert table["name"].strip()
    for english, other in table["words"].items():
        forms = [other] if isinstance(other, str) else list(other.values())
        assert forms and all(form.strip() for form in forms), english
        assert english == " ".join(english.split()), f"{english!r} is looked up with single spaces"


@pytest.mark.parametrize("code", TABLES)
def test_what_a_pattern_catches_is_said(code: str) -> None:
    for english, other in TABLES[code]["words"].items():
        slots = SLOT.findall(english)
        assert slots == sorted(set(slots)), english
        for form in [other] if isinstance(other, str) else other.values():
            assert set(SLOT.findall(form)) == set(slots), english
        assert not slots or re.sub(r"\{#?\d\}", "", english).strip(" .,:") or "#" in english, (
            f"{english!r} would catch everything"
        )


def written(part: ast.expr) -> list[str]:
    """What an expression of a message can say, with `{}` where something is put in; nothing where it says no words."""
    if isinstance(part, ast.Constant) and isinstance(part.value, str):
        return [part.value]
    if isinstance(part, ast.FormattedValue):
        return written(part.value) if isinstance(part.value, ast.IfExp) else ["{}"]
    if isinstance(part, ast.IfExp):
        return [*written(part.body), *written(part.orelse)]
    if isinstance(part, ast.JoinedStr):
        return ["".join(one) for one in itertools.product(*map(written, part.values))]
    return []


def messages() -> set[str]:
    """All that errors and notices about files, sentences and mixes say in the code."""
    core = Path(words.__file__).parents[2] / "omnibind_core"
    found: set[str] = set()
    for path in (*(core / "media").glob("*.py"), core / "search" / "compose.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(call.func, "id", "") if isinstance(call, ast.Call) else ""
            if name in {"MediaError", "QueryError", "note", "undecodable"}:
                said = call.args[2:] if name == "undecodable" else call.args
                found.update(text for part in said for text in written(part) if re.search("[A-Za-z]{2}", text))
    return found


@pytest.mark.parametrize("code", TABLES)
def test_every_message_about_a_file_or_a_mix_is_told(code: str) -> None:
    known = {SLOT.sub("{}", english) for english in TABLES[code]["words"]}
    assert len(messages()) > 200
    assert sorted(messages() - known) == []


@pytest.mark.parametrize("code", TABLES)
def test_every_tour_is_told(code: str) -> None:
    raw = json.loads((assets_directory() / "stories.json").read_text(encoding="utf-8"))
    said = [text for story in raw["stories"] for text in (story["title"], story["lead"])]
    said += [step["say"] for story in raw["stories"] for step in story["steps"]]
    assert [text for text in said if text not in TABLES[code]["words"]] == []


def test_a_table_cannot_end_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "tables", lambda: {"xx": {"name": "X", "words": {"a": "</script><b>"}}})
    made = words.script()
    assert made.count("</script>") == 1 and made.endswith("</script>")


def test_the_switch_names_each_language_in_its_own_words() -> None:
    drawn = words.languages()
    assert '<option value="en" lang="en">English</option>' in drawn
    assert '<option value="zh" lang="zh">中文</option>' in drawn


def test_no_switch_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "tables", dict)
    assert words.languages() == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "X"}', '{"name": "X", "words": 3}'])
def test_a_damaged_table_is_left_out(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "xx.json").write_text(text)
    monkeypatch.setattr(words, "assets_directory", lambda: tmp_path)
    assert words.tables() == {}


class Texts(HTMLParser):
    """What a page says: texts that are not code, and what charts are called."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag == "code"
        self.found.update(" ".join(value.split()) for name, value in attrs if name in {"title", "aria-label"} and value)

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.add(" ".join(data.split()))


@pytest.mark.parametrize("code", TABLES)
def test_the_results_are_told_whatever_their_figures_are(code: str) -> None:
    report = read_report(assets_directory() / "results.json")
    page = charts.introduction(report, "mini")
    for section in report.sections:
        page += charts.heading(section) + MarkdownIt().render(section.text) + charts.table(section)
        page += charts.chart(section) if section.chart else ""
    number = r"[+−-]?\\d[\\d.,]*"
    known = [
        re.compile(re.sub(r"\\\{\\#\d\\\}", number, re.sub(r"\\\{\d\\\}", ".+?", re.escape(english))))
        for english in TABLES[code]["words"]
    ]
    names = {"mini", "base", "large", "full"}  # and those of data sets, with a figure's
    lacking = {
        text
        for text in Texts(page).found - names
        if re.search("[A-Za-z]{2}", text) and not re.fullmatch(r"[\w-]+: (mAP|top-1)", text)
        if not any(one.fullmatch(text) for one in known)
    }
    assert sorted(lacking) == []
