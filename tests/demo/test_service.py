"""The service: what a start does where vectors are missing or something goes wrong, and what weighing by hand costs."""

from __future__ import annotations

import copy
import json
import logging
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo.html import panels
from demo.service import Service
from demo.settings import Settings
from demo.state import Ingredient, Visit
from demo.tabs.explore import callbacks
from omnibind_core.errors import OmniBindError, QueryError, WeightsError
from omnibind_core.search import gallery_vectors
from omnibind_core.search.collection import add
from omnibind_core.search.compose import Options
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
    monkeypatch.setattr(gallery_vectors, "cache_directory", lambda: cache)
    before = files(bare)
    service = Service(Settings.read(["--device", "cpu"]))
    service.folder = bare
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(service, "_progress", lambda label, share: told.append((label, share)))
    assert len(service._load().gallery) == 4
    assert files(bare) == before
    assert len(files(cache)) == 1
    shares = [share for label, share in told if label == "the gallery, once"]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) >= 4
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


class Renamed:
    """The explorer of `mini` under another preset's name: stands for one that must be made first."""

    preset = "lite"

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._explorer, name)


class Slow:
    """A service whose preset is ready when `go` is set, or fails while `broken`; `mini` stands in."""

    def __init__(self, explorer: Explorer, monkeypatch: pytest.MonkeyPatch, *, broken: bool = False) -> None:
        self.go, self.broken, self.loaded = threading.Event(), broken, []
        self.service = service = Service(Settings(preset="lite", device="cpu"))

        def load(preset: str = "") -> Any:
            self.loaded.append(preset)
            if preset:
                return explorer
            service._progress("binding", 0.4)
            assert self.go.wait(60)
            if self.broken:
                raise WeightsError("no network", "a network", "try again")
            return Renamed(explorer)

        monkeypatch.setattr(service, "_load", load)
        monkeypatch.setattr(service, "_warm", lambda explorer: None)

    def ended(self) -> bool:
        for thread in threading.enumerate():
            if thread.name == "loading":
                thread.join(60)
        return self.service.status().settled


