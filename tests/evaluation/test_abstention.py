"""How often "nothing is near" is right, for single inputs and for sums of two."""

import numpy as np

from omnibind_core.evaluation.abstention import abstention, abstention_section, mixes, outside
from omnibind_core.search.gallery import Gallery
from omnibind_core.types import MODALITIES


def test_what_shows_nothing_is_refused_more_often_than_what_is_right(mini):
    gallery = Gallery.load(mini)
    draw, strange = np.random.default_rng(0), {}
    for modality in MODALITIES:
        known = gallery.rows(modality, "media")
        rows = known.mean(0) + 0.2 * draw.standard_normal((40, known.shape[1]))
        strange[modality] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    found = abstention(gallery, strange)
    assert {(one.asked, one.among) for one in found} == {(a, b) for a in MODALITIES for b in MODALITIES}
    summed = mixes(gallery, strange, n=40)
    assert summed.n > 400
    assert summed.refused > 80 > 5 > summed.alarms
    known = {m: gallery.rows(m, "media")[:40] for m in MODALITIES}
    assert mixes(gallery, known, n=40).refused < 10  # what the gallery shows is no nonsense
    things = {m: (rows, gallery.concepts(m)[:40]) for m, rows in known.items()}
    real = outside(gallery, things)
    assert len(real) > 160 and real.mean() < 0.05
    section = abstention_section(found, summed, real)
    assert f"{summed.refused:.1f} %" in section.text
    assert len(section.rows) == len(MODALITIES)
