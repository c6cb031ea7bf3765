"""The whole space seen at once: a gallery's items in two dimensions, and where a new vector lies among them.

Neighbours are kept by t-SNE, from the principal components, with a fixed seed. It is computed once for a gallery and
kept; new vectors are placed among their nearest items, so that nothing that is drawn ever moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from omnibind_core.search.compose import centre, unit_rows
from omnibind_core.search.gallery import Gallery
from omnibind_core.store.integrity import check_committed
from omnibind_core.store.kept import digest, identity, kept
from omnibind_core.store.paths import assets_directory, cache_directory
from omnibind_core.types import MODALITIES, FloatArray, Modality

__all__ = ["Plane", "gap", "plane"]

_NAME = "plane"
VERSION = 1  # of how places are computed
_SEED = 0
_COMPONENTS = 50
_PERPLEXITY = 20.0
_NEIGHBOURS = 5  # items among which a new vector is placed
_LANDMARKS = 1_500  # of more items so many are laid out, and the others are put among them: t-SNE takes minutes else
_AT_ONCE = 4_096  # items whose cosines with all landmarks are held at once
_SHARP = 20.0  # how much the nearest of these counts: as in a softmax of cosines


@dataclass(frozen=True, eq=False)
class Plane:
    """Items in two dimensions.

    Attributes
    ----------
    closed : ndarray, shape (n, 2), float32
        Places within -1..1 after each modality's mean was taken away, so that what belongs together lies together.
    apart : ndarray, shape (n, 2), float32
        Places of the vectors as they are: each modality an island of its own.
    rows : ndarray, shape (n, D), float32
        The centred unit vectors that places are found by.
    plain : ndarray, shape (n, D), float32
        The vectors as they are.
    means : dict of Modality to ndarray, shape (D,)
        What was taken away.
    """

    closed: FloatArray
    apart: FloatArray
    rows: FloatArray
    plain: FloatArray
    means: Mapping[Modality, FloatArray]

    def place(self, vector: FloatArray, modality: Modality) -> tuple[FloatArray, FloatArray]:
        """Place a new vector without moving the others.

        Parameters
        ----------
        vector : ndarray, shape (D,), float32
            Unit vector.
        modality : Modality
            What it is of.

        Returns
        -------
        closed, apart : ndarray, shape (2,), float32
            The mean place of its five nearest items, the nearest counting most.
        """
        moved = centre(vector[None], self.means[modality])[0]
        return _among(self.rows @ moved, self.closed), _among(self.plain @ vector, self.apart)


def plane(gallery: Gallery, folder: Path | None = None) -> Plane:
    """Lay a gallery out; the second time from a file.

    Parameters
    ----------
    gallery : Gallery
        With at least one item.
    folder : Path, optional
        Where places are kept; None takes those that came along, if they are of these vectors, else the cache directory.
    """
    plain = np.zeros((len(gallery), gallery.rows("image").shape[1]), np.float32)
    rows = np.zeros_like(plain)
    means = {modality: gallery.mean(modality) for modality in MODALITIES}
    kinds = np.array([item.modality for item in gallery.items])
    for modality in MODALITIES:
        mine = kinds == modality
        plain[mine] = gallery.rows(modality)
        rows[mine] = centre(plain[mine], means[modality])
    decides = {"version": VERSION, "rows": digest(plain), "kinds": "".join(kind[0] for kind in kinds)}

    def make() -> tuple[Mapping[str, torch.Tensor], None]:
        return {"closed": torch.from_numpy(_flat(rows)), "apart": torch.from_numpy(_flat(plain))}, None

    if folder is None:
        name = f"{_NAME}-{identity(decides)}.safetensors"
        came = assets_directory() / "mini"
        folder = came if (came / name).is_file() else cache_directory() / "plane"
        if folder == came:
            check_committed([came / name])
    found, _ = kept(folder, _NAME, decides, make)
    return Plane(found["closed"].numpy(), found["apart"].numpy(), rows, plain, means)


def gap(gallery: Gallery) -> tuple[float, float]:
    """Say how far the modalities lie apart: the mean distance of their mean vectors, before and after centring.

    Of unit vectors; 0 where they share one middle. After centring it is not 0 to the last digit: rows are scaled back.
    """
    kinds = [modality for modality in MODALITIES if len(gallery.rows(modality))]
    before = [gallery.mean(modality) for modality in kinds]
    after = [centre(gallery.rows(modality), gallery.mean(modality)).mean(axis=0) for modality in kinds]
    return _apart(before), _apart(after)


def _apart(means: list[FloatArray]) -> float:
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(means) for b in means[:i]]
    return float(np.mean(pairs)) if pairs else 0.0


def _flat(rows: FloatArray) -> FloatArray:
    """Lay rows out in two dimensions: (n, D) -> (n, 2) within -1..1."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    count = len(rows)
    if count > _LANDMARKS:
        return _around(rows, np.random.default_rng(_SEED).choice(count, _LANDMARKS, replace=False))
    if count < 5:
        places = np.zeros((count, 2))
        places[:, 0] = np.linspace(-1, 1, count) if count > 1 else 0
        return places.astype(np.float32)
    components = min(_COMPONENTS, count - 1, rows.shape[1])
    reduced = PCA(components, svd_solver="full", random_state=_SEED).fit_transform(rows.astype(np.float64))
    found = TSNE(
        perplexity=min(_PERPLEXITY, (count - 1) / 3), init="pca", metric="cosine", random_state=_SEED, n_jobs=1
    ).fit_transform(unit_rows(reduced.astype(np.float32)))
    found = found - found.mean(axis=0)
    scaled: FloatArray = (found / np.abs(found).max()).astype(np.float32)
    return scaled


def _around(rows: FloatArray, chosen: NDArray[np.int64]) -> FloatArray:
    """Lay some rows out, and put each of the others among those that it is nearest to: -> (n, 2)."""
    landmarks = _flat(rows[chosen])
    places = np.zeros((len(rows), 2), np.float32)
    for start in range(0, len(rows), _AT_ONCE):
        near = rows[start : start + _AT_ONCE] @ rows[chosen].T
        places[start : start + _AT_ONCE] = [_among(one, landmarks) for one in near]
    places[chosen] = landmarks
    return places


def _among(near: FloatArray, places: FloatArray) -> FloatArray:
    chosen = np.argsort(-near)[:_NEIGHBOURS]
    weights = np.exp(_SHARP * (near[chosen] - near[chosen].max()))
    mean: FloatArray = (weights @ places[chosen] / weights.sum()).astype(np.float32)
    return mean
