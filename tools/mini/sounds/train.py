"""Trains the heads by which sounds enter the preset `mini`, from two towers: aiSFX and Whisper tiny's encoder.

words
    Heads that name (:mod:`tools.mini.naming`), three for each tower, of sounds that are changed by
    :mod:`tools.mini.sounds.augment`.
looks, sights, heard
    In closed form, by :mod:`tools.mini.sounds.axes`: a sound looks like its ten likeliest labels look, to
    one tower in each block; and both towers' axes make the block of sound itself.

``python -m tools.mini ears`` takes about 20 minutes on one core. The first run also fetches the packages;
they, the vectors of all sounds' copies and the trainings under way are kept in the cache directory, so that what is
killed goes on where it was and ends in the same files. Seeds are fixed: on one machine the files come out the same to
the byte.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from omnibind_core.binding.forms import head_tensors, kinds_of, write_heads
from omnibind_core.store.kept import digest
from omnibind_core.store.paths import assets_directory, cache_directory
from omnibind_core.training.loop import Recipe
from tools.mini.blocks import BLOCKS
from tools.mini.labels import kinship, label_vectors, meanings
from tools.mini.naming import NamingRecipe, train_naming
from tools.mini.pools.rendered import SOURCES as RENDERED
from tools.mini.pools.sounds import TEST
from tools.mini.sounds.axes import Axes, conse_tensors, discriminant_axes, heard_tensors
from tools.mini.sounds.hearing import Hearing, hear

__all__ = ["APPEARANCE", "RECIPE", "TEMPLATES", "TWIN", "SoundLessons", "build", "make", "train_heads", "twins"]

log = logging.getLogger(__name__)

APPEARANCE: dict[str, str] = {"aisfx": "looks", "whisper_tiny": "sights"}
"""Tower -> the block of appearance that it leads to."""
TWIN = 0.97
"""Two sounds whose aiSFX vectors have a larger cosine count as one recording."""
TEMPLATES: tuple[str, ...] = (
    "{}",
    "a {}",
    "the sound of {}",
    "sound of a {}",
    "a recording of {}",
    "{} sound effect",
    "you can hear {}",
)
"""Ways of writing a label."""
SOURCES = {
    "aisfx": "aiSFX checkpoint (C) 2022 A. B. Ma and A. Lerch, CC-BY-4.0",
    "whisper_tiny": "Whisper tiny.en (C) 2022 OpenAI, MIT",
    "minilm_l6": "all-MiniLM-L6-v2, Apache-2.0",
}
"""Specialist -> what a file of heads says about what it was made from."""
_VERSION = "2"  # of the files


RECIPE = NamingRecipe(Recipe(steps=500, batch=256, rate=2e-3, decay=0.05, warm_up=0.2, scale=20.0, checkpoint=100))
"""How a words head is trained; chosen on the development packages."""


@dataclass(frozen=True, eq=False)
class SoundLessons:
    """What is learned from: both towers' vectors of the same sounds, and which of them may be learned.

    Attributes
    ----------
    towers : mapping of str to Hearing
        By specialist, over the same clips.
    labels : list of str
        All L labels, in alphabetical order.
    taught : Tensor, shape (N,), bool
        Clips that may be learned.
    """

    towers: Mapping[str, Hearing]
    labels: Sequence[str]
    taught: Tensor

    @property
    def label(self) -> Tensor:
        """Number of each clip's label: (N,) int64."""
        number = {label: i for i, label in enumerate(self.labels)}
        return torch.tensor([number[clip.label] for clip in next(iter(self.towers.values())).clips])

    def weights(self, tower: str, balance: float) -> Tensor:
        """How often each copy is drawn: (M,) float64, 0 for copies of what may not be learned."""
        heard, label = self.towers[tower], self.label
        sounds = torch.bincount(label[self.taught], minlength=len(self.labels)).double().clamp(min=1)
        made = torch.bincount(heard.origin, minlength=len(heard.clips)).double()
        # A rendered sound has fewer copies and counts for less.
        worth = torch.tensor([0.5 if clip.source in RENDERED else 1.0 for clip in heard.clips]).double()
        weights = sounds[label[heard.origin]] ** -balance / made[heard.origin] * worth[heard.origin]
        return torch.where(self.taught[heard.origin], weights, 0.0)


def twins(heard: Hearing, sources: Collection[str]) -> Tensor:
    """Which clips of other sources are probably recordings that `sources` have too: (N,) bool.

    Parameters
    ----------
    heard : Hearing
        aiSFX's, where a recording and its copy in another format have a cosine above :data:`TWIN`.
    sources : collection of str
        Packages that must stay unheard.
    """
    held = torch.tensor([clip.source in sources for clip in heard.clips])
    if not held.any():
        return held
    return ((heard.clean @ heard.clean[held].T).amax(1) > TWIN) & ~held


