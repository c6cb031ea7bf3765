"""A search as a link: gallery items and sentences with their weights, and the options; never anybody's file."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from demo.settings import MAX_TERMS
from demo.state import MINE, Ingredient, Visit
from omnibind_core.errors import OmniBindError, QueryError
from omnibind_core.media.limits import MAX_CHARACTERS
from omnibind_core.search.compose import OPERATORS, Options, check_request, check_weight
from omnibind_core.types import MODALITIES

__all__ = ["Link", "Said", "link_options", "pack", "unpack", "written"]

_LONGEST = 24_000  # characters of a link's part: eight sentences of the greatest length, in letters of any script
_NAME, _FACETS = 120, 60  # characters of a licence or concept, and how many of them all


@dataclass(frozen=True)
class Said:
    """One term of a link.

    Attributes
    ----------
    weight : float
        -1 to 1.
    item, text : str
        The gallery's identifier, or the sentence; the other one is empty.
    """

    weight: float
    item: str = ""
    text: str = ""


@dataclass(frozen=True)
class Link:
    """What a link says.

    Attributes
    ----------
    terms : tuple of Said
    options : Options
    left : int
        Terms that could not go into it: files of the visitor's own.
    """

    terms: tuple[Said, ...]
    options: Options
    left: int = 0


def pack(visit: Visit, options: Options) -> tuple[str, Link]:
    """Write a visit's query as the part of a link behind ``?q=``, and say what is in it; empty where nothing is."""
    terms = tuple(
        Said(one.weight, item=one.item_id) if _in_gallery(one) else Said(one.weight, text=one.source)
        for one in visit.ingredients
        if _in_gallery(one) or one.modality == "text"
    )
    link = Link(terms, options, len(visit.ingredients) - len(terms))
    return (written(terms, options) if terms else ""), link


def _in_gallery(one: Ingredient) -> bool:
    return bool(one.item_id) and not one.item_id.startswith(MINE)


def written(terms: Sequence[Said], options: Options) -> str:
    """Write terms and options as the part of a link behind ``?q=``."""
    data = {"t": [[one.weight, "i" if one.item else "s", one.item or one.text] for one in terms], "o": asdict(options)}
    plain = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def unpack(part: str) -> Link:
    """Read what :func:`pack` wrote, as a stranger may have changed it.

    Raises
    ------
    QueryError
        It is of another form, or says what no page of ours would.
    """
    try:
        if len(part) > _LONGEST:
            raise ValueError("too long")
        data: Any = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        named: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in data["o"].items()}
        options = Options(**named)
        check_request(options.k, options.kinds or MODALITIES, options.operator, options.match)
        facets = (*options.kinds, *options.licences, *options.concepts, *options.collections)
        if not all(isinstance(x, str) and len(x) <= _NAME for x in facets) or len(facets) > _FACETS:
            raise TypeError("other facets")
        if not isinstance(options.centred, bool) or options.operator not in OPERATORS:
            raise TypeError("other options")
        terms = tuple(_term(one) for one in data["t"])
        if not 0 < len(terms) <= MAX_TERMS:
            raise ValueError("too many terms")
    except (ValueError, TypeError, KeyError, binascii.Error, RecursionError, OmniBindError) as error:
        raise QueryError(
            "a link that this page did not write, or that was cut",
            "a whole link from “Share and save”",
            "ask for it again",
        ) from error
    return Link(terms, options)


def link_options(part: str) -> Options | None:
    """Give a link's options; None where :func:`unpack` refuses it."""
    try:
        return unpack(part).options
    except QueryError:
        return None


def _term(one: Sequence[Any]) -> Said:
    weight, kind, value = one
    if not isinstance(value, str) or not value or len(value) > MAX_CHARACTERS or kind not in {"i", "s"}:
        raise TypeError("another term")
    return Said(check_weight(weight), **{"item" if kind == "i" else "text": value})
