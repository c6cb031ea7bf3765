"""Items that are put aside: by their keys alone, never among what is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from omnibind_core.store.shards import ArrayRows
from omnibind_core.training.loop import TrainingError
from omnibind_core.training.pseudo_pairs import Hop, pseudo_pairs
from omnibind_core.training.validation import held_out
from omnibind_core.types import MODALITIES
from tests.training.test_pseudo_pairs import gallery


def test_a_key_decides_and_a_noun_takes_its_sentences_along():
    keys = [f"{i}.jpg" for i in range(2000)]
    out = held_out("image", keys, 0.2, 0)
    assert 0.17 < out.mean() < 0.23
    np.testing.assert_array_equal(held_out("image", keys[::-1], 0.2, 0), out[::-1])
    assert (held_out("image", keys, 0.4, 0) >= out).all()
    assert (held_out("image", keys, 0.2, 1) != out).any()
    assert not held_out("image", keys, 0.0, 0).any()
    nouns = [f"noun{i}" for i in range(50)]
    sentences = [f"a photo of a {noun}" for noun in nouns] + [f"The sound of {noun}." for noun in nouns]
    np.testing.assert_array_equal(held_out("text", sentences, 0.5, 3), np.tile(held_out("text", nouns, 0.5, 3), 2))
    with pytest.raises(TrainingError, match="two items at least on each side"):
        held_out("image", keys[:5], 0.001, 0)


def test_no_tuple_joins_the_two_sides_and_copies_do_not_cross():
    rows, _ = gallery()
    pools = {m: rows[m][:200] for m in MODALITIES}
    pools["image"] = np.concatenate([pools["image"][:100], pools["image"][:100]])
    vectors = {m: {"mini": ArrayRows(pools[m])} for m in MODALITIES}
    routes = {(a, b): [Hop("mini", b)] for a in MODALITIES for b in MODALITIES if a != b}
    aside = {m: held_out(m, [f"{m} {i}" for i in range(len(pools[m]))], 0.3, 0) for m in MODALITIES}
    sides = []
    for among in ({m: ~out for m, out in aside.items()}, aside):
        pairs, _ = pseudo_pairs(vectors, routes, duplicates={"image": ("mini", 0.9999)}, among=among)
        sides.append({m: set(items.tolist()) - {-1} for m, items in pairs.items.items()})
        assert all(among[m][sorted(sides[-1][m])].all() for m in MODALITIES)
    assert all(len(one[m]) > 10 and not one[m] & other[m] for one, other in [sides] for m in MODALITIES)
    assert max(sides[0]["image"] | sides[1]["image"]) < 100  # the copies, on either side
