"""Pools and figures by which the eyes are measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from omnibind_core.evaluation.retrieval import measure, table
from omnibind_core.store.paths import cache_directory
from tools.mini.pools import vectors
from tools.mini.pools.meshes import load_mesh, merged_class, sweet_home
from tools.mini.pools.pictures import load_picture, tux_paint

UNPACKED = cache_directory() / "debian"


def needs(package):
    return pytest.mark.skipif(not (UNPACKED / package).is_dir(), reason=f"{package} is not unpacked")


@needs("tuxpaint-stamps-default")
def test_tux_paint_has_its_pictures():
    pool = tux_paint()
    assert len(pool) == 538
    assert sum(p.photograph for p in pool) == 430
    assert len({p.key for p in pool}) == 538
    names = {p.name for p in pool}
    assert {"lion", "banana", "red kangaroo", "electric guitar"} <= names
    assert not any(name.startswith(("a ", "an ", "the ")) or name.endswith(".") for name in names)
    lion = load_picture(next(p for p in pool if p.name == "lion"))
    assert (lion.rgb[0, 0] == 255).all()  # transparent became white


@needs("sweethome3d-furniture")
def test_sweet_home_has_its_meshes():
    pool = sweet_home()
    assert len(pool) == 820
    assert len({m.key for m in pool}) == 820
    assert len({m.label for m in pool} - {"-"}) == 204
    assert sum(m.rotation != (1, 0, 0, 0, 1, 0, 0, 0, 1) for m in pool) == 33
    assert "Frame Hôi An" in {m.name for m in pool}  # written with \u escapes
    assert all(m.creator for m in pool)
    assert {m.licence.partition(" Attribution")[0] for m in pool} == {"Public domain", "Creative Commons"}


@needs("sweethome3d-furniture")
def test_a_mesh_brings_colours_and_textures():
    burger = load_mesh(next(m for m in sweet_home() if m.name == "Hamburger"))
    assert burger.xyz.shape == (2048, 3)
    assert np.linalg.norm(burger.xyz, axis=1).max() == pytest.approx(1, abs=1e-5)
    assert any(s.texture is not None and s.uv is not None for s in burger.surfaces)
    guitar = load_mesh(next(m for m in sweet_home() if m.name == "Electric guitar"))
    height, width = np.ptp(guitar.xyz[:, 1]), np.ptp(guitar.xyz[:, 0])
    assert height > width  # Y is up


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Rattan armchair", "armchair"),
        ("Table fan", "electric fan"),
        ("Cup cake", "cake"),
        ("Coffee cup", "mug"),
        ("Desk lamp", "desk lamp"),
        ("Glass table", "table"),
        ("Parking slot 45°", "-"),
        ("Theremin", "theremin"),
        ("Carton", "carton"),
    ],
)
def test_names_are_merged_by_their_longest_known_word(name, label):
    assert merged_class(name) == label


def test_figures_of_a_ranking_known_by_hand():
    queries = np.eye(4, dtype=np.float32)
    candidates = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 3]]
    right = np.zeros((4, 5), bool)
    right[0, 0] = True  # first
    right[1, 2] = True  # scores 0 like three others: last among them
    right[2, [2, 4]] = True  # first, and last
    row = measure("by hand", queries, candidates, right)  # the fourth query has no right answer
    assert row.n == 3
    assert row.candidates == 5
    assert row.chance == pytest.approx(100 * 4 / 15)
    assert row.r1.value == pytest.approx(200 / 3)
    assert row.r5.value == 100
    assert row.mean_average_precision.value == pytest.approx(100 * (1 + 1 / 5 + (1 + 2 / 5) / 2) / 3)
    assert row.r1.low <= row.r1.value <= row.r1.high
    assert table([row]).splitlines()[2].startswith("| by hand | 3 | 5 | 26.7 | 66.7 (")


def test_kept_vectors_are_used_until_something_changes(monkeypatch, tmp_path):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    calls = []

    class Tower:
        def embed(self, modality, items):
            calls.append(len(items))
            return torch.tensor([[float(i), 1.0] for i in items])

    monkeypatch.setattr(vectors, "tower", lambda name: Tower())
    keys = [str(i) for i in range(40)]

    def rows(data="pixels", some=keys, tower="efficientnet_lite0"):
        calls.clear()
        return vectors._kept("pool", tower, "image", some, [data], lambda i: i)

    first = rows()
    assert first.shape == (40, 2)
    assert calls == [32, 8]
    assert (rows() == first).all()
    assert calls == []
    for changed in ({"data": "other pixels"}, {"some": keys[::-1]}, {"tower": "efficientnet_lite2"}):
        rows(**changed)
        assert sum(calls) == 40, changed
    monkeypatch.setattr(vectors, "_VERSION", 2)
    rows()
    assert sum(calls) == 40
