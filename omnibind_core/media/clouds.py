"""Files of points: NumPy arrays and XYZ text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.obj import decoded_text
from omnibind_core.media.shapes import Points, check_counts
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["from_array", "read_npy", "read_xyz"]

_MOST_COLUMNS = 12
_LABELS = 16  # values of a column that names classes
_WRONG = 0.1  # of the words of a text that may be no numbers


def from_array(array: NDArray[Any], name: str) -> Points:
    """Take (n, 3) coordinates and what may stand behind them, of any real type.

    Behind x, y and z, columns of intensity, colours (0..1 or 0..255) and unit normals are told apart by their values:
    see :func:`_colour_columns`.
    """
    array = _as_rows(array)
    if array.ndim != 2 or not 3 <= array.shape[1] <= _MOST_COLUMNS or array.dtype.kind not in "iuf":
        raise MediaError(
            f"{name} of shape {array.shape} and type {array.dtype}",
            "(n, 3) coordinates, or (n, 6) with colours, as numbers",
            "stack x, y, z and red, green, blue as columns",
        )
    check_counts(name, points=len(array))
    return Points(array[:, :3].astype(np.float64), _colour_columns(array[:, 3:]))


def _as_rows(array: NDArray[Any]) -> NDArray[Any]:
    """Bring other usual layouts to rows of points: a batch of one, a depth camera's picture, columns as rows."""
    if array.ndim == 3 and array.shape[2] <= _MOST_COLUMNS:
        return array.reshape(-1, array.shape[2])
    if array.ndim == 2 and array.shape[0] in (3, 6) and array.shape[1] > _MOST_COLUMNS:
        note("a row of the file is a column of points: it is turned")
        return array.T
    return array


def _fields(dtype: np.dtype[Any]) -> list[str] | None:
    """Names of a table's columns, in the order x y z red green blue; None where there are no such columns."""
    known = {name.lower(): name for name in dtype.names or ()}
    for place in (("x", "y", "z"), ("xyz",), ("position",), ("positions",), ("point",), ("points",), ("pos",)):
        if set(place) <= set(known):
            for paint in (("red", "green", "blue"), ("r", "g", "b"), ("rgb",), ("color",), ("colors",)):
                if set(paint) <= set(known):
                    return [known[name] for name in (*place, *paint)]
            return [known[name] for name in place]
    return None


def _colour_columns(columns: NDArray[Any]) -> FloatArray | None:
    """Find red, green and blue among what stands behind x, y and z.

    Three columns are colours unless every row of them has length 1, which makes them normals; of more, a first one
    that is left over (four, seven: intensity) or a last one (alpha) stands aside. Of six, normals may come first.
    """
    width = columns.shape[1]
    if width == 4 and _apart(columns):  # intensity or a label behind red, green and blue
        return _colours(columns[:, :3])
    if width in (4, 7) and _opaque(columns[:, 3]) and not _opaque(columns[:, 0]):
        columns = np.delete(columns, 3, axis=1)
        width -= 1
    starts = {3: (0,), 4: (1, 0), 5: (2, 0), 6: (0, 3), 7: (1, 4, 0), 8: (2, 0), 9: (0, 3, 6)}.get(width, ())
    for start in starts:
        three = columns[:, start : start + 3]
        if not _normals(three) and (rgb := _colours(three)) is not None:
            return rgb
    return None


def _apart(columns: NDArray[Any]) -> bool:
    """Whether of four columns the last one stands aside: fractions behind whole numbers, or a handful of labels."""
    good = columns[np.isfinite(columns).all(axis=1)]
    if len(good) < 2 or (good[:, :3] != np.round(good[:, :3])).any() or good[:, :3].min() < 0:
        return False
    if good[:, :3].max() > 255 or good[:, :3].max() <= 1:
        return False
    last = good[:, 3]
    if (last != np.round(last)).any():
        return True
    return len(np.unique(last)) <= _LABELS < len(np.unique(good[:, 0])) or int(last.max()) < _LABELS


def _opaque(column: NDArray[Any]) -> bool:
    """Whether a column behind three others is their alpha, which hides nothing."""
    return bool(len(column)) and float(column[0]) in (1.0, 255.0, 65_535.0) and bool((column == column[0]).all())


