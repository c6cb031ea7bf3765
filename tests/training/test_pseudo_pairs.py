"""Chunked search against brute force, its memory, duplicates, hubs, and tuples over the gallery's own vectors."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from omnibind_core.store.paths import assets_directory
from omnibind_core.store.shards import ArrayRows, PoolError
from omnibind_core.training.neighbours import peak_bytes, representatives, top_k
from omnibind_core.training.pseudo_pairs import Hop, hubness, pseudo_pairs, read_pairs, read_report, write_pairs
from omnibind_core.types import MODALITIES, FloatArray


def random_rows(n: int, d: int, seed: int = 0) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def gallery() -> tuple[dict[str, FloatArray], dict[str, list[str]]]:
    """Vectors and concepts of the gallery by modality, by media alone."""
    from safetensors import safe_open

    folder = assets_directory() / "gallery"
    with safe_open(folder / "vectors-mini.safetensors", "np") as stored:
        ids, rows = json.loads(stored.metadata()["ids"]), stored.get_tensor("media").astype(np.float32)
    items = {item["id"]: item for item in json.loads((folder / "catalogue.json").read_text())["items"]}
    vectors, concepts = {}, {}
    for modality in MODALITIES:
        chosen = [i for i, name in enumerate(ids) if items[name]["modality"] == modality]
        vectors[modality] = rows[chosen] / np.linalg.norm(rows[chosen], axis=1, keepdims=True)
        concepts[modality] = [items[ids[i]]["concept"] for i in chosen]
    return vectors, concepts


class Watch(TorchDispatchMode):
    """The largest tensor that any operation gives, in bytes."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor):
                self.largest = max(self.largest, leaf.numel() * leaf.element_size())
        return out


@pytest.mark.parametrize("chunk", [1, 7, 64, 500])
def test_chunks_do_not_change_what_is_found(chunk: int):
    queries, candidates = random_rows(40 if chunk > 1 else 4, 24), random_rows(150, 24, 1)
    scores, rows = top_k(ArrayRows(queries), ArrayRows(candidates), 9, chunk=chunk)
    products = queries @ candidates.T
    expected = np.argsort(-products, axis=1)[:, :9]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(scores, np.take_along_axis(products, expected, 1), atol=1e-6)


def test_equal_scores_come_in_order_and_k_is_cut():
    rows = np.tile(random_rows(3, 8), (2, 1))
    _, found = top_k(ArrayRows(rows), ArrayRows(rows), 2, chunk=2)
    np.testing.assert_array_equal(found, [[0, 3], [1, 4], [2, 5]] * 2)
    assert top_k(ArrayRows(rows), ArrayRows(rows), 99)[1].shape == (6, 6)
    with pytest.raises(PoolError, match="3 candidates 9 wide"):
        top_k(ArrayRows(rows), ArrayRows(random_rows(3, 9)), 1)
    with pytest.raises(PoolError, match="k 0"):
        top_k(ArrayRows(rows), ArrayRows(rows), 0)


def test_memory_is_that_of_a_chunk_not_of_the_pools():
    chunk, d, k = 64, 16, 5
    largest, peaks = [], []
    for n in (250, 750):
        pool = ArrayRows(random_rows(n, d).astype(np.float16))
        with Watch() as watch:
            top_k(pool, pool, k, chunk=chunk)
        largest.append(watch.largest)
        tracemalloc.start()
        top_k(pool, pool, k, chunk=chunk)
        peaks.append(tracemalloc.get_traced_memory()[1] - n * k * 12)
        tracemalloc.stop()
    assert largest[0] == largest[1] == chunk * chunk * 4
    assert peaks[1] < 2 * chunk * d * 4 + 100_000  # numpy holds the chunks besides the result, and little else
    assert abs(peaks[1] - peaks[0]) < 50_000


def test_a_million_by_a_million_fits_in_16_gb():
    million, width = 1_000_000, 1536
    pools = 2 * million * width * 2  # float16 shards, even if every page of them stays in memory
    assert peak_bytes(million, width, 10, 4096) < 0.4e9
    assert peak_bytes(million, width, 10, 4096) + pools < 16e9
    assert million * million * 4 > 200 * 16e9  # what is not made


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_near_duplicates_are_stood_for_by_the_first(chunk: int):
    base = random_rows(10, 32)
    near = base[[2, 7]] + 1e-4
    rows = np.concatenate([base, near / np.linalg.norm(near, axis=1, keepdims=True), base[2:3]])
    np.testing.assert_array_equal(representatives(ArrayRows(rows), 0.999, chunk=chunk), [*range(10), 2, 7, 2])
    # A chain: b is like a, c is like b but not like a; b is stood for, so c stays.
    chain = np.array([[1, 0], [np.cos(0.3), np.sin(0.3)], [np.cos(0.6), np.sin(0.6)]], np.float32)
    np.testing.assert_array_equal(representatives(ArrayRows(chain), np.cos(0.4), chunk=chunk), [0, 0, 2])


