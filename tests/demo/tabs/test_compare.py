"""Comparing: the callbacks as plain functions, on real files, with the real model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from demo.service import Service
from demo.tabs.compare import OPENING, add, drop, opened

from ..conftest import EXAMPLES, GALLERY, example

Put = Callable[..., dict[str, str]]


def test_the_opening_is_of_gallery_items_and_falls_into_three_groups(service: Service) -> None:
    assert {item.id for item in EXAMPLES.catalogue}.issuperset(OPENING)
    items, table, notice = opened(service, ())
    assert notice == ""
    assert len(items) == len(OPENING) + 3
    assert "<b>3 groups</b>" in table
    assert table.count('data-act="drop"') == len(items)
    assert opened(service, items) == (items, "", "")


def test_files_sentences_and_examples_are_added(service: Service, upload: Put) -> None:
    file = upload(GALLERY / str(example("image").file))
    items, table, notice = add(service, (), [file], "a <dog>\n\n a train ", example("audio").id)
    assert notice == ""
    assert [one.modality for one in items] == ["audio", "image", "text", "text"]
    assert "a &lt;dog&gt;" in table
    assert "<dog>" not in table
    again, _, _ = add(service, items, None, None, example("audio").id)
    assert again == items  # an example that is there already


def test_one_alone_waits_for_another_and_each_can_be_taken_away(service: Service) -> None:
    one, table, _ = add(service, (), None, "a dog")
    assert "at least two" in table
    assert "<table" not in table
    both, table, _ = add(service, one, None, "a train")
    assert "<table" in table
    left, _, _ = drop(service, both, "0")
    assert [item.label for item in left] == ["a train"]


def test_what_cannot_be_read_is_told_and_the_rest_is_added(service: Service, upload: Put, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("no picture")
    files = [upload(bad), upload(GALLERY / str(example("image").file))]
    items, _, notice = add(service, (), files, "")
    assert len(items) == 1
    assert "Given" in notice


def test_nothing_and_too_much_are_told_and_nothing_is_lost(service: Service) -> None:
    items, _, _ = add(service, (), None, "a dog\na cat")
    for text in ("", "\n".join(f"sentence {n}" for n in range(4000))):  # refused before any is embedded
        kept, table, notice = add(service, items, None, text)
        assert kept == items
        assert table == ""
        assert "Given" in notice


def test_how_a_file_was_read_is_told(service: Service, upload: Put, tmp_path: Path) -> None:
    whole = (GALLERY / str(example("image").file)).read_bytes()
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    items, _, notice = add(service, (), [upload(cut)], None)
    assert len(items) == 1
    assert "How it was read" in notice


def test_what_another_preset_read_is_read_again(service: Service) -> None:
    items, _, _ = add(service, (), None, "a dog\na cat", example("audio").id)
    old = tuple(replace(one, preset="other", vector=one.vector[:8]) for one in items)
    again, table, notice = add(service, old, None, "a car")
    assert notice == ""
    assert {len(one.vector) for one in again} == {len(items[0].vector)}
    assert "<table" in table
