"""PLY, text and binary, as scanners, editors and splat trainers write it: elements in any order, lists of any length.

Read here instead of by trimesh, which stops at mixed polygons in binary files, loses colours beside texture
coordinates, and knows neither strips nor the other names of colours.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media import splats
from omnibind_core.media.notices import note
from omnibind_core.media.obj import NO_NUMBER, decoded_text
from omnibind_core.media.polygons import triangles
from omnibind_core.media.shapes import Doubles, Part, Points, check_counts
from omnibind_core.media.sniff import wide_encoding
from omnibind_core.media.source import Blob, undecodable
from omnibind_core.media.textures import companion_texture
from omnibind_core.types import FloatArray

__all__ = ["read_ply"]

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_COLOURS: tuple[tuple[str, str, str], ...] = (
    ("red", "green", "blue"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ("r", "g", "b"),
    ("vertex_red", "vertex_green", "vertex_blue"),
    ("ambient_red", "ambient_green", "ambient_blue"),
)
_COORDINATES: tuple[tuple[str, str], ...] = (
    ("s", "t"),
    ("u", "v"),
    ("texture_u", "texture_v"),
    ("texcoord_x", "texcoord_y"),
)
_CORNERS = ("vertex_indices", "vertex_index", "vertex_indexes")
_LATER = ("vertex", "face", "tristrips")  # elements that matter here
_LEAST_THERE = 0.1  # of the rows of a file whose end is missing
_INTEGERS = {"i1": 127.0, "u1": 255.0, "i2": 32_767.0, "u2": 65_535.0}


@dataclass
class _Property:
    """One property: its type, and for a list the type of its length."""

    name: str
    kind: str
    length: str = ""


@dataclass
class _Element:
    """One kind of rows: its properties in order, and what was read of them."""

    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    lists: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = field(default_factory=dict)
    """Of a list: lengths (rows,), and all values behind one another."""

    def kind(self, name: str) -> str:
        """Type of a property that is there."""
        return next(one.kind for one in self.properties if one.name == name)


def read_ply(blob: Blob) -> Sequence[Part] | Points:
    """Read a mesh where there are faces or strips, else points; of splats those that can be seen."""
    if wide_encoding(blob.data):
        blob = replace(blob, data=decoded_text(blob).encode("latin-1", "replace"))
    elements, order, comments, start = _header(blob)
    _check(blob, elements, order, start)
    if order == "a":
        _read_text(blob, elements, start)
    else:
        _read_binary(blob, elements, "<" if order == "l" else ">", start)
    table = {element.name: element for element in elements}
    vertex = table.get("vertex")
    if vertex is not None and "chunk" in table and set(vertex.columns) >= splats.PACKED:
        vertex.columns.update(splats.unpacked(vertex.columns, table["chunk"].columns))
    if vertex is None or not {"x", "y", "z"} <= set(vertex.columns):
        raise undecodable(blob.name, "ply", "no vertices with x, y and z")
    xyz = np.column_stack([vertex.columns[axis] for axis in "xyz"])
    counts, corners = _polygons(table)
    if not len(counts):
        return _points(vertex, xyz)
    places = triangles(counts, corners, xyz, blob.name)
    faces = corners[places]
    rgb = _colours(vertex)
    pictures = _pictures(comments)
    if pictures and "face" in table and (wedges := _wedges(table["face"], counts)) is not None:
        return _with_wedges(blob, xyz, rgb, counts, corners, places, wedges, table["face"], pictures)
    uv, texture = _texture(blob, vertex, pictures)
    painted = _colours(table["face"]) if rgb is None and "face" in table else None
    if painted is not None and len(painted) == len(counts):  # a colour of its own for each corner
        _check_range(blob, faces, len(xyz))
        owner = np.repeat(np.arange(len(counts)), np.maximum(counts - 2, 0))
        apart = np.arange(3 * len(faces)).reshape(-1, 3)
        return [Part(xyz[faces.ravel()], apart, np.repeat(painted[owner], 3, axis=0))]
    return [Part(xyz, faces, rgb if texture is None else None, uv, texture)]


def _check_range(blob: Blob, faces: NDArray[np.int64], count: int) -> None:
    if len(faces) and (faces.min() < 0 or faces.max() >= count):
        raise undecodable(blob.name, "ply", f"faces that name vertices beyond its {count:,}")


def _header(blob: Blob) -> tuple[list[_Element], str, list[str], int]:
    """Elements, "a", "l" or "b" for the form, comments, and where the rows begin."""
    end = re.search(rb"^[ \t]*end_header[ \t]*(?:\r\n|\n|\r|\Z)", blob.data[: 1 << 16], re.MULTILINE)
    if end is None:
        end = re.search(rb"\rend_header\r", blob.data[: 1 << 16])
    if end is None:
        raise undecodable(blob.name, "ply", "no end_header")
    elements: list[_Element] = []
    order, comments = "a", []
    for line in re.split(r"\r\n|\n|\r", blob.data[: end.start()].decode("latin-1")):
        words = line.split()
        if words[:1] in (["comment"], ["obj_info"]):
            comments.append(line.strip())
        elif words[:1] == ["format"] and len(words) > 1:
            order = {"ascii": "a", "binary_little_endian": "l", "binary_big_endian": "b"}.get(words[1], "")
            if not order:
                raise undecodable(blob.name, "ply", f"format {words[1]:.40}")
        elif words[:1] == ["element"] and len(words) == 3 and words[2].isdecimal():
            elements.append(_Element(words[1], int(words[2][:18])))
        elif words[:1] == ["property"] and elements:
            elements[-1].properties.append(_property(blob, words))
    return elements, order, comments, end.end()


def _property(blob: Blob, words: list[str]) -> _Property:
    if words[1:2] == ["list"] and len(words) == 5 and words[2] in _TYPES and words[3] in _TYPES:
        return _Property(words[4].lower(), _TYPES[words[3]], _TYPES[words[2]])
    if len(words) == 3 and words[1] in _TYPES:
        return _Property(words[2].lower(), _TYPES[words[1]])
    raise undecodable(blob.name, "ply", f"a property '{' '.join(words)[:60]}'")


def _check(blob: Blob, elements: Sequence[_Element], order: str, start: int) -> None:
    """Hold what the header announces against the limits and the file's size, before anything is allocated."""
    sizes = {element.name: element.count for element in elements}
    faces = sizes.get("face", 0)
    mesh = faces or sizes.get("tristrips", 0)
    vertices = sizes.get("vertex", 0)
    check_counts(blob.name, faces, vertices if mesh else 0, 0 if mesh else vertices)
    needed = 0
    for element in elements:
        if order == "a":
            row = max(1, 2 * len(element.properties))
        else:
            row = sum(np.dtype(one.length or one.kind).itemsize for one in element.properties)
        needed += element.count * row
    present = len(blob.data) - start
    if _LEAST_THERE * needed > present + (2 if order == "a" else 0):
        raise undecodable(blob.name, "ply", f"its header announces at least {needed:,} bytes, {present:,} follow")


