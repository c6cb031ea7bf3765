"""What can be looked into without a file of one's own: gallery items put together, and queries that suit them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from demo.shell.examples import Examples
from omnibind_core import media
from omnibind_core.errors import QueryError
from omnibind_core.search.composites import joined
from omnibind_core.store.catalogue import Item
from omnibind_core.types import Audio, Image, Modality, PointCloud

if TYPE_CHECKING:
    from omnibind_core.search.gallery import Gallery

__all__ = ["FIRST_QUERY", "chips", "queries", "scene"]

FIRST_QUERY = "audio/dog-1"
"""What is looked for when the tab is first opened."""

_SCENES: Mapping[str, tuple[str, Modality, tuple[str, ...]]] = {
    "picture": ("Four pictures", "image", ("image/boat-1", "image/dog-2", "image/piano-1", "image/train-2")),
    "sound": ("Two sounds", "audio", ("audio/piano-1", "audio/dog-1")),
    "shape": ("Two shapes", "point", ("point/horse-1", "point/electric-guitar-1")),
}
_QUERIES: Mapping[Modality, tuple[str, ...]] = {
    "point": ("point/dog-1", "point/horse-1", "point/piano-1", "point/electric-guitar-1"),
    "audio": (FIRST_QUERY, "audio/piano-1", "audio/train-1", "audio/electric-guitar-1"),
    "image": ("image/dog-1", "image/piano-1", "image/train-1", "image/horse-1"),
    "text": ("text/dog-1", "text/piano-1", "text/horse-1"),
}


def scene(name: str, gallery: Gallery) -> Image | Audio | PointCloud:
    """Put a scene together out of the gallery's files.

    Raises
    ------
    QueryError
        There is none of that name, or another gallery is shown.
    """
    if name not in _SCENES:
        raise QueryError(f"the scene '{name[:40]}'", ", ".join(_SCENES), "choose one of these")
    _, modality, items = _SCENES[name]
    paths = [gallery.path(gallery.item(item)) for item in items]
    return joined([media.load(path, modality) for path in paths])


def chips(chosen: str = "") -> str:
    """Draw the scenes to choose from; the one that is looked into stands out."""
    buttons = "".join(
        f'<button data-act="scene" data-id="{name}" aria-pressed="{str(name == chosen).lower()}">{title}</button>'
        for name, (title, *_) in _SCENES.items()
    )
    return f'<div class="ob-mixes"><div>{buttons}</div></div>'


def queries(examples: Examples, modality: Modality) -> list[tuple[Item, str]]:
    """Give what can be looked for with one click, each with the path of its thumbnail, empty where it has none."""
    known = {item.id: item for item in examples.catalogue}
    found = [known[one] for one in _QUERIES[modality] if one in known]
    return [(i, str((examples.folder / i.thumbnail).resolve()) if i.thumbnail else "") for i in found]
