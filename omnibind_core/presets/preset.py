"""Preset JSON -> dataclasses. The only reader of presets; everything in them goes by name."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from omnibind_core.errors import PresetError
from omnibind_core.store.paths import assets_directory
from omnibind_core.store.weights import HubFile
from omnibind_core.types import MODALITIES, Modality

__all__ = [
    "ROUTINGS",
    "Asset",
    "Fallback",
    "HeadSpec",
    "MadeHere",
    "MemberSpec",
    "Preset",
    "RouterSpec",
    "SpaceSpec",
    "load_preset",
    "preset_names",
    "ranked",
]

HeadKind: TypeAlias = Literal["mlp", "linear", "anchors", "identity"]
RouterKind: TypeAlias = Literal["mlp", "flat"]
ROUTINGS = ("default", "trained")
"""How the members of a preset are weighed: as measured best, or by its trained routers where they are only a choice."""

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Asset:
    """A weights file that is committed with the project, lies beside its preset, or was made on this machine.

    Attributes
    ----------
    path : str
        Relative to `folder`.
    folder : Path, optional
        Of the preset's JSON, or of what was made; None is :func:`assets_directory`.
    """

    path: str
    folder: Path | None = None

    def local(self) -> Path:
        """Absolute path on this machine."""
        return (self.folder or assets_directory()) / self.path


@dataclass(frozen=True)
class MadeHere:
    """A weights file that this machine makes on the preset's first start, and keeps in the cache directory.

    Attributes
    ----------
    made_by : str
        "first_start", the only way there is: see :mod:`omnibind_core.binding.first_start`.
    version : int
        Of how it is made; another one makes other vectors.
    """

    made_by: str
    version: int = 1

    @property
    def identity(self) -> str:
        """What fingerprints count: these fields in this form."""
        return f"MadeHere(made_by={self.made_by!r}, version={self.version!r})"


@dataclass(frozen=True)
class HeadSpec:
    """How one space's vectors of one modality reach the shared space.

    Attributes
    ----------
    kind : {"mlp", "linear", "anchors", "identity"}
        See :mod:`omnibind_core.binding.projectors`.
    file : str
        Key of :attr:`Preset.files`; empty for "identity".
    prefix : str
        Tensor names in that file start with it; ``{}`` stands for the number of the head.
    first, count : int
        The heads are ``prefix.format(first) ... prefix.format(first + count - 1)``; their outputs are averaged.
    top_k : int
        "anchors" only: how many anchors a vector is mixed from; 0 means all.
    columns : tuple of (int, int), optional
        First column and the one after the last that the head fills in the shared space; all others are 0, so that
        blocks of columns stay apart. None fills the whole width.
    """

    kind: HeadKind
    file: str = ""
    prefix: str = ""
    first: int = 0
    count: int = 1
    top_k: int = 0
    columns: tuple[int, int] | None = None

    def width(self, shared: int) -> int:
        """Width of what the head itself gives, in a shared space of width `shared`."""
        return shared if self.columns is None else self.columns[1] - self.columns[0]

    def prefixes(self) -> list[str]:
        """Name prefix of every head, in order."""
        return [self.prefix.format(self.first + i) for i in range(self.count)]


@dataclass(frozen=True)
class SpaceSpec:
    """A pretrained space: the towers that embed into it and the heads that lead out of it.

    Attributes
    ----------
    name : str
        What members and routers call it.
    title : str
        What people read.
    width : int
        Width d of its vectors, where all its towers agree; heads check their own.
    towers : mapping of Modality to str
        Specialist that embeds that modality.
    heads : mapping of Modality to HeadSpec
        Heads for that modality; published presets use the same for all.
    """

    name: str
    title: str
    width: int
    towers: Mapping[Modality, str]
    heads: Mapping[Modality, HeadSpec]


@dataclass(frozen=True)
class MemberSpec:
    """One column of a router: a space, or a weighted fusion of several that counts as one.

    Attributes
    ----------
    name : str
        What people read beside its weight.
    parts : mapping of str to float
        Space name -> share. A single space has share 1.
    normalise : bool
        Whether the (fused) vector is scaled to unit length before the weighted sum.
    """

    name: str
    parts: Mapping[str, float]
    normalise: bool = False


@dataclass(frozen=True)
class RouterSpec:
    """How the members of one modality are weighed.

    Attributes
    ----------
    kind : {"mlp", "flat"}
        "mlp" is trained, per input; "flat" gives every input the same `weights`.
    inputs : tuple of str
        Spaces whose vectors are concatenated as the router's input ("mlp").
    file, prefix : str
        Where its tensors are ("mlp").
    scale : float
        Weights are ``softmax(scale * sigmoid(logits))``: 10 for text in the published presets, else 1.
    weights : tuple of float
        For "flat": one for each member, summing to 1; empty means all equal.
    """

    kind: RouterKind
    inputs: tuple[str, ...] = ()
    file: str = ""
    prefix: str = ""
    scale: float = 1.0
    weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class Fallback:
    """Where tensors are taken from if a published file lacks exactly those.

    Attributes
    ----------
    prefix : str
        What the names of the tensors begin with, here and there.
    source : HubFile
        The file that has them.
    reason : str
        Why they may be taken from there, for people.
    """

    prefix: str
    source: HubFile
    reason: str


@dataclass(frozen=True)
class Preset:
    """Everything a preset is.

    Attributes
    ----------
    name, title, licence, note : str
        For people; `licence` is the strictest of its parts.
    languages, first_start, proven : str
        For people, in few words: what languages its sentences may be in; what its first start does beside the download,
        and how long that takes; how far it was tried, and with which weights.
    width : int
        Width D of the shared space.
    dtype : str
        "float32" or "bfloat16": type of the projectors' matrices.
    spaces : mapping of str to SpaceSpec
        By name, in the order in which stacked matrices hold them.
    members : mapping of Modality to tuple of MemberSpec
        Columns of each modality's router.
    routers : mapping of Modality to RouterSpec
        One for each modality: what measured best.
    alternatives : mapping of Modality to RouterSpec
        Trained routers that did not measure best; see :meth:`with_trained_routers`.
    files : mapping of str to HubFile, Asset or MadeHere
        Weight files of projectors and routers.
    text : str
        The JSON as written, for the fingerprint.
    rank : int or None
        Place among the presets that the automatic choice tries: the highest first, and the lowest where nothing else
        can be run. None is never chosen.
    published : bool
        Whether it is the authors' own.
    card : bool
        Whether its towers are so large that they want a card and a memory plan; the authors' own always are.
    fallbacks : mapping of str to Fallback
        By file: where tensors are taken from that it turns out to lack.
    """

    name: str
    title: str
    licence: str
    note: str
    width: int
    dtype: str
    spaces: Mapping[str, SpaceSpec]
    members: Mapping[Modality, tuple[MemberSpec, ...]]
    routers: Mapping[Modality, RouterSpec]
    files: Mapping[str, HubFile | Asset | MadeHere]
    text: str = field(repr=False, default="")
    alternatives: Mapping[Modality, RouterSpec] = field(default_factory=dict)
    rank: int | None = None
    published: bool = False
    card: bool = False
    languages: str = ""
    first_start: str = ""
    proven: str = ""
    fallbacks: Mapping[str, Fallback] = field(default_factory=dict)

    def with_routing(self, routing: str) -> Preset:
        """Weigh as `routing` says.

        Raises
        ------
        PresetError
            It is none of :data:`ROUTINGS`, or the preset has no trained routers beside its own.
        """
        if routing not in ROUTINGS:
            raise PresetError(f"routing '{routing}'", f"one of {', '.join(ROUTINGS)}", "choose one of these")
        return self.with_trained_routers() if routing == "trained" else self

    def with_trained_routers(self) -> Preset:
        """Put trained routers where the preset has some beside its own.

        Raises
        ------
        PresetError
            It has none.
        """
        if not self.alternatives:
            raise PresetError(
                f"trained routers for preset '{self.name}'",
                "a preset whose JSON has an entry 'trained' beside 'router'",
                "use the preset as it is",
            )
        return replace(self, routers={**self.routers, **self.alternatives})

    def tower(self, modality: Modality, space: str) -> str:
        """Specialist that embeds `modality` into `space`."""
        return self.spaces[space].towers[modality]

    def spaces_of(self, modality: Modality) -> list[str]:
        """Spaces whose vectors `modality` needs (for its members and its router), in preset order."""
        wanted = {part for member in self.members[modality] for part in member.parts} | set(
            self.routers[modality].inputs
        )
        return [name for name in self.spaces if name in wanted]

    def towers_of(self, modality: Modality) -> list[str]:
        """Specialists that `modality` needs, each once."""
        return list(dict.fromkeys(self.tower(modality, space) for space in self.spaces_of(modality)))

    def files_of(self, modalities: Collection[Modality]) -> list[str]:
        """Names of the files that hold the heads and routers of `modalities`, in the preset's order."""
        used = {self.routers[m].file for m in modalities}
        used |= {self.spaces[space].heads[m].file for m in modalities for space in self.spaces_of(m)}
        return [name for name in self.files if name in used]

    def specialists(self) -> list[str]:
        """All specialists of the preset, each once."""
        return list(dict.fromkeys(name for modality in self.members for name in self.towers_of(modality)))


