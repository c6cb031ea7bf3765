"""Stage "languages" of ``make train-mini``: the head from E5 to MiniLM, and what tells English from other languages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from omnibind_core.specialists.load import tower
from omnibind_core.store.kept import write_tensors
from omnibind_core.store.paths import replace_file
from omnibind_core.store.shards import kept_rows
from omnibind_core.training.extraction import tower_identity
from omnibind_core.types import FloatArray, Text
from tools.mini.languages import detector, emoji
from tools.mini.languages.head import Lessons, learn
from tools.mini.languages.lists import LEARNED, book, names_an_asked_thing, nouns, pairs

__all__ = ["BOOK", "EMOJI", "FILE", "lessons", "make", "rows"]

FILE, EMOJI, BOOK = "languages.safetensors", "emoji.json", "book.json"
_NOUNS, _GLOSSES = 12_000, 8_000
_STEPS = 1600


def rows(name: str, texts: Sequence[str]) -> Tensor:
    """Give a tower's unit rows of sentences, (n, 384) float32, kept in the cache directory at half precision."""

    def embed(some: Sequence[int]) -> FloatArray:
        found: FloatArray = tower(name).embed("text", [Text(texts[i]) for i in some]).half().float().cpu().numpy()
        return found

    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    decides = {"tower": tower_identity(name), "texts": digest}
    keys = [str(i) for i in range(len(texts))]
    kept = kept_rows(f"languages-{name}-{digest[:8]}", decides, keys, embed).chunk(0, len(keys))
    return functional.normalize(torch.from_numpy(np.array(kept)), dim=1)


def lessons(withheld: bool) -> Lessons:
    """Put the lessons together; `withheld` leaves out all pairs that name one of the asked things.

    English alone keeps its words for them: they are no translations.
    """
    english = sorted({one for language in LEARNED for one, _ in pairs(language)})
    place = {one: i for i, one in enumerate(english)}
    read, meant = rows("e5_small", english), rows("minilm_l6", english)
    other, start = [], []
    for language in LEARNED:
        texts = sorted({said for _, said in pairs(language)})
        at = {said: i for i, said in enumerate(texts)}
        used = [(one, said) for one, said in pairs(language) if not (withheld and names_an_asked_thing(one, said))]
        other.append(rows("e5_small", texts)[[at[said] for _, said in used]])
        start += [place[one] for one, _ in used]
    words, glosses = [noun for noun, _ in nouns()[:_NOUNS]], [gloss for _, gloss in nouns()[:_GLOSSES]]
    alone = [torch.cat([rows(name, words), rows(name, glosses)]) for name in ("e5_small", "minilm_l6")]
    said = torch.cat(other)
    return Lessons(
        said, said - read[start], meant[start], torch.cat([read, alone[0]]), torch.cat([meant, alone[1]])
    )  # fmt: skip


def make(out: Path) -> None:
    """Learn and write what ships, and beside it in ``eval`` the head that no asked thing was named to."""
    replace_file(out / EMOJI, emoji.table().encode())
    replace_file(out / BOOK, book().encode())
    told = detector.learn()
    write_tensors(out / FILE, learn(lessons(withheld=False), _STEPS) | told, {})
    write_tensors(out / "eval" / FILE, learn(lessons(withheld=True), _STEPS), {})