def _normals(columns: NDArray[Any]) -> bool:
    """Whether nearly every row has length 1, as normals do and colours do not."""
    if not len(columns):
        return False
    rows = np.linalg.norm(columns[np.isfinite(columns).all(axis=1)].astype(np.float64), axis=1)
    return bool(len(rows) and (np.abs(rows - 1.0) < 0.02).mean() > 0.98)


def _colours(columns: NDArray[Any]) -> FloatArray | None:
    """Colours in 0..1; None where the columns are something else, such as normals, which go below 0."""
    good = columns[np.isfinite(columns).all(axis=1)]
    if not len(good) or good.min() < 0 or good.max() > 65_535:
        return None
    scale = 65_535.0 if good.max() > 255 else 255.0 if columns.dtype.kind in "iu" or good.max() > 1 else 1.0
    return np.nan_to_num(columns / scale).astype(np.float32)


def read_npy(blob: Blob) -> Points:
    """Read a plain array; pickled content is never loaded."""
    file = io.BytesIO(blob.data)
    npy: Any = np.lib.format  # not typed in numpy 1.26
    version = npy.read_magic(file)
    if version == (3, 0):  # as 2.0, but for letters in the names of fields
        file = io.BytesIO(blob.data[:6] + b"\2\0" + blob.data[8:])
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
    if dtype.names and len(shape) == 1 and (names := _fields(dtype)) is not None:
        check_counts(blob.name, points=shape[0])
        if len(blob.data) - file.tell() < dtype.itemsize * shape[0]:
            raise undecodable(blob.name, "npy", "fewer rows than its header says")
        table: NDArray[Any] = np.ndarray(shape, dtype, blob.data, file.tell())
        columns = [np.asarray(table[name], np.float64).reshape(len(table), -1) for name in names]
        whole = all(dtype[name].base.kind in "iu" for name in names[-3:])
        joined = np.column_stack(columns)
        return Points(joined[:, :3], _colours(joined[:, 3:6].astype(np.int64) if whole else joined[:, 3:6]))
    if fortran and len(shape) == 3:
        raise undecodable(blob.name, "npy", "three axes in Fortran's order")
    if len(shape) == 3 and 3 <= shape[2] <= _MOST_COLUMNS:
        shape = (shape[0] * shape[1], shape[2])
    if len(shape) == 2 and shape[0] in (3, 6) and shape[1] > _MOST_COLUMNS and dtype.kind in "iuf":
        check_counts(blob.name, points=shape[1])
        size = dtype.itemsize * shape[0] * shape[1]
        if len(blob.data) - file.tell() >= size:
            turned: NDArray[Any] = np.ndarray(shape, dtype, blob.data, file.tell(), order="F" if fortran else "C")
            return from_array(turned.astype(dtype.newbyteorder("=")), blob.name)
    if len(shape) != 2 or not 3 <= shape[1] <= _MOST_COLUMNS or dtype.kind not in "iuf":
        return from_array(np.lib.stride_tricks.as_strided(np.zeros(1, dtype), shape, [0] * len(shape)), blob.name)
    check_counts(blob.name, points=shape[0])
    start, size = file.tell(), dtype.itemsize * shape[0] * shape[1]
    there = (len(blob.data) - start) // (dtype.itemsize * shape[1])
    if _WRONG * shape[0] <= there < shape[0] and not fortran:
        note(f"{there:,} of {shape[0]:,} points are there: the rest of the file is missing")
        shape, size = (there, shape[1]), dtype.itemsize * there * shape[1]
    if len(blob.data) - start < size:
        raise undecodable(blob.name, "npy", f"{len(blob.data) - start:,} of {size:,} bytes of data")
    array: NDArray[Any] = np.ndarray(shape, dtype, blob.data, start, order="F" if fortran else "C")
    return from_array(array.astype(dtype.newbyteorder("=")), blob.name)


