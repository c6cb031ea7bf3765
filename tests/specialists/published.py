"""What the tests of published specialists share: key lists, made-up weights and sounds, the same at every run.

A key list holds one line for each tensor of a state dict: name, shape and type, separated by tabs. The goldens were
made by the reference implementations with exactly these weights and sounds.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from omnibind_core.types import FloatArray

DATA = Path(__file__).parents[1] / "data"


def read_keys(name: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Give {tensor: (shape, type)} from ``tests/data/keys/<name>.txt.gz``."""
    found = {}
    for line in gzip.decompress((DATA / "keys" / f"{name}.txt.gz").read_bytes()).decode().splitlines():
        tensor, shape, dtype = line.split("\t")
        found[tensor] = (tuple(int(side) for side in shape.split(",") if side), dtype)
    return found


def empty(keys: Mapping[str, tuple[tuple[int, ...], str]]) -> dict[str, torch.Tensor]:
    """Give a state dict that takes no memory."""
    return {
        name: torch.empty(shape, dtype=getattr(torch, dtype), device="meta") for name, (shape, dtype) in keys.items()
    }


def numbers(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Make up a weight from its name: activations stay about 1, norms near the identity, variances positive."""
    made = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if name.endswith("running_var"):
        made = np.float32(0.5) + np.abs(made)
    elif len(shape) > 1:
        made = made / np.float32(np.sqrt(np.prod(shape[1:])))
    else:
        made = np.float32(0.1) * made + np.float32(name.endswith("weight"))
    return torch.from_numpy(np.asarray(made, dtype=np.float32))


def filled(keys: Mapping[str, tuple[tuple[int, ...], str]]) -> dict[str, torch.Tensor]:
    """Give a state dict of made-up weights; whole numbers and masks are zero, for all of ours are computed."""
    return {
        name: numbers(name, shape) if dtype == "float32" else torch.zeros(shape, dtype=getattr(torch, dtype))
        for name, (shape, dtype) in keys.items()
    }


def sound(seconds: float, rate: int, seed: int) -> FloatArray:
    """Make a sound up: two gliding tones in noise, with an accent twice a second; within -0.9..0.9."""
    t = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    tones = np.sin(2 * np.pi * (300 + 100 * seed + 40 * t) * t) + 0.5 * np.sin(2 * np.pi * (2500 - 90 * t) * t)
    made = (0.25 * tones + 0.05 * rng.standard_normal(len(t))) * np.exp(-2.0 * (t % 0.5))
    return np.clip(made, -0.9, 0.9).astype(np.float32)


def write_sound(folder: Path, seconds: float, rate: int, seed: int) -> Path:
    """Write a made-up sound as 16-bit WAV."""
    import soundfile

    path = folder / f"{seconds}-{rate}-{seed}.wav"
    soundfile.write(path, sound(seconds, rate, seed), rate, subtype="PCM_16")
    return path
