"""How media cross the pipe to a decoding process: a JSON header and raw bytes, never pickle.

A frame is two lengths, a JSON object, and the bytes of its arrays one after another.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.types import Audio, Image, Media, PointCloud, Surface

__all__ = ["MAX_HEADER_BYTES", "Frame", "pack", "read_frame", "unpack", "write_frame"]

MAX_HEADER_BYTES = 1 << 20
_LENGTHS = struct.Struct("<IQ")
_DTYPES = {"uint8": np.uint8, "int32": np.int32, "float32": np.float32}

Frame = tuple[dict[str, Any], bytearray]


def write_frame(pipe: IO[bytes], header: dict[str, Any], parts: Sequence[bytes | NDArray[Any]]) -> None:
    """Send one frame; `parts` are contiguous buffers."""
    arrays = [np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part for part in parts]
    views = [array.data.cast("B") for array in arrays if array.nbytes]
    text = json.dumps(header).encode()
    pipe.write(_LENGTHS.pack(len(text), sum(view.nbytes for view in views)) + text)
    for view in views:
        pipe.write(view)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> Frame | None:
    """Receive one frame; None where the other side has closed the pipe, even half-way through."""
    lengths = _read(pipe, _LENGTHS.size)
    if lengths is None:
        return None
    header_bytes, body_bytes = _LENGTHS.unpack(lengths)
    header = _read(pipe, header_bytes) if header_bytes <= MAX_HEADER_BYTES else None
    body = None if header is None else _read(pipe, body_bytes)
    if header is None or body is None:
        return None
    return json.loads(header), body


def _read(pipe: IO[bytes], count: int) -> bytearray | None:
    """Exactly `count` bytes, or None at the end of the stream."""
    data = bytearray(count)
    view = memoryview(data)
    done = 0
    while done < count:
        got = pipe.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            return None
        done += got
    return data


def pack(media: Media) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Take a medium apart into a JSON object and the arrays that travel behind it."""
    arrays: list[NDArray[Any]]
    header: dict[str, Any]
    if isinstance(media, Image):
        header, arrays = {"type": "image"}, [media.rgb]
    elif isinstance(media, Audio):
        header, arrays = {"type": "audio", "rate": media.rate, "faithful": media.faithful}, [media.samples]
        if media.left is not None:
            arrays.append(media.left)
    elif isinstance(media, PointCloud):
        header, arrays = {"type": "point", "has_colour": media.has_colour, "textured": []}, [media.xyz, media.rgb]
        header["standing"] = list(media.standing)
        for surface in media.surfaces:
            arrays += [surface.vertices, surface.faces, surface.rgb]
            textured = surface.uv is not None and surface.texture is not None
            header["textured"].append([textured, *surface.wrap])
            if surface.uv is not None and surface.texture is not None:
                arrays += [surface.uv, surface.texture]
    else:
        raise TypeError(f"{type(media).__name__} does not cross the pipe")
    arrays = [np.ascontiguousarray(array) for array in arrays]
    header["notices"] = list(media.notices)
    header["arrays"] = [[array.dtype.name, array.shape] for array in arrays]
    return header, arrays


def unpack(header: dict[str, Any], body: bytearray) -> Media:
    """Put a medium together again; the arrays share `body`'s memory."""
    arrays = _arrays(header, body)
    notices = tuple(str(text) for text in header["notices"])
    if header["type"] == "image":
        return Image(next(arrays), notices)
    if header["type"] == "audio":
        return Audio(next(arrays), int(header["rate"]), notices, bool(header["faithful"]), next(arrays, None))
    xyz, rgb = next(arrays), next(arrays)
    surfaces = []
    for textured, across, along in header["textured"]:
        vertices, faces, colours = next(arrays), next(arrays), next(arrays)
        uv, texture = (next(arrays), next(arrays)) if textured else (None, None)
        surfaces.append(Surface(vertices, faces, colours, uv, texture, (across, along)))
    standing = tuple(float(share) for share in header["standing"])
    return PointCloud(xyz, rgb, tuple(surfaces), bool(header["has_colour"]), notices, standing)


def _arrays(header: dict[str, Any], body: bytearray) -> Iterator[NDArray[Any]]:
    offset = 0
    for dtype, shape in header["arrays"]:
        array: NDArray[Any] = np.ndarray(tuple(shape), _DTYPES[dtype], body, offset)
        offset += array.nbytes
        yield array
