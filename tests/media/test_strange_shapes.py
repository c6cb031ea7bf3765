"""Shapes as programs and people write them: each kind once, against the same shape written plainly."""

import io
import json
import struct

import DracoPy
import numpy as np
import pytest
from PIL import Image

from omnibind_core.errors import MediaError
from omnibind_core.media import load_points
from omnibind_core.media.polygons import triangles

# A house: a box with a coloured corner each, and a roof that leans to one side, so that nothing is symmetrical.
XYZ = np.array(
    [[0, 0, 0], [2, 0, 0], [2, 1, 0], [0, 1, 0], [0, 0, 1], [2, 0, 1], [2, 1, 1], [0, 1, 1], [0.5, 2, 0.5]], float
)
RGB = np.array(
    [
        [255, 0, 0],
        [0, 255, 0],
        [0, 0, 255],
        [255, 255, 0],
        [0, 255, 255],
        [255, 0, 255],
        [128, 0, 0],
        [0, 128, 0],
        [9, 9, 9],
    ]
)
QUADS = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [3, 0, 4, 7]]
ROOF = [[2, 3, 8], [3, 7, 8], [7, 6, 8], [6, 2, 8]]
FACES = [*QUADS, *ROOF]
TRIANGLES = [t for f in FACES for t in ([f] if len(f) == 3 else [f[:3], [f[0], f[2], f[3]]])]


def lines(rows, end="\n") -> bytes:
    return (
        end.join(" ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in row) for row in rows) + end
    ).encode()


def ply(
    vertex=("x", "y", "z"), extra=(), faces=FACES, head="", names=("red", "green", "blue"), kind="uchar", colours=RGB
):
    rows = [[*map(float, p), *c, *e] for p, c, e in zip(XYZ, colours.tolist(), extra or [[]] * len(XYZ), strict=True)]
    more = "".join(f"property float {name}\n" for name in vertex[3:])
    top = f"ply\nformat ascii 1.0\n{head}element vertex {len(XYZ)}\n"
    top += (
        "".join(f"property float {axis}\n" for axis in "xyz") + "".join(f"property {kind} {n}\n" for n in names) + more
    )
    top += f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    return top.encode("latin-1") + lines(rows) + lines([[len(f), *f] for f in faces])


def obj(xyz=XYZ, faces=FACES, colours=RGB / 255, end="\n", gap=" "):
    rows = [f"v{gap}" + gap.join(f"{x:g}" for x in (*p, *c)) for p, c in zip(xyz, colours, strict=True)]
    rows += [f"f{gap}" + gap.join(str(i + 1) for i in f) for f in faces]
    return (end.join(rows) + end).encode()


def binary(order: str) -> bytes:
    name = {"<": "binary_little_endian", ">": "binary_big_endian"}[order]
    head = f"ply\nformat {name} 1.0\nelement face {len(FACES)}\nproperty uchar flags\n"
    head += "property list uchar int vertex_index\nproperty list uchar float texcoord\n"
    head += f"element vertex {len(XYZ)}\n" + "".join(f"property float {a}\n" for a in "xyz")
    head += "".join(f"property uchar {n}\n" for n in ("red", "green", "blue")) + "end_header\n"
    body = b""
    for f in FACES:
        body += struct.pack(f"{order}BB{len(f)}iB{2 * len(f)}f", 1, len(f), *f, 2 * len(f), *([0.5] * 2 * len(f)))
    return head.encode() + body + b"".join(struct.pack(order + "fff3B", *p, *c) for p, c in zip(XYZ, RGB, strict=True))


def strips() -> bytes:
    flat = [i for t in TRIANGLES for i in (*t, -1)]
    head = f"ply\nformat ascii 1.0\nelement vertex {len(XYZ)}\n" + "".join(f"property float {a}\n" for a in "xyz")
    head += "".join(f"property uchar {n}\n" for n in ("red", "green", "blue"))
    head += "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    return (
        head.encode()
        + lines([[*map(float, p), *c] for p, c in zip(XYZ, RGB.tolist(), strict=True)])
        + lines([[len(flat), *flat]])
    )


