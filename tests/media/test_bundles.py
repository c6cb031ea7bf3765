"""Shapes in several files: from a folder, given together, or in one archive; and nothing from anywhere else."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnibind_core.errors import MediaError
from omnibind_core.media import limits, load_points

from .makers import zipped

SQUARE = b"""mtllib square.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl paint
f 1/1 2/2 3/3 4/4
"""
PAINT = b"newmtl paint\nKd 0 0 0\nmap_Kd -clamp on pictures/blue sky.png\n"


def picture(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(out, "PNG")
    return out.getvalue()


BLUE = picture((0, 0, 255))


def lay_out(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


FILES = {"square.obj": SQUARE, "square.mtl": PAINT, "pictures/blue sky.png": BLUE}


def gltf(picture_name: str = "wood.png", buffer: str = "shape.bin") -> tuple[bytes, bytes]:
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()
    uv = np.array([[0, 0], [1, 0], [0, 1]], "<f4").tobytes()
    tree = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 24},
        ],
        "buffers": [{"uri": buffer, "byteLength": 60}],
        "images": [{"uri": picture_name}],
        "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    }
    return json.dumps(tree).encode(), positions + uv


def is_blue(cloud) -> bool:
    return cloud.has_colour and np.allclose(cloud.rgb, [0, 0, 1], atol=0.01)


def test_an_obj_finds_its_materials_and_pictures_in_its_folder(tmp_path):
    cloud = load_points(lay_out(tmp_path, FILES) / "square.obj")
    assert is_blue(cloud)
    assert cloud.notices == ()
    assert cloud.surfaces[0].wrap == ("clamp", "clamp")


def test_names_of_other_cases_and_slashes_are_found(tmp_path):
    files = {**FILES, "square.mtl": PAINT.replace(b"pictures/blue sky.png", b"Pictures\\BLUE SKY.PNG")}
    assert is_blue(load_points(lay_out(tmp_path, files) / "square.obj"))


def test_a_gltf_finds_its_buffer_and_picture(tmp_path):
    tree, data = gltf()
    folder = lay_out(tmp_path, {"a.gltf": tree, "shape.bin": data, "wood.png": BLUE})
    assert is_blue(load_points(folder / "a.gltf"))


@pytest.mark.parametrize("lost", ["square.mtl", "pictures/blue sky.png"])
def test_what_is_missing_is_said_and_the_shape_is_grey(tmp_path, lost):
    cloud = load_points(lay_out(tmp_path, {n: d for n, d in FILES.items() if n != lost}) / "square.obj")
    assert any(Path(lost).name in notice and "grey" in notice for notice in cloud.notices)
    assert not is_blue(cloud)


def test_files_given_together_need_no_folder(tmp_path):
    blob = lay_out(tmp_path, {"upload-1": SQUARE}) / "upload-1"
    beside = {"square.mtl": PAINT, "blue sky.png": BLUE}
    assert is_blue(load_points(blob.read_bytes(), extension="obj", beside=beside))


def test_an_archive_is_a_shape(tmp_path):
    inside = {f"kit/models/{name}": data for name, data in FILES.items()}
    assert is_blue(load_points(zipped({**inside, "__MACOSX/kit/._square.obj": b"x"})))
    (tmp_path / "kit.zip").write_bytes(zipped(inside))
    assert is_blue(load_points(tmp_path / "kit.zip"))


def test_an_archive_may_keep_pictures_above_its_shapes():
    tree, data = gltf("../textures/wood.png")
    assert is_blue(load_points(zipped({"m/a.gltf": tree, "m/shape.bin": data, "textures/wood.png": BLUE})))


def test_of_several_shapes_one_is_read_and_said():
    cloud = load_points(zipped({"b.obj": SQUARE, "a.obj": SQUARE}))
    assert any("2 shapes are in the archive: a.obj was read" in notice for notice in cloud.notices)


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/hostname", "http://127.0.0.1/x.png", "C:\\x.png", "a\0b.png", ""]
)
def test_nothing_outside_the_folder_is_read(tmp_path, name):
    lay_out(tmp_path, {"secret.png": BLUE})
    tree, data = gltf(name)
    folder = lay_out(tmp_path / "inside", {"a.gltf": tree, "shape.bin": data})
    assert not load_points(folder / "a.gltf").has_colour
    tree, data = gltf(buffer=name or "none.bin")
    folder = lay_out(tmp_path / "inside", {"b.gltf": tree})
    with pytest.raises(MediaError, match="another file"):
        load_points(folder / "b.gltf")


def test_a_link_that_leads_outside_is_not_followed(tmp_path):
    lay_out(tmp_path, {"secret.png": BLUE})
    tree, data = gltf()
    folder = lay_out(tmp_path / "inside", {"a.gltf": tree, "shape.bin": data})
    (folder / "wood.png").symlink_to(tmp_path / "secret.png")
    assert not load_points(folder / "a.gltf").has_colour


def linked() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.obj", SQUARE)
        entry = zipfile.ZipInfo("wood.png")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/hostname")
    return out.getvalue()


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.obj", SQUARE)
        for i in range(3):
            archive.writestr(f"{i}.png", bytes(100_000_000))
    return out.getvalue()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: zipped({"readme.txt": b"hello"}), "without a shape"),
        (lambda: zipped({"a.obj": SQUARE, "b.zip": zipped(FILES)}), "archive again"),
        (lambda: zipped({"../a.obj": SQUARE}), "holds the name"),
        (linked, "is a link"),
        (bomb, "unpacks to more than 256 MB"),
        (lambda: zipped({"a.obj": SQUARE, **{f"{i}.txt": b"" for i in range(600)}}), "601 files"),
        (lambda: zipped(FILES)[:200], "damaged"),
    ],
)
def test_archives_that_are_refused(make, words):
    with pytest.raises(MediaError) as caught:
        load_points(make(), extension="zip")
    assert words in str(caught.value)


def test_a_picture_that_many_materials_share_is_unpacked_and_decoded_once():
    many = range(limits.MAX_BUNDLE_FILES + 2)
    lines = SQUARE.split(b"usemtl")[0] + b"".join(b"usemtl p%d\nf 1/1 2/2 3/3 4/4\n" % number for number in many)
    paints = b"".join(b"newmtl p%d\nmap_Kd sky.png\n" % number for number in many)
    cloud = load_points(zipped({"square.obj": lines, "square.mtl": paints, "sky.png": BLUE}))
    assert is_blue(cloud)
    assert cloud.notices == ()
    assert len(cloud.surfaces) == 1
