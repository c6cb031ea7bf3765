"""The values that travel between stages. All are frozen; units stand in the field docs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MODALITIES",
    "Audio",
    "Bound",
    "FloatArray",
    "Hit",
    "Image",
    "Media",
    "Modality",
    "PointCloud",
    "Surface",
    "Text",
    "Wrap",
]

Modality: TypeAlias = Literal["image", "audio", "point", "text"]
MODALITIES: tuple[Modality, ...] = ("image", "audio", "point", "text")

Wrap: TypeAlias = Literal["repeat", "clamp", "mirror"]

FloatArray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Image:
    """A decoded picture.

    Attributes
    ----------
    rgb : ndarray, shape (h, w, 3), uint8
        sRGB, upright (EXIF orientation applied), row 0 on top.
    notices : tuple of str
        What was dropped, assumed or missing when it was read, in words for people.
    """

    rgb: NDArray[np.uint8]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Audio:
    """A decoded sound.

    Attributes
    ----------
    samples : ndarray, shape (n,), float32
        Mono, full scale is -1 to 1, finite.
    rate : int
        Sampling rate in Hz.
    notices : tuple of str
        What was dropped, assumed or missing when it was read, in words for people.
    faithful : bool
        Whether towers treat it as their published code does, where that is deterministic.
    left : ndarray, shape (n,), float32, or None
        The first channel alone, where it is faithful and there are more.
    """

    samples: FloatArray
    rate: int
    notices: tuple[str, ...] = ()
    faithful: bool = False
    left: FloatArray | None = None

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, eq=False)
class Surface:
    """One textured or coloured piece of a mesh, in the same coordinates as its cloud.

    Attributes
    ----------
    vertices : ndarray, shape (v, 3), float32
        Y is up, within the unit sphere.
    faces : ndarray, shape (f, 3), int32
        Rows of indices into `vertices`.
    rgb : ndarray, shape (v, 3), float32
        Vertex colour in 0..1 (sRGB); multiplies the texture where there is one.
    uv : ndarray, shape (v, 2), float32, optional
        Texture coordinates, v upwards (OpenGL convention); None without a texture.
    texture : ndarray, shape (h, w, 3) or (h, w, 4), uint8, optional
        sRGB, row 0 on top; None without a texture. A fourth channel is 255 where there is a surface and 0 where there
        is none.
    wrap : tuple of (Wrap, Wrap)
        What lies beyond the texture's edges, along u and v.
    """

    vertices: FloatArray
    faces: NDArray[np.int32]
    rgb: FloatArray
    uv: FloatArray | None = None
    texture: NDArray[np.uint8] | None = None
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")


@dataclass(frozen=True, eq=False)
class PointCloud:
    """A decoded shape: coloured points, and the surfaces they were sampled from.

    Attributes
    ----------
    xyz : ndarray, shape (n, 3), float32
        Y is up; centred on the mean of the points, scaled so that the farthest lies on the unit sphere.
    rgb : ndarray, shape (n, 3), float32
        0..1 (sRGB); 0.4 grey where the file has no colour.
    surfaces : tuple of Surface
        The mesh behind the points, for rendering; empty for a file of points.
    has_colour : bool
        False where `rgb` is the stand-in grey.
    notices : tuple of str
        What was dropped, assumed or missing when it was read, in words for people.
    standing : tuple of float
        Where it was guessed which way is up: how likely each direction of the file is, in the order of
        :data:`omnibind_core.media.upright.DIRECTIONS`; the shape is turned as they say. Else empty.
    """

    xyz: FloatArray
    rgb: FloatArray
    surfaces: tuple[Surface, ...] = ()
    has_colour: bool = True
    notices: tuple[str, ...] = ()
    standing: tuple[float, ...] = ()


@dataclass(frozen=True)
class Text:
    """A sentence: trimmed, not empty; `notices` are those of the other media."""

    text: str
    notices: tuple[str, ...] = ()


Media: TypeAlias = Image | Audio | PointCloud | Text


@dataclass(frozen=True, eq=False)
class Bound:
    """What binding answers for `n` items of one modality.

    Attributes
    ----------
    modality : Modality
        What the items were.
    vectors : ndarray, shape (n, D), float32
        Unit rows in the shared space.
    weights : ndarray, shape (n, members), float32
        The router's weight for each specialist; rows sum to 1.
    members : tuple of str
        Names of the specialists, the columns of `weights`.
    timings : dict of str to float
        Stage name -> seconds for the whole batch: "decode", one per specialist, "project", "route", "bind".
    projected : ndarray, shape (n, members, D), float32, optional
        What was weighed: each specialist's vector in the shared space. None where it was not asked to be kept.
    notices : tuple of tuple of str
        Of each item: what was dropped, assumed or missing when it was read, in words for people.
    """

    modality: Modality
    vectors: FloatArray
    weights: FloatArray
    members: tuple[str, ...]
    timings: dict[str, float] = field(default_factory=dict)
    projected: FloatArray | None = None
    notices: tuple[tuple[str, ...], ...] = ()

    def weights_by_name(self, row: int = 0) -> dict[str, float]:
        """Weights of one item as {specialist: weight}."""
        return {name: float(w) for name, w in zip(self.members, self.weights[row], strict=True)}


@dataclass(frozen=True)
class Hit:
    """One answer of a search.

    Attributes
    ----------
    id : str
        The gallery item's identifier.
    modality : Modality
        What the item is.
    caption : str
        Our own words about it.
    score : float
        The operator's score; for a single term the cosine in -1..1.
    z : float
        How far the score stands out: standard deviations above the mean score of the gallery's items of that
        modality for this query. Comparable between modalities, which raw cosines are not.
    terms : tuple of float
        Cosine of the item with each term of the query, -1..1, in the order of the terms.
    file : str or None
        Path of the real thing on disk; None for a sentence.
    thumbnail : str or None
        Path of a small picture of it; None for a sentence.
    details : dict of str to str
        concept, creator, licence, source.
    share : float or None
        How many of the gallery's pairs of the query's modality and this one are not as near: 0..1. None where the
        query has more than one term, or the gallery has no such pair.
    like : tuple of str
        Identifiers of near duplicates that would have come after it, and are folded under it.
    """

    id: str
    modality: Modality
    caption: str
    score: float
    z: float = 0.0
    terms: tuple[float, ...] = ()
    file: str | None = None
    thumbnail: str | None = None
    details: dict[str, str] = field(default_factory=dict)
    share: float | None = None
    like: tuple[str, ...] = ()
