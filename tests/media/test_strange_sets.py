"""Shapes in several files, under names as programs and people write them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_points

from .makers import encoded, gltf_tree

RED = encoded(PIL.Image.new("RGB", (8, 8), (200, 20, 20)), "png")
CORNERS = (
    np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes() + np.array([[0, 0], [1, 0], [0, 1]], "<f4").tobytes()
)
SHAPE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl wood\nf 1/1 2/2 3/3\n"


def gltf(binary: str, picture: str) -> bytes:
    """A triangle whose positions, coordinates and picture lie in other files."""
    tree = gltf_tree(
        buffers=[{"uri": binary, "byteLength": len(CORNERS)}],
        bufferViews=[
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 24},
        ],
        accessors=[
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2"},
        ],
        images=[{"uri": picture}],
        textures=[{"source": 0}],
        materials=[{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        meshes=[{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}]}],
    )
    return json.dumps(tree).encode()


def obj(library: str, picture: str) -> tuple[bytes, bytes]:
    return f"mtllib {library}\n{SHAPE}".encode(), f"newmtl wood\nKd 1 1 1\nmap_Kd {picture}\n".encode()


def packed(files: dict[str, bytes], backslashes: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.filename = name.replace("/", "\\") if backslashes else name
            archive.writestr(entry, data)
    return out.getvalue()


def ways(files: dict[str, bytes], main: str, folder: Path) -> list[tuple[object, dict[str, object]]]:
    """From a folder, as archives of several makes, and given together."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    together = {name: data for name, data in files.items() if name != main}
    return [
        (folder / main, {}),
        (packed({f"My chair/{name}": data for name, data in files.items()}), {}),
        (packed({f"./{name}": data for name, data in files.items()}), {}),
        (packed({f"a/{name}": data for name, data in files.items()}, backslashes=True), {}),
        (files[main], {"beside": together, "extension": Path(main).suffix}),
    ]


def check(files: dict[str, bytes], main: str, folder: Path, notice: str = "") -> None:
    for source, options in ways(files, main, folder):
        cloud = load_points(source, **options)  # type: ignore[arg-type]
        assert cloud.has_colour
        np.testing.assert_allclose(cloud.rgb.mean(axis=0) * 255, (200, 20, 20), atol=2)
        assert (notice in " ".join(cloud.notices)) if notice else not cloud.notices


# names in the file, names on the disk
NAMES = {
    "blanks": ("my chair.bin", "dark wood.png", "my chair.bin", "dark wood.png"),
    "percent signs": ("my%20chair.bin", "dark%20wood.png", "my chair.bin", "dark wood.png"),
    "percent signs that are meant": ("a%20b.bin", "c%23d.png", "a%20b.bin", "c%23d.png"),
    "other case": ("chair.bin", "wood.png", "CHAIR.BIN", "WOOD.PNG"),
    "backslashes": ("data\\chair.bin", "tex\\wood.png", "data/chair.bin", "tex/wood.png"),
    "dots": ("./data/chair.bin", "./tex/../tex/wood.png", "data/chair.bin", "tex/wood.png"),
    "a query": ("chair.bin?v=1", "wood.png?v=2", "chair.bin", "wood.png"),
    "marks apart": ("stu\u0308hl.bin", "ho\u0308lz.png", "st\u00fchl.bin", "h\u00f6lz.png"),
    "marks together": ("st\u00fchl.bin", "h\u00f6lz.png", "stu\u0308hl.bin", "ho\u0308lz.png"),
    "another disk": ("C:\\Users\\bob\\chair.bin", "/home/bob/wood.png", "chair.bin", "wood.png"),
    "an address of a file": (
        "file:///home/bob/chair.bin",
        "file:///home/bob/my%20wood.png",
        "chair.bin",
        "my wood.png",
    ),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_gltf_finds_its_files(kind: str, tmp_path: Path) -> None:
    binary, picture, real_binary, real_picture = NAMES[kind]
    check({"chair.gltf": gltf(binary, picture), real_binary: CORNERS, real_picture: RED}, "chair.gltf", tmp_path)


@pytest.mark.parametrize("kind", NAMES)
def test_an_obj_finds_its_files(kind: str, tmp_path: Path) -> None:
    library, picture, real_library, real_picture = (
        name.replace(".bin", ".mtl").replace(".BIN", ".MTL") for name in NAMES[kind]
    )
    shape, materials = obj(library, picture)
    check({"chair.obj": shape, real_library: materials, real_picture: RED}, "chair.obj", tmp_path)


def test_pictures_lie_beside_the_materials(tmp_path: Path) -> None:
    shape, materials = obj("mat\\chair.mtl", "tex\\wood.png")
    check({"chair.obj": shape, "mat/chair.mtl": materials, "mat/tex/wood.png": RED}, "chair.obj", tmp_path)


def test_a_picture_of_another_format_is_used_and_said(tmp_path: Path) -> None:
    picture = encoded(PIL.Image.new("RGB", (8, 8), (200, 20, 20)), "bmp")
    files = {"chair.gltf": gltf("chair.bin", "wood.png"), "chair.bin": CORNERS, "wood.bmp": picture}
    check(files, "chair.gltf", tmp_path, "wood.png is not here: the .bmp of that name is used")


@pytest.mark.parametrize("library", ["chair.mtl", "old name.mtl"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_materials_that_are_not_named_or_renamed(library: str, encoding: str, tmp_path: Path) -> None:
    shape, materials = obj(library, "wood.png")
    if library == "chair.mtl":
        shape = SHAPE.replace("usemtl wood", "usemtl Wood").encode()
    files = {"chair.obj": shape, "chair.mtl": materials.decode().encode(encoding), "wood.png": RED}
    check(files, "chair.obj", tmp_path, "the one .mtl beside it")


def test_a_bin_under_another_name_fits_or_not() -> None:
    shape = gltf("chair.bin", "wood.png")
    cloud = load_points(shape, extension="gltf", beside={"scene.bin": CORNERS, "wood.png": RED})
    assert "the one .bin beside it fits" in " ".join(cloud.notices)
    for others in ({"scene.bin": CORNERS + bytes(4)}, {"a.bin": CORNERS, "b.bin": CORNERS}, {}):
        with pytest.raises(MediaError, match=r"'chair\.bin', that is not here"):
            load_points(shape, extension="gltf", beside={**others, "wood.png": RED})


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "wood.png").write_bytes(RED)
    (inside / "link.png").symlink_to(tmp_path / "wood.png")
    (inside / "chair.bin").write_bytes(CORNERS)
    for name in ("../wood.png", str(tmp_path / "wood.png"), "link.png", "https://example.com/wood.png"):
        (inside / "chair.gltf").write_bytes(gltf("chair.bin", name))
        cloud = load_points(inside / "chair.gltf")
        assert "is missing or cannot be read: grey" in cloud.notices[0]
        assert not cloud.has_colour
