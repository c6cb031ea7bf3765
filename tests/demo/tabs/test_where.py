"""The tab Where: scenes and files, queries of any kind, and what goes wrong."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from demo.service import Service
from demo.shell import scenes
from demo.tabs import where
from demo.tabs.where import Asked
from omnibind_core.errors import OmniBindError, QueryError
from omnibind_core.media import load_audio, load_points
from omnibind_core.types import MODALITIES

from ..conftest import EXAMPLES, GALLERY, Put, example


def test_the_first_query_finds_the_dog_among_the_pictures(service: Service) -> None:
    shown = where.look(service, Asked(), service.item(scenes.FIRST_QUERY))
    assert shown.drawing and "ob-place" in shown.drawing
    found = re.search(r"left:([\d.]+)%;top:([\d.]+)%", shown.drawing)
    assert found
    assert float(found[1]) > 30 and float(found[2]) < 30, "the dog is top right"
    assert "top right" in shown.drawing
    assert (shown.shape, shown.sound) == ("", "")


def test_the_query_stays_when_another_scene_is_chosen(service: Service) -> None:
    first = where.look(service, Asked(), service.embed("a horse", "text")).asked
    sound = where.look(service, replace(first, inside="sound"), service.item(scenes.FIRST_QUERY))
    assert sound.drawing and "ob-strip" in sound.drawing
    assert sound.sound and load_audio(sound.sound).seconds == pytest.approx(2.0, abs=0.1)
    shape = where.look(service, replace(first, inside="shape"))
    assert shape.drawing and "<b>a horse</b>: part" in shape.drawing
    assert shape.shape and load_points(shape.shape).surfaces


def test_a_place_is_searched_with_alone(service: Service) -> None:
    asked = where.look(service, Asked(), service.item(scenes.FIRST_QUERY)).asked
    best = where.spot(service, asked, "")
    assert best.drawing and "<b>This place alone</b>: top right" in best.drawing
    assert 'data-id="image/dog' in best.answers.partition("ob-column ob-text")[0]
    other = where.spot(service, asked, "0.25 0.8")
    assert other.drawing and "bottom left" in other.drawing
    assert other.answers != best.answers
    second = where.spot(service, replace(asked, inside="sound"), "0.9 0.5")
    assert second.drawing and "ob-strip" in second.drawing and second.sound
    part = where.spot(service, replace(asked, inside="shape"), "0.9 0.5")
    assert part.shape and "This place alone</b>: part" in str(part.drawing)
    for place in ("x", "0.5", "nan 1", "0.1 0.2 0.3"):
        with pytest.raises(QueryError, match="click into the picture"):
            where.spot(service, asked, place)
    with pytest.raises(QueryError, match="look for something first"):
        where.spot(service, Asked(), "")


@pytest.mark.parametrize("name", ["picture", "sound", "shape"])
def test_a_scene_is_shown_before_anything_is_looked_for(service: Service, name: str) -> None:
    shown = where.look(service, Asked(inside=name))
    assert shown.drawing and "choose something to look for" in shown.drawing
    assert bool(shown.shape) == (name == "shape")
    assert bool(shown.sound) == (name == "sound")
    assert ("ob-place" in shown.drawing) == (name == "picture") and "<i " not in shown.drawing, "no place yet"


@pytest.mark.parametrize("modality", ["image", "audio", "point"])
def test_a_file_of_ones_own_is_looked_into(service: Service, upload: Put, modality: str) -> None:
    item = example(modality)  # type: ignore[arg-type]
    path = upload(GALLERY / str(item.file))["path"]
    shown = where.look(service, Asked(inside=path, own=True), service.embed(item.concept, "text"))
    assert shown.drawing and item.concept in shown.drawing


def test_what_was_read_in_part_is_told_of_both_files(service: Service, upload: Put, tmp_path: Path) -> None:
    whole = (GALLERY / "sounds" / "dog-1.ogg").read_bytes()
    (tmp_path / "cut.ogg").write_bytes(whole[: 2 * len(whole) // 3])
    path = upload(tmp_path / "cut.ogg")["path"]
    bare = where.look(service, Asked(inside=path, own=True))
    assert len(bare.notices) == 1 and "missing" in bare.notices[0]
    asked = where.look(service, bare.asked, service.embed(path, "audio"))
    assert asked.notices == bare.notices, "the same, once"
    assert where.look(service, bare.asked, service.embed("a dog", "text")).notices == bare.notices
    assert "fill-opacity:1.00" in str(asked.drawing) and "fill-opacity:0.15" not in str(asked.drawing), "all of it"
    assert where.look(service, Asked(), service.item(scenes.FIRST_QUERY)).notices == ()


def test_the_scene_that_is_looked_into_stands_out() -> None:
    assert scenes.chips("sound").count('aria-pressed="true"') == 1
    assert 'data-id="sound" aria-pressed="true"' in scenes.chips("sound")
    assert 'aria-pressed="true"' not in scenes.chips()


def test_what_makes_no_sense_is_said(service: Service, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="scene"):
        where.look(service, Asked(inside="nonsense"))
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(OmniBindError):
        where.look(service, Asked(inside=str(tmp_path / "bad.png"), own=True))
    strange = replace(service.item(scenes.FIRST_QUERY), preset="lite")
    with pytest.raises(QueryError, match="another preset"):
        where.look(service, Asked(), strange)


def test_every_scene_and_query_is_in_the_gallery(service: Service) -> None:
    gallery = service.wait().gallery
    for name in ("picture", "sound", "shape"):
        assert scenes.scene(name, gallery)
    for modality in MODALITIES:
        assert len(scenes.queries(EXAMPLES, modality)) >= 3
    assert "<script>" not in where.look(service, Asked(), service.embed("<script>", "text")).drawing  # type: ignore[operator]
