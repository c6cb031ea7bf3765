"""Several items beside one another: how near each is to each, and which of them belong together.

Cosines of one pair of modalities are not those of another, so a table of them would say above all what is a sound and
what a picture. Each is therefore told as the share of the gallery's pairs of those two modalities that are not as near.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from omnibind_core.errors import QueryError
from omnibind_core.search.nearness import Scale
from omnibind_core.types import FloatArray, Modality

__all__ = ["MOST", "TOGETHER", "Compared", "compare"]

MOST = 24  # items of one table: more cells cannot be read
# Chosen among four measures, three linkages and nine to fourteen cuts on one half of the gallery's concepts; it is the
# widest cut that was tried. The page of results has the other half ("Which belong together").
TOGETHER = 0.7  # share that all pairs of a group reach


@dataclass(frozen=True, eq=False)
class Compared:
    """Items beside one another.

    Attributes
    ----------
    cosines : ndarray, shape (n, n), float32
        Of every item with every other, in the order in which they were given.
    shares : ndarray, shape (n, n), float32
        Symmetric, 0..1: of the gallery's pairs of these two modalities, how many are not as near; 1 on the diagonal.
    order : tuple of int
        The items' numbers from 0, so that neighbours stand side by side and groups in one piece.
    groups : tuple of int
        For each item as given: the number of its group, counted from 0 in that order.
    """

    cosines: FloatArray
    shares: FloatArray
    order: tuple[int, ...]
    groups: tuple[int, ...]


def compare(
    vectors: FloatArray, modalities: Sequence[Modality], scale: Callable[[Modality, Modality], Scale]
) -> Compared:
    """Compare items with one another.

    Parameters
    ----------
    vectors : ndarray, shape (n, D), float32
        Unit rows, 2 to 24.
    modalities : sequence of Modality
        What they are, n of them.
    scale : callable
        Modality of one, modality of the other -> how near such items are to one another;
        :meth:`omnibind_core.search.gallery.Gallery.scale`.

    Returns
    -------
    Compared
        Groups by complete linkage: every pair of a group reaches `TOGETHER`.

    Raises
    ------
    QueryError
        Too few or too many.
    """
    from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
    from scipy.spatial.distance import squareform

    count = len(vectors)
    if not 2 <= count <= MOST:
        raise QueryError(f"{count} item{'s' if count != 1 else ''}", f"2 to {MOST} items", "add some or take some away")
    cosines = np.asarray(vectors @ vectors.T, np.float32)
    shares = np.eye(count, dtype=np.float32)
    for one in range(count):
        for other in range(one):
            near = [scale(modalities[a], modalities[b]).share(cosines[one, other]) for a, b in _both(one, other)]
            shares[one, other] = shares[other, one] = np.mean(near)
    tree = linkage(squareform(1 - shares, checks=False), "complete", optimal_ordering=True)
    order = [int(row) for row in leaves_list(tree)]
    found = fcluster(tree, 1 - TOGETHER, "distance")
    numbers = {group: number for number, group in enumerate(dict.fromkeys(found[order]))}
    return Compared(cosines, shares, tuple(order), tuple(numbers[group] for group in found))


def _both(one: int, other: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return (one, other), (other, one)