def off(first="COFF", glued=False) -> bytes:
    counts = f"{len(XYZ)} {len(FACES)} 0"
    head = f"{first}{counts}\n" if glued else "# a comment\n" * 300 + f"{first}\n# another\n{counts}\n"
    rows = [[*map(float, p), *c, 255] for p, c in zip(XYZ, RGB.tolist(), strict=True)]
    return head.encode() + lines(rows) + lines([[len(f), *f] for f in FACES])


def mrgb() -> bytes:
    rows = [f"v {x:g} {y:g} {z:g}" for x, y, z in XYZ]
    rows.append("#MRGB " + "".join(f"ff{r:02x}{g:02x}{b:02x}" for r, g, b in RGB))
    rows += ["f " + " ".join(str(i + 1) for i in f) for f in FACES]
    return "\n".join(rows).encode()


def interleaved() -> bytes:
    """Every face behind its own vertices, counted back from there."""
    rows = []
    for f in FACES:
        rows += [f"v {' '.join(map(str, XYZ[i]))} {' '.join(map(str, RGB[i] / 255))}" for i in f]
        rows.append("f " + " ".join(str(i - len(f)) for i in range(len(f))))
    return "\n".join(rows).encode()


def with_vt() -> bytes:
    rows = [f"v {' '.join(map(str, p))} {' '.join(map(str, c))}" for p, c in zip(XYZ, RGB, strict=True)]
    rows += ["vt 0.5 0.5", "vt 0.1 0.9"]
    rows += ["f " + " ".join(f"{i + 1}/{1 + i % 2}" for i in f) for f in FACES]
    return "\n".join(rows).encode()


