"""The bitstream of EXT_meshopt_compression and KHR_meshopt_compression, by which packers of glTF shrink buffer views.

Written after the extensions' own text; no library that is kept has it for every Python that we run on. What can be done
for all rows at once is left to numpy: only where each group of 16 begins, and the indices of triangles, are walked.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_BYTES", "decoded"]

MOST_BYTES = 128_000_000
"""What all views of a file may hold together when unpacked: one byte of it may stand for a thousand."""

_GROUP = 16
_BLOCK, _BLOCK_BYTES = 256, 8_192  # rows at the most
_PLAIN = 8  # bits of a byte that is stored as it is
_WIDTHS = ((0, 2, 4, 8), (0, 1, 2, 4), (1, 2, 4, 8))  # version 0; version 1 under its controls 0 and 1
_SKIPPED, _COPIED = 2, 3  # other controls of version 1
_BYTES, _SHORTS, _TURNED = 0, 1, 2  # channels: what differences are taken of
_LEAST_TAIL = {0: 32, 1: 24}
_WORD = 0xFFFFFFFF
_EDGES, _VERTICES = 16, 16  # that are remembered
_AUXILIARY = 16
_SOME = 1 << 16  # groups that are unpacked at once


def decoded(data: bytes, count: int, stride: int, mode: str, kind: str) -> bytes:
    """Unpack one buffer view.

    Parameters
    ----------
    data : bytes
        What the extension points at.
    count, stride : int
        Rows, and bytes of a row.
    mode : str
        "ATTRIBUTES", "TRIANGLES" or "INDICES".
    kind : str
        The filter: "NONE", "EXPONENTIAL", "QUATERNION" or "COLOR". "OCTAHEDRAL" is for normals, which nothing here
        looks at: rows stay as they are stored.

    Returns
    -------
    bytes
        `count` times `stride` of them.

    Raises
    ------
    ValueError
        It is none of these, or damaged.
    """
    if count * stride > MOST_BYTES:
        raise ValueError(f"a view of {count:,} rows of {stride} bytes behind meshopt")
    if not count:
        return b""
    try:
        if mode == "ATTRIBUTES":
            return _filtered(_rows(data, count, stride), kind).tobytes()
        if mode not in ("TRIANGLES", "INDICES") or stride not in (2, 4) or not data:
            raise ValueError(f"meshopt's mode {mode!r:.20} with rows of {stride} bytes")
        indices = _triangles(data, count) if mode == "TRIANGLES" else _sequence(data, count)
    except IndexError:
        raise ValueError("meshopt's data end too early") from None
    return (np.array(indices, np.int64) & _WORD).astype(f"<u{stride}").tobytes()


def _rows(data: bytes, count: int, stride: int) -> NDArray[np.uint8]:
    """Undo the packing of attributes: (count, stride)."""
    version = data[0] & 15 if data else -1
    if version not in _LEAST_TAIL or data[0] >> 4 != 10 or stride % 4 or not 4 <= stride <= 256:
        raise ValueError(f"meshopt's attributes of {stride} bytes, version {version}")
    tail = stride + (stride // 4 if version else 0)
    body = len(data) - max(tail, _LEAST_TAIL[version])
    if body < 1:
        raise ValueError("meshopt's data end too early")
    differences = _differences(data, body, count, stride, version)
    first = np.frombuffer(data, np.uint8, stride, len(data) - tail)
    channels = data[len(data) - stride // 4 :] if version else bytes(stride // 4)
    rows = np.empty((count, stride), np.uint8)
    for word, channel in enumerate(channels):
        here = slice(4 * word, 4 * word + 4)
        packed = np.ascontiguousarray(differences[here, :count].T)
        start = np.ascontiguousarray(first[here])
        if channel & 3 == _TURNED:
            turn = np.uint32(channel >> 4)
            bits = packed.view("<u4")[:, 0]
            if turn:
                bits = bits >> turn | bits << (np.uint32(32) - turn)
            summed = np.bitwise_xor.accumulate(np.concatenate([start.view("<u4"), bits]))[1:, None].astype("<u4")
        elif channel & 3 in (_BYTES, _SHORTS):
            dtype = np.dtype("u1" if channel & 3 == _BYTES else "<u2")
            one = packed.view(dtype)
            signed = one >> dtype.type(1) ^ (np.zeros(1, dtype) - (one & dtype.type(1)))  # 0, -1, 1, -2 and so on
            summed = (np.cumsum(signed, axis=0, dtype=dtype) + start.view(dtype)).astype(dtype)
        else:
            raise ValueError("an unknown channel of meshopt")
        rows[:, here] = np.ascontiguousarray(summed).view(np.uint8)
    return rows


def _differences(data: bytes, body: int, count: int, stride: int, version: int) -> NDArray[np.uint8]:
    """Differences from row to row, byte by byte: (stride, count or some more)."""
    most = min(_BLOCK_BYTES // stride & ~15, _BLOCK)
    whole = np.frombuffer(data, np.uint8)
    out = np.zeros((stride, -(-count // _GROUP) * _GROUP), np.uint8)
    grouped = out.reshape(-1, _GROUP)
    # Of each width in bits: where its groups begin in the data, and where they go.
    found = {bits: (array("q"), array("q")) for bits in (1, 2, 4, _PLAIN)}
    escapes = {bits: _escapes(whole, bits) for bits in (1, 2, 4)}
    at = 1
    for start in range(0, count, most):
        rows = min(most, count - start)
        groups = -(-rows // _GROUP)
        head = -(-groups // 4)
        controls = at
        at += stride // 4 if version else 0
        for byte in range(stride):
            control = data[controls + (byte >> 2)] >> 2 * (byte & 3) & 3 if version else 0
            if control == _SKIPPED:
                continue
            place = (byte * out.shape[1] + start) // _GROUP
            if control == _COPIED:
                if at + rows > body:
                    raise ValueError("meshopt's data end too early")
                out[byte, start : start + rows] = whole[at : at + rows]
                at += rows
                continue
            widths = _WIDTHS[control + 1 if version else 0]
            modes = int.from_bytes(data[at : at + head], "little")
            at += head
            if not modes and not widths[0]:
                continue
            for group in range(groups):
                bits = widths[modes >> 2 * group & 3]
                if not bits:
                    continue
                starts, places = found[bits]
                starts.append(at)
                places.append(place + group)
                if bits == _PLAIN:
                    at += _GROUP
                else:
                    counts = escapes[bits]
                    end = at + 2 * bits
                    at = end + counts[end] - counts[at]
            if at > body:
                raise ValueError("meshopt's data end too early")
    if at != body:
        raise ValueError("meshopt's data do not end where they should")
    for bits, (starts, places) in found.items():
        for first in range(0, len(starts), _SOME):
            some = slice(first, first + _SOME)
            grouped[np.array(places[some])] = _unpacked(whole, np.array(starts[some]), bits)
    return out


def _escapes(data: NDArray[np.uint8], bits: int) -> memoryview:
    """How many fields of a width are all ones in the bytes before each: these stand for a byte that follows."""
    fields = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).reshape(256, -1, bits)
    table = fields.all(axis=2).sum(axis=1)
    return memoryview(np.concatenate([[0], np.cumsum(table[data])]).astype(np.int32))


def _unpacked(data: NDArray[np.uint8], starts: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """Give groups of 16 bytes that are stored in fewer bits: (n, 16)."""
    if bits == _PLAIN:
        return data[starts[:, None] + np.arange(_GROUP)]
    packed = data[starts[:, None] + np.arange(2 * bits)]
    ones = np.unpackbits(packed, axis=1, bitorder="little" if bits == 1 else "big").reshape(-1, _GROUP, bits)
    values: NDArray[np.uint8] = (ones << np.arange(bits - 1, -1, -1, dtype=np.uint8)).sum(axis=2, dtype=np.uint8)
    row, column = np.nonzero(values == (1 << bits) - 1)
    order = np.arange(len(row)) - np.searchsorted(row, row)
    values[row, column] = data[starts[row] + 2 * bits + order]
    return values


def _filtered(rows: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    """Undo what was done to the rows before they were packed."""
    stride = rows.shape[1]
    if kind == "EXPONENTIAL":
        words = rows.view("<i4")
        with np.errstate(over="ignore"):
            floats: NDArray[Any] = np.ldexp((words << 8 >> 8).astype(np.float64), words >> 24).astype("<f4")
        return floats
    if kind == "QUATERNION" and stride == 8:
        stored = rows.view("<i2").astype(np.int64)
        three = stored[:, :3] * (np.sqrt(0.5) / (stored[:, 3:] | 3))
        fourth = np.sqrt(np.maximum(0.0, 1.0 - np.square(three).sum(axis=1)))
        turned = np.column_stack([fourth, three])  # the largest first, wherever it stood
        columns = (np.arange(4) - (stored[:, 3:] & 3)) % 4
        unit: NDArray[Any] = np.rint(32_767 * np.take_along_axis(turned, columns, axis=1)).astype("<i2")
        return unit
    if kind == "COLOR" and stride in (4, 8):
        unsigned = rows.view(f"<u{stride // 4}").astype(np.int64)
        signed = rows.view(f"<i{stride // 4}").astype(np.int64)
        bright, orange, green, alpha = unsigned[:, 0], signed[:, 1], signed[:, 2], unsigned[:, 3]
        full = (1 << np.frexp(np.maximum(alpha, 1))[1].astype(np.int64)) - 1  # of as many bits as alpha has
        alpha = alpha & full >> 1
        rgb = bright + orange - green, bright + green, bright - orange - green
        most = (1 << 2 * stride) - 1
        scaled = np.column_stack([*rgb, alpha * 2 | alpha & 1]) * (most / full)[:, None]
        colours: NDArray[Any] = np.clip(np.rint(scaled), 0, most).astype(f"<u{stride // 4}")
        return colours
    if kind not in ("NONE", "OCTAHEDRAL"):
        raise ValueError(f"meshopt's filter {kind!r:.20} over rows of {stride} bytes")
    return rows


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a number in as many bytes as it needs, seven bits each, and tell where the next one begins."""
    value = shift = 0
    while shift < 35:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("a number of meshopt that does not end")


