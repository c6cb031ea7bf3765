"""What a visitor's file is called, and how it, or several that belong together, become an ingredient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from demo.guard.files import uploaded_path
from demo.service import Service
from demo.state import Ingredient
from omnibind_core.errors import MediaError, OmniBindError
from omnibind_core.media import formats, modality_of
from omnibind_core.media.limits import MAX_CHARACTERS
from omnibind_core.media.video import is_film
from omnibind_core.types import Audio, Image, Modality, PointCloud

__all__ = ["Upload", "embed_upload", "embed_uploads", "looked_into"]

Upload: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""``{"path": ..., "orig_name": ...}`` as gradio gives it, or several of them."""

_RECORDED = {"audio", "audio.wav", "image.png", "image.webp", "webcam.png", "blob", "file"}  # names no one gave
_MOST = 64  # files that are given together
_NAMING = {".gltf", ".obj", ".mtl"}  # what names other files
_LOOKED_AT = 8_000_000  # bytes of these
_TEXTS = {".txt", ".md"}


def embed_upload(service: Service, upload: Upload, modality: Modality | None = None, up: str = "auto") -> Ingredient:
    """Embed an uploaded file, or a shape with the files that were given beside it.

    Parameters
    ----------
    upload : Upload
        One file, or several: then the shape among them is read, and what it names is looked for among the others.
    modality : Modality, optional
        What it is; None tells it by its content.
    up : str
        The axis that points up in a shape's file; "auto" guesses it where the file does not say.

    Raises
    ------
    MediaError
        Several files of which none is a shape, or too many; or as reading it raises.
    """
    given = [upload] if isinstance(upload, Mapping) else list(upload)[: _MOST + 1]
    if len(given) > _MOST:
        raise MediaError(f"more than {_MOST} files", f"at most {_MOST} together", "pack them into one .zip")
    paths = {_name(one): Path(uploaded_path(one)) for one in given}
    name = next(iter(paths)) if len(paths) == 1 else _shape(list(paths))
    label = "" if name.lower() in _RECORDED else Path(name).stem.replace("_", " ")[:60]
    beside = {other: path for other, path in paths.items() if other != name}
    made = service.embed(str(paths[name]), modality, label, up=up, beside=beside)
    return replace(made, upload=made.modality)


def embed_uploads(
    service: Service, uploads: Sequence[Upload], up: str, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Ingredient], list[OmniBindError]]:
    """Embed files of any kinds: pictures and buffers that a shape among them names are part of it.

    A film becomes its pictures and its sound, a text file its sentence.

    Parameters
    ----------
    uploads : sequence of Upload
    up : str
        The axis that points up in shapes' files.
    progress : callable, optional
        Called with (files done, files) before each.

    Returns
    -------
    made : list of Ingredient
        In the order in which they were given.
    left : list of OmniBindError
        Why others could not be read; at least one was.

    Raises
    ------
    MediaError
        Too many files, or the first reason where none could be read.
    """
    given = [file for one in uploads for file in ([one] if isinstance(one, Mapping) else one)]
    if not given:
        raise MediaError("no file", "one file or several", "drop them again")
    if len(given) > _MOST:
        raise MediaError(f"{len(given)} files", f"at most {_MOST} together", "pack them into one .zip")
    paths = {_name(one): Path(uploaded_path(one)) for one in given}
    parts = _parts(paths)
    made: list[Ingredient] = []
    left: list[OmniBindError] = []
    for number, (name, path) in enumerate(paths.items()):
        if progress is not None:
            progress(number, len(paths))
        if any(name in belongings for belongings in parts.values()):
            continue
        try:
            made += _embedded(service, name, path, {one: paths[one] for one in parts.get(name, ())}, up)
        except OmniBindError as error:
            left.append(error)
    if not made:
        raise left[0]
    return made, left


def looked_into(service: Service, path: str) -> Image | Audio | PointCloud:
    """Decode a visitor's file that something is looked for in; raises MediaError as reading it does."""
    found = service.wait().load(path, modality_of(path), up="auto")
    if not isinstance(found, (Image, Audio, PointCloud)):
        raise MediaError("a file of words", "a picture, a sound or a shape", "choose one of these")
    return found


def _embedded(service: Service, name: str, path: Path, beside: Mapping[str, Path], up: str) -> list[Ingredient]:
    label = "" if name.lower() in _RECORDED else Path(name).stem.replace("_", " ")[:60]
    if is_film(name):
        return _film(service, path, label or "your film")
    if path.suffix.lower() in _TEXTS:
        text = path.read_bytes()[: 4 * MAX_CHARACTERS].decode("utf-8-sig", "replace")[:MAX_CHARACTERS]
        return [replace(service.embed(text, "text"), upload="text")]
    made = service.embed(str(path), None, label, up=up, beside=beside)
    return [replace(made, upload=made.modality)]


def _film(service: Service, path: Path, label: str) -> list[Ingredient]:
    """Embed a film's pictures and its sound, or the one of them that it has."""
    try:
        pictures = [service.embed(str(path), "image", f"{label} (pictures)")]
    except MediaError:  # it may hold sound alone, or nothing: then this says why
        return [service.embed(str(path), "audio", f"{label} (sound)")]
    with contextlib.suppress(MediaError):  # silent, or mute
        return [*pictures, service.embed(str(path), "audio", f"{label} (sound)")]
    return pictures


def _parts(paths: Mapping[str, Path]) -> dict[str, set[str]]:
    """Say which files belong to which shape: those whose names stand in its file, or in its list of materials."""
    texts = {
        name: path.read_bytes()[:_LOOKED_AT].decode("utf-8", "replace").lower()
        for name, path in paths.items()
        if path.suffix.lower() in _NAMING
    }
    found: dict[str, set[str]] = {}
    for name, text in texts.items():
        if name.lower().endswith(".mtl"):
            continue
        named = {one for one in paths if one != name and _is_named(one, text)}
        listed = [texts[one] for one in named if one in texts]
        found[name] = named | {one for one in paths if one != name and any(_is_named(one, more) for more in listed)}
    return found


def _is_named(name: str, text: str) -> bool:
    return name.lower() in text or quote(name).lower() in text


def _name(upload: Mapping[str, Any]) -> str:
    return Path(str(upload.get("orig_name") or upload.get("path"))).name


def _shape(names: Sequence[str]) -> str:
    """Choose the shape among files that were given together."""
    known = formats()["point"]
    shapes = [name for name in names if Path(name).suffix.lower().removeprefix(".") in known]
    if not shapes:
        raise MediaError(
            f"{len(names)} files, none of them a shape",
            f"one file, or a shape ({', '.join(known)}) with what belongs to it",
            "give the others one by one",
        )
    return min(shapes, key=lambda name: known.index(Path(name).suffix.lower().removeprefix(".")))
