"""Trains mini's routers, with all heads frozen: cross-modal contrast over pseudo pairs, and language decoupling.

Pools are unpaired: development photographs of Tux Paint, the sound pool, development shapes of Sweet Home 3D, and
:func:`tools.mini.routing_sentences.taught`. Every item finds its partners by the preset's own flat vectors.

For the results page the same is done again with heads and sounds that leave out the test packages, by three seeds,
with decoupling and without. Beside these lie heads that nothing was trained for, which the page compares with:
``raw_<tower>.safetensors``, a sound as a mixture of the labels whose taught sounds lie nearest.

``python -m tools.mini routers`` comes after the stages that make heads.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.binding.files import load_files
from omnibind_core.binding.forms import head_tensors, write_heads
from omnibind_core.binding.projectors import Projectors
from omnibind_core.evaluation.bench import Bench, Pool
from omnibind_core.presets.preset import Asset, HeadSpec, Preset, RouterSpec, SpaceSpec, load_preset
from omnibind_core.store.paths import assets_directory, cache_directory, replace_file
from omnibind_core.store.shards import ArrayRows
from omnibind_core.training.loop import curve_svg
from omnibind_core.training.pseudo_pairs import Hop, PseudoPairs, pseudo_pairs
from omnibind_core.training.run import Run
from omnibind_core.training.train_routers import Languages, RouterRecipe, train_routers
from omnibind_core.types import MODALITIES, FloatArray, Modality
from tools.mini.blocks import BLOCKS
from tools.mini.labels import label_vectors
from tools.mini.pools.sounds import TEST
from tools.mini.pools.vectors import pictures, shapes, texts
from tools.mini.routing_sentences import DOMAINS, taught
from tools.mini.sounds.hearing import Hearing, hear
from tools.mini.sounds.train import TEMPLATES

__all__ = [
    "INPUTS",
    "MEMBERS_OF",
    "RECIPE",
    "SEEDS",
    "evaluation_preset",
    "evaluation_routers",
    "in_place_of",
    "make",
    "routed",
    "train_mini_routers",
]

log = logging.getLogger(__name__)

RECIPE = RouterRecipe(steps=500, batch=256, rate=2e-3, decay=0.01, scale=20.0, decoupling=3.0)
HIDDEN = 128
"""Width of the routers' first layer; the published presets' is 512, for spaces three times as wide."""
INPUTS: Mapping[Modality, tuple[str, ...]] = {
    "image": ("looks", "sights"),
    "audio": ("words", "names"),
    "point": ("words", "names"),
    "text": ("words",),
}
"""Spaces whose vectors each router reads: every tower once."""
MEMBERS_OF: Mapping[Modality, tuple[str, ...]] = {
    "image": ("words", "looks", "sights"),
    "audio": ("words", "heard"),
    "point": ("words", "shaped"),
}
"""Text members that speak the language of each domain's captions; words speaks all."""
SEEDS = (0, 1, 2)
_RAW_TEMPERATURE = 0.07
_RAW: Mapping[str, tuple[str, str]] = {
    "raw words": ("aisfx", "words"),
    "raw names": ("whisper_tiny", "words"),
    "raw looks": ("aisfx", "looks"),
}
"""Space that nothing was trained for -> its tower, and the block it leads to."""


def routed(preset: Preset, file: str = "routers") -> Preset:
    """Give the preset a trained router for each modality, from one of its files."""
    routers = {m: RouterSpec("mlp", INPUTS[m], file, f"{m}.", 10.0 if m == "text" else 1.0) for m in preset.members}
    return replace(preset, routers=routers)


def _untaught(preset: Preset) -> Preset:
    """Leave the trained routers out, as before there were any."""
    kept = {name: source for name, source in preset.files.items() if name != "routers"}
    return replace(preset, files=kept, alternatives={})


def in_place_of(preset: Preset, folder: Path) -> Preset:
    """Leave the trained routers out, and put files of `folder` in place of the preset's of the same name."""
    preset = _untaught(preset)
    files = dict(preset.files)
    for name, source in preset.files.items():
        if isinstance(source, Asset) and (folder / source.local().name).is_file():
            files[name] = Asset(source.local().name, folder)
    return replace(preset, files=files)


def _unheard() -> Preset:
    """Give mini with the heads that leave the test packages out."""
    return in_place_of(load_preset("mini"), assets_directory() / "mini" / "eval")


def evaluation_routers() -> dict[str, Path]:
    """Files of the comparison's routers: ``"routers-<plain or decoupled>-<seed>"``."""
    names = [f"routers-{kind}-{seed}" for kind in ("plain", "decoupled") for seed in SEEDS]
    return {name: assets_directory() / "mini" / "eval" / f"{name}.safetensors" for name in names}


def evaluation_preset() -> Preset:
    """Give `mini` with what never heard the test packages, and with raw spaces beside its own."""
    preset = _unheard()
    files, spaces = dict(preset.files), dict(preset.spaces)
    for space, (tower, block) in _RAW.items():
        files[space] = Asset(f"mini/eval/{space.replace(' ', '_')}.safetensors")
        head = HeadSpec("anchors", space, "audio.", top_k=10, columns=BLOCKS[block])
        spaces[space] = SpaceSpec(space, space, 0, {"audio": tower}, {"audio": head})
    return replace(preset, files=files, spaces=spaces)


