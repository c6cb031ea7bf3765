"""``python -m tools.mini sense``: what tells things from nonsense in mini's space, a direction for each modality.

Learned from real things that are not the gallery's, of development halves and packages, and from nonsense of kinds that
nothing is measured on (:mod:`tools.mini.strange`): logistic regression on bound vectors. Where along a direction "far"
begins is not learned: :mod:`omnibind_core.search.nearness` reads it off the gallery.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from omnibind_core.binder import OmniBind
from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import MediaError
from omnibind_core.search.nearness import SENSES
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.kept import write_tensors
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.shards import kept_rows
from omnibind_core.types import MODALITIES, FloatArray, Media, Modality, Text
from tools.mini.languages.lists import sentences
from tools.mini.pools.meshes import load_mesh
from tools.mini.pools.pictures import load_picture, tux_paint
from tools.mini.pools.sounds import DEVELOPMENT, read_clip, table
from tools.mini.pools.vectors import in_development, named_shapes
from tools.mini.routing_sentences import taught
from tools.mini.strange import strange

__all__ = ["direction", "make", "real", "spread"]

log = logging.getLogger(__name__)

_VERSION = 1  # of what is drawn here and of the nonsense: whoever changes it raises this
_REAL = 200  # of each modality; shapes take a second each, so half as many
_STRANGE = 128
_INVERSE_DECAY = 10.0

_One = TypeVar("_One")
_Load = Callable[[], Media]


def real(modality: Modality) -> list[tuple[str, _Load]]:
    """List real things of a modality that are not the gallery's: what each is called, and what reads it."""
    shown = " ".join(item.source for item in read_catalogue(assets_directory() / "gallery")).lower()
    if modality == "image":
        stamps = [p for p in tux_paint() if p.photograph and in_development(p.name)]
        new = [p for p in stamps if Path(p.key).with_suffix("").as_posix().lower() not in shown]
        return [(p.key, lambda p=p: load_picture(p)) for p in spread(new, _REAL)]  # type: ignore[misc]
    if modality == "audio":
        allowed = {name for group in DEVELOPMENT for name in group}
        clips = [c for c in table() if c.source in allowed and c.file.lower() not in shown]
        return [(c.key, lambda c=c: read_clip(c)) for c in spread(clips, _REAL)]  # type: ignore[misc]
    if modality == "point":
        meshes = [m for m in named_shapes() if in_development(m.key) and m.name.lower() not in shown]
        return [(m.key, lambda m=m: load_mesh(m)) for m in spread(meshes, _REAL // 2)]  # type: ignore[misc]
    said = [*spread(taught().texts, _REAL), *spread([text for row in sentences() for text in row.values()], _REAL)]
    return [(text, lambda text=text: Text(text)) for text in said]  # type: ignore[misc]


def spread(many: Sequence[_One], most: int) -> list[_One]:
    """Take `most` of many, evenly, or all where they are fewer."""
    step = max(len(many) / most, 1.0)
    return [many[int(i * step)] for i in range(int(len(many) / step))]


def _embedded(model: OmniBind, modality: Modality, kind: str, many: Sequence[tuple[str, _Load]]) -> FloatArray:
    """Embed one by one, kept in the cache; zero rows, which no regression minds, for sounds that are too short."""

    def rows(some: Sequence[int]) -> FloatArray:
        return np.vstack([_vector(model, modality, *many[i]) for i in some])

    decides: dict[str, Any] = {"preset": fingerprint(model.preset), "version": _VERSION}
    return kept_rows(f"{kind}-{modality}", decides, [name for name, _ in many], rows, piece=8).chunk(0, len(many))


def _vector(model: OmniBind, modality: Modality, name: str, load: _Load) -> FloatArray:
    try:
        return model.embed(modality, [load()]).vectors
    except MediaError as error:
        log.warning("%s is left out: %s", name, error)
        return np.zeros((1, model.width), np.float32)


def direction(things: FloatArray, nonsense: FloatArray) -> FloatArray:
    """Learn what leads from nonsense to things.

    Parameters
    ----------
    things, nonsense : ndarray, shape (n, D) and (m, D), float32
        Unit rows; zero rows are left out.

    Returns
    -------
    ndarray, shape (D,), float32
    """
    from sklearn.linear_model import LogisticRegression

    rows, is_thing = np.vstack([things, nonsense]), np.repeat([True, False], [len(things), len(nonsense)])
    used = rows.any(axis=1)
    taught_by = LogisticRegression(C=_INVERSE_DECAY, class_weight="balanced", max_iter=2000)
    found: FloatArray = taught_by.fit(rows[used].astype(np.float64), is_thing[used]).coef_[0].astype(np.float32)
    return found


def make(out: Path) -> None:
    """Learn all directions and write them into `out`."""
    model = OmniBind.from_pretrained("mini", device="cpu", dtype="float32")
    found: dict[str, torch.Tensor] = {}
    for modality in MODALITIES:
        made = [(f"{modality} {i}", lambda one=one: one) for i, one in enumerate(strange(modality, _STRANGE))]
        things = _embedded(model, modality, "things", real(modality))
        nonsense = _embedded(model, modality, "nonsense", made)
        found[modality] = torch.from_numpy(direction(things, nonsense))
        log.info("sense: %s by %d things and %d that are none", modality, things.any(1).sum(), len(nonsense))
    write_tensors(out / Path(SENSES["mini"]).name, found, {})
