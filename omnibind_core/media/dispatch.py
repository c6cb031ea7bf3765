"""One door for all modalities: tells which one a source is, and loads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from omnibind_core.errors import MediaError
from omnibind_core.media import audio, image, points
from omnibind_core.media.audio import load_audio
from omnibind_core.media.image import load_image
from omnibind_core.media.points import load_points
from omnibind_core.media.source import check_format, read_head, shown
from omnibind_core.media.text import load_text
from omnibind_core.types import MODALITIES, Audio, Image, Media, Modality, PointCloud, Text

__all__ = ["formats", "load", "modality_of"]

_LOADERS: Mapping[Modality, Callable[..., Media]] = {
    "image": load_image,
    "audio": load_audio,
    "point": load_points,
    "text": load_text,
}


def formats() -> dict[Modality, tuple[str, ...]]:
    """File extensions that each modality reads, without dots; none for text."""
    return {"image": tuple(image.FORMATS), "audio": tuple(audio.FORMATS), "point": tuple(points.FORMATS), "text": ()}


def modality_of(path: str | Path) -> Modality:
    """Tell which modality a file holds, from its extension confirmed by its first bytes.

    Raises
    ------
    MediaError
        No such file, a format that nothing here reads, or content that contradicts the extension.
    """
    path = Path(path)
    head, size = read_head(path)
    known = {extension: modality for modality, extensions in formats().items() for extension in extensions}
    key = path.suffix.lower().removeprefix(".")
    # An extension settles the modality; its content may be another format of the same one.
    allowed = [extension for extension in known if known.get(key, known[extension]) == known[extension]]
    return known[check_format(head, size, key, shown(path.name), tuple(allowed))]


def load(source: Any, modality: Modality | None = None, **options: Any) -> Media:
    """Decode anything that one of the loaders takes.

    Parameters
    ----------
    source : object
        What `load_image`, `load_audio`, `load_points` or `load_text` take.
    modality : Modality, optional
        Which of them. Without it, a string is a file where one of that name exists or its extension is one of
        `formats`, and a sentence otherwise: pass ``"text"`` for strings that strangers typed.
    **options
        For the loader, such as `up` for shapes.

    Raises
    ------
    MediaError
        As the loader raises; or it cannot be told what the source is.
    """
    chosen = _guess(source) if modality is None else modality
    if chosen not in MODALITIES:
        raise MediaError(f"the modality {chosen!r}", ", ".join(MODALITIES), "choose one of these")
    return _LOADERS[chosen](source, **options)


def _guess(source: Any) -> Modality:
    """Modality of a source by its type."""
    if isinstance(source, (Image, PIL.Image.Image)) or (isinstance(source, np.ndarray) and source.dtype == np.uint8):
        return "image"
    if isinstance(source, (Audio, tuple)):
        return "audio"
    if isinstance(source, (PointCloud, np.ndarray)):
        return "point"
    if isinstance(source, Text):
        return "text"
    if isinstance(source, str):
        known = {extension for extensions in formats().values() for extension in extensions}
        looks_like_file = "\n" not in source and Path(source).suffix.lower().removeprefix(".") in known
        try:
            looks_like_file = looks_like_file or os.path.isfile(source)  # noqa: PTH113 (does not raise on odd names)
        except ValueError:
            looks_like_file = False
        return modality_of(source) if looks_like_file else "text"
    if isinstance(source, os.PathLike):
        return modality_of(Path(source))
    raise MediaError(
        f"a {type(source).__name__} without its modality", "a path, a sentence or decoded media", "name the modality"
    )
