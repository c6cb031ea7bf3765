"""The command that tries other projects' files, on a folder and a repository that are made here."""

from __future__ import annotations

import datetime
import subprocess
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from tools import suites
from tools.suites import SUITES, Suite, cases, fetched, main, reasons, run, table

PICTURES = Suite("pictures", "image", "https://example.org/pictures.git", "0" * 40, "CC0", ("good", "bad"), ("bad/*",))
SHAPES = Suite("shapes", "point", "https://example.org/shapes.git", "1" * 40, "CC0")


@pytest.fixture
def folder(tmp_path):
    """Checkouts of two suites: seven pictures, of which one is elsewhere, and a shape with its material."""
    good, bad, shapes = (tmp_path / name for name in ("pictures/good", "pictures/bad", "shapes"))
    for place in (good, bad, shapes, tmp_path / "pictures" / "other"):
        place.mkdir(parents=True)
    rows = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    picture = PIL.Image.fromarray(rows)
    for name in ("good/a.png", "good/b.JPG", "good/c.bmp", "other/not-asked.png"):
        picture.save(tmp_path / "pictures" / name)
    (good / "cut.png").write_bytes((good / "a.png").read_bytes()[:9_000])
    (good / "empty.gif").write_bytes(b"")
    (good / "elsewhere.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (good / "readme.txt").write_text("not a picture")
    (bad / "noise.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (shapes / "box.obj").write_text("mtllib box.mtl\nusemtl m\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n")
    (shapes / "box.mtl").write_text("newmtl m\nKd 1 0 0\n")
    return tmp_path


def test_every_file_is_counted_by_what_it_came_to(folder, monkeypatch, capsys):
    monkeypatch.setattr(suites, "SUITES", (PICTURES, SHAPES, replace(SHAPES, name="absent")))
    assert main(["--from", str(folder), "--why"]) == 2
    shown = capsys.readouterr()
    assert "pictures: 6 files tried, 1 more are not here" in shown.out
    assert "absent: left out" in shown.err
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in shown.out.splitlines() if row.startswith("|")]
    titles, _, pictures, shapes, everything = rows
    assert titles[3:10] == [
        *("files", "answered", "of them with a notice", "refused", "of them damaged on purpose"),
        *("wrong exception or crash", "over 10 s"),
    ]
    assert pictures[3:11] == ["6", "4", "1", "2", "1", "0", "0", "0"]
    assert shapes[3:11] == ["1", "1", "0", "0", "0", "0", "0", "0"]
    assert everything[3:11] == ["7", "5", "1", "2", "1", "0", "0", "0"]
    assert "1 x refused: FILE, which is empty (N bytes).\n    pictures/good/empty.gif\n" in shown.out
    assert "1 x notice: N % of the picture are there" in shown.out
    assert "bad/noise.png" not in shown.out


def test_a_shape_finds_what_lies_beside_it(folder):
    (outcome,) = run(SHAPES, folder / "shapes").outcomes
    assert (outcome.said, outcome.notices) == ("answered", ())  # without its material there is a notice


def test_a_crash_is_listed_and_ends_with_1(folder, monkeypatch, capsys):
    def load(*_, **__):
        raise KeyError("width")

    monkeypatch.setattr("tools.hard.trial.load", load)
    monkeypatch.setattr(suites, "SUITES", (SHAPES,))
    assert main(["--from", str(folder), "--why"]) == 1
    assert "WRONG: crashed" in capsys.readouterr().out


def test_of_a_large_suite_some_of_each_ending_are_tried(folder):
    some = [case.name if case else "" for case in cases(replace(PICTURES, every=2), folder / "pictures")]
    assert some == ["good/a.png", "", "good/b.JPG", "good/c.bmp", "good/empty.gif"]


def test_git_fetches_the_folders_that_are_named_and_once(tmp_path):
    source = tmp_path / "source"
    for name in ("good", "bad", "other"):
        (source / name).mkdir(parents=True)
        (source / name / "a.txt").write_text(name)
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"], ["config", "uploadpack.allowFilter", "true"]):
        subprocess.run([*git, *words], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    suite = replace(PICTURES, address=source.as_uri(), commit=commit)
    place = fetched(suite, tmp_path / "cache")
    assert sorted(path.name for path in place.iterdir() if path.name != ".git") == ["bad", "good"]
    source.rename(tmp_path / "gone")
    assert fetched(suite, tmp_path / "cache") == place


def test_what_cannot_be_fetched_is_said(monkeypatch, capsys):
    monkeypatch.setattr(suites, "SUITES", (SHAPES,))
    monkeypatch.setenv("OMNIBIND_OFFLINE", "1")
    assert main([]) == 2
    assert "OMNIBIND_OFFLINE" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["nothing"])


def test_the_page_names_every_suite_with_its_commit_and_licence():
    page = suites.PAGE.read_text(encoding="utf-8")
    for suite in SUITES:
        assert len(suite.commit) == 40
        assert f"[{suite.name}]({suite.address.removesuffix('.git')}/tree/{suite.commit})" in page
        assert suite.licence in page


def test_the_table_is_written_between_its_marks(folder, monkeypatch, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{suites.MARKS[0]}\nold\n{suites.MARKS[1]}\nbehind\n", encoding="utf-8")
    monkeypatch.setattr(suites, "PAGE", page)
    monkeypatch.setattr(suites, "SUITES", (SHAPES,))
    assert main(["--from", str(folder), "--write"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{suites.MARKS[0]}\nTried on ")
    assert "[shapes]" in text and "old" not in text and text.endswith("behind\n")
    assert "Tried on 2 March 2026" in table([run(SHAPES, folder / "shapes")], datetime.date(2026, 3, 2))
    assert list(reasons([])) == []
