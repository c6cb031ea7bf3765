"""Things that show nothing: pictures, sounds, clouds and sentences that no answer fits, made anew from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from omnibind_core.types import Audio, Image, Media, Modality, PointCloud, Text

__all__ = ["nonsense"]

_SIDE: Final = 256  # pixels
_RATE: Final = 16_000  # Hz
_SECONDS: Final = 4
_POINTS: Final = 2048
_LETTERS: Final = (
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзийклмнопрстуфхцчшщыэюя",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "あいうえおかきくけこさしすせそたちつてと",
    "的一是不了人我在有他这中大来上国",
    "กขคงจฉชซฌญฎฏฐฑ",
    "0123456789",
    "!@#$%^&*()_+={}[]|;:<>?",
)


def nonsense(modality: Modality, n: int, seed: int) -> list[Media]:
    """Make `n` inputs of one modality that show nothing, of each kind about as many.

    Pictures: pixels by chance, one colour, chequers, clouds of colour, gradients, 1/f noise. Sounds: white, brown and
    pink noise, a tone, clicks. Shapes: points by chance in a ball, a box, a shell, along a walk, in clumps. Sentences:
    letters by chance in eight scripts.

    Parameters
    ----------
    modality : Modality
    n : int
    seed : int
        The same seed makes the same.
    """
    chance = np.random.default_rng([seed, ("image", "audio", "point", "text").index(modality)])
    kinds = _MAKERS[modality]
    return [kinds[i % len(kinds)](chance) for i in range(n)]


_Chance = np.random.Generator
_Maker = Callable[[_Chance], Media]


def _numbers(values: object) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)


def _picture(make: Callable[[_Chance], NDArray[np.float64]]) -> _Maker:
    return lambda chance: Image(np.clip(make(chance), 0, 255).astype(np.uint8))


def _chequers(chance: _Chance) -> NDArray[np.float64]:
    return _numbers(np.kron(chance.uniform(0, 255, (8, 8, 3)), np.ones((_SIDE // 8, _SIDE // 8, 1))))


def _coloured_clouds(chance: _Chance) -> NDArray[np.float64]:
    x = np.linspace(0, 2 * np.pi, _SIDE)
    waves = [np.cos(i * x[:, None] + j * x + chance.uniform(0, 7)) for i in range(4) for j in range(4)]
    layers = [sum(strength * wave for strength, wave in zip(chance.normal(size=16), waves, strict=True)) for _ in "rgb"]
    return _numbers(128 + 40 * np.stack(layers, -1))


def _gradient(chance: _Chance) -> NDArray[np.float64]:
    x = np.linspace(0, 1, _SIDE)
    return _numbers(np.add.outer(x, x)[:, :, None] / 2 * chance.uniform(0, 255, 3))


def _natural_noise(chance: _Chance) -> NDArray[np.float64]:
    f = np.fft.fftfreq(_SIDE)
    distance = np.hypot.outer(f, f)
    distance[0, 0] = 1
    layers = [np.fft.ifft2(np.fft.fft2(chance.normal(size=(_SIDE, _SIDE))) / distance).real for _ in range(3)]
    noise = np.stack(layers, -1)
    return _numbers((noise - noise.min()) / (noise.max() - noise.min()) * 255)


def _sound(make: Callable[[_Chance], NDArray[np.float64]]) -> _Maker:
    def made(chance: _Chance) -> Audio:
        samples = make(chance)
        return Audio((0.5 * samples / np.abs(samples).max()).astype(np.float32), _RATE)

    return made


def _coloured_noise(power: float) -> Callable[[_Chance], NDArray[np.float64]]:
    def made(chance: _Chance) -> NDArray[np.float64]:
        spectrum = np.fft.rfft(chance.normal(size=_RATE * _SECONDS))
        return _numbers(np.fft.irfft(spectrum / np.arange(1, len(spectrum) + 1) ** (power / 2)))

    return made


def _tone(chance: _Chance) -> NDArray[np.float64]:
    return _numbers(np.sin(2 * np.pi * chance.uniform(60, 4000) * np.arange(_RATE * _SECONDS) / _RATE))


def _clicks(chance: _Chance) -> NDArray[np.float64]:
    n = _RATE * _SECONDS
    return _numbers((chance.random(n) < 0.001) * chance.choice([-1.0, 1.0], n))


def _shape(make: Callable[[_Chance], NDArray[np.float64]]) -> _Maker:
    def made(chance: _Chance) -> PointCloud:
        points = make(chance)
        points = points - points.mean(axis=0)
        points /= np.linalg.norm(points, axis=1).max()
        grey = np.full(points.shape, 0.4, np.float32)
        return PointCloud(points.astype(np.float32), grey, has_colour=False)

    return made


def _shell(chance: _Chance) -> NDArray[np.float64]:
    points = chance.normal(size=(_POINTS, 3))
    return _numbers(points / np.linalg.norm(points, axis=1, keepdims=True) * chance.uniform(0.3, 1, (_POINTS, 1)))


def _clumps(chance: _Chance) -> NDArray[np.float64]:
    return _numbers(chance.normal(size=(6, 3))[chance.integers(0, 6, _POINTS)] + 0.2 * chance.normal(size=(_POINTS, 3)))


def _letters(alphabet: str) -> _Maker:
    def made(chance: _Chance) -> Text:
        words = ["".join(chance.choice(list(alphabet), chance.integers(3, 9))) for _ in range(chance.integers(1, 5))]
        return Text(" ".join(words))

    return made


_MAKERS: Mapping[Modality, tuple[_Maker, ...]] = {
    "image": (
        _picture(lambda chance: chance.uniform(0, 256, (_SIDE, _SIDE, 3))),
        _picture(lambda chance: np.ones((_SIDE, _SIDE, 1)) * chance.uniform(0, 255, 3)),
        _picture(_chequers),
        _picture(_coloured_clouds),
        _picture(_gradient),
        _picture(_natural_noise),
    ),
    "audio": (*(_sound(_coloured_noise(power)) for power in (0, 1, 2)), _sound(_tone), _sound(_clicks)),
    "point": (
        _shape(lambda chance: chance.normal(size=(_POINTS, 3))),
        _shape(lambda chance: chance.uniform(-1, 1, (_POINTS, 3))),
        _shape(_shell),
        _shape(lambda chance: np.cumsum(chance.normal(size=(_POINTS, 3)), axis=0)),
        _shape(_clumps),
    ),
    "text": tuple(_letters(alphabet) for alphabet in _LETTERS),
}
