"""Parametric shapes: every class can be drawn, looks like no other call's, and comes out the same at each call."""

from __future__ import annotations

import numpy as np
import pytest

from tools.mini.pools.parametric.build import CLASSES, EACH, Procedural, build, catalogue, fingerprint
from tools.mini.pools.parametric.parts import Sketch


def test_the_catalogue_has_every_class_as_often():
    made = catalogue()
    assert len(CLASSES) >= 140
    assert len(made) == len(CLASSES) * EACH == len(set(made))


@pytest.mark.parametrize("label", CLASSES)
def test_a_class_can_be_drawn(label):
    sketch = Sketch(np.random.default_rng(3))
    CLASSES[label](sketch)
    assert sketch.parts
    for part in sketch.parts:
        assert np.isfinite(part.vertices).all()
        assert part.faces.max() < len(part.vertices)
        assert part.rgb is not None
        assert ((part.rgb >= 0) & (part.rgb <= 1)).all()


def test_a_shape_is_the_same_at_every_call_and_another_for_another_number():
    first, again, other = (build(Procedural("chair", number)) for number in (0, 0, 1))
    assert np.array_equal(first.xyz, again.xyz)
    assert not np.array_equal(first.xyz, other.xyz)
    assert first.has_colour
    assert first.xyz.shape == (10_000, 3)
    assert np.linalg.norm(first.xyz, axis=1).max() == pytest.approx(1, abs=1e-5)


def test_what_stands_is_upright():
    street_lamp = build(Procedural("street lamp", 0)).xyz
    extent = street_lamp.max(0) - street_lamp.min(0)
    assert extent[1] > 2 * max(extent[0], extent[2])
    bus = build(Procedural("bus", 0)).xyz
    extent = bus.max(0) - bus.min(0)
    assert extent[2] > extent[0]  # it drives along Z


def test_the_fingerprint_is_stable():
    assert fingerprint() == fingerprint()
    assert len(fingerprint()) == 16


def test_pieces_have_the_sizes_asked_for():
    sketch = Sketch(np.random.default_rng(0))
    sketch.box(1, 2, 3, (0, 0, 0), (1, 0, 0))
    sketch.ball(0.5, 1.0, 0.25, (0, 0, 0), (0, 1, 0))
    sketch.rod(0.1, 2.0, (0, 0, 0), (0, 0, 1), axis="x")
    sketch.ring(1.0, 0.1, (0, 0, 0), (0, 0, 1), axis="z")
    box, ball, rod = (part.vertices.max(0) - part.vertices.min(0) for part in sketch.parts[:3])
    assert box == pytest.approx([1, 2, 3])
    assert ball == pytest.approx([1.0, 2.0, 0.5], rel=0.02)
    assert rod[0] == pytest.approx(2.0)
    ring = np.concatenate([part.vertices for part in sketch.parts[3:]])
    assert np.abs(ring[:, 2]).max() <= 0.1 + 1e-9
    assert np.linalg.norm(ring[:, :2], axis=1).max() == pytest.approx(1.1, abs=0.02)
