"""What is meant in a recording, and what only came along: offsets, single wild samples, silence before and after.

Towers hear ten seconds, or the mean of such pieces, and none of this is what a sound is about.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.types import FloatArray

__all__ = ["level", "tidy"]

# Measured over the 213 sounds of the gallery, none of which these rules touch: offset over deviation at most 0.021;
# means of 0.1 s over the rest at most 0.3; the highest sample over those around it at most 2.1; silence at both ends
# 0.9 s, inside 1 s.
_OFFSET, _LEAN = 0.1, 0.025  # of the deviation
_SLOW, _DRIFT = 0.1, 1.0  # seconds that means are taken of, and their deviation over that of the rest
_PASSES = 5  # straight lines between means leave a twentieth of a drift of 1 Hz, and more at the ends
_WILD = 6.0
_WILD_COUNT = 8  # more of them are clicks that are meant
_RUN = 24  # samples of a run that goes as one wild sample
_WILD_WIDTH = 7e-5  # seconds on either side that go with a wild sample: 3 at 44.1 kHz
_AROUND = 0.03  # seconds on either side that a sample is compared with
_FRAME = 0.01  # seconds
_QUIET = 10 ** (-45 / 20)  # of the loudest frame: below it, nothing is heard beside that one
_FLOOR = 10 ** (-30 / 20)  # and what is always there counts as silence only below this
_EVEN = 2.0  # times the power of the faintest frames
_PAUSE = 2.0  # seconds: longer ones inside a sound are shortened
_REST = 0.25  # seconds left on both sides of such a pause
_LEAST = 1.0  # seconds of silence worth leaving out


def tidy(samples: FloatArray, rate: int, faithful: bool = False) -> FloatArray:
    """Take out what is not the sound itself, and say so.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32
        Mono, finite; changed in place.
    rate : int
        In Hz.
    faithful : bool
        Whether to give them as they are.

    Returns
    -------
    ndarray, shape (m,), float32
        Without a constant or drifting offset, up to eight samples that dwarf the rest, and silence: at the ends, and
        what exceeds half a second of pauses over two. `samples` themselves where there is none of it.
    """
    if faithful or not len(samples):
        return samples
    _tame(samples, rate)
    if _centre(samples, _OFFSET):
        note("a constant offset taken out")
    if _straighten(samples, rate):
        note("a drifting offset taken out")
    trimmed = _trim(samples, rate)
    _centre(trimmed, _LEAN)  # which 8 bits have that were cut, not rounded; nothing to speak of
    return trimmed


def level(samples: FloatArray) -> float:
    """Largest absolute sample; 0 of none."""
    return max(float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))


def _tame(samples: FloatArray, rate: int) -> None:
    """Bridge samples that stand alone, by far, above those around them and above the rest of the sound."""
    reach, width = round(_AROUND * rate), max(round(_WILD_WIDTH * rate), 2)
    bridged: list[tuple[int, FloatArray]] = []
    lowest = np.inf
    while True:
        at = max(int(samples.argmax()), int(samples.argmin()), key=lambda place: abs(float(samples[place])))
        start, end = max(at - width, 0), min(at + width + 1, len(samples))
        while end < min(at + _RUN, len(samples)) and 2 * abs(float(samples[end])) > abs(float(samples[at])):
            end += 1  # a run of them
        around = np.concatenate([samples[max(at - reach, 0) : start], samples[end : at + reach]]).astype(np.float64)
        if not len(around):
            break
        middle = float(np.median(around))
        height = abs(float(samples[at]) - middle)
        if height <= _WILD * float(np.abs(around - middle).max()) or height < limits.MIN_PEAK:
            break
        bridged.append((start, samples[start:end].copy()))
        lowest = min(lowest, height)
        left = float(samples[start - 1]) if start else middle
        right = float(samples[end]) if end < len(samples) else middle
        samples[start:end] = np.linspace(left, right, end - start)
        if len(bridged) > _WILD_COUNT:
            break
    rest = level(samples)
    if not bridged:
        return
    if len(bridged) > _WILD_COUNT or rest < limits.MIN_PEAK or lowest < 2 * rest:  # clicks are what it is about
        for start, values in reversed(bridged):
            samples[start : start + len(values)] = values
        return
    note(f"{len(bridged)} wild {'sample' if len(bridged) == 1 else 'samples'}, far above the rest, left out")


def _centre(samples: FloatArray, share: float) -> bool:
    """Take a constant offset out where it is more than a share of the deviation; tell whether it was."""
    mean = float(samples.mean(dtype=np.float64))
    if abs(mean) < limits.MIN_PEAK:
        return False
    power = sum(float(np.square(part.astype(np.float64) - mean).sum()) for part in _parts(samples))
    if abs(mean) <= share * (power / len(samples)) ** 0.5:
        return False
    samples -= np.float32(mean)
    return True


def _straighten(samples: FloatArray, rate: int) -> bool:
    """Take out what moves slower than any sound where it outweighs the sound itself; tell whether it did."""
    size = round(_SLOW * rate)
    count = len(samples) // size
    if count < 3:
        return False
    means = _means(samples, size)
    slow = float(means.std())
    power = sum(float(np.square(part.astype(np.float64)).sum()) for part in _parts(samples)) / len(samples)
    rest = max(power - float(np.square(means).mean()), 0.0) ** 0.5
    if slow < limits.MIN_PEAK or slow <= _DRIFT * rest:
        return False
    places = (np.arange(-1, count + 1) + 0.5) * size
    for _ in range(_PASSES):
        means = np.concatenate([[2 * means[0] - means[1]], means, [2 * means[-1] - means[-2]]])  # on beyond both ends
        for start in range(0, len(samples), 1 << 20):
            part = samples[start : start + (1 << 20)]
            part -= np.interp(np.arange(start, start + len(part)), places, means).astype(np.float32)
        means = _means(samples, size)
    return True


def _means(samples: FloatArray, size: int) -> NDArray[np.float64]:
    """Mean of each frame of a size, without what fills none."""
    count = len(samples) // size
    means: NDArray[np.float64] = samples[: count * size].reshape(count, size).mean(axis=1, dtype=np.float64)
    return means


def _parts(samples: FloatArray) -> list[FloatArray]:
    return [samples[start : start + (1 << 20)] for start in range(0, len(samples), 1 << 20)]


def _trim(samples: FloatArray, rate: int) -> FloatArray:
    size = round(_FRAME * rate)
    count = len(samples) // size
    peak = level(samples)
    if count < 2 or not peak:
        return samples
    frames = samples[: count * size].reshape(count, size)
    power = np.concatenate(
        [np.square(frames[start : start + 4_096] / np.float32(peak)).mean(axis=1) for start in range(0, count, 4_096)]
    )
    quiet = power.max() * _QUIET**2
    low, middle = np.percentile(power, [10, 50])
    if middle < _EVEN * low:  # half of it sounds alike, hiss or a room: silence where the rest stands out from it
        quiet = max(quiet, min(4.0 * float(middle), power.max() * _FLOOR**2))
    heard = np.flatnonzero(power > quiet)
    breaks = np.flatnonzero(np.diff(heard) > round(_PAUSE / _FRAME))
    rest = round(_REST * rate)
    # Stretches that stay, first and last + 1 in samples.
    firsts = [heard[0] * size, *(heard[breaks + 1] * size - rest)]
    lasts = [*((heard[breaks] + 1) * size + rest), (heard[-1] + 1) * size]
    if heard[-1] == count - 1:
        lasts[-1] = len(samples)  # with what fills no frame
    kept = [samples[first:last] for first, last in zip(firsts, lasts, strict=True)]
    left_out = (len(samples) - sum(len(part) for part in kept)) / rate
    if left_out < _LEAST:
        return samples
    note(f"{left_out:.1f} of {len(samples) / rate:.1f} s are silence and left out")
    trimmed: FloatArray = np.concatenate(kept)
    least = round(limits.MIN_SECONDS * rate)
    if len(trimmed) < least:  # one short knock, with some silence then
        start = min(int(firsts[0]), len(samples) - least)
        trimmed = samples[start : start + least].copy()
    return trimmed
