"""How often it is guessed right which way is up: upright shapes are turned by quarters, and judged as files are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from omnibind_core.binding.upright import decided
from omnibind_core.evaluation.localising import Half
from omnibind_core.evaluation.report import Section
from omnibind_core.evaluation.retrieval import Figure, figure
from omnibind_core.media.upright import CLEAR, DIRECTIONS, PRIOR, chosen, stood, turn
from omnibind_core.types import PointCloud

__all__ = ["QUARTERS", "Lying", "Upright", "half_of", "turned_by", "upright", "upright_section"]

Lying: TypeAlias = Literal["any", "y", "z"]
"""How shapes are turned before: at random, not at all, or so that Z is up, as in a program for solids."""


def _quarters() -> tuple[NDArray[np.float64], ...]:
    found = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            way = np.zeros((3, 3))
            way[range(3), order] = signs
            if np.linalg.det(way) > 0:
                found.append(way)
    return tuple(found)


QUARTERS: tuple[NDArray[np.float64], ...] = _quarters()
"""The 24 rotations that bring axes to axes."""

_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True)
class Upright:
    """Figures of shapes that were turned in one way, and judged in one way.

    Attributes
    ----------
    what : str
        For people.
    n : int
        Shapes.
    right, axis : Figure
        Share whose direction was found; whose axis was, whichever end of it is up.
    chance : float
        Share of right directions by lot, in percent.
    clear, right_of_clear : float
        Share called clear, and how many of these are right, in percent.
    """

    what: str
    n: int
    right: Figure
    axis: Figure
    chance: float
    clear: float
    right_of_clear: float


def half_of(name: str) -> Half:
    """Say which half a shape belongs to by what its author calls it; "Chair 2" lies with "chair"."""
    plain = re.sub(r"\d+", "", name.lower()).strip()
    return "test" if sha256(f"up:{plain}".encode()).digest()[0] % 2 else "development"


def turned_by(key: str, lying: Lying) -> NDArray[np.float64]:
    """Give the rotation, shape (3, 3), that a shape is turned by before it is judged; the same one at every call."""
    if lying == "any":
        return QUARTERS[sha256(f"turn:{key}".encode()).digest()[0] % len(QUARTERS)]
    return np.eye(3) if lying == "y" else _Z_UP


def upright(
    what: str,
    shapes: Iterable[tuple[str, PointCloud]],
    lying: Lying,
    towers: Mapping[str, Any],
    prior: Sequence[float] | None = PRIOR,
    prepare: Callable[[PointCloud], PointCloud] = lambda cloud: cloud,
) -> Upright:
    """Turn shapes and guess which way is up.

    Parameters
    ----------
    what : str
        For people.
    shapes : iterable of (str, PointCloud)
        Keys, and shapes that stand upright.
    lying : Lying
        How they are turned before.
    towers : mapping of str to specialist
        Those that may look at drawings of them; none for the form alone.
    prior : sequence of 6 float, optional
        See :func:`omnibind_core.media.upright.judged`.
    prepare : callable
        What is done to a turned shape before, for instance to take its surfaces away.
    """
    right, axis, clear = [], [], []
    for key, cloud in shapes:
        way = turned_by(key, lying)
        lies = prepare(turn(replace(cloud, notices=(), standing=()), way))
        shares = decided(stood(lies, prior), towers)
        guess = DIRECTIONS[int(shares.argmax())] if prior is None else chosen(shares)
        true = _direction(way @ np.array([0.0, 1.0, 0.0]))
        right.append(guess == true)
        axis.append(guess[-1] == true[-1])
        clear.append(shares.max() >= CLEAR)
    told = np.array(clear)
    share = 100 * float(np.array(right)[told].mean()) if told.any() else 0.0
    return Upright(
        what, len(right), figure(np.array(right)), figure(np.array(axis)), 100 / 6, 100 * float(told.mean()), share
    )


def _direction(up: NDArray[np.float64]) -> str:
    axis = int(np.abs(up).argmax())
    return DIRECTIONS[2 * axis + int(up[axis] < 0)]


def upright_section(found: Sequence[Upright]) -> Section:
    """Lay the figures out, a row for each way of turning and judging."""
    return Section(
        "Which way is up",
        "Upright shapes are turned by quarters, and it is guessed which direction of the file is up, as it is with "
        "`up=\"auto\"` for formats that do not say. **Right**: that direction is found; **axis**: it or its opposite "
        "is. **Clear**: how often the guess is called clear, and **right where clear** how many of these are right. "
        "Form: resting, balance, mirrors and heights of the points alone. Views: where the form is not clear, "
        "EfficientNet-Lite0 looks at two small drawings of each likely side. The prior says that files mostly have Y "
        "or Z up; rows without it treat all six alike. Shapes are those of Sweet Home 3D in the half that nothing was "
        "learned from (halves by the name's hash), and those of the gallery made of them; intervals are of 95 %. As "
        "the application judges, Y is taken wherever no other direction is clear. "
        "`omnibind_core/evaluation/upright.py` has the recipe.",
        ["shapes", "n", "chance", "right", "axis", "clear", "right where clear"],
        [
            [
                one.what, one.n, f"{one.chance:.1f}", str(one.right), str(one.axis), f"{one.clear:.1f}",
                f"{one.right_of_clear:.1f}",
            ]
            for one in found
        ],
    )  # fmt: skip
