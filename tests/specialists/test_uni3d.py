"""Uni3D-g: names and sizes of the published weights, groups and vectors of the reference implementation.

Key list: state dict of baaivision/Uni3D (commit 64e03c3) with timm 0.9.7, on the meta device. Golden: the same made-up
weights in the reference with 2 layers of 64, run once on one cloud from a file; its compiled sampling (pointnet2_ops,
commit b5ceb6d) needs a GPU and was replaced by a loop over the points that follows its source line by line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from omnibind_core.errors import OmniBindError, WeightsError
from omnibind_core.media import load
from omnibind_core.specialists import uni3d
from omnibind_core.specialists.uni3d import SPECS, Uni3D, build, farthest_points, group, network
from omnibind_core.types import PointCloud
from tests.specialists.published import DATA, filled, read_keys

SPEC = SPECS[0]
SMALLER = {"depth": 2, "embed_dim": 64, "num_heads": 4, "mlp_ratio": 4.5, "img_size": 28}


def shape(count: int, seed: int) -> np.ndarray:
    """Make up a coloured shape off the origin: a bent tube, (count, 6)."""
    rng = np.random.default_rng(seed)
    along, around = rng.random(count), rng.random(count) * 2 * np.pi
    tube = np.stack([np.cos(3 * along), along * 2, np.sin(3 * along)], axis=1)
    tube += 0.15 * np.stack([np.cos(around), 0.3 * np.sin(around), np.sin(around)], axis=1)
    colours = np.stack([along, np.cos(around) ** 2, np.full(count, 0.4)], axis=1)
    return np.hstack([5 + 3 * tube, colours]).astype(np.float32)


def write(folder: Path, count: int, seed: int) -> Path:
    path = folder / f"{count}-{seed}.npy"
    np.save(path, shape(count, seed), allow_pickle=False)
    return path


def checkpoint(folder: Path) -> Path:
    """Write small weights in the form of the published file: DeepSpeed's, half precision, with a set and sizes."""
    keys = {name: (tuple(t.shape), str(t.dtype)[6:]) for name, t in network(**SMALLER).state_dict().items()}
    module = {name: t.half() if t.is_floating_point() else t for name, t in filled(keys).items()}
    path = folder / "model.pt"
    sizes = [{name: t.shape for name, t in module.items()}]
    torch.save({"module": module, "param_shapes": sizes, "sparse_tensor_module_names": set(), "epoch": 3}, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uni3d")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Uni3D:
    return Uni3D(SPEC, {"model": checkpoint(folder)}, torch.device("cpu"), torch.float32, **SMALLER)


def test_names_shapes_and_count_are_the_published_ones():
    made = network()
    assert {name: (tuple(t.shape), str(t.dtype)[6:]) for name, t in made.state_dict().items()} == read_keys("uni3d_g")
    for spec in SPECS:
        assert sum(parameter.numel() for parameter in made.parameters()) == spec.parameters
        assert abs(spec.weights["model"].size - 2 * spec.parameters) < 1e-4 * spec.weights["model"].size


def test_three_files_of_one_network():
    assert len({spec.weights["model"].filename for spec in SPECS}) == 3
    assert len({spec.weights["model"].sha256 for spec in SPECS}) == 3


def test_vectors_are_the_references(encoder: Uni3D, folder: Path):
    golden = np.load(DATA / "goldens" / "uni3d_g.npz", allow_pickle=False)
    clouds = [load(write(folder, count, seed), "point") for count, seed in ((10_000, 1), (3_000, 2))]
    assert np.abs(encoder.embed("point", clouds).numpy() - golden["point"]).max() < 1e-5


def test_groups_are_the_references():
    golden = np.load(DATA / "goldens" / "uni3d_g.npz", allow_pickle=False)
    points = shape(10_000, 1)
    centres, features = group(points[:, :3], points[:, 3:])
    assert np.abs(centres.numpy() - golden["centres"]).max() < 1e-5
    same = np.abs(features.sum(dim=1).numpy() - golden["sums"]).max(axis=1) < 1e-3
    assert same.mean() > 0.99  # float32 settles which of two points at nearly one distance is the 64th


def test_farthest_points_by_hand():
    line = torch.tensor([[1.0, 0, 0], [0.9, 0, 0], [-1.0, 0, 0], [0.01, 0, 0], [0.2, 0, 0]])
    assert farthest_points(line, 5).tolist() == [0, 2, 4, 1, 0]  # the fourth is too near the origin
    assert farthest_points(line, 2).tolist() == [0, 2]


def test_a_cloud_of_few_points_is_enough(encoder: Uni3D):
    few = shape(8, 3)
    row = encoder.embed("point", [PointCloud(few[:, :3], few[:, 3:])])
    assert torch.isfinite(row).all()
    assert row.norm() == pytest.approx(1, abs=1e-5)
    same = PointCloud(np.ones((8, 3), np.float32), few[:, 3:])
    assert torch.isfinite(encoder.embed("point", [same])).all()


def test_place_and_size_do_not_matter_but_colour_does(encoder: Uni3D):
    points = shape(2_000, 4)
    xyz, rgb = points[:, :3], points[:, 3:]
    grey = np.full_like(rgb, 0.4)
    rows = encoder.embed("point", [PointCloud(xyz, rgb), PointCloud(xyz * 4 - 1, rgb), PointCloud(xyz, grey)])
    assert rows[0] @ rows[1] > 0.999
    assert rows[0] @ rows[2] < 0.999


def test_a_batch_is_its_items(encoder: Uni3D, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uni3d, "_BATCH", 2)
    clouds = [PointCloud(s[:, :3], s[:, 3:]) for s in (shape(1_000, seed) for seed in range(3))]
    together = encoder.embed("point", clouds)
    assert together.shape == (3, 1024)
    assert together.dtype == torch.float32
    assert torch.allclose(together[1], encoder.embed("point", clouds[1:2])[0], atol=1e-5)


def test_half_precision_agrees(encoder: Uni3D, folder: Path):
    half = Uni3D(SPEC, {"model": folder / "model.pt"}, torch.device("cpu"), torch.bfloat16, **SMALLER)
    points = shape(2_000, 5)
    cloud = PointCloud(points[:, :3], points[:, 3:])
    assert half.embed("point", [cloud])[0] @ encoder.embed("point", [cloud])[0] > 0.999


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same(encoder: Uni3D, folder: Path):
    there = Uni3D(SPEC, {"model": folder / "model.pt"}, torch.device("cuda"), torch.float32, **SMALLER)
    points = shape(10_000, 6)
    cloud = PointCloud(points[:, :3], points[:, 3:])
    assert torch.allclose(there.embed("point", [cloud]).cpu(), encoder.embed("point", [cloud]), atol=1e-4)


def test_other_files_are_refused(tmp_path: Path):
    path = tmp_path / "model.pt"
    torch.save({"module": {"logit_scale": torch.zeros(())}}, path)
    with pytest.raises(WeightsError, match="556 missing tensors"):
        build(SPEC, {"model": path}, {}, torch.device("cpu"), torch.float32)
    torch.save({"model": {"logit_scale": torch.zeros(())}}, path)
    with pytest.raises(WeightsError, match="without a state dict 'module'"):
        build(SPEC, {"model": path}, {}, torch.device("cpu"), torch.float32)
    torch.save({"module": {"logit_scale": Path("x")}}, path)
    with pytest.raises(WeightsError, match="cannot be read"):
        build(SPEC, {"model": path}, {}, torch.device("cpu"), torch.float32)


def test_other_modalities_are_refused(encoder: Uni3D):
    with pytest.raises(OmniBindError, match="modality 'image'"):
        encoder.embed("image", [None])
