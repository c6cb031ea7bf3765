"""The one face above the core, with the real model and gallery; and the one JSON form of what it answers."""

import json
from dataclasses import replace

import numpy as np
import pytest

from omnibind_core import cli
from omnibind_core.errors import MediaError, QueryError
from omnibind_core.evaluation.compositions import read_compositions
from omnibind_core.search.answers import (
    LabelScore,
    embedded_form,
    error_form,
    found_form,
    hit_form,
    item_form,
    scores_form,
)
from omnibind_core.search.compose import Options
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.gallery import Gallery
from omnibind_core.types import MODALITIES, Hit

HIT = Hit("image/dog-1", "image", "A dog", 0.12345678, 1.23456, (0.5, -0.25), "/gallery/dog.jpg", "/gallery/dog.webp")


@pytest.fixture(scope="module")
def explorer(mini):
    return Explorer(mini)


def an_item(explorer, modality):
    return next(item for item in explorer.gallery.items if item.modality == modality)


@pytest.mark.parametrize("modality", ["image", "audio", "point"])
def test_a_file_is_told_by_its_content_and_finds_its_like(explorer, modality):
    path = explorer.gallery.path(an_item(explorer, modality))
    one = explorer.embed(path)
    assert one.modality == modality
    assert one.media is not None
    assert {"decode", "project", "route", "bind"} < set(one.bound.timings)
    found = explorer.search([one.term()], Options(k=3), modalities=["text", modality])
    assert list(found.hits) == ["text", modality]
    assert found.seconds > 0
    assert an_item(explorer, modality).id not in {hit.id for hit in found.hits[modality]}


def test_facets_say_what_may_come_back(explorer):
    terms = [explorer.embed("an animal", "text").term()]
    options = Options(kinds=("image", "text"), concepts=("dog", "cat", "horse"))
    found = explorer.search(terms, options)
    assert set(found.hits) == {"image", "text"}
    assert {hit.details["concept"] for hits in found.hits.values() for hit in hits} == {"dog", "cat", "horse"}
    free = explorer.search(terms, Options(licences=("CC0-1.0",)))
    assert {hit.details["licence"] for hits in free.hits.values() for hit in hits} == {"CC0-1.0"}
    assert explorer.search(terms, Options(concepts=("nothing",))).hits["image"] == []


def test_near_duplicates_are_folded_under_the_better_one(explorer):
    whole = explorer.gallery
    items = [whole.item(f"image/{name}") for name in ("dog-1", "dog-2", "cat-1")]
    rows = np.stack([whole.row(item.id) for item in items])
    again = rows[0] + 0.1 * rows[2]
    again /= np.linalg.norm(again)
    copies = [replace(items[0], id="image/dog-1b"), replace(items[0], id="image/dog-1c")]
    rows = np.vstack([rows, again, again])
    small = Gallery([*items, *copies], rows, rows, whole.folder)
    hits = small.search([explorer.embed("a dog", "text").term()], 2, modalities=["image"], match="media")["image"]
    assert [hit.id.rstrip("bc") for hit in hits] == ["image/dog-1", "image/dog-2"]
    assert len(hits[0].like) == 2
    assert {hits[0].id, *hits[0].like} == {"image/dog-1", "image/dog-1b", "image/dog-1c"}


def test_a_sentence_must_be_called_one(explorer):
    assert explorer.embed("a dog", "text").term(-0.5, "dog").weight == -0.5
    with pytest.raises(MediaError):
        explorer.embed("a dog")


def test_an_item_is_embedded_once(explorer):
    item = an_item(explorer, "image")
    first = explorer.item(item.id)
    assert explorer.item(item.id) is first
    assert first.media is None
    assert float(first.vector @ explorer.gallery.term(item.id).vector) > 0.999
    with pytest.raises(QueryError, match="image/unicorn"):
        explorer.item("image/unicorn")


def test_similarity_and_names(explorer):
    dog, piano = explorer.embed("a dog", "text"), explorer.embed("a grand piano", "text")
    matrix = explorer.similarity([dog, piano])
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-5)
    scores = explorer.classify(dog.vector, ["piano", "dog"])
    assert [one.label for one in scores] == ["dog", "piano"]
    assert {spec.name for spec in explorer.specialists()} >= {"minilm_l6", "aisfx"}


