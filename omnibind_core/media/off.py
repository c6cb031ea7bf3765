"""OFF and its relatives: COFF, NOFF, STOFF and mixtures of them, with colours of vertices or faces."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.obj import decoded_text
from omnibind_core.media.polygons import triangles
from omnibind_core.media.shapes import Part, Points, check_counts
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.types import FloatArray

__all__ = ["read_off"]

_LEAST_THERE = 0.1  # of the faces of a file whose end is missing


def read_off(blob: Blob) -> Sequence[Part] | Points:
    """Read a mesh where there are faces, else points."""
    rows = [line.partition("#")[0] for line in decoded_text(blob).split("\n")]
    words = [row.split() for row in rows if row.strip()]
    if words and 2 <= len(words[0]) <= 3 and all(word.isdecimal() for word in words[0]):
        words.insert(0, ["OFF"])  # the word itself may be missing
    head = re.fullmatch(r"((?:ST|C|N|4)*)OFF(\d*)", words[0][0], re.IGNORECASE) if words else None
    if head is None:
        raise undecodable(blob.name, "off", "no OFF at its beginning")
    kind = head[1].upper()
    if any("BINARY" in row[1:2] for row in words[:1]):
        raise undecodable(blob.name, "off", "the binary form, which is not read")
    counts = [*([head[2]] if head[2] else []), *words[0][1:]]  # some programs glue the counts to the word
    body = words[1:]
    dimensions = 1 if "nOFF" in words[0][0] else 0  # a number of its own, in front of the counts
    while body and (len(counts) < 2 + dimensions or (len(counts) == 2 + dimensions and len(body[0]) == 1)):
        counts += body.pop(0)
    if dimensions and counts[:1] != ["3"]:
        raise undecodable(blob.name, "off", "a shape that is not of three dimensions")
    counts = counts[dimensions:]
    if len(counts) < 2 or not all(word.isdecimal() for word in counts[:2]):
        raise undecodable(blob.name, "off", "no counts of vertices and faces")
    vertices, faces = (int(word[:18]) for word in counts[:2])
    check_counts(blob.name, faces, vertices if faces else 0, 0 if faces else vertices)
    if not kind and not _in_rows(body, vertices, faces):  # all of it on one line, or a face on several
        body = _broken(counts[3:] + [word for row in body for word in row], vertices)
    if vertices + faces > len(body):
        there = len(body) - vertices - 1  # the last line may have been cut, too
        if there < _LEAST_THERE * faces:
            raise undecodable(
                blob.name, "off", f"{vertices:,} vertices and {faces:,} faces announced, fewer lines present"
            )
        note(f"{there:,} of {faces:,} faces are there: the rest of the file is missing")
        faces = there
    width = min((len(row) for row in body[:vertices]), default=0)
    if width < 3:
        raise undecodable(blob.name, "off", "a vertex of fewer than three numbers")
    try:
        table = np.array([word for row in body[:vertices] for word in row[:width]], np.float64).reshape(vertices, width)
    except ValueError:
        raise undecodable(blob.name, "off", "a coordinate that is not a number") from None
    if "4" in kind:
        table = np.column_stack([table[:, :3] / np.where(table[:, 3:4] == 0, 1, table[:, 3:4]), table[:, 4:]])
    xyz = table[:, :3]
    rgb = (
        _colours(table[:, 6:9] if "N" in kind and "C" in kind else table[:, 3:6])
        if "C" in kind or _looks_coloured(kind, table)
        else None
    )
    if not faces:
        return Points(xyz, rgb)
    sizes, corners, painted = _faces(blob, body[vertices : vertices + faces])
    places = triangles(sizes, corners, xyz, blob.name)
    triangle = corners[places]
    if rgb is None and painted is not None:
        if len(triangle) and (triangle.min() < 0 or triangle.max() >= len(xyz)):
            raise undecodable(blob.name, "off", f"faces that name vertices beyond its {len(xyz):,}")
        owner = np.repeat(np.arange(len(sizes)), np.maximum(sizes - 2, 0))
        apart = np.arange(3 * len(triangle)).reshape(-1, 3)
        return [Part(xyz[triangle.ravel()], apart, np.repeat(painted[owner], 3, axis=0))]
    return [Part(xyz, triangle, rgb)]


def _in_rows(body: Sequence[Sequence[str]], vertices: int, faces: int) -> bool:
    """Whether each vertex and each face has a line of its own, as nearly all programs write them."""
    if len(body) < 3:
        return vertices + faces <= len(body)
    rows = body[vertices : vertices + faces]
    return len(body) <= vertices + faces or all(row[0].isdecimal() and len(row) > int(row[0][:9]) for row in rows)


def _broken(numbers: Sequence[str], vertices: int) -> list[list[str]]:
    """Break the numbers of a plain OFF into its rows, wherever its lines end."""
    rows = [list(numbers[3 * i : 3 * i + 3]) for i in range(vertices)]
    at = 3 * vertices
    while at < len(numbers) and numbers[at].isdecimal():
        size = 1 + int(numbers[at][:9])
        rows.append(list(numbers[at : at + size]))
        at += size
    return rows


def _looks_coloured(kind: str, table: NDArray[np.float64]) -> bool:
    """Plain OFF with six or seven columns: colours without the C that should say so."""
    return "N" not in kind and "ST" not in kind and table.shape[1] in (6, 7)


def _colours(columns: NDArray[np.float64]) -> FloatArray | None:
    if columns.shape[1] < 3 or not len(columns) or not np.isfinite(columns).all():
        return None
    if columns.min() < 0 or columns.max() > 255:
        return None
    return (columns / (255.0 if columns.max() > 1.0 else 1.0)).astype(np.float32)


def _faces(blob: Blob, rows: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray | None]:
    """Corners of each face, and its colour, three or four numbers behind them: grey where only others have one."""
    counts: list[int] = []
    corners: list[int] = []
    colours: list[list[str]] = []
    try:
        for row in rows:
            count = int(row[0])
            if count < 0 or len(row) < 1 + count:
                raise undecodable(blob.name, "off", "a face that ends early")
            counts.append(count)
            corners += map(int, row[1 : 1 + count])
            colours.append(list(row[1 + count : 4 + count]))
        there = np.array([len(one) == 3 for one in colours], bool)
        painted = np.array([one for one in colours if len(one) == 3], np.float64).reshape(-1, 3)
    except ValueError:
        raise undecodable(blob.name, "off", "a face that is not of whole numbers") from None
    found = _colours(painted)
    rgb = None
    if found is not None:
        if all(word.isdecimal() for one in colours for word in one):
            found = (painted / 255.0).astype(np.float32)  # whole numbers are 0 to 255, also where all are 0 or 1
        rgb = np.full((len(there), 3), limits.GREY, np.float32)
        rgb[there] = found
    return np.array(counts, np.int64), np.array(corners, np.int64), rgb
