"""Scales: what share of pairs is less near, and thresholds that true matches set."""

import numpy as np
import pytest

from omnibind_core.search.nearness import FALSE_ALARMS, FEWEST, Scale, directions, scale
from omnibind_core.types import MODALITIES, Hit


def rows(n, seed, spread=0.4):
    """Give unit rows, n of each of ten concepts, and their names."""
    chance = np.random.default_rng(seed)
    axes = np.repeat(np.eye(12, dtype=np.float32)[:10], n, axis=0)
    made = axes + spread * chance.normal(size=axes.shape).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True), [str(i // n) for i in range(10 * n)]


def best(vector, candidates):
    cosines = candidates @ vector
    top = cosines.max()
    return Hit("x", "image", "", float(top), float((top - cosines.mean()) / cosines.std()), (float(top),))


def test_a_share_is_that_of_pairs_which_are_less_near():
    measure = Scale(np.array([-0.5, 0.0, 0.5, 0.5], np.float32), None)
    assert [measure.share(x) for x in (-1, 0.0, 0.2, 0.5, 0.9)] == [0, 0.25, 0.5, 0.5, 1]
    assert Scale(np.zeros(0, np.float32), None).share(0.3) == 0


def test_true_matches_are_near_and_strangers_are_not():
    (queries, asked), (candidates, there) = rows(20, 0, 0.15), rows(8, 1, 0.15)
    measure = scale(queries, candidates, asked, there)
    near = [measure.is_near(best(q, candidates)) for q in queries]
    assert 1 - 2 * FALSE_ALARMS <= np.mean(near) < 1
    strangers = np.random.default_rng(2).normal(size=(40, 12)).astype(np.float32)
    strangers /= np.linalg.norm(strangers, axis=1, keepdims=True)
    assert np.mean([measure.is_near(best(q, candidates)) for q in strangers]) < 0.5


def test_a_query_that_makes_no_sense_is_far_whatever_its_best_answer_is():
    (queries, asked), (candidates, there) = rows(20, 0, 0.15), rows(8, 1, 0.15)
    sense = np.linspace(1, 2, len(queries)).astype(np.float32)
    measure = scale(queries, candidates, asked, there, sense=sense)
    hits = [best(q, candidates) for q in queries]
    assert 1 - 2 * FALSE_ALARMS <= np.mean([measure.is_near(h, sense[i : i + 1]) for i, h in enumerate(hits)]) < 1
    plain = [hit for hit in hits if measure.share(hit.terms[0]) < 0.99]
    assert plain and not any(measure.is_near(hit, np.zeros(1, np.float32)) for hit in plain)
    nearest = max(hits, key=lambda hit: hit.terms[0])
    assert measure.is_near(nearest, np.zeros(1, np.float32))  # what is all but the same is near


def test_the_sense_needs_less_than_cosines_and_takes_the_place_of_z():
    (queries, asked), (candidates, there) = rows(20, 0, 0.15), rows(8, 1, 0.15)
    sense = np.random.default_rng(1).normal(size=len(queries)).astype(np.float32)
    cosine, z, least = scale(queries, candidates, asked, there, sense=sense).least
    assert z == -np.inf and cosine > 0
    assert 0 < np.mean(sense < least) <= FALSE_ALARMS / 2
    assert scale(queries, candidates, asked, there).least[2] == -np.inf


def test_mini_knows_the_sense_of_all_modalities_and_other_presets_of_none():
    found = directions("mini")
    assert set(found) == set(MODALITIES)
    assert {one.shape for one in found.values()} == {(1152,)}
    assert directions("base") == directions("") == {}


def test_an_item_is_no_answer_to_itself():
    vectors, names = rows(3, 3)
    assert len(scale(vectors, vectors, names, names, same=True).cosines) == 30 * 29
    assert len(scale(vectors, vectors, names, names).cosines) == 30 * 30


@pytest.mark.parametrize("known", [0, FEWEST - 1])
def test_too_few_known_matches_judge_nothing(known):
    vectors, names = rows(3, 4)
    names = [name if i < known else "" for i, name in enumerate(names)]
    measure = scale(vectors, vectors, names, names)
    assert measure.least is None and measure.is_near(best(-vectors[0], vectors))


@pytest.mark.parametrize("m", [0, 1])
def test_a_column_of_one_or_none(m):
    vectors, names = rows(3, 5)
    assert scale(vectors, vectors[:m], names, names[:m]).least is None
    assert scale(vectors[:m], vectors[:m], names[:m], names[:m], same=True).share(0.5) == 0


def test_queries_of_a_kind_that_is_not_there_judge_nothing():
    vectors, names = rows(3, 5)
    measure = scale(vectors[:0], vectors, [], names)
    assert measure.least is None
    assert len(measure.cosines) == 0


def test_the_scale_of_many_is_read_off_some():
    vectors, names = rows(300, 6)
    assert len(scale(vectors, vectors[:5], names, names[:5]).cosines) == 1500 * 5
