"""Shapes as more programs export them: each against the same shape written plainly."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from omnibind_core.errors import MediaError
from omnibind_core.media import load_points
from omnibind_core.media.sniff import sniff

from .test_strange_shapes import (
    BALL,
    BASE,
    FACES,
    GREY,
    HOUSE,
    NORMALS,
    PAINT,
    TRIANGLES,
    XYZ,
    Scene,
    glb,
    halves,
    lines,
    obj,
    plain_glb,
    ply,
    same_shape,
    stl,
    text_stl,
    xyz,
)

LOST = b"v -nan(ind) 1.#QNAN -1.#IND\n"  # as programs of Windows write what is no number


def quads_stl() -> bytes:
    loops = ["".join(f"vertex {x:g} {y:g} {z:g}\n" for x, y, z in XYZ[face]) for face in FACES]
    return ("solid\n" + "".join(f"facet\nouter loop\n{loop}endloop\nendfacet\n" for loop in loops)).encode()


def off(head: str, faces: list[str] | None = None) -> bytes:
    rows = [" ".join(map(str, [len(face), *face])) for face in FACES] if faces is None else faces
    return head.encode() + lines([[*map(float, place)] for place in XYZ]) + "\n".join(rows).encode()


NAMED = text_stl().replace(b"solid\n", b"solid facet normal vertex endfacet\n", 1)
SAME = {
    "PLY with not a number (Windows)": (
        ply(extra=[["1.#QNAN", "-nan(ind)"]] * len(XYZ), vertex=("x", "y", "z", "nx", "ny")),
        "ply",
        HOUSE,
    ),
    "PLY in UTF-16": (ply().decode().encode("utf-16"), "ply", HOUSE),
    "PLY with another name of its corners": (ply().replace(b"vertex_indices", b"indices"), "ply", HOUSE),
    "OBJ with not a number (Windows)": (obj() + LOST, "obj", HOUSE),
    "STL text on one line": (text_stl().replace(b"\n", b" "), "stl", GREY),
    "STL text with zeros behind": (text_stl() + bytes(99), "stl", GREY),
    "STL text with zeros in its name": (text_stl().replace(b"solid\n", b"solid a\0\0\n", 1), "stl", GREY),
    "STL text of quadrilaterals": (quads_stl(), "stl", GREY),
    "STL text with words in its name": (NAMED, "stl", GREY),
    "STL text without numbers for normals": (text_stl().replace(b"0 0 0", b"-nan(ind) nan 1.#IND", 1), "stl", GREY),
    "STL without its last two bytes": (stl(TRIANGLES)[:-2], "stl", GREY),
    "STL with a count of the other order": (
        stl(TRIANGLES, declared=int.from_bytes(struct.pack(">I", len(TRIANGLES)), "little")),
        "stl",
        GREY,
    ),
    "OFF with a line for each count": (off(f"OFF\n{len(XYZ)}\n{len(FACES)}\n0\n"), "off", GREY),
    "GLB whose length counts padding": (
        plain_glb()[:8] + struct.pack("<I", len(plain_glb()) + 4) + plain_glb()[12:],
        "glb",
        HOUSE,
    ),
}


@pytest.mark.parametrize("kind", SAME)
def test_it_is_the_same_shape(kind):
    same_shape(*SAME[kind])


def test_a_buffer_that_counts_its_padding_is_read():
    scene = Scene()
    house = scene.house()
    data = scene.data[:-2]  # of the last index, two bytes were padding
    tree = {"nodes": [{"mesh": 0}], "meshes": [{"primitives": [house]}], "accessors": scene.accessors}
    whole = glb({**tree, "bufferViews": scene.views}, data)
    claims = whole.replace(f'"byteLength": {len(data)}}}]'.encode(), f'"byteLength": {len(data) + 3}}}]'.encode())
    assert claims != whole
    load_points(claims, extension="glb")


# Pictures on surfaces

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
PICTURE = halves((255, 0, 0), (0, 0, 255))


def packed(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def left_is_red(cloud, share: float = 0.5) -> None:
    along = (cloud.xyz[:, 0] - cloud.xyz[:, 0].min()) / np.ptp(cloud.xyz[:, 0])
    np.testing.assert_allclose(cloud.rgb[along < share - 0.05].mean(0), [1, 0, 0], atol=0.03)
    np.testing.assert_allclose(cloud.rgb[along > share + 0.05].mean(0), [0, 0, 1], atol=0.03)


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_corners_of_ply_faces_have_places_on_several_pictures(form):
    """As MeshLab writes them: half of the square on one picture, half on another."""
    head = (
        f"ply\nformat {form} 1.0\ncomment TextureFile a.png\ncomment TextureFile b c.png\nelement vertex 4\n"
        + "".join(f"property float {axis}\n" for axis in "xyz")
        + "element face 2\nproperty list uchar int vertex_indices\nproperty list uchar float texcoord\n"
        + "property int texnumber\nend_header\n"
    )
    faces = [([0, 1, 2], [0, 0, 1, 0, 1, 1], 0), ([0, 2, 3], [0, 0, 1, 1, 0, 1], 1)]
    if form == "ascii":
        body = lines(SQUARE.tolist()) + lines([[3, *face, 6, *map(float, places), one] for face, places, one in faces])
    else:
        order = "<" if "little" in form else ">"
        body = SQUARE.astype(f"{order}f4").tobytes()
        body += b"".join(struct.pack(f"{order}B3iB6fi", 3, *face, 6, *places, one) for face, places, one in faces)
    data = head.encode() + body
    left_is_red(load_points(data, extension="ply", beside={"a.png": packed(PICTURE), "b c.png": packed(PICTURE)}))
    cloud = load_points(data, extension="ply", beside={"a.png": packed(PICTURE)})
    assert cloud.notices == ("texture b c.png is not here: grey instead",)
    below = cloud.xyz[:, 0] > cloud.xyz[:, 1] + 0.1
    assert cloud.rgb[below, 1].max() == 0
    np.testing.assert_allclose(cloud.rgb[cloud.xyz[:, 0] < cloud.xyz[:, 1] - 0.1], 0.4)


MATERIALS = {
    "one number is grey": ("Kd 0.25", [0.25] * 3),
    "a comment": ("Kd 0 1 0 # green", [0, 1, 0]),
    "commas": ("Kd 0,5 1,0 0,0", [0.5, 1, 0]),
}


@pytest.mark.parametrize("kind", MATERIALS)
def test_colours_of_materials(kind):
    line, wanted = MATERIALS[kind]
    data = b"mtllib m.mtl\nusemtl a b\n" + lines([["v", *map(float, place)] for place in XYZ])
    data += lines([["f", *(corner + 1 for corner in face)] for face in FACES])
    cloud = load_points(data, extension="obj", beside={"m.mtl": f"newmtl a b # said\n{line}\n".encode()})
    np.testing.assert_allclose(cloud.rgb.mean(0), wanted, atol=0.01)


TEXTURED = (
    b"mtllib m.mtl\nusemtl a\n"
    + lines([["v", *place] for place in SQUARE.tolist()])
    + b"vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3 4/4\n"
)


@pytest.mark.parametrize("kind", ["TGA", "DDS", "AVIF", "TIFF", "WEBP"])
def test_pictures_of_an_obj(kind):
    options = {"quality": 100} if kind == "AVIF" else {"lossless": True} if kind == "WEBP" else {}
    beside = {"m.mtl": b"newmtl a\nmap_Kd -colorspace sRGB t.x\n", "t.x": packed(PICTURE, kind, **options)}
    left_is_red(load_points(TEXTURED, extension="obj", beside=beside))


def test_a_picture_is_scaled_and_moved_as_the_material_says():
    beside = {"m.mtl": b"newmtl a\nmap_Kd -s 0.5 1 1 -o 0.25 0 0 -clamp on t.png\n", "t.png": packed(PICTURE)}
    left_is_red(load_points(TEXTURED, extension="obj", beside=beside))
    beside["m.mtl"] = b"newmtl a\nmap_Kd -s 2 1 1 -clamp on t.png\n"
    left_is_red(load_points(TEXTURED, extension="obj", beside=beside), share=0.25)


def square(material: dict, kind: str, name: str, colours: np.ndarray | None = None) -> bytes:
    scene = Scene()
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], "<f4")
    picture = packed(PICTURE, kind, **({"quality": 100} if kind == "AVIF" else {}))
    attributes = {"POSITION": scene.add(SQUARE.astype("<f4"), "VEC3"), "TEXCOORD_0": scene.add(uv, "VEC2")}
    if colours is not None:
        attributes["COLOR_0"] = scene.add(colours, "VEC4")
    faces = scene.add(np.array([0, 1, 2, 0, 2, 3], "<u2"), "SCALAR")
    return scene.file(
        nodes=[{"mesh": 0}],
        meshes=[{"primitives": [{"attributes": attributes, "indices": faces, "material": 0}]}],
        images=[{"bufferView": scene.bytes(picture), "mimeType": "image/x"}],
        textures=[{"extensions": {name: {"source": 0}}} if name else {"source": 0}],
        materials=[material],
        extensionsRequired=[name] if name else [],
    )


@pytest.mark.parametrize(("kind", "name"), [("AVIF", "EXT_texture_avif"), ("DDS", "MSFT_texture_dds")])
def test_pictures_of_a_gltf(kind, name):
    left_is_red(load_points(square(BASE, kind, name), extension="glb"))


def test_light_of_a_surface_comes_on_top_of_its_colour():
    material = {
        "pbrMetallicRoughness": {"baseColorFactor": [0.2, 0.2, 0.2, 1]},
        "emissiveTexture": {"index": 0},
        "emissiveFactor": [0.5, 0.5, 0.5],
    }
    cloud = load_points(square(material, "PNG", ""), extension="glb")
    left = cloud.xyz[:, 0] < -0.1
    np.testing.assert_allclose(cloud.rgb[left].mean(0), [0.7, 0.2, 0.2], atol=0.02)
    np.testing.assert_allclose(cloud.rgb[cloud.xyz[:, 0] > 0.1].mean(0), [0.2, 0.2, 0.7], atol=0.02)


@pytest.mark.parametrize(("mode", "seen"), [("OPAQUE", 2), ("MASK", 1), ("BLEND", 1)])
def test_triangles_whose_vertices_are_transparent(mode, seen):
    scene = Scene()
    places = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [6, 0, 0], [5, 1, 0]], "<f4")
    paint = np.array([[0, 255, 0, 255]] * 3 + [[255, 0, 0, 0]] * 3, "|u1")
    attributes = {"POSITION": scene.add(places, "VEC3"), "COLOR_0": scene.add(paint, "VEC4")}
    file = scene.file(
        nodes=[{"mesh": 0}],
        meshes=[{"primitives": [{"attributes": attributes, "material": 0}]}],
        materials=[{"alphaMode": mode}],
    )
    cloud = load_points(file, extension="glb")
    assert len(np.unique(cloud.rgb.round(1), axis=0)) == seen


def test_some_faces_of_an_off_have_a_colour():
    rows = [" ".join(map(str, [len(face), *face])) + (" 255 0 0" if len(face) == 4 else "") for face in FACES]
    cloud = load_points(off(f"OFF\n{len(XYZ)} {len(FACES)} 0\n", rows), extension="off")
    np.testing.assert_allclose(np.unique(cloud.rgb, axis=0), [[0.4, 0.4, 0.4], [1, 0, 0]])


# Points


def rows_of(form, *columns) -> bytes:
    return "\n".join(form.format(*row) for row in np.column_stack(columns)).encode()


COUNTED = np.arange(1, 301)
POINTS = {
    "comment names the columns": (xyz(PAINT, BALL, head="# r g b x y z\n"), True),
    "CloudCompare, all it has": (
        xyz(BALL, PAINT, PAINT[:, :1] / 255, NORMALS, head="//X Y Z R G B Intensity Nx Ny Nz\n300\n"),
        True,
    ),
    "normals of a plane, in whole numbers": (xyz(BALL, np.tile([0, 0, 1], (300, 1)), PAINT), True),
    "quoted": (rows_of('"{:.5f}","{:.5f}","{:.5f}"', BALL).replace(b".", b","), False),
    "Fortran": (rows_of("{:.6E} {:.6E} {:.6E}", BALL).replace(b"E", b"D"), False),
    "numbered": (rows_of("{:.0f},{:.5f},{:.5f},{:.5f}", COUNTED, BALL), False),
    "named": (rows_of("P{:.0f} {:.5f} {:.5f} {:.5f}", COUNTED, BALL), False),
    "not a number (Windows)": (xyz(BALL) + LOST[2:], False),
}


@pytest.mark.parametrize("kind", POINTS)
def test_points_are_read(kind):
    data, coloured = POINTS[kind]
    cloud = load_points(data, extension="xyz")
    np.testing.assert_allclose(cloud.xyz, load_points(BALL).xyz, atol=1e-4)
    assert cloud.has_colour == coloured
    if coloured:
        np.testing.assert_allclose(cloud.rgb, PAINT / 255, atol=1e-3)
    said = {"numbered": "the first column numbers the points", "not a number (Windows)": "1 of 301 points were not"}
    assert any(said[kind] in notice for notice in cloud.notices) if kind in said else not cloud.notices


def test_a_table_of_numpy_under_the_names_that_libraries_give():
    table = np.zeros(300, [("positions", "<f4", 3), ("colors", "u1", 3)])
    table["positions"], table["colors"] = BALL, PAINT
    out = io.BytesIO()
    np.save(out, table)
    cloud = load_points(out.getvalue(), extension="npy")
    np.testing.assert_allclose(cloud.xyz, load_points(BALL).xyz, atol=1e-4)
    np.testing.assert_allclose(cloud.rgb, PAINT / 255, atol=1e-3)


def test_a_grid_of_heights_is_a_landscape():
    heights = np.add.outer(np.arange(6.0), np.sin(np.arange(8)))
    rows = "\n".join(" ".join(f"{height:.4f}" for height in row) for row in heights)
    head = "ncols 8\nnrows 6\nxllcorner 5\nyllcorner 5\ncellsize 2\nNODATA_value -9999\n"
    cloud = load_points((head + rows.replace("0.0000", "-9999", 1)).encode(), extension="asc")
    row, column = np.divmod(np.arange(1, 48), 8)
    places = np.column_stack([2 * column, -2 * row, heights.ravel()[1:]])
    np.testing.assert_allclose(cloud.xyz, load_points(places).xyz, atol=1e-4)


@pytest.mark.parametrize("bounds", [True, False])
def test_packed_splats(bounds):
    """As editors on the web write them: chunks of 256, with bounds of their own."""
    low, high = BALL.min(0), BALL.max(0)
    share = (BALL - low) / (high - low)
    place = share * [2047, 1023, 2047]
    place = place.round().astype(np.int64) @ [1 << 21, 1 << 11, 1]
    alpha = np.where(np.arange(300) % 3 == 0, 5, 250)
    paint = np.column_stack([PAINT, alpha]) @ [1 << 24, 1 << 16, 1 << 8, 1]
    names = [f"{end}_{axis}" for end in ("min", "max") for axis in "xyz"]
    chunk = [*low, *high]
    if bounds:
        names += [f"{end}_{axis}" for end in ("min", "max") for axis in "rgb"]
        chunk += [0, 0, 0, 1, 1, 1]
    head = "ply\nformat binary_little_endian 1.0\nelement chunk 2\n"
    head += "".join(f"property float {name}\n" for name in names) + "element vertex 300\n"
    head += "".join(f"property uint packed_{name}\n" for name in ("position", "rotation", "scale", "color"))
    rows = np.column_stack([place, place * 0, place * 0, paint]).astype("<u4")
    cloud = load_points(
        head.encode() + b"end_header\n" + np.array([chunk] * 2, "<f4").tobytes() + rows.tobytes(), extension="ply"
    )
    visible = np.arange(300) % 3 > 0
    np.testing.assert_allclose(cloud.rgb, PAINT[visible] / 255, atol=1e-3)
    np.testing.assert_allclose(cloud.xyz, load_points(BALL[visible]).xyz, atol=2e-3)
    assert cloud.notices == ("100 of 300 splats are nearly transparent and were left out",)


def test_what_is_not_read_is_named():
    curved = b"\n".join(b"v %d %d %d" % (i, i * i, i % 3) for i in range(9))
    cloud = load_points(curved + b"\ncstype bspline\ndeg 1 1\nsurf 0 1 0 1 1 2 3 4\nend\n", extension="obj")
    assert cloud.notices == ("curved surfaces (NURBS) are not read: what is seen are points and flat faces",)
    with pytest.raises(MediaError, match=r"glTF version '1\.0'"):
        load_points(b'{"meshes": {"a": {"primitives": []}}, "buffers": {"b": {}}}', extension="gltf")
    with pytest.raises(MediaError, match="the binary form, which is not read"):
        load_points(b"OFF BINARY\n" + bytes(64), extension="off")


def test_numbers_that_look_like_frames_of_sound_are_not_called_so():
    frames = [bytes.fromhex(head) for head in ("ffff64ac", "ffffb5d0", "ffffa5ba")]
    data = b"[points]\n\0" + b"".join(
        head.ljust(size, b"\0") for head, size in zip(frames, (192, 352, 320), strict=True)
    )
    assert sniff(data + bytes(400), len(data) + 400)[0] == "unknown"
