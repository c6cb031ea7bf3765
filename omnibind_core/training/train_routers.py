"""Routing: a router per modality, trained with all projectors frozen (arXiv 2407.11895, section 3.3).

Two objectives: cross-modal alignment, InfoNCE over all pairs of the modalities' routed vectors; and language
decoupling for the text router, in the form of :func:`omnibind_core.training.losses.decoupling`, which is our own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.binder import bind
from omnibind_core.binding.forms import Temperature, seeded
from omnibind_core.binding.projectors import Projectors
from omnibind_core.presets.preset import Asset, Preset
from omnibind_core.store.kept import digest, file_digest
from omnibind_core.training.loop import Recipe, TrainingError, batch_rows, exact, train
from omnibind_core.training.losses import cross_modal, decoupling, domain_shares
from omnibind_core.training.processes import BatchNorm, gather, own
from omnibind_core.training.run import Run
from omnibind_core.types import Modality

__all__ = ["HIDDEN", "MIDDLE", "Languages", "RouterRecipe", "new_router", "train_routers"]

HIDDEN, MIDDLE = 512, 100
"""Widths of the published routers' two middle layers."""


@dataclass(frozen=True)
class RouterRecipe(Recipe):
    """How routers are trained, beside what every training has.

    Attributes
    ----------
    learn_scale : bool
        Whether the scale is trained too.
    decoupling : float
        Weight of the decoupling loss.
    """

    learn_scale: bool = False
    decoupling: float = 1.0


@dataclass(frozen=True, eq=False)
class Languages:
    """What the text router is told about the pool of texts.

    Attributes
    ----------
    domains : mapping of Modality to sequence of str
        Members whose text encoders speak the language of that modality's captions.
    targets : Tensor, shape (n, domains), bool
        For each text of the pool, in the order of `domains`; see
        :func:`omnibind_core.training.losses.domain_targets`.
    rows : Tensor, shape (m,), int64, optional
        Texts that the loss may draw; None: all.
    """

    domains: Mapping[Modality, Sequence[str]]
    targets: Tensor
    rows: Tensor | None = None


def new_router(width: int, members: int, seed: int, hidden: int = HIDDEN) -> nn.Sequential:
    """Make a router of the published form, without its last sigmoid and softmax.

    Parameters
    ----------
    width : int
        Of its input: the sum of its spaces' widths.
    members : int
        Columns of its output.
    seed : int
        Of its first weights.
    hidden : int
        Width of its first layer.
    """

    def make() -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(width, hidden), BatchNorm(hidden), nn.ReLU(),
            nn.Linear(hidden, MIDDLE), BatchNorm(MIDDLE), nn.Tanh(), nn.Linear(MIDDLE, members),
        )  # fmt: skip

    return seeded(make, seed)


