"""Vectors of the sound pool, as recorded and as :mod:`tools.mini.sounds.augment` changes it, kept in the cache.

Each sound's vectors are a file of their own, written atomically: what is killed goes on where it was, and a longer
table costs only the sounds that are new. All that is random is decided by the sound's own key.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnibind_core.media.audio import resample
from omnibind_core.specialists import aisfx, whisper_tiny
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import cache_directory
from omnibind_core.types import Audio
from tools.mini.pools import rendered as pools_rendered
from tools.mini.pools import sounds as pools_sounds
from tools.mini.pools.sounds import Clip
from tools.mini.sounds import augment as augmenting

__all__ = ["TOWERS", "Hearing", "Tower", "hear", "hear_recordings"]

log = logging.getLogger(__name__)

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
_MODULES = {"aisfx": aisfx, "whisper_tiny": whisper_tiny}


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
    return _kept("pool", name, pools_sounds.table(), copies=True)


def hear_recordings(name: str, sources: tuple[str, ...]) -> Hearing:
    """Vectors of the recordings of some packages as they are; seconds, then read from the cache directory."""
    clips = tuple(clip for clip in pools_sounds.table() if clip.source in sources)
    return _kept("-".join(sources), name, clips, copies=False)


def _kept(pool: str, name: str, recorded: tuple[Clip, ...], *, copies: bool) -> Hearing:
    from safetensors import safe_open
    from safetensors.torch import save_file

    code = _code(name)
    asked = hashlib.sha256(f"{pool} {copies} {code} {recorded!r} {_tree(pools_rendered)}".encode()).hexdigest()[:16]
    path = cache_directory() / "ears" / f"{name}-{asked}.safetensors"
    if not path.is_file():
        folder = path.parent / f"{name}-{code}-{'copies' if copies else 'clean'}"
        heard = _embed(name, recorded, folder, copies)
        part = path.with_suffix(".part")
        tensors = {"clean": heard.clean, "copies": heard.copies.half(), "origin": heard.origin}
        save_file(tensors, part, {"clips": json.dumps([[c.label, c.source, c.file] for c in heard.clips])})
        part.replace(path)
    with safe_open(path, "pt") as stored:
        clips = tuple(Clip(*row) for row in json.loads(stored.metadata()["clips"]))
        clean, origin = stored.get_tensor("clean"), stored.get_tensor("origin")
        return Hearing(clips, clean, stored.get_tensor("copies").float(), origin)


def _code(name: str) -> str:
    """Change with whatever makes or changes spectrograms and vectors, and with the numbers of copies."""
    about = (RECORDED_COPIES, RENDERED_COPIES, _SEED, _SECONDS, _tree(augmenting), _tree(_MODULES[name]))
    return hashlib.sha256(repr(about).encode()).hexdigest()[:16]


@cache
def _tree(module: Any) -> str:
    """Give a module's program without comments and docstrings."""
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                line for line in body if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            ]
    return ast.dump(tree)


@torch.inference_mode()
def _embed(name: str, recorded: tuple[Clip, ...], folder: Path, copies: bool) -> Hearing:
    from safetensors.torch import load_file, save_file
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    ears = TOWERS[name]()

    def powers(audio: Audio) -> Tensor:
        return ears.power(Audio(audio.samples[: round(_SECONDS * audio.rate)], audio.rate))

    def path(clip: Clip) -> Path:
        return folder / f"{hashlib.sha256(clip.key.encode()).hexdigest()[:24]}.safetensors"

    # What may be heard behind a copy: signals of our own, the same whatever the table says.
    behind = [powers(audio) for _, audio in pools_rendered.signals()] if copies else []

    def make(sounds: Iterable[tuple[Clip, Audio]], count: int, total: int | None, title: str) -> list[Clip]:
        made = []
        for clip, audio in tqdm(sounds, title, total=total, disable=None):
            made.append(clip)
            if path(clip).is_file():
                continue
            power = powers(audio)
            rng = np.random.default_rng((_SEED, *hashlib.sha256(clip.key.encode()).digest()[:8]))
            changed = [augmenting.augment(power, behind, rng, ears.frames) for _ in range(count)]
            rows = unit(torch.stack([ears.features(one) for one in (power, *changed)]))
            part = path(clip).with_suffix(".part")
            save_file({"clean": rows[0].clone(), "copies": rows[1:].half()}, part)
            part.replace(path(clip))
        return made

    new = tuple(clip for clip in recorded if not path(clip).is_file())
    make(pools_sounds.read_all(new), RECORDED_COPIES if copies else 0, len(new), f"{name}: recordings")
    clips = [clip for clip in recorded if path(clip).is_file()]
    if copies:
        clips += make(pools_rendered.rendered(), RENDERED_COPIES, None, f"{name}: rendered")
    kept = [load_file(path(clip)) for clip in clips]
    origin = torch.arange(len(clips)).repeat_interleave(torch.tensor([len(one["copies"]) for one in kept]))
    changed = torch.cat([one["copies"] for one in kept]).float()
    return Hearing(tuple(clips), torch.stack([one["clean"] for one in kept]), changed, origin)
