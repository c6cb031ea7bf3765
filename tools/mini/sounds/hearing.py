"""Vectors of the sound pool, as recorded and as :mod:`tools.mini.sounds.augment` changes it, kept in the cache.

Each sound's vectors are a file of their own: what is killed goes on where it was, and a longer table costs only the
sounds that are new. All that is random is decided by the sound's own key.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnibind_core.machine.runtime import usable_cores
from omnibind_core.media.audio import resample
from omnibind_core.specialists import aisfx
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from omnibind_core.store.kept import identity, kept, write_tensors
from omnibind_core.store.paths import cache_directory
from omnibind_core.store.weights import read_tensors
from omnibind_core.training.extraction import tower_identity
from omnibind_core.types import Audio
from tools.mini.pools import rendered as pools_rendered
from tools.mini.pools import sounds as pools_sounds
from tools.mini.pools.sounds import Clip, versions
from tools.mini.sounds import augment as augmenting

__all__ = ["TOWERS", "VERSION", "Hearing", "Tower", "decides", "hear", "hear_recordings"]

_SECONDS = 10.0
RECORDED_COPIES, RENDERED_COPIES = 16, 5
_SEED = 0


@dataclass(frozen=True, eq=False)
class Hearing:
    """What a tower makes of the pool.

    Attributes
    ----------
    clips : tuple of Clip
        The N sounds.
    clean : Tensor, shape (N, d), float32
        Unit rows of the sounds' first 10 s.
    copies : Tensor, shape (M, d), float32
        Unit rows of augmented copies; M = 0 where none were asked for.
    origin : Tensor, shape (M,), int64
        Which clip each copy is made from.
    """

    clips: tuple[Clip, ...]
    clean: Tensor
    copies: Tensor
    origin: Tensor


@dataclass(frozen=True)
class Tower:
    """A network that hears, taken apart at its power spectrogram, where sounds are changed.

    Attributes
    ----------
    frames : float
        Of the spectrogram, in a second.
    power : callable
        Audio -> (frames, bins) mel powers, float32.
    features : callable
        Mel powers -> (d,) float32, of any length.
    """

    frames: float
    power: Callable[[Audio], Tensor]
    features: Callable[[Tensor], Tensor]


def _aisfx() -> Tower:
    ears = _built("aisfx")
    return Tower(
        aisfx.RATE / 1024,
        lambda audio: aisfx.mel_power(resample(audio, aisfx.RATE)),
        lambda power: ears.features(aisfx.compress(power)),
    )


def _whisper() -> Tower:
    ears = _built("whisper_tiny")
    return Tower(100.0, ears.power, ears.features)


def _built(name: str) -> Any:
    # bfloat16: a quarter to a half of the time, and cosines to float32's vectors above 0.9999.
    return tower(name, torch.bfloat16)


TOWERS: dict[str, Callable[[], Tower]] = {"aisfx": _aisfx, "whisper_tiny": _whisper}
"""Specialist -> how it is loaded for training."""
VERSION = 1
"""Of how towers are taken apart and sounds are cut: whoever changes what they make of a sound raises it."""


def hear(name: str) -> Hearing:
    """Vectors of all recordings and rendered sounds with their augmented copies.

    Minutes at the first call (packages apart), then read from the cache directory.

    Parameters
    ----------
    name : str
        One of :data:`TOWERS`.

    Returns
    -------
    Hearing
        16 copies of each recording, 5 of each rendered sound.
    """
    return _heard("pool", name, pools_sounds.table(), copies=True)


def hear_recordings(name: str, sources: tuple[str, ...]) -> Hearing:
    """Vectors of the recordings of some packages as they are; seconds, then read from the cache directory."""
    clips = tuple(clip for clip in pools_sounds.table() if clip.source in sources)
    return _heard("-".join(sources), name, clips, copies=False)


def decides(name: str, *, copies: bool) -> dict[str, object]:
    """All that decides what a tower makes of a sound, but for the sound."""
    made = [RECORDED_COPIES, RENDERED_COPIES, _SEED, augmenting.VERSION, pools_rendered.VERSION]
    about = {"tower": tower_identity(name), "seconds": _SECONDS, "version": VERSION}
    return {**about, "copies": made if copies else None}


def _heard(pool: str, name: str, recorded: tuple[Clip, ...], *, copies: bool) -> Hearing:
    folder, who = cache_directory() / "ears", decides(name, copies=copies)

    def make() -> tuple[dict[str, Tensor], list[list[str]]]:
        heard = _embed(name, recorded, folder / f"{name}-{identity(who)}", copies)
        tensors = {"clean": heard.clean, "copies": heard.copies.half(), "origin": heard.origin}
        return tensors, [[c.label, c.source, c.file] for c in heard.clips]

    clips = [[c.label, c.source, c.file, versions().get(c.source, "")] for c in recorded]
    tensors, rows = kept(folder, name, {**who, "pool": pool, "clips": clips}, make)
    return Hearing(tuple(Clip(*row) for row in rows), tensors["clean"], tensors["copies"].float(), tensors["origin"])


@torch.inference_mode()
def _embed(name: str, recorded: tuple[Clip, ...], folder: Path, copies: bool) -> Hearing:
    from tqdm import tqdm

    ears = TOWERS[name]()

    def powers(audio: Audio) -> Tensor:
        return ears.power(Audio(audio.samples[: round(_SECONDS * audio.rate)], audio.rate))

    def path(clip: Clip) -> Path:
        stated = f"{clip.key} {versions().get(clip.source, '')}"
        return folder / f"{hashlib.sha256(stated.encode()).hexdigest()[:24]}.safetensors"

    # What may be heard behind a copy: signals of our own, the same whatever the table says.
    behind = [powers(audio) for _, audio in pools_rendered.signals()] if copies else []

    @torch.inference_mode()
    def one(clip: Clip, audio: Audio, count: int) -> None:
        power = powers(audio)
        rng = np.random.default_rng((_SEED, *hashlib.sha256(clip.key.encode()).digest()[:8]))
        changed = [augmenting.augment(power, behind, rng, ears.frames) for _ in range(count)]
        rows = unit(torch.stack([ears.features(each) for each in (power, *changed)]))
        write_tensors(path(clip), {"clean": rows[0], "copies": rows[1:].half()}, {})

    def make(sounds: Iterable[tuple[Clip, Audio]], count: int, total: int | None, title: str) -> list[Clip]:
        made, under_way = [], deque[Future[None]]()
        with ThreadPoolExecutor(usable_cores()) as pool:  # one sound a core, each in sums of one order
            for clip, audio in tqdm(sounds, title, total=total, disable=None):
                made.append(clip)
                if path(clip).is_file():
                    continue
                under_way.append(pool.submit(one, clip, audio, count))
                if len(under_way) > 4 * usable_cores():
                    under_way.popleft().result()
            while under_way:
                under_way.popleft().result()
        return made

    new = tuple(clip for clip in recorded if not path(clip).is_file())
    make(pools_sounds.read_all(new), RECORDED_COPIES if copies else 0, len(new), f"{name}: recordings")
    clips = [clip for clip in recorded if path(clip).is_file()]
    if copies:
        clips += make(pools_rendered.rendered(), RENDERED_COPIES, None, f"{name}: rendered")
    each = [read_tensors(path(clip)) for clip in clips]
    origin = torch.arange(len(clips)).repeat_interleave(torch.tensor([len(one["copies"]) for one in each]))
    changed = torch.cat([one["copies"] for one in each]).float()
    return Hearing(tuple(clips), torch.stack([one["clean"] for one in each]), changed, origin)
