"""What is meant in a recording, and what only came along: offsets, single wild samples, silence before and after.

Towers hear ten seconds, or the mean of such pieces, and none of this is what a sound is about.
"""

from __future__ import annotations

import numpy as np

from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.types import FloatArray

__all__ = ["level", "tidy"]

# Measured over the 213 sounds of the gallery, none of which these rules touch: offset over deviation at most 0.021;
# the highest sample over those around it at most 2.1; silence at both ends 0.9 s, inside 1 s.
_OFFSET = 0.1
_WILD = 6.0
_WILD_COUNT = 8  # more of them are clicks that are meant
_WILD_WIDTH = 3  # samples to either side that go with a wild one
_AROUND = 0.03  # seconds on either side that a sample is compared with
_FRAME = 0.02  # seconds
_QUIET = 10 ** (-45 / 20)  # of the loudest frame: below it, nothing is heard beside that one
_MARGIN = 0.1  # seconds left at the ends
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
        Without a constant offset, up to eight samples that dwarf the rest, and silence: at the ends, and what exceeds
        half a second of pauses over two. `samples` themselves where there is none of it.
    """
    if faithful or not len(samples):
        return samples
    _tame(samples, rate)
    _centre(samples)
    return _trim(samples, rate)


def level(samples: FloatArray) -> float:
    """Largest absolute sample; 0 of none."""
    return max(float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))


def _tame(samples: FloatArray, rate: int) -> None:
    """Bridge samples that stand alone, by far, above those around them and above the rest of the sound."""
    reach = round(_AROUND * rate)
    bridged: list[tuple[int, FloatArray]] = []
    lowest = np.inf
    while True:
        at = max(int(samples.argmax()), int(samples.argmin()), key=lambda place: abs(float(samples[place])))
        start, end = max(at - _WILD_WIDTH, 0), min(at + _WILD_WIDTH + 1, len(samples))
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


def _centre(samples: FloatArray) -> None:
    """Take a constant offset out where there is one to speak of."""
    mean = float(samples.mean(dtype=np.float64))
    if abs(mean) < limits.MIN_PEAK:
        return
    power = sum(float(np.square(part.astype(np.float64) - mean).sum()) for part in _parts(samples))
    if abs(mean) > _OFFSET * (power / len(samples)) ** 0.5:
        samples -= np.float32(mean)
        note(f"a constant offset ({mean:+.2f} of full scale) taken out")


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
    heard = np.flatnonzero(power > power.max() * _QUIET**2)
    breaks = np.flatnonzero(np.diff(heard) > round(_PAUSE / _FRAME))
    margin, rest = round(_MARGIN * rate), round(_REST * rate)
    # Stretches that stay, first and last + 1 in samples.
    firsts = [max(heard[0] * size - margin, 0), *(heard[breaks + 1] * size - rest)]
    lasts = [*((heard[breaks] + 1) * size + rest), (heard[-1] + 1) * size + margin]
    if heard[-1] == count - 1:
        lasts[-1] = len(samples)  # with what fills no frame
    kept = [samples[first:last] for first, last in zip(firsts, lasts, strict=True)]
    left_out = (len(samples) - sum(len(part) for part in kept)) / rate
    if left_out < _LEAST:
        return samples
    note(f"{left_out:.1f} of {len(samples) / rate:.1f} s are silence and left out")
    return np.concatenate(kept)
