"""Sounds: from a file, bytes or samples to mono float32.

Lengths and rates are read from the header and checked before samples are decoded; what a header hides
(some formats do not say how long they are) is caught while decoding, which goes block by block.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.pool import decode as decode_apart
from omnibind_core.media.source import Blob, open_blob
from omnibind_core.types import Audio, FloatArray

__all__ = ["FORMATS", "AudioSource", "decode", "load_audio", "preload", "resample", "windows"]

AudioSource: TypeAlias = str | Path | bytes | tuple[int, NDArray[Any]] | Audio

_BLOCK = 1 << 18  # frames per read: 8 channels take 8 MB

Blocks: TypeAlias = Iterator[FloatArray]


def load_audio(source: AudioSource, extension: str | None = None) -> Audio:
    """Decode a sound.

    Parameters
    ----------
    source : str, Path, bytes, (rate, samples) or Audio
        Files and bytes: one of `FORMATS`, decoded in a process apart. Samples: (n,) or (n, channels), float with full
        scale 1, or any integer type with its own full scale. An Audio is checked and mixed like samples.
    extension : str, optional
        For bytes: the extension they came under; the content decides without it.

    Returns
    -------
    Audio
        The mean of the channels, at the sound's own rate up to `limits.KEEP_RATE`; scaled down where it exceeds 1.

    Raises
    ------
    MediaError
        Unreadable, damaged, of another format, silent, not finite, too long or too short, or of an odd rate.
    """
    if isinstance(source, Audio):
        return _from_samples(source.rate, source.samples)
    if isinstance(source, tuple):
        return _from_samples(*source)
    sound = decode_apart(open_blob(source, "audio", FORMATS, extension), "audio")
    if not isinstance(sound, Audio):
        raise TypeError(f"decoded a sound into {type(sound).__name__}")
    return sound


def resample(audio: Audio, rate: int) -> FloatArray:
    """Bring a sound to another rate.

    Parameters
    ----------
    audio : Audio
        Any length.
    rate : int
        Target in Hz.

    Returns
    -------
    ndarray, shape (n * rate / audio.rate, rounded), float32
        Resampled by soxr at its high quality; the samples themselves where the rate is the same.
    """
    if audio.rate == rate:
        return audio.samples
    import soxr

    out: FloatArray = soxr.resample(audio.samples, audio.rate, rate, quality="HQ").astype(np.float32, copy=False)
    return out


def windows(audio: Audio, seconds: float = 10.0) -> list[Audio]:
    """Cut a sound into the pieces whose mean embedding stands for it.

    Parameters
    ----------
    audio : Audio
        Any length.
    seconds : float
        Length of a piece; what the audio towers were trained on.

    Returns
    -------
    list of Audio
        The sound itself where it is not longer; else consecutive pieces, the last one ending where the sound ends.
    """
    size = round(seconds * audio.rate)
    count = len(audio.samples)
    if count <= size:
        return [audio]
    starts = [*range(0, count - size, size), count - size]
    return [Audio(audio.samples[start : start + size], audio.rate) for start in starts]


def decode(blob: Blob) -> Audio:
    """Decode a file's content in this process; raises MediaError, or whatever a decoder raises on damaged files."""
    return FORMATS[blob.extension](blob)


def preload() -> None:
    """Import the decoders ahead of the first file."""
    import soundfile  # noqa: F401
    import soxr  # noqa: F401


def _from_samples(rate: int, samples: NDArray[Any]) -> Audio:
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
    _check_header(name, int(rate), frames.shape[1], len(frames))
    if frames.dtype.kind in "iu":
        info = np.iinfo(frames.dtype)
        middle = (info.max + 1) // 2 if frames.dtype.kind == "u" else 0
        frames = ((frames.astype(np.float64) - middle) / (info.max - middle + 1)).astype(np.float32)
    return _collect(name, int(rate), [frames.astype(np.float32, copy=False)])


