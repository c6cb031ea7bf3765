"""What the differences from the published preprocessing change: ``python -m tools.bench.differences``.

Ten sounds made of the gallery's: each followed by the next (over 10 s), and each on the left of the next (stereo). The
published towers' weights are not in packages, so a real tower that is, Essentia's aiSFX as `mini` has it, says how far
apart the vectors are. Prints the rows of docs/presets.md.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch.nn.functional import conv1d, pad

from omnibind_core.machine.runtime import choose_device
from omnibind_core.media.audio import load_audio, resample, windows
from omnibind_core.specialists.base import Specialist, unit
from omnibind_core.specialists.load import load
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Audio, FloatArray

__all__ = ["COUNT", "main", "rows", "windowed_sinc"]

COUNT = 10
RATE = 44_100
SECONDS = 10.0


def windowed_sinc(samples: FloatArray, old: int, new: int, width: int = 6, rolloff: float = 0.99) -> FloatArray:
    """Resample as torchaudio does by default: a sinc of `width` zero crossings under a Hann window.

    Source: torchaudio's documentation of ``functional.resample`` ("sinc_interp_hann").
    """
    common = math.gcd(old, new)
    old, new = old // common, new // common
    base = min(old, new) * rolloff
    half = math.ceil(width * old / base)
    at = torch.arange(-half, half + old, dtype=torch.float64) / old
    times = (torch.arange(0, -new, -1, dtype=torch.float64)[:, None] / new + at) * base
    window = torch.cos(times.clamp(-width, width) * math.pi / width / 2) ** 2
    kernel = torch.where(times == 0, 1.0, torch.sin(times * math.pi) / (times * math.pi)) * window * (base / old)
    waves = pad(torch.from_numpy(samples).double()[None, None], (half, half + old))
    made = conv1d(waves, kernel[:, None], stride=old)[0].T.reshape(-1)
    found: FloatArray = made[: math.ceil(new * len(samples) / old)].float().numpy()
    return found


def rows(tower: Specialist, sounds: Sequence[FloatArray]) -> dict[str, list[float]]:
    """Give cosines between ours and the published way, by difference.

    Parameters
    ----------
    tower : Specialist
        Of sounds.
    sounds : sequence of ndarray, shape (n,), float32
        At 44.1 kHz; one more than cosines are given.
    """

    def embed(audio: Audio) -> torch.Tensor:
        return tower.embed("audio", [audio])[0].cpu()

    def averaged(audio: Audio) -> torch.Tensor:
        mean = torch.stack([embed(part) for part in windows(audio, SECONDS)]).mean(0)
        return unit(mean[None])[0]

    found: dict[str, list[float]] = {"over 10 s, cut": [], "left channel": [], "windowed sinc": []}
    for first, second in pairwise(sounds):
        long = np.concatenate([first, second])
        count = min(len(first), len(second))
        sides = (first[:count], (first[:count] + second[:count]) / 2)
        low = {way: Audio(made, 16_000) for way, made in _lowered(first).items()}
        pairs: dict[str, tuple[torch.Tensor, torch.Tensor]] = {
            "over 10 s, cut": (embed(Audio(long[: round(SECONDS * RATE)], RATE)), averaged(Audio(long, RATE))),
            "left channel": (embed(Audio(sides[0], RATE)), embed(Audio(sides[1], RATE))),
            "windowed sinc": (embed(low["published"]), embed(low["ours"])),
        }
        for name, (one, other) in pairs.items():
            found[name].append(float(one @ other))
    return found


def _lowered(samples: FloatArray) -> dict[str, FloatArray]:
    ways: dict[str, Callable[[], FloatArray]] = {
        "ours": lambda: resample(Audio(samples, RATE), 16_000),
        "published": lambda: windowed_sinc(samples, RATE, 16_000),
    }
    return {name: way() for name, way in ways.items()}


def main() -> int:
    """Measure, and print the table."""
    folder = assets_directory() / "gallery"
    files = [folder / str(item.file) for item in read_catalogue(folder) if item.modality == "audio"]
    heard = [load_audio(path, faithful=True) for path in files]
    longest = sorted(heard, key=lambda one: -one.seconds)[: COUNT + 1]
    sounds = [resample(one, RATE) for one in longest]
    tower = load(["aisfx"], device=choose_device("cpu"))["aisfx"]
    sys.stdout.write("| difference | median cosine | lowest |\n|---|---:|---:|\n")
    for name, cosines in rows(tower, sounds).items():
        sys.stdout.write(f"| {name} | {np.median(cosines):.3f} | {min(cosines):.3f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
