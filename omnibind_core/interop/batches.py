"""Inputs of any kind and number -> rows, a batch at a time: what all forms of this room share."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from omnibind_core import media
from omnibind_core.binder import OmniBind
from omnibind_core.errors import QueryError
from omnibind_core.types import MODALITIES, Audio, FloatArray, Image, Media, Modality, PointCloud

__all__ = ["Batches"]

log = logging.getLogger(__name__)


class Batches:
    """A model that takes many inputs. Threads may share one: they wait for one another.

    Parameters
    ----------
    model : OmniBind, str or Path
        A loaded model, or the name of a preset, which is loaded.
    **options
        For :meth:`OmniBind.from_pretrained`, where the model is a name.

    Raises
    ------
    QueryError
        Options for a model that is loaded already.
    PresetError, WeightsError
        As loading raises.
    """

    def __init__(self, model: OmniBind | str | Path = "mini", **options: Any) -> None:
        if isinstance(model, OmniBind):
            if options:
                raise QueryError(
                    f"{', '.join(options)} for a model that is loaded", "these with a preset's name", "leave them out"
                )
            self.model = model
        else:
            self.model = OmniBind.from_pretrained(model, **options)
        self._turn = threading.Lock()

    def rows(
        self, inputs: Sequence[Any], modality: Modality | None = None, *, batch_size: int = 32, progress: bool = False
    ) -> FloatArray:
        """Embed inputs, in their order.

        Parameters
        ----------
        inputs : sequence
            What :meth:`OmniBind.embed` takes; may be empty.
        modality : Modality, optional
            What all of them are. Without it each is told by its type: a `str` is a sentence, a `Path` a file, and a
            picture, sound or shape what it is.
        batch_size : int
            Inputs that are decoded and embedded together, 1 or more.
        progress : bool
            Show a bar on standard error.

        Returns
        -------
        ndarray, shape (n, D), float32
            Unit rows.

        Raises
        ------
        MediaError
            An input cannot be decoded, or it cannot be told what it is.
        QueryError
            A batch of no size, or a modality that the model lacks.
        """
        if batch_size < 1:
            raise QueryError(f"a batch of {batch_size}", "1 or more", "correct the size")
        from tqdm import tqdm

        found = np.empty((len(inputs), self.model.width), np.float32)
        with tqdm(total=len(inputs), unit="input", disable=not progress) as bar:
            for start in range(0, len(inputs), batch_size):
                decoded = [_decoded(one, modality) for one in inputs[start : start + batch_size]]
                kinds = [kind for kind, _ in decoded]
                for kind in MODALITIES:
                    places = [start + place for place, other in enumerate(kinds) if other == kind]
                    if places:
                        with self._turn:
                            bound = self.model.embed(kind, [decoded[place - start][1] for place in places])
                        found[places] = bound.vectors
                bar.update(len(decoded))
        return found


def _decoded(given: Any, modality: Modality | None) -> tuple[Modality, Media]:
    if modality is None and isinstance(given, str):  # strings may be strangers': none of them opens a file
        modality = "text"
        if given.rpartition(".")[2].lower() in {ending for endings in media.formats().values() for ending in endings}:
            log.warning("a string that ends as a file's name is read as a sentence; give a Path, or the modality")
    read = media.load(given, modality)
    if isinstance(read, Image):
        return "image", read
    if isinstance(read, Audio):
        return "audio", read
    return ("point" if isinstance(read, PointCloud) else "text"), read
