"""A sketch book for parametric shapes: boxes, turned profiles, balls and tubes in chance sizes and colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media.shapes import Doubles, Part

__all__ = ["Colour", "Sketch", "Sketcher", "around"]

Colour: TypeAlias = tuple[float, float, float]
Place: TypeAlias = tuple[float, float, float]
Sketcher: TypeAlias = "Callable[[Sketch], None]"
"""Draws one shape of a class into an empty sketch; sizes come from its random generator."""

_AXES = {"x": [1, 2, 0], "y": [0, 1, 2], "z": [0, 2, 1]}  # which of a turned profile's coordinates become x, y, z
_PAINTS: dict[str, tuple[Colour, ...]] = {
    "wood": ((0.55, 0.35, 0.17), (0.72, 0.53, 0.33), (0.36, 0.22, 0.12), (0.85, 0.72, 0.52), (0.62, 0.30, 0.15)),
    "metal": ((0.70, 0.72, 0.74), (0.45, 0.46, 0.48), (0.82, 0.80, 0.72), (0.25, 0.26, 0.28)),
    "white": ((0.95, 0.95, 0.95), (0.90, 0.88, 0.84), (0.85, 0.88, 0.90)),
    "dark": ((0.08, 0.08, 0.09), (0.18, 0.18, 0.20), (0.12, 0.14, 0.20)),
    "leaf": ((0.16, 0.42, 0.13), (0.28, 0.55, 0.18), (0.10, 0.32, 0.15), (0.45, 0.58, 0.20)),
    "earth": ((0.55, 0.30, 0.20), (0.40, 0.30, 0.22), (0.70, 0.42, 0.28), (0.60, 0.57, 0.52)),
    "fur": ((0.45, 0.30, 0.18), (0.75, 0.62, 0.45), (0.20, 0.17, 0.15), (0.88, 0.85, 0.80), (0.60, 0.42, 0.22)),
    "skin": ((0.90, 0.73, 0.60), (0.78, 0.58, 0.44), (0.48, 0.32, 0.22)),
    "glass": ((0.75, 0.85, 0.88), (0.55, 0.70, 0.62), (0.30, 0.45, 0.25), (0.85, 0.88, 0.90)),
}


class Sketch:
    """Pieces drawn so far. Lengths are in any unit, Y is up, the front looks to +Z.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides sizes and colours.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.parts: list[Part] = []

    def u(self, low: float, high: float) -> float:
        """Uniform number."""
        return float(self._rng.uniform(low, high))

    def n(self, low: int, high: int) -> int:
        """Whole number, both ends included."""
        return int(self._rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """Whether something happens that happens in this share of cases."""
        return bool(self._rng.random() < share)

    def paint(self, *kinds: str) -> Colour:
        """Colour of one of the kinds of material, or any bright one where none is named."""
        if not kinds:
            r, g, b = self._rng.uniform(0.1, 0.95, 3)
            return float(r), float(g), float(b)
        found = _PAINTS[kinds[self.n(0, len(kinds) - 1)]]
        r, g, b = np.clip(np.array(found[self.n(0, len(found) - 1)]) * self.u(0.85, 1.15), 0, 1)
        return float(r), float(g), float(b)

    def _add(self, vertices: Doubles, faces: NDArray[np.int64], colour: Colour, at: Place, turn: Place) -> None:
        for axis, degrees in enumerate(turn):
            if degrees:
                c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
                i, j = (axis + 1) % 3, (axis + 2) % 3
                a, b = vertices[:, i].copy(), vertices[:, j].copy()
                vertices[:, i], vertices[:, j] = c * a - s * b, s * a + c * b
        rgb = np.tile(np.asarray(colour, np.float32), (len(vertices), 1))
        self.parts.append(Part(vertices + np.asarray(at, np.float64), faces, rgb))

    def box(self, w: float, h: float, d: float, at: Place, colour: Colour, turn: Place = (0, 0, 0)) -> None:
        """Box of width, height and depth, standing on `at`; turned about the middle of its base, degrees."""
        corners = np.array([[x, y, z] for x in (-w / 2, w / 2) for y in (0, h) for z in (-d / 2, d / 2)], np.float64)
        quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        faces = np.array([t for a, b, c, d_ in quads for t in ((a, b, c), (a, c, d_))], np.int64)
        self._add(corners, faces, colour, at, turn)

    def turned(
        self,
        profile: Sequence[tuple[float, float]],
        at: Place,
        colour: Colour,
        axis: str = "y",
        turn: Place = (0, 0, 0),
        sides: int = 20,
    ) -> None:
        """Surface of revolution: (radius, height) from the base up; `axis` is what stands in for Y."""
        angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
        rings = [np.stack([r * np.cos(angles), np.full(sides, y), r * np.sin(angles)], 1) for r, y in profile]
        around, after = np.arange(sides), (np.arange(sides) + 1) % sides
        faces = []
        for k in range(len(profile) - 1):
            a, b = k * sides + around, k * sides + after
            faces += [np.stack([a, b, b + sides], 1), np.stack([a, b + sides, a + sides], 1)]
        self._add(np.concatenate(rings)[:, _AXES[axis]], np.concatenate(faces), colour, at, turn)

    def rod(
        self,
        r: float,
        h: float,
        at: Place,
        colour: Colour,
        top: float | None = None,
        axis: str = "y",
        turn: Place = (0, 0, 0),
        sides: int = 16,
    ) -> None:
        """Draw a closed cylinder, or a cone where `top` is another radius."""
        top = r if top is None else top
        self.turned([(0, 0), (r, 0), (top, h), (0, h)], at, colour, axis, turn, sides)

    def ball(self, rx: float, ry: float, rz: float, at: Place, colour: Colour, turn: Place = (0, 0, 0)) -> None:
        """Ellipsoid about `at`."""
        a = np.linspace(-np.pi / 2, np.pi / 2, 10)
        before = len(self.parts)
        self.turned([(float(np.cos(t)), float(np.sin(t))) for t in a], (0, 0, 0), colour)
        part = self.parts.pop(before)
        self._add(part.vertices * np.array([rx, ry, rz]), part.faces, colour, at, turn)

    def tube(self, path: Sequence[Place], r: float, colour: Colour, ends: float | None = None) -> None:
        """Straight rods from point to point; the radius changes evenly to `ends`."""
        points = np.asarray(path, np.float64)
        radii = np.linspace(r, r if ends is None else ends, len(points))
        angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        for (a, p), (b, q) in pairwise(zip(points, radii, strict=True)):
            along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
            side = np.cross(along, [0.0, 0.0, 1.0] if abs(along[2]) < 0.9 else [1.0, 0.0, 0.0])
            side /= np.linalg.norm(side)
            ring = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * np.cross(along, side)
            around, after = np.arange(8), (np.arange(8) + 1) % 8
            faces = np.concatenate(
                [np.stack([around, after, after + 8], 1), np.stack([around, after + 8, around + 8], 1)]
            )
            self._add(np.concatenate([a + p * ring, b + q * ring]), faces, colour, (0, 0, 0), (0, 0, 0))

    def ring(self, radius: float, r: float, at: Place, colour: Colour, axis: str = "y", arc: float = 360.0) -> None:
        """Part of a torus about `axis`, starting on the side."""
        angles = np.radians(np.linspace(0, arc, 17))
        path = np.stack([radius * np.cos(angles), np.zeros(17), radius * np.sin(angles)], 1)[:, _AXES[axis]]
        self.tube([(x + at[0], y + at[1], z + at[2]) for x, y, z in path.tolist()], r, colour)

    def legs(self, w: float, d: float, h: float, r: float, colour: Colour, spread: float = 0.0) -> None:
        """Four legs under the corners of a rectangle, their feet further out by `spread`."""
        square = self.chance(0.5)
        for x in (-1, 1):
            for z in (-1, 1):
                if square and not spread:
                    self.box(2 * r, h, 2 * r, (x * (w / 2 - r), 0, z * (d / 2 - r)), colour)
                else:
                    foot = (x * (w / 2 - r + spread), 0.0, z * (d / 2 - r + spread))
                    self.tube([foot, (x * (w / 2 - r), h, z * (d / 2 - r))], r, colour)

    def wheels(self, w: float, d: float, r: float, colour: Colour, thick: float = 0.15) -> None:
        """Four wheels at the corners; Z is the way they roll."""
        for x in (-1, 1):
            for z in (-1, 1):
                self.rod(r, thick, (x * w / 2 - thick / 2, r, z * d / 2), colour, axis="x")


def around(i: float, n: int, r: float) -> tuple[float, float]:
    """Give the `i`-th of `n` places on a circle of radius `r`."""
    return r * math.cos(2 * math.pi * i / n), r * math.sin(2 * math.pi * i / n)
