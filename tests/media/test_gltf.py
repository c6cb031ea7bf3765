from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import trimesh

from omnibind_core.errors import MediaError
from omnibind_core.media import load_points
from omnibind_core.types import PointCloud

from .makers import TRIANGLE, bomb_png, encoded, glb, gltf_tree

QUAD = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], "<f4")
QUAD_UV = np.array([[0, 1], [1, 1], [0, 0], [1, 0]], "<f4")  # glTF: v downwards, so the picture stands upright
STRIP = 5


def quad(picture: bytes | None = None, material: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A square as a triangle strip, upright in the XY plane, with a picture on it."""
    attributes = {"POSITION": 0, "TEXCOORD_0": 1}
    primitive: dict[str, Any] = {"attributes": attributes, "mode": STRIP}
    if material is not None:
        primitive["material"] = 0
    tree = gltf_tree(
        meshes=[{"primitives": [primitive]}],
        accessors=[
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC2"},
        ],
        materials=[material or {}],
        textures=[{"source": 0}],
        images=[{"bufferView": 2, "mimeType": "image/png"}] if picture else [],
        **changes,
    )
    return glb(tree, QUAD.tobytes(), QUAD_UV.tobytes(), *([picture] if picture else []))


def two_by_two() -> bytes:
    """Red, green on top; blue, white below."""
    rgb = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return encoded(PIL.Image.fromarray(rgb).resize((64, 64), PIL.Image.Resampling.NEAREST), "png")


def quarter(cloud: PointCloud, x: int, y: int) -> np.ndarray:
    """Mean colour of one quarter of the square, away from its seams."""
    mine = (cloud.xyz[:, 0] * x > 0.1) & (cloud.xyz[:, 1] * y > 0.1)
    return cloud.rgb[mine].mean(axis=0)


TEXTURED = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}


def test_textures_stand_upright() -> None:
    cloud = load_points(quad(two_by_two(), TEXTURED))
    assert cloud.has_colour
    np.testing.assert_allclose(quarter(cloud, -1, 1), [1, 0, 0], atol=0.06)
    np.testing.assert_allclose(quarter(cloud, 1, 1), [0, 1, 0], atol=0.06)
    np.testing.assert_allclose(quarter(cloud, -1, -1), [0, 0, 1], atol=0.06)
    surface = cloud.surfaces[0]
    assert surface.texture is not None
    assert surface.uv is not None
    assert surface.texture[0, 0].tolist() == [255, 0, 0]
    corner = int(np.argmin(surface.vertices[:, 0] - surface.vertices[:, 1]))  # top left
    assert surface.uv[corner].tolist() == [0, 1]


def test_factor_multiplies_texture() -> None:
    base = {"baseColorTexture": {"index": 0}, "baseColorFactor": [0.5, 0.5, 1, 1]}
    cloud = load_points(quad(two_by_two(), {"pbrMetallicRoughness": base}))
    np.testing.assert_allclose(quarter(cloud, -1, 1), [0.5, 0, 0], atol=0.03)
    np.testing.assert_allclose(quarter(cloud, 1, -1), [0.5, 0.5, 1], atol=0.06)


def test_factor_alone_and_nothing() -> None:
    cloud = load_points(quad(None, {"pbrMetallicRoughness": {"baseColorFactor": [0.2, 0.4, 0.6, 1]}}))
    np.testing.assert_allclose(cloud.rgb.mean(axis=0), [0.2, 0.4, 0.6], atol=1e-3)
    assert cloud.has_colour
    assert not load_points(quad(None, {})).has_colour
    specular = {"extensions": {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [1, 0, 0, 1]}}}
    assert load_points(quad(None, specular)).rgb[0].tolist() == [1, 0, 0]


def test_texture_transform() -> None:
    shift = {"KHR_texture_transform": {"offset": [0.5, 0], "scale": [0.5, 0.5]}}
    material = {"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, "extensions": shift}}}
    cloud = load_points(quad(two_by_two(), material))
    np.testing.assert_allclose(quarter(cloud, -1, -1), [0, 1, 0], atol=0.1)


def test_damaged_textures_lose_colour_only() -> None:
    assert not load_points(quad(b"\x89PNG\r\n\x1a\n" + bytes(50), TEXTURED)).has_colour
    assert not load_points(quad(two_by_two()[:100], TEXTURED)).has_colour


def test_transforms_and_instances() -> None:
    """Two triangles, one 10 to the right by two nested nodes, one mirrored by its scale."""
    nodes = [
        {"children": [1], "translation": [4, 0, 0]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 6, 0, 0, 1]},
        {"mesh": 0, "scale": [-1, 1, 1], "rotation": [0, 0, 0, 1]},
    ]
    cloud = load_points(glb(gltf_tree(nodes=nodes, scenes=[{"nodes": [0, 2]}]), TRIANGLE))
    surface = cloud.surfaces[0]
    assert len(surface.faces) == 2
    width, height = np.ptp(surface.vertices[:, 0]), np.ptp(surface.vertices[:, 1])
    assert width / height == pytest.approx(12, rel=1e-3)  # from -1 to 11
    corners = surface.vertices[surface.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).all()  # the mirrored one was turned round


def test_agrees_with_trimesh_on_real_files(assets: Path) -> None:
    for name in ("Duck.glb", "Fox.gltf"):
        cloud, scene = load_points(assets / "models3d" / name), trimesh.load(assets / "models3d" / name)
        extents = np.ptp(cloud.surfaces[0].vertices, axis=0)
        np.testing.assert_allclose(extents / extents.max(), scene.extents / scene.extents.max(), atol=1e-4)
    assert load_points(assets / "models3d" / "Duck.glb").rgb.mean(axis=0)[2] < 0.1  # the duck is yellow


def test_quantised_and_sparse_accessors() -> None:
    shorts = (QUAD * 32_767).astype("<i2")
    accessors = [{"bufferView": 0, "componentType": 5122, "count": 4, "type": "VEC3", "normalized": True}]
    tree = gltf_tree(accessors=accessors)
    tree["meshes"][0]["primitives"][0]["mode"] = STRIP
    assert len(load_points(glb(tree, shorts.tobytes())).surfaces[0].faces) == 2
    sparse = {
        "count": 1,
        "indices": {"bufferView": 1, "componentType": 5121},
        "values": {"bufferView": 2},
    }
    tree = gltf_tree(accessors=[{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "sparse": sparse}])
    cloud = load_points(glb(tree, TRIANGLE, b"\x01", np.array([9, 0, 0], "<f4").tobytes()))
    assert np.ptp(cloud.surfaces[0].vertices[:, 0]) / np.ptp(cloud.surfaces[0].vertices[:, 1]) == pytest.approx(9)


def test_points_in_a_glb() -> None:
    xyz = np.random.default_rng(0).normal(size=(100, 3)).astype("<f4")
    tree = gltf_tree(accessors=[{"bufferView": 0, "componentType": 5126, "count": 100, "type": "VEC3"}])
    tree["meshes"][0]["primitives"][0]["mode"] = 0
    cloud = load_points(glb(tree, xyz.tobytes()))
    assert cloud.xyz.shape == (100, 3)
    assert not cloud.surfaces


def embedded(**changes: Any) -> bytes:
    uri = "data:application/octet-stream;base64," + base64.b64encode(TRIANGLE).decode()
    return json.dumps(gltf_tree(**{"buffers": [{"uri": uri, "byteLength": 36}], **changes})).encode()


def test_pictures_in_other_files_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(two_by_two())
    path = tmp_path / "tri.gltf"
    path.write_bytes(embedded(images=[{"uri": "red.png"}], textures=[{"source": 0}], materials=[TEXTURED]))
    assert not load_points(path).has_colour


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (embedded(buffers=[{"uri": "/etc/passwd", "byteLength": 36}]), "another file, '/etc/passwd'"),
        (embedded(buffers=[{"uri": "http://localhost/x.bin", "byteLength": 36}]), "another file"),
        (b'{"asset":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "damaged"),
        (b'{"meshes": []}', "no glTF asset"),
        (embedded(asset={"version": "1.0"}), "version '1.0'"),
        (embedded(extensionsRequired=["KHR_texture_basisu"]), "KHR_texture_basisu"),
        (
            glb(
                gltf_tree(nodes=[{"mesh": 0, "translation": [i, 0, 0]} for i in range(20_000)],
                          scenes=[{"nodes": list(range(20_000))}]),
                TRIANGLE,
            ),
            "more than 10,000 nodes (the file has 20,000)",
        ),
        (glb(gltf_tree(nodes=[{"mesh": 0, "children": [0]}]), TRIANGLE), "more than 10,000 nodes"),
        (glb(gltf_tree(nodes=[*({"children": [i + 1] * 2} for i in range(60)), {"mesh": 0}]), TRIANGLE), "nodes"),
        (glb(gltf_tree(accessors=[{"componentType": 5126, "count": 4 * 10**9, "type": "VEC3"}]), TRIANGLE), "faces"),
        (
            glb(gltf_tree(accessors=[{"bufferView": 0, "componentType": 5126, "count": 9, "type": "VEC3"}]), TRIANGLE),
            "damaged",
        ),
        (glb(gltf_tree(nodes=[{"mesh": 7}]), TRIANGLE), "there is no meshes[7]"),
        (glb(gltf_tree(nodes=[]), TRIANGLE), "there is no nodes[0]"),
        (glb(gltf_tree(scenes=[{"nodes": []}]), TRIANGLE), "no faces"),
        (glb(gltf_tree(), TRIANGLE)[:-20], "bytes are there"),
        (glb(gltf_tree(), np.full(9, np.nan, "<f4").tobytes()), "not numbers"),
        (quad(bomb_png(13_000, 13_000), TEXTURED), "13,000 x 13,000 pixels, 169.0 megapixels"),
        (b"glTF" + (2).to_bytes(4, "little") + (12).to_bytes(4, "little"), "damaged"),
        (b"glTF" + (1).to_bytes(4, "little") + (12).to_bytes(4, "little"), "glTF version 1"),
    ],
)  # fmt: skip
def test_hostile_scenes(data: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=re.escape(words)):
        load_points(data)
