"""Whether any label fits at all: how far the best one stands out, against what right labels reach in the gallery.

Labels are words, captions are sentences, and presets differ; so the threshold is read off the gallery itself, for each
preset and modality: its items are asked for the plain words of what they show, and nine of ten of these stand out at
least so far. `omnibind_core/evaluation/labelling.py` measures what that catches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from omnibind_core.search.gallery import Gallery
from omnibind_core.types import FloatArray, Modality

__all__ = ["FALSE_ALARMS", "outstanding", "threshold"]

FALSE_ALARMS = 0.1
"""Of right labels may be called none."""
_FEWEST = 20


def outstanding(gallery: Gallery, vector: FloatArray, cosine: float) -> float:
    """Say by how many standard deviations a label's cosine stands above those of the gallery's sentences.

    Parameters
    ----------
    vector : ndarray, shape (D,), float32
        Unit vector of what is named.
    cosine : float
        Of the label with it.
    """
    usual = gallery.rows("text") @ vector
    return (cosine - float(usual.mean())) / max(float(usual.std()), 1e-6) if len(usual) else np.inf


def threshold(
    gallery: Gallery,
    modality: Modality,
    embed_texts: Callable[[Sequence[str]], FloatArray],
    only: Callable[[str], bool] | None = None,
) -> float:
    """Read off how far a label must stand out to fit things of a modality.

    Parameters
    ----------
    embed_texts : callable
        Words -> unit rows (n, D).
    only : callable, optional
        Says which concepts count; for measuring.

    Returns
    -------
    float
        Minus infinity where the gallery has fewer than 20 such items: then every label fits.
    """
    pairs = [
        (row, name)
        for row, name in zip(gallery.rows(modality), gallery.concepts(modality), strict=True)
        if name and (only is None or only(name))
    ]
    if len(pairs) < _FEWEST or not len(gallery.rows("text")):
        return -np.inf
    names = sorted({name for _, name in pairs})
    words = dict(zip(names, embed_texts(names), strict=True))
    reached = [outstanding(gallery, row, float(row @ words[name])) for row, name in pairs]
    return float(np.quantile(reached, FALSE_ALARMS))
