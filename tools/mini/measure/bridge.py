"""``python -m tools.mini.measure.bridge``: what binding by text alone does, before and after.

Two spaces of the preset `mini` that know nothing of one another are bound by :mod:`.text_bridge`:

words
    Sentences as MiniLM means them; beside them sounds (aiSFX's heads) and shapes (views, by ConSE).
looks
    Sentences by what the nearest ImageNet classes look like; beside them pictures (EfficientNet-Lite2's features).

No medium is paired with a sentence or with another medium. Asked is across the two: a sound, or a shape, in `words`
looks for its picture in `looks`, and the other way round. Half of the gallery's media give the centres and the memory
where there are any, the other half asks. Both spaces read sentences through one text tower, which makes it easier than
for two towers; mini's sound heads were trained on words, of which `looks` knows nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from omnibind_core.binder import OmniBind
from omnibind_core.binding.bridge import Bridge, Centre, Memory, Recipe, bridge, untrained
from omnibind_core.binding.first_start import shared_sentences
from omnibind_core.evaluation.retrieval import Row, measure, table
from omnibind_core.search.gallery import Gallery
from omnibind_core.specialists.base import unit
from omnibind_core.types import FloatArray, Modality
from tools.mini.blocks import BLOCKS
from tools.mini.pools.vectors import in_development

__all__ = ["VARIANTS", "before_and_after", "main"]

log = logging.getLogger(__name__)

VARIANTS = ("text, media centred", "text, with a memory of media")
_WORDS, _LOOKS = slice(*BLOCKS["words"]), slice(*BLOCKS["looks"])
_BLOCKS: dict[Modality, slice] = {"audio": _WORDS, "point": _WORDS, "image": _LOOKS}
_NAMES: dict[Modality, str] = {"audio": "sound", "point": "shape", "image": "picture"}


def before_and_after(
    gallery: Gallery, sentences: FloatArray, recipe: Recipe | None = None, variants: Sequence[str] = ()
) -> dict[str, list[Row]]:
    """Measure retrieval across two spaces.

    Parameters
    ----------
    gallery : Gallery
        With mini's vectors.
    sentences : ndarray, shape (n, D), float32
        Mini's vectors of the sentences that both spaces read.
    recipe : Recipe, optional
        How the heads are trained.
    variants : sequence of str
        Some of :data:`VARIANTS`, which take media into account as well.

    Returns
    -------
    dict of str to list of Row
        "before" (heads that are not trained), "text alone", and each of `variants`.
    """
    recipe = recipe or Recipe()
    words, looks = (unit(torch.from_numpy(sentences[:, block])) for block in (_WORDS, _LOOKS))
    source, target = Centre.of(words), Centre.of(looks)
    items = {m: [item for item in gallery.items if item.modality == m] for m in _BLOCKS}
    concepts = {m: np.array([item.concept for item in found]) for m, found in items.items()}
    rows = {
        m: unit(torch.from_numpy(np.stack([gallery.term(item.id).vector for item in found]))[:, _BLOCKS[m]])
        for m, found in items.items()
    }
    known = {m: np.array([in_development(item.id) for item in found]) for m, found in items.items()}
    of_text: dict[Modality, Centre] = {"audio": source, "point": source, "image": target}
    own = {m: Centre.of(rows[m][known[m]]) for m in rows}

    def rank(bound: Bridge, centres: dict[Modality, Centre]) -> list[Row]:
        placed: dict[Modality, Tensor] = {m: centres[m](rows[m]) for m in rows}
        placed = {m: unit(x) if m == "image" else bound(x) for m, x in placed.items()}
        pairs: tuple[tuple[Modality, Modality], ...] = (("audio", "image"), ("image", "audio"), ("point", "image"))
        found = []
        for asking, asked in pairs:
            asks = ~known[asking]
            right = concepts[asking][asks][:, None] == concepts[asked][None, :]
            task = f"{_NAMES[asking]} -> {_NAMES[asked]}"
            found.append(measure(task, placed[asking][asks].numpy(), placed[asked].numpy(), right))
        return found

    read, aim = source(words), target(looks)
    alone = bridge(read, aim, recipe)
    before = untrained(read.shape[1], aim.shape[1], recipe)
    results = {"before": rank(before, of_text), "text alone": rank(alone, of_text)}
    centred, remembering = VARIANTS
    if centred in variants:
        results[centred] = rank(alone, own)
    if remembering in variants:
        memory = Memory(source(rows["audio"][known["audio"]]), target(rows["image"][known["image"]]))
        results[remembering] = rank(bridge(read, aim, recipe, memory), of_text)
    return results


def main() -> None:
    """Print the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)  # sums in one order
    model = OmniBind.from_pretrained("mini", modalities=["text"], dtype="float32")
    gallery = Gallery.load(model)
    sentences = model.embed_texts(shared_sentences(gallery.folder))
    for name, rows in before_and_after(gallery, sentences, variants=VARIANTS).items():
        log.info("%s\n\n%s\n", name, table(rows))


if __name__ == "__main__":
    main()
