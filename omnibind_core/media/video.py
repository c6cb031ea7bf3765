"""A short film's pictures, evenly over its length; its sound is read as any other sound is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.frames import opened
from omnibind_core.media.notices import noticing
from omnibind_core.media.pool import decode as decode_apart
from omnibind_core.media.source import Blob, open_blob
from omnibind_core.types import Image

__all__ = ["FORMATS", "FRAMES", "decode", "is_film", "load_frames"]

FORMATS = {"mp4": "mov", "m4v": "mov", "mov": "mov", "3gp": "mov", "webm": "matroska", "mkv": "matroska"}
"""Extensions of films, and FFmpeg's name for what reads each."""

FRAMES = 6
"""Pictures that stand for a film."""

_SIDE = 640  # pixels of a picture's longer side: towers look at no more
_MOST_DECODED = 3_000  # frames of a film that cannot be wound forward


def is_film(source: object) -> bool:
    """Say whether a path has the extension of a film; it may still hold sound alone."""
    return isinstance(source, (str, Path)) and Path(source).suffix.lower().removeprefix(".") in FORMATS


def load_frames(source: str | Path | bytes, extension: str | None = None) -> tuple[Image, ...]:
    """Decode pictures out of a film.

    Parameters
    ----------
    source : str, Path or bytes
        One of `FORMATS`, decoded in a process apart.
    extension : str, optional
        For bytes: the extension they came under.

    Returns
    -------
    tuple of Image
        At most `FRAMES`, evenly over its length, the longer side at most 640 pixels.

    Raises
    ------
    MediaError
        Unreadable, damaged, of another format, or without pictures.
    """
    blob = open_blob(source, "audio", (*FORMATS, "m4a", "weba"), extension)
    strip = decode_apart(blob, "film")
    if not isinstance(strip, Image):
        raise TypeError(f"decoded a film into {type(strip).__name__}")
    # The process gives one picture: all frames of one size, one below the other.
    height, width, _ = strip.rgb.shape
    count = int(strip.notices[0])
    return tuple(Image(np.ascontiguousarray(rows)) for rows in strip.rgb.reshape(count, height // count, width, 3))


@noticing
def decode(blob: Blob) -> Image:
    """Decode frames in this process, one below the other; the first notice is their number.

    Raises MediaError, or whatever FFmpeg raises on damaged files.
    """
    frames = _frames(blob)
    if not frames:
        raise MediaError(f"{blob.name}, which holds no pictures", "a film with a picture track", "choose another file")
    return Image(np.concatenate(frames), (str(len(frames)),))


def _frames(blob: Blob) -> list[NDArray[np.uint8]]:
    demuxer = FORMATS.get(blob.extension, "mov" if blob.extension == "m4a" else "matroska")
    with opened(blob.data, demuxer) as container:
        # A cover is a picture track, too, of one frame: the film of a song is not its cover.
        stream = next((one for one in container.streams.video if not _is_cover(one)), None)
        if stream is None:
            return []
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > limits.MAX_PIXELS:
            allowed = f"at most {limits.MAX_PIXELS:,} pixels a frame"
            raise MediaError(f"{blob.name} with frames of {width} x {height}", allowed, "save it smaller")
        stream.thread_type = "NONE"
        seconds = _seconds(stream, container)
        return _wound(container, stream, seconds) or _walked(container, stream)


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(getattr(stream, "disposition", "")).lower() or stream.frames == 1


def _seconds(stream: Any, container: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1_000_000


def _wound(container: Any, stream: Any, seconds: float) -> list[NDArray[np.uint8]]:
    """Take the frame that is shown at each moment; empty where the film cannot be wound forward."""
    import av

    if not seconds:
        return []
    start = float((stream.start_time or 0) * stream.time_base)
    found: list[NDArray[np.uint8]] = []
    for number in range(FRAMES):
        moment = start + (number + 0.5) * seconds / FRAMES
        try:
            container.seek(int(moment / stream.time_base), stream=stream)
            frame = next((one for one in container.decode(stream) if one.time is None or one.time >= moment), None)
        except av.error.FFmpegError:
            continue
        if frame is not None:
            found.append(_small(frame))
    return found


def _walked(container: Any, stream: Any) -> list[NDArray[np.uint8]]:
    """Decode from the start and keep frames evenly: every second is dropped, each time there are too many."""
    import av

    kept: list[NDArray[np.uint8]] = []
    step = 1
    try:
        container.seek(0)
        for number, frame in enumerate(container.decode(stream)):
            if number >= _MOST_DECODED:
                break
            if number % step == 0:
                kept.append(_small(frame))
                if len(kept) > 2 * FRAMES:
                    kept, step = kept[::2], 2 * step
    except av.error.FFmpegError:
        pass  # the rest is damaged or missing: what is there is read
    chosen = np.linspace(0, len(kept) - 1, min(FRAMES, len(kept))).round().astype(int)
    return [kept[i] for i in chosen]


def _small(frame: Any) -> NDArray[np.uint8]:
    scale = min(1.0, _SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(scale * side)) for side in (frame.width, frame.height))
    rgb: NDArray[np.uint8] = frame.reformat(width, height, format="rgb24").to_ndarray()
    return rgb
