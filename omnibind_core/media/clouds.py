"""Files of points: NumPy arrays and XYZ text."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media.shapes import Points, check_counts
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["from_array", "read_npy", "read_xyz"]


def from_array(array: NDArray[Any], name: str) -> Points:
    """Take (n, 3) coordinates, or (n, 6) with colours in 0..1 or 0..255, of any real type."""
    if array.ndim != 2 or array.shape[1] not in (3, 6) or array.dtype.kind not in "iuf":
        raise MediaError(
            f"{name} of shape {array.shape} and type {array.dtype}",
            "(n, 3) coordinates, or (n, 6) with colours, as numbers",
            "stack x, y, z and red, green, blue as columns",
        )
    check_counts(name, points=len(array))
    rgb = _colours(array[:, 3:]) if array.shape[1] == 6 else None
    return Points(array[:, :3].astype(np.float64), rgb)


def _colours(columns: NDArray[Any]) -> FloatArray | None:
    """Colours in 0..1; None where the columns are something else, such as normals, which go below 0."""
    if not len(columns) or not np.isfinite(columns).all() or columns.min() < 0 or columns.max() > 255:
        return None
    scale = 255.0 if columns.dtype.kind in "iu" or columns.max() > 1 else 1.0
    return (columns / scale).astype(np.float32)


def read_npy(blob: Blob) -> Points:
    """Read a plain array; pickled content is never loaded."""
    file = io.BytesIO(blob.data)
    npy: Any = np.lib.format  # not typed in numpy 1.26
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise undecodable(blob.name, "npy", f"version {version[0]}.{version[1]} of the format")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise MediaError(
            f"{blob.name}, which holds pickled Python objects (as the published dictionaries of xyz and rgb do)",
            "a plain array of (n, 3) or (n, 6) numbers, since a pickle may run code",
            "save numpy.hstack([xyz, rgb]) instead",
        )
    if len(shape) != 2 or shape[1] not in (3, 6) or dtype.kind not in "iuf":
        return from_array(np.lib.stride_tricks.as_strided(np.zeros(1, dtype), shape, [0] * len(shape)), blob.name)
    check_counts(blob.name, points=shape[0])
    start, size = file.tell(), dtype.itemsize * shape[0] * shape[1]
    if len(blob.data) - start < size:
        raise undecodable(blob.name, "npy", f"{len(blob.data) - start:,} of {size:,} bytes of data")
    array: NDArray[Any] = np.ndarray(shape, dtype, blob.data, start, order="F" if fortran else "C")
    return from_array(array.astype(dtype.newbyteorder("=")), blob.name)


def read_xyz(blob: Blob) -> Points:
    """Read lines of x y z, optionally followed by red green blue; split by blanks, tabs, commas or semicolons."""
    text = blob.data.decode("utf-8-sig")
    check_counts(blob.name, points=text.count("\n"))
    for separator in ",;\t":
        text = text.replace(separator, " ")
    rows = np.loadtxt(io.StringIO(text), dtype=np.float64, comments=("#", "//"), ndmin=2)
    if rows.shape[1] < 3:
        raise MediaError(
            f"{blob.name} with {rows.shape[1]} columns", "x y z, or x y z red green blue", "export the points again"
        )
    rgb = _colours(rows[:, 3:6]) if rows.shape[1] >= 6 else None
    return Points(rows[:, :3], rgb)
