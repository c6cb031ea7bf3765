"""Shapes as encoders learn them: pieces are kept and gone on with, styles change what they should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from omnibind_core.media.limits import GREY, POINTS
from omnibind_core.media.raster import render
from omnibind_core.store.paths import cache_directory
from tools.mini.pools.parametric.build import Procedural, build
from tools.mini.shapes import pool as shape_pool
from tools.mini.shapes.pool import PROCEDURAL, SWEET_HOME, clouds

NEEDS_MESHES = pytest.mark.skipif(
    not (cache_directory() / "debian" / "sweethome3d-furniture").is_dir(),
    reason="sweethome3d-furniture is not unpacked",
)


@pytest.fixture(scope="module")
def parametric():
    return clouds(PROCEDURAL)


@pytest.fixture
def few(tmp_path, monkeypatch):
    """Seventy keys for one shape."""
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    cloud = build(Procedural("chair", 0))
    monkeypatch.setattr(shape_pool, "clouds", lambda pool: ([str(i) for i in range(70)], ["x"] * 70, lambda i: cloud))


class Maker:
    """Notes what it is asked for, and can be told to stop."""

    def __init__(self, stop=None):
        self.asked, self.stop = [], stop

    def __call__(self, i, cloud):
        if i == self.stop:
            raise KeyboardInterrupt
        self.asked.append(i)
        return np.full((2, 3), i, np.float32)


def test_what_was_kept_is_not_worked_out_again(few):
    stopped, make = Maker(stop=40), Maker()
    with pytest.raises(KeyboardInterrupt):
        shape_pool._kept(SWEET_HOME, "rows", stopped, 3)
    rows = shape_pool._kept(SWEET_HOME, "rows", make, 3)
    assert make.asked == list(range(32, 70))  # the first piece was whole
    assert (rows.dtype, rows.shape) == (torch.float16, (70, 2, 3))
    assert torch.equal(rows[:, 1, 0], torch.arange(70.0).half())
    assert torch.equal(shape_pool._kept(SWEET_HOME, "rows", make, 3), rows)
    assert make.asked == list(range(32, 70))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_VERSION", 2),
        ("_SPLATS", (7,)),
        ("tower_identity", lambda name: "other weights"),
        ("clouds", lambda pool: (["other"], ["x"], lambda i: build(Procedural("chair", 0)))),
        ("_probe", lambda cloud: "another renderer"),
    ],
)
def test_whatever_decides_makes_it_anew(few, monkeypatch, name, value):
    first, second = Maker(), Maker()
    shape_pool._kept(SWEET_HOME, "rows", first, 3, "efficientnet_lite2")
    monkeypatch.setattr(shape_pool, name, value)
    shape_pool._kept(SWEET_HOME, "rows", second, 3, "efficientnet_lite2")
    assert first.asked
    assert second.asked


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


def test_a_probe_tells_shapes_and_colours_apart(parametric):
    cloud = parametric[2](3)
    grey = shape_pool._styled(cloud, "grey", 0)
    other = replace(cloud, xyz=cloud.xyz * np.float32(0.9))
    assert len({shape_pool._probe(one) for one in (cloud, cloud, grey, other)}) == 3


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
