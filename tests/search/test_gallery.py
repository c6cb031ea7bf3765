"""Gallery: what comes back, what never does, and what is refused. Vectors here are axes, so answers are known."""

import gc
import json
import shutil
import weakref
from types import SimpleNamespace

import faiss
import numpy as np
import pytest
from safetensors.numpy import save_file

from omnibind_core.errors import GalleryError, QueryError
from omnibind_core.search import gallery as gallery_module
from omnibind_core.search import gallery_vectors
from omnibind_core.search.compose import Term
from omnibind_core.search.gallery import Gallery, build, kept_path, vectors_path
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
    monkeypatch.setattr(gallery_vectors, "fingerprint", lambda _preset: "abc")
    rows = [{**vars(item)} for item in items()]
    (tmp_path / "catalogue.json").write_text(json.dumps({"version": 1, "items": rows}))
    vectors = np.stack([tilted(CONCEPTS[item.concept], item.modality) for item in items()]).astype(np.float16)

    def save(fingerprint="abc", ids=None):
        ids = json.dumps(ids or [item.id for item in items()])
        path = vectors_path(tmp_path, "mini")
        save_file({"media": vectors, "caption": vectors}, path, metadata={"fingerprint": fingerprint, "ids": ids})
        return tmp_path

    return save


MODEL = SimpleNamespace(preset=SimpleNamespace(name="mini"), numbers="float32, resident")


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


def test_threads_of_faiss_are_as_before_after_a_search():
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(3)
    try:
        FlatIndex(E).search(E[:2], 2)
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_a_gallery_that_nobody_holds_is_gone(gallery):
    short = Gallery(items(), gallery._plain["media"], gallery._plain["media"], gallery.folder)
    short.search([Term(DOG)], 2)
    gone = weakref.ref(short)
    del short
    gc.collect()
    assert gone() is None


class Embeds:
    """A model whose vectors are axes."""

    preset = SimpleNamespace(name="mini")
    width = 6
    numbers = "float32, resident"

    def embed(self, modality, files):
        return SimpleNamespace(vectors=np.stack([tilted(DOG, modality)] * len(files)))


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A gallery without vectors, and a cache of its own."""
    folder = tmp_path / "gallery"
    rows = [{**vars(item)} for item in items()]
    for item in items():
        if item.file:
            (folder / item.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / item.file).write_bytes(item.id.encode())
    (folder / "catalogue.json").write_text(json.dumps({"version": 1, "items": rows}))
    monkeypatch.setattr(gallery_vectors, "fingerprint", lambda _preset: "abc")
    monkeypatch.setattr(gallery_vectors, "cache_directory", lambda: tmp_path / "cache")
    return folder


def test_vectors_made_on_the_way_are_kept_in_the_cache(bare):
    before = sorted(bare.rglob("*"))
    model = Embeds()
    made = Gallery.make(model, bare)
    assert sorted(bare.rglob("*")) == before
    assert [path.name for path in kept_path(model, bare).parent.iterdir()] == [kept_path(model, bare).name]
    read = Gallery.load(model, bare)
    for match in made._plain:
        np.testing.assert_array_equal(made._plain[match], read._plain[match])


def test_vectors_beside_the_catalogue_come_before_those_of_the_cache(bare):
    model = Embeds()
    Gallery.make(model, bare)
    path = build(model, bare)
    assert path == vectors_path(bare, "mini")
    kept_path(model, bare).write_bytes(b"damaged")
    assert len(Gallery.load(model, bare)) == len(items())
    path.unlink()
    with pytest.raises(GalleryError, match="make gallery"):
        Gallery.load(model, bare)


def test_what_decides_vectors_decides_the_name_in_the_cache(bare, monkeypatch):
    model = Embeds()
    names = {kept_path(model, bare)}
    whole = json.loads((bare / "catalogue.json").read_text())
    whole["items"][0]["caption"] = "Another caption"
    (bare / "catalogue.json").write_text(json.dumps(whole))
    names.add(kept_path(model, bare))
    (bare / items()[0].file).write_bytes(b"another picture")
    names.add(kept_path(model, bare))
    monkeypatch.setattr(gallery_vectors, "fingerprint", lambda _preset: "def")
    names.add(kept_path(model, bare))
    other = Embeds()
    other.preset = SimpleNamespace(name="base")
    names.add(kept_path(other, bare))
    other.numbers = "bfloat16, int8"
    names.add(kept_path(other, bare))
    assert len(names) == 6
    whole["items"][0]["creator"] = "Somebody else"
    (bare / "catalogue.json").write_text(json.dumps(whole))
    assert kept_path(other, bare) in names, "who made an item decides no vector"


def test_half_written_vectors_are_never_found(bare, monkeypatch, caplog):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert len(Gallery.make(Embeds(), bare)) == len(items()), "a gallery that cannot be kept serves all the same"
    assert "no space left" in caplog.text
    with pytest.raises(GalleryError, match=r"no space left.*--folder"):
        build(Embeds(), bare)
    assert not kept_path(Embeds(), bare).exists()
    assert not vectors_path(bare, "mini").exists()


def test_a_gallery_that_was_interrupted_goes_on_behind_its_last_batch(bare, monkeypatch):
    monkeypatch.setattr(gallery_vectors, "BATCH", 2)
    whole, seen, told = Embeds(), [], []
    expected = Gallery.make(whole, bare)
    kept_path(whole, bare).unlink()

    class Dies(Embeds):
        def embed(self, modality, sources):
            if modality == "audio":
                raise KeyboardInterrupt
            seen.extend(sources)
            return super().embed(modality, sources)

    with pytest.raises(KeyboardInterrupt):
        Gallery.make(Dies(), bare)
    assert not kept_path(whole, bare).exists()

    class Counts(Embeds):
        def embed(self, modality, sources):
            assert len(sources) <= 2
            assert not set(map(str, sources)) & set(map(str, seen)), "embedded before the interruption"
            return super().embed(modality, sources)

    made = Gallery.make(Counts(), bare, lambda done, count: told.append((done, count)))
    assert told == sorted(told) and told[-1][0] == told[-1][1]
    for match in made._plain:
        np.testing.assert_array_equal(made._plain[match], expected._plain[match])
    assert [path.name for path in kept_path(whole, bare).parent.iterdir()] == [kept_path(whole, bare).name]


def test_whether_a_preset_has_vectors_is_told_without_loading_it(bare):
    model = Embeds()
    assert not gallery_vectors.is_kept(model.preset, bare)
    Gallery.make(model, bare)
    assert gallery_vectors.is_kept(model.preset, bare)
    assert not gallery_vectors.is_kept(SimpleNamespace(name="base"), bare)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A gallery of 2,400 items in two modalities, in which neighbours are close, and three more shapes."""
    dice = np.random.default_rng(0)
    kinds = ["image"] * 2_400 + ["audio"] * 2_400 + ["point"] * 3
    named = [
        Item(f"{kind}/{n}", kind, f"c{n % 40}", "A thing", f"{kind}/{n}.bin", None, "Somebody", "CC0-1.0", "made")
        for n, kind in enumerate(kinds)
    ]
    centres = dice.standard_normal((40, 32))
    media = centres[np.arange(len(kinds)) % 40] + 0.6 * dice.standard_normal((len(kinds), 32))
    media[7] = media[5]  # the same picture again
    caption = media + dice.standard_normal(media.shape)
    rows = [(one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float32) for one in (media, caption)]
    return lambda: Gallery(named, *rows, tmp_path_factory.getbasetemp())


