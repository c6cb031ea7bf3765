"""Items that are not in the gallery, found together with it: a visitor's own files, for as long as the visit lasts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from omnibind_core.search.answers import Found
from omnibind_core.search.compose import OPERATORS, Options, Term, centre, check_terms
from omnibind_core.search.nearness import NEAR_DUPLICATE
from omnibind_core.types import MODALITIES, FloatArray, Hit, Modality

if TYPE_CHECKING:
    from omnibind_core.search.gallery import Gallery

__all__ = ["OwnItem", "with_own"]


@dataclass(frozen=True, eq=False)
class OwnItem:
    """One such item.

    Attributes
    ----------
    id : str
        Unlike any of the gallery's.
    modality : Modality
    caption : str
        What people read; it is not searched.
    vector : ndarray, shape (D,), float32
        Unit vector in the shared space.
    file, thumbnail : str or None
        As those of a :class:`omnibind_core.types.Hit`.
    """

    id: str
    modality: Modality
    caption: str
    vector: FloatArray
    file: str | None = None
    thumbnail: str | None = None


def with_own(
    found: Found,
    gallery: Gallery,
    own: Sequence[OwnItem],
    terms: Sequence[Term],
    options: Options,
    exclude: Collection[str] = (),
) -> Found:
    """Put own items among a search's answers.

    Own items have no captions, and a score with a caption is greater than one without. So they are placed by how far
    they stand out: by standard deviations above the mean score of the gallery's items themselves.

    Parameters
    ----------
    found : Found
        What the gallery answered.
    own : sequence of OwnItem
    terms, options
        The search's.
    exclude : collection of str
        Identifiers that must not come back; nor do items that are a term themselves, as in the gallery.

    Returns
    -------
    Found
        At most ``options.k`` answers of each modality, best first; a column in which an own item is near is not far.

    Raises
    ------
    QueryError
        Terms that make no query.
    """
    hits, far = {m: list(many) for m, many in found.hits.items()}, set(found.far)
    for modality in MODALITIES:
        asked = [term.vector for term in terms if term.modality == modality]
        here = [
            one
            for one in own
            if one.modality == modality
            and one.id not in exclude
            and all(float(one.vector @ vector) <= NEAR_DUPLICATE for vector in asked)  # the query's own inputs
        ]
        if not here or modality not in hits:
            continue
        judged = _judged(gallery, modality, here, terms, options)
        if any(near for _, near in judged):
            far.discard(modality)
        mixed = [*hits[modality], *(hit for hit, _ in judged)]
        hits[modality] = sorted(mixed, key=lambda hit: -hit.z)[: options.k]
    return replace(found, hits=hits, far=frozenset(far))


def _judged(
    gallery: Gallery, modality: Modality, own: Sequence[OwnItem], terms: Sequence[Term], options: Options
) -> list[tuple[Hit, bool]]:
    """Score own items of one modality, and say which are near."""
    vectors, weights = check_terms(terms)
    rows, reference = np.stack([one.vector for one in own]), gallery.rows(modality)
    if options.centred:
        vectors = np.vstack([centre(term.vector[None], gallery.mean(term.modality)) for term in terms])
        mean = gallery.mean(modality)
        rows, reference = centre(rows, mean), centre(reference, mean)
    used = weights != 0
    operator = OPERATORS[options.operator]
    scores = operator.scores(vectors[used], weights[used], rows)
    usual = operator.scores(vectors[used], weights[used], reference if len(reference) else rows)
    mean_score, deviation = float(usual.mean()), max(float(usual.std()), 1e-6)
    near = np.zeros(len(rows), bool)  # to a wanted term alone, as in the gallery
    for term, vector in zip(terms, vectors, strict=True):
        if term.weight > 0:
            alone, all_alone = rows @ vector, (reference if len(reference) else rows) @ vector
            z = (alone - all_alone.mean()) / max(float(all_alone.std()), 1e-6)
            sense = gallery.sense(term.modality, term.vector[None])
            near |= gallery.scale(term.modality, modality, "media", options.centred).reached(alone, z, sense)
    scale = gallery.scale(terms[0].modality, modality, "media", options.centred) if _single(terms) else None
    made = []
    for one, row, score, is_near in zip(own, rows, scores, near, strict=True):
        cosines = tuple(float(cosine) for cosine in vectors @ row)
        z = (float(score) - mean_score) / deviation
        hit = Hit(one.id, modality, one.caption, float(score), z, cosines, one.file, one.thumbnail)
        if scale is not None:
            hit = replace(hit, share=scale.share(cosines[0]))
        made.append((hit, bool(is_near)))
    return made


def _single(terms: Sequence[Term]) -> bool:
    return len(terms) == 1 and terms[0].weight > 0
