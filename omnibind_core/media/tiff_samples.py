"""TIFF of any depth: Pillow unpacks the bytes, whatever packs them, and the samples are told from their bits here."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.media import limits
from omnibind_core.media.pixels import fractions
from omnibind_core.media.tiff import Directory, Tag

__all__ = ["by_samples"]

_PACKED = (1, 5, 8, 32946, 32773, 34925, 50000)  # none, LZW, Deflate twice, PackBits, LZMA, Zstandard: bytes are bytes
_DIFFERENCES, _FLOATING = 2, 3  # predictors
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_INK = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4}  # photometric -> samples that make a colour
_WHITE_IS_ZERO, _INDEXED, _CMYK = 0, 3, 5
_CHUNK = 64  # rows whose bits are taken apart at a time
_MOST_BYTES = 3 * limits.MAX_PIXELS


def by_samples(data: bytes, found: Directory) -> PIL.Image.Image | None:
    """Read the first page of a file.

    Parameters
    ----------
    data : bytes
        The file, whole.
    found : Directory
        Its first directory, the size checked.

    Returns
    -------
    PIL.Image.Image or None
        L, LA, RGB, RGBA, CMYK, or F for what has a range of its own; None of a kind that this does not read, or
        that has more than 3 bytes a pixel of the largest picture.

    Raises
    ------
    OSError, ValueError
        Parts of it are missing or damaged.
    """
    width, height = found.size
    count, bits, form = found.one(Tag.SAMPLES, 1), found.one(Tag.BITS, 1), found.one(Tag.FORM, _UNSIGNED)
    ink = _INK.get(found.one(Tag.PHOTOMETRIC, 1), 0)
    known = bits in (16, 32, 64) if form == _FLOAT else 1 <= bits <= 32 and form in (_UNSIGNED, _SIGNED)
    same = set(found.values.get(Tag.BITS, (1,))) == {bits}
    if not ink or ink > count or not known or not same or found.one(Tag.COMPRESSION, 1) not in _PACKED:
        return None
    if width * height * count * max(bits, 8) > 8 * _MOST_BYTES:
        return None
    planes = count if found.one(Tag.PLANES, 1) == 2 else 1
    inside = count // planes
    read = [_plane(data, found, plane, planes, inside, bits, form) for plane in range(planes)]
    return _picture(read[0] if planes == 1 else np.concatenate(read, axis=2), found, ink)


def _plane(data: bytes, found: Directory, plane: int, planes: int, count: int, bits: int, form: int) -> NDArray[Any]:
    """Read the samples of one plane, or of all that lie beside one another: (h, w, count)."""
    width, height = found.size
    tiled = Tag.TILE_WIDTH in found.values
    # Tiles may be called strips.
    own = (Tag.TILES, Tag.TILE_SIZES) if Tag.TILES in found.values else (Tag.STRIPS, Tag.SIZES)
    starts, sizes = (found.values.get(tag, ()) for tag in own)
    each = len(starts) // planes
    starts, sizes = (values[plane * each : (plane + 1) * each] for values in (starts, sizes))
    if not tiled:
        row = (width * count * bits + 7) // 8
        raw = _bytes(data, found, row, height, starts, sizes, found.one(Tag.ROWS, height))
        return _samples(raw, found, width, count, bits, form)
    across, down = found.one(Tag.TILE_WIDTH, 0), found.one(Tag.TILE_HEIGHT, 0)
    if not across or not down or across * down > limits.MAX_PIXELS:
        raise ValueError("tiles without a size")
    columns, rows = -(-width // across), -(-height // down)
    if columns * rows > each:
        raise ValueError("fewer tiles than the picture takes")
    row = (across * count * bits + 7) // 8
    out: NDArray[Any] | None = None
    for number in range(columns * rows):  # one tile is a picture as high as itself
        raw = _bytes(data, found, row, down, starts[number : number + 1], sizes[number : number + 1], down)
        tile = _samples(raw, found, across, count, bits, form)
        if out is None:
            out = np.zeros((rows * down, columns * across, count), tile.dtype)
        top, left = down * (number // columns), across * (number % columns)
        out[top : top + down, left : left + across] = tile
    if out is None:
        raise ValueError("no tiles")
    return out[:height, :width]


def _bytes(
    data: bytes, found: Directory, row: int, rows: int, starts: Any, sizes: Any, strip: int
) -> NDArray[np.uint8]:
    """Unpack strips: read as a picture of grey bytes, which whatever packs them does not notice: (rows, row)."""
    parts = [data[start : start + size] for start, size in zip(starts, sizes, strict=False)]  # either may be cut
    pack = found.one(Tag.COMPRESSION, 1)
    if pack == 1:
        body = b"".join(parts)
        if len(body) < row * rows:
            raise OSError("rows are missing")
        flat = np.frombuffer(body, np.uint8, row * rows).reshape(rows, row)
        return _mirrored(flat) if found.one(Tag.FILL, 1) == 2 else flat
    high = min(strip or rows, rows)
    entries = [
        (Tag.WIDTH, 4, [row]), (Tag.HEIGHT, 4, [rows]), (Tag.BITS, 3, [8]), (Tag.COMPRESSION, 3, [pack]),
        (Tag.PHOTOMETRIC, 3, [1]),
        (Tag.FILL, 3, [found.one(Tag.FILL, 1)]), (Tag.STRIPS, 4, []), (Tag.SAMPLES, 3, [1]), (Tag.ROWS, 4, [high]),
        (Tag.SIZES, 4, [len(part) for part in parts]),
    ]  # fmt: skip
    start = 8 + 2 + 12 * len(entries) + 4
    places = start + 8 * len(parts)
    entries[6] = (Tag.STRIPS, 4, list(places + np.cumsum([0, *map(len, parts)])[:-1]))
    table, far = b"", b""
    for tag, kind, values in entries:
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        table += struct.pack("<HHI", tag, kind, len(values))
        if len(packed) <= 4:
            table += packed.ljust(4, b"\0")
        else:
            table += struct.pack("<I", start + len(far))
            far += packed
    plain = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + far.ljust(8 * len(parts), b"\0")
    with PIL.Image.open(io.BytesIO(plain + b"".join(parts)), formats=["TIFF"]) as picture:
        return np.array(picture, np.uint8)


def _mirrored(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn the bits of each byte round."""
    return np.packbits(np.unpackbits(values, axis=1, bitorder="little"), axis=1)


