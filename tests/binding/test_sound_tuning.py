"""The trial with aiSFX's last stage: its features are the published ones, it learns, and it hears no held-out sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from omnibind_core.binding import sound_tuning
from omnibind_core.binding.ears import Pool
from omnibind_core.binding.pools_sounds import Clip
from omnibind_core.binding.sound_tuning import RECIPE, LastStage, Maps, heard_by, tune
from omnibind_core.specialists.aisfx import Network, summarise
from omnibind_core.specialists.base import unit

LABELS = ["bell", "dog", "rain"]
QUICK = replace(RECIPE, steps=4, batch=4, rate=1e-3, checkpoint=2)


class Published:
    """Stands for the loaded specialist: a network of made-up weights."""

    def __init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self._network = Network()


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> Iterator[Published]:
    made = Published()
    monkeypatch.setattr(sound_tuning, "_published", lambda: made)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield made
    torch.set_num_threads(before)


@pytest.fixture
def made() -> Maps:
    rng = torch.Generator().manual_seed(1)
    clips = tuple(Clip(label, source, "x.wav") for label in LABELS for source in ("one", "two"))
    origin = torch.arange(6).repeat_interleave(2)
    maps = torch.rand(12, 12, 12, 256, generator=rng).half()
    return Maps(clips, maps, origin, torch.tensor([True, False] * 6))


def pool_of(made: Maps, stage: LastStage) -> Pool:
    return Pool({"aisfx": heard_by(stage, made)}, LABELS, torch.tensor([clip.source == "one" for clip in made.clips]))


def test_features_are_those_of_a_block(published: Published, made: Maps):
    stage = LastStage(published._network)
    x = made.maps[:1].float()
    last = torch.relu(published._network.second[3](torch.relu(published._network.first[3](x.permute(0, 3, 1, 2)))))
    assert torch.nn.functional.cosine_similarity(stage.features(x)[0], summarise(last)[0], dim=0) > 0.999
    heard = heard_by(stage, made)
    assert heard.clean.shape == (6, 512)
    assert torch.equal(heard.clean, heard.copies[::2])
    assert torch.allclose(heard.copies.norm(dim=1), torch.ones(12), atol=1e-5)


def test_tuning_learns_only_what_is_taught(published: Published, made: Maps, tmp_path: Path):
    targets = unit(torch.randn(2, 3, 384, generator=torch.Generator().manual_seed(2)))
    start = LastStage(published._network)
    pool = pool_of(made, start)
    stage = tune(made, pool, targets, QUICK, tmp_path / "first")
    assert not torch.equal(stage.second.weight, start.second.weight)
    spoiled = made.maps.clone()
    spoiled[~pool.taught[made.origin]] = 1.0
    same = tune(replace(made, maps=spoiled), pool, targets, QUICK, tmp_path / "second")
    for name, value in stage.state_dict().items():
        assert torch.equal(value, same.state_dict()[name]), name
