"""What "nothing here is near" learns from: nonsense of its own kinds, and a direction away from it."""

import numpy as np
import pytest

from omnibind_core.evaluation.nonsense import nonsense
from omnibind_core.types import MODALITIES, Audio, Image, PointCloud, Text
from tools.mini.sense import direction, spread
from tools.mini.strange import KINDS, strange


def content(one):
    return {Image: "rgb", Audio: "samples", PointCloud: "xyz", Text: "text"}[type(one)]


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_same_seed_makes_the_same_and_every_kind_is_whole(modality):
    count = 2 * len(KINDS[modality])
    first, again, other = strange(modality, count), strange(modality, count), strange(modality, count, seed=1)
    for one, same, unlike in zip(first, again, other, strict=True):
        name = content(one)
        made = np.asarray(getattr(one, name))
        assert np.array_equal(made, getattr(same, name))
        assert not np.array_equal(made, getattr(unlike, name))
        if made.dtype.kind == "f":
            assert np.isfinite(made).all() and 0.1 < np.abs(made).max() <= 1.0001
        else:
            assert made.size and str(made).strip()


def test_what_is_measured_on_is_not_learned_from():
    """Sentences can be told apart by their letters alone: no alphabet that is measured serves for lessons."""
    measured = {letter for one in nonsense("text", 400, 1) for letter in one.text if letter > "\x7f"}
    learned = {letter for one in strange("text", 400) for letter in one.text if letter > "\x7f"}
    assert measured and learned and not measured & learned


def test_a_direction_leads_from_nonsense_to_things():
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(200, 16)).astype(np.float32)
    rows[:100, 3] += 3
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = direction(np.vstack([rows[:100], np.zeros((3, 16), np.float32)]), rows[100:])
    assert found.dtype == np.float32 and found.shape == (16,)
    assert found.argmax() == 3
    assert (rows[:100] @ found).mean() > (rows[100:] @ found).mean() + 1


def test_few_are_all_taken_and_many_evenly():
    assert spread([1, 2, 3], 5) == [1, 2, 3]
    assert spread(range(100), 4) == [0, 25, 50, 75]