def glb(tree, data: bytes, pad: bytes = b" ") -> bytes:
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        **tree,
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(tree).encode()
    text += pad * (-len(text) % 4 + 4)
    data += b"\0" * (-len(data) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


class Scene:
    """A small glTF that is put together array by array."""

    def __init__(self):
        self.data, self.views, self.accessors = b"", [], []

    def bytes(self, data: bytes) -> int:
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)})
        self.data += data + b"\0" * (-len(data) % 4)
        return len(self.views) - 1

    def add(self, array, kind: str) -> int:
        array = np.ascontiguousarray(array)
        component = {"<f4": 5126, "<u2": 5123, "|u1": 5121, "<u4": 5125}[array.dtype.str]
        accessor = {
            "bufferView": self.bytes(array.tobytes()),
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def house(self, xyz=XYZ) -> dict:
        return {
            "attributes": {
                "POSITION": self.add(xyz.astype("<f4"), "VEC3"),
                "COLOR_0": self.add((RGB / 255).astype("<f4"), "VEC3"),
            },
            "indices": self.add(np.array(TRIANGLES, "<u2").ravel(), "SCALAR"),
        }

    def file(self, pad: bytes = b" ", **tree) -> bytes:
        return glb({**tree, "accessors": self.accessors, "bufferViews": self.views}, self.data, pad)


def plain_glb(**changes) -> bytes:
    scene = Scene()
    return scene.file(nodes=[{"mesh": 0}], meshes=[{"primitives": [scene.house()]}], **changes)


def skinned() -> bytes:
    scene = Scene()
    primitive = scene.house()
    joints, weights = np.zeros((len(XYZ), 4), "|u1"), np.zeros((len(XYZ), 4), "<f4")
    weights[:, 0] = 1
    primitive["attributes"] |= {"JOINTS_0": scene.add(joints, "VEC4"), "WEIGHTS_0": scene.add(weights, "VEC4")}
    inverse = scene.add(np.eye(4, dtype="<f4").reshape(1, 16), "MAT4")
    return scene.file(
        nodes=[{"mesh": 0, "skin": 0, "scale": [1, 9, 1]}, {}],
        scenes=[{"nodes": [0, 1]}],
        skins=[{"joints": [1], "inverseBindMatrices": inverse}],
        meshes=[{"primitives": [primitive]}],
    )


def morphed() -> bytes:
    scene = Scene()
    half = XYZ.copy()
    half[8] = [1, 1, 0.5]
    primitive = scene.house(half)
    primitive["targets"] = [{"POSITION": scene.add((2 * (XYZ - half)).astype("<f4"), "VEC3")}]
    return scene.file(nodes=[{"mesh": 0, "weights": [0.5]}], meshes=[{"primitives": [primitive], "weights": [0.0]}])


def instanced(copies: bool) -> bytes:
    scene = Scene()
    moves = np.array([[0, 0, 0], [3, 0, 0], [0, 0, 4]], "<f4")
    meshes = [{"primitives": [scene.house()]}]
    if copies:
        nodes = [{"mesh": 0, "translation": m.tolist()} for m in moves]
        return scene.file(nodes=nodes, meshes=meshes, scenes=[{"nodes": [0, 1, 2]}])
    extension = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": scene.add(moves, "VEC3")}}}
    return scene.file(nodes=[{"mesh": 0, "extensions": extension}], meshes=meshes, extensionsRequired=list(extension))


def draco() -> bytes:
    scene = Scene()
    primitive = scene.house()
    packed = DracoPy.encode(
        XYZ.astype(np.float32),
        np.array(TRIANGLES, np.uint32),
        colors=RGB.astype(np.uint8),
        quantization_bits=14,
    )
    kinds = {one["attribute_type"]: one["unique_id"] for one in DracoPy.decode(packed).attributes}
    name = "KHR_draco_mesh_compression"
    attributes = {"POSITION": kinds[0], "COLOR_0": kinds[2]}
    primitive["extensions"] = {name: {"bufferView": scene.bytes(packed), "attributes": attributes}}
    return scene.file(nodes=[{"mesh": 0}], meshes=[{"primitives": [primitive]}], extensionsRequired=[name])


def far_line() -> bytes:
    """A face without area a mile away, and a node that is scaled to nothing."""
    scene = Scene()
    line = np.array([[900, 900, 900], [901, 901, 901], [902, 902, 902]], "<f4")
    flat = {"attributes": {"POSITION": scene.add(line, "VEC3")}}
    return scene.file(
        nodes=[{"mesh": 0}, {"mesh": 1}, {"mesh": 0, "scale": [0, 0, 0], "translation": [50, 0, 0]}],
        scenes=[{"nodes": [0, 1, 2]}],
        meshes=[{"primitives": [scene.house()]}, {"primitives": [flat]}],
    )


def stl(triangles_, declared=None, head=b"solid binary", tail=b"") -> bytes:
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *XYZ[list(t)].ravel(), 0) for t in triangles_)
    return head.ljust(80, b"\0") + struct.pack("<I", len(triangles_) if declared is None else declared) + body + tail


def text_stl() -> bytes:
    rows = ["solid"]
    for triangle in TRIANGLES:
        corners = [f"vertex {x:g} {y:g} {z:g}" for x, y, z in XYZ[triangle]]
        rows += ["facet normal 0 0 0", "outer loop", *corners, "endloop", "endfacet"]
    return "\n".join([*rows, "endsolid"]).encode()


