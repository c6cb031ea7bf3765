"""Why something answers: that what is told adds up, for every operator, with the real model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.errors import QueryError
from omnibind_core.search.answers import Embedded, explained_form
from omnibind_core.search.compose import OPERATORS, Options
from omnibind_core.search.explorer import Explorer


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(OmniBind.from_pretrained("mini", dtype="float32"))


@pytest.fixture(scope="module")
def many(explorer: Explorer) -> list[Embedded]:
    return [explorer.item("image/dog-2"), explorer.embed("the sea", "text"), explorer.item("audio/dog-1")]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("match", ["media", "media+caption"])
def test_parts_make_the_score_of_the_search(
    explorer: Explorer, many: list[Embedded], operator: str, match: str
) -> None:
    weights = [1.0, 0.6, -0.4][: 2 if operator == "slerp" else 3]
    given = many[: len(weights)]
    options = Options(operator=operator, match=match)  # type: ignore[arg-type]
    found = explorer.search([one.term(w) for one, w in zip(given, weights, strict=True)], options)
    for hits in found.hits.values():
        for hit in (hits[0], hits[-1]):
            one = explorer.explain(hit.id, given, weights, options)
            assert one.score == pytest.approx(hit.score, abs=1e-5)
            parts = [part.part for part in one.terms]
            assert (math.prod(parts) if one.multiplies else sum(parts)) == pytest.approx(hit.score, abs=1e-5)
            assert [part.cosine for part in one.terms] == pytest.approx(hit.terms, abs=1e-5)
            for part in one.terms:
                assert sum(part.specialists.values()) == pytest.approx(part.cosine, abs=1e-4)
            if not one.multiplies:
                assert one.item + one.caption == pytest.approx(hit.score, abs=1e-5)
                assert (one.caption == pytest.approx(0, abs=1e-6)) == (match == "media")
    assert one.multiplies == (operator == "product")


def test_the_caption_brings_what_its_own_cosine_says(explorer: Explorer) -> None:
    given = [explorer.embed("a dog barks at the postman", "text")]
    one = explorer.explain("text/dog-1", given, [1.0])
    assert one.item == pytest.approx(one.caption, abs=1e-5)  # a sentence is its own caption


def test_a_term_of_weight_0_brings_nothing_and_centring_names_no_specialists(
    explorer: Explorer, many: list[Embedded]
) -> None:
    one = explorer.explain("image/beach-1", many[:2], [0.0, 1.0])
    assert one.terms[0].part == 0
    assert one.terms[1].part == pytest.approx(one.score, abs=1e-5)
    centred = explorer.explain("image/beach-1", many[:2], [0.5, 1.0], Options(centred=True))
    assert sum(part.part for part in centred.terms) == pytest.approx(centred.score, abs=1e-5)
    assert not any(part.specialists for part in centred.terms)


def test_weighed_by_hand_the_specialists_still_add_up(explorer: Explorer) -> None:
    made = explorer.item("audio/dog-1")
    names = made.bound.members
    other = explorer.reweigh(made, {names[0]: 1.0, names[-1]: 2.0})
    one = explorer.explain("image/dog-1", [other], [1.0])
    assert sum(one.terms[0].specialists.values()) == pytest.approx(one.terms[0].cosine, abs=1e-4)
    assert one.terms[0].specialists[names[1]] == 0


def test_what_does_not_add_up_is_not_told(explorer: Explorer) -> None:
    made = explorer.item("audio/dog-1")
    mean = replace(made, bound=replace(made.bound, vectors=-made.bound.vectors))
    assert explorer.explain("image/dog-1", [mean], [1.0]).terms[0].specialists == {}


def test_the_form_and_an_item_that_is_not_there(explorer: Explorer, many: list[Embedded]) -> None:
    form = explained_form("mini", explorer.explain("image/beach-1", many[:2], [1.0, 0.5]), ["dog", "sea"])
    assert [term["label"] for term in form["terms"]] == ["dog", "sea"]
    assert set(form) == {"preset", "id", "score", "multiplies", "item", "caption", "terms"}
    with pytest.raises(QueryError, match="an id of the catalogue"):
        explorer.explain("image/none", many[:1], [1.0])
    with pytest.raises(QueryError, match="other than 0"):
        explorer.explain("image/beach-1", many[:1], [0.0])
