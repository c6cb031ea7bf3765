"""The renderer: what is near hides what is far, textures stand upright, light and edges are where they belong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from omnibind_core.media import raster as _raster
from omnibind_core.media import raster_kernels as _raster_kernels
from omnibind_core.media.raster import prepare, render
from omnibind_core.types import PointCloud, Surface

RED, BLUE, GREY = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.6, 0.6, 0.6)


def surface(mesh, colour=GREY):
    vertices = np.asarray(mesh.vertices, np.float32)
    rgb = np.tile(np.array(colour, np.float32), (len(vertices), 1))
    return Surface(vertices, np.asarray(mesh.faces, np.int32), rgb)


def shape(*surfaces):
    xyz = np.concatenate([s.vertices for s in surfaces])
    return PointCloud(xyz, np.concatenate([s.rgb for s in surfaces]), surfaces)


def ball(radius=1.0, centre=(0, 0, 0), colour=GREY):
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    mesh.apply_translation(centre)
    return surface(mesh, colour)


def scattered(cloud, n=3000):
    mesh = trimesh.Trimesh(cloud.surfaces[0].vertices, cloud.surfaces[0].faces)
    points, _ = trimesh.sample.sample_surface(mesh, n, seed=0)
    return PointCloud(points.astype(np.float32), np.full((n, 3), 0.6, np.float32))


def is_red(pixels):
    return (pixels[..., 0].astype(int) > pixels[..., 2].astype(int) + 60).mean()


def is_blue(pixels):
    return (pixels[..., 2].astype(int) > pixels[..., 0].astype(int) + 60).mean()


def test_a_ball_is_a_disc_that_fills_the_picture():
    picture = render(shape(ball()), size=128)
    assert picture.shape == (128, 128, 3)
    assert picture.dtype == np.uint8
    inside = (picture < 250).any(-1)
    assert inside.mean() == pytest.approx(np.pi / 4 * (1 - 2 * _raster._MARGIN) ** 2, abs=0.01)
    assert (picture[0] == 255).all()
    assert inside[64].sum() == pytest.approx(128 * (1 - 2 * _raster._MARGIN), abs=2)


def test_light_comes_from_above_and_changes_smoothly():
    picture = render(shape(ball()), 0, 0, 128).astype(int)
    assert picture[30, 64, 0] > picture[98, 64, 0] + 30
    column = picture[20:108, 64, 0]
    assert np.abs(np.diff(column)).max() < 8


def test_edges_of_a_box_stay_sharp():
    picture = render(shape(surface(trimesh.creation.box())), 45, 0, 128).astype(int)
    row = picture[64, 20:108, 0]
    assert np.abs(np.diff(row)).max() > 15  # from one face to the other
    assert row[:30].std() < 3  # and each face is flat
    assert row[-30:].std() < 3


@pytest.mark.parametrize(("azimuth", "front"), [(0, "red"), (180, "blue")])
def test_what_is_near_hides_what_is_far(azimuth, front):
    picture = render(shape(ball(0.5, (0, 0, 0.6), RED), ball(0.5, (0, 0, -0.6), BLUE)), azimuth, 0, 96)
    red, blue = is_red(picture), is_blue(picture)
    assert (red > 0.4 and blue < 0.05) if front == "red" else (blue > 0.4 and red < 0.05)


def test_azimuth_90_looks_from_positive_x():
    picture = render(shape(ball(0.5, (0.6, 0, 0), RED), ball(0.5, (-0.6, 0, 0), BLUE)), 90, 0, 96)
    assert is_red(picture) > 0.4
    assert is_blue(picture) < 0.05


def test_positive_x_is_right_and_positive_y_is_up():
    red_right = render(shape(ball(0.4, (0.6, 0, 0), RED), ball(0.4, (-0.6, 0, 0), BLUE)), 0, 0, 96)
    assert is_red(red_right[:, 48:]) > 0.1
    assert is_red(red_right[:, :48]) == 0
    red_up = render(shape(ball(0.4, (0, 0.6, 0), RED), ball(0.4, (0, -0.6, 0), BLUE)), 0, 0, 96)
    assert is_red(red_up[:48]) > 0.1
    assert is_red(red_up[48:]) == 0


def test_elevation_90_looks_from_above():
    picture = render(shape(ball(0.5, (0, 0.6, 0), RED), ball(0.5, (0, -0.6, 0), BLUE)), 0, 90, 96)
    assert is_red(picture) > 0.4
    assert is_blue(picture) < 0.05


@pytest.mark.parametrize("side", [4, 64, 900, 1500])
def test_textures_stand_upright_at_every_size(side):
    texture = np.zeros((side, side, 3), np.uint8)
    texture[: side // 2, :, 0] = 255  # upper half red
    texture[side // 2 :, :, 2] = 255
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    quad = Surface(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.ones((4, 3), np.float32), uv, texture)
    picture = render(shape(quad), 0, 0, 64)
    assert is_red(picture[8:28, 8:56]) == 1
    assert is_blue(picture[36:56, 8:56]) == 1


def test_texture_is_not_bent_by_perspective():
    # A floor seen at a slant: the middle line of its texture lies beyond the middle of its picture.
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :, 2] = 255
    texture[32:, :, 0] = 255
    corners = np.array([[-1, 0, 1], [1, 0, 1], [1, 0, -1], [-1, 0, -1]], np.float32)
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    floor = Surface(corners, np.array([[0, 1, 2], [0, 2, 3]], np.int32), np.ones((4, 3), np.float32), uv, texture)
    picture = render(shape(floor), 0, 30, 128).astype(int)
    column = picture[:, 64]
    red = (column[:, 0] > column[:, 2] + 60).sum()
    blue = (column[:, 2] > column[:, 0] + 60).sum()
    assert red > 1.15 * blue > 0


def test_a_transparent_background_has_soft_edges():
    picture = render(shape(ball(colour=RED)), size=64, background=None)
    assert picture.shape == (64, 64, 4)
    alpha = picture[..., 3]
    assert alpha[0, 0] == 0
    assert alpha[32, 32] == 255
    assert ((alpha > 0) & (alpha < 255)).any()
    rim = picture[(alpha > 0) & (alpha < 255)]
    assert (rim[:, 0].astype(int) > rim[:, 2].astype(int)).all()  # no white or black fringe


def test_background_is_what_was_asked_for():
    assert (render(shape(ball()), size=32, background=(10, 200, 30))[0, 0] == (10, 200, 30)).all()


def test_points_alone_look_like_the_mesh():
    whole = shape(ball())
    mesh, cloud = render(whole, size=96), render(scattered(whole), size=96)
    inside = [(p < 250).any(-1) for p in (mesh, cloud)]
    assert (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum() > 0.93
    both = inside[0] & inside[1]
    assert np.abs(mesh[both].astype(int) - cloud[both].astype(int)).mean() < 15


@pytest.mark.parametrize("points", [1, 2, 3, 20, 50_000])
def test_any_number_of_points_can_be_drawn(points):
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(points, 3)).astype(np.float32)
    picture = render(PointCloud(xyz / np.abs(xyz).max(), np.zeros((points, 3), np.float32)), size=48)
    assert (picture < 200).any()


def test_coinciding_points_and_faces_without_area_do_no_harm():
    same = np.zeros((30, 3), np.float32)
    assert render(PointCloud(same, same), size=32).shape == (32, 32, 3)
    flat = Surface(
        np.eye(3, dtype=np.float32), np.array([[0, 0, 0], [0, 1, 1], [0, 1, 2]], np.int32), np.ones((3, 3), np.float32)
    )
    assert (render(shape(flat), size=32) < 255).any()


@pytest.mark.parametrize("alone", [False, True])
def test_a_shape_without_colour_is_drawn_like_plaster(alone):
    whole = shape(ball(colour=(0.4, 0.4, 0.4)))
    whole = scattered(whole) if alone else whole
    dark, plain = (render(replace(whole, has_colour=known), 0, 0, 64) for known in (True, False))
    assert plain[32, 32].mean() > dark[32, 32].mean() + 20


def test_the_same_picture_every_time():
    cloud = scattered(shape(ball()), 30_000)
    assert (render(cloud, size=64) == render(cloud, size=64)).all()


def test_either_winding_looks_the_same():
    one = ball()
    other = Surface(one.vertices, np.ascontiguousarray(one.faces[:, ::-1]), one.rgb)
    difference = render(shape(one), size=64).astype(int) - render(shape(other), size=64).astype(int)
    assert np.abs(difference).max() <= 1


def test_corner_normals_are_smooth_on_a_ball_and_flat_on_a_box():
    round_one = prepare(shape(ball()))
    outward = round_one.xyz[round_one.faces]
    assert np.einsum("fki,fki->fk", round_one.normals, outward).min() > 0.995
    box = prepare(shape(surface(trimesh.creation.box())))
    assert np.sort(np.abs(box.normals), axis=-1)[..., :2].max() < 1e-6


def test_real_meshes_are_drawn(assets):
    mesh = trimesh.load(assets / "models3d" / "Bunny.obj", force="mesh")
    mesh.apply_translation(-mesh.centroid)
    mesh.apply_scale(1 / np.linalg.norm(mesh.vertices, axis=1).max())
    picture = render(shape(surface(mesh)), size=128)
    assert 0.25 < (picture < 250).any(-1).mean() < 0.7


def test_without_a_place_for_the_cache_kernels_are_compiled_anyway(monkeypatch):
    import numba

    real = numba.njit

    def no_cache(*args, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", no_cache)
    double = _raster_kernels._compiled(lambda x: 2 * x)
    assert double(21) == 42
