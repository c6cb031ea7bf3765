"""Sounds: from a file, bytes or samples to mono float32.

Rates and channels are read from the header and checked before samples are decoded. Lengths are counted while decoding,
which goes block by block: some formats do not say how long they are, and some headers lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import ac3, amr, junk, mpeg, ogg, wav, webm
from omnibind_core.media.notices import noticing
from omnibind_core.media.pool import decode as decode_apart
from omnibind_core.media.samples import Stream, check_header, collect, from_samples, shrink
from omnibind_core.media.source import Blob, open_blob, undecodable
from omnibind_core.media.streams import by_ffmpeg, by_libsndfile, joined
from omnibind_core.types import Audio, FloatArray

__all__ = ["FORMATS", "AudioSource", "decode", "load_audio", "preload", "resample", "windows"]

AudioSource: TypeAlias = str | Path | bytes | tuple[int, NDArray[Any]] | Audio

Attempts: TypeAlias = list[Callable[[], Stream]]

_FAINT = 10 ** (-30 / 20)  # of the loudest window


@noticing
def load_audio(source: AudioSource, extension: str | None = None, faithful: bool = False) -> Audio:
    """Decode a sound.

    Parameters
    ----------
    source : str, Path, bytes, (rate, samples) or Audio
        Files and bytes: one of `FORMATS`, decoded in a process apart. Samples: (n,) or (n, channels), float with full
        scale 1, or any integer type with its own full scale. An Audio is checked and mixed like samples.
    extension : str, optional
        For bytes: the extension they came under; the content decides without it.
    faithful : bool
        Whether to leave the sound as it is. Otherwise channels in opposite phase are turned round before they are
        mixed, and a constant offset, single wild samples and long silence are taken out (`hearing.tidy`). Towers then
        do what their published code does, where that is deterministic: WavCaps hears the first 10 s, ImageBind the left
        channel (docs/presets.md).

    Returns
    -------
    Audio
        The mean of the channels, at the sound's own rate up to `limits.KEEP_RATE`; scaled down where it exceeds 1. Of a
        file whose end is missing, what is there. Notices say what was done.

    Raises
    ------
    MediaError
        Unreadable, damaged, of another format, silent, not finite, too long or too short, or of an odd rate.
    """
    if isinstance(source, Audio):
        again = from_samples(source.rate, source.samples, faithful or source.faithful)
        return replace(again, notices=source.notices, left=source.left)
    if isinstance(source, tuple):
        if len(source) != 2:
            raise MediaError(f"a tuple of {len(source)}", "(rate, samples)", "pass the rate and the samples")
        return from_samples(*source, faithful=faithful)
    sound = decode_apart(open_blob(source, "audio", FORMATS, extension), "audio", faithful=faithful)
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
    return shrink(audio.samples, audio.rate, rate)


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
        The sound itself where it is not longer; else consecutive pieces, the last one ending where the sound ends,
        without those that are fainter by 30 dB than the loudest: they would count as much as it does.
    """
    size = round(seconds * audio.rate)
    count = len(audio.samples)
    if count <= size:
        return [audio]
    starts = [*range(0, count - size, size), count - size]
    pieces = [audio.samples[start : start + size] for start in starts]
    levels = [float(np.sqrt(np.square(piece).mean())) for piece in pieces]
    return [
        Audio(piece, audio.rate) for piece, level in zip(pieces, levels, strict=True) if level >= _FAINT * max(levels)
    ]


@noticing
def decode(blob: Blob, faithful: bool = False) -> Audio:
    """Decode a file's content in this process; raises MediaError where nothing that reads its format can."""
    reason: Exception | None = None
    for attempt in FORMATS[blob.extension](blob):
        sound = _tried(blob.name, attempt, faithful)
        if isinstance(sound, Audio):
            return sound
        reason = reason or sound
    # "File does not exist or is not a regular file (possibly a pipe?)" is what libsndfile says about a damaged MP3.
    words = "" if reason is None or "regular file" in str(reason) else str(reason)
    raise undecodable(blob.name, blob.extension, words) from reason


