"""The point encoder: even thinning, groups, and vectors that neither order, number nor place of the points decide."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists.load import tower
from omnibind_core.specialists.point_encoder import (
    GROUPS,
    SAMPLES,
    SPECS,
    WIDTH,
    Network,
    build,
    even,
    farthest,
    group,
    groups_of,
    sphere,
)
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import PointCloud

SHAPES = assets_directory() / "gallery" / "shapes"
NAMES = ("chair-1", "dog-1", "bicycle-1", "piano-1", "tree-1", "bus-1")


@pytest.fixture(scope="module")
def clouds():
    return [load(SHAPES / f"{name}.glb", "point") for name in NAMES]


@pytest.fixture(scope="module")
def encoder():
    return tower("point_encoder")


def thinned(cloud: PointCloud, count: int, seed: int = 1) -> PointCloud:
    rows = np.random.default_rng(seed).choice(len(cloud.xyz), count, replace=False)
    return PointCloud(cloud.xyz[rows], cloud.rgb[rows], (), cloud.has_colour)


def test_farthest_points_are_far_from_each_other():
    line = torch.arange(9.0)[:, None] * torch.tensor([1.0, 0.0, 0.0])
    assert farthest(torch.stack([line, line.flip(0)]), 3).tolist() == [[0, 8, 4], [0, 8, 4]]
    cube = torch.rand(1, 500, 3, generator=torch.Generator().manual_seed(0))
    far = cube[0][farthest(cube, 20)[0]]
    assert torch.pdist(far).min() > 3 * torch.pdist(cube[0, :20]).min()


def test_dense_clouds_are_thinned_and_thin_ones_left_alone():
    points = torch.rand(6000, 6, generator=torch.Generator().manual_seed(1))
    kept = even(points)
    assert kept.shape == (SAMPLES, 6)
    assert torch.equal(kept, even(points))
    assert torch.equal(even(points[:100]), points[:100])
    assert torch.equal(even(points, 64), even(points, 128)[:64])


def test_groups_hold_the_nearest_points_about_their_centres():
    points = torch.rand(2, 200, 6, generator=torch.Generator().manual_seed(2))
    points[..., :3] = sphere(points[..., :3])
    assert points[..., :3].norm(dim=2).amax(1) == pytest.approx(torch.ones(2))
    centres = farthest(points[..., :3], 8)
    groups = group(points, centres)
    assert groups.shape == (2, 8, 16, 9)
    middle = points[1, centres[1, 3], :3]
    nearest = (points[1, :, :3] - middle).norm(dim=1).sort().values[:16]
    assert (groups[1, 3, :, 3:6] - middle).norm(dim=1).sort().values == pytest.approx(nearest, abs=1e-4)
    assert groups[1, 3, :, :3] == pytest.approx(5 * (groups[1, 3, :, 3:6] - middle), abs=1e-4)
    assert groups[..., 6:].abs().max() <= 1


def test_it_is_small_enough():
    assert sum(p.numel() for p in Network().parameters()) == SPECS[0].parameters < 3_000_000
    assert (assets_directory() / "mini" / "points.safetensors").stat().st_size < 6_000_000


def test_rows_are_unit_and_stand_alone(encoder, clouds):
    rows = encoder.embed("point", clouds)
    assert rows.shape == (len(clouds), WIDTH)
    assert rows.norm(dim=1) == pytest.approx(torch.ones(len(clouds)), abs=1e-5)
    assert torch.equal(rows[2], encoder.embed("point", [clouds[2]])[0])


def test_place_scale_and_surfaces_change_nothing(encoder, clouds):
    cloud = clouds[0]
    moved = PointCloud(3.0 * cloud.xyz + np.float32(7.0), cloud.rgb)
    before, after = encoder.embed("point", [cloud, moved])
    assert before @ after == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("count", [256, 512, 2048, 4096])
def test_another_density_gives_nearly_the_same(encoder, clouds, count):
    dense = encoder.embed("point", clouds)
    sparse = encoder.embed("point", [thinned(cloud, count) for cloud in clouds])
    same = (dense * sparse).sum(1)
    others = (dense @ dense.T).masked_fill(torch.eye(len(clouds)).bool(), -1)
    assert (same > others.max(1).values).all()  # still nearer to itself than to any other shape


def test_a_handful_of_points_will_do(encoder):
    few = PointCloud(np.eye(3, dtype=np.float32).repeat(3, 0), np.full((9, 3), 0.4, np.float32), (), False)
    assert groups_of(few).shape == (9, 16, 9)
    assert torch.isfinite(encoder.embed("point", [few])).all()
    assert GROUPS == 64


def test_other_modalities_are_refused(encoder):
    with pytest.raises(OmniBindError, match="'point'"):
        encoder.embed("image", [])


def test_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "points.safetensors"
    save_file({"first": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match="do not fit"):
        build(SPECS[0], {"model": path}, {}, torch.device("cpu"), torch.float32)
