"""The one face above the core: page, command line and programs ask it, and it asks model and gallery."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omnibind_core import media
from omnibind_core.binder import OmniBind
from omnibind_core.errors import GalleryError
from omnibind_core.machine.places import Cores, Places
from omnibind_core.machine.runtime import usable_cores
from omnibind_core.media.limits import MAX_BYTES
from omnibind_core.media.video import is_film
from omnibind_core.search.answers import Embedded, Found, LabelScore
from omnibind_core.search.classify import classify
from omnibind_core.search.compare import Compared, compare
from omnibind_core.search.compose import Options, Term
from omnibind_core.search.explain import Explained, explain
from omnibind_core.search.fitting import outstanding, threshold
from omnibind_core.search.gallery import Gallery
from omnibind_core.search.journey import STOPS, Stop, journey
from omnibind_core.search.localise import Located, Pieces, localise, piece_at, pieces
from omnibind_core.search.plane import Plane, plane
from omnibind_core.search.remembered import Remembered, key_of
from omnibind_core.search.separate import Separated, select, take_apart
from omnibind_core.specialists.base import SpecialistSpec
from omnibind_core.specialists.registry import find, required
from omnibind_core.store.catalogue import Item
from omnibind_core.store.integrity import check_content
from omnibind_core.store.kept import digest
from omnibind_core.types import MODALITIES, Audio, Bound, FloatArray, Hit, Media, Modality, PointCloud

__all__ = ["Explorer"]

_DEFAULT = Options()
_CUTS = 12  # inputs whose pieces' vectors are remembered


class Explorer:
    """A model with its gallery, and what a process keeps of both. Threads may share one.

    Parameters
    ----------
    model : OmniBind
        That embeds.
    folder : Path, optional
        The gallery's; None takes the committed one. It is read when it is first needed.
    more : sequence of Path
        Folders of collections that are searched together with it.
    store : str
        Where vectors are searched, see :class:`omnibind_core.search.gallery.Gallery`.

    Examples
    --------
    >>> explorer = Explorer(OmniBind.from_pretrained("mini"))  # doctest: +SKIP
    >>> dog = explorer.embed("a dog barks", "text")  # doctest: +SKIP
    >>> explorer.search([dog.term()]).hits["audio"][0].caption  # doctest: +SKIP
    'A big dog barking outdoors'
    """

    def __init__(
        self, model: OmniBind, folder: Path | None = None, more: Sequence[Path] = (), *, store: str = ""
    ) -> None:
        self.model = model
        self._store = store
        self._folders: tuple[Path | None, ...] = (folder, *more)
        self._gallery: Gallery | None = None
        self._items: dict[str, Embedded] = {}
        self._known = Remembered()
        self._cut: dict[tuple[str, ...], tuple[Pieces, FloatArray]] = {}
        self._least: dict[Modality, float] = {}
        self._plane: Plane | None = None
        self._laying = threading.Lock()
        self._cutting = threading.Lock()
        # More inputs at once than there are cores for would only slow one another down.
        shares = Cores(torch.get_num_threads(), usable_cores()) if model.at_once > 1 else None
        self._computing = Places(model.at_once, shares)
        # What embeds many pieces of an input does so in one thread: the scratch memory of such batches is kept once.
        self._dissecting = Places(1, shares) if shares else self._computing
        # Sentences, which take a twentieth of a shape's time, do not wait for files where there are several places.
        self._reading = Places(1, shares) if shares else self._computing

    @property
    def preset(self) -> str:
        """Name of the preset."""
        return self.model.preset.name

    @property
    def gallery(self) -> Gallery:
        """What is searched; raises GalleryError where it has no vectors of this preset."""
        if self._gallery is None:
            self._gallery = self._joined([Gallery.load(self.model, folder) for folder in self._folders])
        return self._gallery

    def make_gallery(self, progress: Callable[[int, int], None] | None = None) -> Gallery:
        """Give the gallery; where it has no vectors of this preset yet, they are made and kept in the cache.

        Parameters
        ----------
        progress : callable, optional
            Called with (items done, items) where they are made.
        """
        try:
            return self.gallery
        except GalleryError:
            self._gallery = self._dissecting.run(
                lambda: self._joined([self._load_or_make(folder, progress) for folder in self._folders])
            )
            return self._gallery

    def _joined(self, many: Sequence[Gallery]) -> Gallery:
        made = many[0] if len(many) == 1 else Gallery.join(many)
        made.store = self._store
        return made

    def joined_by(self, folder: Path) -> Explorer:
        """Give who searches in one more collection, with the same model; this one stays as it is.

        Raises
        ------
        GalleryError
            The collection has no vectors of this preset.
        """
        made = Explorer(self.model, store=self._store)
        made._folders = (*self._folders, folder)
        made._gallery = made._joined([self.gallery, Gallery.load(self.model, folder)])
        return made

    def _load_or_make(self, folder: Path | None, progress: Callable[[int, int], None] | None) -> Gallery:
        try:
            return Gallery.load(self.model, folder)
        except GalleryError:
            return Gallery.make(self.model, folder, progress)

    def embed(
        self,
        source: object,
        modality: Modality | None = None,
        *,
        up: str = "y",
        weights: Mapping[str, float] | None = None,
        beside: Mapping[str, Path | bytes] | None = None,
        faithful: bool = False,
        decoded: bool = True,
    ) -> Embedded:
        """Embed one input; what was embedded lately, by its content, is not computed again.

        Parameters
        ----------
        source : str, Path, or what :func:`omnibind_core.media.load` takes
            A file, or for "text" the sentence. Of a film the "image" is the mean of its pictures, "audio" its sound.
        modality : Modality, optional
            What it is; None tells a file by its content. A sentence must be called one.
        up : {"x", "y", "z", "-x", "-y", "-z", "auto"}
            The axis that points up in a shape's file, see :meth:`load`.
        weights : mapping of str to float, optional
            Weights by specialist that replace the router's.
        beside : mapping of str to Path or bytes, optional
            Files that belong to a shape, by name; None looks into its folder.
        faithful : bool
            Treat a sound as the published code does, see :func:`omnibind_core.media.audio.load_audio`.
        decoded : bool
            Whether the decoded input comes along. Without it, a file that was embedded lately is not even decoded.

        Returns
        -------
        Embedded
            With the decoded input where it was asked for. Timings are those of when it was computed.

        Raises
        ------
        OmniBindError
            With what was given, what is allowed and what to do.
        """
        kind = media.modality_of(str(source)) if modality is None else modality
        how = (up,) if kind == "point" else (faithful,) if kind == "audio" else ()
        key = key_of(source, kind, max(MAX_BYTES.values()), beside, *how) if weights is None else None
        known = self._known.get(key)
        if known is not None and not decoded:
            return known
        start = time.perf_counter()
        frames: Sequence[Media]
        if is_a_film := kind == "image" and is_film(source):
            frames = media.load_frames(source)  # type: ignore[arg-type]
        else:
            frames = (self.load(source, kind, up=up, beside=beside, faithful=faithful),)
        if known is None:
            seconds = time.perf_counter() - start
            known = self._film(frames, seconds, weights) if is_a_film else self._one(kind, frames[0], seconds, weights)
            self._known.put(key, known)
        return replace(known, media=frames[len(frames) // 2]) if decoded else known

    def load(
        self,
        source: object,
        modality: Modality,
        *,
        up: str = "y",
        beside: Mapping[str, Path | bytes] | None = None,
        faithful: bool = False,
    ) -> Media:
        """Decode one input as :meth:`embed` does.

        Parameters
        ----------
        source, modality, beside, faithful
            As for :meth:`embed`.
        up : {"x", "y", "z", "-x", "-y", "-z", "auto"}
            The axis that points up in a shape's file. "auto" guesses it where the format does not say; where the
            shape alone does not tell, the views do, see :meth:`omnibind_core.binder.OmniBind.upright`.

        Raises
        ------
        MediaError
            It cannot be decoded.
        """
        options: Mapping[Modality, dict[str, Any]] = {
            "point": {"up": up, "beside": beside}, "audio": {"faithful": faithful}
        }  # fmt: skip
        given = media.load(source, modality, **options.get(modality, {}))
        if isinstance(given, PointCloud) and given.standing:
            return self._computing.run(lambda: self.model.upright(given))
        return given

    def _one(self, kind: Modality, given: Media, seconds: float, weights: Mapping[str, float] | None) -> Embedded:
        place = self._reading if kind == "text" else self._computing
        bound = place.run(lambda: self.model.embed(kind, [given], weights=weights, keep=True))
        return self._embedded(bound, seconds)

    def _film(self, frames: Sequence[Media], seconds: float, weights: Mapping[str, float] | None) -> Embedded:
        """Embed a film's pictures as their mean."""
        bound = self._dissecting.run(lambda: self.model.embed("image", frames, weights=weights, keep=True))
        mean = bound.vectors.mean(axis=0, keepdims=True)
        one = replace(
            bound,
            vectors=mean / np.linalg.norm(mean),
            weights=bound.weights.mean(axis=0, keepdims=True),
            projected=None if bound.projected is None else bound.projected.mean(axis=0, keepdims=True),
            notices=((f"the mean of {len(frames)} pictures, evenly over its length",),),
        )
        return self._embedded(one, seconds)

    def _embedded(self, bound: Bound, seconds: float) -> Embedded:
        spaces = self.model.preset.spaces
        titles = {name: spaces[name].title if name in spaces else name for name in bound.members}
        timed = replace(bound, timings={**bound.timings, "decode": seconds})
        return Embedded(timed, titles, self.model.is_routed(bound.modality))

    def reweigh(self, one: Embedded, weights: Mapping[str, float]) -> Embedded:
        """Weigh the specialists of an embedded input by hand; none of them runs again.

        Raises
        ------
        QueryError
            Weights that are not usable; see :meth:`omnibind_core.binder.OmniBind.embed`.
        """
        return replace(one, bound=self._computing.run(lambda: self.model.rebind(one.bound, weights)))

    def item(self, item_id: str) -> Embedded:
        """Embed an item of the gallery from its file, live; the second time from memory. Its media is not kept.

        Raises
        ------
        DamagedError
            Its file is not what the catalogue says.
        QueryError
            There is no such item.
        """
        if item_id not in self._items:
            item = self.gallery.item(item_id)
            path = self.gallery.path(item)
            if path:
                check_content(Path(path), item.sha256)
            self._items[item_id] = self.embed(path or item.caption, item.modality, decoded=False)
        return self._items[item_id]

    def hit(self, item_id: str) -> Hit:
        """Give an item of the gallery with its files and its credits, without a score; raises QueryError."""
        return self.gallery.hit(item_id)

    def search(
        self,
        terms: Sequence[Term],
        options: Options = _DEFAULT,
        *,
        modalities: Sequence[Modality] = MODALITIES,
        exclude: Collection[str] = (),
    ) -> Found:
        """Find what answers signed terms, in each modality on its own.

        Parameters
        ----------
        terms : sequence of Term
            At least one with a weight other than 0.
        options : Options
            How.
        modalities : sequence of Modality
            Where to look.
        exclude : collection of str
            Identifiers of items that must not come back.

        Raises
        ------
        QueryError
            Terms or options that make no sense.
        """
        gallery = self.gallery
        start = time.perf_counter()
        how: dict[str, Any] = {"match": options.match, "centred": options.centred}
        where: dict[str, Any] = {
            "modalities": [one for one in modalities if not options.kinds or one in options.kinds],
            "exclude": exclude,
            "only": _allowed(options, self.gallery),
        }
        hits = gallery.search(terms, options.k, operator=options.operator, **how, **where)
        wanted = [term for term in terms if term.weight > 0]
        if len(terms) == len(wanted) == 1:
            hits, far = gallery.judged(hits, wanted[0], **how)
            return Found(hits, time.perf_counter() - start, far)
        # A good answer to a mix is often a third thing, so only its wanted terms can be judged, each alone.
        alone = [gallery.search([replace(one, weight=1.0)], 1, **how, **where) for one in wanted]
        parts = [gallery.judged(one, term, **how)[1] for one, term in zip(alone, wanted, strict=True)]
        return Found(hits, time.perf_counter() - start, frozenset.intersection(*parts) if parts else frozenset())

    def locate(self, term: Term, given: Media) -> Located:
        """Find a query in a picture, a sound or a shape; the next query in the same input costs no model.

        Parameters
        ----------
        term : Term
            The query; its weight is not looked at.
        given : Image, Audio or PointCloud
            Decoded, see :func:`omnibind_core.media.load`.

        Returns
        -------
        Located

        Raises
        ------
        QueryError
            A sentence to look into.
        """
        cut, rows = self.cut(given)
        mean, asked = self.gallery.mean(cut.modality), self.gallery.mean(term.modality)
        return localise(term.vector, given, cut, rows, query_mean=asked, mean=mean)

    def at(self, given: Media, place: Sequence[float]) -> tuple[tuple[float, ...], Term]:
        """Give one place of an input as a query of its own, from the pieces that :meth:`locate` looked through.

        Parameters
        ----------
        given : Image, Audio or PointCloud
            Decoded.
        place : sequence of float
            See :func:`omnibind_core.search.localise.piece_at`.

        Returns
        -------
        bounds : tuple of float
            Of the piece, as :attr:`omnibind_core.search.localise.Located.best`.
        term : Term
            The piece alone, with a weight of 1.

        Raises
        ------
        QueryError
            A sentence to look into, or a place of another form.
        """
        cut, rows = self.cut(given)
        number = piece_at(cut, place)
        return cut.bounds[number], Term(rows[number], 1.0, cut.modality)

    def plane(self) -> Plane:
        """Lay the gallery out in two dimensions, the first time from a file or anew."""
        with self._laying:
            if self._plane is None:
                self._plane = plane(self.gallery)
            return self._plane

    def cut(self, given: Media) -> tuple[Pieces, FloatArray]:
        """Cut an input into pieces, and embed them: the pieces and their unit vectors (pieces, D)."""
        key = _content(given)
        with self._cutting:
            if key not in self._cut:
                found = pieces(given)
                rows = self._dissecting.run(lambda: self.model.embed(found.modality, found.media).vectors)
                self._cut[key] = replace(found, media=()), rows
                while len(self._cut) > _CUTS:
                    self._cut.pop(next(iter(self._cut)))
            return self._cut[key]

    def classify(self, vector: FloatArray, labels: Sequence[str]) -> list[LabelScore]:
        """Say which of the labels fit a unit vector (D,) best, best first; raises QueryError as `classify` does."""
        return self._reading.run(lambda: classify(self.model, vector, labels))

    def fits(self, vector: FloatArray, modality: Modality, best: LabelScore) -> bool:
        """Say whether the best of some labels fits at all; see :mod:`omnibind_core.search.fitting`.

        The first time for a modality the words of what the gallery shows are embedded.

        Parameters
        ----------
        vector : ndarray, shape (D,), float32
            Of what was named.
        modality : Modality
            What it is.
        best : LabelScore
            From :meth:`classify`.
        """
        try:
            gallery = self.gallery
        except GalleryError:  # naming needs none; then nothing is known of what right labels reach
            return True
        if modality not in self._least:
            self._least[modality] = self._reading.run(lambda: threshold(gallery, modality, self.model.embed_texts))
        return outstanding(gallery, vector, best.cosine) >= self._least[modality]

    def separate(self, sound: Audio, query: Term) -> Separated:
        """Pull out of a sound what a query of any modality names.

        Parameters
        ----------
        sound : Audio
            At most a minute long; ``embed(path, "audio").media`` gives it, as does :func:`omnibind_core.media.load`.
        query : Term
            ``embed(...).term()``, or an item's by ``gallery.term(id)``.

        Returns
        -------
        Separated
            What was found and what is left, which add up to the sound.

        Raises
        ------
        QueryError
            The sound is too long, or the preset hears nothing.
        GalleryError
            The gallery has no vectors of this preset.
        """
        gallery = self.gallery
        apart = self._dissecting.run(lambda: take_apart(self.model, sound))
        return select(apart, query, gallery)

    def explain(
        self, item_id: str, many: Sequence[Embedded], weights: Sequence[float], options: Options = _DEFAULT
    ) -> Explained:
        """Say why an item of the gallery answers: what each term and each specialist brought to its score.

        Parameters
        ----------
        item_id : str
            The answer.
        many : sequence of Embedded
            The query's terms.
        weights : sequence of float
            Theirs, -1 to 1.
        options : Options
            The search's.

        Raises
        ------
        QueryError
            Terms that make no query, or no such item.
        """
        terms = [one.term(weight) for one, weight in zip(many, weights, strict=True)]
        return explain(self.gallery, item_id, terms, [one.bound for one in many], options)

    def journey(
        self, start: Term, end: Term, options: Options = _DEFAULT, *, stops: int = STOPS, exclude: Collection[str] = ()
    ) -> list[Stop]:
        """Walk from one term to another; see :func:`omnibind_core.search.journey.journey`, raises QueryError."""
        return journey(
            self.gallery, start, end, options, stops=stops, exclude=exclude, only=_allowed(options, self.gallery)
        )

    def similarity(self, many: Sequence[Embedded]) -> FloatArray:
        """Cosine of every input with every other: n inputs -> (n, n)."""
        vectors = np.stack([one.vector for one in many])
        matrix: FloatArray = vectors @ vectors.T
        return matrix

    def compare(self, terms: Sequence[Term]) -> Compared:
        """Lay 2 to 24 inputs beside one another, whatever their weights; raises QueryError as `compare` does."""
        vectors = np.stack([one.vector for one in terms]) if terms else np.zeros((0, self.model.width), np.float32)
        return compare(vectors, [one.modality for one in terms], self.gallery.scale)

    def specialists(self) -> list[SpecialistSpec]:
        """Give the records of the preset's specialists."""
        return [find(name)[0] for name in required(self.model.preset.specialists())]


def _content(given: Media) -> tuple[str, ...]:
    """Tell decoded inputs apart."""
    arrays = [getattr(given, name) for name in ("rgb", "samples", "xyz") if hasattr(given, name)]
    return type(given).__name__, *(f"{array.shape}{digest(array)}" for array in arrays)


def _allowed(options: Options, gallery: Gallery) -> Callable[[Item], bool] | None:
    """Say which items an option's licences, concepts and collections allow; None for all."""
    licences, concepts, homes = set(options.licences), set(options.concepts), set(options.collections)
    if not licences and not concepts and not homes:
        return None
    return lambda item: (
        (not licences or item.licence in licences)
        and (not concepts or item.concept in concepts)
        and (not homes or not homes.isdisjoint(gallery.homes(item.id)))
    )
