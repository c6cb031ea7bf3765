"""Inputs that are made to cost much, or to be taken for something else; all of them small when written."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from omnibind_core.types import Modality
from tools.hard.seeds import glb_parts, zipped

__all__ = ["Case", "crafted"]

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="900" height="900">'


class Case(NamedTuple):
    """One input: a file's content under its extension, its path, a sentence, or a shape with files beside it."""

    modality: Modality
    name: str
    data: bytes | str
    extension: str = ""
    beside: dict[str, bytes] | None = None


def crafted(seeds: dict[tuple[Modality, str], bytes]) -> Iterator[Case]:
    """Give all of them."""
    yield from _pictures(seeds)
    yield from _sounds(seeds)
    yield from _texts()
    yield from _clouds()
    yield from _meshes()
    yield from _scenes(seeds)
    yield from _archives(seeds)
    yield from _sets(seeds)


def _png(width: int, height: int, depth: int = 1, kind: int = 0, rows: int | None = None) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    deflate = zlib.compressobj(9)
    row = bytes(min((width * depth * (1, 0, 3, 1, 2, 0, 4)[kind] + 7) // 8 + 1, 1 << 20))
    body = b"".join(deflate.compress(row) for _ in range(min(height if rows is None else rows, 300))) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _pictures(seeds: dict[tuple[Modality, str], bytes]) -> Iterator[Case]:
    for sides in ((1, 1), (65_000, 1), (1, 65_000), (30_000, 30_000), (8_000, 8_000), (2**31 - 1, 2**31 - 1), (0, 9)):
        for depth, kind in ((1, 0), (8, 2), (16, 6), (8, 3)):
            yield Case("image", f"png of {sides}, {depth} bits, kind {kind}", _png(*sides, depth, kind), "png")
    jpeg = seeds["image", "jpg"]
    scan = jpeg[jpeg.index(b"\xff\xda") : -2]
    for count in (10, 500, 5_000):
        yield Case("image", f"jpeg of {count} scans", jpeg[:-2] + scan[:14] * count + b"\xff\xd9", "jpg")
    frame = jpeg.index(b"\xff\xc0") + 5
    for side in (0, 1, 30_000, 65_535):
        sized = jpeg[:frame] + struct.pack(">HH", side, side) + jpeg[frame + 4 :]
        yield Case("image", f"jpeg that says {side} x {side}", sized, "jpg")
    gif = seeds["image", "gif"]
    for side in (0, 20_000, 65_535):
        yield Case("image", f"gif that says {side}", gif[:6] + struct.pack("<HH", side, side) + gif[10:], "gif")
    yield Case("image", "gif of many frames", gif[:-1] + gif[gif.index(b"!\xf9") : -1] * 40 + b";", "gif")
    laughs = "".join(f'<g id="a{i}">' + f'<use href="#a{i - 1}"/>' * 10 + "</g>" for i in range(1, 12))
    inner: dict[str, str] = {
        "uses of uses": f'<g id="a0"><rect width="9" height="9"/></g>{laughs}<use href="#a11"/>',
        "a circle of uses": '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g><use href="#a"/>',
        "a file": '<image href="file:///etc/passwd" width="9" height="9"/><rect width="9" height="9"/>',
        "an address": '<image href="http://example.invalid/x.png" width="9" height="9"/><rect width="9" height="9"/>',
        "depth": "<g>" * 9_000 + "<rect width='9' height='9'/>" + "</g>" * 9_000,
        "rectangles": '<rect width="800" height="800" opacity=".1"/>' * 19_000,
        "a long path": f'<path d="M0 0 {"L9 9 L800 3 " * 90_000}"/>',
        "a script": "<script>while(1);</script><rect width='9' height='9'/>",
        "dashes": '<path stroke="red" stroke-dasharray="0.0001" d="M0 0 L900 900"/>',
    }
    for deviation in (10, 200, 10_000):
        inner[f"blur of {deviation}"] = (
            f'<filter id="f" x="-9" y="-9" width="90" height="90"><feGaussianBlur stdDeviation="{deviation}"/></filter>'
            + '<rect width="800" height="800" filter="url(#f)"/>' * 60
        )
    for what in ('feTurbulence baseFrequency=".9" numOctaves="500"', 'feMorphology operator="dilate" radius="400"'):
        inner[what[:12]] = (
            f'<filter id="f"><{what}/></filter>' + '<rect width="900" height="900" filter="url(#f)"/>' * 9
        )
    for name, body in inner.items():
        yield Case("image", f"svg with {name}", f"{_SVG}{body}</svg>".encode(), "svg")
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    for entity in ("&e9;", "&x;"):
        head = f'<!DOCTYPE svg [<!ENTITY e0 "ha">{entities}<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        yield Case("image", f"svg of {entity}", f"{head}{_SVG}<text y='9'>{entity}</text></svg>".encode(), "svg")
    for said in ("1e9", "-5", "nan", "0", "100%", "99999999999999999999"):
        drawing = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{said}" height="{said}"><rect width="9" height="9"/></svg>'
        )
        yield Case("image", f"svg of {said}", drawing.encode(), "svg")


def _sounds(seeds: dict[tuple[Modality, str], bytes]) -> Iterator[Case]:
    wav = seeds["audio", "wav"]
    for channels in (0, 1, 9, 255, 65_535):
        for rate in (0, 1, 8_000, 192_000, 2**32 - 1):
            head = struct.pack("<HIIHH", channels, rate, (rate * channels * 2) % 2**32, channels * 2 % 65_536, 16)
            yield Case("audio", f"wav of {channels} channels, {rate} Hz", wav[:22] + head + wav[36:], "wav")
    for bits in (0, 1, 3, 8, 24, 64, 65_535):
        yield Case("audio", f"wav of {bits} bits", wav[:34] + struct.pack("<H", bits) + wav[36:], "wav")
    for kind in (0, 2, 3, 6, 17, 85, 0xFFFE):
        yield Case("audio", f"wav of kind {kind}", wav[:20] + struct.pack("<H", kind) + wav[22:], "wav")
    silence = np.zeros(30_000_000, np.int16)
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, silence, 8_000, format="FLAC")
    yield Case("audio", "flac of an hour of silence", file.getvalue(), "flac")
    for count in (50, 3_000):
        yield Case(
            "audio", f"{count} chunks", wav[:36] + (b"junk" + struct.pack("<I", 2) + b"ab") * count + wav[36:], "wav"
        )
        yield Case("audio", f"{count} chained files", seeds["audio", "ogg"] * (count // 50), "ogg")
        yield Case(
            "audio", f"{count} tags", (b"ID3\3\0\0\0\0\0\x0a" + bytes(10)) * count + seeds["audio", "mp3"], "mp3"
        )
    for extension in ("mp4", "mov", "m4a"):
        data = seeds["audio", extension]
        for atom in (b"stsz", b"stts", b"stsc", b"stco", b"mdhd", b"esds"):
            at = data.find(atom)
            if at > 0:
                for number in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)):
                    for place in (4, 8, 12):
                        changed = data[: at + place] + number + data[at + place + 4 :]
                        yield Case("audio", f"{extension} whose {atom.decode()} lies", changed, extension)


