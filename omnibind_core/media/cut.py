"""Pictures whose end is missing, of formats that decoders refuse unless they are whole: WebP, AVIF and HEIC.

The missing bytes are filled up, twice and differently. Rows that come out the same both times do not depend on what was
filled in: they are what is there. Measured on a photograph cut at 30 to 99 %, these are the rows of the whole picture
but for one at the edge; pictures of several tiles are there as far as all tiles are.
"""

from __future__ import annotations

import io

import numpy as np
import PIL.Image

from omnibind_core.media.notices import note

__all__ = ["KINDS", "filled", "what_is_there"]

KINDS = ("WEBP", "AVIF", "HEIF")
"""Names of Pillow's decoders."""

# Zeros and ones end no code early; of the others one may be no valid code.
_FILLINGS = (b"\0", b"\x55", b"\x80", b"\xff")
_MOST_MISSING = 9  # times what is there
_LEAST_THERE = 0.1


def filled(data: bytes, kind: str) -> list[bytes]:
    """Fill a file up to the length that its boxes or its header claim.

    Parameters
    ----------
    data : bytes
        The file as far as it is there.
    kind : str
        One of `KINDS`.

    Returns
    -------
    list of bytes
        The same file with different fillings; empty where nothing is missing, or nearly everything.
    """
    missing = _claimed(data, kind) - len(data)
    if not 0 < missing <= _MOST_MISSING * len(data):
        return []
    if kind == "WEBP" and data[12:16] == b"VP8 ":  # what is filled in may take more bytes than what was there
        missing += len(data) // 2 * 2
        body = len(data) + missing - 20
        data = data[:4] + (body + 12).to_bytes(4, "little") + data[8:16] + body.to_bytes(4, "little") + data[20:]
    return [data + filling * missing for filling in _FILLINGS]


def _claimed(data: bytes, kind: str) -> int:
    """Length of the whole file."""
    if kind == "WEBP":
        return 8 + int.from_bytes(data[4:8], "little")
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: up to the end, wherever that was
            return len(data)
        at += size
    return at


def what_is_there(data: bytes, kind: str, error: Exception) -> PIL.Image.Image:
    """Read the rows that are there; raises `error` where hardly any are.

    Parameters
    ----------
    data : bytes
        As for `filled`; the size of the picture is to be checked before.
    kind : str
        One of `KINDS`.
    error : Exception
        What the decoder said of the file as it is.
    """
    first: PIL.Image.Image | None = None
    same = None
    for whole in filled(data, kind):
        try:
            with PIL.Image.open(io.BytesIO(whole), formats=[kind]) as picture:
                picture.load()
                found = picture.copy()
        except (OSError, SyntaxError, EOFError, ValueError, RuntimeError):
            continue
        if first is None:
            first = found
            continue
        equal = (np.asarray(first) == np.asarray(found)).reshape(found.height, -1).all(axis=1)
        same = equal if same is None else same & equal
    if first is None or same is None:
        raise error
    rows = len(same) if same.all() else int(np.argmin(same))
    if rows < _LEAST_THERE * len(same):
        raise error
    if rows > 0.99 * len(same):
        note("the end of the file is missing: what is there is seen")
    else:
        note(f"{100 * rows / len(same):.0f} % of the picture are there: the rest of the file is missing")
    return first.crop((0, 0, first.width, rows))
