"""What a call of a program or an agent is answered with, in the one JSON form of all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omnibind_core import media
from omnibind_core.errors import QueryError
from omnibind_core.search.answers import (
    Embedded,
    compared_form,
    embedded_form,
    found_form,
    located_form,
    scores_form,
    separated_form,
    similarity_form,
)
from omnibind_core.search.compose import Options
from omnibind_core.search.explorer import Explorer
from omnibind_core.serve.calls import (
    Call,
    Classify,
    Compare,
    Embed,
    Localise,
    Mix,
    Search,
    Separate,
    Similarity,
    Thing,
)
from omnibind_core.store.catalogue import Item
from omnibind_core.store.collection import collection_folder, collection_names, read_items
from omnibind_core.types import MODALITIES, Audio, FloatArray, Image, PointCloud

__all__ = ["classify", "collections", "compare", "embed", "localise", "mix", "one", "search", "separate", "similarity"]


def one(explorer: Explorer, thing: Thing, call: Call) -> Embedded:
    """Embed what one input names; raises as reading and embedding it does."""
    path = call.path(thing)
    if thing.item is not None:
        return explorer.item(thing.item)
    if path is None:
        return explorer.embed(thing.text, "text", decoded=False)
    if thing.modality == "text":
        raise QueryError("a file as a sentence", "text", "send the sentence as text")
    return explorer.embed(str(path), thing.modality, up=thing.up, beside=call.beside(path), decoded=False)


def embed(explorer: Explorer, body: Embed, call: Call) -> dict[str, Any]:
    """Give an input's vector."""
    return {"preset": explorer.preset, **embedded_form(one(explorer, body, call))}


def search(explorer: Explorer, body: Search, call: Call) -> dict[str, Any]:
    """Say what is near one input."""
    return _found(explorer, [body], Options(k=body.k, match=body.match), call)


def mix(explorer: Explorer, body: Mix, call: Call) -> dict[str, Any]:
    """Say what answers several signed inputs together."""
    return _found(explorer, body.terms, Options(k=body.k, match=body.match, operator=body.operator), call)


def _found(explorer: Explorer, things: Sequence[Thing], options: Options, call: Call) -> dict[str, Any]:
    made = [one(explorer, thing, call) for thing in things]
    terms = [one.term(thing.weight) for one, thing in zip(made, things, strict=True)]
    found = explorer.search(terms, options, exclude={thing.item for thing in things if thing.item})
    notices = [notice for one in made for notice in one.notices]
    return found_form(explorer.preset, found, call.address(explorer), notices)


def similarity(explorer: Explorer, body: Similarity, call: Call) -> dict[str, Any]:
    """Give the cosine of every input with every other."""
    made = [one(explorer, thing, call) for thing in body.items]
    notices = [notice for one in made for notice in one.notices]
    return {"preset": explorer.preset, "matrix": similarity_form(explorer.similarity(made)), "notices": notices}


def classify(explorer: Explorer, body: Classify, call: Call) -> dict[str, Any]:
    """Say which of some labels fits an input best."""
    made = one(explorer, body, call)
    scores = explorer.classify(made.vector, body.labels)
    return scores_form(explorer.preset, scores, explorer.fits(made.vector, made.modality, scores[0]), made.notices)


def compare(explorer: Explorer, body: Compare, call: Call) -> dict[str, Any]:
    """Say how near each is to each, and which belong together."""
    made = [one(explorer, thing, call) for thing in body.items]
    notices = [notice for one in made for notice in one.notices]
    return compared_form(explorer.preset, explorer.compare([one.term() for one in made]), notices)


def localise(explorer: Explorer, body: Localise, call: Call) -> dict[str, Any]:
    """Say where an input is in a picture, a sound or a shape."""
    given, made = _decoded(explorer, body.into, call), one(explorer, body.query, call)
    found = explorer.locate(made.term(), given)
    return located_form(explorer.preset, found, [*made.notices, *given.notices])


def collections(explorer: Explorer) -> dict[str, Any]:
    """Give {"preset", "searched", "collections": [{"name", ..}]}, with items by modality."""
    found = [{"name": name, **_counts(read_items(collection_folder(name)))} for name in collection_names()]
    return {"preset": explorer.preset, "searched": _counts(explorer.gallery.items), "collections": found}


def _counts(items: Sequence[Item]) -> dict[str, int]:
    return {modality: sum(one.modality == modality for one in items) for modality in MODALITIES}


def separate(explorer: Explorer, body: Separate, call: Call) -> dict[str, Any]:
    """Pull what an input names out of a sound."""
    sound, made = _decoded(explorer, body.sound, call), one(explorer, body.query, call)
    if not isinstance(sound, Audio):
        raise QueryError("something else than a sound", "a sound", "send a sound to take apart")
    answer = explorer.separate(sound, made.term())
    found, rest = (_sound(samples, answer.rate) for samples in (answer.found, answer.rest))
    return separated_form(explorer.preset, answer, found, rest, [*made.notices, *sound.notices])


def _decoded(explorer: Explorer, thing: Thing, call: Call) -> Image | Audio | PointCloud:
    """Read what something is looked for in."""
    path: str | Path | None = call.path(thing)
    if thing.item is not None:
        path = explorer.gallery.path(explorer.gallery.item(thing.item))
    if path is None or thing.modality == "text":
        raise QueryError("a sentence to look into", "a picture, a sound or a shape", "send one of these")
    modality = thing.modality or media.modality_of(path)
    read = explorer.load(path, modality, up=thing.up)
    if not isinstance(read, (Image, Audio, PointCloud)):
        raise QueryError("words to look into", "a picture, a sound or a shape", "send one of these")
    return read


def _sound(samples: FloatArray, rate: int) -> str:
    """Give samples as a WAVE file of float32 in a data URI: whole numbers would cut peaks beyond full scale."""
    import soundfile

    written = io.BytesIO()
    soundfile.write(written, samples, rate, format="WAV", subtype="FLOAT")
    return "data:audio/wav;base64," + base64.b64encode(written.getvalue()).decode()
