"""Shapes as encoders learn them: pieces are kept and gone on with, styles change what they should."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from omnibind_core.media.limits import GREY, POINTS
from omnibind_core.media.raster import render
from omnibind_core.store.paths import cache_directory
from tools.mini.shapes import pool as shape_pool
from tools.mini.shapes.pool import PROCEDURAL, SWEET_HOME, clouds

NEEDS_MESHES = pytest.mark.skipif(
    not (cache_directory() / "debian" / "sweethome3d-furniture").is_dir(),
    reason="sweethome3d-furniture is not unpacked",
)


@pytest.fixture(scope="module")
def parametric():
    return clouds(PROCEDURAL)


def test_what_was_kept_is_not_worked_out_again(tmp_path):
    asked = []

    def make(i):
        asked.append(i)
        return np.full(3, i, np.float32)

    rows = shape_pool._kept(tmp_path, 70, "rows", make)
    assert rows.dtype == torch.float16
    assert torch.equal(rows[:, 0], torch.arange(70.0).half())
    (tmp_path / "00032.npy").unlink()  # as if the run had been killed in this piece
    assert torch.equal(shape_pool._kept(tmp_path, 70, "rows", make), rows)
    assert asked == [*range(70), *range(32, 64)]


def test_parametric_shapes_have_keys_and_labels(parametric):
    keys, labels, make = parametric
    assert len(keys) == len(set(keys)) == len(labels)
    assert keys[0] == f"{labels[0]}/0"
    assert make(0).xyz.shape == (POINTS, 3)


def test_styles(parametric):
    cloud = parametric[2](3)
    grey, splat = shape_pool._styled(cloud, "grey", 0), shape_pool._styled(cloud, "splat", 0)
    assert shape_pool._styled(cloud, "colour", 0) is cloud
    assert not grey.has_colour
    picture = render(grey, size=32).astype(int)
    assert np.ptp(picture, axis=2).max() <= 1  # no colour is left
    assert not splat.surfaces
    assert len(splat.xyz) in shape_pool._SPLATS


def test_the_folder_changes_with_what_is_worked_out(parametric):
    folders = {
        shape_pool._folder(PROCEDURAL, "x", probe)
        for probe in (lambda cloud: cloud.xyz[:5], lambda cloud: cloud.xyz[:6], lambda cloud: cloud.xyz[:5])
    }
    assert len(folders) == 2


@NEEDS_MESHES
def test_meshes_come_as_the_application_reads_them():
    keys, labels, make = clouds(SWEET_HOME)
    assert len(keys) == 761
    assert len(set(labels)) == 204
    cloud = make(keys.index(next(key for key, label in zip(keys, labels, strict=True) if label == "hamburger")))
    assert cloud.xyz.shape == (POINTS, 3)
    assert cloud.has_colour
    assert np.abs(cloud.rgb - GREY).max() > 0.2
    assert len(np.unique(cloud.rgb.round(2), axis=0)) > 20  # a texture gives each point its own colour
