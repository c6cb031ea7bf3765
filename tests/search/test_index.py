"""Indexes: one contract, the same queries, the same answers; and what lies on disk is whole or refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from omnibind_core.errors import GalleryError
from omnibind_core.search.disk_index import DiskIndex
from omnibind_core.search.index import FlatIndex, Index
from omnibind_core.search.milvus_index import MilvusIndex
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import FloatArray

Make = Callable[[FloatArray], Index]


def unit(rows: FloatArray) -> FloatArray:
    found: FloatArray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    return found


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMNIBIND_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    """Real vectors of the gallery in fewer numbers, thirty times with mixtures of the others: (26,640, 256)."""
    rows = unit(load_file(next((assets_directory() / "gallery").glob("vectors-*.safetensors")))["media"])
    dice = np.random.default_rng(0)
    rows = rows @ np.linalg.qr(dice.standard_normal((rows.shape[1], 256)))[0].astype(np.float32)
    noise = dice.standard_normal((30 * len(rows), len(rows))).astype(np.float32) @ (rows - rows.mean(0))
    return unit(np.repeat(rows, 30, axis=0) + 0.7 * noise / np.sqrt(len(rows)))


@pytest.fixture(scope="module")
def small(vectors: FloatArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "index"
    DiskIndex.build(vectors[:2_500], folder)
    return folder


@pytest.fixture(params=["flat", "disk", "milvus"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "milvus":
        pytest.importorskip("pymilvus")
        pytest.importorskip("milvus_lite")
        return lambda rows: MilvusIndex.build(rows, str(tmp_path / "index.db"), "rows")
    return FlatIndex if request.param == "flat" else lambda rows: DiskIndex.build(rows, tmp_path / "index")


def exact(vectors: FloatArray, query: FloatArray, k: int, keep: FloatArray | None = None) -> list[int]:
    scores = vectors @ query
    if keep is not None:
        scores[~keep.astype(bool)] = -2
    return [int(i) for i in np.argsort(-scores, kind="stable")[:k]]


def test_few_rows_are_found_exactly(make: Make, vectors: FloatArray) -> None:
    index = make(vectors[:5_000])
    scores, rows = index.search(vectors[[7, 5_001]], 12)
    for query, score, found in zip(vectors[[7, 5_001]], scores, rows, strict=True):
        assert found.tolist() == exact(vectors[:5_000], query, 12)
        assert np.allclose(score, vectors[found] @ query, atol=1e-5)
    assert len(index) == 5_000
    assert np.array_equal(index.take(rows[0]), vectors[rows[0]])


def test_of_many_rows_nearly_all_that_are_nearest(make: Make, vectors: FloatArray) -> None:
    index = make(vectors)
    queries = unit(vectors[::1_000] + 0.2 * vectors[1::1_000][: len(vectors[::1_000])])
    _, rows = index.search(queries, 10)
    hits = [len(set(found.tolist()) & set(exact(vectors, q, 10))) for q, found in zip(queries, rows, strict=True)]
    assert np.mean(hits) / 10 >= 0.97


def test_of_mixes_nearly_all_that_are_nearest(make: Make, vectors: FloatArray) -> None:
    index = make(vectors)
    queries = unit(vectors[:25_000:500] + 0.8 * vectors[250:25_250:500])
    right = [set(exact(vectors, query, 10)) for query in queries]

    def recall(mixed: bool) -> float:
        _, rows = index.search(queries, 20, mixed=mixed)
        return float(np.mean([len(one & set(found.tolist())) / 10 for one, found in zip(right, rows, strict=True)]))

    assert recall(mixed=True) >= max(0.97, recall(mixed=False))


def test_a_filter_a_deletion_and_an_addition(make: Make, vectors: FloatArray) -> None:
    index = make(vectors[:6_000])
    query = vectors[3]
    keep = np.arange(6_000) % 2 == 0
    assert index.search(query[None], 5, keep)[1][0].tolist() == exact(vectors[:6_000], query, 5, keep)
    best = int(index.search(query[None], 1)[1][0, 0])
    index.delete(np.array([best]))
    assert best not in index.search(query[None], 20)[1]
    assert len(index) == 5_999
    index.add(query[None])
    scores, rows = index.search(query[None], 1)
    assert (int(rows[0, 0]), len(index)) == (6_000, 6_000)
    assert scores[0, 0] == pytest.approx(1, abs=1e-3)
    nothing = index.search(query[None], 5, np.zeros(6_001, bool))
    assert nothing[1].shape == (1, 0)
    assert index.search(query[None], 5, np.arange(6_001) == 4)[1].tolist() == [[4]]


def test_a_filter_on_many_rows(make: Make, vectors: FloatArray) -> None:
    index = make(vectors)
    keep = np.arange(len(vectors)) % 10 != 0
    query = vectors[100]
    _, rows = index.search(query[None], 10, keep)
    assert keep[rows[0]].all()
    assert len(set(rows[0].tolist()) & set(exact(vectors, query, 10, keep))) >= 9


def test_what_is_on_disk_is_there_again(vectors: FloatArray, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    index = DiskIndex.build((vectors[start : start + 700] for start in range(0, 5_600, 700)), folder)
    index.delete(np.array([5]))
    index.add(vectors[6_000:6_010])
    again = DiskIndex(folder)
    assert len(again) == 5_609
    again.verify()
    assert np.array_equal(again.search(vectors[6_003][None], 3)[1], index.search(vectors[6_003][None], 3)[1])
    assert sorted(path.suffix for path in folder.iterdir()) == [".f16", ".faiss", ".json", ".npy"]


def test_an_addition_that_was_cut_off_leaves_what_was(vectors: FloatArray, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    DiskIndex.build(vectors[:3_000], folder)
    with (folder / "rows.f16").open("ab") as stream:
        stream.write(b"half a row")
    index = DiskIndex(folder)
    assert len(index) == 3_000
    index.add(vectors[3_000:3_001])
    assert DiskIndex(folder).search(vectors[3_000][None], 1)[1].tolist() == [[3_000]]
    DiskIndex(folder).verify()


@pytest.mark.parametrize("name", ["index.json", "codes-0.faiss", "gone-0.npy", "rows.f16"])
@pytest.mark.parametrize("harm", ["gone", "cut", "changed"])
def test_what_is_damaged_is_refused(name: str, harm: str, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(small, folder)
    path = folder / name
    raw = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        middle = len(raw) // 2
        changed = bytes([raw[middle] ^ 1])
        path.write_bytes(raw[:middle] if harm == "cut" else raw[:middle] + changed + raw[middle + 1 :])
    if (name, harm) == ("index.json", "changed"):
        path.write_bytes(json.dumps({**json.loads(raw), "count": 2_499}).encode())
    with pytest.raises(GalleryError, match="index"):
        DiskIndex(folder)


def flip(path: Path) -> None:
    with path.open("r+b") as stream:
        stream.seek(1_000)
        byte = stream.read(1)[0]
        stream.seek(1_000)
        stream.write(bytes([byte ^ 1]))


def test_vectors_are_read_once_for_a_size_a_time_and_an_inode(
    small: Path, vectors: FloatArray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = DiskIndex.verify
    monkeypatch.setattr(DiskIndex, "verify", lambda index: (read.append("all"), real(index))[1])

    def readings() -> int:
        before = len(read)
        DiskIndex(folder)
        return len(read) - before

    folder = tmp_path / "index"
    shutil.copytree(small, folder)
    assert [readings() for _ in range(3)] == [1, 0, 0]
    index = DiskIndex(folder)
    index.add(vectors[:3])
    index.delete(np.array([5]))
    assert readings() == 0
    os.utime(folder / "rows.f16")
    assert [readings(), readings()] == [1, 0]
    flip(folder / "rows.f16")
    for _ in range(2):
        with pytest.raises(GalleryError, match=r"rows\.f16, of which part 0 has changed.*make it again"):
            DiskIndex(folder)


def test_an_addition_makes_nothing_of_a_byte_that_changed_meanwhile(
    small: Path, vectors: FloatArray, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    shutil.copytree(small, folder)
    index = DiskIndex(folder)
    flip(folder / "rows.f16")
    index.add(vectors[:3])
    with pytest.raises(GalleryError, match="part 0 has changed"):
        DiskIndex(folder)


def test_what_cannot_be_built_or_added_is_said_so(vectors: FloatArray, tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="at least 2000"):
        DiskIndex.build(vectors[:100], tmp_path / "few")
    assert not (tmp_path / "few").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(GalleryError, match="not empty"):
        DiskIndex.build(vectors[:2_500], tmp_path / "full")
    with pytest.raises(GalleryError, match="multiple of 4"):
        DiskIndex.build(vectors[:2_500, :30], tmp_path / "narrow")
    index = DiskIndex.build(vectors[:2_500], tmp_path / "index")
    with pytest.raises(GalleryError, match="as this index has"):
        index.add(vectors[:3, :8])
    with pytest.raises(GalleryError, match="rows from 0 to 2499"):
        index.delete(np.array([2_500]))
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(GalleryError, match="has finished"):
        DiskIndex(tmp_path / "index")