HOUSE = obj()
GREY = obj(colours=np.zeros((len(XYZ), 0)))
SAME = {
    "PLY": (ply(), "ply", HOUSE),
    "PLY diffuse": (ply(names=("diffuse_red", "diffuse_green", "diffuse_blue")), "ply", HOUSE),
    "PLY beside s t": (ply(vertex=("x", "y", "z", "s", "t"), extra=[[0.5, 0.5]] * len(XYZ)), "ply", HOUSE),
    "PLY 16 bits": (ply(kind="ushort", colours=RGB * 257), "ply", HOUSE),
    "PLY Latin-1": (ply(head="comment caf\xe9\nobj_info \xfc\n"), "ply", HOUSE),
    "PLY CR LF": (ply().replace(b"\n", b"\r\n"), "ply", HOUSE),
    "PLY little": (binary("<"), "ply", HOUSE),
    "PLY big": (binary(">"), "ply", HOUSE),
    "PLY strips": (strips(), "ply", HOUSE),
    "COFF": (off(), "off", HOUSE),
    "COFF glued": (off(glued=True), "off", HOUSE),
    "OFF with colours": (off("OFF"), "off", HOUSE),
    "OBJ tabs": (obj(gap="\t"), "obj", HOUSE),
    "OBJ indented": (obj().replace(b"\nf", b"\n  f").replace(b"\nv", b"\n\tv"), "obj", HOUSE),
    "OBJ CR": (obj(end="\r"), "obj", HOUSE),
    "OBJ BOM": (b"\xef\xbb\xbf" + obj(), "obj", HOUSE),
    "OBJ UTF-16": (obj().decode().encode("utf-16"), "obj", HOUSE),
    "OBJ continued lines": (obj().replace(b"f 1 4 3 2", b"f 1 4 \\\n3 2"), "obj", HOUSE),
    "OBJ 0 to 255": (obj(colours=RGB.astype(float)), "obj", HOUSE),
    "OBJ MRGB": (mrgb(), "obj", HOUSE),
    "OBJ interleaved": (interleaved(), "obj", HOUSE),
    "OBJ vt": (with_vt(), "obj", HOUSE),
    "GLB": (plain_glb(), "glb", HOUSE),
    "GLB skin": (skinned(), "glb", HOUSE),
    "GLB morph": (morphed(), "glb", HOUSE),
    "GLB Draco": (draco(), "glb", HOUSE),
    "GLB nothing far away": (far_line(), "glb", HOUSE),
    "GLB unlit required": (plain_glb(extensionsRequired=["KHR_materials_unlit"]), "glb", HOUSE),
    "STL solid": (stl(TRIANGLES), "stl", GREY),
    "STL tail": (stl(TRIANGLES, tail=b"ab"), "stl", GREY),
    "OBJ with a weight": (obj(colours=np.c_[np.ones(len(XYZ)), RGB / 255]), "obj", HOUSE),
    "OBJ colourless line far away": (
        obj() + b"v 500 500 500\nv 501 501 501\nv 502 502 502\nf -1 -2 -3\n",
        "obj",
        HOUSE,
    ),
    "STL count unknown": (stl(TRIANGLES, declared=0xFFFFFFFF), "stl", GREY),
    "STL text without its end": (text_stl().replace(b"endsolid", b""), "stl", GREY),
    "STL count 0": (stl(TRIANGLES, declared=0), "stl", GREY),
}


def outline(cloud):
    """What a shape is, apart from the order of its points: sizes, spread, and colours by place."""
    order = np.lexsort(cloud.xyz.round(2).T)
    grid = (cloud.xyz[order] * 3).round().astype(int)
    colours = [cloud.rgb[order][(grid == cell).all(1)].mean(0) for cell in np.unique(grid, axis=0)[::7]]
    return np.concatenate([np.ptp(cloud.xyz, axis=0), cloud.xyz.std(0), cloud.rgb.mean(0)]), np.array(colours[:5])


def same_shape(data, extension, plain):
    """Hold a file to an OBJ of the same shape."""
    cloud, reference = load_points(data, extension=extension), load_points(plain, extension="obj")
    assert cloud.has_colour == reference.has_colour
    np.testing.assert_allclose(outline(cloud)[0], outline(reference)[0], atol=0.02)


@pytest.mark.parametrize("kind", SAME)
def test_it_is_the_same_shape(kind):
    same_shape(*SAME[kind])