def read_xyz(blob: Blob) -> Points:
    """Read lines of numbers: x y z, and what :func:`from_array` tells apart behind them.

    Split by blanks, tabs, commas or semicolons; a line that counts the points and one that names the columns may come
    first; commas may be decimal ones, where something else parts the numbers.
    """
    text = decoded_text(blob)
    check_counts(blob.name, points=text.count("\n"))
    if (grid := _grid(blob, text)) is not None:
        return grid
    filled = [line.strip() for line in text.split("\n") if line.strip()]
    lines = [line for line in filled if not line.startswith(("#", "//"))]
    if not lines:
        raise undecodable(blob.name, "xyz", "no line of numbers")
    part = _parting(lines)
    named: list[str] = []
    for line in filled[: filled.index(lines[0])]:  # the last line of words names the columns, a comment too
        named = [word.lower() for word in part(line.lstrip("#/"))]
    while lines and (words := part(lines[0])) and not all(numbers := [_is_number(word) for word in words]):
        if sum(numbers) >= 3:  # a name or an element in front of its place
            break
        named = [word.lower() for word in words]
        lines = lines[1:]
    if len(lines) > 1 and len(part(lines[0])) == 1 < len(part(lines[1])):  # a count of points
        lines = lines[1:]
    if not lines:
        raise undecodable(blob.name, "xyz", "no line of numbers")
    rows = [part(line) for line in lines]
    width = int(np.bincount([len(row) for row in rows]).argmax()) if rows else 0
    good = [row for row in rows if len(row) == width]
    if width < 3:
        raise MediaError(
            f"{blob.name} with {width} columns", "x y z, or x y z red green blue", "export the points again"
        )
    if len(good) < len(rows):
        note(f"{len(rows) - len(good):,} of {len(rows):,} lines are of another length and were left out")
    good, spelled = _without_hex(good)
    table = _table(blob, good)
    if spelled is not None:
        return Points(table[:, :3], spelled)
    width = table.shape[1]
    by_name = _named_columns(named, width)
    if by_name is not None:
        place, colour = by_name
        whole = next((named.index(name) for name in _WHOLE if name in named), None)
        if colour is None and whole is not None:
            return Points(table[:, place], _whole_colours(table[:, whole]))
        return Points(table[:, place], None if colour is None else _colours(table[:, colour]))
    if width > 3 and len(table) >= limits.MIN_POINTS and _counts_up(table[:, 0]):
        note("the first column numbers the points and was left out")
        table = table[:, 1:]
    table = table[:, :_MOST_COLUMNS]
    behind = table[:, 3:]
    if np.isfinite(behind).all() and (behind == np.round(behind)).all() and behind.max(initial=0) > 1:
        return Points(table[:, :3], _colour_columns(behind.astype(np.int64)))
    return from_array(table, blob.name)


def _without_hex(rows: list[list[str]]) -> tuple[list[list[str]], FloatArray | None]:
    """Part a column of colours such as #ff8000 or 0xff8000 from rows of one length: what is left, and rgb in 0..1."""
    column = next((i for i in range(3, min(len(rows[0]), _MOST_COLUMNS)) if _HEX.fullmatch(rows[0][i])), None)
    if column is None or not all(_HEX.fullmatch(row[column]) for row in rows):
        return rows, None
    digits = [row[column].lower().removeprefix("#").removeprefix("0x") for row in rows]
    # Of eight digits alpha comes last behind #, first behind 0x, as in CSS and in programs.
    six = [d if len(d) == 6 else d[:6] if row[column][0] == "#" else d[2:] for d, row in zip(digits, rows, strict=True)]
    rgb = np.frombuffer(bytes.fromhex("".join(six)), np.uint8).reshape(-1, 3) / 255.0
    return [row[:column] + row[column + 1 :] for row in rows], rgb.astype(np.float32)


_HEX = re.compile(r"(?:#|0[xX])(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


def _whole_colours(column: NDArray[np.float64]) -> FloatArray | None:
    """Colours in 0..1 that are one number each, as PCL has them: 0xrrggbb, or the fraction that has the same bits."""
    if not np.isfinite(column).all() or column.min() < 0 or column.max() >= 1 << 32:
        return None
    bits = column.astype("<u4") if (column == np.round(column)).all() else column.astype("<f4").view("<u4")
    return (np.column_stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255]) / 255.0).astype(np.float32)


