from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import trimesh

from omnibind_core.errors import MediaError
from omnibind_core.media import limits, load_points
from omnibind_core.media.points import FORMATS
from omnibind_core.types import PointCloud

from .makers import ball, mesh_file, npy, zipped

CLOUD = np.random.default_rng(1).normal(size=(500, 3))
RED = np.array([255, 0, 0])


def shape_file(extension: str) -> bytes:
    if extension == "npy":
        return npy(CLOUD)
    if extension in ("xyz", "pts", "asc"):
        return "".join(f"{x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in CLOUD).encode()
    if extension == "gltf":
        files = trimesh.exchange.gltf.export_gltf(ball(), embed_buffers=True, merge_buffers=True)
        return bytes(files["model.gltf"])
    if extension == "zip":
        return zipped({"ball.obj": mesh_file("obj")})
    return mesh_file(extension)


def check(cloud: PointCloud) -> None:
    """What every cloud promises."""
    assert cloud.xyz.dtype == cloud.rgb.dtype == np.float32
    assert cloud.xyz.shape == cloud.rgb.shape
    np.testing.assert_allclose(cloud.xyz.mean(axis=0), 0, atol=1e-4)
    assert np.linalg.norm(cloud.xyz, axis=1).max() == pytest.approx(1, abs=1e-4)
    assert 0 <= cloud.rgb.min() <= cloud.rgb.max() <= 1
    for surface in cloud.surfaces:
        assert surface.faces.dtype == np.int32
        assert 0 <= surface.faces.min() <= surface.faces.max() < len(surface.vertices)
        assert surface.rgb.shape == surface.vertices.shape


@pytest.mark.parametrize("extension", FORMATS)
def test_each_format(extension: str) -> None:
    cloud = load_points(shape_file(extension), extension=extension)
    check(cloud)
    assert not cloud.has_colour
    assert (cloud.rgb == np.float32(limits.GREY)).all()
    if extension in ("npy", "xyz", "pts", "asc"):
        assert len(cloud.xyz) == 500
        assert not cloud.surfaces
    else:
        assert len(cloud.xyz) == limits.POINTS
        assert sum(len(surface.faces) for surface in cloud.surfaces) == len(ball().faces)
        np.testing.assert_allclose(np.linalg.norm(cloud.xyz, axis=1), 1, atol=0.06)  # a ball's surface


@pytest.mark.parametrize("name", ["Bunny.obj", "Duck.glb", "Fox.gltf", "face.obj", "sofia.stl"])
def test_real_shapes(assets: Path, name: str) -> None:
    cloud = load_points(assets / "models3d" / name)
    check(cloud)
    assert cloud.has_colour == (name in ("Duck.glb", "Fox.gltf", "face.obj"))


def test_same_file_same_points() -> None:
    first, second = (load_points(mesh_file("stl")) for _ in range(2))
    np.testing.assert_array_equal(first.xyz, second.xyz)


def test_points_follow_the_area() -> None:
    small, large = trimesh.creation.box((1, 1, 1)), trimesh.creation.box((3, 3, 3))
    large.apply_translation([10, 0, 0])
    cloud = load_points(mesh_file("ply", trimesh.util.concatenate([small, large])))
    share = (cloud.xyz[:, 0] < np.median([cloud.xyz[:, 0].min(), cloud.xyz[:, 0].max()])).mean()
    assert share == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize(("up", "axis"), [("x", 0), ("y", 1), ("z", 2)])
def test_up(up: str, axis: int) -> None:
    """A tall box stands along Y whichever axis was up, and is turned, not mirrored."""
    sides = np.ones(3)
    sides[axis] = 5
    box = trimesh.creation.box(sides)
    cloud = load_points(mesh_file("stl", box), up=up)  # type: ignore[arg-type]
    assert np.ptp(cloud.xyz, axis=0).argmax() == 1
    surface = cloud.surfaces[0]
    assert trimesh.Trimesh(surface.vertices, surface.faces).volume > 0
    with pytest.raises(MediaError, match="axis that points up"):
        load_points(CLOUD, up="w")  # type: ignore[arg-type]


def test_z_up_keeps_the_top_on_top() -> None:
    points = np.vstack([CLOUD * 0.1, [[0, 0, 1]]])
    assert load_points(points, up="z").xyz[-1].argmax() == 1


@pytest.mark.parametrize("extension", ["ply", "obj", "glb"])
def test_vertex_colours(extension: str) -> None:
    cloud = load_points(mesh_file(extension, ball(coloured=True)), extension=extension)
    assert cloud.has_colour
    np.testing.assert_allclose(cloud.rgb, [[1, 0, 0]] * len(cloud.rgb), atol=0.01)
    np.testing.assert_allclose(cloud.surfaces[0].rgb, [[1, 0, 0]] * len(cloud.surfaces[0].rgb), atol=0.01)


def test_face_colours() -> None:
    mesh = trimesh.creation.box()
    mesh.visual.face_colors = np.where(mesh.face_normals[:, [1]] > 0.5, [255, 0, 0, 255], [0, 0, 255, 255])
    cloud = load_points(mesh_file("ply", mesh))
    top = cloud.xyz[:, 1] > cloud.xyz[:, 1].max() - 1e-3
    np.testing.assert_allclose(cloud.rgb[top].mean(axis=0), [1, 0, 0], atol=0.01)
    np.testing.assert_allclose(cloud.rgb[~top].mean(axis=0), [0, 0, 1], atol=0.01)


def test_point_clouds_of_ply() -> None:
    colours = np.tile([255, 0, 0, 255], (len(CLOUD), 1)).astype(np.uint8)
    for encoding in ("ascii", "binary"):
        data = trimesh.PointCloud(CLOUD, colors=colours).export(file_type="ply", encoding=encoding)
        cloud = load_points(data if isinstance(data, bytes) else data.encode())
        check(cloud)
        assert cloud.xyz.shape == CLOUD.shape
        assert cloud.rgb[0].tolist() == [1, 0, 0]
        assert not cloud.surfaces


@pytest.mark.parametrize("scale", [1, 255])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "f2"])
def test_arrays_with_colours(scale: int, dtype: str) -> None:
    rgb = np.random.default_rng(2).random((500, 3)) * scale
    array = np.hstack([CLOUD, rgb]).astype(dtype)
    cloud = load_points(array)
    check(cloud)
    np.testing.assert_allclose(cloud.rgb, rgb / scale, atol=0.01)
    np.testing.assert_array_equal(load_points(npy(array)).xyz, cloud.xyz)
    np.testing.assert_array_equal(load_points(npy(np.asfortranarray(array))).rgb, cloud.rgb)


