"""Walks between two things, with the real model and gallery."""

from __future__ import annotations

import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.errors import QueryError
from omnibind_core.evaluation.journeys import journeys, journeys_section, pairs
from omnibind_core.evaluation.localising import half_of
from omnibind_core.search.compose import Options
from omnibind_core.search.explorer import Explorer


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(OmniBind.from_pretrained("mini", dtype="float32"))


def test_the_ends_are_the_things_alone_and_both_are_met(explorer: Explorer) -> None:
    cat, lion = explorer.gallery.term("image/cat-2"), explorer.gallery.term("audio/lion-1", -0.3)
    stops = explorer.journey(cat, lion, stops=5, exclude=["image/cat-2", "audio/lion-1"])
    assert [stop.share for stop in stops] == [0, 0.25, 0.5, 0.75, 1]
    alone = explorer.search([cat], exclude=["image/cat-2", "audio/lion-1"]).hits
    assert {m: [hit.id for hit in hits] for m, hits in stops[0].hits.items()} == {
        m: [hit.id for hit in hits] for m, hits in alone.items()
    }
    assert stops[0].hits["image"][0].details["concept"] == "cat"
    assert stops[-1].hits["image"][0].details["concept"] == "lion"


def test_a_walk_to_the_same_place_stays_there(explorer: Explorer) -> None:
    dog = explorer.gallery.term("image/dog-2")
    stops = explorer.journey(dog, dog, Options(k=2))
    assert len({tuple(hit.id for hit in stop.hits["audio"]) for stop in stops}) == 1


@pytest.mark.parametrize("stops", [2, 34, True, 3.0])
def test_too_few_and_too_many_stops_are_refused(explorer: Explorer, stops: int) -> None:
    dog = explorer.gallery.term("image/dog-2")
    with pytest.raises(QueryError, match="3 to 33"):
        explorer.journey(dog, dog, stops=stops)


@pytest.mark.slow
def test_halfway_both_are_there_far_more_often_than_by_lot(explorer: Explorer) -> None:
    drawn = pairs(explorer.gallery, "development", 20)
    assert all(a.concept != b.concept and len({a.modality, b.modality, seen}) == 3 for a, b, seen in drawn)
    assert {half_of(one.concept) for a, b, _ in drawn for one in (a, b)} == {"development"}
    found = journeys(explorer.gallery, "development")
    assert all(one.n == 300 and one.halfway[1] > 0.4 > 100 * one.chance for one in found)
    assert len(journeys_section(found).rows) == len(found)