def _shorten(blob: Blob, element: _Element, there: int) -> None:
    """Leave an element with the rows that are there, and say so; of a mesh, all vertices must be."""
    there = max(there, 0)
    if element.name in _LATER and there < _LEAST_THERE * element.count:
        raise undecodable(blob.name, "ply", f"{there:,} of {element.count:,} rows of '{element.name}'")
    if element.name in _LATER:
        note(f"{there:,} of {element.count:,} rows of '{element.name}' are there: the rest of the file is missing")
    element.count = there


def _read_text(blob: Blob, elements: Sequence[_Element], start: int) -> None:
    body = blob.data[start:].rstrip(b"\0")
    if b"nan(" in body or b"1.#" in body:
        body = NO_NUMBER.sub("nan", body.decode("latin-1")).encode("latin-1")
    if b"," in body and b"." not in body:  # decimal commas
        body = body.replace(b",", b".")
    lines = [line for line in re.split(rb"\r\n|\n|\r", body) if line.strip()]
    first = 0
    for element in elements:
        rows = lines[first : first + element.count]
        if len(rows) < element.count:
            _shorten(blob, element, len(rows) - 1)  # the last one may have been cut, too
            rows = rows[: element.count]
        first += element.count
        if any(one.length for one in element.properties):
            _text_lists(blob, element, rows)
        elif element.properties and rows:
            values = _numbers(blob, b" ".join(rows))
            if len(values) != element.count * len(element.properties):
                raise undecodable(blob.name, "ply", f"rows of '{element.name}' of other lengths")
            table = values.reshape(element.count, -1)
            element.columns = {one.name: table[:, i] for i, one in enumerate(element.properties)}


