"""Real heads on the gallery's vectors: they learn, they survive kills to the last bit, and the projectors read them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from omnibind_core.binding.forms import head_tensors, new_head, seeded, write_heads
from omnibind_core.specialists.base import unit
from omnibind_core.store.shards import ArrayRows, PoolError
from omnibind_core.store.weights import read_tensors
from omnibind_core.training.loop import Recipe, TrainingError, batch_rows, curve_svg, train
from omnibind_core.training.pseudo_pairs import Hop, PseudoPairs, pseudo_pairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_projectors import MIXTURES, FusedRows, HeadRecipe, train_space
from omnibind_core.types import MODALITIES, Modality
from tests.training.test_pseudo_pairs import gallery

QUICK = HeadRecipe(steps=60, batch=64, hidden=96, rate=3e-3, checkpoint=10, noise=0.1)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world() -> tuple[dict[Modality, ArrayRows], dict[Modality, ArrayRows], PseudoPairs]:
    """Give a space of sounds and sentences, a target of pictures and sentences, and pairs found by mini."""
    vectors, _ = gallery()
    routes = {(a, b): [Hop("mini", b)] for a in MODALITIES for b in MODALITIES if a != b}
    pairs, _ = pseudo_pairs({m: {"mini": ArrayRows(vectors[m])} for m in MODALITIES}, routes)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((1152, 1152)))[0][:, :64].astype(np.float32)
    space: dict[Modality, ArrayRows] = {
        m: ArrayRows(unit(torch.from_numpy(vectors[m] @ turned)).numpy()) for m in ("audio", "text")
    }
    target: dict[Modality, ArrayRows] = {m: ArrayRows(vectors[m]) for m in ("image", "text")}
    return space, target, pairs


def ears(folder: Path, space: dict[Modality, ArrayRows], pairs: PseudoPairs) -> Run:
    return Run(folder, vectors={m: {"ears": rows} for m, rows in space.items()}, pairs=pairs)


def test_a_pass_sees_every_row_once_and_only_the_step_decides():
    rows = [batch_rows(3, step, 10, 4) for step in range(4)]
    assert len(np.unique(np.concatenate(rows[:2]))) == 8
    assert sorted(batch_rows(0, 5, 3, 99)) == [0, 1, 2]
    np.testing.assert_array_equal(rows[1], batch_rows(3, 1, 10, 4))
    assert not np.array_equal(rows[0], rows[2])
    assert not np.array_equal(rows[0], batch_rows(4, 0, 10, 4))


def test_the_rate_rises_and_falls():
    recipe = Recipe(steps=100, rate=1.0, warm_up=0.1)
    rates = [recipe.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] < 0.001
    with pytest.raises(TrainingError, match="batch of 2"):
        Recipe(batch=1)
    with pytest.raises(TrainingError, match="hidden = 0"):
        HeadRecipe(hidden=0)


@pytest.mark.parametrize(("steps", "warm_up"), [(400, 0.2), (37, 0.1), (250, 0.1)])
def test_one_cycle_is_that_of_torch_to_the_bit(steps: int, warm_up: float):
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 2e-3, total_steps=steps, pct_start=warm_up, cycle_momentum=False
    )
    recipe = Recipe(steps=steps, rate=2e-3, warm_up=warm_up, one_cycle=True)
    for step in range(steps):
        assert optimiser.param_groups[0]["lr"] == recipe.rate_at(step), step
        optimiser.step()
        if step + 1 < steps:
            schedule.step()
    assert Recipe(steps=10, rate=1.0, one_cycle=True).rate_at(0) == 1.0  # where no step rises, torch divides by zero


def test_heads_learn_to_find_the_pairs(world, tmp_path: Path):
    space, target, pairs = world
    run = ears(tmp_path, space, pairs)
    heads = train_space(run, "ears", target, QUICK, mixtures=("all", "AT", "PT"))
    curves = run.curves
    assert list(curves) == ["ears, all", "ears, AT", "ears, PT"]
    assert all(c[-10:].mean() < 0.7 * c[:10].mean() for c in curves.values())
    assert len({h[0].weight[0, 0].item() for h in heads}) == 3
    sounds = pairs.of(["audio"])
    with torch.inference_mode():
        x = torch.from_numpy(space["audio"].take(pairs.items["audio"][sounds]))
        bound = torch.stack([unit(head(x)) for head in heads]).mean(0)
        before = unit(new_head(64, 96, 1152, 0).eval()(x))
    images = torch.from_numpy(target["image"].chunk(0, 10**6))
    right = torch.from_numpy(pairs.items["image"][sounds])

    def recall(rows: torch.Tensor) -> float:
        return float(((rows @ images.T).topk(5).indices == right[:, None]).any(1).float().mean())

    assert recall(bound) > 0.5
    assert recall(before) < 0.2


class StopError(Exception):
    """Raised in the middle of a step."""


def test_a_training_that_is_stopped_anywhere_ends_with_the_same_weights(world, tmp_path: Path):
    space, target, pairs = world

    class Fragile(ArrayRows):
        def __init__(self, whole: ArrayRows, reads: int) -> None:
            super().__init__(whole.chunk(0, 10**6))
            self.left = reads

        def take(self, rows):
            self.left -= 1
            if self.left < 0:
                raise StopError
            return super().take(rows)

    calm, cut = ears(tmp_path / "whole", space, pairs), ears(tmp_path / "cut", space, pairs)
    whole = train_space(calm, "ears", target, QUICK, mixtures=("all", "A"))
    stops = 0
    for reads in (15, 33, 5, 71, 1, 90, 10**6):
        fragile = {**target, "image": Fragile(target["image"], reads)}
        try:
            heads = train_space(cut, "ears", fragile, QUICK, mixtures=("all", "A"))
        except StopError:
            stops += 1
    assert stops >= 3
    for head, other in zip(whole, heads, strict=True):
        state = other.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in head.state_dict().items())
    np.testing.assert_array_equal(calm.curves["ears, all"], cut.curves["ears, all"])
    with pytest.raises(TrainingError, match="another recipe"):
        train_space(cut, "ears", target, replace(QUICK, rate=1e-3), mixtures=("all",))
    swapped = PseudoPairs(pairs.items, pairs.source[::-1].copy(), pairs.scores)
    with pytest.raises(TrainingError, match="another recipe, tuples"):
        train_space(ears(tmp_path / "cut", space, swapped), "ears", target, QUICK, mixtures=("A",))


def toy(folder: Path, kill: int = -1) -> None:
    """Train 30 steps with a checkpoint every 7, and kill the process in the middle of step `kill`."""

    def layers() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))

    def loss(step: int, generator: torch.Generator) -> torch.Tensor:
        if step == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return module(torch.randn(16, 4, generator=generator)).square().mean() + step * 1e-3

    module = seeded(layers, 0)
    train(module, loss, Recipe(steps=30, checkpoint=7), folder, identity={"n": 1}, title="toy")


def test_sigkill_in_a_process_of_its_own(tmp_path: Path):
    script = (
        "import sys, torch; from pathlib import Path; torch.set_num_threads(1)\n"
        "from tests.training.test_train_projectors import toy; toy(Path(sys.argv[1]), 17)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "cut")], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    before = read_tensors(tmp_path / "cut" / "state.safetensors")["curve"]
    assert (before != 0).sum() == 14  # of the 17 steps the last checkpoint kept these
    toy(tmp_path / "cut")
    toy(tmp_path / "whole")
    whole, cut = (read_tensors(tmp_path / name / "state.safetensors") for name in ("whole", "cut"))
    assert set(whole) == set(cut)
    assert {"generator", "curve", "optimiser.0.exp_avg", "model.1.running_var"} <= set(whole)
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


def test_what_cannot_be_trained_is_said(world, tmp_path: Path):
    space, target, pairs = world
    with pytest.raises(TrainingError, match="mixture 'X'"):
        train_space(ears(tmp_path, space, pairs), "ears", target, QUICK, mixtures=("X",))
    empty = PseudoPairs(
        {m: i[pairs.of(["audio"])] for m, i in pairs.items.items()}, pairs.source[pairs.of(["audio"])], {}
    )
    with pytest.raises(TrainingError, match="mixture 'V' with 0 tuples"):
        train_space(ears(tmp_path, space, empty), "ears", target, QUICK, mixtures=("V",))
    module = seeded(lambda: torch.nn.Linear(2, 1), 0)
    with pytest.raises(TrainingError, match="not finite"):
        train(module, lambda *_: module(torch.full((1, 2), torch.inf)).sum(), Recipe(steps=2), tmp_path / "x",
              identity={}, title="bad")  # fmt: skip


def test_a_fused_target_is_the_weighted_sum(world):
    _, target, _ = world
    text = target["text"]
    head = new_head(1152, 32, 1152, 1).eval()
    fused = FusedRows([(0.1, text, [head]), (0.9, text, [])])
    asked = np.array([5, 0, 9])
    x = torch.from_numpy(text.take(asked))
    with torch.inference_mode():
        expected = unit(0.1 * unit(head(x)) + 0.9 * x)
    np.testing.assert_allclose(fused.take(asked), expected.numpy(), atol=1e-6)
    np.testing.assert_allclose(fused.chunk(0, 10)[asked], expected.numpy(), atol=1e-6)
    assert (len(fused), fused.width) == (len(text), 1152)
    with pytest.raises(PoolError, match="one size"):
        FusedRows([(0.5, text, []), (0.5, text, [new_head(1152, 8, 32, 0)])])


def test_exported_heads_have_the_published_names(tmp_path: Path):
    heads = [new_head(6, 8, 10, seed) for seed in range(2)]
    write_heads(tmp_path / "deep" / "heads.safetensors", head_tensors({"ears": heads}), {"note": "test"}, dtype=None)
    tensors = read_tensors(tmp_path / "deep" / "heads.safetensors")
    assert len(tensors) == 2 * 12
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert torch.equal(tensors["ears.1.3.weight"], heads[1][3].weight)
    assert set(MIXTURES) >= {"P", "PV", "PT"}


def test_curves_become_a_picture():
    picture = curve_svg(
        {"all <1>": np.linspace(3, 1, 500, dtype=np.float32), "A": np.ones(3, np.float32)}, "ears & eyes"
    )
    root = ElementTree.fromstring(picture)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [100, 3]
    assert "all <1> 1.01" in "".join(root.itertext())