def train_routers(
    run: Run,
    preset: Preset,
    projectors: Projectors,
    recipe: RouterRecipe,
    *,
    languages: Languages | None = None,
    hidden: int = HIDDEN,
) -> dict[Modality, nn.Module]:
    """Train the routers of all modalities for which the preset says "mlp"; the others stay flat.

    Parameters
    ----------
    run : Run
        With pairs, and the vectors of all spaces that :meth:`Preset.spaces_of` names; it gets the learning curve.
    preset : Preset
        Says what members there are and what each router reads, and with which scale.
    projectors : Projectors
        The preset's, frozen, on the run's device.
    recipe : RouterRecipe
        How.
    languages : Languages, optional
        For the decoupling loss; None trains without it.
    hidden : int
        Width of the routers' first layers.

    Returns
    -------
    dict of Modality to Module
        Routers in evaluation mode, on the CPU.

    Raises
    ------
    TrainingError
        Nothing to train, vectors that are missing, or checkpoints of another training.
    PresetError
        Domains that do not fit the members.
    """
    vectors, pairs, device = run.vectors, run.pairs, run.device
    trained: list[Modality] = [m for m in preset.members if preset.routers[m].kind == "mlp"]
    lacking = [f"{m}/{s}" for m in preset.members for s in preset.spaces_of(m) if s not in vectors.get(m, {})]
    if not trained or lacking:
        raise TrainingError(
            f"preset '{preset.name}' with routers to train for {trained}, vectors missing for {lacking}",
            "at least one router of kind mlp, and all vectors",
            "correct the preset or extract the pools",
        )
    texts = len(next(iter(vectors.get("text", {}).values()), ()))
    if languages is not None and len(languages.targets) != texts:
        raise TrainingError(f"{len(languages.targets)} targets for {texts} texts", "one each", "correct them")
    shares, targets, drawable = torch.zeros(0), torch.zeros(0), torch.zeros(0)
    if languages is not None:
        names = [member.name for member in preset.members["text"]]
        shares = domain_shares(names, languages.domains, list(languages.domains)).to(device)
        targets = languages.targets
        drawable = torch.arange(len(targets)) if languages.rows is None else languages.rows
    routers = nn.ModuleDict()
    for number, modality in enumerate(trained):
        width = sum(vectors[modality][space].width for space in preset.routers[modality].inputs)
        routers[modality] = new_router(width, len(preset.members[modality]), recipe.seed + number, hidden)
    whole = nn.ModuleDict({"routers": routers, "temperature": Temperature(recipe.scale, learnable=recipe.learn_scale)})
    whole.to(device)

    def weigh(modality: Modality, read: Mapping[str, Tensor], n: int) -> Tensor:
        spec = preset.routers[modality]
        if modality not in trained:
            flat = spec.weights or (1 / len(preset.members[modality]),) * len(preset.members[modality])
            return torch.tensor(flat, device=device).expand(n, -1)
        logits = routers[modality](torch.cat([read[space] for space in spec.inputs], dim=1))
        weights: Tensor = torch.softmax(spec.scale * torch.sigmoid(logits.float()), dim=1)
        return weights

    def routed(modality: Modality, rows: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[Tensor, Tensor]:
        n, rows = len(rows), rows[own(len(rows))]
        read = {s: torch.from_numpy(vectors[modality][s].take(rows)).to(device) for s in preset.spaces_of(modality)}
        with torch.no_grad():
            projected = projectors(modality, read)
        weights = weigh(modality, read, len(rows))
        return gather(bind(preset.members[modality], projected, weights), n), gather(weights, n)

    def loss_of(step: int, generator: torch.Generator) -> Tensor:
        rows = batch_rows(recipe.seed, step, len(pairs), recipe.batch)
        items = {m: pairs.items[m][rows] for m in preset.members}
        bound: dict[Modality, Tensor] = {}
        decoupled = torch.zeros((), device=device)
        for modality in preset.members:
            # A missing item is stood for by the first of its pool, and left out of the loss.
            asked = np.maximum(items[modality], 0)
            if modality == "text" and languages is not None:
                drawn = drawable[torch.randint(len(drawable), (recipe.batch,), generator=generator)].numpy()
                asked = np.concatenate([asked, drawn])
            out, weights = routed(modality, asked)
            bound[modality] = out[: len(rows)]
            if modality == "text" and languages is not None:
                drawn_weights = weights[len(rows) :]
                wanted = targets[torch.from_numpy(asked[len(rows) :])].to(device)
                with exact(device):
                    decoupled = decoupling(drawn_weights, shares, wanted)
        there = {m: torch.from_numpy(i).to(device) for m, i in items.items()}
        with exact(device):
            return cross_modal(bound, whole["temperature"](), there) + recipe.decoupling * decoupled

    decides = {
        "preset": json.loads(preset.text),
        "heads": _heads(preset),
        "tuples": digest(pairs.source, *(pairs.items[m] for m in sorted(pairs.items))),
        "vectors": [vectors[m][s].identity for m in preset.members for s in preset.spaces_of(m)],
        "languages": None
        if languages is None
        else [dict(languages.domains), digest(targets.numpy(), drawable.numpy())],
    }
    folder, title = run.work("routers"), "routers"
    run.curves[title] = train(whole, loss_of, recipe, folder, identity=decides, title=title, device=device)
    return {m: routers[m].cpu() for m in trained}


def _heads(preset: Preset) -> list[list[str]]:
    """Tell which weights the frozen projectors have: what routers learn depends on them."""
    used = {head.file for space in preset.spaces.values() for head in space.heads.values() if head.file}
    sources = {name: preset.files[name] for name in sorted(used)}
    return [
        [name, file_digest(source.local()) if isinstance(source, Asset) else source.identity]
        for name, source in sources.items()
    ]
