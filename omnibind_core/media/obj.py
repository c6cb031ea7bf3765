"""Wavefront OBJ as programs really write it: any white space and line ends, indices from either end, colours anywhere.

Materials and their textures lie in other files, which are asked for by name (:meth:`.source.Blob.beside`).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media import limits
from omnibind_core.media.notices import note
from omnibind_core.media.polygons import triangles
from omnibind_core.media.shapes import Doubles, Part, Points, check_counts
from omnibind_core.media.sniff import wide_encoding
from omnibind_core.media.source import Blob, shown, undecodable
from omnibind_core.media.textures import companion_texture
from omnibind_core.types import FloatArray, Wrap

__all__ = ["NO_NUMBER", "decoded_text", "read_obj"]

NO_NUMBER = re.compile(r"[-+]?(?:nan\(\w*\)|1\.#\w+)", re.IGNORECASE)
"""How programs of Windows write what is no number: -nan(ind), 1.#QNAN, 1.#INF."""

_OLD = {"V": "v", "F": "f", "fo": "f", "VT": "vt"}  # as very old programs write them
_NEAR, _ALIKE = 4_096, 20
"""Characters and lines before the last one that it is compared with."""
_MOST_FILES = 64
"""Material files and materials that one OBJ may name."""


@dataclass
class _Faces:
    """Corners of the faces of one material, as numbers of v and vt; -1 where there is no vt."""

    counts: list[int] = field(default_factory=list)
    corners: list[int] = field(default_factory=list)
    coordinates: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Material:
    """What colours a surface: Kd in 0..1, the name of its picture, and what scales and moves that (su, sv, u, v)."""

    rgb: tuple[float, float, float] | None = None
    texture: str = ""
    clamp: bool = False
    opacity: float = 1.0
    spread: tuple[float, float, float, float] = (1.0, 1.0, 0.0, 0.0)


