"""Pools to preset in small: heads and routers trained on gallery vectors, exported, loaded and bound by the library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.binder import bind
from omnibind_core.binding.files import load_files
from omnibind_core.binding.forms import apply_heads, head_tensors, write_heads
from omnibind_core.binding.projectors import Projectors
from omnibind_core.binding.routers import Routers
from omnibind_core.errors import PresetError
from omnibind_core.presets.preset import Preset, load_preset
from omnibind_core.specialists.base import unit
from omnibind_core.store.shards import ArrayRows
from omnibind_core.training.loop import TrainingError
from omnibind_core.training.losses import decoupling, domain_shares
from omnibind_core.training.pseudo_pairs import Hop, pseudo_pairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_projectors import HeadRecipe, train_space
from omnibind_core.training.train_routers import Languages, RouterRecipe, new_router, train_routers
from omnibind_core.training.write_preset import PROJECTORS, ROUTERS, SpacePlan, write_preset
from omnibind_core.types import MODALITIES, Modality
from tests.training.test_pseudo_pairs import gallery

HEADS = HeadRecipe(steps=40, batch=64, hidden=64, rate=3e-3, checkpoint=50)
ROUTING = RouterRecipe(steps=60, batch=64, rate=3e-3, checkpoint=25)
MIXED = ("all", "AT")
TOWERS: dict[str, dict[Modality, str]] = {
    "eyes": {"image": "efficientnet_lite2", "text": "minilm_l6", "point": "shape_views"},
    "ears": {"audio": "aisfx", "text": "minilm_l6"},
}


class World:
    """Two spaces made of mini's gallery vectors, each a different 48 of 1152 directions; the target is mini itself."""

    def __init__(self, folder: Path) -> None:
        vectors, _ = gallery()
        rng = np.random.default_rng(0)
        self.vectors: dict[Modality, dict[str, ArrayRows]] = {m: {} for m in MODALITIES}
        for name, towers in TOWERS.items():
            axes = np.linalg.qr(rng.standard_normal((1152, 48)))[0].astype(np.float32)
            for m in towers:
                self.vectors[m][name] = ArrayRows(unit(torch.from_numpy(vectors[m] @ axes)).numpy())
        routes = {(a, b): [Hop("mini", b)] for a in MODALITIES for b in MODALITIES if a != b}
        self.pairs, _ = pseudo_pairs({m: {"mini": ArrayRows(vectors[m])} for m in MODALITIES}, routes)
        target: dict[Modality, ArrayRows] = {m: ArrayRows(vectors[m]) for m in MODALITIES}
        binding = self.run(folder)
        heads = {name: train_space(binding, name, target, HEADS, mixtures=MIXED) for name in TOWERS}
        self.heads, self.folder, self.path = heads, folder, folder / "small.json"
        write_heads(folder / PROJECTORS, head_tensors(heads), {"steps": 40}, dtype=None)
        inputs: dict[Modality, list[str]] = {"text": ["eyes", "ears"], "image": ["eyes"]}
        spaces = {name: SpacePlan(name, towers) for name, towers in TOWERS.items()}
        write_preset(
            self.path, title="Small", licence="CC0-1.0", note="test", width=1152, spaces=spaces, heads=len(MIXED),
            router_inputs=inputs,
        )  # fmt: skip
        self.preset: Preset = load_preset(self.path)
        self.projectors = Projectors(self.preset, {"projectors": _read(folder / PROJECTORS)})
        # Half of the sentences are said of pictures, the other half of sounds.
        n = len(self.vectors["text"]["ears"])
        side = vectors["text"] @ rng.standard_normal(1152) > 0
        self.targets = torch.from_numpy(np.stack([side, ~side], 1))
        self.targets[: n // 10] = True
        self.languages = Languages({"image": ["eyes"], "audio": ["ears"]}, self.targets)

    def run(self, folder: Path, vectors: object = None) -> Run:
        """Give a run in a folder of its own, with these vectors and pairs."""
        return Run(folder, vectors=vectors or self.vectors, pairs=self.pairs)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield World(tmp_path_factory.mktemp("world"))
    torch.set_num_threads(before)


def test_trained_exported_loaded_bound(world: World, tmp_path: Path):
    run = world.run(tmp_path)
    routers = train_routers(run, world.preset, world.projectors, ROUTING, languages=world.languages)
    curve = run.curves["routers"]
    assert list(routers) == ["image", "text"]
    assert curve[-10:].mean() < curve[:10].mean() - 0.1
    write_heads(world.folder / ROUTERS, head_tensors(routers), {"steps": 60}, entry="about", dtype=None)
    files = load_files(world.preset)
    projectors, read = Projectors(world.preset, files), Routers(world.preset, files)
    assert [read.is_trained(m) for m in MODALITIES] == [True, False, False, True]
    texts = {s: torch.from_numpy(rows.chunk(0, 10**6)) for s, rows in world.vectors["text"].items()}
    n = len(texts["ears"])
    with torch.inference_mode():
        projected, weights = projectors("text", texts), read("text", texts, n)
        for name, heads in world.heads.items():
            expected = apply_heads(heads, texts[name])
            torch.testing.assert_close(projected[name], expected, atol=1e-4, rtol=0)
        logits = routers["text"](torch.cat([texts["eyes"], texts["ears"]], 1))
        torch.testing.assert_close(weights, torch.softmax(10 * torch.sigmoid(logits), 1), atol=1e-4, rtol=0)
        bound = bind(world.preset.members["text"], projected, weights)
    assert bound.shape == (n, 1152)
    torch.testing.assert_close(bound.norm(dim=1), torch.ones(n))
    single = world.targets.sum(1) == 1
    right = weights[single].argmax(1) == world.targets[single].int().argmax(1)
    assert right.float().mean() > 0.9
    shares = domain_shares(("eyes", "ears"), world.languages.domains, list(world.languages.domains))
    assert decoupling(weights, shares, world.targets) < decoupling(torch.full((n, 2), 0.5), shares, world.targets) / 2


class StopError(Exception):
    """Raised in the middle of a step."""


def test_routers_resume_to_the_same_weights(world: World, tmp_path: Path):
    def run(folder: str, vectors: object) -> dict[Modality, torch.nn.Module]:
        recipe = RouterRecipe(steps=12, batch=32, checkpoint=4)
        training = world.run(tmp_path / folder, vectors)
        return train_routers(training, world.preset, world.projectors, recipe, languages=world.languages)

    class Fragile(ArrayRows):
        left = 6

        def take(self, rows):
            Fragile.left -= 1
            if Fragile.left < 0:
                raise StopError
            return super().take(rows)

    whole = run("whole", world.vectors)
    shapes = {"eyes": Fragile(world.vectors["point"]["eyes"].chunk(0, 10**6))}
    with pytest.raises(StopError):
        run("cut", {**world.vectors, "point": shapes})
    resumed = run("cut", world.vectors)
    for modality, router in whole.items():
        state = resumed[modality].state_dict()
        assert all(torch.equal(value, state[name]) for name, value in router.state_dict().items())


def test_changed_heads_are_another_training(world: World, tmp_path: Path):
    run, recipe = world.run(tmp_path), RouterRecipe(steps=2, batch=8)
    train_routers(run, world.preset, world.projectors, recipe)
    path = world.folder / PROJECTORS
    before = path.read_bytes()
    write_heads(path, {name: 2 * value for name, value in _read(path).items()}, {"steps": 40}, dtype=None)
    try:
        with pytest.raises(TrainingError, match="training of another heads"):
            train_routers(run, world.preset, world.projectors, recipe)
    finally:
        path.write_bytes(before)
    train_routers(run, world.preset, world.projectors, recipe)


def test_without_languages_only_the_cross_modal_loss_is_left(world: World, tmp_path: Path):
    quick = RouterRecipe(steps=4, batch=32, decoupling=0.0)
    plain, told = world.run(tmp_path / "plain"), world.run(tmp_path / "told")
    train_routers(plain, world.preset, world.projectors, quick)
    train_routers(told, world.preset, world.projectors, replace(quick, decoupling=5.0), languages=world.languages)
    assert told.curves["routers"][0] > plain.curves["routers"][0] + 1


def test_what_does_not_fit_is_said(world: World, tmp_path: Path):
    def run(vectors: object = None, languages: Languages | None = None, preset: Preset | None = None) -> None:
        training = world.run(tmp_path, vectors)
        train_routers(training, preset or world.preset, world.projectors, ROUTING, languages=languages)

    with pytest.raises(TrainingError, match="missing for \\['point/eyes'\\]"):
        run({**world.vectors, "point": {}})
    with pytest.raises(TrainingError, match="3 targets for"):
        run(languages=Languages(world.languages.domains, world.targets[:3]))
    with pytest.raises(PresetError, match="ears"):
        run(languages=Languages({"image": ["eyes"]}, world.targets))
    path = tmp_path / "flat.json"
    spaces = {name: SpacePlan(name, towers) for name, towers in TOWERS.items()}
    write_preset(path, title="", licence="", note="", width=1152, spaces=spaces, heads=2, router_inputs={})
    with pytest.raises(TrainingError, match=r"to train for \[\]"):
        run(preset=load_preset(path))


def test_the_form_is_the_published_one():
    shapes = {name: tuple(value.shape) for name, value in new_router(96, 5, 0).state_dict().items()}
    assert [shapes[f"{i}.weight"] for i in (0, 3, 6)] == [(512, 96), (100, 512), (5, 100)]
