"""The tours: that they are whole, and that their answers are what the model answers now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.links import unpack
from demo.service import Service
from demo.shell.stories import Stories
from demo.tabs.stories import opened, shelf, stage
from omnibind_core.errors import QueryError
from tools.stories import EACH, PRESET, answered

from ..conftest import GALLERY

STORIES = Stories.read(GALLERY.parent, GALLERY)
RAW = json.loads((GALLERY.parent / "stories.json").read_text(encoding="utf-8"))


def test_there_are_eight_of_a_few_steps_each() -> None:
    assert [one.title for one in STORIES.all] == [one["title"] for one in RAW["stories"]]
    assert len(STORIES.all) == 8
    for story in STORIES.all:
        assert 3 <= len(story.steps) <= 6
        assert story.lead
        assert len(story.cover) == 3
        for step in story.steps:
            assert step.say.endswith(".")
            assert step.say.count(". ") == 0  # one sentence
            assert {m: len(hits) for m, hits in step.found.hits.items()} == dict.fromkeys(step.found.hits, EACH)


def test_the_answers_are_those_of_the_model(service: Service) -> None:
    explorer = service.wait()
    assert explorer.preset == STORIES.preset == PRESET
    for story in RAW["stories"]:
        for step in story["steps"]:
            now = answered(explorer, step["terms"])
            assert now["far"] == step["far"], step["say"]
            for modality, rows in step["hits"].items():
                # Another processor rounds otherwise: places may change between equals, what is near stays near.
                assert [row[1] for row in now["hits"][modality]] == pytest.approx([row[1] for row in rows], abs=0.01)
                assert now["hits"][modality][0][0] == rows[0][0], step["say"]


def steps(place: str) -> list[str]:
    """Give the steps of a tour as they are drawn."""
    return stage(STORIES, place).split('<div class="ob-stage"')[1:]


def test_a_tour_is_drawn_with_all_its_steps_and_without_any_model() -> None:
    drawn = steps("0:0")
    assert [one.startswith(" hidden>") for one in drawn] == [False, True, True, True]
    assert "A dog barks several times" in drawn[0]
    assert drawn[0].count("<article") == 4 * EACH
    assert 'data-turn="1">Next</button>' in drawn[0]
    assert "disabled>Back" in drawn[0]
    last = len(STORIES.all[7].steps) - 1
    drawn = steps(f"7:{last}")
    assert [i for i, one in enumerate(drawn) if not one.startswith(" hidden>")] == [last]
    assert 'data-id="0:0">Next tour</button>' in drawn[last]
    assert drawn[last].count("Nothing here is near") == 4
    assert shelf(STORIES).count('data-act="step"') == 8


def test_every_step_can_be_tried_by_a_link() -> None:
    for i, story in enumerate(STORIES.all):
        for j, step in enumerate(story.steps):
            part = steps(f"{i}:0")[j].partition('href="?q=')[2].partition('"')[0]
            said = unpack(part).terms
            assert [(one.item, one.text, one.weight) for one in said] == [
                (one.item, one.text, one.weight) for one in step.parts
            ]


@pytest.mark.parametrize("place", ["", "8:0", "0:99", "-1:0", "a:b", "0", "²:0"])
def test_a_place_that_is_none_is_refused(place: str) -> None:
    with pytest.raises(QueryError, match="one of 8 tours"):
        STORIES.step(place)


def test_only_what_a_tour_shows_can_be_opened() -> None:
    hit = opened(STORIES, "image/dog-1").detail
    assert hit is not None
    assert hit.details["licence"]
    with pytest.raises(QueryError):
        opened(STORIES, "image/none")


def test_another_gallery_has_no_tours(tmp_path: Path) -> None:
    assert Stories.read(GALLERY.parent, tmp_path).all == ()
    assert "another one is shown" in shelf(Stories())
