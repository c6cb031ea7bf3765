"""The gallery in two dimensions: what belongs together lies together, and new vectors find their place."""

from __future__ import annotations

import numpy as np
import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.search import plane as module
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.gallery import Gallery
from omnibind_core.search.plane import gap, plane
from omnibind_core.store.catalogue import Item


@pytest.fixture(scope="module")
def explorer(mini: OmniBind) -> Explorer:
    return Explorer(mini)


def test_the_plane_that_came_along_is_of_these_vectors(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_flat", lambda _: pytest.fail("computed anew: run `gallery --build`"))
    found = explorer.plane()
    assert found.closed.shape == found.apart.shape == (len(explorer.gallery), 2)
    assert np.abs(found.closed).max() <= 1 and np.isfinite(found.apart).all()


def test_neighbours_on_the_plane_belong_together(explorer: Explorer) -> None:
    found = explorer.plane()
    concepts = np.array([item.concept for item in explorer.gallery.items])
    kinds = np.array([item.modality for item in explorer.gallery.items])
    shared, mixed = {}, {}
    for name, places in (("closed", found.closed), ("apart", found.apart)):
        far = ((places[:, None] - places[None]) ** 2).sum(-1)
        np.fill_diagonal(far, np.inf)
        nearest = np.argsort(far, axis=1)[:, :5]
        shared[name] = (concepts[nearest] == concepts[:, None]).any(axis=1).mean()
        mixed[name] = (kinds[nearest] != kinds[:, None]).mean()
    assert shared["closed"] > 0.45, "half of all items have their like among their five neighbours; chance is 2 %"
    assert shared["closed"] > shared["apart"]
    assert mixed["closed"] > 1.5 * mixed["apart"], "closing the gap brings modalities together"


def test_new_vectors_find_their_place_and_items_their_own(explorer: Explorer) -> None:
    found, gallery = explorer.plane(), explorer.gallery
    for row in range(0, len(gallery), 37):
        kind = gallery.items[row].modality
        closed, apart = found.place(found.plain[row], kind)
        assert np.linalg.norm(closed - found.closed[row]) < 0.02
        assert np.linalg.norm(apart - found.apart[row]) < 0.02
    dogs = found.closed[[i for i, item in enumerate(gallery.items) if item.concept == "dog"]]
    placed, _ = found.place(explorer.embed("a dog barks at night", "text").vector, "text")
    assert np.linalg.norm(placed - np.median(dogs, axis=0)) < 0.2


def test_the_gap_closes(explorer: Explorer) -> None:
    before, after = gap(explorer.gallery)
    assert before > 0.2
    assert after < 0.05 * before


@pytest.mark.parametrize("count", [1, 3, 7, 30])
def test_small_galleries_have_a_plane_too(count: int, tmp_path) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    items = [Item(f"text/{i}", "text", "", str(i), None, None, "", "", "") for i in range(count)]
    gallery = Gallery(items, rows, rows, tmp_path)
    found = plane(gallery, tmp_path)
    again = plane(gallery, tmp_path)
    assert found.closed.shape == (count, 2) and np.isfinite(found.closed).all()
    assert (found.closed == again.closed).all()
    assert len(list(tmp_path.glob("plane-*.safetensors"))) == 1
    assert np.isfinite(found.place(rows[0], "text")[0]).all()


def test_many_items_are_put_among_those_that_were_laid_out(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LANDMARKS", 200)
    rows = explorer.plane().rows
    places = module._flat(rows)
    assert places.shape == (len(rows), 2)
    assert np.abs(places).max() <= 1
    far = ((places[:, None] - places[None]) ** 2).sum(-1)
    np.fill_diagonal(far, np.inf)
    concepts = np.array([item.concept for item in explorer.gallery.items])
    shared = (concepts[np.argsort(far, axis=1)[:, :5]] == concepts[:, None]).any(axis=1).mean()
    assert shared > 0.25, "chance is 2 %"
