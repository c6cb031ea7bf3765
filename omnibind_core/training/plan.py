"""The one TOML that says what is trained: pools, spaces, routes, target, projectors, routers.

::

    name = "small"                        # of the preset; the rest of these four is for people
    title = "Small"
    licence = "CC-BY-4.0"
    note = ""
    out = "trained"                       # folder, from the TOML's own
    seed = 0

    [pools.image]                         # one pool for each modality: image, audio, point
    files = ["photos/**/*.jpg"]           # patterns, from the TOML's folder
    licence = "CC0-1.0"                   # for the model card
    vectors = {eva = "ready/eva"}         # optional: towers whose finished shards lie there already

    [pools.text]
    lines = {image = ["captions.txt"], audio = ["sounds.txt"]}   # a sentence a line, by the domain it is said in

    [spaces.eyes]
    title = "Eyes"
    towers = {image = "eva", text = "eva"}

    [pairs]
    k = 1
    validation = 0.1                      # share of each pool that is only measured on; may be left out
    duplicates = {image = {space = "eyes", cosine = 0.999}}
    routes = {"image>audio" = ["eyes:text", "ears:audio"]}       # "space:to" for each search

    [target]
    parts = [{space = "eyes", share = 0.9}, {space = "ears", share = 0.1, project = true}]

    [projectors]                          # and any field of omnibind_core.training.train_projectors.HeadRecipe
    mixtures = ["all", "A", "T", "V", "AT", "AV", "TV"]          # P, PV, PT too, where there are points

    [routers]                             # may be left out: flat weights; any field of .train_routers.RouterRecipe
    inputs = {text = ["eyes", "ears"]}
    domains = {image = ["eyes"], audio = ["ears"]}               # may be left out: no decoupling
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omnibind_core.training.loop import TrainingError
from omnibind_core.training.pseudo_pairs import Hop
from omnibind_core.training.train_projectors import MIXTURES, PUBLISHED_MIXTURES, HeadRecipe
from omnibind_core.training.train_routers import RouterRecipe
from omnibind_core.training.write_preset import SpacePlan
from omnibind_core.types import MODALITIES, Modality

__all__ = ["Plan", "PoolPlan", "TargetPart", "read_plan"]


@dataclass(frozen=True)
class PoolPlan:
    """One modality's items.

    Attributes
    ----------
    files : tuple of str
        Patterns relative to the plan's folder; empty for texts.
    lines : mapping of Modality to tuple of str
        Files of sentences by domain; empty for media.
    licence : str
        For the model card.
    vectors : mapping of str to str
        Folders of finished shards by tower.
    batch : int
        Items per call of a tower; halved where memory runs out.
    """

    files: tuple[str, ...] = ()
    lines: Mapping[Modality, tuple[str, ...]] = field(default_factory=dict)
    licence: str = "not stated"
    vectors: Mapping[str, str] = field(default_factory=dict)
    batch: int = 32


@dataclass(frozen=True)
class TargetPart:
    """A space's share in the target; `project` leads it through its own heads first."""

    space: str
    share: float = 1.0
    project: bool = False


@dataclass(frozen=True)
class Plan:
    """What is trained; see the module's text.

    Attributes
    ----------
    folder : Path
        Of the TOML: patterns and paths start there.
    text : str
        The TOML as written.
    """

    folder: Path
    text: str
    name: str
    title: str
    licence: str
    note: str
    out: Path
    pools: Mapping[Modality, PoolPlan]
    spaces: Mapping[str, SpacePlan]
    routes: Mapping[tuple[Modality, Modality], tuple[Hop, ...]]
    k: int
    validation: float
    duplicates: Mapping[Modality, tuple[str, float]]
    target: tuple[TargetPart, ...]
    mixtures: tuple[str, ...]
    projectors: HeadRecipe
    routers: RouterRecipe
    inputs: Mapping[Modality, tuple[str, ...]]
    domains: Mapping[Modality, tuple[str, ...]]

    def towers(self, modality: Modality) -> list[str]:
        """Towers that embed `modality` into any space, each once."""
        return list(dict.fromkeys(s.towers[modality] for s in self.spaces.values() if modality in s.towers))


def read_plan(path: Path) -> Plan:
    """Read and check a plan.

    Raises
    ------
    TrainingError
        Not there, not TOML, or something in it that is unknown, missing or contradicts the rest.
    """
    try:
        text = path.read_text(encoding="utf-8")
        plan = _parse(_toml(text), path.resolve().parent, text)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, TrainingError):
            raise
        what = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)
        raise TrainingError(f"{path}: {what}", "a plan as docs/training.md describes it", "correct the TOML") from error
    for problem in _contradictions(plan):
        raise TrainingError(f"{path}: {problem}", "a plan that agrees with itself", "correct the TOML")
    return plan


