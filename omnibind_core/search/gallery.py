"""Items with caption, creator, licence and source + their vectors + the fingerprint of the preset that made them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from omnibind_core.binding.files import fingerprint
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
from omnibind_core.search.index import FlatIndex
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES, FloatArray, Hit, Modality

if TYPE_CHECKING:  # a page can list the catalogue before torch is imported
    from omnibind_core.binder import OmniBind

__all__ = ["DEFAULT_MATCH", "MATCHES", "Gallery", "Match", "build"]

log = logging.getLogger(__name__)

NEAR_DUPLICATE = 0.995  # cosine; the same file decoded twice reaches 0.999, two takes of one object about 0.94
_CANDIDATES = 200  # that many for each query vector are scored by operators that are not one vector
_SAMPLE = 2000  # items that the z-score's mean and deviation are taken from


def vectors_path(folder: Path, preset: str) -> Path:
    """Where a preset's vectors of a gallery lie."""
    return folder / f"vectors-{preset}.safetensors"


def build(model: OmniBind, folder: Path | None = None, progress: Callable[[int, int], None] | None = None) -> Path:
    """Embed every item's media and caption and write the vectors beside the catalogue.

    Parameters
    ----------
    model : OmniBind
        In float32, so that two machines give the same vectors.
    folder : Path, optional
        The gallery; None takes the committed one.
    progress : callable, optional
        Called with (items done, items).

    Returns
    -------
    Path
        The file written: tensors "media" and "caption", (n, D) float16 unit rows in catalogue order.
    """
    folder = folder or assets_directory() / "gallery"
    items = read_catalogue(folder)
    shape = (len(items), model.width)
    vectors = {"media": np.zeros(shape, np.float32), "caption": np.zeros(shape, np.float32)}
    for row, item in enumerate(items):
        vectors["caption"][row] = model.embed_texts([item.caption])[0]
        if item.file is None:
            vectors["media"][row] = vectors["caption"][row]
        else:
            vectors["media"][row] = model.embed(item.modality, [folder / item.file]).vectors[0]
        if progress:
            progress(row + 1, len(items))
    path = vectors_path(folder, model.preset.name)
    metadata = {"fingerprint": fingerprint(model.preset), "ids": json.dumps([item.id for item in items])}
    save_file({name: rows.astype(np.float16) for name, rows in vectors.items()}, path, metadata=metadata)
    return path