def _texts() -> Iterator[Case]:
    sentences = {
        "nothing": "", "zero width": "\u200b" * 50, "half a pair": "\ud800", "controls": "\0\x1b[2J",
        "right to left": "\u202e" * 900,
        "marks": "e" + "\u0301" * 1_900, "expanding": "\ufdfa" * 1_999, "long": "x" * 10_000_000, "lines": "\n" * 1_000,
        "faces": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 300, "tags": "<|endoftext|>" * 100,
        "markup": "<img src=x onerror=alert(1)>",
        "format": "%s%n{0}{__class__}", "one word": "a" * 2_000, "digits": "9" * 2_000,
        "private": "\ue000\uffff\U0010ffff",
    }  # fmt: skip
    for name, text in sentences.items():
        yield Case("text", name, text)


def _clouds() -> Iterator[Case]:
    for shape in ((10**12, 3), (0, 3), (3,), (8, 3, 3), (8, 10**9), (5_000_001, 3)):
        for kind in ("<f8", "<i4", "|O", "<U9", "<c16", "<M8[s]"):
            head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
            yield Case(
                "point", f"npy of {shape} {kind}", b"\x93NUMPY\1\0" + struct.pack("<H", 118) + head + bytes(999), "npy"
            )
    for value in ("nan", "inf", "1e308", "-1e308", "1e-320", "0", "1e400", "x"):
        rows = "\n".join(f"{i} {value} {i * 7 % 5} 1 2 3" for i in range(200))
        yield Case("point", f"xyz of {value}", rows.encode(), "xyz")
    yield Case("point", "xyz of one line", b"1 2 3 " * 900_000, "xyz")
    yield Case("point", "xyz of empty lines", b"\n" * 6_000_000, "xyz")