def _numbers(blob: Blob, text: bytes) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how numpy says that it met something else than a number
        try:
            return np.fromstring(text, np.float64, sep=" ")
        except (ValueError, DeprecationWarning) as error:
            raise undecodable(blob.name, "ply", "a row that is not of numbers") from error


def _text_lists(blob: Blob, element: _Element, rows: Sequence[bytes]) -> None:
    plain: dict[str, list[bytes]] = {one.name: [] for one in element.properties if not one.length}
    lengths: dict[str, list[int]] = {one.name: [] for one in element.properties if one.length}
    values: dict[str, list[bytes]] = {one.name: [] for one in element.properties if one.length}
    for row in rows:
        words = row.split()
        place = 0
        for one in element.properties:
            if one.length:
                count = int(float(words[place]))
                lengths[one.name].append(count)
                values[one.name] += words[place + 1 : place + 1 + count]
                place += 1 + count
            else:
                plain[one.name].append(words[place])
                place += 1
        if place > len(words):
            raise undecodable(blob.name, "ply", f"a row of '{element.name}' that ends early")
    element.columns = {name: _numbers(blob, b" ".join(found)) for name, found in plain.items()}
    for name, found in values.items():
        element.lists[name] = np.array(lengths[name], np.int64), _numbers(blob, b" ".join(found))


