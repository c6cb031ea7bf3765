"""How often "none of these" is right: gallery items with a dozen labels, theirs among them or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.localising import Half, half_of
from omnibind_core.evaluation.report import Section
from omnibind_core.search.fitting import outstanding, threshold
from omnibind_core.search.gallery import Gallery
from omnibind_core.types import MODALITIES, Modality

__all__ = ["Labelling", "labelling", "labelling_section"]

_LABELS = 12


@dataclass(frozen=True)
class Labelling:
    """Figures of one modality.

    Attributes
    ----------
    modality : Modality
    n : int
        Items.
    right : float
        Share of the items whose label comes first among twelve.
    alarms, caught : float
        Share of those called none although, and because, theirs is not among the twelve.
    """

    modality: Modality
    n: int
    right: float
    alarms: float
    caught: float


def labelling(model: OmniBind, gallery: Gallery, half: Half = "test") -> list[Labelling]:
    """Name a half's items; thresholds are read off the other half."""
    other: Half = "development" if half == "test" else "test"
    pool = sorted({one.concept for one in gallery.items if one.concept and half_of(one.concept) == half})
    words = dict(zip(pool, model.embed_texts(pool), strict=True))
    found = []
    for modality in MODALITIES:
        if modality == "text":
            continue
        least = threshold(gallery, modality, model.embed_texts, lambda name: half_of(name) == other)
        items = [one for one in gallery.items if one.modality == modality and half_of(one.concept) == half]
        draw = np.random.default_rng(0)
        rows = []
        for item in items:
            wrong = [name for name in draw.permutation(pool) if name != item.concept][:_LABELS]
            vector = gallery.row(item.id)
            own, others = float(vector @ words[item.concept]), [float(vector @ words[name]) for name in wrong]
            far = [outstanding(gallery, vector, best) < least for best in (max(own, *others[1:]), max(others))]
            rows.append((own > max(others[1:]), *far))
        found.append(Labelling(modality, len(items), *(float(one) for one in np.mean(rows, axis=0))))
    return found


def labelling_section(found: Sequence[Labelling]) -> Section:
    """Lay the figures out, a row for each modality."""
    return Section(
        "When no label fits",
        "Gallery items named among twelve concepts. **Right**: the item's own comes first. **False alarms**: its own "
        "is among them, and yet none is said to fit. **Caught**: its own is not among them, and none is said to fit. "
        "Concepts are split in halves; thresholds were read off the other half, where a tenth of the right labels lies "
        "below them. Labels as they stand: sentences around them (“a photo of a ..”) were tried on the other half and "
        "did not help this preset.",
        ["named", "n", "chance", "right", "false alarms", "caught"],
        [
            [
                one.modality,
                one.n,
                f"{100 / _LABELS:.1f}",
                *(f"{100 * x:.1f}" for x in (one.right, one.alarms, one.caught)),
            ]
            for one in found
        ],
    )
