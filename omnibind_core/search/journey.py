"""A walk from one thing to another: what is met on the way, in each modality (the paper composes two; section 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from omnibind_core.errors import QueryError
from omnibind_core.search.compose import Options, Term
from omnibind_core.store.catalogue import Item
from omnibind_core.types import MODALITIES, Hit, Modality

if TYPE_CHECKING:
    from omnibind_core.search.gallery import Gallery

__all__ = ["FEWEST", "MOST", "STOPS", "Stop", "journey"]

STOPS = 9
"""Stops of a journey where nothing else is asked for."""
FEWEST, MOST = 3, 33


@dataclass(frozen=True)
class Stop:
    """One place on the way.

    Attributes
    ----------
    share : float
        How much of the way is done, 0 to 1.
    hits : dict of Modality to list of Hit
        What is met there, best first.
    """

    share: float
    hits: dict[Modality, list[Hit]]


def journey(
    gallery: Gallery,
    start: Term,
    end: Term,
    options: Options,
    *,
    stops: int = STOPS,
    exclude: Collection[str] = (),
    only: Callable[[Item], bool] | None = None,
) -> list[Stop]:
    """Walk along the sphere from one unit vector to another, in even steps of their shares.

    Parameters
    ----------
    gallery : Gallery
        What is searched.
    start, end : Term
        Where from and where to, whatever their weights.
    options : Options
        The search's; its operator is not looked at.
    stops : int
        3 to 33, both ends among them.
    exclude : collection of str
        Identifiers of items that must not come back, besides start and end themselves.
    only : callable, optional
        Says which items may come back; None allows all.

    Raises
    ------
    QueryError
        Another number of stops, or vectors that do not fit the gallery.
    """
    if isinstance(stops, bool) or not isinstance(stops, int) or not FEWEST <= stops <= MOST:
        raise QueryError(f"a journey of {stops} stops", f"{FEWEST} to {MOST}", "choose another number")
    found = []
    for number in range(stops):
        share = number / (stops - 1)
        terms = [replace(start, weight=1 - share), replace(end, weight=share)]
        hits = gallery.search(
            terms,
            options.k,
            modalities=options.kinds or MODALITIES,
            operator="slerp",
            match=options.match,
            centred=options.centred,
            exclude=exclude,
            only=only,
        )
        found.append(Stop(share, hits))
    return found