def test_instances_are_copies():
    both = [outline(load_points(instanced(copies), extension="glb"))[0] for copies in (True, False)]
    np.testing.assert_allclose(*both, atol=5e-3)


def test_a_zero_padded_glb_is_read():
    scene = Scene()
    file = scene.file(b"\0", nodes=[{"mesh": 0}], meshes=[{"primitives": [scene.house()]}])
    assert len(load_points(file, extension="glb").surfaces) == 1


def test_an_outline_that_turns_inward_keeps_its_bay():
    shape = np.array([[0, 0, 0], [3, 0, 0], [3, 1, 0], [1, 1, 0], [1, 3, 0], [0, 3, 0]], float)
    for turn in range(6):
        ring = np.roll(np.arange(6), turn)
        faces = ring[triangles(np.array([6]), np.arange(6), shape[ring], "it")]
        corners = shape[faces]
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
        assert areas.sum() == pytest.approx(5.0)
    data = obj(xyz=shape, faces=[list(range(6))], colours=np.zeros((6, 0)))
    cloud = load_points(data, extension="obj")
    assert np.prod(np.ptp(cloud.xyz, axis=0)[:2]) > 0
    low = cloud.xyz.min(0)
    side = np.ptp(cloud.xyz, axis=0)[:2]
    assert not ((cloud.xyz[:, :2] - low[:2] > 0.4 * side).all(1)).any()  # nothing in the bay


def textured(material: dict, picture: Image.Image, sampler: dict | None = None, spread: float = 1.0) -> bytes:
    scene = Scene()
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], "<f4")
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], "<f4") * spread
    out = io.BytesIO()
    picture.save(out, "PNG")
    image = {"bufferView": scene.bytes(out.getvalue()), "mimeType": "image/png"}
    attributes = {"POSITION": scene.add(square, "VEC3"), "TEXCOORD_0": scene.add(uv, "VEC2")}
    primitive = {
        "attributes": attributes,
        "indices": scene.add(np.array([0, 1, 2, 0, 2, 3], "<u2"), "SCALAR"),
        "material": 0,
    }
    texture = {"source": 0, **({"sampler": 0} if sampler else {})}
    return scene.file(
        nodes=[{"mesh": 0}], meshes=[{"primitives": [primitive]}], images=[image], textures=[texture],
        samplers=[sampler] if sampler else [], materials=[material],
    )  # fmt: skip


BASE = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}


def halves(left, right, mode="RGB") -> Image.Image:
    picture = Image.new(mode, (64, 64), left)
    picture.paste(right, (32, 0, 64, 64))
    return picture


def test_beyond_a_texture_it_repeats_ends_or_is_mirrored():
    picture = halves((255, 0, 0), (0, 0, 255))
    red = {}
    for name, code in (("repeat", 10497), ("clamp", 33071), ("mirror", 33648)):
        cloud = load_points(textured(BASE, picture, {"wrapS": code, "wrapT": code}, 2.0), extension="glb")
        right = cloud.xyz[:, 0] > np.median(cloud.xyz[:, 0])
        quarter = cloud.xyz[:, 0] > np.quantile(cloud.xyz[:, 0], 0.77)
        red[name] = cloud.rgb[right].mean(0)[0], cloud.rgb[quarter].mean(0)[0]
    assert red["repeat"][0] == pytest.approx(0.5, abs=0.05)
    assert red["repeat"][1] < 0.05
    assert red["clamp"][0] < 0.05
    assert red["mirror"][1] > 0.95


@pytest.mark.parametrize("mode", [{"alphaMode": "MASK", "alphaCutoff": 0.5}, {"alphaMode": "BLEND"}])
def test_there_is_no_surface_where_it_is_transparent(mode):
    picture = halves((0, 255, 0, 255), (255, 0, 0, 0), "RGBA")
    cloud = load_points(textured({**BASE, **mode}, picture), extension="glb")
    np.testing.assert_allclose(cloud.rgb.mean(0), [0, 1, 0], atol=0.02)
    assert np.ptp(cloud.xyz[:, 0]) < 0.6 * np.ptp(cloud.xyz[:, 1])
    opaque = load_points(textured(BASE, picture), extension="glb")
    assert np.ptp(opaque.xyz[:, 0]) == pytest.approx(np.ptp(opaque.xyz[:, 1]), rel=0.05)


