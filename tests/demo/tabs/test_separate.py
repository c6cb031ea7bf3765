"""Separating: the callbacks as plain functions, on real sounds of the gallery, with the real model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from demo.html.separated import answer
from demo.service import Service
from demo.tabs.separate import MIXTURES, before, hear, separate, separate_item

from ...media.makers import lying_bed
from ..conftest import EXAMPLES, GALLERY, example

Put = Callable[[Path], dict[str, str]]
FIRST = next(iter(MIXTURES))


def test_every_mixture_is_of_gallery_sounds() -> None:
    known = {item.id for item in EXAMPLES.catalogue}
    assert all(known.issuperset(ids) for ids in MIXTURES.values())


def test_a_mixture_asked_in_words_gives_three_players_and_the_parts(service: Service) -> None:
    said, notice = separate(service, FIRST, None, "a flute", None)
    assert notice == ""
    assert said.count("<audio") == 3
    assert said.count("data:image/webp") == 3
    assert "a flute" in said
    assert "Part 1 " in said


def test_an_upload_is_taken_apart_instead_of_the_mixture(service: Service, upload: Put) -> None:
    item = example("audio")
    sound = upload(GALLERY / str(item.file))
    said, notice = separate_item(service, FIRST, sound, example("image").id)
    assert notice == ""
    assert said.count("<audio") == 3
    assert abs(hear(service, sound, FIRST).seconds - 4) > 0.01  # its own length, not the mixture's


def test_a_guessed_axis_of_what_is_asked_with_is_told(service: Service, upload: Put, tmp_path: Path) -> None:
    file = upload(lying_bed(tmp_path / "bed.npy"))
    assert 'data-act="turn"' in separate(service, FIRST, None, "", file)[1]
    assert separate(service, FIRST, None, "", file, "y")[1] == ""


def test_what_is_not_there_is_said_so(service: Service) -> None:
    explorer = service.wait()
    heard = hear(service, None, FIRST)
    found = explorer.separate(heard, explorer.gallery.term("image/horse-1"))
    said = answer(heard, found, "<horse>")
    assert ("does not seem to be in this sound" in said) == (not found.present)
    assert "<horse>" not in said


def test_nothing_to_ask_and_nothing_to_hear_are_told(service: Service, upload: Put) -> None:
    assert "Given" in separate(service, FIRST, None, "", None)[1]
    assert "Given" in separate(service, "another", None, "a flute", None)[1]
    assert "Given" in separate(service, FIRST, upload(GALLERY / str(example("image").file)), "a flute", None)[1]
    assert "not an uploaded file" in separate(service, FIRST, {"path": "/etc/passwd"}, "a flute", None)[1]


def test_a_sound_can_be_heard_before_anything_is_pulled_out_of_it(service: Service, upload: Put) -> None:
    heard, notice = before(service, FIRST, None)
    assert heard.count("<audio") == 1
    assert "What is found" in heard
    assert not notice
    own, _ = before(service, FIRST, upload(GALLERY / str(example("audio").file)))
    assert own.count("<audio") == 1
    assert own != heard
    nothing, notice = before(service, None, None)
    assert not nothing
    assert "choose a mixture" in notice.lower()