def _tried(name: str, attempt: Callable[[], Stream], faithful: bool) -> Audio | Exception:
    """Give the sound, or why this way of reading it fails; raises what another way would not change."""
    try:
        return collect(name, attempt(), faithful)
    except (MediaError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything at all on damaged files
        return error


def preload() -> None:
    """Import the decoders ahead of the first file."""
    import soundfile  # noqa: F401
    import soxr  # noqa: F401


def _plain(demuxer: str, blob: Blob) -> Attempts:
    """Read what both libraries know."""
    data = junk.without(blob.data, blob.extension)
    return [partial(by_libsndfile, blob.name, data), partial(by_ffmpeg, blob.name, data, demuxer)]


def _by_ffmpeg(demuxer: str, blob: Blob, cut: bool = False) -> Attempts:
    """Read what browsers and phones record."""
    return [lambda: replace(by_ffmpeg(blob.name, blob.data, demuxer), cut=cut)]


def _webm(blob: Blob) -> Attempts:
    """Read what browsers record, who do not know its length before the end."""
    return _by_ffmpeg("matroska", blob, webm.is_cut(blob.data))


def _amr(blob: Blob) -> Attempts:
    """Read what telephones record."""
    return _by_ffmpeg("amr", blob, amr.is_cut(blob.data))


def _ac3(blob: Blob) -> Attempts:
    """Read AC-3 or Enhanced AC-3: the version that each frame states tells them apart, whatever the name says."""
    turned, at = ac3.find(blob.data) or (False, 0)
    data = ac3.swapped(blob.data[at:]) if turned else blob.data[at:]
    return _by_ffmpeg("eac3" if ac3.enhanced(data) else "ac3", replace(blob, data=data), ac3.is_cut(data))


def _raw(demuxer: str, blob: Blob) -> Attempts:
    """Read formats of plain samples, whose length their chunk tells."""
    if demuxer == "au" and blob.data[8:12] == bytes(4) and len(blob.data) > 64:  # a stream's: nobody knew the length
        blob = replace(blob, data=blob.data[:8] + b"\xff" * 4 + blob.data[12:])

    claims = {"aiff": _iff_claims, "au": _au_claims, "caf": _caf_claims, "w64": _w64_claims}[demuxer](blob.data)

    first = partial(by_libsndfile, blob.name, blob.data)  # it counts what is there
    second = partial(by_ffmpeg, blob.name, blob.data, demuxer)  # it counts what the header says, but of these two
    return [
        partial(_claiming, first, claims),
        partial(_claiming, second, claims if demuxer in ("caf", "w64") else 1.0),
    ]


def _claiming(attempt: Callable[[], Stream], claims: float) -> Stream:
    """Open a sound whose header speaks of so many times what its decoder counts."""
    stream = attempt()
    return replace(stream, promised=None if stream.promised is None else stream.promised * claims)


def _iff_claims(data: bytes) -> float:
    """How many times the samples that are there an AIFF, or a WAV of the other byte order, claims to hold."""
    start = 12
    while start + 8 <= len(data):
        size = int.from_bytes(data[start + 4 : start + 8], "big")
        if data[start : start + 4] in (b"SSND", b"data"):
            return max(size / max(len(data) - start - 8, 1), 1.0)
        start += 8 + size + size % 2
    return 1.0


def _au_claims(data: bytes) -> float:
    """How many times the samples that are there an AU claims to hold; 1 of a stream, whose length nobody knew."""
    order: Literal["big", "little"] = "big" if data[:1] == b"." else "little"
    start, size = (int.from_bytes(data[at : at + 4], order) for at in (4, 8))
    return 1.0 if size >= 0xFFFFFFFF else max(size / max(len(data) - start, 1), 1.0)


def _caf_claims(data: bytes) -> float:
    """How many times the samples that are there a CAF claims to hold, which both libraries overlook."""
    start = 8
    if data[36:40] == bytes(4):  # bytes of a packet: packed, and another chunk tells its length
        return 1.0
    while start + 16 <= len(data):
        size = int.from_bytes(data[start + 4 : start + 12], "big", signed=True)
        if data[start : start + 4] == b"data":
            return max(size / (len(data) - start - 12), 1.0)
        start += 12 + max(size, 0)
    return 1.0


def _w64_claims(data: bytes) -> float:
    """How many times the samples that are there a Wave64 claims to hold."""
    start = 40
    while start + 24 <= len(data):
        size = int.from_bytes(data[start + 16 : start + 24], "little")
        if data[start : start + 4] == b"data":
            return max((size - 24) / max(len(data) - start - 24, 1), 1.0)
        start += max(size + -size % 8, 24)
    return 1.0


def _aac(blob: Blob) -> Attempts:
    """Read bare AAC from its first frame on."""
    found = mpeg.find(blob.data)
    data = blob.data if found is None else blob.data[found[1] :]
    return _by_ffmpeg("aac", replace(blob, data=data), mpeg.is_cut(data))


def _wav(blob: Blob) -> Attempts:
    """Read WAV, whose chunks are looked at first."""
    waves = wav.mend(blob.data)
    if waves is None:
        claims = _iff_claims(blob.data) if blob.data.startswith(b"RIFX") else 1.0
        return [partial(_claiming, attempt, claims) for attempt in _plain("wav", blob)]
    check_header(blob.name, waves.rate, waves.channels, 0 if waves.empty else None)
    promised = 0.0 if waves.promised is None else waves.promised
    return [
        partial(by_libsndfile, blob.name, waves.data, promised),
        partial(by_ffmpeg, blob.name, waves.data, "wav", promised),
    ]


def _ogg(blob: Blob) -> Attempts:
    """Read Ogg, link by link."""
    data = ogg.mended(blob.data)
    parts = ogg.links(data)
    cut = data is not blob.data or not ogg.ends(parts[-1])

    def by_either() -> Stream:
        streams = []
        for part in parts:
            try:
                stream = by_libsndfile(blob.name, part)
                next(stream.blocks())
            except MediaError:
                raise
            except Exception:  # FLAC in Ogg, pictures beside the sound
                stream = by_ffmpeg(blob.name, part, "ogg")
            streams.append(stream)
        return replace(joined(blob.name, streams), cut=cut)

    return [by_either, partial(by_ffmpeg, blob.name, data, "ogg")]


def _mpeg(blob: Blob) -> Attempts:
    """Read MP3 from its first frame on, wherever that is."""
    found = mpeg.find(blob.data)
    parts = mpeg.links(blob.data if found is None else blob.data[found[1] :])
    # Without a count of frames in the first one, the length is a guess from the bit rate.
    promises = [None if b"Xing" in part[:64] or b"Info" in part[:64] else 0.0 for part in parts]

    cut = promises[-1] is not None and mpeg.is_cut(parts[-1])

    def first() -> Stream:
        streams = [by_libsndfile(blob.name, part, known) for part, known in zip(parts, promises, strict=True)]
        return replace(joined(blob.name, streams), cut=cut)

    return [first, *_by_ffmpeg("mp3", replace(blob, data=b"".join(parts)), cut)]


# A sound format: one row. Extension -> what reads it.
FORMATS: dict[str, Callable[[Blob], Attempts]] = {
    "wav": _wav,
    "flac": partial(_plain, "flac"),
    "ogg": _ogg,
    "oga": _ogg,
    "opus": _ogg,
    "mp3": _mpeg,
    "aac": _aac,
    "m4a": partial(_by_ffmpeg, "mp4"),
    "m4b": partial(_by_ffmpeg, "mp4"),
    "mp4": partial(_by_ffmpeg, "mp4"),
    "mov": partial(_by_ffmpeg, "mp4"),
    "3gp": partial(_by_ffmpeg, "mp4"),
    "webm": _webm,
    "weba": _webm,
    "mka": _webm,
    "amr": _amr,
    "aiff": partial(_raw, "aiff"),
    "aif": partial(_raw, "aiff"),
    "au": partial(_raw, "au"),
    "caf": partial(_raw, "caf"),
    "aifc": partial(_raw, "aiff"),
    "snd": partial(_raw, "au"),
    "w64": partial(_raw, "w64"),
    "m4r": partial(_by_ffmpeg, "mp4"),
    "m4v": partial(_by_ffmpeg, "mp4"),
    "mkv": _webm,
    "mp2": _mpeg,
    "mpga": _mpeg,
    "ac3": _ac3,
    "ec3": _ac3,
    "eac3": _ac3,
    "wma": partial(_by_ffmpeg, "asf"),
}
