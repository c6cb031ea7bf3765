"""Items with caption, creator, licence and source + their vectors + the fingerprint of the preset that made them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from omnibind_core.errors import GalleryError, QueryError
from omnibind_core.search.compose import (
    DEFAULT_CENTRED,
    DEFAULT_MATCH,
    DEFAULT_OPERATOR,
    MATCHES,
    OPERATORS,
    Match,
    Operator,
    Term,
    centre,
    check_request,
    check_terms,
    unit_rows,
)
from omnibind_core.search.disk_index import DiskIndex
from omnibind_core.search.gallery_vectors import build, kept_path, make, read, vectors_path
from omnibind_core.search.index import FlatIndex, Index
from omnibind_core.search.milvus_index import MilvusIndex
from omnibind_core.search.nearness import NEAR_DUPLICATE, Scale, directions, scale
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.integrity import check_committed
from omnibind_core.store.kept_indexes import Whose
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES, FloatArray, Hit, Modality

if TYPE_CHECKING:  # a page can list the catalogue before torch is imported
    from omnibind_core.binder import OmniBind

__all__ = ["DEFAULT_MATCH", "MATCHES", "Gallery", "Match", "build", "kept_path", "vectors_path"]

log = logging.getLogger(__name__)

FLAT_MOST = 100_000
"""Vectors of a modality that are searched exactly, in memory; of more, codes are searched first: docs/scale.md."""

ALIKE = 0.97  # cosine of near duplicates, which are folded; the gallery's most alike pair has 0.93
_CANDIDATES = 200  # that many for each query vector are scored by operators that are not one vector
_SAMPLE = 2000  # items that the z-score's mean and deviation are taken from


class Gallery:
    """A catalogue with its vectors, ready to be searched.

    Parameters
    ----------
    items : sequence of Item
    media, caption : ndarray, shape (n, D), float32
        Unit rows, in the order of `items`.
    folder : Path
        What the items' files are relative to.

    Attributes
    ----------
    store : str
        Where vectors are searched: ``milvus:`` and the path of a file or the address of a server, see
        :class:`omnibind_core.search.milvus_index.MilvusIndex`; empty takes memory, or the cache where there are more
        than 100,000. To be set before the first search, which sends there what is not there yet.
    made_of : tuple of Path
        Folders of what is searched together.
    preset : str
        Whose vectors they are; empty where nobody said.
    """

    def __init__(self, items: Sequence[Item], media: FloatArray, caption: FloatArray, folder: Path) -> None:
        self.items = list(items)
        self.folder = folder
        self.store = ""
        self.made_of: tuple[Path, ...] = (folder,)
        self.preset = ""
        self._rows = {m: np.array([i for i, item in enumerate(items) if item.modality == m], int) for m in MODALITIES}
        self._by_id = {item.id: row for row, item in enumerate(items)}
        self._homes: dict[str, frozenset[str]] = {}
        self._paths: dict[str, str] = {}
        self._indexes: dict[tuple[Modality, Match, bool], tuple[Index, FloatArray]] = {}
        self._indexing = threading.Lock()
        self._means: dict[tuple[Modality, Match], FloatArray] = {}
        self._scales: dict[tuple[Modality, Modality, Match, bool], Scale] = {}
        self._plain: Mapping[Match, FloatArray] = {"media": media, "media+caption": unit_rows(media + caption)}

    @classmethod
    def join(cls, many: Sequence[Gallery]) -> Gallery:
        """Search several at once; an item that two of them have counts once, as the first has it."""
        rows: dict[str, tuple[Gallery, int]] = {}
        homes: dict[str, frozenset[str]] = {}
        for one in many:
            for row, item in enumerate(one.items):
                rows.setdefault(item.id, (one, row))
                homes[item.id] = homes.get(item.id, frozenset()) | one.homes(item.id)
        items = [
            replace(one.items[row], file=one.path(one.items[row]), thumbnail=one.path(one.items[row], thumbnail=True))
            for one, row in rows.values()
        ]
        vectors: dict[Match, FloatArray] = {
            name: np.stack([one._plain[name][row] for one, row in rows.values()]) for name in MATCHES
        }
        made = cls(items, vectors["media"], vectors["media"], Path())
        made._plain = vectors
        made._homes = homes
        made.made_of = tuple(folder for one in many for folder in one.made_of)
        made.preset = many[0].preset
        return made

    @classmethod
    def load(cls, model: OmniBind, folder: Path | None = None) -> Gallery:
        """Read a gallery with vectors that `model`'s preset made: those beside the catalogue, else those in the cache.

        Raises
        ------
        DamagedError
            Committed vectors, or the catalogue, are not what was committed.
        GalleryError
            No vectors for this preset, or vectors of another preset, catalogue or version.
        """
        folder = folder or assets_directory() / "gallery"
        items = read_catalogue(folder)
        check_committed([vectors_path(folder, model.preset.name)])  # damaged is not missing: nothing is made instead
        try:
            media, caption = read(vectors_path(folder, model.preset.name), model, items)
        except GalleryError:
            kept = kept_path(model, folder)
            if not kept.is_file():
                raise
            media, caption = read(kept, model, items)
        return cls._of(model, items, media, caption, folder)

    @classmethod
    def make(
        cls, model: OmniBind, folder: Path | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Gallery:
        """Embed a gallery now and keep its vectors in the cache, where :meth:`load` finds them the next time.

        Parameters are those of :func:`omnibind_core.search.gallery_vectors.make`.
        """
        folder = folder or assets_directory() / "gallery"
        media, caption = make(model, folder, progress)
        return cls._of(model, read_catalogue(folder), media, caption, folder)

    @classmethod
    def _of(
        cls, model: OmniBind, items: Sequence[Item], media: FloatArray, caption: FloatArray, folder: Path
    ) -> Gallery:
        found = cls(items, unit_rows(media), unit_rows(caption), folder)
        found.preset = model.preset.name
        return found

    def __len__(self) -> int:
        return len(self.items)

    def item(self, item_id: str) -> Item:
        """Give an item by its identifier.

        Raises
        ------
        QueryError
            There is none.
        """
        if item_id not in self._by_id:
            raise QueryError(f"gallery item '{item_id}'", "an id of the catalogue", "list them with `gallery`")
        return self.items[self._by_id[item_id]]

    def has(self, item_id: str) -> bool:
        """Whether there is an item of that identifier."""
        return item_id in self._by_id

    def homes(self, item_id: str) -> frozenset[str]:
        """Name the collections that have an item, by their folders' names."""
        return self._homes.get(item_id) or frozenset({self.folder.name})

    def path(self, item: Item, thumbnail: bool = False) -> str | None:
        """Absolute path of an item's file or thumbnail; None for a sentence."""
        name = item.thumbnail if thumbnail else item.file
        if name and name not in self._paths:  # asking the disk is most of what a search of many answers takes
            self._paths[name] = str((self.folder / name).resolve())
        return self._paths[name] if name else None

    def hit(self, item_id: str, score: float = 0.0, z: float = 0.0, terms: tuple[float, ...] = ()) -> Hit:
        """Give an item as an answer, with its files and its credits; raises QueryError where there is none."""
        item = self.item(item_id)
        details = {name: getattr(item, name) for name in ("concept", "creator", "licence", "source")}
        files = self.path(item), self.path(item, thumbnail=True)
        return Hit(item.id, item.modality, item.caption, score, z, terms, *files, details)

    def term(self, item_id: str, weight: float = 1.0) -> Term:
        """Make a gallery item a term of a query, by its media."""
        item = self.item(item_id)
        return Term(self.row(item_id), weight, item.modality, item.caption)

    def search(
        self,
        terms: Sequence[Term],
        k: int = 8,
        *,
        modalities: Sequence[Modality] = MODALITIES,
        operator: str = DEFAULT_OPERATOR,
        match: Match = DEFAULT_MATCH,
        centred: bool = DEFAULT_CENTRED,
        exclude: Collection[str] = (),
        only: Callable[[Item], bool] | None = None,
    ) -> dict[Modality, list[Hit]]:
        """Find the items that answer signed terms, in each modality on its own.

        Parameters
        ----------
        terms : sequence of Term
            At least one with a weight other than 0.
        k : int
            Answers for each modality, 1 to 200.
        modalities : sequence of Modality
            Where to look.
        operator : str
            A name in :data:`omnibind_core.search.compose.OPERATORS`.
        match : {"media", "media+caption"}
            Compare with the item itself, or with the mean of the item and its caption.
        centred : bool
            Subtract each modality's mean first.
        exclude : collection of str
            Identifiers that must not come back. Items that are a term themselves (cosine above 0.995 in their own
            modality) never do.
        only : callable, optional
            Says which items may come back; None allows all.

        Returns
        -------
        dict of Modality to list of Hit
            Best first; near duplicates of a better one are folded under it.

        Raises
        ------
        QueryError
            A term, operator, `k`, modality or `match` that is not allowed.
        """
        check_request(k, modalities, operator, match)
        vectors, weights = check_terms(terms)
        width = self._plain["media"].shape[1]
        if vectors.shape[1] != width:
            raise QueryError(
                f"terms of {vectors.shape[1]} numbers",
                f"vectors of {width} numbers, as this gallery has",
                "embed the terms with the gallery's preset",
            )
        if centred:
            vectors = np.vstack([centre(t.vector[None], self.mean(t.modality, match)) for t in terms])
        keep = np.ones(len(self.items), bool)
        keep[[self._by_id[one] for one in exclude if one in self._by_id]] = False
        if only is not None:
            keep &= np.fromiter((only(item) for item in self.items), bool, len(self.items))
        own = {m: np.array([t.vector for t in terms if t.modality == m], np.float32) for m in modalities}
        return {
            m: self._search(m, vectors, weights, k, OPERATORS[operator], match, centred, keep, own[m])
            for m in modalities
        }

    def scale(self, asked: Modality, modality: Modality, match: Match = DEFAULT_MATCH, centred: bool = False) -> Scale:
        """Say how near items of `modality` are to queries of `asked`; `match` and `centred` are those of the search.

        Read off the gallery itself when it is first asked for: its items of the one for those of the other.
        """
        key = asked, modality, match, centred
        if key not in self._scales:
            queries = self.rows(asked, "media")
            sense = self.sense(asked, queries)
            if centred:
                queries = centre(queries, self.mean(asked, match))
            candidates = self._vectors(self._rows[modality], modality, match, centred)
            names = self.concepts(asked), self.concepts(modality)
            self._scales[key] = scale(queries, candidates, *names, sense=sense, same=asked == modality)
        return self._scales[key]

    def sense(self, modality: Modality, vectors: FloatArray) -> FloatArray | None:
        """Say how unlike nonsense vectors of one modality (n, D) are: (n,), None where the preset does not know."""
        known = directions(self.preset).get(modality)
        if known is None or len(known) != vectors.shape[1]:
            return None
        found: FloatArray = vectors @ known
        return found

    def row(self, item_id: str, match: Match = "media") -> FloatArray:
        """Give an item's unit vector (D,), as it is compared with queries; raises QueryError where there is none."""
        self.item(item_id)
        row: FloatArray = self._plain[match][self._by_id[item_id]]
        return row

    def rows(self, modality: Modality, match: Match = "media") -> FloatArray:
        """Give the vectors of one modality's items, in their order: (n, D), unit rows."""
        rows: FloatArray = self._plain[match][self._rows[modality]]
        return rows

    def mean(self, modality: Modality, match: Match = "media") -> FloatArray:
        """Give the mean vector of one modality's items: (D,), zeros where there are none."""
        key = modality, match
        if key not in self._means:
            rows = self.rows(modality, match)
            self._means[key] = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1], np.float32)
        return self._means[key]

    def concepts(self, modality: Modality) -> list[str]:
        """Say what each of one modality's items shows, in their order."""
        return [self.items[row].concept for row in self._rows[modality]]

    def judged(
        self, found: Mapping[Modality, Sequence[Hit]], term: Term, match: Match, centred: bool
    ) -> tuple[dict[Modality, list[Hit]], frozenset[Modality]]:
        """Say how near the answers to a single term are, and in which modalities none is."""
        hits, far = {}, set()
        sense = self.sense(term.modality, term.vector[None])
        for modality, answers in found.items():
            measure = self.scale(term.modality, modality, match, centred)
            known = len(measure.cosines) > 0  # pairs of these two kinds
            hits[modality] = [replace(hit, share=measure.share(hit.terms[0]) if known else None) for hit in answers]
            if answers and not measure.is_near(answers[0], sense):
                far.add(modality)
        return hits, frozenset(far)

    def _search(
        self,
        modality: Modality,
        vectors: FloatArray,
        weights: FloatArray,
        k: int,
        operator: Operator,
        match: Match,
        centred: bool,
        keep: NDArray[np.bool_],
        own: FloatArray,
    ) -> list[Hit]:
        """Search one modality: `keep` says which items may come back, `own` holds the terms that are of it, (t, D)."""
        rows = self._rows[modality]
        if not len(rows):
            return []
        index, sample = self._index(modality, match, centred)
        used = weights != 0  # a term of weight 0 decides nothing, but its cosines are still told
        queries = operator.queries(vectors[used], weights[used])
        wanted = 2 * k if len(queries) == 1 else max(_CANDIDATES, 2 * k)  # twice: near duplicates are folded
        mixed = len(queries) == 1 < int(used.sum())
        near = rows[self._near(index, queries, wanted, rows, keep[rows], own, mixed)]
        found = self._vectors(near, modality, match, centred)
        scores = operator.scores(vectors[used], weights[used], found)
        reference = operator.scores(vectors[used], weights[used], sample)
        mean, deviation = float(reference.mean()), max(float(reference.std()), 1e-6)
        hits: list[Hit] = []
        media = self._plain["media"]
        for i in np.argsort(-scores, kind="stable"):
            row = near[i]
            item = self.items[row]
            alike = [n for n, hit in enumerate(hits) if float(media[row] @ self.row(hit.id)) > ALIKE]
            if alike:
                hits[alike[0]] = replace(hits[alike[0]], like=(*hits[alike[0]].like, item.id))
                continue
            if len(hits) == k:
                break
            cosines = tuple(float(c) for c in vectors @ found[i])
            hits.append(self.hit(item.id, float(scores[i]), (float(scores[i]) - mean) / deviation, cosines))
        return hits

    def _near(
        self,
        index: Index,
        queries: FloatArray,
        wanted: int,
        rows: NDArray[np.int64],
        keep: NDArray[np.bool_],
        own: FloatArray,
        mixed: bool,
    ) -> NDArray[np.int64]:
        """Find at least `wanted` candidates for each query that are not its own inputs, by their place in `rows`."""
        spare = 2 * len(own)
        while True:
            _, found = index.search(queries, wanted + spare, None if keep.all() else keep, mixed=mixed)
            near: NDArray[np.int64] = np.unique(found)
            if not len(own):
                return near
            new = (self._plain["media"][rows[near]] @ own.T <= NEAR_DUPLICATE).all(axis=1)
            if (~new).sum() <= spare or found.shape[1] < wanted + spare:
                return np.asarray(near[new], np.int64)
            spare = 2 * int((~new).sum())  # the gallery has many of what was asked with

    def _vectors(self, rows: NDArray[np.int64], modality: Modality, match: Match, centred: bool) -> FloatArray:
        """Give items' vectors as they are compared with queries: (m,) -> (m, D)."""
        vectors: FloatArray = self._plain[match][rows]
        return centre(vectors, self.mean(modality, match)) if centred else vectors

    def _index(self, modality: Modality, match: Match, centred: bool) -> tuple[Index, FloatArray]:
        """Give what searches a modality, and the items' vectors (m, D) that scores are compared with."""
        key = modality, match, centred
        if key in self._indexes:
            return self._indexes[key]
        with self._indexing:
            if key not in self._indexes:  # two searches at once make it once
                rows = self._rows[modality]
                sample = rows[:: max(1, len(rows) // _SAMPLE)]
                part = f"{modality}, {match}{', centred' if centred else ''}"
                whose = Whose(tuple(str(one.resolve()) for one in self.made_of), self.preset, part)
                index = _indexed(self._vectors(rows, *key), self.store, whose)
                self._indexes[key] = index, self._vectors(sample, *key)
            return self._indexes[key]


def _indexed(vectors: FloatArray, store: str, whose: Whose) -> Index:
    """Take the back end that was asked for, or suits so many vectors."""
    if store:
        return MilvusIndex.kept(vectors, store)
    if len(vectors) > FLAT_MOST:
        try:
            return DiskIndex.kept(vectors, whose if whose.preset else None)
        except GalleryError as error:
            log.warning("no index of %d vectors is kept, all are searched: %s", len(vectors), error)
    return FlatIndex(vectors)
