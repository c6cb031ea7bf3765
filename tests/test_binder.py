"""The whole way, from real files to one unit vector."""

import numpy as np
import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.binding import files
from omnibind_core.errors import MediaError, PresetError, QueryError
from omnibind_core.search.gallery import Gallery
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import read_tensors
from omnibind_core.types import MODALITIES

FOLDER = assets_directory() / "gallery"


def files_of(modality, count=2):
    return [FOLDER / item.file for item in read_catalogue(FOLDER) if item.modality == modality and item.file][:count]


SOURCES = {m: ["a dog barks", "Ein Hund bellt 🐕"] if m == "text" else files_of(m) for m in MODALITIES}


@pytest.mark.parametrize("modality", MODALITIES)
def test_vectors_are_unit_rows_and_weights_are_shares(mini, modality):
    bound = mini.embed(modality, SOURCES[modality])
    assert bound.vectors.shape == (2, mini.width)
    assert bound.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(bound.vectors, axis=1), 1, atol=1e-5)
    assert bound.weights.shape == (2, len(bound.members))
    np.testing.assert_allclose(bound.weights.sum(axis=1), 1, atol=1e-5)
    assert {"decode", "project", "route", "bind"} < set(bound.timings)
    assert all(seconds >= 0 for seconds in bound.timings.values())


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_same_input_gives_the_same_vector_alone_and_in_a_batch(mini, modality):
    batch = mini.embed(modality, SOURCES[modality]).vectors
    again = np.vstack([mini.embed(modality, [source]).vectors for source in SOURCES[modality]])
    assert (batch * again).sum(axis=1).min() > 0.9999


def test_each_modality_has_its_own_method(mini):
    for method, modality in (
        (mini.embed_images, "image"),
        (mini.embed_audio, "audio"),
        (mini.embed_points, "point"),
        (mini.embed_texts, "text"),
    ):
        vectors = method(SOURCES[modality][:1])
        bound = method(SOURCES[modality][:1], explain=True)
        assert vectors.shape == (1, mini.width)
        np.testing.assert_allclose(vectors, bound.vectors, atol=1e-5)
        assert bound.weights_by_name().keys() == set(bound.members)


def test_weights_by_hand_replace_the_routers(mini):
    bound = mini.embed("text", ["a dog"], weights={"words": 3.0})
    assert bound.weights_by_name()["words"] == pytest.approx(1)
    assert not np.allclose(bound.vectors, mini.embed("text", ["a dog"]).vectors)


@pytest.mark.parametrize("weights", [{"smell": 1.0}, {"words": -1.0}, {"words": 0.0}, {"words": float("nan")}])
def test_unusable_weights_by_hand(mini, weights):
    with pytest.raises(QueryError, match="words"):
        mini.embed("text", ["a dog"], weights=weights)


@pytest.mark.parametrize(
    ("modality", "items", "error"),
    [
        ("smell", ["x"], QueryError),
        ("text", [], QueryError),
        ("text", "a dog", QueryError),
        ("text", [""], MediaError),
        ("image", [FOLDER / "nowhere.jpg"], MediaError),
    ],
)
def test_what_cannot_be_embedded_is_explained(mini, modality, items, error):
    with pytest.raises(error, match="Allowed"):
        mini.embed(modality, items)


@pytest.mark.parametrize("options", [{"device": "tpu9"}, {"dtype": "int4"}, {"device": "cuda:99"}])
def test_devices_and_types_that_do_not_exist(options):
    with pytest.raises(PresetError, match="Allowed"):
        OmniBind.from_pretrained("mini", modalities=["text"], **options)


def test_only_what_a_modality_needs_is_loaded():
    model = OmniBind.from_pretrained("mini", modalities=["text"], dtype="float32")
    assert set(model._towers) == {"any_language", "e5_small", "minilm_l6"}
    assert model.embed_texts(["a dog"]).shape == (1, model.width)


def test_only_the_heads_that_a_modality_needs_are_read(mini, monkeypatch):
    read = []
    monkeypatch.setattr(files, "read_tensors", lambda path: read.append(path.stem) or read_tensors(path))
    model = OmniBind.from_pretrained("mini", modalities=["text"], dtype="float32", device="cpu")
    assert sorted(read) == ["heard", "looks", "shaped", "sights", "words"]
    assert model._projectors.nbytes() < mini._projectors.nbytes() / 2
    np.testing.assert_array_equal(model.embed_texts(["a dog"]), mini.embed_texts(["a dog"]))
    with pytest.raises(QueryError, match="'image', which was not loaded"):
        model.embed_images(SOURCES["image"])


@pytest.mark.parametrize("modality", MODALITIES)
def test_committed_vectors_are_what_the_preset_gives(mini, modality):
    gallery = Gallery.load(mini)
    items = [item for item in gallery.items if item.modality == modality][::20][:5]
    for item in items:
        source = item.caption if item.file is None else FOLDER / item.file
        vector = mini.embed(modality, [source]).vectors[0]
        assert vector @ gallery.term(item.id).vector > 0.999


def test_trained_routers_are_a_choice_that_fits_the_same_gallery(mini):
    routed = OmniBind.from_pretrained("mini", routing="trained", modalities=["text"], dtype="float32", device="cpu")
    assert routed.is_routed("text")
    assert not mini.is_routed("text")
    bound = routed.embed_texts(["the sound of a dog", "a photo of a dog"], explain=True)
    heard, seen = bound.weights_by_name(0), bound.weights_by_name(1)
    assert heard["heard"] > seen["heard"]
    assert seen["looks"] + seen["sights"] > heard["looks"] + heard["sights"]
    assert len(Gallery.load(routed)) == len(Gallery.load(mini))


@pytest.mark.parametrize(("name", "routing"), [("mini", "guessed"), ("base", "trained")])
def test_a_routing_that_there_is_not(name, routing):
    with pytest.raises(PresetError, match="rout"):
        OmniBind.from_pretrained(name, routing=routing, offline=True)


@pytest.mark.parametrize("modality", MODALITIES)
def test_rebinding_is_embedding_with_other_weights_but_for_the_towers(mini, monkeypatch, modality):
    items = SOURCES[modality]
    bound = mini.embed(modality, items, keep=True)
    assert bound.projected.shape == (2, len(bound.members), mini.width)
    weights = {name: 1.0 + place for place, name in enumerate(bound.members)}
    whole = mini.embed(modality, items, weights=weights)
    assert whole.projected is None

    def forbidden(*_, **__):
        raise AssertionError("a tower was called")

    for tower in mini._towers.values():
        monkeypatch.setattr(tower, "embed", forbidden, raising=False)
    again = mini.rebind(bound, weights)
    np.testing.assert_allclose(again.vectors, whole.vectors, atol=1e-6)
    np.testing.assert_allclose(again.weights, whole.weights)
    assert set(again.timings) == {"bind"}
    np.testing.assert_allclose(mini.rebind(bound, bound.weights_by_name()).vectors[0], bound.vectors[0], atol=1e-6)
    with pytest.raises(QueryError, match="at least 0"):
        mini.rebind(bound, {bound.members[0]: -1.0})
    with pytest.raises(QueryError, match="keep=True"):
        mini.rebind(whole, weights)