def _signed(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def _sequence(data: bytes, count: int) -> list[int]:
    """Read indices in any order: each as a difference from one of the last two."""
    if data[0] != 0xD1:
        raise ValueError(f"meshopt's indices begin with {data[0]:#x}")
    at, last, out = 1, [0, 0], []
    for _ in range(count):
        value, at = _number(data, at)
        last[value & 1] += _signed(value >> 1)
        out.append(last[value & 1])
    return out


def _triangles(data: bytes, count: int) -> list[int]:
    """Read indices of triangles: a byte for each tells which of the last edges and vertices it shares."""
    if data[0] not in (0xE0, 0xE1) or count % 3 or len(data) < 1 + count // 3 + _AUXILIARY:
        raise ValueError(f"meshopt's triangles, {count:,} indices behind {data[0]:#x}")
    near = 13 if data[0] & 1 else 15  # vertices that one code may name; version 1 gives the last two another meaning
    auxiliary = len(data) - _AUXILIARY
    at = 1 + count // 3
    new = last = 0
    edges = [(0, 0)] * _EDGES
    vertices = [0] * _VERTICES
    edge = vertex = 0  # where the next one goes
    out: list[int] = []

    for code in data[1:at]:
        high, low = code >> 4, code & 15
        if high < 15:
            a, b = edges[edge - 1 - high & 15]
            fresh = True
            if not low:
                c = new
                new += 1
            elif low < near:
                c, fresh = vertices[vertex - 1 - low & 15], False
            elif low == 15:
                value, at = _number(data, at)
                last += _signed(value)
                c = last
            else:  # one below or above the last
                last += 1 if low == 14 else -1
                c = last
            if fresh:
                vertices[vertex & 15] = c
                vertex += 1
            edges[edge & 15], edges[edge + 1 & 15] = (c, b), (a, c)
            edge += 2
        else:
            if low < 14:
                rest, far = data[auxiliary + low], 16  # no field is far
            else:
                rest, far = data[at], 15
                at += 1
                if not rest:
                    new = 0
            corners, fresh_ones = [], []
            for field in (0 if low < 15 else far, rest >> 4, rest & 15):
                if not field:
                    corner = new
                    new += 1
                elif field == far:
                    value, at = _number(data, at)
                    corner = last = last + _signed(value)
                else:
                    corner = vertices[vertex - field & 15]
                corners.append(corner)
                if field in (0, far):
                    fresh_ones.append(corner)
            for corner in fresh_ones:  # only now: the fields count back from before this triangle
                vertices[vertex & 15] = corner
                vertex += 1
            a, b, c = corners
            edges[edge & 15], edges[edge + 1 & 15], edges[edge + 2 & 15] = (b, a), (c, b), (a, c)
            edge += 3
        out += (a, b, c)
    return out