def _check_header(name: str, rate: int, channels: int, frames: int | None) -> None:
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
        raise MediaError(
            f"{name}, which lasts {frames / rate / 60:,.1f} minutes",
            f"at most {limits.MAX_SECONDS / 60:.0f} minutes",
            "cut out the part you mean",
        )
    if frames < limits.MIN_SECONDS * rate:
        raise MediaError(
            f"{name}, which lasts {frames / rate * 1000:,.1f} ms",
            f"at least {limits.MIN_SECONDS * 1000:.0f} ms",
            "use a longer one",
        )


def _collect(name: str, rate: int, blocks: Iterable[NDArray[np.float32]]) -> Audio:
    """Mix blocks of (n, channels) down, check the samples, and join them."""
    shrink = _Shrink(rate)
    mono: list[FloatArray] = []
    frames, peak = 0, 0.0
    for block in blocks:
        frames += len(block)
        if frames > limits.MAX_SECONDS * rate:
            _check_length(name, rate, frames)
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


def _read_soundfile(blob: Blob) -> Audio:
    """Read the formats of libsndfile."""
    import soundfile

    with soundfile.SoundFile(io.BytesIO(blob.data)) as sound:
        rate, channels = int(sound.samplerate), int(sound.channels)
        # A stream that does not tell its length says 2**63 - 1 instead.
        frames = int(sound.frames) if sound.frames < 1 << 62 else None
        _check_header(blob.name, rate, channels, frames)

        def blocks() -> Blocks:
            done = 0
            while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
                done += len(block)
                yield block
            if blob.extension in ("wav", "flac") and frames is not None and done < frames:
                raise _truncated(blob.name, done / rate, frames / rate)

        return _collect(blob.name, rate, blocks())


def _read_wav(blob: Blob) -> Audio:
    """Read WAV: libsndfile silently reads what is left of a truncated file, so look at the chunks first."""
    data, start = blob.data, 12
    bytes_per_second = 0
    while data[:4] == b"RIFF" and start + 8 <= len(data):
        kind, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        if kind == b"fmt ":
            bytes_per_second = int.from_bytes(data[start + 16 : start + 20], "little")
        if kind == b"data":
            left = len(data) - start - 8
            # Recorders that stream leave a size of 0 or of nearly 2**32 behind.
            if left < size < 0x7FFFF000 and bytes_per_second:
                raise _truncated(blob.name, left / bytes_per_second, size / bytes_per_second)
            break
        start += 8 + size + size % 2
    return _read_soundfile(blob)


def _truncated(name: str, got: float, promised: float) -> MediaError:
    return MediaError(
        f"{name}, which ends after {got:.2f} of its {promised:.2f} s", "a complete file", "copy or download it again"
    )


def _read_av(blob: Blob) -> Audio:
    """Read what browsers and phones record, with FFmpeg's decoders."""
    import av

    # The demuxer is named: others (playlists) would open files and addresses that the upload names.
    with av.open(io.BytesIO(blob.data), format="matroska" if blob.extension == "webm" else "mp4") as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise MediaError(f"{blob.name}, which holds no sound", "a file with a sound track", "choose another file")
        rate = int(stream.codec_context.sample_rate)
        promised = 0.0 if stream.duration is None else float(stream.duration * stream.time_base)
        _check_header(blob.name, rate, stream.codec_context.channels, int(promised * rate) or None)
        resampler = av.AudioResampler(format="fltp", rate=rate)

        def blocks() -> Blocks:
            done = 0
            for frame in itertools.chain(container.decode(stream), [None]):  # None: what the resampler still holds
                for part in resampler.resample(frame):
                    block = np.asarray(part.to_ndarray(), np.float32).T
                    done += len(block)
                    yield block
            if done < (promised - 0.5) * rate:
                raise _truncated(blob.name, done / rate, promised)

        return _collect(blob.name, rate, blocks())


# A sound format: one row. Extension -> what reads it.
FORMATS: dict[str, Callable[[Blob], Audio]] = {
    "wav": _read_wav,
    "flac": _read_soundfile,
    "ogg": _read_soundfile,
    "opus": _read_soundfile,
    "mp3": _read_soundfile,
    "m4a": _read_av,
    "mp4": _read_av,
    "webm": _read_av,
}
