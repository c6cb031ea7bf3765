"""Where a shape's form does not tell which way is up, drawings of its sides are looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from omnibind_core.binding.upright import EYES, SIDE, VIEWS, decided, drawn, settled
from omnibind_core.media import load_points
from omnibind_core.media.shapes import TO_Y_UP
from omnibind_core.media.upright import DIRECTIONS, is_guess, stood, turn
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import PointCloud

UNCLEAR = (0.1, 0.02, 0.45, 0.02, 0.4, 0.01)


@pytest.fixture(scope="module")
def bed() -> PointCloud:
    return load_points(assets_directory() / "gallery" / "shapes" / "bed-1.glb")


def test_drawings_show_each_side_up(bed: PointCloud) -> None:
    z_up = turn(bed, TO_Y_UP["z"].T)
    of_z = drawn(z_up, [DIRECTIONS.index("z")])
    assert of_z.shape == (len(VIEWS), SIDE, SIDE, 3) and of_z.dtype == np.uint8
    of_y = drawn(bed, [DIRECTIONS.index("y")])
    assert (np.abs(of_z.astype(int) - of_y.astype(int)).max(axis=-1) > 40).mean() < 0.02


def test_the_look_shares_out_what_the_likely_ones_have(mini, bed: PointCloud) -> None:
    lies = replace(turn(bed, TO_Y_UP["z"].T), standing=UNCLEAR)
    shares = decided(lies, mini.towers)
    assert shares.sum() == pytest.approx(1)
    assert shares[[1, 3, 5]] == pytest.approx(np.array(UNCLEAR)[[1, 3, 5]]), "nobody looked at these"
    assert shares[DIRECTIONS.index("z")] > UNCLEAR[DIRECTIONS.index("z")]
    assert decided(lies, {}) == pytest.approx(np.array(UNCLEAR)), "a preset without these eyes goes by the form"


def test_a_clear_guess_costs_no_look(bed: PointCloud) -> None:
    class Blind:
        def as_they_are(self, batch: object) -> None:
            raise AssertionError("looked")

    settled(stood(bed), {EYES: Blind()})


def test_settled_once(mini, bed: PointCloud) -> None:
    lies = replace(turn(bed, TO_Y_UP["z"].T), standing=UNCLEAR)
    stands = mini.upright(lies)
    assert not stands.standing and mini.upright(stands) is stands
    assert sum(map(is_guess, stands.notices)) == 1


def test_a_lying_bed_embeds_as_a_standing_one(mini, bed: PointCloud) -> None:
    points = np.hstack([bed.xyz, bed.rgb])
    lying = np.hstack([turn(bed, TO_Y_UP["z"].T).xyz, bed.rgb])
    upright, guessed, given = (
        mini.embed_points([rows], up=up)[0] for rows, up in ((points, "y"), (lying, "auto"), (lying, "y"))
    )
    assert float(upright @ guessed) > 0.98 > float(upright @ given)
