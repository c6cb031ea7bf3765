"""The service: what a start does where vectors are missing or something goes wrong, and what weighing by hand costs."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from demo.service import Service
from demo.settings import Settings
from demo.state import Ingredient
from omnibind_core.search import gallery as search_gallery
from omnibind_core.search.explorer import Explorer

from .conftest import GALLERY, example


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A gallery of one item of each modality, without vectors."""
    folder = tmp_path / "gallery"
    whole = json.loads((GALLERY / "catalogue.json").read_text(encoding="utf-8"))
    items = [next(i for i in whole["items"] if i["modality"] == m) for m in ("image", "audio", "point", "text")]
    for item in items:
        for name in (item.get("file"), item.get("thumbnail")):
            if name:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(GALLERY / name, folder / name)
    (folder / "catalogue.json").write_text(json.dumps({**whole, "items": items}), encoding="utf-8")
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_gallery_without_vectors_is_embedded_once_and_nothing_is_written_into_it(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr(search_gallery, "cache_directory", lambda: cache)
    before = files(bare)
    service = Service(Settings.read(["--device", "cpu"]))
    service.folder = bare
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(service, "_progress", lambda label, share: told.append((label, share)))
    assert len(service._load().gallery) == 4
    assert files(bare) == before
    assert len(files(cache)) == 1
    assert [share for label, share in told if label == "the gallery, once"] == [0.25, 0.5, 0.75, 1.0]
    told.clear()
    service._load()
    assert not [label for label, _ in told if label == "the gallery, once"]


def started(monkeypatch: pytest.MonkeyPatch, explorer: Explorer) -> Service:
    """A service that was started with this explorer, at the end of its loading."""
    service = Service(Settings(device="cpu"))
    monkeypatch.setattr(service, "_load", lambda: explorer)
    service._run()
    return service


def test_a_first_try_that_fails_in_any_way_leaves_a_service_that_serves(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(item_id: str) -> None:
        raise ZeroDivisionError(f"no {item_id}")

    explorer = service.wait()
    monkeypatch.setattr(explorer, "item", broken)
    with caplog.at_level(logging.ERROR):
        again = started(monkeypatch, explorer)
    assert again.status().phase == "ready"
    assert again.error is None
    assert again.wait(0) is explorer
    assert "first try of image failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_weighing_by_hand_runs_no_specialist_and_needs_no_file(
    service: Service, upload: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "mine.webp"
    shutil.copy(GALLERY / str(example("image").file), path)
    made = service.embed(str(path), "image")
    first, *others = made.shares
    whole = service.wait().embed(str(path), "image", weights={first: 3, others[0]: 1})

    def forbidden(*_: object, **__: object) -> None:
        raise RuntimeError("decoded or embedded again")

    monkeypatch.setattr(service.wait().model, "embed", forbidden)
    monkeypatch.setattr("omnibind_core.media.load", forbidden)
    path.unlink()
    hand = service.reweigh(made, {first: 3, others[0]: 1})
    np.testing.assert_allclose(hand.vector, whole.vector, atol=1e-6)
    assert hand.by_hand
    assert hand.shares[first] == pytest.approx(0.75)
    back = service.reweigh(hand, None)
    np.testing.assert_array_equal(back.vector, made.vector)
    assert (back.shares, back.by_hand, back.timings) == (made.shares, False, made.timings)


def test_an_ingredient_keeps_no_media(service: Service) -> None:
    made: Ingredient = service.embed(str(GALLERY / str(example("audio").file)))
    assert made.embedded is not None
    assert made.embedded.media is None
    assert made.embedded.bound.projected is not None
    assert made.embedded.bound.projected.nbytes < 300_000
