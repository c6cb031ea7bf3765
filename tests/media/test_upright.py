"""Which way is up: guessed whichever way a shape lies, said where assumed, and left alone where a file says it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from omnibind_core.evaluation.upright import QUARTERS, half_of, turned_by
from omnibind_core.media import load_points
from omnibind_core.media.shapes import TO_Y_UP
from omnibind_core.media.upright import CLEAR, DIRECTIONS, chosen, is_guess, judged, measured, stood, turn
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import PointCloud

SHAPES = assets_directory() / "gallery" / "shapes"
CLEAR_ONES = ("dog-1", "xylophone-1", "pan-1", "chair-1", "bed-1")
"""Of the half that was learned from: whether others are right is measured, see the results page."""


def gallery(name: str) -> PointCloud:
    return load_points(SHAPES / f"{name}.glb")


def lying(cloud: PointCloud, up: str) -> PointCloud:
    """As a file in which `up` points up has it."""
    return turn(cloud, TO_Y_UP[up].T)  # type: ignore[index]


@pytest.mark.parametrize("name", CLEAR_ONES)
def test_a_shape_stands_whichever_way_it_lies(name: str) -> None:
    cloud = gallery(name)
    for up in DIRECTIONS:
        shares = judged(measured(lying(cloud, up).xyz, cloud.rgb if cloud.has_colour else None), None)
        assert shares.sum() == pytest.approx(1)
        assert DIRECTIONS[int(shares.argmax())] == up


def test_a_file_that_does_not_say_is_turned_and_says_so() -> None:
    cloud = gallery("bed-1")
    z_up = np.hstack([lying(cloud, "z").xyz, cloud.rgb])
    as_is, guessed, told = (load_points(z_up, up=up) for up in ("y", "auto", "z"))
    np.testing.assert_allclose(guessed.xyz, told.xyz, atol=1e-5)
    assert np.abs(as_is.xyz - told.xyz).max() > 0.1
    assert [text for text in guessed.notices if is_guess(text)] == [
        "the file does not say which way is up: z was taken"
    ]
    assert not any(map(is_guess, (*as_is.notices, *told.notices)))
    assert chosen(guessed.standing) == "z" and not told.standing


def test_y_is_taken_without_a_word_where_that_is_clear() -> None:
    cloud = gallery("bed-1")
    guessed = load_points(np.hstack([cloud.xyz, cloud.rgb]), up="auto")
    assert not any(map(is_guess, guessed.notices))
    assert max(guessed.standing) >= CLEAR


def test_what_is_not_clear_stays_as_it_is_and_is_said() -> None:
    ball = np.random.default_rng(0).normal(size=(3000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    guessed = load_points(ball, up="auto")
    np.testing.assert_allclose(guessed.xyz, load_points(ball).xyz, atol=1e-6)
    assert guessed.notices == ("which way is up is neither said nor clear: y was taken",)


def test_a_format_that_says_it_is_believed() -> None:
    path = SHAPES / "bed-1.glb"
    mesh = trimesh.load(path, force="mesh")
    mesh.apply_transform(np.vstack([np.hstack([TO_Y_UP["z"].T, np.zeros((3, 1))]), [0, 0, 0, 1]]))
    lies = {kind: load_points(mesh.export(file_type=kind), up="auto", extension=kind) for kind in ("glb", "stl")}
    assert not lies["glb"].standing and not any(map(is_guess, lies["glb"].notices))
    assert chosen(lies["stl"].standing) == "z"
    assert len(lies["stl"].surfaces) == 1, "surfaces are turned with the points"
    assert np.ptp(lies["stl"].surfaces[0].vertices, axis=0) == pytest.approx(np.ptp(lies["stl"].xyz, axis=0), abs=0.05)


@pytest.mark.parametrize("up", DIRECTIONS)
def test_every_direction_is_turned_and_not_mirrored(up: str) -> None:
    way = TO_Y_UP[up]  # type: ignore[index]
    assert np.linalg.det(way) == pytest.approx(1)
    axis = np.zeros(3)
    axis["xyz".index(up[-1])] = -1 if up.startswith("-") else 1
    assert (way @ axis).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "points",
    [
        np.tile([[0.0, 0, 0], [1, 0, 0]], (40, 1)),
        np.c_[np.random.default_rng(0).random((50, 2)), np.zeros(50)],
        np.eye(3)[np.arange(60) % 3],
    ],
    ids=["line", "plane", "three places"],
)
def test_flat_and_few_points_are_judged(points: np.ndarray) -> None:
    shares = judged(measured(points))
    assert np.isfinite(shares).all() and shares.sum() == pytest.approx(1)


def test_the_measurement_turns_by_all_quarters_and_keeps_its_halves() -> None:
    assert len({way.tobytes() for way in QUARTERS}) == 24
    assert half_of("Chair 2") == half_of("chair") and {half_of(str(chr(97 + i))) for i in range(26)} == {
        "test", "development"
    }  # fmt: skip
    assert turned_by("a/1", "any").tolist() == turned_by("a/1", "any").tolist()
    assert (turned_by("a/1", "z") @ [0, 1, 0]).tolist() == [0, 0, 1]


def test_stood_gives_back_what_stands(tmp_path: Path) -> None:
    cloud = gallery("dog-1")
    assert stood(cloud).xyz is cloud.xyz
    np.save(tmp_path / "dog.npy", np.hstack([cloud.xyz, cloud.rgb]))
    again = load_points((tmp_path / "dog.npy").read_bytes(), up="auto", extension="npy")
    assert again.standing
