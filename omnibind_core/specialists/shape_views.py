"""Shapes seen by the picture tower: a few drawn views of each, their features pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.specialists.base import Specialist, SpecialistSpec, Tower, unit
from omnibind_core.types import Image, Modality, PointCloud

__all__ = ["SPECS", "VIEWS", "ShapeViews", "build"]

VIEWS: tuple[tuple[float, float], ...] = ((0.0, 15.0), (45.0, 15.0), (90.0, 15.0), (-45.0, 15.0))
"""Azimuth and elevation of each view, degrees."""

_SIZE = 256  # pixels: what the tower sees without another scaling

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="shape_views",
        title="Shape views",
        widths={"point": 1280},
        weights={},
        licence="Apache-2.0",
        paper="Su et al., Multi-view CNNs for 3D shape recognition, arXiv 1505.00880; EfficientNet, arXiv 1905.11946",
        source="our own renderer, then EfficientNet-Lite2",
        parameters=0,
        shares=("efficientnet_lite2",),
        borrows={"point": ("image", len(VIEWS))},
    ),
    SpecialistSpec(
        name="shape_views_siglip2",
        title="Shape views (SigLIP 2)",
        widths={"point": 768},
        weights={},
        licence="Apache-2.0",
        paper="Su et al., Multi-view CNNs for 3D shape recognition, arXiv 1505.00880; SigLIP 2, arXiv 2502.14786",
        source="our own renderer, then SigLIP 2 ViT-B-32-256",
        parameters=0,
        shares=("siglip2_b32_256",),
        borrows={"point": ("image", len(VIEWS))},
    ),
)


class ShapeViews(Tower):
    """Shapes -> unit rows as wide as the picture tower's: the mean of its vectors over the views.

    Parameters
    ----------
    spec : SpecialistSpec
        One of `SPECS`.
    look : callable
        Pictures -> (n, d) float32: the picture tower's vectors, of any length.
    """

    def __init__(self, spec: SpecialistSpec, look: Callable[[Sequence[Any]], Tensor]) -> None:
        self.spec = spec
        self._look = look

    def views(self, cloud: PointCloud) -> list[NDArray[np.uint8]]:
        """Draw the views that the tower sees: each (256, 256, 3) uint8 on white, in the order of :data:`VIEWS`.

        As many are drawn at once as torch has threads: the renderer's loops hold no lock.
        """
        # Importing numba takes a second: only who draws pays.
        from omnibind_core.media import raster as _raster

        scene = _raster.prepare(cloud)
        with ThreadPoolExecutor(min(len(VIEWS), torch.get_num_threads()), thread_name_prefix="drawing") as pens:
            return list(pens.map(lambda view: _raster.render_scene(scene, view[0], view[1], _SIZE), VIEWS))

    def warm(self) -> None:
        """Compile the renderer ahead of the first request (seconds once on a machine)."""
        from omnibind_core.media import raster as _raster

        _raster.warm()

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed shapes.

        Parameters
        ----------
        modality : Modality
            ``"point"``.
        items : sequence of PointCloud
            At least one; surfaces are drawn where there are any, else the points.

        Returns
        -------
        Tensor, shape (n, spec.widths["point"]), float32
            Unit rows.
        """
        rows = [self._look([Image(view) for view in self.views(cloud)]).mean(0) for cloud in items]
        return unit(torch.stack(rows))


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> ShapeViews:
    """Put the renderer before the picture tower that `spec` shares.

    Views are averaged as the tower gives them where it tells lengths (``features``), else as unit rows.
    """
    tower: Any = shared[spec.shares[0]]
    return ShapeViews(spec, getattr(tower, "features", partial(tower.embed, "image")))