def _table(blob: Blob, rows: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Numbers of rows of one length; columns of words (atoms, names) go, single words among numbers become nan."""
    flat = [word for row in rows for word in row]
    try:
        return np.array(flat, np.float64).reshape(len(rows), -1)
    except ValueError:
        pass
    flat = [word.translate(_EXPONENT) if word[:1] in "+-.0123456789" else word for word in flat]
    good = np.array([_is_number(word) for word in flat]).reshape(len(rows), -1)
    kept = good.mean(axis=0) > _WRONG
    if kept.sum() < 3 or (~good[:, kept]).mean() > _WRONG:
        raise undecodable(blob.name, "xyz", "a line that is not of numbers")
    values = [float(word) if right else np.nan for word, right in zip(flat, good.ravel(), strict=True)]
    return np.array(values, np.float64).reshape(len(rows), -1)[:, kept]


def _parting(lines: Sequence[str]) -> Callable[[str], list[str]]:
    """Find what parts the numbers of a line, by its first lines."""
    some = [line.strip() for line in lines[:50] if any(c.isdigit() for c in line)] or list(lines[:1])
    blanks = [line.translate(_BLANKS).split() for line in some]
    decimal = all(
        len(words) >= 3 and any(_DECIMAL.fullmatch(word) for word in words) and not any("." in word for word in words)
        for words in blanks[-10:]
    )
    if decimal:
        return lambda line: [word.replace(",", ".") for word in line.translate(_BLANKS).split() if word != ","]
    return lambda line: line.translate(_BLANKS).replace(",", " ").split()


_BLANKS = str.maketrans(";()[]{}|\"'", " " * 10)
_EXPONENT = str.maketrans("Dd", "ee")  # Fortran's
_DECIMAL = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")


def _is_number(word: str) -> bool:
    try:
        float(word.translate(_EXPONENT) if word[:1] in "+-.0123456789" else word)
    except ValueError:
        return False
    return True


def _counts_up(column: NDArray[np.float64]) -> bool:
    """Whether a column is 0, 1, 2 and so on, or 1, 2, 3."""
    return bool(column[0] in (0, 1) and (np.diff(column) == 1).all())


def _grid(blob: Blob, text: str) -> Points | None:
    """Read a grid of heights (ESRI ASCII): lines that name a number, then rows from the north."""
    found: dict[str, float] = {}
    at = 0
    while match := _ENTRY.match(text, at):
        found[match[1].lower()] = float(match[2].replace(",", "."))
        at = match.end()
    if not {"ncols", "nrows"} <= set(found):
        return None
    columns, rows = int(found["ncols"]), int(found["nrows"])
    check_counts(blob.name, points=columns * rows)
    heights = _table(blob, [text[at:].replace(",", ".").split()])[0]
    if len(heights) != columns * rows or not columns:
        raise undecodable(blob.name, "asc", f"{len(heights):,} of {columns * rows:,} heights")
    side = found.get("cellsize", 1.0)
    row, column = np.divmod(np.arange(len(heights)), columns)
    place = np.column_stack([column * side, -row * side, heights])
    return Points(place[heights != found.get("nodata_value", -9999.0)])


_ENTRY = re.compile(r"\s*([A-Za-z_]+)\s+([-+]?[\d.,]+(?:[eE][-+]?\d+)?)[ \t]*(?:\n|\Z)")


_PLACES = (("x", "y", "z"), ("//x", "y", "z"), ("px", "py", "pz"))
_WHOLE = ("rgb", "rgba", "color", "colour", "packed_rgb")
_PAINTS = (("r", "g", "b"), ("red", "green", "blue"), ("rf", "gf", "bf"))


def _named_columns(names: Sequence[str], width: int) -> tuple[list[int], list[int] | None] | None:
    """Columns of the coordinates and of the colours by a line that names them; None where it names no coordinates."""
    if len(names) != width:
        return None
    place = next(([names.index(one) for one in three] for three in _PLACES if set(three) <= set(names)), None)
    if place is None:
        return None
    return place, next(([names.index(one) for one in three] for three in _PAINTS if set(three) <= set(names)), None)
