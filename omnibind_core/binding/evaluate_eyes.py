"""How well pictures and shapes are named, found and matched, on the halves of the pools that nothing was chosen on."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from omnibind_core.binder import bind
from omnibind_core.binding.eyes import class_descriptions
from omnibind_core.binding.pools_images import NamedPicture, tux_paint
from omnibind_core.binding.pools_shapes import NamedMesh
from omnibind_core.binding.retrieval import Row, measure, table
from omnibind_core.binding.vectors import in_development, named_shapes, picture_vectors, shape_vectors, tower
from omnibind_core.checkpoint import load_files
from omnibind_core.config import Preset, load_preset
from omnibind_core.errors import PresetError
from omnibind_core.projectors import Projectors
from omnibind_core.routers import Routers
from omnibind_core.types import FloatArray, Modality, Text

__all__ = ["evaluate_images", "evaluate_shapes", "main", "mini_embedders"]

log = logging.getLogger(__name__)

EmbedText: TypeAlias = Callable[[Sequence[str]], FloatArray]
EmbedImage: TypeAlias = Callable[[Sequence[NamedPicture]], FloatArray]
EmbedShape: TypeAlias = Callable[[Sequence[NamedMesh]], FloatArray]


def evaluate_images(embed_text: EmbedText, embed_image: EmbedImage) -> list[Row]:
    """Name the pictures of Tux Paint, and find them by their names.

    Parameters
    ----------
    embed_text : callable
        Sentences -> (n, D) unit rows.
    embed_image : callable
        Entries of :func:`~omnibind_core.binding.pools_images.tux_paint` -> (n, D) unit rows.

    Returns
    -------
    list of Row
        Candidates are always all names or all pictures, of both halves.
    """
    pool = tux_paint()
    names = sorted({p.name for p in pool})
    images, texts = embed_image(pool), embed_text(names)
    right = _equal([p.name for p in pool], names)
    held = np.array([not in_development(p.name) for p in pool])
    photograph = np.array([p.photograph for p in pool])
    known = _imagenet_words()
    unknown = np.array([p.name not in known for p in pool])
    groups = {
        "held-out pictures -> name": held,
        "held-out photographs -> name": held & photograph,
        "held-out photographs without an ImageNet class -> name": held & photograph & unknown,
        "all pictures -> name": np.ones(len(pool), bool),
    }
    rows = [measure(task, images[chosen], texts, right[chosen]) for task, chosen in groups.items()]
    asked = np.array([not in_development(name) for name in names])
    rows.append(measure("held-out names -> picture", texts[asked], images, right.T[asked]))
    return rows


def evaluate_shapes(embed_text: EmbedText, embed_shape: EmbedShape, embed_image: EmbedImage | None = None) -> list[Row]:
    """Name the meshes of Sweet Home 3D, find them by name and, given `embed_image`, match them with pictures.

    Parameters
    ----------
    embed_text : callable
        Sentences -> (n, D) unit rows.
    embed_shape : callable
        Entries of :func:`~omnibind_core.binding.pools_shapes.sweet_home` -> (n, D) unit rows.
    embed_image : callable, optional
        As for :func:`evaluate_images`.

    Returns
    -------
    list of Row
        Candidates are always those of both halves.
    """
    pool = named_shapes()
    labels = sorted({m.label for m in pool})
    shapes, texts = embed_shape(pool), embed_text(labels)
    right = _equal([m.label for m in pool], labels)
    held = np.array([not in_development(m.key) for m in pool])
    rows = [
        measure("held-out shapes -> class", shapes[held], texts, right[held]),
        measure("all shapes -> class", shapes, texts, right),
        measure("classes -> shape", texts, shapes, right.T),
    ]
    if embed_image is not None:
        pictures = tux_paint()
        images = embed_image(pictures)
        same = np.array([[p.name == m.label or p.name.endswith(f" {m.label}") for p in pictures] for m in pool])
        rows.append(measure("held-out shapes -> picture", shapes[held], images, same[held]))
        rows.append(measure("pictures -> shape", images, shapes, same.T))
    return rows


def _equal(left: Sequence[str], right: Sequence[str]) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = np.array(left)[:, None] == np.array(right)[None, :]
    return equal


def _imagenet_words() -> set[str]:
    return {word.strip().lower() for text in class_descriptions() for word in text.partition(":")[0].split(",")}


def mini_embedders(preset: Preset) -> tuple[EmbedText, EmbedImage, EmbedShape]:
    """Embedders that bind as the preset does, from towers' vectors that are kept between runs.

    Parameters
    ----------
    preset : Preset
        Its pictures must come from ``efficientnet_lite2``, its shapes from ``shape_views``.

    Raises
    ------
    PresetError
        Where a modality comes from other towers.
    """
    files = load_files(preset)
    projectors, routers = Projectors(preset, files), Routers(preset, files)

    def bound(modality: Modality, name: str, rows: torch.Tensor) -> FloatArray:
        if list(preset.towers_of(modality)) != [name]:
            raise PresetError(f"{modality} towers {preset.towers_of(modality)}", f"only {name}", "evaluate `mini`")
        vectors = dict.fromkeys(preset.spaces_of(modality), rows)
        with torch.inference_mode():
            projected = projectors(modality, vectors)
            weights = routers(modality, vectors, len(rows))
            result: FloatArray = bind(preset.members[modality], projected, weights).numpy()
        return result

    def embed_text(sentences: Sequence[str]) -> FloatArray:
        return bound("text", "minilm_l6", tower("minilm_l6").embed("text", [Text(s) for s in sentences]))

    def embed_image(pictures: Sequence[NamedPicture]) -> FloatArray:
        rows = {p.key: row for p, row in zip(tux_paint(), picture_vectors(), strict=True)}
        return bound("image", "efficientnet_lite2", torch.from_numpy(np.stack([rows[p.key] for p in pictures])))

    def embed_shape(meshes: Sequence[NamedMesh]) -> FloatArray:
        rows = {m.key: row for m, row in zip(named_shapes(), shape_vectors(), strict=True)}
        return bound("point", "shape_views", torch.from_numpy(np.stack([rows[m.key] for m in meshes])))

    return embed_text, embed_image, embed_shape


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate a preset and log the table."""
    parser = argparse.ArgumentParser(description="Measure how mini names and finds pictures and shapes.")
    parser.add_argument("--preset", default="mini", help="name or JSON")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    embed_text, embed_image, embed_shape = mini_embedders(load_preset(options.preset))
    rows = evaluate_images(embed_text, embed_image) + evaluate_shapes(embed_text, embed_shape, embed_image)
    log.info("%s", table(rows))


if __name__ == "__main__":
    main()
