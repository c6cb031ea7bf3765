"""Where a query is: composites of gallery media, each modality, and what makes no sense."""

from __future__ import annotations

import json

import numpy as np
import pytest

from omnibind_core import media
from omnibind_core.binder import OmniBind
from omnibind_core.cli import main
from omnibind_core.errors import QueryError
from omnibind_core.evaluation.localising import Pointing, composites, half_of, localising_section
from omnibind_core.evaluation.retrieval import figure
from omnibind_core.search.answers import located_form
from omnibind_core.search.composites import joined
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.localise import Pieces, piece_at, pieces
from omnibind_core.search.parts import parts_of
from omnibind_core.types import Audio, Image, Media, PointCloud, Text


@pytest.fixture(scope="module")
def explorer(mini: OmniBind) -> Explorer:
    return Explorer(mini)


def item(explorer: Explorer, item_id: str) -> Media:
    one = explorer.gallery.item(item_id)
    return media.load(explorer.gallery.path(one), one.modality)


def asked(explorer: Explorer, item_id: str):
    return explorer.item(item_id).term()


@pytest.fixture(scope="module")
def square(explorer: Explorer) -> Image:
    made = joined([item(explorer, f"image/{name}") for name in ("boat-1", "dog-2", "piano-1", "train-2")])
    assert isinstance(made, Image)
    return made


@pytest.mark.parametrize(
    ("query", "quarter"),
    [("audio/dog-1", 1), ("audio/piano-1", 2), ("point/boat-1", 0), ("text/dog-1", 1), ("image/dog-1", 1)],
)
def test_a_query_finds_its_picture_among_four(explorer: Explorer, square: Image, query: str, quarter: int) -> None:
    found = explorer.locate(asked(explorer, query), square)
    left, top, right, bottom = found.best
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    assert 2 * int(top + bottom >= 1) + int(left + right >= 1) == quarter
    halves = [half for rows in np.split(found.heat, 2) for half in np.split(rows, 2, axis=1)]
    quarters = [one.mean() for one in halves]
    assert int(np.argmax(quarters)) == quarter
    assert found.near
    form = json.loads(json.dumps(located_form("mini", found)))
    assert form["best"]["left"] == pytest.approx(left)
    assert np.array(form["heat"]).shape == found.heat.shape


def test_the_pieces_of_an_input_are_embedded_once(explorer: Explorer, square: Image, monkeypatch) -> None:
    explorer.locate(asked(explorer, "text/dog-1"), square)
    piano = asked(explorer, "audio/piano-1")
    monkeypatch.setattr(explorer.model, "embed", lambda *_, **__: pytest.fail("embedded again"))
    again = explorer.locate(piano, Image(square.rgb.copy()))
    assert again.best[1] >= 0.3


def test_a_picture_finds_its_sound(explorer: Explorer) -> None:
    first = item(explorer, "audio/piano-1")
    assert isinstance(first, Audio)
    both = joined([first, item(explorer, "audio/dog-1")])
    assert isinstance(both, Audio)
    edge = min(first.seconds, 4.0)
    dog, piano = (explorer.locate(asked(explorer, f"image/{name}-1"), both) for name in ("dog", "piano"))
    assert sum(dog.best) / 2 > edge > sum(piano.best) / 2
    assert len(dog.edges) == len(dog.heat) + 1
    assert dog.edges[-1] == pytest.approx(both.seconds, abs=0.05)
    spans = located_form("mini", dog)["heat"]
    assert spans[0]["first"] == 0 and max(spans, key=lambda one: one["score"])["last"] > edge


def test_a_sound_finds_its_shape(explorer: Explorer) -> None:
    both = joined([item(explorer, "point/horse-1"), item(explorer, "point/electric-guitar-1")])
    assert isinstance(both, PointCloud)
    for query, side in (("audio/horse-1", -1), ("audio/electric-guitar-1", 1), ("text/horse-1", -1)):
        found = explorer.locate(asked(explorer, query), both)
        middle = found.parts[int(found.best[0])].xyz[:, 0].mean()
        assert np.sign(middle) == side, query
        assert len(found.heat) == len(found.parts) >= 2
    assert located_form("mini", found)["best"]["part"] == int(found.best[0])


def test_parts_are_all_of_a_shape_and_stay_where_they_are(explorer: Explorer) -> None:
    for name in ("point/horse-1", "point/dog-1"):
        shape = item(explorer, name)
        assert isinstance(shape, PointCloud)
        parts = parts_of(shape)
        assert 1 <= len(parts) <= 6
        assert sum(len(one.xyz) for one in parts) == len(shape.xyz)
        faces = sum(len(s.faces) for one in parts for s in one.surfaces)
        assert faces == sum(len(s.faces) for s in shape.surfaces)
        whole = {tuple(point) for point in shape.xyz.round(5).tolist()}
        assert all(tuple(point) in whole for one in parts for point in one.xyz.round(5).tolist())
    few = PointCloud(np.eye(3, dtype=np.float32), np.ones((3, 3), np.float32))
    assert len(parts_of(few)) == 1


