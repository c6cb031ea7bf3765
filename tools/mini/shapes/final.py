"""Writes what the application uses: the encoder and the heads for shapes, learned from all meshes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from omnibind_core.specialists.load import tower
from omnibind_core.types import Text
from tools.mini.shapes.folds import TEMPERATURE, discriminant, view_heads
from tools.mini.shapes.heads import write_heads
from tools.mini.shapes.pool import SWEET_HOME, clouds
from tools.mini.shapes.train import trained

__all__ = ["SOURCES", "write_final"]

SOURCES = (
    "Sweet Home 3D's furniture (Debian sweethome3d-furniture; CC0, CC-BY-3.0, CC-BY-3.0-US, creators as its catalogues "
    "name them) and our own parametric shapes; EfficientNet-Lite2 and all-MiniLM-L6-v2 (Apache-2.0)"
)


def write_final(work: Path, out: Path) -> list[Path]:
    """Train on all meshes, or go on with it, and write all files.

    Parameters
    ----------
    work : Path
        Where the trainings are.
    out : Path
        Folder to write to.

    Returns
    -------
    list of Path
        ``points`` (the encoder), ``points_words``, ``points_looks``, ``views_words`` and ``shaped``
        (``.safetensors``).
    """
    learner = trained(work, None)
    views = view_heads(None)
    axes = discriminant(None)
    labels = sorted(set(clouds(SWEET_HOME)[1]))
    sentences = tower("minilm_l6").embed("text", [Text(label) for label in labels])
    shaped = {f"text.{name}": value for name, value in axes.text_head(sentences, TEMPERATURE).items()}
    shaped |= {"views.W": axes.weight, "views.b": axes.bias}
    mlp = {"point": "mlp"}
    files: dict[str, tuple[Mapping[str, Tensor], dict[str, object]]] = {
        "points": (learner.network.state_dict(), {}),
        "points_words": (_named([learner.words], "point"), {"kinds": mlp, "count": 1, "width": 384}),
        "points_looks": (_named([learner.looks], "point"), {"kinds": mlp, "count": 1, "width": 256}),
        "views_words": (_named(views, "views"), {"kinds": {"views": "mlp"}, "count": len(views), "width": 384}),
        "shaped": (shaped, {"kinds": {"views": "linear", "text": "anchors"}, "classes": labels, "width": 128}),
    }
    paths = []
    for name, (tensors, about) in files.items():
        paths.append(out / f"{name}.safetensors")
        write_heads(paths[-1], tensors, {**about, "sources": SOURCES, "licence": "Apache-2.0"})
    return paths


def _named(heads: list[nn.Sequential], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}.{i}.{name}": value for i, head in enumerate(heads) for name, value in head.state_dict().items()}
