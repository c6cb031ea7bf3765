"""Binding two spaces by text alone: two spaces of mini, and real media of the gallery."""

import numpy as np
import pytest
import torch
from safetensors import safe_open

from omnibind_core.binding.bridge import Centre, Memory, Recipe, bridge, untrained
from omnibind_core.binding.first_start import shared_sentences
from omnibind_core.binding.projectors import fold
from omnibind_core.errors import OmniBindError
from omnibind_core.search.gallery import Gallery, unit_rows, vectors_path
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from tools.mini.measure.bridge import before_and_after

QUICK = Recipe(heads=1, hidden=256, steps=80, batch=256)


@pytest.fixture(scope="module")
def committed():
    """The gallery and its captions, with the vectors that are committed: no tower runs."""
    folder = assets_directory() / "gallery"
    with safe_open(vectors_path(folder, "mini"), framework="numpy") as opened:
        media, captions = (unit_rows(opened.get_tensor(name).astype(np.float32)) for name in ("media", "caption"))
    return Gallery(read_catalogue(folder), media, captions, folder), captions


def test_sounds_and_shapes_find_their_pictures_across_two_spaces_after_binding_by_text(committed):
    torch.set_num_threads(1)
    found = before_and_after(*committed, QUICK)
    for before, after in zip(found["before"], found["text alone"], strict=True):
        assert before.task == after.task
        assert before.n > 40
        # Before, it is guessing; after, at least every fourth question is answered at once.
        assert before.mean_average_precision.value < 8, before
        assert after.r1.value > 25 > 3 * before.r1.value, after
        assert after.mean_average_precision.value > 3 * before.mean_average_precision.value, after


def pairs(n=400, d=12, width=8, seed=0):
    """Make up two spaces that see the same: one turned and bent, each with a mean of its own."""
    rng = torch.Generator().manual_seed(seed)
    meaning = torch.randn(n, d, generator=rng)
    turn = torch.randn(d, width, generator=rng)
    return meaning + 0.5, (meaning @ turn).tanh() - 0.2


def test_it_repeats_to_the_bit_and_leaves_the_global_generator_alone():
    x, y = pairs()
    torch.manual_seed(7)
    first = bridge(x, y, QUICK)(x)
    after = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(torch.rand(1), after)
    assert torch.equal(bridge(x, y, QUICK)(x), first)


def test_sentences_that_were_not_read_are_carried_over():
    x, y = pairs()
    read, aim = Centre.of(x[:300]), Centre.of(y[:300])
    bound = bridge(read(x[:300]), aim(y[:300]), Recipe(heads=2, hidden=128, steps=150, batch=128))
    wanted = torch.nn.functional.normalize(aim(y[300:]), dim=1)
    rank = (bound(read(x[300:])) @ wanted.T).argmax(1)
    guessed = (untrained(12, 8, QUICK)(read(x[300:])) @ wanted.T).argmax(1)
    assert (rank == torch.arange(100)).float().mean() > 0.5 > 10 * (guessed == torch.arange(100)).float().mean()


def test_the_centre_is_folded_into_the_heads_that_are_written():
    x, y = pairs()
    centre = Centre.of(x)
    bound = bridge(centre(x), Centre.of(y)(y), Recipe(heads=2, hidden=32, steps=5, batch=64))
    tensors = bound.tensors("here.{}.", centre)
    rows = []
    for head in ("here.0.", "here.1."):
        w1, b1 = fold(tensors, f"{head}0.", f"{head}1.", (32, 12))
        w2, b2 = fold(tensors, f"{head}3.", f"{head}4.", (8, 32))
        out = (x.double() @ w1.T + b1).relu() @ w2.T + b2
        rows.append(torch.nn.functional.normalize(out, dim=1))
    expected = torch.nn.functional.normalize(torch.stack(rows).mean(0), dim=1)
    assert (bound(centre(x)) - expected).abs().max() < 1e-5


def test_a_memory_draws_media_to_the_sentences():
    x, y = pairs()
    rng = torch.Generator().manual_seed(1)
    sounds = x[:200] + 0.3 * torch.randn(200, 12, generator=rng) + torch.tensor([3.0] + [0.0] * 11)
    recipe = Recipe(heads=1, hidden=128, steps=150, batch=128, gap=5.0, mixtures=0.0)
    apart = []
    for memory in (None, Memory(sounds, y[200:])):
        bound = bridge(x, y, recipe, memory)
        apart.append((bound(x[:200]) - bound(sounds)).norm(dim=1).mean())
    assert apart[1] < apart[0]


def test_progress_rises_to_one():
    x, y = pairs(40)
    told = []
    bridge(x, y, Recipe(heads=2, hidden=8, steps=4, batch=8), progress=told.append)
    assert told == sorted(told)
    assert len(told) == 8
    assert told[-1] == 1.0


def test_both_spaces_must_read_the_same_sentences():
    x, y = pairs(40)
    with pytest.raises(OmniBindError, match="40 sentences in one space and 39"):
        bridge(x, y[:39])


def test_sentences_are_captions_labels_and_our_own_each_once():
    found = shared_sentences()
    assert len(found) == len(set(found))
    assert 700 < len(found) < 1000  # as many as two cores read in about two minutes
    assert {"A chestnut horse with a dark mane", "the sound of a cuckoo", "A bridge over a wide river"} <= set(found)
    assert not any(sentence.startswith("#") for sentence in found)