def test_a_surface_that_cannot_be_seen_leaves_no_trace():
    clear = {"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 0]}, "alphaMode": "BLEND"}
    scene = Scene()
    hidden = {"attributes": {"POSITION": scene.add(np.eye(3, dtype="<f4") * 99, "VEC3")}, "material": 0}
    file = scene.file(nodes=[{"mesh": 0}], meshes=[{"primitives": [scene.house(), hidden]}], materials=[clear])
    cloud = load_points(file, extension="glb")
    np.testing.assert_allclose(outline(cloud)[0], outline(load_points(HOUSE, extension="obj"))[0], atol=0.02)
    assert any("transparent" in notice for notice in cloud.notices)


def test_faces_that_a_texture_makes_invisible_do_not_set_the_scale():
    scene = Scene()
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], "<f4")
    places = np.concatenate([square, square * 40 + 20])  # the second is far away, where the texture is clear
    uv = np.array([[0, 1], [0.5, 1], [0.5, 0], [0, 0]], "<f4") * [0.9, 1]
    out = io.BytesIO()
    halves((0, 255, 0, 255), (255, 0, 0, 0), "RGBA").save(out, "PNG")
    attributes = {
        "POSITION": scene.add(places, "VEC3"),
        "TEXCOORD_0": scene.add(np.concatenate([uv, uv + np.array([0.52, 0])]).astype("<f4"), "VEC2"),
    }
    faces = np.array([0, 1, 2, 0, 2, 3, 4, 5, 6, 4, 6, 7], "<u2")
    image = {"bufferView": scene.bytes(out.getvalue()), "mimeType": "image/png"}
    cloud = load_points(
        scene.file(
            nodes=[{"mesh": 0}],
            meshes=[{"primitives": [{"attributes": attributes, "indices": scene.add(faces, "SCALAR"), "material": 0}]}],
            images=[image], textures=[{"source": 0}], materials=[{**BASE, "alphaMode": "MASK"}],
        ),
        extension="glb",
    )  # fmt: skip
    corners = np.concatenate([surface.vertices for surface in cloud.surfaces])
    assert len(corners) == 4
    assert np.abs(corners).max() < 1.5


def test_what_shines_by_itself_is_seen():
    black = {"pbrMetallicRoughness": {"baseColorFactor": [0, 0, 0, 1]}}
    dark = {**black, "emissiveFactor": [1, 1, 1], "emissiveTexture": {"index": 0}}
    picture = halves((255, 0, 0), (0, 0, 255))
    both = [load_points(textured(material, picture), extension="glb").rgb for material in (dark, BASE)]
    np.testing.assert_allclose(*both, atol=0.01)


def test_sixteen_bits_of_grey_are_scaled():
    deep = Image.fromarray(np.full((8, 8), 32_768, np.uint16))
    cloud = load_points(textured(BASE, deep), extension="glb")
    np.testing.assert_allclose(cloud.rgb, 0.5, atol=0.01)


@pytest.mark.parametrize("name", ["KHR_texture_basisu", "VENDOR_unheard_of"])
def test_what_is_required_and_not_read_is_named(name):
    with pytest.raises(MediaError, match=name):
        load_points(plain_glb(extensionsRequired=[name]), extension="glb")


# Points


rng = np.random.default_rng(3)
BALL = rng.normal(size=(300, 3)) * [1, 2, 0.5]
PAINT = rng.integers(0, 256, (300, 3))
NORMALS = np.abs(BALL) / np.linalg.norm(BALL, axis=1, keepdims=True)


