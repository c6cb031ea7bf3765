"""Checks on sound and its mixdown, block by block: what files and samples in memory share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.types import Audio, FloatArray

__all__ = ["check_header", "collect", "from_samples"]


def from_samples(rate: int, samples: NDArray[Any]) -> Audio:
    """Take samples that are in memory already."""
    name = "the sound"
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf" or not isinstance(rate, (int, np.integer)):
        raise MediaError(
            f"samples of shape {samples.shape} and type {samples.dtype} at rate {rate!r}",
            "(n,) or (n, channels) numbers and a whole rate in Hz",
            "pass (rate, samples)",
        )
    frames = samples.reshape(len(samples), -1) if samples.size else samples.reshape(0, 1)
    check_header(name, int(rate), frames.shape[1], len(frames))
    if frames.dtype.kind in "iu":
        info = np.iinfo(frames.dtype)
        middle = (info.max + 1) // 2 if frames.dtype.kind == "u" else 0
        frames = ((frames.astype(np.float64) - middle) / (info.max - middle + 1)).astype(np.float32)
    return collect(name, int(rate), [frames.astype(np.float32, copy=False)])


def check_header(name: str, rate: int, channels: int, frames: int | None) -> None:
    """Refuse by the header; `frames` is None where the header does not tell."""
    if not limits.MIN_RATE <= rate <= limits.MAX_RATE:
        raise MediaError(
            f"{name} at {rate:,} Hz", f"{limits.MIN_RATE:,} to {limits.MAX_RATE:,} Hz", "convert it to 48,000 Hz"
        )
    if not 1 <= channels <= limits.MAX_CHANNELS:
        raise MediaError(
            f"{name} with {channels} channels", f"1 to {limits.MAX_CHANNELS} channels", "mix it down to stereo"
        )
    if frames is not None:
        _check_length(name, rate, frames)


def _check_length(name: str, rate: int, frames: int) -> None:
    if frames <= 0:
        raise MediaError(f"{name}, which has a header but no samples", "a sound with samples", "record it again")
    if frames > limits.MAX_SECONDS * rate:
        raise _too_long(name, f"{frames / rate / 60:,.1f}")
    if frames < limits.MIN_SECONDS * rate:
        raise MediaError(
            f"{name}, which lasts {frames / rate * 1000:,.1f} ms",
            f"at least {limits.MIN_SECONDS * 1000:.0f} ms",
            "use a longer one",
        )


def _too_long(name: str, minutes: str) -> MediaError:
    return MediaError(
        f"{name}, which lasts {minutes} minutes",
        f"at most {limits.MAX_SECONDS / 60:.0f} minutes",
        "cut out the part you mean",
    )


def collect(name: str, rate: int, blocks: Iterable[NDArray[np.float32]]) -> Audio:
    """Mix blocks of (n, channels) down, check the samples, and join them."""
    shrink = _Shrink(rate)
    mono: list[FloatArray] = []
    frames, peak = 0, 0.0
    for block in blocks:
        frames += len(block)
        if frames > limits.MAX_SECONDS * rate:
            raise _too_long(name, f"more than {limits.MAX_SECONDS / 60:.0f}")
        mixed = block.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mixed).all():
            raise MediaError(f"{name}, which has samples that are not numbers", "finite samples", "export it again")
        peak = max(peak, float(np.abs(mixed).max(initial=0.0)))
        mono.append(shrink(mixed))
    _check_length(name, rate, frames)
    if peak < limits.MIN_PEAK:
        level = f"a peak of {peak:.1e}" if peak else "every sample 0"
        raise MediaError(f"{name}, which is silent ({level})", f"a peak of at least {limits.MIN_PEAK:g}", "turn it up")
    mono.append(shrink.rest())
    samples = np.concatenate(mono)
    if peak > 1.0:  # float files and lossy decoders overshoot; towers expect -1..1
        samples /= np.float32(peak)
        np.clip(samples, -1.0, 1.0, out=samples)
    return Audio(samples, shrink.rate)


class _Shrink:
    """Brings rates above `limits.KEEP_RATE` down to it, block by block; leaves others alone."""

    def __init__(self, rate: int) -> None:
        self.rate = min(rate, limits.KEEP_RATE)
        self._stream: Any = None
        if rate > self.rate:
            import soxr

            self._stream = soxr.ResampleStream(rate, self.rate, 1, dtype="float32")

    def __call__(self, mono: FloatArray) -> FloatArray:
        return mono if self._stream is None else np.asarray(self._stream.resample_chunk(mono), np.float32)

    def rest(self) -> FloatArray:
        """Give what the filter still holds back."""
        empty = np.zeros(0, np.float32)
        return empty if self._stream is None else np.asarray(self._stream.resample_chunk(empty, last=True), np.float32)
