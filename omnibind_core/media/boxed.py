"""AVIF and HEIC that their own decoders refuse, read by FFmpeg: alpha that breaks a rule, sequences without a still."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.media.frames import opened

__all__ = ["KINDS", "by_ffmpeg", "unread"]

KINDS = ("AVIF", "HEIF")
"""Names of Pillow's decoders."""

_DERIVED = (b"grid", b"iovl", b"iden", b"irot", b"imir")  # pictures made of others, or turned: FFmpeg gives raw parts
_AUXILIARY = b"auxC"
_ENTRY = re.compile(rb"infe[\2\3].{3}(?:.{2}|.{4}).{2}(unci|j2k1|jpeg|vvc1|evc1)", re.DOTALL)
_PACKINGS = {
    b"unci": "plain samples (unci)", b"j2k1": "JPEG 2000", b"jpeg": "JPEG", b"vvc1": "VVC", b"evc1": "EVC"
}  # fmt: skip


def unread(data: bytes) -> str:
    """Tell what a picture is packed by that neither decoder knows; empty where it is none of these."""
    found = _ENTRY.search(data)
    return "" if found is None else _PACKINGS[found[1]]


def by_ffmpeg(data: bytes, check: Callable[[int, int], None]) -> PIL.Image.Image | None:
    """Read the first picture of a file, with its alpha where it has one.

    Parameters
    ----------
    data : bytes
        The file.
    check : callable
        Takes width and height before anything is decoded; raises where they are too large.

    Returns
    -------
    PIL.Image.Image or None
        RGB or RGBA; None where FFmpeg cannot read it either, or would give a part of it.
    """
    if any(word in data for word in _DERIVED):
        return None
    import av

    try:
        with opened(data, "mov") as container:
            sizes = [(stream.width, stream.height) for stream in container.streams.video]
            if not sizes:
                return None
            check(*sizes[0])
            picture = PIL.Image.fromarray(_first(container, 0, "rgb24"))
            if sizes[1:] == sizes[:1] and _AUXILIARY in data:
                container.seek(0)
                picture.putalpha(PIL.Image.fromarray(_first(container, 1, "gray")))
            return picture
    except (av.error.FFmpegError, StopIteration):
        return None


def _first(container: Any, number: int, form: str) -> NDArray[np.uint8]:
    """Pixels of the first frame of a stream."""
    stream = container.streams.video[number]
    stream.thread_type = "NONE"
    return np.asarray(next(container.decode(stream)).to_ndarray(format=form), np.uint8)
