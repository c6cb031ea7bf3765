"""Whether any label fits, with the real model and gallery."""

from __future__ import annotations

import numpy as np
import pytest

from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.labelling import labelling, labelling_section
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.fitting import outstanding, threshold
from omnibind_core.search.gallery import Gallery


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(OmniBind.from_pretrained("mini", dtype="float32"))


@pytest.mark.parametrize(
    ("item", "labels", "fits"),
    [
        ("image/dog-1", ["dog", "violin"], True),
        ("image/dog-1", ["harpsichord", "tax form"], False),
        ("audio/piano-1", ["piano", "dog"], True),
        ("audio/piano-1", ["snow", "a spoon"], False),
        ("point/chicken-1", ["chicken", "car"], True),
        ("point/chicken-1", ["a tax form", "mathematics"], False),
    ],
)
def test_labels_fit_or_do_not(explorer: Explorer, item: str, labels: list[str], fits: bool) -> None:
    made = explorer.item(item)
    scores = explorer.classify(made.vector, labels)
    assert explorer.fits(made.vector, made.modality, scores[0]) is fits


def test_where_too_little_is_known_every_label_fits(explorer: Explorer) -> None:
    whole = explorer.gallery
    items = [one for one in whole.items if one.modality == "image"][:5]
    rows = np.stack([whole.row(one.id) for one in items])
    small = Gallery(items, rows, rows, whole.folder)
    assert threshold(small, "image", explorer.model.embed_texts) == -np.inf
    assert outstanding(small, rows[0], 0.0) == np.inf


def test_absent_labels_are_caught_more_often_than_present_ones_are_refused(explorer: Explorer) -> None:
    found = labelling(explorer.model, explorer.gallery)
    assert {one.modality for one in found} == {"image", "audio", "point"}
    for one in found:
        assert one.caught > 0.55 > 0.3 > one.alarms
        assert one.right > 0.7
    assert len(labelling_section(found).rows) == 3
