"""Gallery: what comes back, what never does, and what is refused. Vectors here are axes, so answers are known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from omnibind_core.errors import GalleryError, QueryError
from omnibind_core.search import gallery as search_gallery
from omnibind_core.search.compose import Term
from omnibind_core.search.gallery import Gallery, vectors_path
from omnibind_core.search.index import FlatIndex
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.types import MODALITIES

E = np.eye(6, dtype=np.float32)
DOG, CAT, PIANO = E[0], E[1], E[2]
CONCEPTS = {"dog": DOG, "cat": CAT, "piano": PIANO}


def tilted(vector, modality):
    """A concept's vector as one modality sees it: each modality lies in a cone of its own."""
    axis = E[3 + MODALITIES.index(modality) % 3]
    mixed = vector + 0.4 * axis
    return (mixed / np.linalg.norm(mixed)).astype(np.float32)


def items():
    return [
        Item(
            f"{modality}/{concept}",
            modality,
            concept,
            f"A {concept}",
            None if modality == "text" else f"{modality}/{concept}.bin",
            None,
            "Somebody",
            "CC0-1.0",
            "made for this test",
        )
        for modality in MODALITIES
        for concept in CONCEPTS
    ]


@pytest.fixture
def gallery(tmp_path):
    media = np.stack([tilted(CONCEPTS[item.concept], item.modality) for item in items()])
    caption = np.stack([tilted(CONCEPTS[item.concept], "text") for item in items()])
    return Gallery(items(), media, caption, tmp_path)


@pytest.mark.parametrize("match", ["media", "media+caption"])
@pytest.mark.parametrize("operator", ["sum", "product", "projection"])
@pytest.mark.parametrize("centred", [False, True])
def test_each_modality_answers_with_its_own_best(gallery, match, operator, centred):
    hits = gallery.search([Term(DOG)], 2, match=match, operator=operator, centred=centred)
    assert list(hits) == list(MODALITIES)
    for modality, found in hits.items():
        assert [hit.modality for hit in found] == [modality] * 2
        assert found[0].id == f"{modality}/dog"
        assert found[0].score > found[1].score
        assert found[0].z > 0 > found[1].z


def test_a_mix_has_both_and_a_negative_has_it_not(gallery):
    both = gallery.search([Term(DOG), Term(CAT)], 2)["image"]
    assert {hit.details["concept"] for hit in both} == {"dog", "cat"}
    assert both[0].terms == pytest.approx(tuple(tilted(CONCEPTS[both[0].details["concept"]], "image")[:2]))
    less = gallery.search([Term((DOG + CAT) / np.float32(np.sqrt(2))), Term(CAT, -0.8)], 3)["image"]
    assert less[0].details["concept"] == "dog"
    assert less[-1].details["concept"] == "cat"


@pytest.mark.parametrize("operator", ["sum", "product", "projection", "slerp"])
@pytest.mark.parametrize("centred", [False, True])
def test_a_term_of_weight_0_changes_no_score_and_is_still_traced(gallery, operator, centred):
    options = {"operator": operator, "centred": centred, "modalities": ["image"]}
    alone = gallery.search([Term(DOG)], 3, **options)["image"]
    traced = gallery.search([Term(PIANO, 0.0), Term(DOG)], 3, **options)["image"]
    assert [(hit.id, hit.score) for hit in traced] == [(hit.id, hit.score) for hit in alone]
    assert [hit.terms[1:] for hit in traced] == [hit.terms for hit in alone]


def test_the_querys_own_input_never_comes_back(gallery):
    for item in gallery.items:
        hits = gallery.search([gallery.term(item.id)], 3)
        assert item.id not in {hit.id for found in hits.values() for hit in found}
        assert len(hits[item.modality]) == 2
        assert len(gallery.search([gallery.term(item.id)], 3)["audio"]) >= 2


def test_excluded_items_do_not_come_back(gallery):
    hits = gallery.search([Term(DOG)], 3, modalities=["audio"], exclude=["audio/dog"])
    assert list(hits) == ["audio"]
    assert {hit.id for hit in hits["audio"]} == {"audio/cat", "audio/piano"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k = 0"),
        ({"k": 10_000}, "200"),
        ({"k": "many"}, "many"),
        ({"modalities": ["smell"]}, "smell"),
        ({"modalities": []}, "some of"),
        ({"operator": "division"}, "sum, slerp, product, projection"),
        ({"match": "colour"}, "media"),
    ],
)
def test_what_is_not_allowed_is_explained(gallery, options, message):
    with pytest.raises(QueryError, match=message):
        gallery.search([Term(DOG)], **options)


def test_an_unknown_item(gallery):
    with pytest.raises(QueryError, match="image/unicorn"):
        gallery.term("image/unicorn")


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.setattr(search_gallery, "fingerprint", lambda _preset: "abc")
    rows = [{**vars(item)} for item in items()]
    (tmp_path / "catalogue.json").write_text(json.dumps({"version": 1, "items": rows}))
    vectors = np.stack([tilted(CONCEPTS[item.concept], item.modality) for item in items()]).astype(np.float16)

    def save(fingerprint="abc", ids=None):
        ids = json.dumps(ids or [item.id for item in items()])
        path = vectors_path(tmp_path, "mini")
        save_file({"media": vectors, "caption": vectors}, path, metadata={"fingerprint": fingerprint, "ids": ids})
        return tmp_path

    return save


MODEL = SimpleNamespace(preset=SimpleNamespace(name="mini"))


def test_vectors_are_read_back(saved):
    gallery = Gallery.load(MODEL, saved())
    assert len(gallery) == len(items())
    assert gallery.search([Term(PIANO)], 1)["point"][0].id == "point/piano"


def test_vectors_of_another_preset_are_refused(saved):
    with pytest.raises(GalleryError, match=r"fingerprint abc.*make gallery"):
        Gallery.load(MODEL, saved(fingerprint="other"))


def test_vectors_of_another_catalogue_are_refused(saved):
    with pytest.raises(GalleryError, match="another catalogue"):
        Gallery.load(MODEL, saved(ids=["image/dog"]))


def test_missing_or_damaged_vectors_are_explained(saved):
    folder = saved()
    vectors_path(folder, "mini").write_bytes(b"half a file")
    with pytest.raises(GalleryError, match="make gallery"):
        Gallery.load(MODEL, folder)
    vectors_path(folder, "mini").unlink()
    with pytest.raises(GalleryError, match="make gallery"):
        Gallery.load(MODEL, folder)


@pytest.mark.parametrize("content", [None, "", "[]", '{"items": [{"id": 1}]}'])
def test_a_broken_catalogue_is_explained(tmp_path, content):
    if content is not None:
        (tmp_path / "catalogue.json").write_text(content)
    with pytest.raises(GalleryError, match="catalogue"):
        read_catalogue(tmp_path)


def test_flat_index_finds_what_brute_force_finds():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 32)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores, found = FlatIndex(rows).search(rows[:7], 5)
    exact = rows[:7] @ rows.T
    np.testing.assert_array_equal(found, np.argsort(-exact, axis=1)[:, :5])
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :5], atol=1e-6)
    assert FlatIndex(rows).search(rows[:1], 9999)[1].shape == (1, 500)