def _toml(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    import tomlkit  # the standard library has none before 3.11; this one comes with gradio

    return dict(tomlkit.parse(text).unwrap())


def _parse(raw: dict[str, Any], folder: Path, text: str) -> Plan:
    _known("the plan", raw, _TOP)
    seed = int(raw.get("seed", 0))
    pairs, target = raw.get("pairs", {}), raw["target"]
    projectors, routers = dict(raw.get("projectors", {})), dict(raw.get("routers", {}))
    _known("[pairs]", pairs, ("routes", "k", "validation", "duplicates"))
    _known("[target]", target, ("parts",))
    _known("[projectors]", projectors, ("mixtures", *_names(HeadRecipe)))
    _known("[routers]", routers, ("inputs", "domains", *_names(RouterRecipe)))
    if routers and not routers.get("inputs"):
        _known("[routers] without inputs, where nothing is trained,", routers, ("inputs",))
    if routers and not routers.get("domains"):
        allowed = (name for name in ("inputs", "domains", *_names(RouterRecipe)) if name != "decoupling")
        _known("[routers] without domains", routers, tuple(allowed))
    for name, body in raw["pools"].items():
        _known(f"[pools.{name}]", body, _names(PoolPlan))
    for name, body in raw["spaces"].items():
        _known(f"[spaces.{name}]", body, _names(SpacePlan))
    for name, body in pairs.get("duplicates", {}).items():
        _known(f"[pairs] duplicates of {name}", body, ("space", "cosine"))
    for part in target["parts"]:
        _known("a part of [target]", part, _names(TargetPart))
    return Plan(
        folder=folder,
        text=text,
        name=raw["name"],
        title=raw.get("title", ""),
        licence=raw.get("licence", "not stated"),
        note=raw.get("note", ""),
        out=folder / raw["out"],
        pools={_modality(m): _pool(body) for m, body in raw["pools"].items()},
        spaces={n: SpacePlan(s.get("title", n), _by_modality(s["towers"])) for n, s in raw["spaces"].items()},
        routes=dict(_route(way, hops) for way, hops in pairs["routes"].items()),
        k=pairs.get("k", 1),
        validation=float(pairs.get("validation", 0.0)),
        duplicates={_modality(m): (d["space"], d["cosine"]) for m, d in pairs.get("duplicates", {}).items()},
        target=tuple(TargetPart(**part) for part in target["parts"]),
        mixtures=tuple(projectors.pop("mixtures", PUBLISHED_MIXTURES)),
        inputs=_by_modality({m: tuple(names) for m, names in routers.pop("inputs", {}).items()}),
        domains=_by_modality({m: tuple(names) for m, names in routers.pop("domains", {}).items()}),
        projectors=HeadRecipe(**{"seed": seed, **projectors}),
        routers=RouterRecipe(**{"seed": seed, **routers}),
    )


_SECTIONS = ("pools", "spaces", "pairs", "target", "projectors", "routers")
_TOP = ("name", "title", "licence", "note", "out", "seed", *_SECTIONS)


def _names(record: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(record))


def _known(section: str, body: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Refuse entries that would be ignored."""
    if unknown := [name for name in body if name not in allowed]:
        raise TrainingError(f"{section} with {', '.join(unknown)}", f"only {', '.join(allowed)}", "correct the TOML")


def _modality(name: str) -> Modality:
    for modality in MODALITIES:
        if modality == name:
            return modality
    raise ValueError(f"modality '{name}' is none of {', '.join(MODALITIES)}")


def _by_modality(raw: Mapping[str, Any]) -> dict[Modality, Any]:
    return {_modality(name): value for name, value in raw.items()}


def _pool(raw: dict[str, Any]) -> PoolPlan:
    lines = _by_modality({m: tuple(files) for m, files in raw.get("lines", {}).items()})
    return PoolPlan(**{**raw, "files": tuple(raw.get("files", ())), "lines": lines})


def _route(way: str, hops: list[str]) -> tuple[tuple[Modality, Modality], tuple[Hop, ...]]:
    start, _, end = way.partition(">")
    searched = tuple(Hop(hop.partition(":")[0], _modality(hop.partition(":")[2])) for hop in hops)
    return (_modality(start), _modality(end)), searched


def _contradictions(plan: Plan) -> list[str]:
    problems: list[str] = []
    named = [*(part.space for part in plan.target), *(hop.space for hops in plan.routes.values() for hop in hops)]
    named += [name for names in (*plan.inputs.values(), *plan.domains.values()) for name in names]
    problems += [f"space '{name}' is not among the spaces" for name in named if name not in plan.spaces]
    for modality in plan.pools:
        if not plan.towers(modality):
            problems.append(f"a pool of {modality}, but no space has a tower for it")
    for space, body in plan.spaces.items():
        problems += [f"space '{space}' has a tower for {m}, but no pool" for m in body.towers if m not in plan.pools]
    if not plan.target or all(part.project for part in plan.target):
        problems.append("a target without a part that is taken as it is")
    if not 0 <= plan.validation < 1:
        problems.append(f"validation = {plan.validation}, which is not a share from 0 to below 1")
    problems += [f"mixture '{name}' is none of {', '.join(MIXTURES)}" for name in plan.mixtures if name not in MIXTURES]
    if plan.domains and "text" not in plan.inputs:
        problems.append("domains, but no router for text")
    for modality, pool in plan.pools.items():
        if (modality == "text") != bool(pool.lines) or (modality == "text") == bool(pool.files):
            problems.append(
                f"the pool of {modality} needs {'lines' if modality == 'text' else 'files'} and nothing else"
            )
    return problems