def test_normals_are_not_colours() -> None:
    assert not load_points(np.hstack([CLOUD, CLOUD])).has_colour


def test_dense_clouds_are_thinned() -> None:
    dense = np.random.default_rng(3).normal(size=(30_000, 3))
    cloud = load_points(npy(dense))
    assert len(cloud.xyz) == limits.POINTS
    check(cloud)


def test_xyz_variants() -> None:
    lines = [f"{x:.3f}, {y:.3f}; {z:.3f}\t255 0 0\r\n" for x, y, z in CLOUD]
    cloud = load_points(("\ufeff# x y z r g b\n" + "".join(lines)).encode(), extension="xyz")
    assert cloud.rgb[0].tolist() == [1, 0, 0]


def test_decoded_and_trimesh_objects() -> None:
    cloud = load_points(CLOUD)
    assert load_points(cloud) is cloud
    check(load_points(ball(coloured=True)))


def test_stray_vertices_do_not_set_the_scale() -> None:
    cloud = load_points(b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1e9 1e9 1e9\nf 1 2 3\n", extension="obj")
    check(cloud)
    assert np.ptp(cloud.xyz[:, 0]) > 0.5


HEADER = (
    b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
)
FACES = b"element face %d\nproperty list uchar int vertex_indices\nend_header\n"


@pytest.mark.parametrize(
    ("extension", "data", "words"),
    [
        ("obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "3 points. Allowed: at least 8 points"),
        ("obj", b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not numbers"),
        ("obj", b"v 1e300 0 0\nv -1e308 0 0\nv 0 1e308 0\nf 1 2 3\n", "longest side"),
        ("obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "no area"),
        ("obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 30\n", "indices within its 3 vertices"),
        ("obj", b"v 0 0 0\n" + b"f 1 1 1\n" * 2_000_001, "2,000,001 faces. Allowed: at most 2,000,000 faces"),
        ("ply", HEADER + FACES % 5_000_000 + bytes(100), "5,000,000 faces"),
        ("ply", HEADER + FACES % 900_000 + bytes(100), "announces at least"),
        ("ply", HEADER.replace(b"vertex 3", b"vertex " + b"9" * 30) + b"end_header\n", "points"),
        ("ply", b"ply\nformat ascii 1.0\n", "no end_header"),
        ("stl", bytes(84), "no faces"),
        ("stl", bytes(80) + (2_500_000).to_bytes(4, "little") + bytes(500), "take 125,000,084 bytes"),
        ("stl", b"solid nothing\nendsolid\n" + bytes(80), "no faces"),
        ("off", b"OFF\n1000000 2000000 0\n0 0 0\n", "fewer lines"),
        ("off", b"OFF\n-3 -1 0\n0 0 0\n", "no counts"),
        ("npy", npy(np.full((100, 3), np.nan)), "not numbers"),
        ("npy", npy(np.ones((100, 3))), "coincide"),
        ("npy", npy(np.ones((100, 13))), "of shape (100, 13)"),
        ("npy", npy(np.ones((100, 3), complex)), "complex128"),
        ("npy", npy(np.ones((4, 3))), "4 points. Allowed: at least 8 points"),
        ("npy", npy(CLOUD)[:1_000], "damaged"),
        ("npy", npy(np.array({"xyz": CLOUD, "rgb": CLOUD}, dtype=object), allow_pickle=True), "pickled"),
        ("xyz", b"hello there world\n" * 10, "no line of numbers"),
        ("xyz", b"0 0\n1 1\n" * 10, "2 columns"),
        ("xyz", b"\n\n# nothing\n", "no line of numbers"),
        ("glb", b"7z\xbc\xaf'\x1c" + bytes(1_000), "7-Zip archive"),
        ("zip", b"PK\x03\x04" + bytes(1_000), "damaged"),
    ],
)
def test_bad_shapes(extension: str, data: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=re.escape(words)):
        load_points(data, extension=extension)


def test_a_file_that_is_given_alone_reads_nothing_beside_it(tmp_path: Path) -> None:
    """What lies in the folder of an upload may belong to somebody else."""
    (tmp_path / "red.mtl").write_text("newmtl red\nKd 1 0 0\n")
    path = tmp_path / "tri.obj"
    path.write_text("mtllib red.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert load_points(path).has_colour
    alone = load_points(path, beside={})
    assert not alone.has_colour
    assert alone.notices == ("materials red.mtl are not here: grey instead",)
