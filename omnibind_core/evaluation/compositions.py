"""Signed queries over the gallery with the answers that a person accepts: what composition is judged by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from omnibind_core.errors import QueryError
from omnibind_core.types import MODALITIES, Modality

__all__ = ["GROUPS", "Composition", "QueryTerm", "read_compositions"]

QUERIES = Path(__file__).parent / "data" / "compositions.json"
_WORDS: Final = "words"


@dataclass(frozen=True)
class QueryTerm:
    """One term of a query: a gallery item by its media, or words.

    Attributes
    ----------
    item, text : str
        The item's identifier or the words; the other one is empty.
    weight : float
        -1 to 1, not 0.
    """

    item: str = ""
    text: str = ""
    weight: float = 1.0

    @property
    def kind(self) -> str:
        """Modality of the item, or "words"."""
        return self.item.partition("/")[0] if self.item else _WORDS


@dataclass(frozen=True)
class Composition:
    """A query and its right answers.

    Attributes
    ----------
    id : str
        A name for people.
    terms : tuple of QueryTerm
        Two or three.
    gold : tuple of str
        Every item that a person accepts; their modalities are where to look.
    alone : str
        What single terms were expected to give.
    """

    id: str
    terms: tuple[QueryTerm, ...]
    gold: tuple[str, ...]
    alone: str

    @property
    def targets(self) -> tuple[Modality, ...]:
        """Where to look, in the order of the answers."""
        return tuple(m for m in MODALITIES if any(answer.startswith(f"{m}/") for answer in self.gold))


GROUPS: Mapping[str, Callable[[Composition], bool]] = {
    "all": lambda _: True,
    "two terms": lambda q: len(q.terms) == 2,
    "three terms": lambda q: len(q.terms) == 3,
    "with sound": lambda q: any(t.kind == "audio" for t in q.terms),
    "with shape": lambda q: any(t.kind == "point" for t in q.terms),
    "with negative": lambda q: any(t.weight < 0 for t in q.terms),
    "with words": lambda q: any(t.kind == _WORDS and t.weight > 0 for t in q.terms),
}


def read_compositions(path: Path = QUERIES) -> list[Composition]:
    """Read the queries.

    Raises
    ------
    QueryError
        The file cannot be read, or is of another form.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["queries"]
        read = [
            Composition(row["id"], tuple(QueryTerm(**t) for t in row["terms"]), tuple(row["gold"]), row["alone"])
            for row in rows
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise QueryError(
            f"queries {path} ({type(error).__name__}: {error})", "the committed queries", "restore the file"
        ) from error
    for query in read:
        if not query.gold or not query.terms or any(bool(t.item) == bool(t.text) for t in query.terms):
            raise QueryError(f"query '{query.id}'", "terms with an item or a text each, and right answers", "mend it")
    return read
