"""A trial: does aiSFX hear better when its last stage is trained on the pool? It does not: no part of the preset.

Of 364 sounds of the first two groups (``--groups 0 1``), published and tuned name 16.5 and 18.1 % first, 33.8 and
33.8 % among five; beside Whisper 24.2 and 24.7 %, 40.7 and 38.7 %: all well inside the intervals.

The maps before the last stage are made once, of each sound's copies cut to the block of 100 frames that the network
was trained on. Then, for each group of development packages, the two convolutions of the last stage learn from all
others (InfoNCE over labels, as in :mod:`omnibind_core.binding.ears`), and discriminant axes name the group's sounds by
what came out before and after. ``python -m omnibind_core.binding.sound_tuning`` prints the table; the test packages
are never heard. Maps and trainings are kept in the cache directory: what is killed goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.binding import pools_rendered, pools_sounds, training
from omnibind_core.binding.augment import augment
from omnibind_core.binding.ears import Pool, twins
from omnibind_core.binding.hearing import Hearing, hear
from omnibind_core.binding.pools_sounds import DEVELOPMENT, TEST, Clip
from omnibind_core.binding.retrieval import Row, measure, table
from omnibind_core.binding.sound_axes import discriminant_axes
from omnibind_core.binding.sound_heads import kinship, label_vectors
from omnibind_core.config import assets_directory
from omnibind_core.media.audio import resample
from omnibind_core.specialists import aisfx, registry
from omnibind_core.specialists.base import unit
from omnibind_core.types import Audio
from omnibind_core.weights import cache_directory, local_files

__all__ = ["RECIPE", "LastStage", "Maps", "heard_by", "main", "maps_of_the_pool", "trial", "tune"]

log = logging.getLogger(__name__)

RECIPE = training.Recipe(steps=200, batch=64, rate=3e-4, decay=0.02, warm_up=0.15, scale=20.0, checkpoint=25)
_FRAMES, _SECONDS = 100, 10.0
_RECORDED, _RENDERED = 3, 1  # augmented copies, beside the sound itself
_BALANCE, _KINSHIP, _MIXING = 0.5, 0.2, 0.3


@dataclass(frozen=True, eq=False)
class Maps:
    """What the last stage reads.

    Attributes
    ----------
    clips : tuple of Clip
        The N sounds.
    maps : Tensor, shape (M, 12, 12, 256), float16
        Time, pitch, channels of a block of each sound as it is, followed by those of its copies.
    origin : Tensor, shape (M,), int64
        Which clip each is of.
    clean : Tensor, shape (M,), bool
        Whether it is the sound as it is.
    """

    clips: tuple[Clip, ...]
    maps: Tensor
    origin: Tensor
    clean: Tensor


class LastStage(nn.Module):
    """The last two convolutions of aiSFX with a linear head into the block of words, which is thrown away."""

    def __init__(self, published: aisfx.Network, width: int = 384) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(256, 512, 3, padding=1), nn.Conv2d(512, 512, 3, padding=1)
        for ours, theirs in ((self.first, published.first[-1]), (self.second, published.second[-1])):
            ours.load_state_dict({name: value.float() for name, value in theirs.state_dict().items()})
        self.norm, self.out = nn.BatchNorm1d(512), nn.Linear(512, width)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def features(self, maps: Tensor) -> Tensor:
        """Embed blocks as the published network does: (n, 12, 12, 256) -> (n, 512) float32, not negative."""
        with torch.autocast("cpu", torch.bfloat16):
            last = torch.relu(self.second(torch.relu(self.first(maps.permute(0, 3, 1, 2)))))
        features: Tensor = last.float().mean(3).amax(2)
        return features

    def forward(self, maps: Tensor) -> Tensor:
        """Give unit rows in the block of words: (n, 12, 12, 256) -> (n, width)."""
        return unit(self.out(self.norm(self.features(maps))))


def _published() -> Any:
    spec, _ = registry.find("aisfx")
    return aisfx.build(spec, local_files(spec.weights), {}, torch.device("cpu"), torch.bfloat16)


@torch.inference_mode()
def maps_of_the_pool(clips: Sequence[Clip]) -> Maps:
    """Make the maps of all recordings and rendered sounds; about three minutes at the first call, 0.8 GB.

    Parameters
    ----------
    clips : sequence of Clip
        Which sounds, in which order.
    """
    from safetensors.torch import load_file, save_file
    from tqdm import tqdm

    folder = cache_directory() / "ears" / f"maps-{_RECORDED}-{_RENDERED}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {clip.key for clip in clips}

    def path(clip: Clip) -> Path:
        return folder / f"{hashlib.sha256(clip.key.encode()).hexdigest()[:24]}.safetensors"

    def power(audio: Audio) -> Tensor:
        cut = Audio(audio.samples[: round(_SECONDS * audio.rate)], audio.rate)
        return aisfx.mel_power(resample(cut, aisfx.RATE))

    if any(not path(clip).is_file() for clip in clips):
        ears = _published()
        behind = [power(audio) for _, audio in pools_rendered.signals()]
        recorded = tuple(c for c in clips if c.source not in pools_rendered.SOURCES and not path(c).is_file())
        for sounds, copies in (
            (pools_sounds.read_all(recorded), _RECORDED),
            (pools_rendered.rendered(), _RENDERED),
        ):
            for clip, audio in tqdm(sounds, "maps", disable=None):
                if clip.key not in wanted or path(clip).is_file():
                    continue
                rng = np.random.default_rng((1, *hashlib.sha256(clip.key.encode()).digest()[:8]))
                mel = power(audio)
                blocks = [mel, *(augment(mel, behind, rng, aisfx.RATE / 1024) for _ in range(copies))]
                starts = [int(rng.integers(0, max(len(block) - _FRAMES, 0) + 1)) for block in blocks]
                cut = [block[start : start + _FRAMES] for block, start in zip(blocks, starts, strict=True)]
                made = [ears.maps(aisfx.compress(block))[2][0].permute(1, 2, 0).half() for block in cut]
                save_file({"maps": torch.stack(made)}, path(clip).with_suffix(".part"))
                path(clip).with_suffix(".part").replace(path(clip))
    parts = [load_file(path(clip))["maps"] for clip in clips]
    origin = torch.arange(len(clips)).repeat_interleave(torch.tensor([len(part) for part in parts]))
    clean = torch.ones(len(origin), dtype=torch.bool)
    clean[1:] = origin[1:] != origin[:-1]
    return Maps(tuple(clips), torch.cat(parts), origin, clean)


@torch.inference_mode()
def heard_by(stage: LastStage, made: Maps) -> Hearing:
    """Embed all maps with a last stage; the blocks as they are stand among the copies too."""
    parts = [made.maps[start : start + 64] for start in range(0, len(made.maps), 64)]
    rows = unit(torch.cat([stage.features(part.float()) for part in parts]))
    return Hearing(made.clips, rows[made.clean], rows, made.origin)


def tune(made: Maps, pool: Pool, targets: Tensor, recipe: training.Recipe, folder: Path) -> LastStage:
    """Train the last stage on what may be learned.

    Parameters
    ----------
    made : Maps
        Of the pool's clips.
    pool : Pool
        Says which clips are taught; its hearing of ``"aisfx"`` must be of the same maps.
    targets : Tensor, shape (templates, L, 384), float32
        Vectors of the labels.
    recipe : Recipe
        How.
    folder : Path
        Where the training under way is kept.
    """
    weights = pool.weights("aisfx", _BALANCE)
    label, kin, names = pool.label[made.origin], kinship(targets[0]), torch.eye(len(pool.labels))
    published = _published()
    stage = LastStage(published._network)
    torch.nn.init.normal_(stage.out.weight, std=0.04, generator=torch.Generator().manual_seed(recipe.seed))
    torch.nn.init.zeros_(stage.out.bias)

    def loss_of(_step: int, rng: torch.Generator) -> Tensor:
        drawn = torch.multinomial(weights, recipe.batch, replacement=True, generator=rng)
        x, y = made.maps[drawn].float(), label[drawn]
        wanted = (1 - _KINSHIP) * names[y] + _KINSHIP * kin[y]
        partner = torch.randperm(recipe.batch, generator=rng)
        share = torch.rand(recipe.batch, 1, generator=rng) * _MIXING
        x = torch.lerp(x, x[partner], share[:, :, None, None])
        wanted = torch.lerp(wanted, wanted[partner], share)
        written = targets[int(torch.randint(len(targets), (1,), generator=rng))]
        return nn.functional.cross_entropy(recipe.scale * stage(x) @ written.T, wanted)

    asked = hashlib.sha256(repr((asdict(recipe), made.clips, pool.taught.tolist())).encode()).hexdigest()
    training.train(
        stage, loss_of, recipe, folder / f"stage-{asked[:16]}", identity={"asked": asked}, title="last stage"
    )
    return stage


def trial(made: Maps, eyes: Path, recipe: training.Recipe, groups: Sequence[int]) -> list[Row]:
    """Name the sounds of some development groups by the published and by the trained last stage.

    Parameters
    ----------
    made : Maps
        Of the whole pool.
    eyes : Path
        Folder of ``words.safetensors``.
    recipe : Recipe
        How the last stage is trained.
    groups : sequence of int
        Which of :data:`~omnibind_core.binding.pools_sounds.DEVELOPMENT`.

    Returns
    -------
    list of Row
        Sounds -> label, by one tower, and by the sum of its cosines and those of Whisper's axes.
    """
    labels = sorted({clip.label for clip in made.clips})
    targets = label_vectors(labels, eyes, "words")
    frozen, other = heard_by(LastStage(_published()._network), made), hear("whisper_tiny")
    scores: dict[str, list[Tensor]] = {}
    asked: list[Tensor] = []
    for group in groups:
        held_out = (*DEVELOPMENT[group], *TEST)
        mine = torch.tensor([clip.source in DEVELOPMENT[group] for clip in made.clips])
        taught = torch.tensor([clip.source not in held_out for clip in made.clips]) & ~twins(hear("aisfx"), held_out)
        pool = Pool({"aisfx": frozen, "whisper_tiny": other}, labels, taught)
        stage = tune(made, pool, targets, recipe, cache_directory() / "ears" / "training")
        tuned = Pool({"aisfx": heard_by(stage, made)}, labels, taught)
        second = _scores(pool, "whisper_tiny", mine)
        for name, first in (("as published", _scores(pool, "aisfx", mine)), ("tuned", _scores(tuned, "aisfx", mine))):
            scores.setdefault(f"aiSFX {name}", []).append(first)
            scores.setdefault(f"aiSFX {name} and Whisper", []).append(first + second)
        asked.append(pool.label[mine])
    right = torch.nn.functional.one_hot(torch.cat(asked), len(labels)).bool().numpy()
    each = np.eye(len(labels), dtype=np.float32)
    return [measure(f"{name}: sounds -> label", torch.cat(s).numpy(), each, right) for name, s in scores.items()]


def _scores(pool: Pool, tower: str, mine: Tensor) -> Tensor:
    """Cosines of some clips with the labels' places on a tower's axes: (n, L) float32; -1 for labels without sound."""
    heard = pool.towers[tower]
    axes = discriminant_axes(heard.copies, pool.label[heard.origin], pool.weights(tower, _BALANCE), len(pool.labels))
    cosines = unit(heard.clean[mine].double() @ axes.weight.T + axes.bias) @ axes.centres.float().T
    return cosines.masked_fill(~axes.taught, -1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the trial and log its table."""
    parser = argparse.ArgumentParser(description="Try to train aiSFX's last stage on the sound pool.")
    every = range(len(DEVELOPMENT))
    parser.add_argument("--groups", nargs="+", type=int, default=list(every), choices=every, help="held-out groups")
    parser.add_argument("--eyes", type=Path, default=assets_directory() / "mini", help="folder of words.safetensors")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    made = maps_of_the_pool(hear("aisfx").clips)
    log.info("%s", table(trial(made, options.eyes, RECIPE, options.groups)))


if __name__ == "__main__":
    main()
