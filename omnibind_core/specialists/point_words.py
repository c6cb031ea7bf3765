"""Points in the space of sentences: the point encoder and mini's head from it to MiniLM's vectors, as one tower.

With MiniLM beside it this is a space that joins shapes and sentences, so that a preset can bind it by text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from omnibind_core.specialists.base import Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import CommittedFile, read_tensors, take
from omnibind_core.types import Modality

__all__ = ["SPECS", "PointWords", "build"]

_PREFIX = "point.0."

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="point_words",
        title="Point encoder (words)",
        widths={"point": 384},
        weights={"head": CommittedFile("mini/points_words.safetensors")},
        licence="Apache-2.0",
        paper="Ours; the head's form after Wang et al., OmniBind, arXiv 2407.11895",
        source="trained by `python -m tools.mini.shapes`, committed in assets/mini",
        parameters=331_136,
        shares=("point_encoder",),
        borrows={"point": ("point", 1)},
    ),
)


class PointWords(Tower):
    """Coloured points -> unit rows of width 384, beside MiniLM's centred vectors of what they show."""

    def __init__(
        self, spec: SpecialistSpec, encoder: Specialist, tensors: Mapping[str, Tensor], device: torch.device
    ) -> None:
        self.spec = spec
        self._encoder = encoder
        parts = ("0.weight", "0.bias", "3.weight", "3.bias")
        norms = [f"{layer}.{part}" for layer in "14" for part in ("running_mean", "running_var", "weight", "bias")]
        self._head = {name: take(tensors, _PREFIX + name).float().to(device) for name in (*parts, *norms)}

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed clouds.

        Parameters
        ----------
        modality : Modality
            ``"point"``.
        items : sequence of PointCloud
            At least one, of any numbers of points, Y up.

        Returns
        -------
        Tensor, shape (n, 384), float32
            Unit rows.
        """
        x = self._encoder.embed(modality, items)
        return unit(self._layer(torch.relu(self._layer(x, "0", "1")), "3", "4"))

    def _layer(self, x: Tensor, linear: str, norm: str) -> Tensor:
        head = self._head
        x = functional.linear(x, head[f"{linear}.weight"], head[f"{linear}.bias"])
        mean, variance = head[f"{norm}.running_mean"], head[f"{norm}.running_var"]
        return functional.batch_norm(x, mean, variance, head[f"{norm}.weight"], head[f"{norm}.bias"])


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> PointWords:
    """Put the committed head (role "head") after the shared point encoder.

    Raises
    ------
    WeightsError
        A tensor is missing.
    """
    return PointWords(spec, shared["point_encoder"], read_tensors(files["head"]), device)