def _raw_sounds(heard: Hearing, block: str) -> dict[str, Tensor]:
    """Make a head that nothing was trained for: a sound is a mixture of the labels whose taught sounds lie nearest.

    Parameters
    ----------
    heard : Hearing
        Sounds that may be learned from, as one tower hears them.
    block : {"words", "looks"}
        Where labels lie.

    Returns
    -------
    dict of str to Tensor
        A, a, B and m of a head of the kind "anchors".
    """
    labels = sorted({clip.label for clip in heard.clips})
    number = torch.tensor([labels.index(clip.label) for clip in heard.clips])
    mean = heard.clean.mean(0)
    centres = torch.zeros(len(labels), heard.clean.shape[1]).index_add_(0, number, heard.clean - mean)
    centres = nn.functional.normalize(centres, dim=1) / _RAW_TEMPERATURE
    names = label_vectors(labels, block, TEMPLATES)[0]
    return {"A": centres, "a": -centres @ mean, "B": names, "m": names.mean(0)}


def train_mini_routers(
    preset: Preset, sounds: Pool, folder: Path, recipe: RouterRecipe = RECIPE, *, decouple: bool = True
) -> tuple[dict[Modality, nn.Module], FloatArray]:
    """Train a router for each modality.

    Parameters
    ----------
    preset : Preset
        Flat; its heads stay as they are.
    sounds : Pool
        Sounds that may be learned from.
    folder : Path
        For checkpoints.
    recipe : RouterRecipe
        How.
    decouple : bool
        Whether with the decoupling loss.

    Returns
    -------
    dict of Modality to Module
        In evaluation mode.
    ndarray, shape (steps,), float32
        Learning curve.
    """
    sentences = taught()
    pools: dict[Modality, Pool] = {
        "image": pictures().take(np.flatnonzero(~pictures().held_out)), "audio": sounds,
        "point": shapes().take(np.flatnonzero(~shapes().held_out)), "text": texts(sentences.texts),
    }  # fmt: skip
    target = routed(preset)
    run = Run(folder, pairs=_pairs(preset, pools))
    for m in MODALITIES:
        run.vectors[m] = {s: ArrayRows(pools[m].vectors(target.tower(m, s))) for s in target.spaces_of(m)}
    languages = Languages({d: MEMBERS_OF[d] for d in DOMAINS}, torch.from_numpy(sentences.targets))
    projectors = Projectors(preset, load_files(preset))
    trained = train_routers(
        run, target, projectors, recipe, languages=languages if decouple else None, hidden=HIDDEN
    )  # fmt: skip
    return trained, run.curves["routers"]


def _pairs(preset: Preset, pools: Mapping[Modality, Pool]) -> PseudoPairs:
    bench = Bench(preset)
    flat = {m: {"bound": ArrayRows(bench.bound(pools[m]))} for m in MODALITIES}
    pairs, report = pseudo_pairs(flat, {(a, b): (Hop("bound", b),) for a in MODALITIES for b in MODALITIES if a != b})
    for (start, end), found in report.items():
        log.info("%s -> %s: %s", start, end, found)
    return pairs


def _heard(held_out: Sequence[str]) -> tuple[Pool, dict[str, Hearing]]:
    """Sounds that may be learned from, as a pool and by tower."""
    by_tower: dict[str, Hearing] = {}
    for tower in dict.fromkeys(tower for tower, _ in _RAW.values()):
        whole = hear(tower)
        rows = [i for i, clip in enumerate(whole.clips) if clip.source not in held_out]
        kept = tuple(whole.clips[i] for i in rows)
        by_tower[tower] = Hearing(kept, whole.clean[rows], whole.copies[:0], whole.origin[:0])
    names = tuple(clip.label for clip in next(iter(by_tower.values())).clips)
    pool = Pool("audio", names, lambda tower: by_tower[tower].clean.numpy(), np.zeros(len(names), bool))
    return pool, by_tower


def make(out: Path) -> None:
    """Train the routers of the application and those of the comparison, and write them into a folder and its eval."""
    work = cache_directory() / "training" / "routers"
    about = {"sources": "see docs/mini.md", "licence": "CC-BY-4.0", "hidden": HIDDEN}

    def one(preset: Preset, sounds: Pool, path: Path, seed: int, decouple: bool) -> None:
        name, recipe = path.stem, replace(RECIPE, seed=seed)
        routers, curve = train_mini_routers(preset, sounds, work / name, recipe, decouple=decouple)
        said = {**about, "seed": seed, "decoupling": recipe.decoupling if decouple else 0.0}
        write_heads(path, head_tensors(routers), said, entry="about")
        log.info("%s: loss %.3f", name, float(curve[-20:].mean()))
        replace_file(work / f"{name}.svg", curve_svg({name: curve}, "routers").encode())

    sounds, by_tower = _heard(TEST)
    for space, (tower, block) in _RAW.items():
        path = out / "eval" / f"{space.replace(' ', '_')}.safetensors"
        tensors = {f"audio.{name}": value for name, value in _raw_sounds(by_tower[tower], block).items()}
        write_heads(path, tensors, {"block": BLOCKS[block], **about}, sort=False)
    for kind, decouple in (("plain", False), ("decoupled", True)):
        for seed in SEEDS:
            one(_unheard(), sounds, out / "eval" / f"routers-{kind}-{seed}.safetensors", seed, decouple)
    everything, _ = _heard(())
    one(_untaught(load_preset("mini")), everything, out / "routers.safetensors", 0, True)
