"""What was embedded lately: computed once for equal content, and never mistaken for what would be read otherwise."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.search.answers import Embedded
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.remembered import Remembered, key_of
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Bound

GALLERY = assets_directory() / "gallery"
FILES = {
    "image": GALLERY / "images" / "dog-1.jpg",
    "audio": GALLERY / "sounds" / "dog-1.ogg",
    "point": GALLERY / "shapes" / "piano-1.glb",
}
MOST = 10_000_000


@pytest.fixture
def counted(mini: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Explorer, list[str]]:
    """An explorer that remembers nothing yet, and what it computes from here."""
    computed: list[str] = []
    embed = mini.embed

    def counting(modality: str, items: Any, **options: Any) -> Bound:
        computed.append(modality)
        return embed(modality, items, **options)

    monkeypatch.setattr(mini, "embed", counting)
    return Explorer(mini), computed


@pytest.mark.parametrize("modality", FILES)
def test_equal_content_is_computed_once_and_answers_are_the_same(
    counted: tuple[Explorer, list[str]], modality: Any, tmp_path: Path
) -> None:
    explorer, computed = counted
    again = tmp_path / FILES[modality].name
    shutil.copy(FILES[modality], again)
    first = explorer.embed(FILES[modality], None, beside={})
    second = explorer.embed(str(again), modality, beside={})
    bare = explorer.embed(again, modality, beside={}, decoded=False)
    assert computed == [modality]
    assert first.media is not None
    assert type(second.media) is type(first.media)
    assert bare.media is None
    for other in (second, bare):
        assert np.array_equal(first.vector, other.vector)
        assert first.notices == other.notices
    alone = Explorer(explorer.model).embed(again, modality, beside={})
    assert np.abs(alone.vector - bare.vector).max() < 1e-6


def test_sentences_are_known_by_their_words(counted: tuple[Explorer, list[str]]) -> None:
    explorer, computed = counted
    long = "a dog " * 150
    first, other, again = (explorer.embed(text, "text") for text in (long, "a dog", long))
    assert computed == ["text", "text"]
    assert first.notices == again.notices != ()
    assert not np.array_equal(first.vector, other.vector)
    assert again.media is not None


def test_notices_come_with_what_is_remembered(counted: tuple[Explorer, list[str]], tmp_path: Path) -> None:
    explorer, computed = counted
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(FILES["image"].read_bytes()[:20_000])
    told = [explorer.embed(cut, "image", decoded=decoded).notices for decoded in (True, False, True)]
    assert computed == ["image"]
    assert "of the file is missing" in " ".join(told[0])
    assert told == [told[0]] * 3


def test_what_is_read_otherwise_is_computed(counted: tuple[Explorer, list[str]]) -> None:
    explorer, computed = counted
    upright, lying = (explorer.embed(FILES["point"], "point", up=up, beside={}).vector for up in ("y", "z"))
    assert not np.allclose(upright, lying, atol=1e-3)
    explorer.embed(FILES["audio"], "audio")
    explorer.embed(FILES["audio"], "audio", faithful=True)
    explorer.embed("a dog", "text")
    words = list(explorer.embed("a dog", "text").bound.weights_by_name())
    explorer.embed("a dog", "text", weights={words[0]: 1.0})
    explorer.embed("a dog", "text", weights={words[0]: 1.0})
    assert computed == ["point", "point", "audio", "audio", "text", "text", "text"]


def test_what_another_preset_computed_is_not_taken(mini: Any) -> None:
    one, two = Explorer(mini), Explorer(mini)
    one.embed("a dog", "text")
    assert len(one._known) == 1
    assert len(two._known) == 0


def test_a_file_that_is_refused_is_refused_again(counted: tuple[Explorer, list[str]], tmp_path: Path) -> None:
    explorer, computed = counted
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(FILES["image"].read_bytes()[:20])
    for _ in range(2):
        with pytest.raises(MediaError):
            explorer.embed(bad, "image")
    for _ in range(2):
        with pytest.raises(MediaError):
            explorer.embed("half a pair \ud800", "text")
    explorer.embed("half a pair ?", "text")
    assert computed == ["text"]


def test_keys_hold_all_that_decides(tmp_path: Path) -> None:
    one, two = tmp_path / "one.obj", tmp_path / "two.obj"
    one.write_bytes(b"same")
    two.write_bytes(b"same")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.obj").write_bytes(b"same")
    key = key_of(one, "point", MOST, {}, "y")
    assert key is not None
    assert key == key_of(str(tmp_path / "deep" / "one.obj"), "point", MOST, {}, "y")
    others = [key_of(two, "point", MOST, {}, "y"), key_of(one, "point", MOST, {}, "z")]
    others += [key_of(one, "image", MOST, {}), key_of("same", "text", MOST, {})]
    one.write_bytes(b"Same")
    others.append(key_of(one, "point", MOST, {}, "y"))
    assert None not in others
    assert len({key, *others}) == 6


def test_what_has_no_content_of_its_own_has_no_key(tmp_path: Path) -> None:
    path = tmp_path / "one.obj"
    path.write_bytes(b"12345")
    assert key_of(path, "point", MOST, None) is None  # its folder is looked into
    assert key_of(path, "point", MOST, {"a.mtl": path}) is None
    assert key_of(path, "point", 4, {}) is None
    assert key_of(tmp_path, "image", MOST, None) is None
    assert key_of(tmp_path / "none", "image", MOST, None) is None
    assert key_of("a\0b", "image", MOST, None) is None
    assert key_of(b"bytes", "image", MOST, None) is None
    assert key_of(3, "text", MOST, None) is None


def test_count_and_bytes_are_bounded_and_the_oldest_goes_first() -> None:
    def made(number: int, width: int = 100) -> Embedded:
        return Embedded(Bound("text", np.full((1, width), number, np.float32), np.ones((1, 1), np.float32), ("a",)))

    few = Remembered(count=3)
    for n in range(3):
        few.put(("text", n), made(n))
    assert few.get(("text", 0)) is not None  # asked for: it stays
    few.put(("text", 3), made(3))
    assert [few.get(("text", n)) is not None for n in range(4)] == [True, False, True, True]
    few.put(("text", 3), made(4))
    assert len(few) == 3
    small = Remembered(size=10_000)
    for n in range(50):
        small.put(("text", n), made(n))
        assert small.taken <= 10_000
    assert 0 < len(small) < 10
    small.put(("text", "large"), made(1, 5_000))
    assert small.get(("text", "large")) is None
    small.put(None, made(1))
    assert small.get(None) is None


def test_threads_may_share_it() -> None:
    one = Embedded(Bound("text", np.ones((1, 10), np.float32), np.ones((1, 1), np.float32), ("a",)))
    shared = Remembered(count=20)

    def use(start: int) -> None:
        for n in range(2_000):
            shared.put(("text", (start + n) % 37), replace(one))
            shared.get(("text", n % 37))

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(shared) == 20
    assert shared.taken == sum(size for _, size in shared._found.values())


def test_inputs_that_are_computed_at_the_same_time_have_the_vectors_that_they_have_alone(mini: Any) -> None:
    paths = [sorted((GALLERY / name).iterdir())[n] for n in range(3) for name in ("images", "sounds", "shapes")]
    calm, busy = Explorer(mini), Explorer(mini)
    alone = [calm.embed(path, decoded=False).vector for path in paths]
    with ThreadPoolExecutor(6) as threads:
        texts = threads.map(lambda n: busy.embed(f"dog number {n}", "text").vector, range(12))
        together = list(threads.map(lambda path: busy.embed(path, decoded=False).vector, paths))
        words = list(texts)
    assert all(np.abs(a - b).max() < 1e-5 for a, b in zip(alone, together, strict=True))
    assert all(np.abs(words[n] - calm.embed(f"dog number {n}", "text").vector).max() < 1e-5 for n in range(12))
