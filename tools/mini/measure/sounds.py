"""``python -m tools.mini.measure.sounds``: which ways of hearing are best, by development packages held out in turn.

The test packages (:data:`tools.mini.pools.sounds.TEST`) stay unheard; what mini makes of them stands on the results
page, by the heads in ``assets/mini/eval``, which were trained as the product's but without these packages.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from omnibind_core.binding.forms import read_about
from omnibind_core.evaluation.bench import Bench, Pool, same_name, subset
from omnibind_core.evaluation.retrieval import Row, measure, table
from omnibind_core.presets.preset import MemberSpec, Preset, load_preset
from omnibind_core.store.paths import assets_directory, cache_directory
from omnibind_core.types import FloatArray
from tools.mini.naming import NamingRecipe
from tools.mini.pools.sounds import DEVELOPMENT, TEST
from tools.mini.pools.vectors import pictures, texts
from tools.mini.routers import in_place_of
from tools.mini.sounds.hearing import hear
from tools.mini.sounds.train import APPEARANCE, RECIPE, SoundLessons, build, twins

__all__ = ["WAYS", "Learned", "development", "learned", "main", "parser"]

log = logging.getLogger(__name__)

_BOTH = MemberSpec("both", {"heard": 0.5, "echo": 0.5}, normalise=True)
_SOUND = 2**-0.5  # weight of the block of sound where each tower only has half of it
WAYS: Mapping[str, Mapping[str, float]] = {
    **{name: {name: 1.0} for name in ("words", "names", "looks", "sights", "heard", "echo", "both")},
    "aiSFX, flat": {"words": 1.0, "looks": 1.0, "heard": 1.0},
    "Whisper, flat": {"names": 1.0, "sights": 1.0, "echo": 1.0},
    "words of both": {"words": 1.0, "names": 1.0},
    "words and heard of both": {"words": 1.0, "names": 1.0, "both": _SOUND},
    "both, flat": {"words": 1.0, "names": 1.0, "looks": 1.0, "sights": 1.0, "both": _SOUND},
}
"""What people read -> weights of the spaces that sounds enter by; "both" is the block of sound by both towers."""
_SAID = dict.fromkeys(("words", "looks", "sights", "heard"), 1.0)  # what sentences enter by
_PICTURED = dict.fromkeys(("words", "looks"), 1.0)  # what pictures enter by, and sounds through their first towers


class Learned(NamedTuple):
    """What the heads of a folder know of the pool.

    Attributes
    ----------
    labels : list of str
        All labels that sounds of the pool have.
    taught : set of str
        Those that they learned from sounds; of the others they only know the words.
    held_out : set of str
        Sources that they never heard.
    """

    labels: list[str]
    taught: set[str]
    held_out: set[str]


def learned(folder: Path) -> Learned:
    """Read what the heads in `folder` say about themselves."""
    about = read_about(folder / "heard.safetensors")
    return Learned(about["labels"], set(about["taught"]), set(about["held_out"]))


def development(preset: Preset, recipe: NamingRecipe, ways: Mapping[str, Mapping[str, float]] = WAYS) -> list[Row]:
    """Hold each group of development packages out in turn, and name its sounds; the test packages stay unheard.

    Parameters
    ----------
    preset : Preset
        Mini: its heads for sentences and pictures stay as they are.
    recipe : NamingRecipe
        How words heads are trained.
    ways : mapping of str to mapping of str to float
        See :data:`WAYS`.

    Returns
    -------
    list of Row
        For each way: all sounds, those of taught labels, and sounds to the development half of Tux Paint's
        photographs.
    """
    towers = {name: hear(name) for name in APPEARANCE}
    clips = towers["aisfx"].clips
    labels = sorted({clip.label for clip in clips})
    seen = pictures()
    named = same_name(seen.names, labels).any(1) & ~seen.held_out
    seen = seen.take(np.flatnonzero(named))
    found: dict[str, list[tuple[FloatArray, FloatArray]]] = {way: [] for way in ways}
    images: dict[str, FloatArray] = {}
    asked: list[str] = []
    taught: list[bool] = []
    work = cache_directory() / "ears"
    for number, group in enumerate(DEVELOPMENT):
        held_out = (*group, *TEST)
        unheard = torch.tensor([clip.source in held_out for clip in clips])
        lessons = SoundLessons(towers, labels, ~unheard & ~twins(towers["aisfx"], held_out))
        folder = work / "development" / str(number)
        known = {clip.label for clip, heard in zip(clips, lessons.taught, strict=True) if heard}
        about = {"labels": labels, "taught": sorted(known)}
        build(lessons, assets_directory() / "mini", folder, recipe, about, work / "training")
        mine = np.flatnonzero([clip.source in group for clip in clips])
        names = tuple(clips[i].label for i in mine)
        clean = {name: heard.clean[mine].numpy() for name, heard in towers.items()}
        sounds = Pool("audio", names, clean.__getitem__, np.zeros(len(names), bool))
        bench = Bench(_by_towers(in_place_of(preset, folder)))
        asked += names
        taught += [name in known for name in names]
        for way, weights in ways.items():
            variant = subset(bench.preset, {"audio": weights, "text": _SAID, "image": _PICTURED})
            found[way].append((bench.bound(sounds, variant), bench.bound(texts(labels), variant)))
            images[way] = bench.bound(seen, variant)
    right = np.array(asked)[:, None] == np.array(labels)[None, :]
    rows: list[Row] = []
    for way, parts in found.items():
        # Each fold has its own vectors of labels (those of the block `heard` come from its sounds): measure products.
        scores = np.concatenate([sounds @ said.T for sounds, said in parts])
        each = np.eye(len(labels), dtype=np.float32)
        rows.append(measure(f"{way}: sounds -> label", scores, each, right))
        rows.append(measure(f"{way}: sounds of taught labels -> label", scores[taught], each, right[taught]))
        if set(ways[way]) & {*_PICTURED, "names"}:
            heard = np.concatenate([sounds for sounds, _ in parts])
            rows.append(measure(f"{way}: sounds -> picture", heard, images[way], same_name(asked, seen.names)))
    return rows


def _by_towers(preset: Preset) -> Preset:
    """Let the block of sound be asked for by either tower, or by both."""
    audio = tuple(_BOTH if member.name == "heard" else member for member in preset.members["audio"])
    return replace(preset, members={**preset.members, "audio": audio})


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.mini.measure.sounds",
        description="Hold development packages out in turn, and measure which ways of hearing name their sounds best.",
    )
    found.add_argument("--seeds", type=int, default=1, help="words heads of each tower that are trained for that")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Hold development packages out in turn, and log the table."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    log.info("%s", table(development(load_preset("mini"), replace(RECIPE, heads=options.seeds))))


if __name__ == "__main__":
    main()
