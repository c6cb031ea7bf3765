"""Parametric shapes with names, as many as wanted: what a point encoder can see before it sees real meshes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from omnibind_core.media.shapes import Part, cloud_of_parts
from omnibind_core.store.kept import digest
from omnibind_core.types import PointCloud
from tools.mini.pools.parametric.fittings import FITTINGS
from tools.mini.pools.parametric.furniture import FURNITURE
from tools.mini.pools.parametric.nature import NATURE
from tools.mini.pools.parametric.outdoors import OUTDOORS
from tools.mini.pools.parametric.parts import Sketch, Sketcher
from tools.mini.pools.parametric.things import THINGS

__all__ = ["CLASSES", "EACH", "Procedural", "build", "catalogue", "fingerprint"]

CLASSES: dict[str, Sketcher] = dict(sorted({**FURNITURE, **FITTINGS, **NATURE, **OUTDOORS, **THINGS}.items()))
"""Label -> what draws a shape of that class."""

EACH = 8
"""Shapes of each class in the catalogue."""

_STRETCH = 0.15
_LEAN = 8.0  # degrees about Y: authors do not agree on where the front is to the degree


@dataclass(frozen=True)
class Procedural:
    """One parametric shape: a label of :data:`CLASSES`, and the number that all chance comes from."""

    label: str
    number: int


def catalogue() -> list[Procedural]:
    """:data:`EACH` shapes of every class, in alphabetical order."""
    return [Procedural(label, number) for label in CLASSES for number in range(EACH)]


def fingerprint() -> str:
    """Digest of the first shape of every class, 16 hexadecimal digits: what is kept of the shapes goes by it."""
    parts = [part for label in CLASSES for part in _sketch(Procedural(label, 0), np.random.default_rng(0))]
    drawn = [rows for part in parts for rows in (part.vertices, part.faces, part.rgb) if rows is not None]
    return digest(*(np.round(1000 * rows).astype(np.int64) for rows in drawn))


def build(which: Procedural) -> PointCloud:
    """Make a shape; the same one at every call.

    Parameters
    ----------
    which : Procedural
        Its label must be one of :data:`CLASSES`.

    Returns
    -------
    PointCloud
        10,000 points spread evenly by area and the surfaces, in the unit sphere, Y up, front to +Z.
    """
    seed = int.from_bytes(hashlib.sha256(f"{which.label}/{which.number}".encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    drawn = _sketch(which, rng)
    stretch = np.exp(rng.uniform(-_STRETCH, _STRETCH, 3))
    angle = np.radians(rng.uniform(-_LEAN, _LEAN))
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    parts = [Part(p.vertices * stretch @ turn.T, p.faces, p.rgb) for p in drawn]
    return cloud_of_parts(parts, which.label, "y")


def _sketch(which: Procedural, rng: np.random.Generator) -> list[Part]:
    sketch = Sketch(rng)
    CLASSES[which.label](sketch)
    return sketch.parts
