"""The pool of sentences that mini's text router learns from, and those it is judged on: captions by domain.

A domain is the modality whose captions a sentence comes from. Nouns are what pictures (ImageNet-21k by way of timm,
Tux Paint), sounds (the sound pool's labels) and shapes (Sweet Home 3D) are called; they are said in templates of each
domain and bare. Beside them stand the gallery's captions, which follow no template. Nouns, captions and templates
that the router is judged on are kept out of what it learns from, in every form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.paths import assets_directory
from omnibind_core.training.losses import domain_targets
from omnibind_core.types import Modality
from tools.mini.pools.pictures import tux_paint
from tools.mini.pools.sounds import table
from tools.mini.pools.vectors import in_development, named_shapes

__all__ = ["DOMAINS", "Sentences", "judged", "nouns", "taught"]

DOMAINS: tuple[Modality, ...] = ("image", "audio", "point")
"""Order of the domains wherever they are columns."""

_TAUGHT: Mapping[Modality, tuple[str, ...]] = {
    "image": ("a photo of a {}", "a picture of the {}", "a close-up photo of a {}", "an image of a {}"),
    "audio": ("the sound of a {}", "a recording of a {}", "you can hear a {}", "{} sound effect"),
    "point": ("a 3D model of a {}", "a point cloud of a {}", "a mesh of the {}", "a shape of a {}"),
}
_JUDGED: Mapping[Modality, tuple[str, ...]] = {
    "image": ("a snapshot of the {}", "a blurry photograph of a {}"),
    "audio": ("the noise of a {}", "listen to the {}"),
    "point": ("a 3D rendering of a {}", "a low-poly {}"),
}
_VISIBLE = 4000  # nouns of ImageNet-21k, evenly from its 21,843; more only cost time
_SAID = 800  # nouns of each domain that are said in templates, at most


@dataclass(frozen=True, eq=False)
class Sentences:
    """Sentences with their domains.

    Attributes
    ----------
    texts : tuple of str
        n sentences.
    targets : ndarray, shape (n, 3), bool
        Domains each may be given to, in the order of :data:`DOMAINS`.
    """

    texts: tuple[str, ...]
    targets: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.texts)


@cache
def nouns() -> dict[Modality, tuple[str, ...]]:
    """List what is called so in each domain, lower case and sorted."""
    import_torchvision()
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet21k")
    step = info.num_classes() / _VISIBLE
    seen = {info.index_to_description(int(i * step)).split(",")[0] for i in range(_VISIBLE)}
    # A sound's or a shape's name is a thing of pictures, too, where ImageNet has it or what it is a kind of: all its
    # names are looked at for that, and a wall lamp is a lamp.
    every = {
        name.strip().lower() for i in range(info.num_classes()) for name in info.index_to_description(i).split(",")
    }
    heard = {clip.label for clip in table()}
    formed = {mesh.label for mesh in named_shapes()}
    seen |= {p.name for p in tux_paint()}
    seen |= {name for name in heard | formed if {name.lower(), name.lower().rpartition(" ")[2]} & every}
    return {
        "image": tuple(sorted({name.lower() for name in seen})),
        "audio": tuple(sorted(heard)),
        "point": tuple(sorted(formed)),
    }


def _captions(development: bool) -> dict[Modality, list[str]]:
    items = read_catalogue(assets_directory() / "gallery")
    return {
        m: [i.caption for i in items if i.modality == m and in_development(i.caption) == development] for m in DOMAINS
    }


def _spread(names: Sequence[str]) -> list[str]:
    step = max(len(names) / _SAID, 1.0)
    return [names[int(i * step)] for i in range(int(len(names) / step))]


@cache
def taught() -> Sentences:
    """Give what the router learns from: nouns of the development half, bare and in templates, and captions."""
    said: dict[Modality, list[str]] = {}
    for domain, captions in _captions(development=True).items():
        named = [name for name in nouns()[domain] if in_development(name)]
        framed = [template.format(name) for template in _TAUGHT[domain] for name in _spread(named)]
        said[domain] = [*named, *framed, *captions]
    called = domain_targets(said, DOMAINS)
    return Sentences(tuple(called), np.stack([target.numpy() for target in called.values()]))


def judged() -> dict[str, Sentences]:
    """Give what the router is judged on, by kind: ``"templates"``, ``"bare nouns"`` and ``"captions"``.

    Nouns are of the held-out half, templates are not among those taught; a bare noun may go to any domain in which
    something is called so.
    """
    everything = {domain: set(names) for domain, names in nouns().items()}
    kept = {domain: [n for n in nouns()[domain] if not in_development(n)] for domain in DOMAINS}
    framed = [(t.format(n), d) for d in DOMAINS for t in _JUDGED[d] for n in _spread(kept[d])[:200]]
    bare = sorted({name for domain in DOMAINS for name in _spread(kept[domain])[:200]})
    captions = [(caption, d) for d, found in _captions(development=False).items() for caption in found]

    def one(pairs: Sequence[tuple[str, Modality]]) -> Sentences:
        return Sentences(tuple(text for text, _ in pairs), np.array([[d == o for o in DOMAINS] for _, d in pairs]))

    return {
        "templates": one(framed),
        "bare nouns": Sentences(tuple(bare), np.array([[name in everything[d] for d in DOMAINS] for name in bare])),
        "captions": one(captions),
    }
