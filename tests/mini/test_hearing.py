"""Vectors of the pool: made once, kept one by one, the same after a kill; only new sounds cost anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.types import Audio
from tools.mini.pools import rendered as pools_rendered
from tools.mini.pools import sounds as pools_sounds
from tools.mini.pools.sounds import Clip
from tools.mini.sounds import augment as augmenting
from tools.mini.sounds import hearing
from tools.mini.sounds.hearing import RECORDED_COPIES, RENDERED_COPIES, Hearing, Tower, hear, hear_recordings

TABLE = (Clip("dog", "one", "dog.wav"), Clip("cat", "one", "cat.wav"), Clip("dog", "two", "hush.wav"))
DRAWN = Clip("siren", "synthesis", "siren 1")


def tone(clip: Clip) -> Audio:
    t = np.arange(8000, dtype=np.float32) / 8000
    return Audio(np.sin(2 * np.pi * (200 + len(clip.key) * 40) * t).astype(np.float32), 8000)


class World:
    """Counts what is decoded and heard, and can be told to stop."""

    def __init__(self) -> None:
        self.decoded: list[str] = []
        self.heard = 0
        self.stop_after = 10**9

    def read_all(self, clips: tuple[Clip, ...]) -> Iterator[tuple[Clip, Audio]]:
        for clip in clips:
            self.decoded.append(clip.file)
            if clip.file != "hush.wav":
                yield clip, tone(clip)

    def features(self, power: torch.Tensor) -> torch.Tensor:
        if self.heard >= self.stop_after:
            raise KeyboardInterrupt
        self.heard += 1
        return torch.cat([power.mean(0), power.amax(0)])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    def power(audio: Audio) -> torch.Tensor:
        frames = torch.from_numpy(audio.samples).view(-1, 80)
        return torch.fft.rfft(frames)[:, :16].abs().square()

    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    monkeypatch.setattr(hearing, "TOWERS", {"aisfx": lambda: Tower(100.0, power, made.features)})
    monkeypatch.setattr(pools_sounds, "table", lambda: TABLE)
    monkeypatch.setattr(pools_sounds, "read_all", made.read_all)
    monkeypatch.setattr(pools_rendered, "rendered", lambda: iter([(DRAWN, tone(DRAWN))]))
    monkeypatch.setattr(pools_rendered, "signals", lambda: iter([(DRAWN, tone(DRAWN))]))
    return made


def equal(one: Hearing, other: Hearing) -> bool:
    tensors: list[Callable[[Hearing], torch.Tensor]] = [lambda h: h.clean, lambda h: h.copies, lambda h: h.origin]
    return one.clips == other.clips and all(torch.equal(of(one), of(other)) for of in tensors)


def test_what_is_heard(world: World):
    heard = hear("aisfx")
    assert heard.clips == (TABLE[0], TABLE[1], DRAWN)  # silent sounds are left out
    assert torch.allclose(heard.clean.norm(dim=1), torch.ones(3), atol=1e-5)
    counts = [RECORDED_COPIES, RECORDED_COPIES, RENDERED_COPIES]
    assert torch.bincount(heard.origin).tolist() == counts
    assert heard.copies.shape == (sum(counts), 32)
    assert heard.copies.unique(dim=0).shape[0] == sum(counts)


def test_what_was_heard_is_kept(world: World):
    first = hear("aisfx")
    before = world.heard
    assert equal(first, hear("aisfx"))
    assert world.heard == before


@pytest.mark.parametrize("after", [1, 20, 36])
def test_what_is_killed_goes_on(world: World, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = hear("aisfx")
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "again"))
    monkeypatch.setattr(hearing, "usable_cores", lambda: 1)  # so that it is known which sounds were heard whole
    world.stop_after, world.heard = after, 0
    with pytest.raises(KeyboardInterrupt):
        hear("aisfx")
    world.stop_after = 10**9
    kept = world.heard // (RECORDED_COPIES + 1) * (RECORDED_COPIES + 1)
    world.heard = 0
    assert equal(whole, hear("aisfx"))
    assert world.heard == 2 * (RECORDED_COPIES + 1) + RENDERED_COPIES + 1 - kept


def test_a_longer_table_costs_only_what_is_new(world: World, monkeypatch: pytest.MonkeyPatch):
    first = hear("aisfx")
    new = Clip("owl", "two", "owl.wav")
    monkeypatch.setattr(pools_sounds, "table", lambda: (*TABLE, new))
    world.heard = 0
    longer = hear("aisfx")
    assert world.heard == RECORDED_COPIES + 1
    assert longer.clips == (TABLE[0], TABLE[1], new, DRAWN)
    assert torch.equal(longer.clean[:2], first.clean[:2])


def test_recordings_alone_have_no_copies(world: World):
    heard = hear_recordings("aisfx", ("one",))
    assert [clip.file for clip in heard.clips] == ["dog.wav", "cat.wav"]
    assert heard.copies.shape == (0, 32)
    assert torch.equal(heard.clean, hear("aisfx").clean[:2])  # and do not stand in for those with copies
    assert len(hear("aisfx").copies) > 0


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        (augmenting, "VERSION", 2),
        (pools_rendered, "VERSION", 2),
        (hearing, "VERSION", 2),
        (hearing, "RECORDED_COPIES", 3),
        (hearing, "_SECONDS", 5.0),
        (hearing, "tower_identity", lambda name: "other weights"),
    ],
)
def test_whatever_decides_makes_it_anew(world: World, monkeypatch: pytest.MonkeyPatch, module, name: str, value):
    hear("aisfx")
    before = world.heard
    monkeypatch.setattr(module, name, value)
    hear("aisfx")
    assert world.heard > before


def test_how_copies_are_made_does_not_matter_to_sounds_without_any(world: World, monkeypatch: pytest.MonkeyPatch):
    hear_recordings("aisfx", ("one",))
    before = world.heard
    monkeypatch.setattr(augmenting, "VERSION", 2)
    monkeypatch.setattr(pools_rendered, "VERSION", 2)
    hear_recordings("aisfx", ("one",))
    assert world.heard == before


def test_another_version_of_a_package_makes_its_sounds_anew(world: World, monkeypatch: pytest.MonkeyPatch):
    hear("aisfx")
    world.heard = 0
    monkeypatch.setattr(hearing, "versions", lambda: {"one": "2.0"})
    hear("aisfx")
    assert world.heard == 2 * (RECORDED_COPIES + 1)  # and no other


def test_what_does_not_decide_leaves_it_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch):
    first = hear("aisfx")
    before = world.heard
    for module in (augmenting, pools_rendered, hearing):  # as if comments, docstrings or places of modules changed
        monkeypatch.setattr(module, "__doc__", "Other words.")
        monkeypatch.setattr(module, "__file__", "/elsewhere.py")
        monkeypatch.setattr(module, "__name__", "elsewhere")
    assert equal(first, hear("aisfx"))
    assert world.heard == before
