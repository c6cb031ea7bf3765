"""Sounds: from a file, bytes or samples to mono float32.

Lengths and rates are read from the header and checked before samples are decoded; what a header hides
(some formats do not say how long they are) is caught while decoding, which goes block by block.
"""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media.notices import noticing
from omnibind_core.media.pool import decode as decode_apart
from omnibind_core.media.samples import check_header, collect, from_samples
from omnibind_core.media.source import Blob, open_blob, undecodable
from omnibind_core.types import Audio, FloatArray

__all__ = ["FORMATS", "AudioSource", "decode", "load_audio", "preload", "resample", "windows"]

AudioSource: TypeAlias = str | Path | bytes | tuple[int, NDArray[Any]] | Audio

_BLOCK = 1 << 18  # frames per read: 8 channels take 8 MB

Blocks: TypeAlias = Iterator[FloatArray]


@noticing
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
        return from_samples(source.rate, source.samples)
    if isinstance(source, tuple):
        if len(source) != 2:
            raise MediaError(f"a tuple of {len(source)}", "(rate, samples)", "pass the rate and the samples")
        return from_samples(*source)
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


@noticing
def decode(blob: Blob) -> Audio:
    """Decode a file's content in this process; raises MediaError, or whatever a decoder raises on damaged files."""
    return FORMATS[blob.extension](blob)


def preload() -> None:
    """Import the decoders ahead of the first file."""
    import soundfile  # noqa: F401
    import soxr  # noqa: F401


def _read_soundfile(blob: Blob) -> Audio:
    """Read the formats of libsndfile."""
    import soundfile

    try:
        return _read_blocks(blob, soundfile)
    except soundfile.LibsndfileError as error:
        # "File does not exist or is not a regular file (possibly a pipe?)" is what it says about a damaged MP3.
        reason = "" if "regular file" in error.error_string else error.error_string
        raise undecodable(blob.name, blob.extension, reason) from error


def _read_blocks(blob: Blob, soundfile: Any) -> Audio:
    with soundfile.SoundFile(io.BytesIO(blob.data)) as sound:
        rate, channels = int(sound.samplerate), int(sound.channels)
        frames = int(sound.frames)
        if frames > 1 << 62:  # a FLAC that was streamed does not know its length, which soundfile cannot read
            return _read_av(blob)
        check_header(blob.name, rate, channels, frames)

        def blocks() -> Blocks:
            done = 0
            while len(block := sound.read(_BLOCK, dtype="float32", always_2d=True)):
                done += len(block)
                yield block
            if blob.extension in ("wav", "flac") and done < frames:
                raise _truncated(blob.name, done / rate, frames / rate)

        return collect(blob.name, rate, blocks())


def _read_wav(blob: Blob) -> Audio:
    """Read WAV, whose chunks we look at first: libsndfile silently reads what is left of a truncated file."""
    data, start = blob.data, 12
    bytes_per_second = 0
    while data[:4] == b"RIFF" and start + 8 <= len(data):
        kind, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        if kind == b"fmt ":
            _, channels, rate, bytes_per_second = struct.unpack_from("<HHII", data, start + 8)
            check_header(blob.name, rate, channels, None)
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
    demuxer = {"webm": "matroska", "flac": "flac"}.get(blob.extension, "mp4")
    with av.open(io.BytesIO(blob.data), format=demuxer) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise MediaError(f"{blob.name}, which holds no sound", "a file with a sound track", "choose another file")
        rate = int(stream.codec_context.sample_rate)
        promised = 0.0 if stream.duration is None else float(stream.duration * stream.time_base)
        check_header(blob.name, rate, stream.codec_context.channels, int(promised * rate) or None)
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

        return collect(blob.name, rate, blocks())


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