def _read_binary(blob: Blob, elements: Sequence[_Element], endian: str, start: int) -> None:
    for element in elements:
        if not any(one.length for one in element.properties):
            row = np.dtype([(f"{i}", endian + one.kind) for i, one in enumerate(element.properties)])
            size = row.itemsize * element.count
            if start + size > len(blob.data):
                _shorten(blob, element, (len(blob.data) - start) // row.itemsize)
                size = row.itemsize * element.count
            table = np.frombuffer(blob.data, row, element.count, start) if size else np.zeros(element.count, row)
            element.columns = {one.name: table[f"{i}"].astype(np.float64) for i, one in enumerate(element.properties)}
            start += size
        else:
            start = _same_lists(blob, element, endian, start) or _any_lists(blob, element, endian, start)


def _same_lists(blob: Blob, element: _Element, endian: str, start: int) -> int:
    """Read rows whose lists are all as long as the first row's, at once; 0 where they are not."""
    if not element.count:
        return start
    lengths: list[int] = []
    place = start
    for one in element.properties:
        if not one.length:
            place += np.dtype(one.kind).itemsize
            continue
        found = np.frombuffer(blob.data, endian + one.length, 1, place) if place + 8 <= len(blob.data) else [-1]
        lengths.append(int(found[0]))
        if not 0 <= lengths[-1] <= 1 << 20:
            return 0
        place += np.dtype(one.length).itemsize + lengths[-1] * np.dtype(one.kind).itemsize
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    left = iter(lengths)
    for i, one in enumerate(element.properties):
        if one.length:
            fields += [(f"n{i}", endian + one.length), (f"{i}", endian + one.kind, (next(left),))]
        else:
            fields.append((f"{i}", endian + one.kind))
    row = np.dtype(fields)
    if start + row.itemsize * element.count > len(blob.data):
        return 0
    table = np.frombuffer(blob.data, row, element.count, start)
    left = iter(lengths)
    for i, one in enumerate(element.properties):
        if one.length and (table[f"n{i}"] != next(left)).any():
            return 0
    left = iter(lengths)
    for i, one in enumerate(element.properties):
        values = table[f"{i}"].astype(np.float64)
        if one.length:
            element.lists[one.name] = np.full(element.count, next(left), np.int64), values.ravel()
        else:
            element.columns[one.name] = values
    return start + row.itemsize * element.count


def _any_lists(blob: Blob, element: _Element, endian: str, start: int) -> int:
    """Read rows one by one."""
    data = blob.data
    plain: dict[str, list[float]] = {one.name: [] for one in element.properties if not one.length}
    lengths: dict[str, list[int]] = {one.name: [] for one in element.properties if one.length}
    pieces: dict[str, list[bytes]] = {one.name: [] for one in element.properties if one.length}
    order = "little" if endian == "<" else "big"
    readers = [
        (one, np.dtype(one.kind).itemsize, np.dtype(one.length or "u1").itemsize, one.length[:1] == "i")
        for one in element.properties
    ]
    for row in range(element.count):
        for one, size, head, signed in readers:
            raw = data[start : start + head] if one.length else b""
            if not one.length:
                stop = start + size
            elif len(raw) < head:
                stop = len(data) + 1
            else:
                if one.length[0] == "f":
                    count = int(np.frombuffer(raw, endian + one.length)[0])
                else:
                    count = int.from_bytes(raw, order, signed=signed)  # type: ignore[arg-type]
                if count < 0:
                    raise undecodable(blob.name, "ply", f"a row of '{element.name}' of {count} values")
                stop = start + head + count * size
            if stop > len(data):
                break
            if one.length:
                lengths[one.name].append(count)
                pieces[one.name].append(data[start + head : stop])
            else:
                plain[one.name].append(float(np.frombuffer(data, endian + one.kind, 1, start)[0]))
            start = stop
        else:
            continue
        _shorten(blob, element, row)
        for one in element.properties:  # of the row that was cut, the first ones may be there
            if one.length:
                del lengths[one.name][row:], pieces[one.name][row:]
            else:
                del plain[one.name][row:]
        start = len(data)
        break
    for one, *_ in readers:
        if one.length:
            values = np.frombuffer(b"".join(pieces[one.name]), endian + one.kind).astype(np.float64)
            element.lists[one.name] = np.array(lengths[one.name], np.int64), values
        else:
            element.columns[one.name] = np.array(plain[one.name])
    return start


def _polygons(table: Mapping[str, _Element]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners of each face, and of each triangle of the strips."""
    counts: list[NDArray[np.int64]] = []
    corners: list[NDArray[np.int64]] = []
    if "face" in table:
        lists = table["face"].lists
        whole = [one.name for one in table["face"].properties if one.length and one.kind[0] in "iu"]
        name = next((name for name in (*_CORNERS, *whole[:1]) if name in lists), None)
        if name is not None:
            counts.append(lists[name][0])
            corners.append(_whole(lists[name][1]))
    if "tristrips" in table:
        for lengths, values in table["tristrips"].lists.values():
            for strip in np.split(_whole(values), np.cumsum(lengths)[:-1]):
                found = _strip(strip)
                counts.append(np.full(len(found), 3, np.int64))
                corners.append(found.ravel())
    none = np.zeros(0, np.int64)
    return (np.concatenate(counts), np.concatenate(corners)) if counts else (none, none)


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.nan_to_num(values, nan=-1, posinf=-1, neginf=-1).astype(np.int64)


def _strip(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles of a strip; -1 begins another one: (f, 3)."""
    found = []
    for run in np.split(indices, np.flatnonzero(indices < 0)):
        run = run[run >= 0]
        if len(run) < 3:
            continue
        faces = np.column_stack([run[:-2], run[1:-1], run[2:]])
        faces[1::2] = faces[1::2, [1, 0, 2]]  # every other triangle winds the other way
        found.append(faces)
    return np.concatenate(found) if found else np.zeros((0, 3), np.int64)


def _colours(element: _Element) -> FloatArray | None:
    """Colours of the rows in 0..1, under whichever name; None where there are none."""
    for names in (*_COLOURS, *_named_alike(element.columns)):
        if set(names) <= set(element.columns):
            rgb = np.column_stack([element.columns[name] for name in names])
            full = _INTEGERS.get(element.kind(names[0]))
            if full is None:
                full = 255.0 if len(rgb) and np.nanmax(rgb) > 1.0 else 1.0
            return np.clip(np.nan_to_num(rgb / full), 0.0, 1.0).astype(np.float32)
    packed = next((name for name in ("rgb", "rgba") if name in element.columns), None)
    return None if packed is None else _unpacked(element.columns[packed], element.kind(packed))


def _named_alike(columns: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Three columns whose names differ in nothing but the colour: scalar_red, scalar_green, scalar_blue."""
    for name in columns:
        words = name.split("_")
        for triple in (("red", "green", "blue"), ("r", "g", "b")):
            if triple[0] in words:
                at = words.index(triple[0])
                red, green, blue = ("_".join([*words[:at], one, *words[at + 1 :]]) for one in triple)
                yield red, green, blue


def _unpacked(values: NDArray[np.float64], kind: str) -> FloatArray | None:
    """Colours of the Point Cloud Library: 0xRRGGBB in four bytes, whole numbers or the bits of a fraction."""
    if np.dtype(kind).itemsize != 4:
        return None
    whole = values.astype(np.float32).view(np.uint32) if kind == "f4" else values.astype(np.int64).astype(np.uint32)
    return (np.column_stack([whole >> 16 & 255, whole >> 8 & 255, whole & 255]) / 255.0).astype(np.float32)


def _points(vertex: _Element, xyz: Doubles) -> Points:
    return splats.seen(xyz, vertex.columns) if set(vertex.columns) >= splats.COLOURS else Points(xyz, _colours(vertex))


def _pictures(comments: Sequence[str]) -> list[str]:
    """Names of the pictures that comments give."""
    lines = [line.split(None, 2) for line in comments]
    return [words[2] for words in lines if len(words) > 2 and words[1] == "TextureFile"]


def _texture(
    blob: Blob, vertex: _Element, pictures: Sequence[str]
) -> tuple[FloatArray | None, NDArray[np.uint8] | None]:
    """Texture coordinates and their picture, where both are there."""
    pair = next((pair for pair in _COORDINATES if set(pair) <= set(vertex.columns)), None)
    if not pictures or pair is None:
        return None, None
    texture = companion_texture(blob, pictures[0])
    if texture is None:
        return None, None
    return _flat(np.column_stack([vertex.columns[name] for name in pair])), texture


def _flat(uv: NDArray[np.float64]) -> FloatArray:
    return np.nan_to_num(uv, posinf=0.0, neginf=0.0).astype(np.float32)


def _wedges(face: _Element, counts: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Texture coordinates of the faces' corners, as MeshLab writes them: (sum of counts, 2); None without them."""
    lengths, values = face.lists.get("texcoord", (None, None))
    if lengths is None or values is None or len(lengths) != len(counts) or (lengths != 2 * counts).any():
        return None
    return values.reshape(-1, 2)


def _with_wedges(
    blob: Blob,
    xyz: Doubles,
    rgb: FloatArray | None,
    counts: NDArray[np.int64],
    corners: NDArray[np.int64],
    places: NDArray[np.int64],
    wedges: NDArray[np.float64],
    face: _Element,
    pictures: Sequence[str],
) -> list[Part]:
    """Make a part for each picture, whose corners have places on it of their own."""
    _check_range(blob, corners[places], len(xyz))
    number = face.columns.get("texnumber", np.zeros(len(counts)))
    owner = np.nan_to_num(number)[np.repeat(np.arange(len(counts)), np.maximum(counts - 2, 0))]
    parts = []
    for one in np.unique(owner):
        mine = places[owner == one].ravel()
        texture = companion_texture(blob, pictures[int(one)]) if 0 <= one < len(pictures) else None
        paint = None if rgb is None or texture is not None else rgb[corners[mine]]
        parts.append(Part(xyz[corners[mine]], np.arange(len(mine)).reshape(-1, 3), paint, _flat(wedges[mine]), texture))
    return parts
