"""Writes what the application uses: the encoder and the heads for shapes, learned from all meshes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from omnibind_core.binding.forms import head_tensors, kinds_of, write_heads
from tools.mini.labels import meanings
from tools.mini.shapes.folds import TEMPERATURE, discriminant, view_heads
from tools.mini.shapes.pool import SWEET_HOME, clouds
from tools.mini.shapes.train import trained

__all__ = ["SOURCES", "write_final"]

_VERSION = "1"  # of the files
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
    views = view_heads(work, None)
    axes = discriminant(None)
    labels = sorted(set(clouds(SWEET_HOME)[1]))
    shaped = {f"text.{name}": value for name, value in axes.text_head(meanings(labels)[0], TEMPERATURE).items()}
    shaped |= {"views.W": axes.weight, "views.b": axes.bias}
    files: dict[str, tuple[Mapping[str, Tensor], dict[str, object]]] = {
        "points": (learner.network.state_dict(), {}),
        "points_words": (head_tensors({"point": [learner.words]}), {"count": 1, "width": 384}),
        "points_looks": (head_tensors({"point": [learner.looks]}), {"count": 1, "width": 256}),
        "views_words": (head_tensors({"views": views}), {"count": len(views), "width": 384}),
        "shaped": (shaped, {"classes": labels, "width": 128}),
    }
    paths = []
    for name, (tensors, about) in files.items():
        paths.append(out / f"{name}.safetensors")
        kinds = {} if name == "points" else {"kinds": kinds_of(tensors)}
        said = {"version": _VERSION, **kinds, **about, "sources": SOURCES, "licence": "Apache-2.0"}
        write_heads(paths[-1], tensors, said)
    return paths
