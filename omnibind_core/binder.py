"""OmniBind: decode -> specialists -> projectors -> router -> one unit vector."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from torch import Tensor

from omnibind_core import media
from omnibind_core.binding.files import load_files
from omnibind_core.binding.first_start import is_made, with_made_files
from omnibind_core.binding.projectors import Projectors
from omnibind_core.binding.routers import Routers
from omnibind_core.binding.upright import settled
from omnibind_core.errors import QueryError
from omnibind_core.machine.auto import best_preset
from omnibind_core.machine.engine import Engine
from omnibind_core.machine.exhaustion import can_be_streamed, free, in_parts, shortage, streamed
from omnibind_core.machine.fetching import fetch
from omnibind_core.machine.plans import Placement
from omnibind_core.machine.runtime import choose_device, inputs_at_once
from omnibind_core.presets.preset import MemberSpec, Preset, load_preset
from omnibind_core.specialists.base import Specialist, unit
from omnibind_core.specialists.load import load
from omnibind_core.specialists.registry import required
from omnibind_core.store.weights import Progress
from omnibind_core.types import Bound, FloatArray, Modality, PointCloud

__all__ = ["OmniBind", "bind", "columns"]

log = logging.getLogger(__name__)


class OmniBind:
    """Many frozen specialists bound into one space.

    Use :meth:`from_pretrained`. The five lines of :meth:`embed` are the whole method.

    Attributes
    ----------
    preset : Preset
        What it was made of.
    device : torch.device
        Where it computes.
    numbers : str
        In which type and by which plan its towers compute, which moves vectors a little: "bfloat16, int8".
    """

    def __init__(
        self,
        preset: Preset,
        towers: Mapping[str, Specialist],
        projectors: Projectors,
        routers: Routers,
        device: torch.device,
        numbers: str = "float32, resident",
    ) -> None:
        self.preset = preset
        self.device = device
        self.numbers = numbers
        self._towers = dict(towers)
        self._projectors = projectors
        self._routers = routers

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "mini",
        *,
        device: str = "auto",
        dtype: str = "auto",
        plan: str = "auto",
        engine: str = "auto",
        routing: str = "default",
        offline: bool | None = None,
        modalities: Iterable[Modality] | None = None,
        progress: Progress | None = None,
    ) -> OmniBind:
        """Load a preset; weights that are not cached are fetched first.

        Parameters
        ----------
        name : str or Path
            Preset name, or a JSON of the same form; "auto" takes the best that this machine and network can run.
        device : str
            "auto" (CUDA where there is one, else the CPU), "cpu", "cuda", "cuda:1".
        dtype : str
            Type in which the towers compute: "auto" (measured: whichever is faster here), "float32", "bfloat16".
        plan : str
            Where the weights of the published presets lie: "auto" (the quickest that fits), "resident", "int8",
            "streamed"; see :mod:`omnibind_core.machine.memory`.
        engine : str
            What runs the frozen networks on a processor: "auto" (measured once for each tower), "torch", "openvino";
            see :mod:`omnibind_core.machine.engine`. Vectors are the same within 1e-4 in float32.
        routing : str
            "default" weighs as measured best; "trained" takes the preset's trained routers where it has some beside
            those. Vectors of both lie in the same space.
        offline : bool, optional
            True never touches the network; None reads ``OMNIBIND_OFFLINE``.
        modalities : iterable of Modality, optional
            Load only what these need; None loads all.
        progress : callable, optional
            Called with (what is loaded, share done in 0..1).

        Raises
        ------
        PresetError, WeightsError
            With what was given, what is allowed and what to do.

        Examples
        --------
        >>> model = OmniBind.from_pretrained("mini")  # doctest: +SKIP
        >>> model.embed_texts(["a dog barks"]).shape  # doctest: +SKIP
        (1, 1152)
        """
        preset = load_preset(best_preset(device, offline=offline) if name == "auto" else name).with_routing(routing)
        wanted = list(modalities) if modalities is not None else list(preset.members)
        names = required(list(dict.fromkeys(tower for m in wanted for tower in preset.towers_of(m))))
        chosen_device = choose_device(device)
        report = progress or (lambda _label, _share: None)
        engines = Engine(engine, chosen_device, lambda label: report(label, 0.0))
        placement = Placement(plan, preset, wanted, chosen_device, dtype, engines)
        chosen_dtype = placement.dtype
        bound = is_made(preset, chosen_device, chosen_dtype)
        if not bound:  # binding its spaces runs all towers, whatever is wanted later
            placement = Placement(plan, preset, preset.members, chosen_device, dtype, engines)
        needed = names if bound else required(preset.specialists())
        fetch(preset, needed, offline=offline, progress=report, modalities=wanted)
        towers = load(names, offline=offline, progress=report, place=placement.build)
        preset = with_made_files(
            preset, chosen_device, chosen_dtype, offline=offline, progress=report, have=towers, place=placement.build
        )
        files = load_files(preset, wanted, offline=offline, progress=report)
        projectors = Projectors(preset, files, chosen_device, modalities=wanted)
        routers = Routers(preset, files, chosen_device, modalities=wanted)
        report("ready", 1.0)
        numbers = f"{str(chosen_dtype).removeprefix('torch.')}, {placement.plan}"
        return cls(preset, towers, projectors, routers, chosen_device, numbers)

    @property
    def width(self) -> int:
        """Width D of the shared space."""
        return self.preset.width

    @property
    def towers(self) -> Mapping[str, Specialist]:
        """The frozen specialists that are loaded, by name."""
        return dict(self._towers)

    @property
    def at_once(self) -> int:
        """How many threads may embed at the same time: as many as there are cores for, 4 at most, on a processor."""
        return inputs_at_once(self.device, self.numbers.rpartition(", ")[2])

    def is_routed(self, modality: Modality) -> bool:
        """Whether a trained router weighs the specialists of `modality`, or all inputs get the same weights."""
        return self._routers.is_trained(modality)

    @torch.inference_mode()
    def embed(
        self,
        modality: Modality,
        items: Sequence[Any],
        *,
        weights: Mapping[str, float] | None = None,
        keep: bool = False,
        **options: Any,
    ) -> Bound:
        """Embed items of one modality.

        Parameters
        ----------
        modality : Modality
            What the items are.
        items : sequence
            Files, bytes, sentences or decoded media; see :func:`omnibind_core.media.load`.
        weights : mapping of str to float, optional
            Weights by member name that replace the router's, for trying by hand; scaled to sum to 1.
        keep : bool
            Keep what is weighed too, so that :meth:`rebind` can weigh it otherwise: n times members times D numbers.
        **options
            For the decoder, e.g. ``up="z"`` for shapes.

        Returns
        -------
        Bound
            Unit vectors (n, D), router weights (n, members) and timings.

        Raises
        ------
        MediaError
            An item cannot be decoded.
        QueryError
            No items, a modality that the preset lacks or that was not loaded, or weights that are not usable.
        """
        if modality not in self.preset.members:
            allowed = ", ".join(self.preset.members)
            raise QueryError(f"modality '{modality}'", f"one of {allowed}", "choose one of these")
        if modality not in self._projectors.modalities:
            here = ", ".join(self._projectors.modalities)
            raise QueryError(f"modality '{modality}', which was not loaded", here, "name it in `modalities`")
        if isinstance(items, (str, bytes, Path)) or not len(items):
            raise QueryError("no list of items", "a list of at least one item", "pass a list")
        clock = _Clock()
        with clock("decode"):
            loaded = [media.load(item, modality, **options) for item in items]
            decoded = [self.upright(item) if isinstance(item, PointCloud) else item for item in loaded]
        vectors = self._specialists(modality, decoded, clock)
        with clock("project"):
            projected = self._projectors(modality, vectors)
        with clock("route"):
            shares = self._routers(modality, vectors, len(items))
            shares = shares if weights is None else self._by_hand(modality, weights).expand(len(items), -1)
        with clock("bind"):
            bound = bind(self.preset.members[modality], projected, shares)
        members = tuple(member.name for member in self.preset.members[modality])
        kept = columns(self.preset.members[modality], projected).cpu().numpy() if keep else None
        notices = tuple(item.notices for item in decoded)
        return Bound(modality, bound.cpu().numpy(), shares.cpu().numpy(), members, clock.seconds, kept, notices)

    def upright(self, cloud: PointCloud) -> PointCloud:
        """Turn a shape whose way up was guessed, where its form does not tell but its views do.

        Parameters
        ----------
        cloud : PointCloud
            From :func:`omnibind_core.media.load` with ``up="auto"``; others come back as they are.

        Returns
        -------
        PointCloud
            Settled, with what was assumed among its notices: ``standing`` is empty.
        """
        return settled(cloud, self._towers)

    @torch.inference_mode()
    def rebind(self, bound: Bound, weights: Mapping[str, float]) -> Bound:
        """Weigh what was embedded otherwise: nothing is decoded and no specialist runs.

        Parameters
        ----------
        bound : Bound
            From :meth:`embed` with ``keep=True``.
        weights : mapping of str to float
            As for :meth:`embed`.

        Returns
        -------
        Bound
            What :meth:`embed` gives with these weights; of its timings only "bind".

        Raises
        ------
        QueryError
            Weights that are not usable, or nothing was kept.
        """
        if bound.projected is None:
            raise QueryError("items embedded without what was weighed", "`embed(..., keep=True)`", "embed them again")
        shares = self._by_hand(bound.modality, weights).expand(len(bound.projected), -1)
        clock = _Clock()
        with clock("bind"):
            vectors = _weigh(torch.from_numpy(bound.projected).to(self.device), shares)
        return replace(bound, vectors=vectors.cpu().numpy(), weights=shares.cpu().numpy(), timings=clock.seconds)

    def _specialists(self, modality: Modality, items: Sequence[Any], clock: _Clock) -> dict[str, Tensor]:
        """Run each tower once, whoever shares it, and name the vectors by space."""
        by_tower: dict[str, Tensor] = {}
        for tower in self.preset.towers_of(modality):
            with clock(self._towers[tower].spec.title):
                by_tower[tower] = self._run(tower, modality, items)
        return {space: by_tower[self.preset.tower(modality, space)] for space in self.preset.spaces_of(modality)}

    def _run(self, name: str, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Run a tower; where the card's memory does not suffice, on fewer items at a time, then off the card."""
        try:
            return in_parts(self._towers[name], modality, items)
        except torch.OutOfMemoryError:
            pass
        free()
        tower = self._towers[name]
        shares = {other for loaded in self._towers.values() for other in loaded.spec.shares} | set(tower.spec.shares)
        if name not in shares and can_be_streamed(tower):
            log.warning("%s is taken off the card, whose memory does not suffice; it is slower now", tower.spec.title)
            self._towers[name] = streamed(tower, self.device)
            try:
                return in_parts(self._towers[name], modality, items)
            except torch.OutOfMemoryError:
                pass
            free()
        raise shortage(tower, modality, self.device)

    def _by_hand(self, modality: Modality, weights: Mapping[str, float]) -> Tensor:
        names = [member.name for member in self.preset.members[modality]]
        row = np.array([float(weights.get(name, 0.0)) for name in names], dtype=np.float32)
        if set(weights) - set(names) or not np.isfinite(row).all() or (row < 0).any() or row.sum() <= 0:
            raise QueryError(
                f"weights {dict(weights)}",
                f"numbers of at least 0, not all 0, for {', '.join(names)}",
                "correct the weights",
            )
        return torch.from_numpy(row / row.sum()).to(self.device)

    @overload
    def embed_images(self, items: Sequence[Any], *, explain: Literal[False] = False) -> FloatArray: ...
    @overload
    def embed_images(self, items: Sequence[Any], *, explain: Literal[True]) -> Bound: ...
    def embed_images(self, items: Sequence[Any], *, explain: bool = False) -> FloatArray | Bound:
        """Embed pictures: files, bytes, PIL images or (h, w, 3) uint8 arrays -> (n, D) float32 unit rows.

        ``explain=True`` gives the :class:`Bound` with router weights and timings. Raises :class:`MediaError`.
        """
        bound = self.embed("image", items)
        return bound if explain else bound.vectors

    @overload
    def embed_audio(self, items: Sequence[Any], *, explain: Literal[False] = False) -> FloatArray: ...
    @overload
    def embed_audio(self, items: Sequence[Any], *, explain: Literal[True]) -> Bound: ...
    def embed_audio(self, items: Sequence[Any], *, explain: bool = False) -> FloatArray | Bound:
        """Embed sounds: files, bytes or (rate, samples) pairs -> (n, D) float32 unit rows.

        ``explain=True`` gives the :class:`Bound` with router weights and timings. Raises :class:`MediaError`.
        """
        bound = self.embed("audio", items)
        return bound if explain else bound.vectors

    @overload
    def embed_points(self, items: Sequence[Any], *, up: str = "y", explain: Literal[False] = False) -> FloatArray: ...
    @overload
    def embed_points(self, items: Sequence[Any], *, up: str = "y", explain: Literal[True]) -> Bound: ...
    def embed_points(self, items: Sequence[Any], *, up: str = "y", explain: bool = False) -> FloatArray | Bound:
        """Embed shapes: mesh or point files, or (n, 3) / (n, 6) arrays -> (n, D) float32 unit rows.

        `up` names the axis that points up in the files: "x" to "-z", or "auto" to guess it where a file does not say
        (the default is Y, as in the published code). ``explain=True`` gives the :class:`Bound` with router
        weights and timings. Raises :class:`MediaError`.
        """
        bound = self.embed("point", items, up=up)
        return bound if explain else bound.vectors

    @overload
    def embed_texts(self, items: Sequence[Any], *, explain: Literal[False] = False) -> FloatArray: ...
    @overload
    def embed_texts(self, items: Sequence[Any], *, explain: Literal[True]) -> Bound: ...
    def embed_texts(self, items: Sequence[Any], *, explain: bool = False) -> FloatArray | Bound:
        """Embed sentences -> (n, D) float32 unit rows.

        ``explain=True`` gives the :class:`Bound` with router weights and timings. Raises :class:`MediaError`.
        """
        bound = self.embed("text", items)
        return bound if explain else bound.vectors


def bind(members: Sequence[MemberSpec], projected: Mapping[str, Tensor], weights: Tensor) -> Tensor:
    """Weigh the members' vectors and add them up.

    Parameters
    ----------
    members : sequence of MemberSpec
        Which spaces each column of `weights` stands for.
    projected : mapping of str to Tensor, shape (n, D)
        By space.
    weights : Tensor, shape (n, members)
        Rows sum to 1.

    Returns
    -------
    Tensor, shape (n, D), float32
        Unit rows.
    """
    return _weigh(columns(members, projected), weights)


def columns(members: Sequence[MemberSpec], projected: Mapping[str, Tensor]) -> Tensor:
    """Give each member's vector from those of its spaces: {space: (n, D)} -> (n, members, D)."""
    made = []
    for member in members:
        vector = torch.stack([share * projected[space] for space, share in member.parts.items()]).sum(dim=0)
        made.append(unit(vector) if member.normalise else vector)
    return torch.stack(made, dim=1)


def _weigh(stacked: Tensor, weights: Tensor) -> Tensor:
    """(n, members, D), (n, members) -> (n, D) unit rows."""
    return unit(torch.einsum("nm,nmd->nd", weights, stacked))


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
