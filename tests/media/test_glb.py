"""What people see of a shape is what the towers were given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from omnibind_core.media import load_points
from omnibind_core.media.glb import glb
from omnibind_core.store.paths import assets_directory

from .makers import mesh_file

SHAPES = assets_directory() / "gallery" / "shapes"


def tree(data: bytes) -> dict[str, object]:
    length = int.from_bytes(data[12:16], "little")
    found: dict[str, object] = json.loads(data[20 : 20 + length])
    return found


@pytest.mark.parametrize("name", ["dog-1.glb", "chair-1.glb"])
def test_a_mesh_keeps_form_and_colour(name: str) -> None:
    cloud = load_points(SHAPES / name)
    again = load_points(glb(cloud), extension="glb")
    distance, nearest = cKDTree(cloud.xyz).query(again.xyz)
    assert distance.mean() < 0.02
    textured = [one for one in cloud.surfaces if one.texture is not None]
    if len(textured) == len(cloud.surfaces):
        assert np.abs(cloud.rgb[nearest] - again.rgb).mean() < 0.03


def test_a_shape_without_colours_is_grey_and_nothing_is_metal() -> None:
    cloud = load_points(mesh_file("stl"), extension="stl")
    assert not cloud.has_colour
    written = tree(glb(cloud))
    materials = written["materials"]
    assert isinstance(materials, list)
    for one in materials:
        assert one["pbrMetallicRoughness"]["metallicFactor"] == 0
        assert one["doubleSided"]
    seen = load_points(glb(cloud), extension="glb")
    assert np.ptp(seen.rgb, axis=0).max() < 0.02
    assert 0.05 < seen.rgb.mean() < 0.6


def test_points_are_beads_and_many_are_thinned(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(9_000, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", points)
    cloud = load_points(tmp_path / "a.npy")
    data = glb(cloud)
    assert len(data) < 1_500_000
    seen = load_points(data, extension="glb")
    assert cKDTree(cloud.xyz).query(seen.xyz)[0].mean() < 0.05


def test_the_axis_that_is_up_is_up_in_what_is_shown(tmp_path: Path) -> None:
    flat = np.random.default_rng(0).uniform(-1, 1, (2_000, 3)) * (1, 1, 0.05)
    np.save(tmp_path / "a.npy", flat.astype(np.float32))
    for up, thin in (("y", 2), ("z", 1)):
        seen = load_points(glb(load_points(tmp_path / "a.npy", up=up)), extension="glb")
        assert int(np.argmin(seen.xyz.std(axis=0))) == thin