def preset_names() -> list[str]:
    """Names of all presets: the stems of the JSON files in this folder."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def ranked() -> list[Preset]:
    """Read the presets that the automatic choice tries, the best first; the last is what runs everywhere."""
    return [preset for _, preset in sorted(_ranks(), key=lambda row: -row[0])]


def _ranks() -> Iterator[tuple[int, Preset]]:
    for preset in map(load_preset, preset_names()):
        if preset.rank is not None:
            yield preset.rank, preset


def load_preset(name: str | Path) -> Preset:
    """Read a preset by name, or from a path that ends in ``.json``.

    Parameters
    ----------
    name : str or Path
        One of :func:`preset_names`, or a file of the same form.

    Returns
    -------
    Preset

    Raises
    ------
    PresetError
        Unknown name, or JSON that contradicts itself.
    """
    path = Path(name) if str(name).endswith(".json") else _FOLDER / f"{name}.json"
    if not path.is_file():
        raise PresetError(f"preset '{name}'", f"one of {', '.join(preset_names())}", "choose one of these")
    text = path.read_text(encoding="utf-8")
    try:
        return _parse(json.loads(text), text, path.resolve().parent)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, PresetError):
            raise
        raise PresetError(
            f"preset file {path.name}: {type(error).__name__} {error}", "the form of mini.json", "correct the file"
        ) from error


def _parse(raw: dict[str, Any], text: str, folder: Path) -> Preset:
    spaces = {name: _space(name, body) for name, body in raw["spaces"].items()}
    modalities: dict[Modality, Any] = {m: raw["modalities"][m] for m in MODALITIES if m in raw["modalities"]}
    preset = Preset(
        name=raw["name"],
        title=raw["title"],
        licence=raw["licence"],
        note=raw.get("note", ""),
        width=int(raw["width"]),
        dtype=raw.get("dtype", "float32"),
        spaces=spaces,
        members={m: tuple(_member(one) for one in body["members"]) for m, body in modalities.items()},
        routers={m: _router(body["router"]) for m, body in modalities.items()},
        files={name: _file(body, folder) for name, body in raw["files"].items()},
        text=text,
        alternatives={m: _router(body["trained"]) for m, body in modalities.items() if "trained" in body},
        rank=None if raw.get("rank") is None else int(raw["rank"]),
        published=bool(raw.get("published", False)),
        card=bool(raw.get("card", raw.get("published", False))),
        languages=raw.get("languages", ""),
        first_start=raw.get("first_start", ""),
        proven=raw.get("proven", ""),
        fallbacks={
            name: Fallback(body["prefix"], HubFile(**body["source"]), body["reason"])
            for name, body in raw.get("fallback", {}).items()
        },
    )
    for problem in _contradictions(preset):
        raise PresetError(f"preset '{preset.name}': {problem}", "a preset that agrees with itself", "correct its JSON")
    return preset


def _space(name: str, raw: dict[str, Any]) -> SpaceSpec:
    towers: dict[Modality, str] = raw["towers"]
    heads = raw["heads"]
    by_modality = {m: _head(heads if "kind" in heads else heads[m]) for m in towers}
    return SpaceSpec(name, raw.get("title", name), int(raw.get("width", 0)), towers, by_modality)


def _head(raw: dict[str, Any]) -> HeadSpec:
    lists = {"columns": tuple(raw["columns"])} if "columns" in raw else {}
    return HeadSpec(**{**raw, **lists})


def _member(raw: str | dict[str, Any]) -> MemberSpec:
    if isinstance(raw, str):
        return MemberSpec(raw, {raw: 1.0})
    return MemberSpec(raw["name"], raw.get("parts", {raw["name"]: 1.0}), raw.get("normalise", False))


def _router(raw: dict[str, Any]) -> RouterSpec:
    lists = {key: tuple(raw[key]) for key in ("inputs", "weights") if key in raw}
    return RouterSpec(**{**raw, **lists})


def _file(raw: dict[str, Any], folder: Path) -> HubFile | Asset | MadeHere:
    if "beside" in raw:
        if Path(raw["beside"]).name != raw["beside"]:  # a preset from elsewhere reads no other folder
            raise ValueError(f"'{raw['beside']}' is not the name of a file beside the preset")
        return Asset(raw["beside"], folder)
    if "made_by" in raw:
        return MadeHere(**raw)
    return Asset(raw["asset"]) if "asset" in raw else HubFile(**raw)


def _contradictions(preset: Preset) -> Iterator[str]:
    if preset.dtype not in {"float32", "bfloat16"}:
        yield f"dtype '{preset.dtype}' is neither float32 nor bfloat16"
    for modality, members in preset.members.items():
        router = preset.routers[modality]
        routers = [router, *(spec for m, spec in preset.alternatives.items() if m == modality)]
        names = [part for member in members for part in member.parts]
        names += [space for spec in routers for space in spec.inputs]
        for space in names:
            if space not in preset.spaces:
                yield f"{modality} names the space '{space}', which is not among its spaces"
            elif modality not in preset.spaces[space].towers:
                yield f"space '{space}' has no tower for {modality}"
        if router.weights and (len(router.weights) != len(members) or abs(sum(router.weights) - 1) > 1e-6):
            yield f"the flat weights of {modality} are not {len(members)} numbers that sum to 1"
        if any(spec.kind == "mlp" and not spec.inputs for spec in routers):
            yield f"the router of {modality} has no inputs"
    for spec in preset.spaces.values():
        for modality, head in spec.heads.items():
            if head.kind != "identity" and head.file not in preset.files:
                yield f"the heads of '{spec.name}' for {modality} name the file '{head.file}', which is not listed"
            if head.columns is not None and not (
                len(head.columns) == 2 and 0 <= head.columns[0] < head.columns[1] <= preset.width
            ):
                yield f"the heads of '{spec.name}' for {modality} fill columns {list(head.columns)} of {preset.width}"
