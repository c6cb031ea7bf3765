"""What the five folds' models make of the meshes that they never saw: small files, committed for the results page."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from omnibind_core.store.kept import write_tensors
from omnibind_core.store.weights import read_tensors
from tools.mini.shapes.folds import fold_vectors
from tools.mini.shapes.targets import FOLDS

__all__ = ["KEPT", "kept_vectors", "write_kept"]

KEPT: dict[str, str] = {
    "names": "points.10000",
    "views": "colour.views",
    "forms": "looks",
    "shaped": "colour.shaped",
}
"""Space of the preset -> what :func:`~tools.mini.shapes.folds.fold_vectors` calls its rows."""
_BESIDE = ("rows", "shaped.centres", "shaped.classes")


def _path(folder: Path, fold: int) -> Path:
    return folder / f"shapes_fold{fold}.safetensors"


def write_kept(work: Path, folder: Path) -> list[Path]:
    """Write the vectors of all folds, rows as float16, out of the trainings in `work`; gives the paths written."""
    for fold in range(FOLDS):
        found = fold_vectors(work, fold)
        rows = {name: found[name] for name in (*KEPT.values(), *_BESIDE)}
        small = {n: v.half() if v.is_floating_point() else v.to(torch.int16) for n, v in rows.items()}
        write_tensors(_path(folder, fold), small, {})
    return [_path(folder, fold) for fold in range(FOLDS)]


def kept_vectors(folder: Path, fold: int) -> dict[str, Tensor]:
    """Read what :func:`write_kept` wrote of a fold.

    Returns
    -------
    dict of str to Tensor
        float32 rows, and int64 ``rows`` and ``shaped.classes``; see
        :func:`~tools.mini.shapes.folds.fold_vectors`.
    """
    stored = read_tensors(_path(folder, fold))
    return {name: v.float() if v.is_floating_point() else v.long() for name, v in stored.items()}