def _meshes() -> Iterator[Case]:
    for count in (-1, 0, 3, 10**9, 10**18):
        for form in ("ascii", "binary_little_endian"):
            head = f"ply\nformat {form} 1.0\nelement vertex {count}\n"
            head += "property float x\nproperty float y\nproperty float z\n"
            head += f"element face {count}\nproperty list uchar int vertex_indices\nend_header\n"
            yield Case("point", f"ply that says {count}, {form}", head.encode() + b"0 " * 999, "ply")
        yield Case("point", f"off that says {count}", f"OFF\n{count} {count} 0\n0 0 0\n".encode(), "off")
        declared = (count % 2**32).to_bytes(4, "little")
        yield Case("point", f"stl that says {count}", bytes(80) + declared + bytes(500), "stl")
    corner = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 1\n"
    many: dict[str, str] = {
        "materials": corner + "".join(f"usemtl m{i}\nf 1 2 3\n" for i in range(50_000)),
        "libraries": "".join(f"mtllib m{i}.mtl\n" for i in range(50_000)) + corner + "f 1 2 3\n",
        "corners": corner + "f " + "1 2 3 4 " * 100_000 + "\n",
        "one place": corner + "f 1 1 1\n" * 90_000,
        "wrong indices": corner + "f 1 2 99999999999999999999\nf 0 0 0\nf -9 -9 -9\n",
        "a wheel": "".join(f"v {i % 7} {i % 11} {i % 13}\n" for i in range(4_000))
        + "f "
        + " ".join(map(str, range(1, 4_001))),
        "continued lines": "v 0 0 0 \\\n" * 90_000,
        "names": corner + f"usemtl {'x' * 900_000}\nf 1 2 3\n",
        "nothing": "# " + "x" * 900_000,
    }
    for name, text in many.items():
        yield Case("point", f"obj of many: {name}", text.encode(), "obj")
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    yield Case("point", "stl of much text", ("solid\n" + facet * 30_000 + "endsolid\n").encode(), "stl")
    yield Case(
        "point",
        "off of polygons",
        ("OFF\n4 20000 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n" + "9 " * 10 * 20_000).encode(),
        "off",
    )


def _glb(tree: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body


def _scenes(seeds: dict[tuple[Modality, str], bytes]) -> Iterator[Case]:
    tree, binary = glb_parts(seeds["point", "glb"])
    numbers: tuple[Any, ...] = (-1, 0, 10**6, 10**12, 2**63, 1.5, "x", None, [], {})
    for group in ("accessors", "bufferViews", "nodes", "meshes", "materials", "textures", "images", "buffers"):
        for row in tree.get(group, [])[:2]:
            for key, kept in list(row.items()):
                for number in numbers:
                    row[key] = number
                    yield Case("point", f"glb whose {group} have {key} {number!r}", _glb(tree, binary), "glb")
                row[key] = kept
    triangle = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()
    plain: dict[str, Any] = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 36}], "buffers": [{"byteLength": 36}],
    }  # fmt: skip
    rows = {"componentType": 5126, "count": 6_000_000, "type": "VEC3"}
    heavy: dict[str, dict[str, Any]] = {
        "rows without bytes": {
            "accessors": [*plain["accessors"], rows],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}}] * 500}],
        },
        "many primitives": {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}}] * 90_000}]},
        "as many primitives as allowed": {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}}] * 25_000}]},
        "many nodes": {"scenes": [{"nodes": list(range(60_000))}], "nodes": [{"mesh": 0}] * 60_000},
        "a circle of nodes": {"nodes": [{"children": [1]}, {"children": [0], "mesh": 0}]},
        "doubling nodes": {"nodes": [{"children": [i + 1, i + 1]} for i in range(40)] + [{"mesh": 0}]},
        "deep nodes": {"nodes": [{"children": [i + 1]} for i in range(9_000)] + [{"mesh": 0}]},
        "a far place": {"nodes": [{"mesh": 0, "translation": [1e308, 1e308, 1e308], "scale": [1e308] * 3}]},
        "sparse rows": {
            "accessors": [{**rows, "sparse": {"count": 10**9, "indices": {"bufferView": 0}, "values": {}}}]
        },
        "required": {"extensionsRequired": ["X_unknown"]},
        "old": {"asset": {"version": "1.0"}},
    }
    for name, changes in heavy.items():
        yield Case("point", f"glb of {name}", _glb({**plain, **changes}, triangle), "glb")
    for uri in (
        "../../../etc/passwd",
        "/etc/passwd",
        "http://example.invalid/x",
        "data:,",
        "x" * 100_000,
        "a\0b",
        "%2e%2e/x",
    ):
        changed = {**plain, "buffers": [{"byteLength": 36, "uri": uri}]}
        yield Case("point", f"gltf that names {uri[:20]!r}", json.dumps(changed).encode(), "gltf")
    for text in (
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"{}",
        b"[]",
        b"null",
        b'{"asset":1}',
        b'{"scenes":{"a":1}}',
        b"{" + b'"a":1,' * 99_999,
    ):
        yield Case("point", f"gltf of {text[:9]!r}", text, "gltf")
    for version in (0, 1, 3, 2**31):
        data = seeds["point", "glb"]
        yield Case("point", f"glb of version {version}", data[:4] + struct.pack("<I", version) + data[8:], "glb")


