"""Imports torchvision even where its compiled operators do not fit the installed torch."""

from __future__ import annotations

import importlib
import sys
from functools import cache

import torch

__all__ = ["import_torchvision"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def import_torchvision() -> torch.library.Library | None:
    """Import torchvision; call before the first import of timm, open_clip or transformers' models.

    A torchvision built for CUDA beside a CPU-only torch cannot load its operators and stops with
    ``operator torchvision::nms does not exist``. None of our models uses those operators; only their schemas are
    missed. Where the first import works, nothing else is done.

    Returns
    -------
    Library or None
        The stand-in schemas (the cache keeps them alive), or None where none were needed.

    Raises
    ------
    RuntimeError
        Where torchvision fails for another reason.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    else:
        return None
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for schema in _SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    importlib.import_module("torchvision")
    return library
