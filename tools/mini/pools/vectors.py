"""Specialists' vectors of the picture and shape pools, embedded once and kept in the cache directory."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnibind_core.evaluation.bench import Pool
from omnibind_core.specialists.load import tower
from omnibind_core.store.paths import cache_directory
from omnibind_core.types import FloatArray, Modality, Text
from tools.mini.pools.meshes import NamedMesh, load_mesh, sweet_home
from tools.mini.pools.pictures import load_picture, tux_paint

__all__ = [
    "feature_means",
    "in_development",
    "named_shapes",
    "picture_vectors",
    "pictures",
    "shape_vectors",
    "shapes",
    "texts",
]

log = logging.getLogger(__name__)

_CHUNK = 32
_SAME = 2e-3  # an entry of a unit row of width 1280 is about 0.03


def in_development(key: str) -> bool:
    """Whether an item belongs to the half that choices may be made on; the other half is only reported.

    Parameters
    ----------
    key : str
        The item's stable identifier (the name for pictures, so that one name lies in one half).
    """
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 2 == 0


@cache
def picture_vectors(name: str = "efficientnet_lite2") -> FloatArray:
    """Give a picture tower's unit rows of all Tux Paint pictures: (538, d), in the pool's order."""
    pool = tux_paint()
    return _kept("tux_paint", name, "image", [p.key for p in pool], lambda i: load_picture(pool[i]))


@cache
def shape_vectors(name: str = "shape_views") -> FloatArray:
    """Give a shape tower's unit rows of all Sweet Home meshes that have a class: (n, d), in the pool's order."""
    pool = named_shapes()
    return _kept("sweet_home", name, "point", [m.key for m in pool], lambda i: load_mesh(pool[i]))


def named_shapes() -> list[NamedMesh]:
    """Sweet Home's meshes but for those labelled ``"-"``."""
    return [mesh for mesh in sweet_home() if mesh.label != "-"]


@cache
def feature_means(pictures_by: str = "efficientnet_lite2", shapes_by: str = "shape_views") -> Tensor:
    """Mean unit feature row over the development halves, (1280,) float32: half pictures, half drawn shapes.

    No label is used. A common mean, so that a picture and a drawn shape of one thing land at one place; where
    `shapes_by` is empty, that of the pictures alone.
    """
    means = [picture_vectors(pictures_by)[[in_development(p.name) for p in tux_paint()]].mean(0)]
    if shapes_by:
        means.append(shape_vectors(shapes_by)[[in_development(m.key) for m in named_shapes()]].mean(0))
    return torch.from_numpy(np.mean(means, axis=0, dtype=np.float32))


def _kept(pool: str, name: str, modality: Modality, keys: Sequence[str], load: Callable[[int], Any]) -> FloatArray:
    """Embed what `load` gives for each index, or read what an earlier run kept."""
    path = cache_directory() / "vectors" / f"{pool}-{name}.npz"
    specialist = tower(name)

    def embed(indices: Sequence[int]) -> FloatArray:
        return specialist.embed(modality, [load(i) for i in indices]).cpu().numpy()

    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            known: list[str] = kept["keys"].tolist()
            rows: FloatArray = kept["rows"]
        # Two items are embedded anew: if weights, renderer or decoder have changed since, they come out otherwise.
        probes = [0, len(keys) // 2]
        if known == list(keys) and np.allclose(embed(probes), rows[probes], atol=_SAME):
            return rows
        log.info("%s: kept vectors are out of date", pool)
    parts: list[FloatArray] = []
    for start in range(0, len(keys), _CHUNK):
        parts.append(embed(range(start, min(start + _CHUNK, len(keys)))))
        log.info("%s: %d of %d", pool, min(start + _CHUNK, len(keys)), len(keys))
    rows = np.concatenate(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        np.savez(stream, keys=np.array(keys), rows=rows)
    part.replace(path)
    return rows


@cache
def pictures() -> Pool:
    """Tux Paint's photographs (430), in the order of their paths."""
    pool = tux_paint()
    kept = np.array([p.photograph for p in pool])
    names = tuple(p.name for p in pool if p.photograph)
    held = np.array([not in_development(name) for name in names])
    return Pool("image", names, lambda tower: picture_vectors(tower)[kept], held)


@cache
def shapes() -> Pool:
    """Sweet Home's named meshes (761)."""
    pool = named_shapes()
    names = tuple(m.label for m in pool)
    held = np.array([not in_development(m.key) for m in pool])
    return Pool("point", names, shape_vectors, held)


def texts(names: Sequence[str], template: str = "{}") -> Pool:
    """Sentences about some names, each once; all held out."""
    named = tuple(names)

    @cache
    def vectors(specialist: str) -> FloatArray:
        rows: FloatArray = tower(specialist).embed("text", [Text(template.format(name)) for name in named]).numpy()
        return rows

    return Pool("text", named, vectors, np.ones(len(named), bool))