def train_heads(
    pool: SoundLessons, tower: str, targets: Tensor, kin: Tensor, recipe: NamingRecipe, folder: Path
) -> list[nn.Sequential]:
    """Train heads that differ by their seeds, by :func:`~tools.mini.naming.train_naming` on standardised rows.

    Parameters
    ----------
    pool : SoundLessons
        With copies.
    tower : str
        Whose vectors they read.
    targets : Tensor, shape (templates, L, D), float32
        Vectors of the labels.
    kin : Tensor, shape (L, L), float32
        Rows that sum to 1: which labels mean nearly the same.
    recipe : NamingRecipe
        How.
    folder : Path
        Where the trainings under way are kept.

    Returns
    -------
    list of Sequential
        Heads from the tower's width to D, in evaluation mode.
    """
    heard, weights = pool.towers[tower], pool.weights(tower, recipe.balance)
    rows = torch.nonzero(weights)[:, 0]
    copies, label, weights = heard.copies[rows], pool.label[heard.origin[rows]], weights[rows]
    mean = (weights / weights.sum()).float() @ copies
    scale = ((weights / weights.sum()).float() @ (copies - mean).square()).sqrt().clamp(min=1e-6)
    copies = (copies - mean) / scale

    def draw(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        drawn = torch.multinomial(weights, recipe.training.batch, replacement=True, generator=rng)
        return copies[drawn], label[drawn]

    data = digest(copies, label, weights)
    heads = train_naming(draw, copies.shape[1], targets, kin, recipe, folder, data, "words head")
    return [_unscaled(head, mean, scale) for head in heads]


def _unscaled(head: nn.Sequential, mean: Tensor, scale: Tensor) -> nn.Sequential:
    """Let a head that was trained on standardised rows read them as they are."""
    head = copy.deepcopy(head)
    state = head.state_dict()
    state["0.weight"] = state["0.weight"] / scale
    state["0.bias"] = state["0.bias"] - state["0.weight"] @ mean
    head.load_state_dict(state)
    return head.eval()


def build(
    pool: SoundLessons, eyes: Path, out: Path, recipe: NamingRecipe, about: Mapping[str, object], folder: Path
) -> list[Path]:
    """Train and write all heads for sounds.

    Parameters
    ----------
    pool : SoundLessons
        What is learned from.
    eyes : Path
        Folder of ``words.safetensors``, ``looks.safetensors`` and so on, from :mod:`tools.mini.pictures`;
        a block of appearance that has no file there is left out with a warning.
    out : Path
        Folder to write to.
    recipe : NamingRecipe
        How words heads are trained.
    about : mapping of str to object
        What the files shall say about themselves.
    folder : Path
        Where the trainings under way are kept.

    Returns
    -------
    list of Path
        Files written.
    """
    words = label_vectors(pool.labels, "words", TEMPLATES, eyes)
    kin = kinship(words[0])
    written: list[Path] = []

    def write(name: str, block: str, tensors: Mapping[str, Tensor], **more: object) -> None:
        towers = [tower for tower in pool.towers if name.startswith(tower) or name == "heard"]
        sources = "; ".join(SOURCES[one] for one in (*towers, "minilm_l6"))
        said = {"block": BLOCKS[block], "kinds": kinds_of(tensors), "version": _VERSION, **about, **more}
        write_heads(out / f"{name}.safetensors", tensors, {**said, "sources": sources})
        written.append(out / f"{name}.safetensors")

    axes: dict[str, Axes] = {}
    for tower, heard in pool.towers.items():
        heads = train_heads(pool, tower, words, kin, recipe, folder)
        write(f"{tower}_words", "words", head_tensors({"audio": heads}), count=len(heads))
        weights = pool.weights(tower, recipe.balance)
        axes[tower] = discriminant_axes(heard.copies, pool.label[heard.origin], weights, len(pool.labels))
        block = APPEARANCE[tower]
        if (eyes / f"{block}.safetensors").is_file():
            tensors = conse_tensors(axes[tower], label_vectors(pool.labels, block, TEMPLATES, eyes)[0])
            named = {f"audio.{name}": value for name, value in tensors.items()}
            write(f"{tower}_{block}", block, named, top_k={"audio": 10})
        else:
            log.warning("no %s.safetensors in %s: sounds get no head for it", block, eyes)
    write("heard", "heard", heard_tensors(axes, meanings(pool.labels, TEMPLATES)[0]))
    return written


def make(out: Path) -> None:
    """Train and write mini's heads for sounds: those that are used, and those that never heard the test packages.

    Parameters
    ----------
    out : Path
        Folder to write to; heads that are measured go into its ``eval``. Labels lie where mini's own heads put them.
    """
    towers = {name: hear(name) for name in APPEARANCE}
    clips = towers["aisfx"].clips
    labels = sorted({clip.label for clip in clips})
    for folder, held_out in ((out, ()), (out / "eval", TEST)):
        unheard = torch.tensor([clip.source in held_out for clip in clips])
        twin = twins(towers["aisfx"], held_out)
        pool = SoundLessons(towers, labels, ~unheard & ~twin)
        log.info("%s: %d of %d sounds, %d are twins", folder, int(pool.taught.sum()), len(clips), int(twin.sum()))
        taught = sorted({clip.label for clip, known in zip(clips, pool.taught, strict=True) if known})
        about = {"labels": labels, "taught": taught, "held_out": held_out, "twins": int(twin.sum())}
        build(pool, assets_directory() / "mini", folder, RECIPE, about, cache_directory() / "ears" / "training")