def test_small_and_short_inputs_are_one_piece_or_a_few(explorer: Explorer) -> None:
    query = asked(explorer, "text/dog-1")
    tiny = explorer.locate(query, Image(np.full((20, 40, 3), 200, np.uint8)))
    assert np.isfinite(tiny.heat).all()
    short = explorer.locate(query, Audio(np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32), 16_000))
    assert short.best == (0.0, 0.5)
    silence = np.zeros(160_000, np.float32)
    silence[:40_000] = np.random.default_rng(0).normal(0, 0.1, 40_000)
    assert max(last for _, last in pieces(Audio(silence, 16_000)).bounds) < 5, "silence is left out"
    long = pieces(Audio(np.random.default_rng(0).normal(0, 0.1, 8_000 * 300).astype(np.float32), 8_000))
    assert len(long.media) <= 62
    with pytest.raises(QueryError, match="sentence to look into"):
        explorer.locate(query, Text("a dog in a garden"))
    with pytest.raises(QueryError, match="put together"):
        joined([Image(np.zeros((9, 9, 3), np.uint8))] * 3)


def test_the_command(mini: OmniBind, monkeypatch, capsys, tmp_path, square: Image) -> None:
    from PIL import Image as Pillow

    monkeypatch.setattr(OmniBind, "from_pretrained", lambda *_, **__: mini)
    Pillow.fromarray(square.rgb).save(tmp_path / "square.png")
    assert main(["locate", "text:a dog", str(tmp_path / "square.png"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["best"]["right"] > 0.5 > found["best"]["top"]
    assert main(["locate", "text:a dog", str(tmp_path / "square.png")]) == 0
    assert "left" in capsys.readouterr().out
    assert main(["locate", "text:a dog", "text:a dog in a garden"]) == 2
    assert "sentence to look into" in capsys.readouterr().err


def test_composites_are_the_same_each_time_and_of_one_half(explorer: Explorer) -> None:
    made = composites(explorer.gallery, "audio", "image", 3, "test")
    again = composites(explorer.gallery, "audio", "image", 3, "test")
    assert [[i.id for i in one.items] for one in made] == [[i.id for i in one.items] for one in again]
    assert {half_of(i.concept) for one in made for i in one.items} == {"test"}
    assert all(len({i.concept for i in one.items}) == 2 for one in made)
    found = [Pointing("audio", "image", figure(np.array([True, False])), None, 2, 50.0)]
    rows = localising_section(found, found).rows
    assert rows[0][:4] == ["two sounds", "by a picture", 2, "50"]
    assert rows[1] == ["two sounds that no head heard", *rows[0][1:]]
    strange = composites(explorer.gallery, "audio", "image", 3, "test", sources=["scratch"])
    assert {i.package for one in strange for i in one.items} == {"scratch"}


def test_a_place_has_the_smallest_piece_around_it() -> None:
    bounds = [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.5), (0.25, 0.25, 0.75, 0.75), (0.5, 0.5, 1.0, 1.0)]
    cut = Pieces("image", (), bounds)
    assert [piece_at(cut, at) for at in ((0.1, 0.1), (0.5, 0.5), (0.9, 0.8), (0.9, 0.1), (7, -3))] == [1, 2, 3, 0, 0]
    heard = Pieces("audio", (), [(0.0, 2.0), (1.0, 3.0), (8.0, 10.0)])
    assert [piece_at(heard, [second]) for second in (0, 1.9, 2.9, 5, 60)] == [0, 1, 1, 1, 2]
    assert piece_at(Pieces("point", (), [(0.0,), (1.0,)]), [1.0]) == 1
    for at in ((), (0.1,), (0.1, float("nan")), (1, 2, 3)):
        with pytest.raises(QueryError, match="a place of"):
            piece_at(cut, at)


def test_one_place_is_a_query_of_its_own(explorer: Explorer, square: Image) -> None:
    dog = asked(explorer, "audio/dog-1")
    best = explorer.locate(dog, square).best
    bounds, term = explorer.at(square, best)
    assert bounds == best
    assert (term.modality, term.weight) == ("image", 1.0)
    assert explorer.search([term]).hits["image"][0].id.startswith("image/dog")
    assert explorer.at(square, (0.9, 0.9))[0] != bounds
    with pytest.raises(QueryError, match="a place of 3 numbers"):
        explorer.at(square, (0.1, 0.2, 0.3))
