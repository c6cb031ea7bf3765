"""Specialists' vectors of the picture and shape pools, embedded once and kept in the cache directory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from omnibind_core.evaluation.bench import Pool
from omnibind_core.media import raster
from omnibind_core.specialists.load import tower
from omnibind_core.store.kept import digest, file_digest
from omnibind_core.store.shards import kept_rows
from omnibind_core.training.extraction import tower_identity
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

Item = TypeVar("Item")

_VERSION = 1  # of how towers read: whoever changes what they make of the same weights and media raises it


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
    probes = [load_picture(picture).rgb for picture in _probes(pool)]
    data = [file_digest(*(picture.file for picture in pool)), digest(*probes)]
    return _kept("tux_paint", name, "image", [p.key for p in pool], data, lambda i: load_picture(pool[i]))


@cache
def shape_vectors(name: str = "shape_views") -> FloatArray:
    """Give a shape tower's unit rows of all Sweet Home meshes that have a class: (n, d), in the pool's order."""
    pool = named_shapes()
    probes = [raster.render(load_mesh(mesh), size=32) for mesh in _probes(pool)]
    data = [file_digest(*sorted({mesh.archive for mesh in pool})), digest(*probes)]
    return _kept("sweet_home", name, "point", [m.key for m in pool], data, lambda i: load_mesh(pool[i]))


def _probes(pool: Sequence[Item]) -> list[Item]:
    """Give two items whose decoded form tells whether decoder or renderer have changed."""
    return [pool[0], pool[len(pool) // 2]]


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


def _kept(
    pool: str, name: str, modality: Modality, keys: Sequence[str], data: Sequence[str], load: Callable[[int], Any]
) -> FloatArray:
    """Embed what `load` gives for each index, or read what an earlier run kept."""

    def embed(some: Sequence[int]) -> FloatArray:
        rows: FloatArray = tower(name).embed(modality, [load(i) for i in some]).cpu().numpy()
        return rows

    decides = {"tower": tower_identity(name), "data": list(data), "version": _VERSION}
    return kept_rows(f"{pool}-{name}", decides, keys, embed).chunk(0, len(keys))


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
