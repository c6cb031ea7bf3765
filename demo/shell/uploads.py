"""What a visitor's file is called, and how it becomes an ingredient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from demo.guard import uploaded_path
from demo.service import Service
from demo.state import Ingredient
from omnibind_core.types import Modality

__all__ = ["embed_upload"]

_RECORDED = {"audio", "audio.wav", "image.png", "image.webp", "webcam.png", "blob", "file"}  # names no one gave


def embed_upload(
    service: Service, upload: Mapping[str, Any], modality: Modality | None = None, up: str = "y"
) -> Ingredient:
    """Embed an uploaded file.

    Parameters
    ----------
    upload : mapping
        ``{"path": ..., "orig_name": ...}`` as gradio gives it.
    modality : Modality, optional
        What it is; None tells it by its content.
    up : str
        The axis that points up in a shape's file.
    """
    path = uploaded_path(upload)
    name = Path(str(upload.get("orig_name") or path)).name
    label = "" if name.lower() in _RECORDED else Path(name).stem.replace("_", " ")[:60]
    made = service.embed(path, modality, label, up=up)
    return replace(made, upload=made.modality)
