"""What a file holds behind bytes that do not belong to it: zeros, lines of a download, a tag of another format."""

from __future__ import annotations

import re

from omnibind_core.media import ac3, mpeg

__all__ = ["AC3", "JPEG", "find", "without"]

JPEG = ("jpg", "jpeg", "jfif", "jpe", "pjpeg", "pjp", "mpo")
AC3 = ("ac3", "ec3", "eac3")
"""Extensions of one format each."""

_NEAR = 4_096  # bytes of junk that are skipped

# label for people, extensions, signature: longer than at a file's beginning, for chance finds short ones anywhere
_MARKS: tuple[tuple[str, tuple[str, ...], bytes], ...] = (
    ("JPEG", JPEG, rb"\xff\xd8\xff(?:\xe0..JFIF\0|\xe1..Exif\0|[\xdb\xe2\xed\xee\xfe]\0)"),
    ("PNG", ("png", "apng"), rb"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"),
    ("GIF", ("gif",), rb"GIF8[79]a"),
    ("WebP", ("webp",), rb"RIFF.{4}WEBPVP8"),
    ("WAV", ("wav",), rb"(?:RIFF|RF64).{4}WAVE[ -~]{4}"),
    ("FLAC", ("flac",), rb"fLaC[\0\x80]\0\0\x22"),
    ("Ogg", ("ogg", "oga", "opus"), rb"OggS\0\x02\0{8}"),
)
_ALL = re.compile(b"|".join(b"(%s)" % mark for _, _, mark in _MARKS), re.DOTALL)
_ZEROS = re.compile(rb"\0*")


def find(data: bytes) -> tuple[str, tuple[str, ...], int] | None:
    """Look for the first file within a file's beginning.

    Parameters
    ----------
    data : bytes
        A file, or its beginning. Zeros do not count towards what is searched.

    Returns
    -------
    (str, tuple of str, int) or None
        Its label, the extensions it may travel under, and where it begins.
    """
    marked = _marked(data)
    if marked is not None:
        return marked
    frames = mpeg.find(data)
    if frames is None:
        others = ac3.find(data)
        return None if others is None else ("AC-3", AC3, others[1])
    return ("MP3", mpeg.LAYERS, frames[1]) if frames[0] == "mp3" else ("AAC", ("aac",), frames[1])


def _marked(data: bytes) -> tuple[str, tuple[str, ...], int] | None:
    zeros = _ZEROS.match(data)
    start = zeros.end() if zeros else 0
    match = _ALL.search(data, start, start + _NEAR)
    if match is None:
        return None
    label, extensions, _ = _MARKS[(match.lastindex or 1) - 1]
    return label, extensions, match.start()


def without(data: bytes, extension: str) -> bytes:
    """Give a file from where its own format begins; as it is where that cannot be told."""
    if data.startswith(b"\xff\xd8\xff"):  # a JPEG, whichever segment comes first: marks behind are its thumbnail's
        return data
    found = _marked(data)
    return data[found[2] :] if found is not None and extension in found[1] else data
