"""One training run: where it works, on what device, as which of several processes, with which rows and pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from omnibind_core.store.shards import Rows
from omnibind_core.training import processes
from omnibind_core.training.pseudo_pairs import PseudoPairs
from omnibind_core.types import FloatArray, Modality

__all__ = ["Run"]

Job = TypeVar("Job")


@dataclass(eq=False)
class Run:
    """What the stages of a training share; each stage adds what it found.

    Attributes
    ----------
    folder : Path
        What comes out of it; what is needed on the way lies below its ``work``.
    device : str
        Where towers and trainings compute.
    rank, world : int
        Which of how many processes this is, from 0.
    keys : mapping of Modality to sequence of str
        Identifiers of each pool's items.
    vectors : mapping
        Rows of each pool by modality and space, each opened once.
    pairs : PseudoPairs
        Tuples that are trained on; none before they are searched.
    curves : dict of str to ndarray, shape (steps,), float32
        Losses of what was trained, by name.
    """

    folder: Path
    device: str = "cpu"
    rank: int = field(default_factory=processes.rank)
    world: int = field(default_factory=processes.size)
    keys: dict[Modality, Sequence[str]] = field(default_factory=dict)
    vectors: dict[Modality, dict[str, Rows]] = field(default_factory=dict)
    pairs: PseudoPairs = field(default_factory=PseudoPairs.none)
    curves: dict[str, FloatArray] = field(default_factory=dict)

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes what is written."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all processes are here."""
        processes.wait()

    def mine(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Give this process's share of what can be done apart."""
        return jobs[self.rank :: self.world]

    def work(self, *parts: str) -> Path:
        """Where something lies that is only needed on the way."""
        return self.folder.joinpath("work", *parts)

    def space(self, name: str) -> dict[Modality, Rows]:
        """Rows of one space by modality."""
        return {m: rows[name] for m, rows in self.vectors.items() if name in rows}
