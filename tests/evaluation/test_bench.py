"""Pools, tasks and variants: real towers over a few gallery items, bound as the preset binds them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from omnibind_core import media
from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.ablation import VariantResult, compare, difference, one_head, recalls
from omnibind_core.evaluation.bench import Bench, Pool, Task, same_name, subset
from omnibind_core.presets.preset import load_preset
from omnibind_core.specialists.load import tower
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from tools.mini.pools.vectors import texts

FOLDER = assets_directory() / "gallery"
CONCEPTS = ("dog", "cat", "guitar", "banana")


@pytest.fixture(scope="module")
def pictures():
    items = [i for c in CONCEPTS for i in read_catalogue(FOLDER) if i.modality == "image" and i.concept == c][:8]
    items = [item for concept in CONCEPTS for item in items if item.concept == concept]
    decoded = [media.load(FOLDER / item.file, "image") for item in items]

    @cache
    def vectors(name):
        return tower(name).embed("image", decoded).numpy()

    return Pool("image", tuple(item.concept for item in items), vectors, np.ones(len(items), bool)), items


@pytest.fixture(scope="module")
def bench():
    return Bench(load_preset("mini"))


@pytest.fixture(scope="module")
def task(pictures):
    pool, _ = pictures
    names = texts(sorted(set(pool.names) | set(CONCEPTS)))
    right = np.array(pool.names)[:, None] == np.array(names.names)[None, :]
    return Task("image → text", pool, names, np.ones(len(pool), bool), right)


def test_a_pool_is_bound_as_the_model_binds_files(bench, pictures):
    pool, items = pictures
    model = OmniBind.from_pretrained("mini", modalities=["image"], dtype="float32", device="cpu")
    expected = model.embed_images([FOLDER / item.file for item in items])
    np.testing.assert_allclose(bench.bound(pool), expected, atol=1e-4)


def test_a_variant_keeps_only_its_members(bench, pictures):
    pool, _ = pictures
    looks = subset(bench.preset, {"image": {"looks": 2.0}})
    assert [m.name for m in looks.members["image"]] == ["looks"]
    first, end = bench.preset.spaces["looks"].heads["image"].columns
    bound = bench.bound(pool, looks)
    assert not np.delete(bound, np.s_[first:end], axis=1).any()
    np.testing.assert_allclose(np.linalg.norm(bound, axis=1), 1, atol=1e-5)
    both = subset(bench.preset, {"image": {"words": 1.0, "looks": 3.0}})
    assert both.routers["image"].weights == (0.25, 0.75)


def test_what_is_projected_already_takes_the_place_of_heads(bench, pictures):
    pool, _ = pictures
    looks = subset(bench.preset, {"image": {"looks": 1.0}})
    first, end = bench.preset.spaces["looks"].heads["image"].columns
    rows = np.zeros((len(pool), end - first), np.float32)
    rows[:, 3] = 1
    ready = Pool("image", pool.names, pool.vectors, pool.held_out, {"looks": rows})
    assert (bench.bound(ready, looks).argmax(1) == first + 3).all()


def test_some_of_a_pool_are_those_items(bench, pictures):
    pool, _ = pictures
    rows = np.array([2, 0])
    some = pool.take(rows)
    assert some.names == (pool.names[2], pool.names[0])
    np.testing.assert_allclose(bench.bound(some), bench.bound(pool)[rows], atol=1e-6)


def test_pictures_find_their_names_and_a_task_in_parts_is_one_task(bench, task):
    whole = recalls(bench, [task], bench.preset, 1)["image → text"]
    assert whole.mean() >= 0.75
    half = len(whole) // 2
    lower, upper = np.arange(len(whole)) < half, np.arange(len(whole)) >= half
    parts = [Task(task.name, task.queries, task.candidates, asked, task.right) for asked in (lower, upper)]
    assert recalls(bench, parts, bench.preset, 1)["image → text"].tolist() == whole.tolist()


def test_a_variant_without_a_modality_leaves_its_tasks_out(bench, task):
    assert recalls(bench, [task], subset(bench.preset, {"image": {"looks": 1.0}})) == {}


def test_variants_are_compared_query_by_query(bench, task):
    words = subset(bench.preset, {"image": {"words": 1.0}, "text": {"words": 1.0}})
    outcomes = compare(bench, [task], {"all": bench.preset, "words": words})
    assert [outcome.name for outcome in outcomes] == ["all", "words"]
    gap = difference(outcomes[0], outcomes[0], [task.name])
    assert (gap.value, gap.low, gap.high) == (0, 0, 0)
    assert outcomes[0].mean(["image → text"]).value == pytest.approx(100 * outcomes[0].hits["image → text"].mean())
    assert outcomes[0].mean(["image → text", "sound → text"]) is None


def test_paired_differences_are_narrower_than_means():
    rng = np.random.default_rng(0)
    hard = rng.random(200) < 0.5
    better = hard.copy()
    better[np.flatnonzero(~hard)[:10]] = True
    one, other = VariantResult("one", {"t": better}), VariantResult("other", {"t": hard})
    gap = difference(one, other, ["t"])
    assert gap.value == pytest.approx(5)
    assert 0 < gap.low < gap.value < gap.high
    mean = one.mean(["t"])
    assert gap.high - gap.low < mean.high - mean.low


def test_one_head_of_several_is_one_seed():
    preset = load_preset("mini")
    single = one_head(preset, 1)
    for name, space in preset.spaces.items():
        for modality, head in space.heads.items():
            found = single.spaces[name].heads[modality]
            assert found.prefixes() == ([head.prefixes()[1]] if head.count > 1 else head.prefixes())
    assert any(head.count > 1 for space in preset.spaces.values() for head in space.heads.values())


def test_names_match_with_a_word_before_them():
    same = same_name(["guitar", "acoustic guitar", "bat"], ["guitar", "wombat", "acoustic guitar"])
    assert same.tolist() == [[True, False, True], [True, False, True], [False, False, False]]


def test_texts_are_embedded_in_their_template():
    rows = texts(["dog"], "the sound of a {}").vectors("minilm_l6")
    assert torch.allclose(
        torch.from_numpy(rows), tower("minilm_l6").embed("text", [media.load("the sound of a dog", "text")])
    )
