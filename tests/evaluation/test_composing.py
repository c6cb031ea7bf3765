"""Composition: the written queries hold what they promise; figures of a made-up gallery are known in advance."""

from __future__ import annotations

import json

import numpy as np
import pytest

from omnibind_core.errors import GalleryError, QueryError
from omnibind_core.evaluation import composing_page as evaluate_compose
from omnibind_core.evaluation.composing import Measured, Setting, decide, measure_compositions, winner
from omnibind_core.evaluation.composing_page import sections
from omnibind_core.evaluation.compositions import GROUPS, Composition, QueryTerm, read_compositions
from omnibind_core.search.compose import OPERATORS
from omnibind_core.search.gallery import MATCHES, Gallery
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES

E = np.eye(8, dtype=np.float32)
QUERIES = read_compositions()
CATALOGUE = {item.id: item for item in read_catalogue(assets_directory() / "gallery")}


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


# Four animals by what they have: 0 is cat-like, 1 striped, 2 young, 3 horse-like.
VECTORS = {
    "lion": unit(E[0] + 0.3 * E[4]),
    "tiger": unit(E[0] + E[1]),
    "zebra": unit(E[3] + E[1]),
    "foal": unit(E[3] + 0.5 * E[2]),
    "chair": E[5],
}
STRIPES, YOUNG = E[1], E[2]
TIGER = Composition("tiger", (QueryTerm("image/lion"), QueryTerm(text="stripes")), ("image/tiger",), "")
FOAL = Composition("foal", (QueryTerm("image/zebra"), QueryTerm(text="stripes", weight=-0.7)), ("audio/foal",), "")


@pytest.fixture
def gallery(tmp_path):
    items = [
        Item(f"{m}/{name}", m, name, name, None, None, "Somebody", "CC0-1.0", "made for this test")
        for m in MODALITIES
        for name in VECTORS
    ]
    media = np.stack([VECTORS[item.concept] for item in items])
    return Gallery(items, media, media, tmp_path)


def embed_texts(texts):
    return np.stack([{"stripes": STRIPES, "young": YOUNG}[text] for text in texts])


def test_there_are_as_many_of_each_kind_as_were_asked_for():
    counts = {group: sum(map(belongs, QUERIES)) for group, belongs in GROUPS.items()}
    assert counts["all"] == 60 == len({query.id for query in QUERIES})
    assert counts["two terms"] + counts["three terms"] == 60
    assert counts["with sound"] >= 20
    assert counts["with negative"] >= 20
    assert counts["with shape"] >= 15
    assert {target for query in QUERIES for target in query.targets} == set(MODALITIES)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.id)
def test_answers_exist_and_are_not_what_is_asked_with(query):
    inputs = {term.item for term in query.terms if term.item}
    assert set(query.gold) | inputs <= set(CATALOGUE)
    assert not set(query.gold) & inputs
    assert len(set(query.gold)) == len(query.gold)
    assert {term.weight for term in query.terms} <= {1.0, -0.7}
    assert query.terms[0].weight == 1
    assert query.alone


def test_figures_of_a_gallery_whose_answers_are_known(gallery):
    measured = measure_compositions(gallery, embed_texts, [TIGER, FOAL])
    for match in MATCHES:
        plain = {way: measured.scores[Setting(way, False, match)] for way in OPERATORS}
        assert plain["sum"].tolist() == [[1, 1], [1, 1]]
        # Projection takes less away than the sum: 0.7 of what the zebra has in common with stripes.
        assert plain["projection"].tolist() == [[1, 1], [0.5, 1]]
        assert plain["slerp"][0].tolist() == [1, 1]
        assert np.isnan(plain["slerp"][1]).all(), "slerp cannot subtract"
        # The lion never finds itself; the zebra's picture finds the sound of the zebra first.
        assert measured.scores[Setting("first term", False, match)].tolist() == [[1, 1], [0.5, 1]]
        assert np.isnan(measured.scores[Setting("words only", False, match)][1]).all()


def test_what_is_asked_with_never_answers_even_for_a_single_term(gallery):
    asked = Composition("chair", (QueryTerm("image/tiger"), QueryTerm(text="young")), ("image/zebra",), "")
    rank = measure_compositions(gallery, embed_texts, [asked]).scores[Setting("words only", False, "media")][0, 0]
    assert rank >= 1 / 3  # of the five pictures the tiger is out, and only the foal is young


def test_chance_is_what_a_shuffled_gallery_gives(gallery):
    measured = measure_compositions(gallery, embed_texts, [TIGER, FOAL])
    four = np.mean([1 / rank for rank in range(1, 5)])  # one right answer among five pictures without the lion
    five = np.mean([1 / rank for rank in range(1, 6)])  # among five sounds, all of them allowed
    np.testing.assert_allclose(measured.scores[Setting("chance")], [[four, 1], [five, 1]])


