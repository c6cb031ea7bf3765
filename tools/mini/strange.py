"""Nonsense to learn from: other kinds than those that "nothing here is near" is measured on.

`omnibind_core.evaluation.nonsense` makes what it is measured on; no kind of these is one of those, so that the figures
say what is refused that was never learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omnibind_core.types import Audio, Image, Media, Modality, PointCloud, Text

__all__ = ["KINDS", "strange"]

_SIDE: Final = 256  # pixels
_RATE: Final = 16_000  # Hz
_SECONDS: Final = 4
_POINTS: Final = 2048

_Chance = np.random.Generator
_Numbers = NDArray[np.float64]


def strange(modality: Modality, n: int, seed: int = 0) -> list[Media]:
    """Make `n` inputs of one modality that show nothing, of each kind about as many; the same seed makes the same."""
    chance = np.random.default_rng([seed, 7, ("image", "audio", "point", "text").index(modality)])
    kinds = tuple(KINDS[modality].values())
    return [_medium(modality, kinds[i % len(kinds)](chance)) for i in range(n)]


def _medium(modality: Modality, made: _Numbers | str) -> Media:
    if isinstance(made, str):
        return Text(made)
    if modality == "image":
        return Image(np.clip(made, 0, 255).astype(np.uint8))
    if modality == "audio":
        return Audio((0.5 * made / max(float(np.abs(made).max()), 1e-9)).astype(np.float32), _RATE)
    points = made - made.mean(axis=0)
    points /= np.linalg.norm(points, axis=1).max()
    return PointCloud(points.astype(np.float32), np.full(points.shape, 0.4, np.float32), has_colour=False)


def _colour(chance: _Chance) -> _Numbers:
    return np.asarray(chance.uniform(0, 255, 3), np.float64)


def _between(share: _Numbers, chance: _Chance) -> _Numbers:
    """Lead from one colour by chance to another: (side, side) of 0..1 -> (side, side, 3)."""
    return np.asarray(_colour(chance) * (1 - share[..., None]) + _colour(chance) * share[..., None], np.float64)


def _places() -> tuple[_Numbers, _Numbers]:
    row, column = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE - 0.5
    return row, column


def _grey_blocks(chance: _Chance) -> _Numbers:
    grain = 2 ** int(chance.integers(1, 5))
    blocks = chance.uniform(0, 255, (_SIDE // grain, _SIDE // grain, 1))
    return np.asarray(np.kron(blocks, np.ones((grain, grain, 3))), np.float64)


def _stripes(chance: _Chance) -> _Numbers:
    row, column = _places()
    angle = chance.uniform(0, np.pi)
    wave = np.sin(chance.uniform(15, 150) * (row * np.cos(angle) + column * np.sin(angle)))
    return _between(np.asarray(wave > 0, np.float64), chance)


def _rings(chance: _Chance) -> _Numbers:
    row, column = _places()
    distance = np.hypot(row - chance.uniform(-0.5, 0.5), column - chance.uniform(-0.5, 0.5))
    return _between(np.asarray(np.sin(chance.uniform(10, 100) * distance) / 2 + 0.5, np.float64), chance)


def _spots(chance: _Chance) -> _Numbers:
    row, column = _places()
    made = np.ones((_SIDE, _SIDE, 3)) * _colour(chance)
    for _ in range(int(chance.integers(5, 60))):
        at = chance.uniform(-0.5, 0.5, 2)
        made[np.hypot(row - at[0], column - at[1]) < chance.uniform(0.01, 0.08)] = _colour(chance)
    return np.asarray(made, np.float64)


def _strokes(chance: _Chance) -> _Numbers:
    row, column = _places()
    made = np.ones((_SIDE, _SIDE, 3)) * _colour(chance)
    for _ in range(int(chance.integers(5, 40))):
        angle, away = chance.uniform(0, np.pi), chance.uniform(-0.5, 0.5)
        near = np.abs(row * np.cos(angle) + column * np.sin(angle) - away) < chance.uniform(0.002, 0.01)
        made[near] = _colour(chance)
    return np.asarray(made, np.float64)


def _blurred(chance: _Chance) -> _Numbers:
    f = np.fft.fftfreq(_SIDE)
    keep = np.exp(-((np.hypot.outer(f, f) / chance.uniform(0.01, 0.15)) ** 2))
    layers = [np.fft.ifft2(np.fft.fft2(chance.normal(size=(_SIDE, _SIDE))) * keep).real for _ in "rgb"]
    noise = np.stack(layers, -1)
    return np.asarray(128 + 60 * noise / noise.std(), np.float64)


def _vignette(chance: _Chance) -> _Numbers:
    row, column = _places()
    grain = chance.normal(0, chance.uniform(0, 25), (_SIDE, _SIDE, 3))
    return _between(np.asarray(np.clip(np.hypot(row, column) * chance.uniform(0.5, 2), 0, 1)), chance) + grain


def _time() -> _Numbers:
    return np.asarray(np.arange(_RATE * _SECONDS) / _RATE, np.float64)


def _shaped_noise(chance: _Chance) -> _Numbers:
    """Noise behind an equaliser by chance, from 40 Hz on."""
    spectrum = np.fft.rfft(chance.normal(size=_RATE * _SECONDS))
    octave = np.log2(np.maximum(np.arange(len(spectrum)) / _SECONDS, 1))
    bands = np.arange(14)
    return np.asarray(np.fft.irfft(spectrum * 10 ** (np.interp(octave, bands, chance.uniform(-40, 0, 14)) / 20)))


def _band(chance: _Chance) -> _Numbers:
    spectrum = np.fft.rfft(chance.normal(size=_RATE * _SECONDS))
    heard = np.arange(len(spectrum)) / _SECONDS
    middle, width = 2 ** chance.uniform(6, 12.8), 2 ** chance.uniform(-3, 0.5)
    return np.asarray(np.fft.irfft(spectrum * np.exp(-((np.log2(np.maximum(heard, 1) / middle) / width) ** 2))))


def _chord(chance: _Chance) -> _Numbers:
    tones = [np.sin(2 * np.pi * 2 ** chance.uniform(6, 12) * _time()) for _ in range(int(chance.integers(2, 6)))]
    return np.asarray(np.sum(tones, axis=0), np.float64)


def _sweep(chance: _Chance) -> _Numbers:
    pitch = np.interp(_time(), np.linspace(0, _SECONDS, 5), chance.uniform(6, 12, 5))
    return np.asarray(np.sin(2 * np.pi * np.cumsum(2**pitch) / _RATE), np.float64)


def _buzz(chance: _Chance) -> _Numbers:
    phase = 2 ** chance.uniform(5, 10) * _time() % 1
    return np.asarray(phase - 0.5 if chance.random() < 0.5 else np.sign(phase - 0.5), np.float64)


def _bursts(chance: _Chance) -> _Numbers:
    """Short noises, at a steady rate or by chance."""
    made, length = np.zeros(_RATE * _SECONDS), int(_RATE * 10 ** chance.uniform(-3, -1.3))
    rate = chance.uniform(2, 30)
    starts = np.arange(0, _SECONDS, 1 / rate) if chance.random() < 0.5 else chance.uniform(0, _SECONDS, int(4 * rate))
    for start in (starts * _RATE).astype(int):
        end = min(start + length, len(made))
        made[start:end] += chance.normal(size=end - start)
    return np.asarray(made, np.float64)


def _steps(chance: _Chance) -> _Numbers:
    """Values by chance, each held for a while."""
    held = int(chance.integers(8, 200))
    return np.asarray(np.repeat(chance.normal(size=_RATE * _SECONDS // held + 1), held)[: _RATE * _SECONDS])


def _swelling(chance: _Chance) -> _Numbers:
    """Noise that swells and fades."""
    loud = 0.55 + 0.45 * np.sin(2 * np.pi * chance.uniform(0.3, 12) * _time())
    return np.asarray(_shaped_noise(chance) * loud, np.float64)


def _stretched(chance: _Chance) -> _Numbers:
    turn, _ = np.linalg.qr(chance.normal(size=(3, 3)))
    return np.asarray(chance.normal(size=(_POINTS, 3)) * chance.uniform(0.1, 1, 3) @ turn, np.float64)


def _segments(chance: _Chance) -> _Numbers:
    number = int(chance.integers(5, 30))
    ends, which = chance.uniform(-1, 1, (2, number, 3)), chance.integers(0, number, _POINTS)
    along = chance.random((_POINTS, 1))
    return np.asarray(ends[0, which] * along + ends[1, which] * (1 - along), np.float64)


def _triangles(chance: _Chance) -> _Numbers:
    number = int(chance.integers(5, 30))
    corners, which = chance.uniform(-1, 1, (number, 3, 3)), chance.integers(0, number, _POINTS)
    return np.asarray(np.einsum("nk,nkd->nd", chance.dirichlet(np.ones(3), _POINTS), corners[which]), np.float64)


def _heights(chance: _Chance) -> _Numbers:
    x, z = chance.uniform(-1, 1, (2, _POINTS))
    waves = [
        np.sin(a * x + b * z + c) / np.hypot(a, b)
        for a, b, c in zip(*chance.normal(0, 5, (2, 9)), chance.uniform(0, 7, 9), strict=True)
    ]
    return np.stack([x, np.sum(waves, axis=0), z], axis=1)


def _tangle(chance: _Chance) -> _Numbers:
    t = chance.uniform(0, 2 * np.pi, _POINTS)
    curve = np.stack([np.sin(int(chance.integers(1, 7)) * t + chance.uniform(0, 7)) for _ in range(3)], axis=1)
    return np.asarray(curve + chance.normal(0, chance.uniform(0, 0.15), curve.shape), np.float64)


def _spiky(chance: _Chance) -> _Numbers:
    way = chance.normal(size=(_POINTS, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    out = np.exp(chance.uniform(1, 6) * (way @ chance.normal(size=(3, 12))).max(axis=1, keepdims=True) / 3)
    return np.asarray(way * out, np.float64)


def _lattice(chance: _Chance) -> _Numbers:
    points = chance.integers(0, int(chance.integers(3, 12)), (_POINTS, 3)) * chance.uniform(0.3, 1, 3)
    return np.asarray(points + chance.normal(0, 0.05, points.shape), np.float64)


def _tailed(chance: _Chance) -> _Numbers:
    return np.asarray(np.clip(chance.standard_t(1.5, (_POINTS, 3)), -12, 12), np.float64)


def _words(chance: _Chance, letters: Sequence[str], longest: int = 9) -> str:
    return " ".join("".join(chance.choice(letters, chance.integers(3, longest))) for _ in range(chance.integers(1, 5)))


def _letters(first: int, last: int) -> Callable[[_Chance], str]:
    signs = [chr(code) for code in range(first, last + 1)]
    return lambda chance: _words(chance, signs)


def _any_letters(chance: _Chance) -> str:
    blocks = ((0xE0, 0xF6), (0x628, 0x63A), (0x915, 0x939), (0x5D0, 0x5EA), (0x10D0, 0x10F0), (0x561, 0x586))
    return _words(chance, [chr(int(chance.integers(a, b + 1))) for a, b in blocks for _ in range(3)])


def _repeated(chance: _Chance) -> str:
    return " ".join(
        str(chance.choice(list("abcdefghijklmnopqrstuvwxyz?!.-#"))) * int(chance.integers(3, 12))
        for _ in range(chance.integers(1, 4))
    )


def _codes(chance: _Chance) -> str:
    upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return _words(chance, list(upper + upper.lower() + "0123456789-_/"), 16)


_SOUNDED: Final = tuple(a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or"))

KINDS: Mapping[Modality, Mapping[str, Callable[[_Chance], _Numbers | str]]] = {
    "image": {
        "grey blocks": _grey_blocks, "stripes": _stripes, "rings": _rings, "spots": _spots, "strokes": _strokes,
        "blurred noise": _blurred, "vignette": _vignette,
    },
    "audio": {
        "shaped noise": _shaped_noise, "band": _band, "chord": _chord, "sweep": _sweep, "buzz": _buzz,
        "bursts": _bursts, "steps": _steps, "swelling noise": _swelling,
    },
    "point": {
        "stretched": _stretched, "segments": _segments, "triangles": _triangles, "heights": _heights,
        "tangle": _tangle, "spiky": _spiky, "lattice": _lattice, "tailed": _tailed,
    },
    "text": {
        "syllables": lambda chance: _words(chance, _SOUNDED, 5),
        "keys": lambda chance: _words(chance, list(str(chance.choice(["asdfghjkl", "qwertyuiop", "zxcvbnm", "fjdk"])))),
        "Arabic": _letters(0x628, 0x64A), "Hebrew": _letters(0x5D0, 0x5EA), "Devanagari": _letters(0x915, 0x939),
        "Korean": _letters(0xAC00, 0xD7A3), "Georgian": _letters(0x10D0, 0x10F0), "any": _any_letters,
        "repeated": _repeated, "codes": _codes,
    },
}  # fmt: skip
"""Of each modality, the kinds by name."""