def test_a_hit_has_one_form(explorer):
    assert hit_form(HIT, lambda path: f"at:{path}") == {
        "id": "image/dog-1",
        "modality": "image",
        "caption": "A dog",
        "score": 0.123457,
        "z": 1.235,
        "share": None,
        "terms": [0.5, -0.25],
        "file": "at:/gallery/dog.jpg",
        "like": [],
    }
    found = explorer.search([explorer.embed("a dog", "text").term()], Options(k=1))
    told = found_form("mini", found)
    assert list(told) == ["preset", "hits", "far", "notices"]
    assert list(told["hits"]) == list(MODALITIES)
    assert told["hits"]["text"][0]["file"] is None
    assert json.loads(json.dumps(told)) == told


def test_a_vector_survives_its_form(explorer):
    one = explorer.embed("a dog", "text")
    told = json.loads(json.dumps(embedded_form(one)))
    np.testing.assert_array_equal(np.array(told["vector"], np.float32), one.vector)
    assert set(told) == {"modality", "vector", "weights", "routed", "timings", "notices"}


def test_what_is_near_and_what_is_not(explorer):
    chair = explorer.search([explorer.embed("a wooden chair", "text").term()], Options(k=2))
    assert "audio" in chair.far and "point" not in chair.far  # nothing sounds like a chair
    best = chair.hits["point"][0]
    assert 0.99 < best.share <= 1 and best.share >= chair.hits["point"][1].share
    gibberish = explorer.search([explorer.embed("asdkfj qwpeor zz", "text").term()])
    assert gibberish.far == set(MODALITIES)
    mixed = explorer.search([explorer.embed("a dog", "text").term(), explorer.embed("rain", "text").term(0.5)])
    assert not mixed.far and mixed.hits["audio"][0].share is None


def test_nothing_is_near_a_mix_where_nothing_is_near_any_of_what_is_wanted(explorer):
    chair, stool, noise, more, dog = (
        explorer.embed(said, "text").term(weight)
        for said, weight in [
            ("a wooden chair", 1.0), ("a wooden stool", 0.5), ("asdkfj qwpeor zz", 1.0), ("xvbnm wrtzu", 0.4),
            ("a dog", 1.0),
        ]
    )  # fmt: skip
    assert "audio" in explorer.search([chair, stool]).far
    assert explorer.search([noise, more]).far == set(MODALITIES)
    assert not explorer.search([noise, dog]).far, "one of them is enough"
    unwanted = explorer.embed("a dog", "text").term(-1.0)
    assert explorer.search([noise, unwanted]).far == set(MODALITIES), "what is unwanted does not count"
    assert not explorer.search([unwanted]).far, "nothing is said where nothing is wanted"


def test_right_answers_to_written_mixes_are_never_called_far(explorer):
    judged = 0
    for query in read_compositions():
        terms = [
            (explorer.item(one.item) if one.item else explorer.embed(one.text, "text")).term(one.weight)
            for one in query.terms
        ]
        given = {one.item for one in query.terms}
        found = explorer.search(terms, Options(k=1), modalities=query.targets, exclude=given)
        right = {modality for modality, hits in found.hits.items() if hits[0].id in query.gold}
        assert not right & found.far, query.id
        judged += len(right)
    assert judged > 20


def test_the_other_forms(explorer):
    assert scores_form("mini", [LabelScore("dog", 0.75, 0.5)], True) == {
        "fits": True,
        "preset": "mini",
        "scores": [{"label": "dog", "probability": 0.75, "cosine": 0.5}],
        "notices": [],
    }
    assert set(item_form(an_item(explorer, "image"))) == {"id", "modality", "caption", "licence"}
    told = error_form(QueryError("this", "that", "do so"))
    assert told == {"error": {"given": "this", "allowed": "that", "action": "do so"}}


def test_the_command_line_tells_it_in_the_same_form(explorer, monkeypatch, capsys):
    monkeypatch.setattr(cli, "_model", lambda *_, **__: explorer.model)
    assert cli.main(["search", "text:a dog", "-k", "2", "--json"]) == 0
    found = explorer.search([explorer.embed("a dog", "text").term()], Options(k=2))
    assert json.loads(capsys.readouterr().out) == found_form("mini", found)
