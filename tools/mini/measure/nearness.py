"""``python -m tools.mini.measure.nearness``: the results page's section on when nothing is near, alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.abstention import abstention, abstention_section, mixes, outside, strangers
from omnibind_core.evaluation.report import Section
from omnibind_core.search.gallery import Gallery
from omnibind_core.types import FloatArray, Media, Modality, Text
from tools.mini.measure.alone import command, run
from tools.mini.pools.meshes import load_mesh
from tools.mini.pools.pictures import load_picture, tux_paint
from tools.mini.pools.sounds import TEST, read_clip, table
from tools.mini.pools.vectors import in_development, named_shapes
from tools.mini.routing_sentences import judged
from tools.mini.sense import spread

__all__ = ["main", "nearness_section", "parser", "things"]

_MOST = 100  # real things of each modality
_SHORTEST = 0.05  # seconds of sound that a file must have


def things(model: OmniBind, gallery: Gallery) -> dict[Modality, tuple[FloatArray, list[str]]]:
    """Embed real things that neither the gallery shows nor the sense was learned from: unit rows, and their names.

    Pictures and shapes are of the halves that no choice was made on, sounds of the test packages, sentences are the
    gallery's concepts in templates that were not taught.
    """
    shown = " ".join(item.source for item in gallery.items).lower()
    stamps = [p for p in tux_paint() if p.photograph and not in_development(p.name)]
    stamps = [p for p in stamps if p.key.rpartition(".")[0].lower() not in shown]
    clips = [c for c in table() if c.source in TEST and c.file.lower() not in shown]
    meshes = [m for m in named_shapes() if not in_development(m.key) and m.name.lower() not in shown]
    concepts = sorted({item.concept for item in gallery.items})
    called = {text: [name for name in concepts if text.endswith(f" {name}")] for text in judged()["templates"].texts}
    said = [(max(names, key=len), text) for text, names in called.items() if names]
    heard = [(clip.label, read_clip(clip)) for clip in spread(clips, _MOST)]
    media: dict[Modality, list[tuple[str, Media]]] = {
        "image": [(p.name, load_picture(p)) for p in spread(stamps, _MOST)],
        "audio": [(name, sound) for name, sound in heard if len(sound.samples) >= _SHORTEST * sound.rate],
        "point": [(m.label, load_mesh(m)) for m in spread(meshes, _MOST)],
        "text": [(name, Text(text)) for name, text in spread(said, _MOST)],
    }
    return {
        modality: (np.vstack([model.embed(modality, [one]).vectors for _, one in many]), [name for name, _ in many])
        for modality, many in media.items()
    }


def nearness_section(model: OmniBind, gallery: Gallery) -> Section:
    """Measure it."""
    real = outside(gallery, things(model, gallery))
    strange = strangers(model)
    return abstention_section(abstention(gallery, strange), mixes(gallery, strange), real)


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    return command("nearness", "Measure how often it is right that nothing is near.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section, and put it into the page where asked."""
    return run(lambda model: nearness_section(model, Gallery.load(model)), parser().parse_args(arguments).into)


if __name__ == "__main__":
    sys.exit(main())
