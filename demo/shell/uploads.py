"""What a visitor's file is called, and how it, or several that belong together, become an ingredient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from demo.guard import uploaded_path
from demo.service import Service
from demo.state import Ingredient
from omnibind_core.errors import MediaError
from omnibind_core.media import formats
from omnibind_core.types import Modality

__all__ = ["Upload", "embed_upload"]

Upload: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""``{"path": ..., "orig_name": ...}`` as gradio gives it, or several of them."""

_RECORDED = {"audio", "audio.wav", "image.png", "image.webp", "webcam.png", "blob", "file"}  # names no one gave
_MOST = 64  # files that are given together


def embed_upload(service: Service, upload: Upload, modality: Modality | None = None, up: str = "y") -> Ingredient:
    """Embed an uploaded file, or a shape with the files that were given beside it.

    Parameters
    ----------
    upload : Upload
        One file, or several: then the shape among them is read, and what it names is looked for among the others.
    modality : Modality, optional
        What it is; None tells it by its content.
    up : str
        The axis that points up in a shape's file.

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
    return replace(made, upload=made.modality if len(paths) == 1 else "")


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
