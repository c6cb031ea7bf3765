"""The frozen test: pools and tasks on which no choice is made, the same for every preset, variant and seed."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from omnibind_core.evaluation.bench import Pool, Task, same_name
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import FloatArray
from tools.mini.measure.sounds import learned
from tools.mini.pools.pictures import tux_paint
from tools.mini.pools.sounds import TEST
from tools.mini.pools.vectors import in_development, pictures, shapes, texts
from tools.mini.shapes.folds import class_rows
from tools.mini.shapes.kept import KEPT, kept_vectors
from tools.mini.shapes.targets import FOLDS
from tools.mini.sounds.hearing import hear_recordings

__all__ = ["TASKS", "frozen_tasks", "sounds"]

TASKS: tuple[str, ...] = (
    "image → text", "text → image", "sound → text", "sound → image", "image → sound", "shape → text",
    "shape → image", "image → shape", "sound → shape",
)  # fmt: skip
"""In the order of the page."""


@cache
def sounds(sources: tuple[str, ...] = TEST) -> Pool:
    """Give the recordings of the test packages; labels are their names."""
    names = tuple(clip.label for clip in hear_recordings("aisfx", sources).clips)
    return Pool("audio", names, lambda name: _clean(name, sources), np.ones(len(names), bool))


def _clean(name: str, sources: tuple[str, ...]) -> FloatArray:
    rows: FloatArray = hear_recordings(name, sources).clean.numpy()
    return rows


@cache
def _fold(fold: int) -> dict[str, torch.Tensor]:
    return kept_vectors(assets_directory() / "mini" / "eval", fold)


def _rows(fold: int) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = _fold(fold)["rows"].numpy()
    return rows


@cache
def _five_fold() -> Pool:
    """All meshes, each as heads see it that were taught without it."""
    pool = shapes()
    projected: dict[str, FloatArray] = {}
    for space, name in KEPT.items():
        out = np.zeros((len(pool), _fold(0)[name].shape[1]), np.float32)
        for fold in range(FOLDS):
            out[_rows(fold)] = _fold(fold)[name].numpy()
        projected[space] = out
    return Pool("point", pool.names, pool.vectors, pool.held_out, projected)


def _classes(labels: tuple[str, ...], fold: int) -> Pool:
    """Class names, in the block of shapes as they are told apart without that fold's meshes."""
    pool, found = texts(labels), _fold(fold)
    shaped: FloatArray = class_rows(labels, found["shaped.centres"], found["shaped.classes"]).numpy()
    return Pool("text", pool.names, pool.vectors, pool.held_out, {"shaped": shaped})


def _equal(left: tuple[str, ...], right: tuple[str, ...]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = np.array(left)[:, None] == np.array(right)[None, :]
    return same


@cache
def frozen_tasks() -> tuple[Task, ...]:
    """Lay all tasks out; "shape → text" comes in five parts of one name, each with its fold's models."""
    seen, heard, formed = pictures(), sounds(), _five_fold()
    names = texts(tuple(sorted({picture.name for picture in tux_paint()})))  # of drawings, too: more to choose from
    labels = texts(tuple(learned(assets_directory() / "mini" / "eval").labels))
    classes = tuple(sorted(set(formed.names)))
    asked = np.array([not in_development(name) for name in names.names])
    everything = np.ones(len(heard), bool)
    heard_seen, formed_seen = same_name(heard.names, seen.names), same_name(formed.names, seen.names)
    parts = [formed.take(_rows(fold)) for fold in range(FOLDS)]
    return (
        Task("image → text", seen, names, seen.held_out, _equal(seen.names, names.names)),
        Task("text → image", names, seen, asked, _equal(names.names, seen.names)),
        Task("sound → text", heard, labels, everything, _equal(heard.names, labels.names)),
        Task("sound → image", heard, seen, everything, heard_seen),
        Task("image → sound", seen, heard, np.ones(len(seen), bool), heard_seen.T),
        *(
            Task("shape → text", part, _classes(classes, fold), np.ones(len(part), bool), _equal(part.names, classes))
            for fold, part in enumerate(parts)
        ),
        Task("shape → image", formed, seen, np.ones(len(formed), bool), formed_seen),
        Task("image → shape", seen, formed, np.ones(len(seen), bool), formed_seen.T),
        Task("sound → shape", heard, formed, everything, same_name(heard.names, formed.names)),
    )
