"""The explorer behind the page: loaded once in the background, shared by all visitors. Knows nothing of gradio.

A preset that must be fetched or bound first keeps nobody waiting: `mini` answers until it is ready, then it takes over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from demo.settings import WAIT_SECONDS, Settings
from demo.state import Status
from demo.zero import is_lent
from omnibind_core.errors import GalleryError, OmniBindError, QueryError, WeightsError
from omnibind_core.search.compose import Term
from omnibind_core.store.catalogue import Item, read_catalogue
from omnibind_core.store.collection import collection_folder, collection_names
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import MODALITIES

if TYPE_CHECKING:
    from omnibind_core.machine.auto import Choice
    from omnibind_core.search.explorer import Explorer

__all__ = ["STAND_IN", "Loader"]

log = logging.getLogger(__name__)

R = TypeVar("R")

_MAPPED = 20_000  # items at most whose map is laid out before anybody asks
STAND_IN = "mini"
"""Which preset answers while another is made ready."""
_MEDIA = ("images", "shapes", "sounds", "thumbnails")  # what is shown of a collection's folder


class Loader:
    """One explorer, how far its loading is, and which collections it searches.

    Until the preset that was asked for is ready, the explorer may be that of another, which stands in for it.

    Parameters
    ----------
    settings : Settings
        Which preset on which device.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder, *more = settings.collections or (assets_directory() / "gallery",)
        self.folders: list[Path] = [self.folder, *more]  # this very list grows: whoever serves their files looks at it
        self._status = Status()
        self._began = 0.0
        self._error: Exception | None = None
        self._done = threading.Event()
        self._starting = threading.Lock()
        self._explorer: Explorer | None = None

    def others(self) -> list[Item]:
        """List the items of all collections but the first, whose catalogue the page reads for its examples."""
        try:
            return [item for folder in self.folders[1:] for item in read_catalogue(folder)]
        except GalleryError as error:  # loading says so, too
            log.warning("collections are not listed: %s", error)
            return []

    def shown(self) -> list[str]:
        """Give the folders whose files the page shows."""
        return [str(one.resolve() / name) for one in self.folders for name in _MEDIA]

    def waiting(self) -> list[str]:
        """Name the collections that are here and not searched; empty where visitors may not choose."""
        if not self.settings.switchable:
            return []
        searched = {one.resolve() for one in self.folders}
        return [name for name in collection_names() if collection_folder(name).resolve() not in searched]

    def take_in(self, name: str) -> None:
        """Search in one more collection, for all, until the page ends.

        Raises
        ------
        QueryError
            Visitors may not choose, there is none of that name, or a preset is being made ready.
        GalleryError
            It has no vectors of the preset that answers.
        """
        if not self.settings.switchable:
            raise QueryError("another collection", "those that were set", "ask whoever runs this page")
        standing, names = self.wait(), self.waiting()
        if name not in names:
            raise QueryError(
                f"the collection '{name[:40]}'", ", ".join(names) or "one that is here", "open the list again"
            )
        with self._starting:
            if self._explorer is not standing or self._status.phase != "ready" or self._status.coming:
                raise QueryError(
                    f"the collection {name} while a preset is being made ready", "one at a time", "try again then"
                )
            folder = collection_folder(name)
            try:
                self._explorer = standing.joined_by(folder)
            except GalleryError as error:
                raise GalleryError(
                    f"the collection {name}, which has no vectors of {standing.preset}",
                    "a collection that this preset has embedded",
                    f"run: python -m omnibind_core collection add {name} --preset {standing.preset}",
                ) from error
            self.folders.append(folder)

    def start(self) -> None:
        """Load in the background; does nothing while loading or once ready."""
        with self._starting:
            if self._status.phase == "loading" or (self._status.phase == "ready" and not self._status.missed):
                return
            self._error = None
            self._began = time.perf_counter()
            if self._explorer is None:
                self._done.clear()
            self._progress("the libraries", 0.0)
        threading.Thread(target=self._run, name="loading", daemon=True).start()

    def choices(self) -> list[Choice]:
        """Say what this machine could load; empty where visitors may not choose."""
        from omnibind_core.machine.auto import choices

        return choices(self.settings.device) if self.settings.switchable else []

    def switch(self, name: str) -> None:
        """Make another preset ready, for all; the one that answers goes on until then, and also if that fails.

        Raises
        ------
        QueryError
            Visitors may not choose, there is none of that name or it does not fit here, or one is being made ready.
        """
        found = {one.preset.name: one for one in self.choices()}
        if not found:
            raise QueryError("another preset", "the one that was set", "ask whoever runs this page")
        if name not in found:
            raise QueryError(f"the preset '{name[:40]}'", ", ".join(found), "choose one of these")
        if not found[name].fits:
            raise QueryError(f"the preset {name}", "one that this machine can run", f"not here: {found[name].reason}")
        standing = self.wait()
        with self._starting:
            if self._status.phase == "loading" or self._status.coming:
                raise QueryError(
                    f"the preset {name} while another one is being made ready", "one at a time", "try again then"
                )
            if standing.preset == name:
                self._status = Status("ready", name, 1.0)
                return
            self.settings = replace(self.settings, preset=name)
            self._began = time.perf_counter()
            self._progress("the models", 0.0)
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

    def wait(self, seconds: float = WAIT_SECONDS) -> Explorer:
        """Give the explorer, as soon as it is there.

        Raises
        ------
        OmniBindError
            Loading failed, or took longer than `seconds`.
        """
        if self._explorer is None:  # a preset that did not load is not tried again by every query, only when asked to
            self.start()
        if not self._done.wait(seconds):
            raise WeightsError(
                f"models that are not loaded after {seconds:.0f} s", "a loaded model", "look at the log, then try again"
            )
        if self._explorer is None:
            raise self._error or RuntimeError("loading ended without a model")
        return self._explorer

    def steady(self, run: Callable[[], R]) -> R:
        """Do what asks the explorer more than once by one preset: again where another took over meanwhile.

        Raises what `run` raises, if no other preset took over.
        """
        while True:
            before = self.wait()
            try:
                made = run()
            except OmniBindError:
                if self._explorer is before:
                    raise
            else:
                if self._explorer is before:
                    return made

    def _run(self) -> None:
        try:
            if self._explorer is None and self._takes_long():
                self._stand_in()
            explorer = self._load()
            if self._explorer is None:
                self._explorer = explorer
                self._done.set()  # from now on it answers
            self._warm(explorer)
            self._explorer = explorer
            self._status = Status("ready", explorer.preset, 1.0, time.perf_counter() - self._began)
            self._lay_out(explorer)
        except Exception as error:
            log.exception("loading failed")
            self._error = error if isinstance(error, OmniBindError) else _unexpected(error)
            took = time.perf_counter() - self._began
            if self._explorer is None:
                self._status = Status("failed", str(self._error), 0.0, took)
            else:
                self._status = Status("ready", self._explorer.preset, 1.0, took, missed=self._asked())
        finally:
            self._done.set()

    def _asked(self) -> str:
        """Name what was asked for as people know it."""
        return Path(str(self.settings.preset)).stem

    def _takes_long(self) -> bool:
        """Whether the preset must be fetched or bound first, or has no vectors of the gallery yet."""
        from omnibind_core.binding.first_start import is_made
        from omnibind_core.machine.auto import best_preset
        from omnibind_core.machine.preflight import file_rows
        from omnibind_core.machine.runtime import choose_device, choose_dtype
        from omnibind_core.presets.preset import load_preset
        from omnibind_core.search.gallery_vectors import is_kept

        device, name = self.settings.device, self.settings.preset
        preset = load_preset(best_preset(device) if name == "auto" else name)
        if preset.name == STAND_IN:
            return False
        chosen = choose_device(device)
        fetched = all(row.cached for row in file_rows(preset))
        return not (fetched and is_made(preset, chosen, choose_dtype("auto", chosen)) and is_kept(preset, self.folder))

    def _stand_in(self) -> None:
        """Let another preset answer meanwhile; where it does not load, the wait is as long as without it."""
        try:
            explorer = self._load(STAND_IN)
        except Exception:
            log.warning("%s cannot answer meanwhile", STAND_IN, exc_info=True)
            return
        self._warm(explorer)
        self._explorer = explorer
        log.info("%s answers until %s is ready", STAND_IN, self._asked())
        self._progress("the models", 0.0)
        self._done.set()

    def _load(self, preset: str = "") -> Explorer:
        # Seconds of imports, which the page does not wait for.
        from omnibind_core import media
        from omnibind_core.binder import OmniBind
        from omnibind_core.machine.runtime import tune_threads
        from omnibind_core.search.explorer import Explorer

        threading.Thread(target=media.warm, name="decoders", daemon=True).start()
        tune_threads()
        model = OmniBind.from_pretrained(
            preset or self.settings.preset,
            device=self.settings.device,
            engine=self.settings.engine,
            routing=self.settings.routing if not preset else "default",
            progress=self._progress,
        )
        self._progress("the gallery", 0.0)
        # Presets from the Hub come without vectors, and one that was bound here has its own: made once, then kept.
        explorer = Explorer(model, self.folder, self.folders[1:], store=self.settings.store)
        explorer.make_gallery(lambda done, count: self._progress("the gallery, once", done / count))
        return explorer

    def _progress(self, label: str, share: float) -> None:
        standing = self._explorer
        self._status = (
            Status("ready", standing.preset, share, coming=f"{self._asked()} ({label})")
            if standing is not None
            else Status("loading", label, share)
        )

    def _warm(self, explorer: Explorer) -> None:
        """Pay for first calls (compiled kernels, decoding processes) before the first visitor does.

        Whatever fails here fails again for whoever asks for it, and is explained there; the rest still serves.
        """
        if is_lent():
            return  # no card is here before somebody asks
        label = "a first try of each sense"
        for step, modality in enumerate(MODALITIES):
            if explorer is self._explorer:  # nothing stands in for it, and it answers already
                self._status = Status("loading", label, step / len(MODALITIES))
            else:
                self._progress(label, step / len(MODALITIES))
            item = next((one for one in explorer.gallery.items if one.modality == modality), None)
            try:
                if item is not None:
                    # What "near" means for this modality is read off the gallery at its first search.
                    explorer.search([Term(explorer.item(item.id).vector, 1.0, modality)])
            except Exception:
                log.exception("the first try of %s failed", modality)

    def _lay_out(self, explorer: Explorer) -> None:
        """Have the map before somebody opens it: a collection that was never laid out takes seconds to minutes."""
        if len(explorer.gallery) <= _MAPPED:
            try:
                explorer.plane()
            except Exception:  # explained to whoever opens the map
                log.warning("the map cannot be laid out", exc_info=True)


def _unexpected(error: Exception) -> OmniBindError:
    return WeightsError(
        f"an installation whose models do not load ({type(error).__name__}, see the log)",
        "the pinned requirements and about 2 GB of free memory",
        "run `python -m omnibind_core doctor`, then try again",
    )
