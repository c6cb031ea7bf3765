"""Sounds by libsndfile, and by FFmpeg's decoders where that fails."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.frames import opened
from omnibind_core.media.notices import note
from omnibind_core.media.samples import Stream, check_header, shrink, too_long
from omnibind_core.types import FloatArray

__all__ = ["by_ffmpeg", "by_libsndfile", "joined"]

_BLOCK = 1 << 18  # frames per read: 8 channels take 8 MB
_DAMAGED = 1_000  # packets that may be damaged before it is given up

Blocks = Iterator[FloatArray]


def by_libsndfile(name: str, data: bytes, promised: float | None = None) -> Stream:
    """Open a sound with libsndfile.

    Parameters
    ----------
    name : str
        What messages call it.
    data : bytes
        The file.
    promised : float, optional
        Seconds that its header speaks of, where the caller knows better than libsndfile.

    Raises
    ------
    MediaError
        By the header: an odd rate, too many channels, too long.
    soundfile.LibsndfileError
        It cannot read the file; reading the blocks may raise it, too.
    """
    import soundfile

    with soundfile.SoundFile(io.BytesIO(data)) as sound:
        rate, channels, frames = int(sound.samplerate), int(sound.channels), int(sound.frames)
        unknown = frames > 1 << 62  # a FLAC that was streamed; soundfile cannot read it
        check_header(name, rate, channels, None)
        if unknown:
            raise soundfile.LibsndfileError(0, "no length: ")
        if frames > limits.MAX_SECONDS * rate and sound.seekable():
            # Some headers claim more than there is: only what is really there is too long.
            sound.seek(int(limits.MAX_SECONDS * rate))
            if len(sound.read(1)):
                raise too_long(name, frames / rate)

    def blocks() -> Blocks:
        done = 0
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            while True:
                try:
                    block: FloatArray = sound.read(_BLOCK, dtype="float32", always_2d=True)
                except soundfile.LibsndfileError:
                    if not done:
                        raise
                    break
                if not len(block):
                    break
                done += len(block)
                yield block

    return Stream(rate, blocks, frames / rate if promised is None else promised)


def by_ffmpeg(name: str, data: bytes, demuxer: str, promised: float | None = None) -> Stream:
    """Open a sound with FFmpeg's decoders; parameters as of `by_libsndfile`.

    Parameters
    ----------
    demuxer : str
        FFmpeg's name, as of `opened`.

    Raises
    ------
    MediaError
        By the header: an odd rate, too many channels; or it holds no sound.
    av.error.FFmpegError
        It cannot read the file; reading the blocks may raise it, too.
    """
    with opened(data, demuxer) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise MediaError(f"{name}, which holds no sound", "a file with a sound track", "choose another file")
        rate = int(stream.codec_context.sample_rate)
        check_header(name, rate, stream.codec_context.channels, None)
        if promised is None:
            promised = _promised(data, demuxer, stream, container)

    return Stream(rate, lambda: _ffmpeg_blocks(data, demuxer, rate), promised)


def _promised(data: bytes, demuxer: str, stream: Any, container: Any) -> float | None:
    """Seconds that the header speaks of; None where FFmpeg would guess them from the size."""
    if demuxer in ("mp3", "aac", "ac3", "eac3", "amr", "ogg"):
        return None
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if demuxer == "matroska" and b"\x44\x89" in data[:4_096] and container.duration:  # the element Duration
        return float(container.duration) / 1_000_000
    return None


def _ffmpeg_blocks(data: bytes, demuxer: str, rate: int) -> Blocks:
    import av

    done = damaged = lost = 0
    with opened(data, demuxer) as container:
        stream = container.streams.audio[0]
        resampler, form = None, None
        for packet in _packets(container, stream):
            try:
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                damaged += 1
                if damaged > _DAMAGED:
                    break
                continue
            lost = damaged if frames else lost  # what is damaged at the end is missing instead
            for frame in frames:
                if resampler is None or form != (frame.format.name, frame.layout.name, frame.sample_rate):
                    form = (frame.format.name, frame.layout.name, frame.sample_rate)
                    resampler = av.AudioResampler(format="fltp", rate=rate)
                for part in resampler.resample(frame):
                    done += part.samples
                    yield np.asarray(part.to_ndarray(), np.float32).T
        if resampler is not None:
            for part in resampler.resample(None):  # what it still holds
                done += part.samples
                yield np.asarray(part.to_ndarray(), np.float32).T
    if not done:
        raise ValueError("it holds no sound that can be decoded")
    if lost:
        note(f"{lost} damaged {'part' if lost == 1 else 'parts'} of the sound left out")


def _packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets of a stream, the empty one at the end included, as far as they can be read."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            packet = None
        if packet is None:
            return
        yield packet


def joined(name: str, streams: Sequence[Stream]) -> Stream:
    """Put the parts of a chained file one behind the other, at the first one's rate."""
    if len(streams) == 1:
        return streams[0]
    rate = streams[0].rate

    def blocks() -> Blocks:
        for stream in streams:
            if stream.rate == rate:
                yield from stream.blocks()
                continue
            mono, done = [], 0
            for block in stream.blocks():
                mono.append(block.mean(axis=1, dtype=np.float32))
                done += len(block)
                if done > limits.MAX_SECONDS * stream.rate:
                    raise too_long(name, stream.promised)
            yield shrink(np.concatenate(mono), stream.rate, rate)[:, None]

    promises = [stream.promised for stream in streams]
    known = [promise for promise in promises if promise is not None]
    return Stream(rate, blocks, sum(known) if len(known) == len(promises) else None, any(s.cut for s in streams))