def test_an_unknown_item_is_named(gallery):
    with pytest.raises(GalleryError, match="audio/unicorn"):
        measure_compositions(gallery, embed_texts, [Composition("x", TIGER.terms, ("audio/unicorn",), "")])


def measured(**means):
    """Twenty queries; each setting is right that often, always on the first of them."""
    rows = {}
    for name, right in means.items():
        way, _, rest = name.partition("_")
        reached = np.repeat((np.arange(20) < right)[:, None], 2, axis=1).astype(float)
        rows[Setting(way, "centred" in rest, "media" if "media" in rest else "media+caption")] = reached
    return Measured((TIGER,) * 20, rows)


def test_the_best_wins_only_by_more_than_chance():
    assert decide(measured(sum=5, product=19)).chosen == Setting("product", False, "media+caption")
    close = decide(measured(sum=18, product=19))
    assert close.chosen == Setting("sum", False, "media+caption")
    assert close.best == Setting("product", False, "media+caption")
    assert close.lead.value == pytest.approx(5)
    assert close.lead.low <= 0 < close.lead.high


def test_among_equals_the_simplest_wins():
    found = winner(measured(product=10, projection=10, sum_centred=10, sum_media=10, sum=10))
    assert found == Setting("sum", False, "media+caption")
    assert winner(measured(sum_media=3, sum=18, sum_centred=18)) == Setting("sum", False, "media+caption")
    assert winner(measured(sum_media=18, sum=3, sum_centred=3)) == Setting("sum", False, "media")


def test_a_way_that_cannot_answer_all_never_wins():
    some = measured(sum=5)
    slerp = np.ones((20, 2))
    slerp[3] = np.nan
    assert winner(Measured(some.queries, {**some.scores, Setting("slerp"): slerp})).way == "sum"


def test_tables_hold_every_way_and_count_what_each_can_answer(gallery):
    ways, settings, kinds = sections(measure_compositions(gallery, embed_texts, [TIGER, FOAL]))
    assert set(ways.column("way")) == {*OPERATORS, "first term", "best single term", "words only"}
    assert dict(zip(ways.column("way"), ways.column("n"), strict=True))["slerp"] == 1
    assert len(settings.rows) == 4 * len(OPERATORS)
    assert len(kinds.rows) == 1 + 4 * len(ways.rows)
    assert kinds.columns[1:] == ["all (2)", "two terms (2)", "with negative (1)", "with words (1)"]
    assert ways.chart is not None
    assert "2 queries" in ways.text


def test_mini_mixes_better_than_chance(mini):
    found = measure_compositions(Gallery.load(mini), mini.embed_texts, QUERIES[:4])
    plain = found.scores[Setting("sum", False, "media+caption")]
    assert (plain.mean(0) > 2 * found.scores[Setting("chance")].mean(0)).all()


def test_the_command_prints_and_writes_tables(monkeypatch, tmp_path, capsys, gallery):
    monkeypatch.setattr(evaluate_compose.OmniBind, "from_pretrained", lambda *_, **__: None)
    known = measure_compositions(gallery, embed_texts, [TIGER, FOAL])
    monkeypatch.setattr(evaluate_compose, "evaluate_compositions", lambda _model: known)
    assert evaluate_compose.main(["--out", str(tmp_path / "tables.md")]) == 0
    said = capsys.readouterr().out
    assert said == (tmp_path / "tables.md").read_text(encoding="utf-8")
    assert "| slerp | 1 | 100.0 (100.0-100.0) |" in said


def test_the_command_explains_what_it_cannot_do(capsys):
    assert evaluate_compose.main(["--preset", "nonesuch"]) == 2
    assert "nonesuch" in capsys.readouterr().err


@pytest.mark.parametrize(
    "broken",
    [
        "no json",
        '{"queries": 3}',
        json.dumps({"queries": [{"id": "x", "terms": [{"item": "a", "text": "b"}], "gold": ["c"], "alone": ""}]}),
        json.dumps({"queries": [{"id": "x", "terms": [{"text": "b"}], "gold": [], "alone": ""}]}),
        json.dumps({"queries": [{"id": "x", "terms": [{"picture": "b"}], "gold": ["c"], "alone": ""}]}),
    ],
)
def test_a_broken_file_is_explained(tmp_path, broken):
    path = tmp_path / "queries.json"
    path.write_text(broken, encoding="utf-8")
    with pytest.raises(QueryError, match="What to do"):
        read_compositions(path)
