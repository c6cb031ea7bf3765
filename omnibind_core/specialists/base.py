"""What a specialist is: a frozen pretrained tower (or two) behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from omnibind_core.store.weights import WeightSource
from omnibind_core.types import Modality

__all__ = ["Specialist", "SpecialistSpec", "unit"]


@dataclass(frozen=True)
class SpecialistSpec:
    """One flat record beside each specialist: what it is and where it comes from.

    Attributes
    ----------
    name : str
        Registry key, lower case, e.g. ``"minilm_l6"``.
    title : str
        What people read, e.g. ``"MiniLM-L6"``.
    widths : mapping of Modality to int
        Width d of the unit rows it gives, for each modality it understands.
    weights : mapping of str to WeightSource
        Files it needs, by role ("model", "tokenizer"); empty where it only shares others' towers.
    licence : str
        SPDX identifier of the weights.
    paper : str
        Citation: authors, title, arXiv number.
    source : str
        Where the weights were published, in words a person can follow.
    parameters : int
        Number of parameters it adds (shared towers count where they are owned).
    shares : tuple of str
        Other specialists whose running instance it uses.
    """

    name: str
    title: str
    widths: Mapping[Modality, int]
    weights: Mapping[str, WeightSource]
    licence: str
    paper: str
    source: str
    parameters: int
    shares: tuple[str, ...] = field(default=())


class Specialist(Protocol):
    """A loaded specialist. Built by its module's ``build`` function, found through the registry."""

    spec: SpecialistSpec

    def embed(self, modality: Modality, items: Sequence[Any]) -> torch.Tensor:
        """Embed decoded media.

        Parameters
        ----------
        modality : Modality
            One of ``spec.widths``.
        items : sequence of Image, Audio, PointCloud or Text
            All of the kind that `modality` names, at least one.

        Returns
        -------
        Tensor, shape (n, spec.widths[modality]), float32
            Unit rows on the specialist's device.
        """
        ...


class Builder(Protocol):
    """Signature of a specialist module's ``build``."""

    def __call__(
        self,
        spec: SpecialistSpec,
        files: Mapping[str, Path],
        shared: Mapping[str, Specialist],
        device: torch.device,
        dtype: torch.dtype,
    ) -> Specialist:
        """Load the tower from local `files` (one for each role in ``spec.weights``)."""
        ...


def unit(x: torch.Tensor) -> torch.Tensor:
    """Scale rows to unit length: (..., d) any float -> (..., d) float32; zero rows stay zero."""
    return torch.nn.functional.normalize(x.float(), dim=-1)
