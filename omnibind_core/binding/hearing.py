"""Vectors of the sound pool, as recorded and as :mod:`omnibind_core.binding.augment` changes it, kept in the cache."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from omnibind_core.binding import augment as augmenting
from omnibind_core.binding import pools_rendered, pools_sounds
from omnibind_core.binding.pools_sounds import Clip
from omnibind_core.media.audio import resample
from omnibind_core.specialists import aisfx, registry
from omnibind_core.specialists.base import unit
from omnibind_core.types import Audio
from omnibind_core.weights import cache_directory, local_files

__all__ = ["Hearing", "hear", "hear_recordings"]

log = logging.getLogger(__name__)

_SECONDS = 10.0
RECORDED_COPIES, RENDERED_COPIES = 16, 5
_SEED = 0


@dataclass(frozen=True, eq=False)
class Hearing:
    """What the ears make of the pool.

    Attributes
    ----------
    clips : tuple of Clip
        The N sounds.
    clean : Tensor, shape (N, 512), float32
        Unit rows of the sounds' first 10 s.
    copies : Tensor, shape (M, 512), float32
        Unit rows of augmented copies; M = 0 where none were asked for.
    origin : Tensor, shape (M,), int64
        Which clip each copy is made from.
    """

    clips: tuple[Clip, ...]
    clean: Tensor
    copies: Tensor
    origin: Tensor


def hear() -> Hearing:
    """Vectors of all recordings and rendered sounds with their augmented copies.

    About 11 minutes on one core at the first call (packages apart), then read from the cache directory.

    Returns
    -------
    Hearing
        16 copies of each recording, 5 of each rendered sound.
    """

    def sounds() -> list[tuple[Clip, Audio]]:
        return [*pools_sounds.read_all(pools_sounds.table()), *pools_rendered.rendered()]

    return _kept("pool", sounds, copies=True)


def hear_recordings(sources: tuple[str, ...]) -> Hearing:
    """Vectors of the recordings of some packages as they are; seconds, then read from the cache directory."""
    clips = tuple(clip for clip in pools_sounds.table() if clip.source in sources)
    return _kept("-".join(sources), lambda: list(pools_sounds.read_all(clips)), copies=False)


def _kept(name: str, sounds: Callable[[], list[tuple[Clip, Audio]]], *, copies: bool) -> Hearing:
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = cache_directory() / "ears" / f"{_fingerprint(name)}.safetensors"
    if not path.is_file():
        heard = _embed(sounds(), copies)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        tensors = {"clean": heard.clean, "copies": heard.copies.half(), "origin": heard.origin}
        save_file(tensors, part, {"clips": json.dumps([[c.label, c.source, c.file] for c in heard.clips])})
        part.replace(path)
    with safe_open(path, "pt") as stored:
        clips = tuple(Clip(*row) for row in json.loads(stored.metadata()["clips"]))
        clean, origin = stored.get_tensor("clean"), stored.get_tensor("origin")
        return Hearing(clips, clean, stored.get_tensor("copies").float(), origin)


def _fingerprint(name: str) -> str:
    """Change with the table, with whatever makes or changes spectrograms, and with the numbers of copies."""
    digest = hashlib.sha256(f"{name} {RECORDED_COPIES} {RENDERED_COPIES} {_SEED} {_SECONDS}".encode())
    for module in (aisfx, augmenting, pools_sounds, pools_rendered):
        digest.update(Path(inspect.getfile(module)).read_bytes())
    digest.update(repr(pools_sounds.table()).encode())
    return digest.hexdigest()[:16]


@torch.inference_mode()
def _embed(sounds: list[tuple[Clip, Audio]], copies: bool) -> Hearing:
    from tqdm import tqdm

    spec, _ = registry.find("aisfx")
    # bfloat16: a quarter of the time, and cosines to float32's vectors above 0.9999.
    ears = aisfx.build(spec, local_files(spec.weights), {}, torch.device("cpu"), torch.bfloat16)
    clips = tuple(clip for clip, _ in sounds)
    powers = [_power(audio) for _, audio in tqdm(sounds, "spectrograms", disable=None)]
    clean = torch.stack([ears.features(aisfx.compress(power)) for power in tqdm(powers, "sounds", disable=None)])
    recorded = set(pools_sounds.packages())
    behind = [power for clip, power in zip(clips, powers, strict=True) if clip.source in recorded]
    rng = np.random.default_rng(_SEED)
    rows: list[Tensor] = []
    origin: list[int] = []
    for i, clip in enumerate(tqdm(clips if copies else (), "copies", disable=None)):
        for _ in range(RECORDED_COPIES if clip.source in recorded else RENDERED_COPIES):
            rows.append(ears.features(aisfx.compress(augmenting.augment(powers[i], behind, rng))))
            origin.append(i)
    augmented = unit(torch.stack(rows)) if rows else torch.empty(0, clean.shape[1])
    return Hearing(clips, unit(clean), augmented, torch.tensor(origin, dtype=torch.int64))


def _power(audio: Audio) -> Tensor:
    cut = Audio(audio.samples[: round(_SECONDS * audio.rate)], audio.rate)
    return aisfx.mel_power(resample(cut, aisfx.RATE))