def _samples(raw: NDArray[np.uint8], found: Directory, width: int, count: int, bits: int, form: int) -> NDArray[Any]:
    """Tell samples from their bytes: (h, row) -> (h, width, count)."""
    rows = len(raw)
    predictor = found.one(Tag.PREDICTOR, 1) if found.one(Tag.COMPRESSION, 1) not in (1, 32773) else 1
    if form == _FLOAT and predictor == _FLOATING:  # differences of bytes, the highest byte of all samples first
        step = raw[:, : width * count * bits // 8].reshape(rows, -1, count)
        step = np.cumsum(step, axis=1, dtype=np.uint8).reshape(rows, bits // 8, width * count)
        return np.ascontiguousarray(step.transpose(0, 2, 1)).view(f">f{bits // 8}").reshape(rows, width, count)
    if bits in (8, 16, 32, 64):
        letter = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}[form]
        used = np.ascontiguousarray(raw[:, : width * count * bits // 8])
        values: NDArray[Any] = used.view(f"{found.order}{letter}{bits // 8}").reshape(rows, width, count)
        if predictor == _DIFFERENCES and form != _FLOAT:
            values = np.cumsum(values, axis=1, dtype=values.dtype.newbyteorder("="))
        return values
    out: NDArray[Any] = np.empty((rows, width * count), "u1" if bits < 8 else "u2" if bits < 16 else "u4")
    for first, part in _pieces(raw):
        bit = np.unpackbits(part, axis=1)[:, : width * count * bits].reshape(len(part), width * count, bits)
        if bits == 24 and found.order == "<":
            bit = np.concatenate([bit[..., 16:], bit[..., 8:16], bit[..., :8]], axis=2)
        out[first : first + len(part)] = bit @ (1 << np.arange(bits - 1, -1, -1)).astype(out.dtype)
    if form == _SIGNED:
        return (out.astype(np.int64) - ((out >> (bits - 1)).astype(np.int64) << bits)).reshape(rows, width, count)
    return out.reshape(rows, width, count)


def _pieces(raw: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for first in range(0, len(raw), _CHUNK):
        yield first, raw[first : first + _CHUNK]


def _picture(samples: NDArray[Any], found: Directory, ink: int) -> PIL.Image.Image | None:
    """Bring samples to 8 bits, or to fractions of any range."""
    bits, photometric = found.one(Tag.BITS, 1), found.one(Tag.PHOTOMETRIC, 1)
    whole = samples.dtype.kind == "u"
    full = 2**bits - 1
    if photometric == _INDEXED:
        table = found.values.get(Tag.PALETTE, ())
        if not whole or len(table) != 3 * 2**bits:
            return None
        colours = (np.array(table).reshape(3, -1).T / 257).round().astype(np.uint8)
        return PIL.Image.fromarray(colours[samples[..., 0].astype(np.int64)])
    if not whole or (ink == 1 and bits > 24):  # measurements, of no agreed range
        values = samples[..., :ink].astype(np.float32)
        if photometric == _WHITE_IS_ZERO:
            values = (full if whole else 1.0 if samples.dtype.kind == "f" else 0.0) - values
        return PIL.Image.fromarray(values[..., 0] if ink == 1 else fractions(values))
    eight = np.empty(samples.shape, np.uint8)
    for first in range(0, len(samples), _CHUNK):
        eight[first : first + _CHUNK] = (samples[first : first + _CHUNK] * (255.0 / full)).round()
    if photometric == _WHITE_IS_ZERO:
        eight[..., 0] = 255 - eight[..., 0]
    if photometric == _CMYK:
        return PIL.Image.fromarray(np.ascontiguousarray(eight[..., :4]), "CMYK")
    alpha = samples.shape[2] > ink and found.one(Tag.EXTRA, 0) in (1, 2)
    eight = np.ascontiguousarray(eight[..., : ink + alpha])
    return PIL.Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight, {2: "LA"}.get(eight.shape[2]))
