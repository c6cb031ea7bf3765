"""What a specialist is: a frozen pretrained tower (or two) behind one small interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from omnibind_core.errors import QueryError
from omnibind_core.store.weights import WeightSource
from omnibind_core.types import Modality

__all__ = ["Builder", "PortableTower", "Runs", "Specialist", "SpecialistSpec", "Tower", "unit"]


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
    borrows : mapping of Modality to (Modality, int)
        For each modality whose cost is that of the first specialist it shares: as which modality that one runs, and
        how often for one input. What its own head adds beside that is next to nothing.
    bytes_per_parameter : float
        Of its published file, where its size is not known: 4 is float32 and nothing else.
    published_pieces : int, optional
        Places that OmniBind's published inference pads a sentence to; None where it is as long as the sentence.
    published_pair : bool
        Whether the published inference runs the tower of the other modality too, on a dummy.
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
    borrows: Mapping[Modality, tuple[Modality, int]] = field(default_factory=dict)
    bytes_per_parameter: float = 4.0
    published_pieces: int | None = None
    published_pair: bool = False


@dataclass(frozen=True)
class Runs:
    """What one input runs, to be counted: a specialist's network without weights or memory, and how it is called.

    A specialist's module gives it by a function ``runs(name)`` beside ``build``; one without is not counted.

    Attributes
    ----------
    network : nn.Module
        On the meta device, in its full size.
    by_modality : mapping of Modality to callable
        Each runs one input: a sentence of as many pieces as it is given, one picture, a sound of 10 s, a shape of
        10,000 points (which have no pieces).
    """

    network: torch.nn.Module
    by_modality: Mapping[Modality, Callable[[int], object]]


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


class Tower(ABC):
    """What all specialists of this package share: one way in, where the request is held to the record."""

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

        Raises
        ------
        QueryError
            For another modality, or without items.
        """
        known = [f"'{name}'" for name in self.spec.widths]
        if modality not in self.spec.widths:
            allowed = " or ".join(filter(None, [", ".join(known[:-1]), known[-1]]))
            raise QueryError(f"modality '{modality}' for {self.spec.title}", allowed, "use one that knows it")
        if not len(items):
            raise QueryError(f"no items for {self.spec.title}", "at least one", "pass some")
        with torch.inference_mode():
            return self._embed(modality, items)

    @abstractmethod
    def _embed(self, modality: Modality, items: Sequence[Any]) -> torch.Tensor:
        """Embed at least one item of a modality that the record names, as :meth:`embed` says."""


class PortableTower(Tower):
    """A tower whose network may be run by something else than torch: see :mod:`omnibind_core.machine.engine`.

    Attributes
    ----------
    network : callable
        Tensors -> a tensor, or several in a list. An ``nn.Module`` at first, best built when it is first read, for
        another engine may not need it. It must compute the same when it is traced, with any sizes of the axes in which
        its examples differ. What replaces it takes and gives tensors on the CPU, floating-point ones in float32.
    """

    network: Callable[..., Any]

    @abstractmethod
    def examples(self) -> Sequence[tuple[torch.Tensor, ...]]:
        """Give inputs of `network` as it usually gets them: few, of different sizes, always the same numbers."""


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
