"""`make eval`: what it writes, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnibind_core.evaluation.report import Report, Section, read_report
from tools.mini.measure import __main__ as command

REPORT = Report("mini", "2026-01-01", "make eval", [Section("One", "Words.", ["task"], [["a"]])])


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "measured", lambda: REPORT)
    monkeypatch.setattr(command, "assets_directory", lambda: tmp_path / "assets")
    (tmp_path / "assets").mkdir()
    return tmp_path / "assets"


@pytest.mark.parametrize("out", [False, True])
def test_data_are_written_where_asked(assets: Path, tmp_path: Path, out: bool):
    page = ["--out", str(tmp_path / "page.md")] if out else []
    assert command.main(["--data", str(tmp_path / "data.json"), *page]) == 0
    assert read_report(tmp_path / "data.json") == REPORT
    assert (tmp_path / "page.md").is_file() == out
    assert not list(assets.iterdir())


def test_a_page_brings_its_data_along_and_nothing_is_written_unasked(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert command.main([]) == 0
    assert capsys.readouterr().out == REPORT.to_markdown()
    assert not list(assets.iterdir())
    assert command.main(["--out", str(tmp_path / "page.md")]) == 0
    assert read_report(assets / command.RESULTS) == REPORT