def decoded_text(blob: Blob) -> str:
    """Text of a file in whichever of the usual encodings it is, with plain line ends; raises MediaError for none."""
    data = blob.data
    encoding = wide_encoding(data) or "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise undecodable(
                blob.name, blob.extension, f"text in {encoding.upper()} that ends in the middle"
            ) from None
        text = data.decode("latin-1").removeprefix("\xef\xbb\xbf")
    text = text.lstrip("\ufeff").rstrip("\0")
    if "nan(" in text or "1.#" in text:
        text = NO_NUMBER.sub("nan", text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_obj(blob: Blob) -> Sequence[Part] | Points:
    """Read a mesh where there are faces, else the points that it lists."""
    text = decoded_text(blob)
    if "\\\n" in text:
        text = text.replace("\\\n", " ")
    check_counts(blob.name, text.count("\nf "))  # at least so many, before any is read
    if _is_torn(text):
        note("the end of the file is missing: what is there is read")
        text = text[: text.rfind("\n") + 1]
    vertices: list[str] = []
    coordinates: list[str] = []
    painted: list[str] = []
    libraries: list[str] = []
    faces: dict[str, _Faces] = {"": _Faces()}
    current = faces[""]
    curved = False
    count = 0
    for line in text.split("\n"):
        words = line.split(None, 1)
        if len(words) < 2:
            continue
        key, rest = words
        key = _OLD.get(key, key)
        if key == "v":
            vertices.append(rest)
        elif key == "f":
            count += 1
            if count > limits.MAX_FACES:
                check_counts(blob.name, count)
            _face(blob, current, rest, len(vertices), len(coordinates))
        elif key == "vt":
            coordinates.append(rest)
        elif key == "usemtl":
            current = faces.setdefault(rest.strip(), _Faces())
        elif key == "mtllib":
            libraries.append(rest.strip())
        elif key in ("surf", "curv", "curv2"):
            curved = True
        elif key == "#MRGB":
            painted.append(rest.strip())
    if curved:
        note("curved surfaces (NURBS) are not read: what is seen are points and flat faces")
    check_counts(blob.name, count, len(vertices) if count else 0, 0 if count else len(vertices))
    table = _rows(blob, vertices, 3)
    xyz, rgb = table[:, :3], _vertex_colours(table, painted)
    if not count:
        if coordinates or libraries:
            note("there are no faces, as in a file whose end is missing: its points are read")
        return Points(xyz, rgb)
    _leave_out_missing(faces.values(), len(xyz))
    uv = _rows(blob, coordinates, 1) if coordinates else np.zeros((0, 2))
    if uv.shape[1] == 1:
        uv = np.column_stack([uv, np.zeros(len(uv))])
    used = [name for name, found in faces.items() if found.counts]
    materials = _materials(blob, libraries) if any(used) else {}
    materials = {name: found for name in used if (found := materials.get(name) or materials.get(name.casefold()))}
    pictured = {name for name in used if name in materials and materials[name].texture}
    plain = [name for name in used if name not in pictured]
    picture = cache(partial(companion_texture, blob))  # many materials may share one
    parts = [_textured(blob, faces[name], xyz, rgb, uv, materials[name], picture) for name in used if name in pictured]
    return [part for part in [_plain(blob, faces, plain, xyz, rgb, materials), *parts] if part is not None]


def _is_torn(text: str) -> bool:
    """Say whether the last line stops in its middle: without an end, and less than the lines of its kind have."""
    start = text.rfind("\n") + 1
    words = text[start:].split()
    if not words or not start:
        return False
    rows = [line.split() for line in text[max(0, start - _NEAR) : start].split("\n")[1:]]
    alike = [row for row in rows if row[:1] == words[:1]][-_ALIKE:]
    if words[0] not in ("v", "vt", "vn", "f") or len(alike) < 2:
        return False
    width = min(map(len, alike))
    if len(words) < (width if max(map(len, alike)) == width else 4 if words[0] == "f" else width):
        return True
    if words[0] == "f":  # 7/8/9 7/8/9 7/
        forms = [[bool(part) for part in corner.split("/")] for corner in words[1:]]
        return forms[-1] != forms[0]
    if re.fullmatch(r"[-+]?(?:[\d.]+[eE][-+]?)?", words[-1]):
        return True
    decimals = {len(word.partition(".")[2]) for row in alike for word in row[1:]}
    return len(decimals) == 1 and len(words[-1].partition(".")[2]) < min(decimals)


def _leave_out_missing(faces: Iterable[_Faces], count: int) -> None:
    """Leave out faces that name vertices which never come, where most do not; else whoever checks indices refuses."""
    used = [one for one in faces if one.corners]
    if all(min(one.corners) >= 0 and max(one.corners) < count for one in used):
        return
    there: list[tuple[_Faces, NDArray[np.bool_]]] = []
    for one in used:
        corners = np.array(one.corners, np.int64)
        owner = np.repeat(np.arange(len(one.counts)), one.counts)
        kept = np.ones(len(one.counts), bool)
        kept[owner[(corners < 0) | (corners >= count)]] = False
        there.append((one, kept))
    lost = sum(int((~kept).sum()) for _, kept in there)
    total = sum(len(kept) for _, kept in there)
    if lost > total // 2:
        return
    note(f"{lost:,} of {total:,} faces name vertices that are not there and were left out")
    for one, kept in there:
        corners_kept = np.repeat(kept, one.counts)
        one.corners = np.array(one.corners, np.int64)[corners_kept].tolist()
        one.coordinates = np.array(one.coordinates, np.int64)[corners_kept].tolist()
        one.counts = np.array(one.counts, np.int64)[kept].tolist()


def _face(blob: Blob, into: _Faces, rest: str, vertices: int, coordinates: int) -> None:
    """Take one face; negative indices count back from where they stand."""
    corners = rest.partition("#")[0].split()
    try:
        for corner in corners:
            if "/" in corner:
                first, second = corner.split("/", 2)[:2]
                vt = int(second) if second else 0
            else:
                first, vt = corner, 0
            v = int(first)
            into.corners.append(v - 1 if v > 0 else vertices + v if v < 0 else -1)
            into.coordinates.append(vt - 1 if vt > 0 else coordinates + vt if vt < 0 else -1)
    except ValueError:
        raise undecodable(blob.name, "obj", f"a face '{rest.strip()[:40]}'") from None
    into.counts.append(len(corners))


_NUMERALS = str.maketrans(",Dd", ".ee")


def _rows(blob: Blob, lines: Sequence[str], least: int) -> Doubles:
    """Numbers of lines as a table as wide as the usual line; shorter rows are filled up with nan, longer ones cut."""
    try:
        words = [line.partition("#")[0].split() for line in lines]
        widths = np.fromiter(map(len, words), np.int64, len(words))
        if len(words) and widths.min() < least:
            raise undecodable(blob.name, "obj", "a vertex of too few numbers")
        width = int(np.bincount(widths).argmax()) if len(words) else least
        if len(words) and (widths != width).any():
            words = [(row + ["nan"] * width)[:width] for row in words]
        flat = [word for row in words for word in row]
        try:
            table = np.array(flat, np.float64)
        except ValueError:  # decimal commas, or Fortran's exponents
            if any("," in word and "." in word for word in flat):
                raise
            table = np.array([word.translate(_NUMERALS) for word in flat], np.float64)
        return table.reshape(len(words), width)
    except ValueError:
        raise undecodable(blob.name, "obj", "a coordinate that is not a number") from None


def _vertex_colours(table: Doubles, painted: Sequence[str]) -> FloatArray | None:
    """Colours behind the coordinates (x y z r g b), or in ZBrush's comments (#MRGB mmrrggbb...)."""
    if table.shape[1] >= 6:
        weighed = table.shape[1] == 7 and (table[:, 3] == 1).all() and (table[:, 6] != 1).any()  # x y z w r g b
        columns = table[:, 4:7] if weighed else table[:, 3:6]
        there = np.isfinite(columns).all(axis=1)
        few = columns[there]
        if 2 * len(few) > len(columns) and few.min() >= 0 and few.max() <= 255:
            rgb = columns / (255.0 if few.max() > 1.0 else 1.0)
            rgb[~there] = limits.GREY
            return rgb.astype(np.float32)
    digits = "".join(painted)
    if len(digits) >= 8 * len(table) > 0 and re.fullmatch(r"[0-9A-Fa-f]+", digits):
        values = np.frombuffer(bytes.fromhex(digits[: 8 * len(table)]), np.uint8).reshape(-1, 4)
        return (values[:, 1:] / 255.0).astype(np.float32)
    return None


def _plain(
    blob: Blob,
    faces: Mapping[str, _Faces],
    names: Sequence[str],
    xyz: Doubles,
    rgb: FloatArray | None,
    materials: Mapping[str, _Material],
) -> Part | None:
    """Join the faces of all materials without a picture: a file may change between thousands of them."""
    kept = [name for name in names if materials.get(name, _Material()).opacity >= _INVISIBLE]
    if len(kept) < len(names):
        note("a surface that is fully transparent was left out")
    if not kept:
        return None
    counts = np.array([count for name in kept for count in faces[name].counts], np.int64)
    corners = np.array([corner for name in kept for corner in faces[name].corners], np.int64)
    triangle = corners[triangles(counts, corners, xyz, blob.name)]
    paints = [materials[name].rgb if name in materials else None for name in kept]
    if rgb is not None or all(paint is None for paint in paints):
        return Part(xyz, triangle, rgb)
    if len(triangle) and (triangle.min() < 0 or triangle.max() >= len(xyz)):
        raise undecodable(blob.name, "obj", f"faces that name vertices beyond its {len(xyz):,}")
    grey = (limits.GREY,) * 3
    table = np.array([grey if paint is None else paint for paint in paints], np.float32)
    owner = np.repeat(np.arange(len(kept)), [int(np.maximum(np.array(faces[n].counts) - 2, 0).sum()) for n in kept])
    apart = np.arange(3 * len(triangle)).reshape(-1, 3)
    return Part(xyz[triangle.ravel()], apart, np.repeat(table[owner], 3, axis=0))


def _textured(
    blob: Blob,
    faces: _Faces,
    xyz: Doubles,
    rgb: FloatArray | None,
    uv: Doubles,
    material: _Material,
    picture: Callable[[str], NDArray[np.uint8] | None],
) -> Part | None:
    """Faces of one material with a picture; grey, or as the material is coloured, where that is not there."""
    if material.opacity < _INVISIBLE:
        note("a surface that is fully transparent was left out")
        return None
    counts, corners = np.array(faces.counts, np.int64), np.array(faces.corners, np.int64)
    places = triangles(counts, corners, xyz, blob.name)
    texture = picture(material.texture)
    where = np.array(faces.coordinates, np.int64)
    if texture is None or not ((where >= 0) & (where < len(uv))).all():
        if texture is not None:
            note("texture coordinates are missing in parts: these are grey")
        if rgb is None and material.rgb is not None and max(material.rgb) > 0:  # black is what stands beside a picture
            rgb = np.tile(np.array(material.rgb, np.float32), (len(xyz), 1))
        return Part(xyz, corners[places], rgb)
    # A vertex has another place on the picture in each face: every pair of both becomes a vertex.
    if len(corners) and (corners.min() < 0 or corners.max() >= len(xyz)):
        raise undecodable(blob.name, "obj", f"faces that name vertices beyond its {len(xyz):,}")
    pairs, number = np.unique(corners * len(uv) + where, return_inverse=True)
    vertex, place = np.divmod(pairs, max(1, len(uv)))
    wrap: Wrap = "clamp" if material.clamp else "repeat"
    places_on = uv[place, :2] * material.spread[:2] + material.spread[2:]
    return Part(
        xyz[vertex],
        number.reshape(-1)[places],
        # A texture replaces Kd in practice: many files leave that black beside it.
        None if rgb is None else rgb[vertex],
        np.nan_to_num(places_on, posinf=0.0, neginf=0.0).astype(np.float32),
        texture,
        (wrap, wrap),
    )


_INVISIBLE = 0.02  # opacity


def _materials(blob: Blob, libraries: Sequence[str]) -> Mapping[str, _Material]:
    """Read the material files that are there."""
    found: dict[str, _Material] = {}
    for name in dict.fromkeys(libraries[:_MOST_FILES]):
        # The line may hold several names, or one with blanks in it.
        names = [name] if blob.beside(name) is not None else name.split()[:_MOST_FILES]
        for part, one in [(part, one) for one in names if (part := blob.beside(one)) is not None]:
            found.update(_read_materials(blob, part, posixpath.dirname(one.replace("\\", "/"))))
    if not found:
        for guess in (re.sub(r"\.\w+$", "", blob.name) + ".mtl", "*.mtl"):
            part = blob.beside(guess)
            if part is not None:
                note("materials are taken from the one .mtl beside it, which it does not name")
                found.update(_read_materials(blob, part, ""))
                break
        else:
            missing = [name for name in libraries if name]
            if missing:
                note(f"materials {shown(missing[0])} are not here: grey instead")
    found.update({name.casefold(): material for name, material in found.items() if name.casefold() not in found})
    return found


def _read_materials(blob: Blob, data: bytes, folder: str) -> dict[str, _Material]:
    text = decoded_text(replace(blob, data=data))
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.split("\n"):
        words = re.sub(r"\s#\s.*", "", line).split(None, 1)
        if len(words) == 2:
            if words[0].lower() == "newmtl":
                current = found.setdefault(words[1].strip(), {})
            else:
                current[words[0].lower()] = words[1].strip()
    materials = {name: _material(lines) for name, lines in found.items()}
    if folder:  # pictures lie beside the materials, or beside the shape
        for name, one in materials.items():
            nearer = posixpath.join(folder, one.texture.replace("\\", "/"))
            if one.texture and blob.beside(nearer) is not None:
                materials[name] = replace(one, texture=nearer)
    return materials


def _material(lines: Mapping[str, str]) -> _Material:
    texture, clamp, spread = _picture_name(lines.get("map_kd") or lines.get("map_ka", ""))
    paint = lines.get("kd", "")
    rgb = _numbers(f"{paint} {paint} {paint}" if len(paint.split()) == 1 else paint, 3)  # one number is grey
    if rgb is not None and max(rgb) > 1.0:
        rgb = [one / 255.0 for one in rgb] if max(rgb) <= 255.0 else rgb
    opacity = _numbers(lines.get("d", "").replace("-halo", ""), 1)
    clear = _numbers(lines.get("tr", ""), 1)
    # MeshLab and others write Tr 1 for what is opaque; what is wholly invisible says so by d 0.
    seen = opacity[0] if opacity else 1.0 - clear[0] if clear and clear[0] < 1 else 1.0
    red, green, blue = (min(max(one, 0.0), 1.0) for one in rgb or (0.0, 0.0, 0.0))
    return _Material(None if rgb is None else (red, green, blue), texture, clamp, seen, spread)


def _numbers(text: str, count: int) -> list[float] | None:
    try:
        values = [float(word.replace(",", ".")) for word in text.split()[:count]]
    except ValueError:
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


_OPTIONS = {
    "-blendu": 1,
    "-blendv": 1,
    "-bm": 1,
    "-boost": 1,
    "-cc": 1,
    "-clamp": 1,
    "-colorspace": 1,
    "-imfchan": 1,
    "-mm": 2,
    "-texres": 1,
}
"""Options before a picture's name, and how many words each takes; -o, -s and -t take one to three numbers."""


def _picture_name(text: str) -> tuple[str, bool, tuple[float, float, float, float]]:
    """Name behind the options of a map_Kd line, blanks in it included, whether it ends at its edges, and its spread."""
    words, clamp = text.split(" "), False
    scale, offset = [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in _OPTIONS:
            clamp = clamp or (option == "-clamp" and words[:1] == ["on"])
            del words[: _OPTIONS[option]]
        elif option in ("-o", "-s", "-t"):
            for place in range(3):
                if words and re.fullmatch(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?", words[0]):
                    {"-s": scale, "-o": offset}.get(option, [0.0] * 3)[place] = float(words.pop(0))
    return " ".join(words).strip(), clamp, (scale[0], scale[1], offset[0], offset[1])