def _archives(seeds: dict[tuple[Modality, str], bytes]) -> Iterator[Case]:
    obj = seeds["point", "obj"]
    files: dict[str, dict[str, bytes]] = {
        "zeros": {"a.obj": bytes(200_000_000)}, "many": {f"{i}.obj": b"v 0 0 0\n" for i in range(2_000)},
        "an archive": {"a.obj": obj, "b.zip": seeds["point", "zip"]}, "a way out": {"../a.obj": obj},
        "an absolute name": {"/etc/a.obj": obj}, "a drive": {"C:\\a.obj": obj}, "nothing": {}, "text": {"a.txt": b"x"},
        "a long name": {"x" * 60_000 + ".obj": obj}, "two shapes": {"a.obj": obj, "b.ply": seeds["point", "ply"]},
        "a wrong name": {"a.glb": obj}, "a depth": {"d/" * 500 + "a.obj": obj}, "a picture of zeros": {
            "a.obj": b"mtllib a.mtl\nusemtl m\n" + obj, "a.mtl": b"newmtl m\nmap_Kd a.png\n",
            "a.png": bytes(150_000_000)},
    }  # fmt: skip
    for name, content in files.items():
        yield Case("point", f"zip of {name}", zipped(content), "zip")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("a.obj")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    yield Case("point", "zip of a link", out.getvalue(), "zip")
    whole = seeds["point", "zip"]
    for number in (0, 1, 2**31, 2**32 - 1):
        for at in (14, 18, 22):
            changed = whole[:at] + struct.pack("<I", number) + whole[at + 4 :]
            yield Case("point", f"zip whose first header has {number} at {at}", changed, "zip")
    yield Case("point", "zip of a password", whole[:6] + b"\1\0" + whole[8:], "zip")


def _sets(seeds: dict[tuple[Modality, str], bytes]) -> Iterator[Case]:
    obj = b"mtllib a.mtl\nusemtl m\n" + seeds["point", "obj"]
    pictures = {
        "missing": None, "empty": b"", "junk": b"\x89PNG" + bytes(99), "large": _png(20_000, 20_000),
        "huge": _png(2**31 - 1, 9),
        "cut": seeds["image", "png"][:900], "a sound": seeds["audio", "wav"], "good": seeds["image", "jpg"],
    }  # fmt: skip
    for name, picture in pictures.items():
        for material in (
            b"newmtl m\nmap_Kd a.png\n",
            b"newmtl m\nmap_Kd ../a.png\n",
            b"newmtl m\nmap_Kd -s 1 1 1 a.png\nd 0\n",
        ):
            beside = {"a.mtl": material, **({} if picture is None else {"a.png": picture})}
            yield Case("point", f"obj with a picture that is {name}", obj, "obj", beside)
    for name, material in {
        "itself": b"newmtl m\nmap_Kd a.mtl\n", "zeros": bytes(9_999), "long": b"newmtl m\n" * 90_000,
        "many": b"".join(b"newmtl m%d\nmap_Kd %d.png\n" % (i, i) for i in range(20_000)),
    }.items():  # fmt: skip
        yield Case("point", f"obj with a library of {name}", obj, "obj", {"a.mtl": material})
    tree, _ = glb_parts(seeds["point", "glb"])
    tree["buffers"][0]["uri"] = "a.bin"
    for size in (0, 1, 1_000, 10**6):
        yield Case("point", f"gltf with a buffer of {size}", json.dumps(tree).encode(), "gltf", {"a.bin": bytes(size)})
