"""Shapes as the picture tower sees them: alike shapes lie near, and turning a shape moves it little."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from omnibind_core.errors import OmniBindError
from omnibind_core.specialists import registry
from omnibind_core.specialists.base import unit
from omnibind_core.specialists.shape_views import VIEWS
from omnibind_core.store.weights import local_files
from omnibind_core.types import Image, PointCloud, Surface

CPU = torch.device("cpu")


def cloud(mesh, turn=0.0, colour=(0.7, 0.6, 0.3)):
    mesh = mesh.copy()
    mesh.apply_transform(trimesh.transformations.rotation_matrix(np.radians(turn), [0, 1, 0]))
    mesh.apply_translation(-mesh.centroid)
    mesh.apply_scale(1 / np.linalg.norm(mesh.vertices, axis=1).max())
    vertices = mesh.vertices.astype(np.float32)
    rgb = np.tile(np.array(colour, np.float32), (len(vertices), 1))
    return PointCloud(vertices, rgb, (Surface(vertices, mesh.faces.astype(np.int32), rgb),))


@pytest.fixture(scope="module")
def eyes():
    spec, make = registry.find("efficientnet_lite2")
    return make(spec, local_files(spec.weights), {}, CPU, torch.float32)


@pytest.fixture(scope="module")
def views(eyes):
    spec, make = registry.find("shape_views")
    return make(spec, {}, {"efficientnet_lite2": eyes}, CPU, torch.float32)


@pytest.fixture(scope="module")
def meshes(assets):
    bunny = trimesh.load(assets / "models3d" / "Bunny.obj", force="mesh")
    return {"bunny": bunny, "box": trimesh.creation.box((1, 2, 1.5)), "ring": trimesh.creation.torus(1, 0.3)}


def test_rows_are_unit_and_float32(views, meshes):
    rows = views.embed("point", [cloud(m) for m in meshes.values()])
    assert rows.shape == (3, 1280)
    assert rows.dtype == torch.float32
    assert torch.allclose(rows.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_row_is_the_mean_of_its_views_features(views, eyes, meshes):
    shape = cloud(meshes["bunny"])
    pictures = views.views(shape)
    assert len(pictures) == len(VIEWS)
    assert len({p.tobytes() for p in pictures}) == len(VIEWS)
    features = torch.cat([eyes.features([Image(p)]) for p in pictures])
    assert torch.allclose(views.embed("point", [shape])[0], unit(features.mean(0)), atol=1e-5)


def test_a_turned_shape_is_nearer_than_another(views, meshes):
    bunny, turned, box, ring = views.embed(
        "point", [cloud(meshes["bunny"]), cloud(meshes["bunny"], 60), cloud(meshes["box"]), cloud(meshes["ring"])]
    )
    assert bunny @ turned > max(bunny @ box, bunny @ ring) + 0.1


def test_points_alone_are_near_the_mesh_they_come_from(views, meshes):
    whole = cloud(meshes["bunny"])
    surface = trimesh.Trimesh(whole.surfaces[0].vertices, whole.surfaces[0].faces)
    xyz = trimesh.sample.sample_surface(surface, 8000, seed=0)[0].astype(np.float32)
    alone = PointCloud(xyz, np.tile(whole.rgb[:1], (8000, 1)))
    mesh, points, box = views.embed("point", [whole, alone, cloud(meshes["box"])])
    assert mesh @ points > mesh @ box + 0.05


def test_other_modalities_are_refused(views):
    with pytest.raises(OmniBindError, match="text"):
        views.embed("text", [])


def test_views_drawn_beside_one_another_are_the_same(views, meshes):
    before = torch.get_num_threads()
    try:
        drawn = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            drawn.append(views.views(cloud(meshes["bunny"])))
    finally:
        torch.set_num_threads(before)
    assert len(drawn[0]) == len(VIEWS)
    assert all(np.array_equal(*pair) for pair in zip(*drawn, strict=True))
    assert not np.array_equal(drawn[0][0], drawn[0][1])