def test_mini_answers_while_a_preset_is_made_ready_and_is_then_replaced(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    slow = Slow(service.wait(), monkeypatch)
    assert slow.service._takes_long()  # its files are not here
    assert slow.service.wait(60).preset == "mini"
    while slow.service.status().share != 0.4:
        assert not slow.go.wait(0.01)
    now = slow.service.status()
    assert (now.phase, now.label, now.settled) == ("ready", "mini", False)
    assert "lite (binding) is being made ready, <b>40%</b>" in panels.status(now)
    visit = Visit().take(slow.service.item(str(example("audio").id)), "new")
    visit = visit.take(slow.service.embed("a dog", "text"), "subtract")
    assert not slow.service.is_outdated(visit)
    assert slow.service.renewed(visit) is visit
    slow.go.set()
    assert slow.ended()
    assert slow.loaded == ["mini", ""]
    assert slow.service.wait(0).preset == "lite"
    assert "Ready · lite" in panels.status(slow.service.status())
    assert slow.service.is_outdated(visit)
    again = slow.service.renewed(visit)
    assert [(one.preset, one.weight, one.label) for one in again.ingredients] == [
        ("lite", one.weight, one.label) for one in visit.ingredients
    ]
    assert not slow.service.is_outdated(again)
    mixed = again.take(slow.service.embed("a cat", "text"), "add")
    fresh = mixed.ingredients[-1]
    one_old = replace(mixed, ingredients=(visit.ingredients[0], *mixed.ingredients[1:]))
    assert slow.service.renewed(one_old).ingredients[-1] is fresh, "what the new preset read is not read again"


def test_what_is_asked_is_asked_again_once_another_preset_answers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from demo.tabs.explore import callbacks
    from omnibind_core.search.compose import Options

    visit = Visit().take(replace(service.embed("a dog", "text"), preset="another"), "new")
    _, view = callbacks.arrive(service, visit, Options(), "")
    assert view is not None
    assert view.answers is not None
    assert view.visit.ingredients[0].preset == "mini"
    assert callbacks.arrive(service, view.visit, Options(), "")[1] is None


@pytest.mark.parametrize("fails", [True, False])
def test_a_call_that_runs_into_the_switch_is_made_again(
    service: Service, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Terms that one preset read are nothing that another can search with."""
    slow = Slow(service.wait(), monkeypatch)
    monkeypatch.setattr(slow.service, "_takes_long", lambda: True)
    seen: list[str] = []

    def call() -> str:
        seen.append(slow.service.wait().preset)
        if len(seen) == 1:
            slow.go.set()
            assert slow.ended()
            if fails:
                raise QueryError("terms of 1152 numbers", "vectors of 768 numbers", "embed them again")
        return slow.service.wait().preset

    assert slow.service.steady(call) == "lite"
    assert seen == ["mini", "lite"]


def test_what_fails_without_a_switch_fails_once(service: Service) -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise QueryError("nothing", "something", "say it")

    with pytest.raises(QueryError):
        service.steady(call)
    assert calls == [1]


def test_a_preset_that_does_not_load_leaves_mini_answering_and_can_be_tried_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(service.wait(), monkeypatch, broken=True)
    monkeypatch.setattr(slow.service, "_takes_long", lambda: True)
    slow.go.set()
    assert slow.service.wait(60).preset == "mini"
    assert slow.ended()
    assert (slow.service.status().phase, slow.service.status().missed) == ("ready", "lite")
    assert "lite did not load" in panels.status(slow.service.status())
    assert isinstance(slow.service.error, WeightsError)
    slow.broken = False
    assert slow.service.wait(0).preset == "mini"  # a query does not try again by itself
    assert slow.service.status().missed == "lite"
    assert slow.loaded == ["mini", ""]
    slow.service.start()
    assert slow.ended()
    assert slow.loaded == ["mini", "", ""]
    assert slow.service.wait(0).preset == "lite"


def test_without_mini_the_preset_is_waited_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(service.wait(), monkeypatch)
    monkeypatch.setattr(slow.service, "_takes_long", lambda: True)
    whole = slow.service._load

    def load(preset: str = "") -> Any:
        if preset:
            raise WeightsError("no wheel", "a wheel", "fetch it")
        return whole()

    monkeypatch.setattr(slow.service, "_load", load)
    slow.go.set()
    assert slow.service.wait(60).preset == "lite"
    assert slow.ended()


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


def test_the_preset_can_be_changed_where_only_this_machine_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().switchable
    assert not Settings(host="0.0.0.0").switchable
    assert Settings(host="0.0.0.0", switch="on").switchable
    assert not Settings(switch="off").switchable
    public = Service(Settings(device="cpu", switch="off"))
    assert public.choices() == []
    with pytest.raises(QueryError, match="whoever runs this page"):
        public.switch("lite")
    assert "Whoever runs this page" in panels.presets([], "mini")


@pytest.fixture
def made_meanwhile(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection that was made after the page was started, and one that another preset embedded."""
    monkeypatch.setenv("OMNIBIND_COLLECTIONS", str(tmp_path / "collections"))
    (tmp_path / "lines.txt").write_text("a unicorn with a golden horn\n")
    folder = add("mine", [tmp_path / "lines.txt"], service.wait().model).folder
    other = Path(shutil.copytree(folder, folder.with_name("other")))
    (other / "vectors-mini.safetensors").rename(other / "vectors-lite.safetensors")
    return folder


def test_a_collection_that_was_made_meanwhile_is_taken_in(service: Service, made_meanwhile: Path) -> None:
    mine = Service(Settings(device="cpu"))
    mine._explorer, mine._status = service.wait(), service.status()
    mine._done.set()
    assert mine.waiting() == ["mine", "other"]
    drawn = panels.collections([one.name for one in mine.folders], mine.waiting())
    assert ">gallery</strong><b>is searched" in drawn and 'data-id="mine"' in drawn
    asked = Visit().take(mine.embed("a unicorn", "text"), "new")
    view = callbacks.take_in(mine, asked, "mine", Options())
    assert view.answers is not None and "a unicorn with a golden horn" in view.answers
    assert mine.waiting() == ["other"]
    assert mine.folders == [GALLERY, made_meanwhile]
    assert str(made_meanwhile.resolve() / "thumbnails") in mine.shown()
    found = mine.wait().search([asked.ingredients[0].term()], Options(collections=("mine",))).hits
    assert [hit.caption for hit in found["text"]] == ["a unicorn with a golden horn"]
    assert len(mine.wait().gallery) == len(service.wait().gallery) + 1
    for name, words in {"mine": "open the list again", "other": r"no vectors of mini.*collection add other"}.items():
        with pytest.raises(OmniBindError, match=words):
            mine.take_in(name)
    assert len(mine.folders) == 2
    mine._status = replace(mine.status(), coming="lite")
    with pytest.raises(QueryError, match="one at a time"):
        mine.take_in("other")


def test_where_visitors_may_not_choose_no_collection_is_taken_in(service: Service, made_meanwhile: Path) -> None:
    public = Service(Settings(device="cpu", host="0.0.0.0"))
    public._explorer, public._status = service.wait(), service.status()
    public._done.set()
    assert public.waiting() == []
    with pytest.raises(QueryError, match="whoever runs this page"):
        public.take_in("mine")
    assert public.folders == [GALLERY]


def test_another_preset_is_made_ready_while_the_first_answers(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mine = Service(Settings(device="cpu"))
    mine._explorer, mine._status = service.wait(), service.status()
    mine._done.set()
    drawn = panels.presets(mine.choices(), "mini")
    assert "answers now" in drawn and "GB to fetch" in drawn and "commercial" in drawn
    for name, words in {"nonsense": "choose one of these", "full": "not here"}.items():
        with pytest.raises(QueryError, match=words):
            mine.switch(name)
    go, loaded = threading.Event(), replace_preset(service.wait(), "lite")

    def load(preset: str = "") -> Explorer:
        go.wait(30)
        return loaded

    monkeypatch.setattr(mine, "_load", load)
    mine.switch("lite")
    assert (mine.wait().preset, mine.status().phase) == ("mini", "ready")
    assert mine.status().coming.startswith("lite")
    with pytest.raises(QueryError, match="one at a time"):
        mine.switch("lite")
    go.set()
    settled(mine)
    assert (mine.wait().preset, mine.status().label, mine.status().coming) == ("lite", "lite", "")

    def broken(preset: str = "") -> Explorer:
        raise WeightsError("a file", "another", "try again")

    monkeypatch.setattr(mine, "_load", broken)
    mine.switch("mini")
    settled(mine)
    assert (mine.status().label, mine.status().missed) == ("lite", "mini")


def replace_preset(explorer: Explorer, name: str) -> Explorer:
    """The same explorer under the name of another preset."""
    made = Explorer(copy.copy(explorer.model))
    made.model.preset = replace(explorer.model.preset, name=name)
    made._gallery = explorer.gallery
    return made


def settled(service: Service) -> None:
    end = time.monotonic() + 60
    while not service.status().settled and time.monotonic() < end:
        time.sleep(0.02)
    assert service.status().settled


@pytest.mark.parametrize(("items", "laid_out"), [(3, True), (20_001, False)])
def test_the_map_is_laid_out_before_anybody_asks_and_its_failure_harms_nothing(items, laid_out, caplog):
    asked = []

    class Odd:
        gallery = range(items)

        def plane(self):
            asked.append(True)
            raise ValueError("no room")

    Service(Settings())._lay_out(Odd())
    assert bool(asked) == laid_out
    assert ("the map cannot be laid out" in caplog.text) == laid_out
