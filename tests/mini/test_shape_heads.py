"""Lessons, targets and heads for shapes: chance comes from the generator, heads find classes, figures can be kept."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from omnibind_core.binding.forms import apply_heads, head_tensors, layers, read_about, read_head, seeded, write_heads
from omnibind_core.binding.projectors import _build
from omnibind_core.errors import OmniBindError
from omnibind_core.evaluation.retrieval import measure
from omnibind_core.media import load
from omnibind_core.presets.preset import HeadSpec
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from omnibind_core.specialists.point_encoder import even
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import read_tensors
from omnibind_core.training.loop import Recipe, train
from omnibind_core.types import Text
from tools.mini.labels import kinship
from tools.mini.measure import shapes as evaluate_shapes
from tools.mini.pools.parametric.build import Procedural, build
from tools.mini.pools.vectors import in_development
from tools.mini.shapes import folds
from tools.mini.shapes import train as point_training
from tools.mini.shapes.heads import VIEW_RECIPE, Discriminant, train_views
from tools.mini.shapes.lessons import MANY, QUERIES, Lessons, augmented, looks_targets
from tools.mini.shapes.targets import FOLDS, chosen_on, conse_of, fold_of, looks_of, words_of
from tools.mini.shapes.train import Learner, Teacher

LABELS = ("chair", "bottle", "car", "tree")
EACH = 3


@pytest.fixture(scope="module")
def lessons():
    """Twelve parametric shapes, with made-up views that tell the classes apart."""
    clouds = [build(Procedural(label, number)) for label in LABELS for number in range(EACH)]
    rows = [torch.from_numpy(np.concatenate([c.xyz, c.rgb], axis=1)) for c in clouds]
    label = torch.arange(len(LABELS)).repeat_interleave(EACH)
    rng = torch.Generator().manual_seed(0)
    views = torch.rand(len(LABELS), 1, 1280, generator=rng)[label] + 0.2 * torch.rand(12, 3, 1280, generator=rng)
    return Lessons(
        even=torch.stack([even(r, 1024) for r in rows])[:, None].half(),
        raw=torch.stack([r[:: len(r) // 2048][:2048] for r in rows]).half(),
        label=label,
        views=views.half(),
        weights=torch.ones(12).double(),
    )


@pytest.fixture(scope="module")
def teacher():
    written = words_of(LABELS)
    return Teacher(written, kinship(written[0]))


def test_batches_come_from_the_generator_alone(lessons):
    batches = [
        augmented([(lessons, torch.arange(8))], QUERIES, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    ]
    assert batches[0].shape == (8, 32, 16, 9)
    assert torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


@pytest.mark.parametrize("densities", [MANY, QUERIES])
def test_batches_stay_in_the_unit_sphere_and_in_the_range_of_colours(lessons, densities):
    rng = torch.Generator().manual_seed(4)
    for _ in range(12):
        groups = augmented([(lessons, lessons.draw(4, rng)), (lessons, lessons.draw(2, rng))], densities, rng)
        assert groups.shape == (6, 32, 16, 9)
        assert groups[..., 3:6].norm(dim=3).max() < 1.15  # noise may lead a little out of it
        assert groups[..., 6:].abs().max() <= 1


def test_looks_are_those_of_the_views(lessons):
    rows = torch.arange(12)
    target = looks_targets([(lessons, rows)], torch.Generator().manual_seed(0))
    assert (target * looks_of(lessons.views.float().mean(1))).sum(1).min() > 0.97


def test_a_training_that_is_stopped_goes_on_to_the_same_weights(lessons, teacher, tmp_path):
    def run(folder, stop=None):
        learner = seeded(Learner, 0)

        def loss_of(step, rng):
            if step == stop:
                raise KeyboardInterrupt
            return teacher.loss(learner, [(lessons, lessons.draw(4, rng))], rng)

        recipe = Recipe(steps=4, batch=4, rate=1e-3, checkpoint=2)
        train(learner, loss_of, recipe, folder, identity={}, title="points")
        return learner

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", stop=3)
    again = run(tmp_path / "stopped")
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True))


def test_the_encoder_learns(lessons, teacher, tmp_path):
    learner = seeded(Learner, 0)
    losses = train(
        learner,
        lambda step, chance: teacher.loss(learner, [(lessons, lessons.draw(12, chance))], chance),
        Recipe(steps=50, batch=12, rate=1e-3, checkpoint=50),
        tmp_path,
        identity={},
        title="points",
    )
    assert losses[-10:].mean() < 0.6 * losses[:5].mean()
    assert learner.words[0].in_features == point_training.WIDTH


def test_views_find_their_words_and_axes_their_classes(lessons, teacher, tmp_path):
    training = replace(VIEW_RECIPE.training, steps=40, batch=32)
    recipe = replace(VIEW_RECIPE, heads=2, hidden=64, training=training)
    heads = train_views([lessons.views], lessons.label, teacher.written, teacher.kin, recipe, tmp_path)
    pooled = unit(lessons.views.float().mean(1))
    with torch.inference_mode():
        words = unit(apply_heads(heads, pooled))
    assert ((words @ teacher.written[0].T).argmax(1) == lessons.label).all()
    axes = Discriminant.fit(pooled, lessons.label, width=3)
    assert ((axes(pooled) @ axes.centres.T).argmax(1) == lessons.label).all()
    text = axes.text_head(teacher.written[0], 0.05)
    head = _build(HeadSpec("anchors", "x", ""), text, torch.device("cpu"), torch.float32)
    assert ((axes(pooled) @ head(teacher.written[0]).T).argmax(1) == lessons.label).all()


def test_changed_classes_heads_or_data_train_anew(lessons, teacher, tmp_path, monkeypatch):
    """Each of them gave silently the old weights once."""
    recipe = Recipe(steps=1, batch=4)

    def trained(lessons=lessons, teacher=teacher, recipe=recipe, seed=0):
        learner = seeded(Learner, seed)
        point_training._taught([(lessons, 4)], teacher, learner, recipe, tmp_path, "meshes")
        return torch.cat([head[0].weight.detach().flatten() for head in (learner.words, learner.looks)])

    first = trained()
    assert torch.equal(first, trained())
    assert len(list(tmp_path.iterdir())) == 1
    classes = replace(lessons, label=lessons.label.flip(0))
    other = replace(lessons, views=lessons.views.flip(0))
    names = replace(teacher, written=teacher.written.flip(1))
    results = [trained(classes), trained(other), trained(teacher=names), trained(recipe=replace(recipe, rate=0.1))]
    results += [trained(teacher=replace(teacher, densities=MANY)), trained(seed=1)]
    assert not any(torch.equal(first, one) for one in results)
    assert len(list(tmp_path.iterdir())) == 7
    monkeypatch.setattr(point_training, "VERSION", 2)
    monkeypatch.setattr(point_training, "file_digest", lambda path: f"{path.name} of other heads")
    trained()
    assert len(list(tmp_path.iterdir())) == 8


def test_vectors_of_a_fold_are_made_anew_for_another_learner_or_other_data(lessons, tmp_path, monkeypatch):
    keys = [f"mesh/{i}" for i in range(12)]
    fold = fold_of(keys[0])
    world = {"seed": 0, "views": lessons.views.float().mean(1), "made": 0}

    def discriminant(fold):
        world["made"] += 1
        return Discriminant.fit(world["views"], lessons.label, width=3)

    monkeypatch.setattr(folds, "named_shapes", lambda: [SimpleNamespace(key=key) for key in keys])
    monkeypatch.setattr(folds, "trained", lambda work, fold: seeded(Learner, world["seed"]).eval())
    monkeypatch.setattr(folds, "queried", lambda pool, density: lessons.even[:, 0, :128])
    monkeypatch.setattr(folds, "pooled_views", lambda style: unit(world["views"]))
    monkeypatch.setattr(folds, "_known", lambda fold: (LABELS, lessons.label, [lessons.views]))
    monkeypatch.setattr(folds, "view_heads", lambda work, fold: [seeded(lambda: layers(1280, 4, 384), 0).eval()])
    monkeypatch.setattr(folds, "discriminant", discriminant)
    first = folds.fold_vectors(tmp_path, fold)
    assert first["rows"].tolist() == [i for i, key in enumerate(keys) if fold_of(key) == fold]
    assert torch.equal(folds.fold_vectors(tmp_path, fold)["looks"], first["looks"])
    assert world["made"] == 1
    world["seed"] = 1
    assert not torch.equal(folds.fold_vectors(tmp_path, fold)["looks"], first["looks"])
    world["views"] = world["views"].flip(0)
    assert not torch.equal(folds.fold_vectors(tmp_path, fold)["colour.views"], first["colour.views"])
    monkeypatch.setattr(folds, "_VERSION", 2)
    folds.fold_vectors(tmp_path, fold)
    assert world["made"] == 4


def test_heads_are_written_with_what_they_say_of_themselves(tmp_path):
    head = seeded(lambda: layers(5, 4, 3), 0)
    for name in "ab":
        write_heads(tmp_path / f"{name}.safetensors", head_tensors({"point": [head]}), {"count": 1})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    with safe_open(tmp_path / "a.safetensors", "pt") as stored:
        assert json.loads(stored.metadata()["heads"])["count"] == 1
        assert set(stored.keys()) == {f"point.0.{n}" for n in head.state_dict() if "num_batches" not in n}
        assert stored.get_tensor("point.0.0.weight").dtype == torch.float16


def test_parts_are_of_nearly_one_size_and_choices_are_made_in_the_development_half():
    keys = [f"archive/{number:03d}" for number in range(1000)]
    counts = np.bincount([fold_of(key) for key in keys], minlength=FOLDS)
    assert counts.min() > 150
    assert all(in_development(key) for key in keys if chosen_on(key))
    assert 200 < sum(map(chosen_on, keys)) < 300


def test_words_and_looks_are_unit_rows(lessons):
    assert words_of(LABELS).norm(dim=2) == pytest.approx(torch.ones(5, 4), abs=1e-5)
    features = lessons.views.float().mean(1)
    assert conse_of(features).norm(dim=1) == pytest.approx(torch.ones(12), abs=1e-5)
    assert kinship(words_of(LABELS)[0]).sum(1) == pytest.approx(torch.ones(4), abs=1e-5)


def test_figures_can_be_kept(tmp_path):
    rows = [measure("a -> b", np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), np.eye(3, dtype=bool))]
    evaluate_shapes.write_rows(tmp_path / "sub" / "figures.json", rows)
    assert evaluate_shapes.kept_rows(tmp_path / "sub" / "figures.json") == rows
    with pytest.raises(OmniBindError, match=r"tools\.mini\.shapes"):
        evaluate_shapes.kept_rows(tmp_path / "none.json")


def test_the_shares_sum_to_one():
    assert sum(evaluate_shapes.SHARES.values()) == pytest.approx(1)


def test_the_kept_figures_reach_what_was_asked_for():
    rows = {row.task: row for row in evaluate_shapes.kept_rows(assets_directory() / "mini" / evaluate_shapes.FIGURES)}
    fused = rows["shapes -> class, five-fold: fused"]
    assert fused.n == 761
    assert fused.r1.value > 46
    assert fused.r5.value > 73
    points = [row for task, row in rows.items() if task.startswith("shapes -> class, five-fold: points, words at")]
    assert len(points) == 6
    assert all(row.r1.value > 28 and row.r5.value > 52 for row in points)


MINI = assets_directory() / "mini"
GALLERY = {"chair-1": "chair", "dog-1": "dog", "bicycle-1": "bicycle", "tree-1": "tree", "bus-1": "bus", "bed-1": "bed"}


@pytest.fixture(scope="module")
def gallery():
    return [load(MINI.parent / "gallery" / "shapes" / f"{name}.glb", "point") for name in GALLERY]


@pytest.fixture(scope="module")
def classes():
    with safe_open(MINI / "shaped.safetensors", "pt") as stored:
        found = json.loads(stored.metadata()["heads"])["classes"]
    assert len(found) == 204
    return found


@pytest.mark.parametrize(("name", "prefix", "specialist"), [
    ("points_words", "point", "point_encoder"),
    ("views_words", "views", "shape_views"),
])  # fmt: skip
def test_committed_heads_name_shapes(name, prefix, specialist, gallery, classes):
    about = read_about(MINI / f"{name}.safetensors")
    assert about["licence"] == "Apache-2.0"
    assert "CC-BY" in about["sources"]
    words = unit(read_head(MINI / f"{name}.safetensors", prefix)(tower(specialist).embed("point", gallery)))
    assert words.shape == (len(gallery), about["width"])
    named = [classes[i] for i in (words @ words_of(classes)[0].T).argmax(1)]
    assert sum(a == b for a, b in zip(named, GALLERY.values(), strict=True)) >= 5


def test_committed_axes_name_shapes(gallery, classes):
    tensors = read_tensors(MINI / "shaped.safetensors")
    axes, sentences = (
        _build(HeadSpec(kind, "x", prefix), tensors, torch.device("cpu"), torch.float32)
        for kind, prefix in (("linear", "views."), ("anchors", "text."))
    )
    shapes = axes(tower("shape_views").embed("point", gallery))
    texts = sentences(tower("minilm_l6").embed("text", [Text(label) for label in classes]))
    named = [classes[i] for i in (shapes @ texts.T).argmax(1)]
    assert sum(a == b for a, b in zip(named, GALLERY.values(), strict=True)) >= 5


def test_committed_looks_of_points_are_near_those_of_views(gallery):
    head = read_head(MINI / "points_looks.safetensors", "point")
    seen = looks_of(tower("shape_views").embed("point", gallery))
    guessed = head(tower("point_encoder").embed("point", gallery))
    assert (guessed * seen).sum(1).min() > 0.4
    assert ((guessed @ seen.T).argmax(1) == torch.arange(len(gallery))).float().mean() >= 0.8
