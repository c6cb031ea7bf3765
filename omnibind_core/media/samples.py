"""Checks on sound and its mixdown, block by block: what files and samples in memory share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.hearing import level, tidy
from omnibind_core.media.notices import note
from omnibind_core.types import Audio, FloatArray

__all__ = ["Stream", "check_header", "collect", "from_samples", "shrink", "too_long"]

_FEW = 8  # samples that are no number and are bridged, as wild ones are
_SHARE = 0.01  # of all samples, likewise
_CANCELS = 0.1  # of the power that is left when channels in opposite phase are turned round


@dataclass(frozen=True)
class Stream:
    """Sound that can be read from its beginning as often as needed.

    Attributes
    ----------
    rate : int
        In Hz.
    blocks : callable
        Gives the samples anew, in blocks of shape (n, channels), float32.
    promised : float or None
        Seconds that the header speaks of; None where it does not.
    cut : bool
        Whether the end is missing, nobody knows how much of it.
    """

    rate: int
    blocks: Callable[[], Iterator[FloatArray]]
    promised: float | None = None
    cut: bool = False


def from_samples(rate: int, samples: NDArray[Any], faithful: bool = False) -> Audio:
    """Take samples that are in memory already."""
    name = "the sound"
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "iuf" or not isinstance(rate, (int, np.integer)):
        raise MediaError(
            f"samples of shape {samples.shape} and type {samples.dtype} at rate {rate!r}",
            "(n,) or (n, channels) numbers and a whole rate in Hz",
            "pass (rate, samples)",
        )
    if samples.ndim == 2 and len(samples) <= limits.MAX_CHANNELS < samples.shape[1]:
        raise MediaError(
            f"samples of shape {samples.shape}, a row for each channel",
            "(n, channels): a column for each channel",
            "transpose them: samples.T",
        )
    frames = samples.reshape(len(samples), -1) if samples.size else samples.reshape(0, 1)
    check_header(name, int(rate), frames.shape[1], len(frames))
    if frames.dtype.kind in "iu":
        info = np.iinfo(frames.dtype)
        middle = (info.max + 1) // 2 if frames.dtype.kind == "u" else 0
        frames = ((frames.astype(np.float64) - middle) / (info.max - middle + 1)).astype(np.float32)
    block = frames.astype(np.float32, copy=False)
    return collect(name, Stream(int(rate), lambda: iter([block])), faithful)


def check_header(name: str, rate: int, channels: int, frames: int | None) -> None:
    """Refuse by the header; `frames` is None where the header does not tell, or may claim too much."""
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
        raise too_long(name, frames / rate)
    if frames < limits.MIN_SECONDS * rate:
        raise MediaError(
            f"{name}, which lasts {frames / rate * 1000:,.1f} ms",
            f"at least {limits.MIN_SECONDS * 1000:.0f} ms",
            "use a longer one",
        )


def too_long(name: str, seconds: float | None) -> MediaError:
    """Word the error for a sound beyond `limits.MAX_SECONDS`; None where nobody knows by how much."""
    most = limits.MAX_SECONDS / 60
    return MediaError(
        f"{name}, which lasts {f'more than {most:.0f}' if seconds is None else f'{seconds / 60:,.1f}'} minutes",
        f"at most {most:.0f} minutes",
        "cut out the part you mean",
    )


def collect(name: str, stream: Stream, faithful: bool = False) -> Audio:
    """Mix a sound down, check its samples, and take out what is not the sound itself.

    Parameters
    ----------
    name : str
        What messages call it.
    stream : Stream
        Its blocks are read once, or twice where its channels cancel each other out.
    faithful : bool
        Whether to leave it as it is: the mean of the channels, nothing taken out; the first channel goes along.

    Raises
    ------
    MediaError
        Too long, too short, silent, or with samples that are not numbers.
    """
    balance = _Balance()
    samples = _mixed(name, stream, balance, faithful=faithful)
    turned = None if faithful else balance.turned()
    if turned is not None:
        note("the channels are in opposite phase: turned round before mixing")
        samples = _mixed(name, stream, balance, turned)
    _check_length(name, stream.rate, len(samples))
    seconds = len(samples) / stream.rate
    if stream.promised is not None and stream.promised - seconds >= max(0.1, 0.01 * seconds):
        note(f"{seconds:.1f} of {stream.promised:,.1f} s are there: the rest of the file is missing")
    elif stream.cut:
        note(f"the end of the file is missing: {seconds:.1f} s are there")
    if level(samples) >= limits.MIN_PEAK:
        samples = tidy(samples, stream.rate, faithful)
    peak = level(samples)
    if peak < limits.MIN_PEAK:
        shown = f"a peak of {peak:.1e}" if peak else "every sample 0"
        raise MediaError(f"{name}, which is silent ({shown})", f"a peak of at least {limits.MIN_PEAK:g}", "turn it up")
    if peak > 1.0:  # float files and lossy decoders overshoot; towers expect -1..1
        samples /= np.float32(peak)
        np.clip(samples, -1.0, 1.0, out=samples)
    rate = min(stream.rate, limits.KEEP_RATE)
    left = None
    if faithful and balance.channels > 1:
        left = shrink(_mixed(name, stream, balance, np.ones(1, np.float32)), stream.rate, rate)
    return Audio(shrink(samples, stream.rate, rate), rate, faithful=faithful, left=left)


def _mixed(
    name: str, stream: Stream, balance: _Balance, weights: FloatArray | None = None, faithful: bool = False
) -> FloatArray:
    """Mix down by the channels' mean, or by weights of theirs."""
    mono: list[FloatArray] = []
    frames = 0
    for block in stream.blocks():
        frames += len(block)
        if frames > limits.MAX_SECONDS * stream.rate:
            promised = stream.promised or 0.0
            raise too_long(name, promised if promised > limits.MAX_SECONDS else None)
        if weights is None:
            mixed: FloatArray = block.mean(axis=1, dtype=np.float32)
            balance.add(block)
        else:
            mixed = block[:, : len(weights)] @ weights[: block.shape[1]]
        mono.append(mixed)
    samples = np.concatenate(mono) if mono else np.zeros(0, np.float32)
    wrong = ~np.isfinite(samples)
    if not wrong.any():
        return samples
    count = int(wrong.sum())
    if faithful or count > max(_FEW, _SHARE * len(samples)):
        raise MediaError(f"{name}, which has samples that are not numbers", "finite samples", "export it again")
    note(f"{count} {'sample that is' if count == 1 else 'samples that are'} no number left out")
    right = np.flatnonzero(~wrong)
    if len(right):
        samples[wrong] = np.interp(np.flatnonzero(wrong), right, samples[right])
    return np.nan_to_num(samples)


