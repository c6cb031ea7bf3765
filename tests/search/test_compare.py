"""Items beside one another: real gallery items and sentences, with the real model's vectors."""

from __future__ import annotations

import numpy as np
import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.errors import QueryError
from omnibind_core.evaluation.comparing import handfuls, sorting
from omnibind_core.evaluation.localising import half_of
from omnibind_core.search.answers import compared_form
from omnibind_core.search.compare import MOST, TOGETHER
from omnibind_core.search.explorer import Explorer

IDS = ["audio/dog-1", "image/car-1", "image/dog-1", "point/car-1", "point/dog-1", "audio/car-1"]


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(OmniBind.from_pretrained("mini", dtype="float32"))


def test_dogs_and_cars_fall_into_two_groups_whatever_they_are(explorer: Explorer) -> None:
    made = explorer.compare([explorer.gallery.term(one) for one in IDS])
    assert made.groups == tuple(made.groups[0] if "dog" in one else 1 - made.groups[0] for one in IDS)
    assert sorted(made.order) == list(range(len(IDS)))
    in_order = [made.groups[row] for row in made.order]
    assert in_order == sorted(in_order)  # each in one piece, counted from the first


def test_shares_are_those_of_the_scale_and_every_pair_of_a_group_reaches_the_cut(explorer: Explorer) -> None:
    terms = [explorer.gallery.term(one) for one in IDS]
    made = explorer.compare(terms)
    assert np.array_equal(made.shares, made.shares.T)
    assert np.array_equal(np.diag(made.shares), np.ones(len(IDS)))
    pair = [explorer.gallery.scale(a, b).share(made.cosines[0, 1]) for a, b in (("audio", "image"), ("image", "audio"))]
    assert made.shares[0, 1] == pytest.approx(np.mean(pair))
    for one, group in enumerate(made.groups):
        for other in range(one):
            assert made.groups[other] != group or made.shares[one, other] >= TOGETHER - 1e-6


def test_weights_do_not_matter_and_the_form_is_plain(explorer: Explorer) -> None:
    plain = explorer.compare([explorer.gallery.term(one) for one in IDS])
    minus = explorer.compare([explorer.gallery.term(one, -0.5) for one in IDS])
    assert np.array_equal(plain.shares, minus.shares)
    form = compared_form("mini", plain, ["cut"])
    assert set(form) == {"preset", "matrix", "shares", "order", "groups", "notices"}
    assert np.allclose(form["matrix"], plain.cosines)
    assert form["groups"] == list(plain.groups)


@pytest.mark.parametrize("count", [0, 1, MOST + 1])
def test_too_few_and_too_many_are_refused(explorer: Explorer, count: int) -> None:
    with pytest.raises(QueryError, match=f"2 to {MOST}"):
        explorer.compare([explorer.gallery.term("image/dog-1")] * count)


def test_the_same_thing_twice_is_one_group(explorer: Explorer) -> None:
    assert explorer.compare([explorer.gallery.term("image/dog-1")] * 2).groups == (0, 0)


def test_handfuls_are_of_one_half_and_shares_sort_better_than_cosines(explorer: Explorer) -> None:
    for items in handfuls(explorer.gallery, "development", 10):
        assert {half_of(item.concept) for item in items} == {"development"}
        assert len({(item.concept, item.modality) for item in items}) == len(items)
    shares, plain = sorting(explorer.gallery, "development")
    assert shares.n == 200
    assert shares.low > plain.mean
    assert shares.mean > 0.75
