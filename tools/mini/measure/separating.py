"""``python -m tools.mini.measure.separating``: the results page's section on pulling one sound out of two, alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import torch

from omnibind_core.binder import OmniBind
from omnibind_core.binding.files import load_files
from omnibind_core.binding.projectors import Projectors
from omnibind_core.binding.routers import Routers
from omnibind_core.evaluation.report import Section
from omnibind_core.evaluation.separating import ASKED, measure_separation, pairs, separation_section, threshold
from omnibind_core.search.gallery import Gallery
from omnibind_core.specialists.load import load
from omnibind_core.specialists.registry import required
from omnibind_core.types import MODALITIES, FloatArray
from tools.mini.measure.alone import command, run
from tools.mini.pools.sounds import TEST
from tools.mini.routers import evaluation_preset

__all__ = ["main", "parser", "separating_section", "unheard"]


MIXTURES, TUNED = 24, 30
"""Mixtures of each group, and of the development half: the two sounds of each are asked for."""
TEST_SEED = 1


def unheard(gallery: Gallery) -> tuple[OmniBind, Gallery]:
    """Give mini with the sound heads that never heard the test packages, and the gallery by them."""
    preset, device = evaluation_preset(), torch.device("cpu")
    towers = load(required(preset.specialists()))
    files = load_files(preset, MODALITIES)
    model = OmniBind(
        preset,
        towers,
        Projectors(preset, files, device, modalities=MODALITIES),
        Routers(preset, files, device, modalities=MODALITIES),
        device,
    )
    rows: dict[str, FloatArray] = {}
    for modality in MODALITIES:
        these = [item for item in gallery.items if item.modality == modality]
        made = gallery.rows(modality)
        if modality == "audio":
            made = model.embed(modality, [gallery.path(item) for item in these]).vectors
        rows.update((item.id, row) for item, row in zip(these, made, strict=True))
    vectors = torch.stack([torch.from_numpy(rows[item.id]) for item in gallery.items]).numpy()
    items = [replace(item, file=gallery.path(item)) for item in gallery.items]
    return model, Gallery(items, vectors, vectors, gallery.folder)


def separating_section(model: OmniBind, gallery: Gallery, held: tuple[OmniBind, Gallery]) -> Section:
    """Measure both groups of mixtures of the test half; `held` is what :func:`unheard` gives."""
    every = measure_separation(model, gallery, pairs(gallery.items, MIXTURES, TEST_SEED, test=True))
    strange = measure_separation(*held, pairs(held[1].items, MIXTURES, TEST_SEED, True, TEST))
    return separation_section({"gallery's sounds": every, "packages that no head heard": strange})


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = command("separating", "Measure how well one sound is pulled out of two.")
    found.add_argument("--tune", action="store_true", help="the development half instead, with its thresholds")
    return found


def _tested(model: OmniBind) -> Section:
    gallery = Gallery.load(model)
    return separating_section(model, gallery, unheard(gallery))


def _tuned(model: OmniBind) -> Section:
    gallery = Gallery.load(model)
    outcomes = measure_separation(model, gallery, pairs(gallery.items, TUNED, 0, test=False))
    for modality, name in ASKED.items():
        sys.stdout.write(f"{name}: {threshold(outcomes, modality):.2f}\n")
    return separation_section({"development half": outcomes})


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section, and put it into the page where asked; that of the development half belongs into none."""
    options = parser().parse_args(arguments)
    return run(_tuned, None) if options.tune else run(_tested, options.into)


if __name__ == "__main__":
    sys.exit(main())