class _Balance:
    """How a sound's channels go together: their sums and products."""

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] | None = None
        self._products: NDArray[np.float64] | None = None
        self._frames = 0

    @property
    def channels(self) -> int:
        """How many channels there are, 1 where none was added."""
        return 1 if self._sums is None else len(self._sums)

    def add(self, block: FloatArray) -> None:
        if block.shape[1] < 2:
            return
        # Wild samples would outweigh the rest, and their squares overflow.
        clipped = np.clip(np.nan_to_num(block), -1.0, 1.0)
        sums = clipped.sum(axis=0, dtype=np.float64)
        products = (clipped.T @ clipped).astype(np.float64)
        if self._sums is None or self._products is None:
            self._sums, self._products = sums, products
        elif len(self._sums) == len(sums):
            self._sums += sums
            self._products += products
        else:  # a chained file whose parts differ: the first part decides
            return
        self._frames += len(block)

    def turned(self) -> FloatArray | None:
        """Weights that turn channels round which would cancel the others out; None where none do."""
        if self._sums is None or self._products is None or not self._frames:
            return None
        means = self._sums / self._frames
        spread = self._products / self._frames - np.outer(means, means)
        loudest = int(np.argmax(np.diag(spread)))
        signs = np.where(spread[loudest] < 0, -1.0, 1.0)
        if (signs > 0).all() or spread.sum() > _CANCELS * float(signs @ spread @ signs):
            return None
        return (signs / len(signs)).astype(np.float32)


def shrink(samples: FloatArray, rate: int, target: int) -> FloatArray:
    """Bring samples from one rate in Hz to another; themselves where the two are the same."""
    if rate == target:
        return samples
    import soxr

    stream = soxr.ResampleStream(rate, target, 1, dtype="float32")
    size = 1 << 20
    parts = [
        np.asarray(stream.resample_chunk(samples[start : start + size], last=start + size >= len(samples)), np.float32)
        for start in range(0, len(samples), size)
    ]
    return np.concatenate(parts)