class Gallery:
    """A catalogue with its vectors, ready to be searched.

    Parameters
    ----------
    items : sequence of Item
    media, caption : ndarray, shape (n, D), float32
        Unit rows, in the order of `items`.
    folder : Path
        What the items' files are relative to.
    """

    def __init__(self, items: Sequence[Item], media: FloatArray, caption: FloatArray, folder: Path) -> None:
        self.items = list(items)
        self.folder = folder
        self._rows = {m: np.array([i for i, item in enumerate(items) if item.modality == m], int) for m in MODALITIES}
        self._by_id = {item.id: row for row, item in enumerate(items)}
        self._paths: dict[str, str] = {}
        self._plain: Mapping[Match, FloatArray] = {"media": media, "media+caption": unit_rows(media + caption)}

    @classmethod
    def load(cls, model: OmniBind, folder: Path | None = None) -> Gallery:
        """Read a gallery and check that `model`'s preset made its vectors.

        Raises
        ------
        GalleryError
            No vectors for this preset, or vectors of another preset, catalogue or version.
        """
        folder = folder or assets_directory() / "gallery"
        items = read_catalogue(folder)
        path = vectors_path(folder, model.preset.name)
        remedy = f"run `make gallery`, or `python -m omnibind_core gallery --build --preset {model.preset.name}`"
        try:
            with safe_open(path, framework="numpy") as opened:
                metadata = opened.metadata() or {}
                media, caption = (opened.get_tensor(name).astype(np.float32) for name in ("media", "caption"))
        except (OSError, SafetensorError) as error:
            raise GalleryError(f"no usable vectors at {path} ({error})", "vectors of this preset", remedy) from error
        mine = fingerprint(model.preset)
        if metadata.get("fingerprint") != mine:
            raise GalleryError(
                f"vectors made by preset fingerprint {metadata.get('fingerprint')}",
                f"fingerprint {mine} of preset '{model.preset.name}'",
                remedy,
            )
        if json.loads(metadata.get("ids", "[]")) != [item.id for item in items]:
            raise GalleryError("vectors of another catalogue", "one vector for each item, in order", remedy)
        return cls(items, unit_rows(media), unit_rows(caption), folder)

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

    def path(self, item: Item, thumbnail: bool = False) -> str | None:
        """Absolute path of an item's file or thumbnail; None for a sentence."""
        name = item.thumbnail if thumbnail else item.file
        if name and name not in self._paths:  # asking the disk is most of what a search of many answers takes
            self._paths[name] = str((self.folder / name).resolve())
        return self._paths[name] if name else None

    def term(self, item_id: str, weight: float = 1.0) -> Term:
        """Make a gallery item a term of a query, by its media."""
        item = self.item(item_id)
        return Term(self._plain["media"][self._by_id[item_id]], weight, item.modality, item.caption)

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

        Returns
        -------
        dict of Modality to list of Hit
            Best first.

        Raises
        ------
        QueryError
            A term, operator, `k`, modality or `match` that is not allowed.
        """
        check_request(k, modalities, operator, match)
        vectors, weights = check_terms(terms)
        if centred:
            vectors = np.vstack([centre(t.vector[None], self._mean(match, t.modality)) for t in terms])
        hidden = set(exclude) | self._duplicates(terms)
        return {
            m: self._search(m, vectors, weights, k, OPERATORS[operator], match, centred, hidden) for m in modalities
        }

    def _search(
        self,
        modality: Modality,
        vectors: FloatArray,
        weights: FloatArray,
        k: int,
        operator: Operator,
        match: Match,
        centred: bool,
        hidden: set[str],
    ) -> list[Hit]:
        rows = self._rows[modality]
        if not len(rows):
            return []
        index, candidates = self._index(modality, match, centred)
        used = weights != 0  # a term of weight 0 decides nothing, but its cosines are still told
        queries = operator.queries(vectors[used], weights[used])
        wanted = k + len(hidden) if len(queries) == 1 else max(_CANDIDATES, k + len(hidden))
        _, found = index.search(queries, wanted)
        local = np.unique(found)
        scores = operator.scores(vectors[used], weights[used], candidates[local])
        sample = candidates[:: max(1, len(candidates) // _SAMPLE)]
        reference = operator.scores(vectors[used], weights[used], sample)
        mean, deviation = float(reference.mean()), max(float(reference.std()), 1e-6)
        hits: list[Hit] = []
        for i in np.argsort(-scores, kind="stable"):
            item = self.items[rows[local[i]]]
            if item.id in hidden:
                continue
            hits.append(
                Hit(
                    item.id,
                    modality,
                    item.caption,
                    float(scores[i]),
                    (float(scores[i]) - mean) / deviation,
                    tuple(float(c) for c in vectors @ candidates[local[i]]),
                    self.path(item),
                    self.path(item, thumbnail=True),
                    {"concept": item.concept, "creator": item.creator, "licence": item.licence, "source": item.source},
                )
            )
            if len(hits) == k:
                break
        return hits

    def _duplicates(self, terms: Sequence[Term]) -> set[str]:
        """Find the items that are the query's own inputs."""
        found: set[str] = set()
        for term in terms:
            rows = self._rows[term.modality]
            if len(rows):
                near = self._plain["media"][rows] @ term.vector > NEAR_DUPLICATE
                found.update(self.items[row].id for row in rows[near])
        return found

    def _mean(self, match: Match, modality: Modality) -> FloatArray:
        mean: FloatArray = self._plain[match][self._rows[modality]].mean(axis=0)
        return mean

    @cache  # noqa: B019  # a gallery lives as long as the process
    def _index(self, modality: Modality, match: Match, centred: bool) -> tuple[FlatIndex, FloatArray]:
        vectors = self._plain[match][self._rows[modality]]
        if centred:
            vectors = centre(vectors, self._mean(match, modality))
        return FlatIndex(vectors), vectors
