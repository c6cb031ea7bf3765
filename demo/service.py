"""The model and the gallery: loaded once, behind the page, shared by all visitors. Knows nothing of gradio."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from demo.pictures import file_address, thumbnail
from demo.settings import WAIT_SECONDS, Options, Settings
from demo.state import Ingredient
from omnibind_core.errors import GalleryError, OmniBindError, WeightsError
from omnibind_core.search.compose import Term
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES, Hit, Modality

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind
    from omnibind_core.search.classify import LabelScore
    from omnibind_core.search.gallery import Gallery
    from omnibind_core.specialists.base import SpecialistSpec

__all__ = ["Answers", "Service", "Status"]

log = logging.getLogger(__name__)

_NAMELESS: Mapping[Modality, str] = {"image": "your picture", "audio": "your sound", "point": "your shape", "text": ""}

Phase: TypeAlias = Literal["asleep", "loading", "ready", "failed"]


@dataclass(frozen=True)
class Status:
    """How far loading is.

    Attributes
    ----------
    phase : Phase
    label : str
        What is being loaded, or what went wrong.
    share : float
        Of that, done; 0..1.
    seconds : float
        Since loading began; at the end, what it took.
    """

    phase: Phase = "asleep"
    label: str = ""
    share: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Answers:
    """What a search found.

    Attributes
    ----------
    hits : dict of Modality to list of Hit
        Best first.
    seconds : float
        What the search took, without embedding.
    """

    hits: Mapping[Modality, list[Hit]] = field(default_factory=dict)
    seconds: float = 0.0


class Service:
    """One loaded model with its gallery.

    Parameters
    ----------
    settings : Settings
        Which preset on which device.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder: Path = assets_directory() / "gallery"
        self._status = Status()
        self._began = 0.0
        self._error: Exception | None = None
        self._done = threading.Event()
        self._starting = threading.Lock()
        self._computing = threading.Lock()
        self._model: OmniBind | None = None
        self._gallery: Gallery | None = None
        self._items: dict[str, Ingredient] = {}

    def start(self) -> None:
        """Load in the background; does nothing while loading or once ready."""
        with self._starting:
            if self._status.phase in {"loading", "ready"}:
                return
            self._done.clear()
            self._error = None
            self._began = time.perf_counter()
            self._status = Status("loading", "the libraries", 0.0)
        threading.Thread(target=self._run, name="loading", daemon=True).start()

    def status(self) -> Status:
        """Say how far loading is, now."""
        status = self._status
        if status.phase == "loading":
            return Status("loading", status.label, status.share, time.perf_counter() - self._began)
        return status

    @property
    def error(self) -> Exception | None:
        """Why loading failed; None where it did not."""
        return self._error

    def wait(self, seconds: float = WAIT_SECONDS) -> tuple[OmniBind, Gallery]:
        """Give the model and the gallery, as soon as they are there.

        Raises
        ------
        OmniBindError
            Loading failed, or took longer than `seconds`.
        """
        self.start()
        if not self._done.wait(seconds):
            raise WeightsError(
                f"models that are not loaded after {seconds:.0f} s", "a loaded model", "look at the log, then try again"
            )
        if self._model is None or self._gallery is None:
            raise self._error or RuntimeError("loading ended without a model")
        return self._model, self._gallery

    def _run(self) -> None:
        try:
            model, gallery = self._load()
            self._model, self._gallery = model, gallery
            self._warm(gallery)
            self._status = Status("ready", model.preset.name, 1.0, time.perf_counter() - self._began)
        except Exception as error:
            log.exception("loading failed")
            self._model = self._gallery = None
            self._error = error if isinstance(error, OmniBindError) else _unexpected(error)
            self._status = Status("failed", str(self._error), 0.0, time.perf_counter() - self._began)
        finally:
            self._done.set()

    def _load(self) -> tuple[OmniBind, Gallery]:
        # Seconds of imports, which the page does not wait for.
        from omnibind_core import media
        from omnibind_core.binder import OmniBind
        from omnibind_core.machine.runtime import tune_threads
        from omnibind_core.search.gallery import Gallery, build

        threading.Thread(target=media.warm, name="decoders", daemon=True).start()
        tune_threads()
        model = OmniBind.from_pretrained(
            self.settings.preset,
            device=self.settings.device,
            routing=self.settings.routing,
            progress=self._progress,
        )
        self._progress("the gallery", 0.0)
        try:
            return model, Gallery.load(model, self.folder)
        except GalleryError as error:
            # Presets from the Hub come without vectors, and one that was bound here has its own: made once, then kept.
            log.info("%s; the gallery is embedded now", error)
            build(model, self.folder, lambda done, count: self._progress("the gallery, once", done / count))
            return model, Gallery.load(model, self.folder)

    def _progress(self, label: str, share: float) -> None:
        self._status = Status("loading", label, share)

    def _warm(self, gallery: Gallery) -> None:
        """Pay for first calls (compiled kernels, decoding processes) before the first visitor does."""
        self._done.set()
        for step, modality in enumerate(MODALITIES):
            self._progress("a first try of each sense", step / len(MODALITIES))
            item = next((one for one in gallery.items if one.modality == modality), None)
            try:
                if item is not None:
                    self.item(item.id)
            except OmniBindError:
                log.exception("the first try of %s failed", modality)

    def embed(
        self,
        modality: Modality,
        source: str,
        label: str = "",
        *,
        up: str = "y",
        shares: Mapping[str, float] | None = None,
    ) -> Ingredient:
        """Embed one input.

        Parameters
        ----------
        modality : Modality
            What it is.
        source : str
            Path of a file, or for "text" the sentence.
        label : str
            What people read; empty takes the sentence, or a word for the modality.
        up : {"x", "y", "z"}
            The axis that points up in a shape's file.
        shares : mapping of str to float, optional
            Weights by specialist that replace the router's.

        Returns
        -------
        Ingredient
            With weight 1.

        Raises
        ------
        OmniBindError
            With what was given, what is allowed and what to do.
        """
        model, _ = self.wait()
        from omnibind_core import media

        start = time.perf_counter()
        decoded = media.load(source, modality, **({"up": up} if modality == "point" else {}))
        decode = time.perf_counter() - start
        with self._computing:
            bound = model.embed(modality, [decoded], weights=shares)
        spaces = model.preset.spaces
        return Ingredient(
            modality,
            label or getattr(decoded, "text", "") or _NAMELESS[modality],
            bound.vectors[0],
            thumbnail=thumbnail(decoded),
            shares=bound.weights_by_name(),
            titles={name: spaces[name].title if name in spaces else name for name in bound.members},
            routed=model.is_routed(modality),
            by_hand=shares is not None,
            timings={**bound.timings, "decode": decode},
            source=source,
            up=up,
        )

    def remake(self, old: Ingredient, shares: Mapping[str, float] | None) -> Ingredient:
        """Embed an ingredient again, with weights set by hand, or with the router's where `shares` is None."""
        new = self.embed(old.modality, old.source, old.label, up=old.up, shares=shares)
        return replace(old, vector=new.vector, shares=new.shares, by_hand=new.by_hand, timings=new.timings)

    def item(self, item_id: str) -> Ingredient:
        """Embed a gallery item from its file, live; the second time from memory.

        Raises
        ------
        QueryError
            There is no such item.
        """
        if item_id not in self._items:
            _, gallery = self.wait()
            item = gallery.item(item_id)
            source = gallery.path(item) or item.caption
            made = self.embed(item.modality, source, item.caption)
            picture = gallery.path(item, thumbnail=True)
            self._items[item_id] = replace(
                made, item_id=item_id, thumbnail=file_address(picture) if picture else made.thumbnail
            )
        return self._items[item_id]

    def hit(self, item_id: str) -> Hit:
        """Give a gallery item with its files and its credits, without a score; raises QueryError."""
        _, gallery = self.wait()
        item = gallery.item(item_id)
        details = {name: getattr(item, name) for name in ("concept", "creator", "licence", "source")}
        files = gallery.path(item), gallery.path(item, thumbnail=True)
        return Hit(item.id, item.modality, item.caption, 0.0, file=files[0], thumbnail=files[1], details=details)

    def specialists(self) -> list[SpecialistSpec]:
        """Give the records of the specialists that are loaded."""
        from omnibind_core.specialists.registry import find, required

        model, _ = self.wait()
        return [find(name)[0] for name in required(model.preset.specialists())]

    def search(self, terms: Sequence[Term], options: Options, exclude: set[str] | None = None) -> Answers:
        """Find what answers signed terms, in all four modalities; raises QueryError for terms that make no sense."""
        _, gallery = self.wait()
        start = time.perf_counter()
        hits = gallery.search(
            terms,
            options.k,
            operator=options.operator,
            match=options.match,
            centred=options.centred,
            exclude=exclude or (),
        )
        return Answers(hits, time.perf_counter() - start)

    def classify(self, ingredient: Ingredient, labels: Sequence[str]) -> list[LabelScore]:
        """Say which of the labels fit best; raises QueryError for no or too many labels."""
        model, _ = self.wait()
        from omnibind_core.search.classify import classify

        with self._computing:
            return classify(model, ingredient.vector, labels)


def _unexpected(error: Exception) -> OmniBindError:
    return WeightsError(
        f"an installation whose models do not load ({type(error).__name__}, see the log)",
        "the pinned requirements and about 2 GB of free memory",
        "run `python -m omnibind_core doctor`, then try again",
    )