def xyz(*columns, head="", part=" ", decimal=".") -> bytes:
    table = np.column_stack(columns)
    rows = [part.join(f"{x:.5f}".rstrip("0").rstrip(".").replace(".", decimal) for x in row) for row in table]
    return (head + "\n".join(rows) + "\n").encode()


POINTS = {
    "header": (xyz(BALL, PAINT, head="X Y Z R G B\n"), True),
    "named in another order": (xyz(PAINT, BALL, head="r g b x y z\n"), True),
    "count": (xyz(BALL, PAINT, head="300\n"), True),
    "count and comment": (xyz(BALL, PAINT, head="300\nscanned on a Monday\n"), True),
    "intensity": (xyz(BALL, rng.random(300), PAINT), True),
    "colours and normals": (xyz(BALL, PAINT, NORMALS), True),
    "normals and colours": (xyz(BALL, NORMALS, PAINT), True),
    "normals": (xyz(BALL, NORMALS), False),
    "commas": (xyz(BALL, PAINT, part=","), True),
    "commas and blanks": (xyz(BALL, PAINT, part=", "), True),
    "decimal commas": (xyz(BALL, part=" ", decimal=","), False),
    "decimal commas, semicolons": (xyz(BALL, PAINT, part=";", decimal=","), True),
    "tabs": (xyz(BALL, PAINT, part="\t"), True),
    "UTF-16": (xyz(BALL, PAINT).decode().encode("utf-16"), True),
}


@pytest.mark.parametrize("kind", POINTS)
def test_points_are_read(kind):
    data, coloured = POINTS[kind]
    cloud, reference = load_points(data, extension="xyz"), load_points(BALL)
    np.testing.assert_allclose(cloud.xyz, reference.xyz, atol=1e-4)
    assert cloud.has_colour == coloured
    if coloured:
        np.testing.assert_allclose(cloud.rgb, PAINT / 255, atol=1e-3)


@pytest.mark.parametrize("extension", ["npy", "ply"])
def test_points_that_are_no_numbers_are_dropped_and_counted(extension):
    broken = BALL.copy()
    broken[[3, 50, 51]] = np.nan
    out = io.BytesIO()
    np.save(out, broken)
    head = (
        "ply\nformat ascii 1.0\nelement vertex 300\n" + "".join(f"property float {a}\n" for a in "xyz") + "end_header\n"
    )
    data = (
        out.getvalue()
        if extension == "npy"
        else head.encode() + "\n".join(" ".join(map(str, p)) for p in broken).encode()
    )
    cloud = load_points(data, extension=extension)
    assert len(cloud.xyz) == 297
    assert cloud.notices == ("3 of 300 points were not numbers and were left out",)


def test_some_strays_among_thousands_do_not_set_the_scale():
    rows = np.random.default_rng(0).uniform(-1, 1, (2_000, 3))
    rows[:9] *= 500
    cloud = load_points(rows)
    assert len(cloud.xyz) == 1_991
    assert any("far from all others" in notice for notice in cloud.notices)


def test_a_fourth_colour_column_that_is_always_full_is_alpha():
    rows = np.random.default_rng(0).uniform(-1, 1, (100, 3))
    paint = np.tile([200, 30, 60, 255], (100, 1))
    np.testing.assert_allclose(load_points(np.hstack([rows, paint])).rgb[0], np.array([200, 30, 60]) / 255, atol=1e-6)


@pytest.mark.parametrize("nothing", [(-9999, -9999, -9999), (0.3, 0.1, -9999), (0, 0, 1e10), (0, 0, -4)])
def test_points_that_stand_for_nothing_seen_are_left_out(nothing):
    blind = np.tile(np.array(nothing, float), (60, 1))
    if -9999 in nothing[2:] and nothing[0] > 0:  # a grid of heights: only the height is missing
        blind[:, :2] = BALL[:60, :2]
    cloud = load_points(np.vstack([BALL[:150], blind, BALL[150:]]))
    assert cloud.notices == ("60 of 360 points stand for nothing seen and were left out",)
    np.testing.assert_allclose(cloud.xyz, load_points(BALL).xyz, atol=1e-6)