ASKED = {
    "one": [(5, 1.0)],
    "two": [(5, 1.0), (2_500, 0.6)],
    "less of one": [(5, 1.0), (2_500, -0.7)],
    "traced": [(5, 1.0), (2_500, 0.0)],
}
HOW = [
    {},
    {"centred": True},
    {"match": "media"},
    {"exclude": [f"image/{n}" for n in range(30)]},
    {"only": lambda item: item.concept in {"c5", "c6"}},
]


@pytest.mark.parametrize("operator", ["sum", "slerp", "product", "projection"])
@pytest.mark.parametrize("asked", list(ASKED))
@pytest.mark.parametrize("how", HOW)
def test_above_the_limit_the_answers_are_those_of_the_exact_index(
    many, operator, asked, how, monkeypatch, tmp_path_factory
):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path_factory.getbasetemp() / "many"))  # made once for all of these
    exact, coded = many(), many()
    terms = [exact.term(exact.items[row].id, weight) for row, weight in ASKED[asked]]
    if operator == "slerp" and asked == "less of one":
        pytest.skip("slerp takes nothing away")
    right = exact.search(terms, 10, operator=operator, **how)
    monkeypatch.setattr(gallery_module, "FLAT_MOST", 50)
    found = coded.search(terms, 10, operator=operator, **how)
    kinds = {key[0]: type(index).__name__ for key, (index, _) in coded._indexes.items()}
    assert kinds == {"image": "DiskIndex", "audio": "DiskIndex", "point": "FlatIndex"}
    assert found == right
    assert len(found["image"]) == len(found["audio"]) == 10
    assert not {"image/5", "image/7"} & {hit.id for hit in found["image"]}


def test_an_index_is_kept_and_where_it_is_damaged_made_again(many, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    monkeypatch.setattr(gallery_module, "FLAT_MOST", 50)
    terms = [Term(many().row("image/5"))]
    right = many().search(terms, 5)
    folders = sorted(path for path in (tmp_path / "indexes").iterdir() if path.is_dir())
    assert len(folders) == 2
    codes = folders[0] / "codes-0.faiss"
    before = codes.stat().st_mtime_ns
    assert many().search(terms, 5) == right
    assert codes.stat().st_mtime_ns == before
    codes.write_bytes(b"no codes")
    assert many().search(terms, 5) == right
    assert "built again" in caplog.text
    caplog.clear()
    rows = folders[1] / "rows.f16"
    rows.write_bytes(rows.read_bytes()[:-1] + b"?")
    assert many().search(terms, 5) == right
    assert "rows.f16, of which part" in caplog.text
    shutil.rmtree(folders[0])
    folders[0].with_name(f"{folders[0].name}.part").mkdir()  # as a process leaves it that was killed
    (folders[0].with_name(f"{folders[0].name}.part") / "rows.f16").touch()
    assert many().search(terms, 5) == right
    assert sorted(path for path in (tmp_path / "indexes").iterdir() if path.is_dir()) == folders


def test_where_no_index_can_be_kept_all_are_searched(many, monkeypatch, tmp_path, caplog):
    (tmp_path / "indexes").touch()  # a file where the folder should be
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    right = many().search([Term(many().row("image/5"))], 5)
    monkeypatch.setattr(gallery_module, "FLAT_MOST", 50)
    assert many().search([Term(many().row("image/5"))], 5) == right
    assert "all are searched" in caplog.text
