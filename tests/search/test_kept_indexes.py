"""Indexes in the cache: those of older vectors go, unless a process uses them; a collection is told of its own."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnibind_core import cli
from omnibind_core.search import gallery
from omnibind_core.search.compose import Term
from omnibind_core.search.disk_index import DiskIndex
from omnibind_core.search.gallery import Gallery
from omnibind_core.store.catalogue import Item
from omnibind_core.store.collection import write_items, write_ledger
from omnibind_core.store.kept_indexes import Whose, alone, index_bytes, index_place, owned, remove_indexes, used
from omnibind_core.types import FloatArray


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMNIBIND_COLLECTIONS", str(tmp_path / "collections"))
    monkeypatch.setattr(gallery, "FLAT_MOST", 1_000)
    return tmp_path / "cache" / "indexes"


def vectors(count: int) -> FloatArray:
    rows = np.random.default_rng(0).standard_normal((count, 16)).astype(np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def served(folder: Path, count: int, preset: str = "mini") -> Gallery:
    """A gallery of sentences that was searched once."""
    items = [Item(f"text/{number}", "text", "", "", None, None, "", "", "") for number in range(count)]
    made = Gallery(items, vectors(count), vectors(count), folder)
    made.preset = preset
    assert made.search([Term(vectors(count)[7], modality="image")], 1, match="media")["text"][0].id == "text/7"
    return made


def kept(place: Path) -> set[str]:
    return {path.name for path in place.iterdir() if path.is_dir()}


def test_an_index_of_older_vectors_goes_once_nobody_uses_it(place: Path, tmp_path: Path) -> None:
    old = served(tmp_path / "mine", 2_100)
    (first,) = kept(place)
    new = served(tmp_path / "mine", 2_200)
    assert len(kept(place)) == 2, "one is still searched"
    assert old.search([Term(vectors(9)[3], modality="image")], 1, match="media")["text"][0].id == "text/3"
    del old
    gc.collect()
    assert first in kept(place)
    served(tmp_path / "mine", 2_200)
    assert first not in kept(place)
    assert len(kept(place)) == 1
    assert not [path for path in place.iterdir() if path.name.startswith(first) and path.suffix != ".lock"]
    assert len(new) == 2_200


def test_those_of_other_collections_and_presets_stay(place: Path, tmp_path: Path) -> None:
    for folder, count, preset in (("a", 2_000, "mini"), ("b", 2_001, "mini"), ("a", 2_002, "lite")):
        served(tmp_path / folder, count, preset)
    served(tmp_path / "a", 2_003)
    gc.collect()
    assert len(kept(place)) == 3
    joined = Gallery.join([served(tmp_path / "a", 2_003), served(tmp_path / "b", 2_001)])
    assert (joined.made_of, joined.preset) == ((tmp_path / "a", tmp_path / "b"), "mini")
    assert len(kept(place)) == 3


def test_what_two_share_goes_with_the_second(place: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        served(tmp_path / folder, 2_000)
    (shared,) = kept(place)
    served(tmp_path / "a", 2_001)
    gc.collect()
    assert shared in kept(place)
    assert index_bytes(tmp_path / "b") > 0
    served(tmp_path / "b", 2_001)
    assert shared not in kept(place)
    remove_indexes(tmp_path / "a")
    assert len(kept(place)) == 1
    remove_indexes(tmp_path / "b")
    assert kept(place) == set()


USING = """
import sys
import numpy as np
from omnibind_core.search.disk_index import DiskIndex
index = DiskIndex.kept(np.load(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def test_what_another_process_uses_stays_until_it_is_gone(place: Path, tmp_path: Path) -> None:
    served(tmp_path / "mine", 2_000)
    (first,) = kept(place)
    np.save(tmp_path / "rows.npy", vectors(2_000))
    command = [sys.executable, "-c", USING, str(tmp_path / "rows.npy")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        gc.collect()
        served(tmp_path / "mine", 2_001)
        assert first in kept(place)
        other.kill()
    served(tmp_path / "mine", 2_001)
    assert first not in kept(place)


def test_what_killed_processes_left_goes(place: Path, tmp_path: Path) -> None:
    for name in ("0123-1.part", "4567-1.gone"):
        (place / name).mkdir(parents=True)
        (place / name / "rows.f16").touch()
    with alone(place / "4567-1"):  # somebody still deletes it
        served(tmp_path / "mine", 2_000)
        assert "4567-1.gone" in kept(place)
    served(tmp_path / "mine", 2_000)
    assert len(kept(place)) == 1


def test_damaged_notes_delete_nothing(place: Path, tmp_path: Path) -> None:
    served(tmp_path / "mine", 2_000)
    (first,) = kept(place)
    (place / f"{first}.json").write_text('{"of": [{"fold')
    served(tmp_path / "mine", 2_001)
    gc.collect()
    served(tmp_path / "mine", 2_001)
    assert first in kept(place)
    assert DiskIndex.kept(vectors(2_000), Whose((str(tmp_path / "mine"),), "mini", "text, media"))
    assert kept(place) == {first}, "now it says again whose it is, and the other is that of older vectors"
    assert index_bytes(tmp_path / "mine") > 2 * 2_000 * 16


def test_info_says_their_size_and_remove_takes_them(place: Path, tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "collections" / "mine"
    folder.mkdir(parents=True)
    write_items(folder, [])
    write_ledger(folder, {})

    def said(*words: str) -> str:
        assert cli.main(["collection", *words]) == 0
        return str(capsys.readouterr().out)

    assert "indexes" not in said("info", "mine")
    for name in ("one-1", "two-1", "other-1"):
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).mkdir(parents=True)
        (place / name / "rows.f16").write_bytes(bytes(3_000))
        of = tmp_path / "elsewhere" if name == "other-1" else folder
        owned(index_place(name), Whose((str(of),), "mini", name))
    holder = type("Holder", (), {})()
    used(place / "two-1", holder)
    assert "indexes in the cache: 6 kB" in said("info", "mine")
    said("remove", "mine")
    assert kept(place) == {"other-1"}