def test_repeated_points_and_flat_layers_of_a_shape_stay():
    twice = np.vstack([BALL, BALL[:1].repeat(40, 0)])
    assert len(load_points(twice).xyz) == 340
    layers = np.vstack([BALL * [1, 1, 0], BALL * [1, 1, 0] + [0, 0, 5]])
    assert len(load_points(layers).xyz) == 600


def test_faces_that_lie_on_one_another_hundreds_of_times_are_refused():
    data = ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n" + "g a\nusemtl b\nf 1 2 3\nf 1 2 4\n" * 1_000).encode()
    with pytest.raises(MediaError, match=r"cover it \d+ times over"):
        load_points(data, extension="obj")


def test_a_count_that_is_too_small_does_not_cut_a_stl():
    whole, cut = load_points(stl(TRIANGLES), extension="stl"), load_points(stl(TRIANGLES, declared=2), extension="stl")
    np.testing.assert_allclose(cut.xyz, whole.xyz)
    assert cut.notices == (f"{len(TRIANGLES)} triangles are there, not 2 as its header says: all are read",)
    tail = load_points(stl(TRIANGLES, tail=b"\xff" * 50), extension="stl")
    np.testing.assert_allclose(tail.xyz, whole.xyz)
    assert not tail.notices


def test_one_stray_point_does_not_set_the_scale():
    cloud = load_points(np.vstack([BALL, [[5_000, 0, 0]]]))
    assert "1 of 301 points lie far from all others and were left out" in cloud.notices
    np.testing.assert_allclose(cloud.xyz, load_points(BALL).xyz, atol=1e-6)


def test_splats_have_their_colour_and_the_clear_ones_are_left_out():
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    colour = (PAINT / 255 - 0.5) / 0.28209479177387814
    opacity = np.where(np.arange(300) % 3 == 0, -6.0, 4.0)
    table = np.column_stack([BALL, colour, opacity]).astype("<f4")
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 300\n"
    head += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    cloud = load_points(head.encode() + table.tobytes(), extension="ply")
    np.testing.assert_allclose(cloud.rgb, PAINT[np.arange(300) % 3 > 0] / 255, atol=1e-3)
    assert any("100 of 300 splats" in notice for notice in cloud.notices)


def test_an_obj_of_points_alone_is_a_cloud():
    data = "\n".join(f"v {' '.join(map(str, p))}" for p in BALL).encode()
    assert len(load_points(data, extension="obj").xyz) == 300


def test_faces_of_an_off_may_go_over_several_lines():
    rows = [" ".join(f"{x:g}" for x in p) for p in XYZ]
    whole = "\n".join([*rows, *(" ".join(map(str, [len(f), *f])) for f in FACES)])
    broken = "\n".join([*rows, *(f"{len(f)} {f[0]}\n" + "\n".join(map(str, f[1:])) + "\n" for f in FACES)])
    head = f"OFF\n{len(XYZ)} {len(FACES)} 0\n"
    wanted = load_points((head + whole).encode(), extension="off")
    np.testing.assert_array_equal(load_points((head + broken).encode(), extension="off").xyz, wanted.xyz)


def test_a_transparency_of_1_alone_means_opaque():
    """MeshLab writes ``Tr 1`` for every material."""
    shape = "mtllib a.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\nusemtl clear\nv 0 0 9\nf 1 2 4\n"
    materials = b"newmtl red\nKd 1 0 0\nTr 1.000000\nnewmtl clear\nKd 0 1 0\nd 0\n"
    cloud = load_points(shape.encode(), extension="obj", beside={"a.mtl": materials})
    np.testing.assert_array_equal(cloud.rgb, np.tile(np.float32([1, 0, 0]), (len(cloud.rgb), 1)))
    assert cloud.notices == ("a surface that is fully transparent was left out",)