def test_hubs_are_named():
    even = hubness(np.arange(8)[:, None], 8)
    assert (even.skew, even.never, even.most[0]) == (0.0, 0.0, (0, 1))
    hub = hubness(np.array([[3, 1], [3, 2], [3, 0], [3, -1]]), 10, most=2)
    assert hub.most == ((3, 4), (0, 1))
    assert hub.never == pytest.approx(0.6)
    times = np.array([1, 1, 1, 4, 0, 0, 0, 0, 0, 0])
    assert hub.skew == pytest.approx(((times - 0.7) ** 3).mean() / times.std() ** 3)
    assert "skew 2.0" in str(hub)
    assert "most found 3: 4, 0: 1" in str(hub)


def test_the_gallery_pairs_with_itself_by_meaning(tmp_path: Path):
    vectors, concepts = gallery()
    present = [m for m in MODALITIES if len(vectors[m])]
    spaces = {m: {"mini": ArrayRows(vectors[m])} for m in present}
    routes = {(a, b): [Hop("mini", b)] for a in present for b in present if a != b}
    # Shapes find sounds by way of sentences, as with specialists that do not join the two.
    routes["point", "audio"] = [Hop("mini", "text"), Hop("mini", "audio")]
    pairs, report = pseudo_pairs(spaces, routes, k=2, chunk=100)
    assert set(report) == set(routes)
    assert len(pairs) <= 2 * sum(len(vectors[m]) for m in present)
    for modality in present:
        own = pairs.of([modality])
        assert set(pairs.items[modality][own]) == set(range(len(vectors[modality])))
        assert (pairs.scores[modality][own] == 1).all()
    sounds = pairs.of(["audio"])
    same = [
        concepts["audio"][a] == concepts["image"][i]
        for a, i in zip(pairs.items["audio"][sounds], pairs.items["image"][sounds], strict=True)
    ]
    shared = np.mean([np.mean([c == d for d in concepts["image"]]) for c in concepts["audio"]])
    assert np.mean(same) > 5 * shared
    through = top_k(ArrayRows(vectors["point"]), ArrayRows(vectors["text"]), 1)[1][:, 0]
    expected = top_k(ArrayRows(vectors["text"][through]), ArrayRows(vectors["audio"]), 2)[1]
    shapes = pairs.of(["point"])
    for row in (0, 5):
        got = pairs.items["audio"][shapes][pairs.items["point"][shapes] == row]
        assert set(got) == set(expected[row])
    write_pairs(tmp_path / "pairs.safetensors", pairs, report)
    read = read_pairs(tmp_path / "pairs.safetensors")
    assert read_report(tmp_path / "pairs.safetensors") == report
    np.testing.assert_array_equal(read.source, pairs.source)
    np.testing.assert_array_equal(read.items["audio"], pairs.items["audio"])
    np.testing.assert_array_equal(read.scores["text"], pairs.scores["text"])


def test_duplicates_neither_ask_nor_answer_and_gaps_stay_gaps():
    images, texts = random_rows(6, 16), random_rows(4, 16, 3)
    images[4] = images[1]
    spaces = {"image": {"s": ArrayRows(images)}, "text": {"s": ArrayRows(texts)}, "audio": {"x": ArrayRows(texts)}}
    routes = {("text", "image"): [Hop("s", "image")], ("image", "text"): [Hop("s", "text")]}
    pairs, report = pseudo_pairs(spaces, routes, k=6, duplicates={"image": ("s", 0.9999)})
    assert 4 not in pairs.items["image"]
    assert report["text", "image"].queries == 4
    assert len(pairs.of(["text"])) == 4 * 5  # the sixth would say the fifth again
    assert (pairs.items["audio"][pairs.of(["text"])] == -1).all()
    assert len(pairs.of(["audio"])) == 4
    with pytest.raises(PoolError, match="ends at text"):
        pseudo_pairs(spaces, {("text", "image"): [Hop("s", "text")]})
    with pytest.raises(PoolError, match="audio in 's'"):
        pseudo_pairs(spaces, {("text", "audio"): [Hop("s", "audio")]})
    with pytest.raises(PoolError, match="extract the same"):
        pseudo_pairs({"image": {"s": ArrayRows(images), "t": ArrayRows(texts)}}, {})
