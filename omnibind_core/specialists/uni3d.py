"""Uni3D-g: coloured point clouds into the space of EVA02-CLIP-E-14+, in three published trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.specialists._meta import empty
from omnibind_core.specialists._strict import fill
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists._training_file import read_training_file
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import HubFile
from omnibind_core.types import FloatArray, Modality

__all__ = ["SPECS", "PointEncoder", "Uni3D", "build", "farthest_points", "group", "network", "runs"]

# The published evaluation script and OmniBind's configuration: 512 groups of 64 points, encoded 512 wide, 1024 out.
_GROUPS, _MEMBERS, _ENCODED, _WIDTH = 512, 64, 512, 1024
_TRUNK = "eva_giant_patch14_560"
_BATCH = 4
# The compiled sampling that the authors used (pointnet2_ops) never chooses a point whose squared distance from the
# origin is at most this, for it takes such points for padding.
_PADDING = 1e-3

_REVISION = "3d8233b76aa350d72f6213ecd2123c2026b42355"
_SIZE = 2_034_909_361  # bytes, each of the three


def _spec(name: str, title: str, folder: str, sha256: str) -> SpecialistSpec:
    return SpecialistSpec(
        name=name,
        title=title,
        widths={"point": _WIDTH},
        weights={"model": HubFile("BAAI/Uni3D", f"modelzoo/uni3d-g/{folder}/model.pt", _REVISION, sha256, _SIZE)},
        licence="MIT",
        paper="Zhou et al., Uni3D: Exploring Unified 3D Representation at Scale, arXiv 2310.06773",
        source=f"BAAI's uni3d-g, the checkpoint that is best on {title.partition(', ')[2]}, on the Hub as BAAI/Uni3D",
        parameters=1_017_358_057,
    )


SPECS: tuple[SpecialistSpec, ...] = (
    _spec(
        "uni3d_g_lvis",
        "Uni3D-g, Objaverse-LVIS",
        "lvis",
        "f0d8ecd047935b037fcc40bdfd66bef632631a968c37fef0f90f1351641573c3",
    ),
    _spec(
        "uni3d_g_modelnet40",
        "Uni3D-g, ModelNet40",
        "mnet40",
        "bcbcd6bea00e55d031b083ff06d4783e3d23bff0f02f23f076ed98db58b8a468",
    ),
    _spec(
        "uni3d_g_scanobjectnn",
        "Uni3D-g, ScanObjectNN",
        "scanobjnn",
        "d2b26da86c71ce48383a915a3f320b89843c774064edad2728324ef71145149b",
    ),
)


def farthest_points(xyz: Tensor, count: int) -> Tensor:
    """Choose points far from each other: first the first one, then always the one farthest from all chosen.

    Parameters
    ----------
    xyz : Tensor, shape (n, 3), float32
        Points about the origin; those within 0.0316 of it are never chosen, but for the first.
    count : int
        How many to choose.

    Returns
    -------
    Tensor, shape (count,), int64
        Indices; 0 again where all points are chosen already.
    """
    x, y, z = xyz.T.contiguous()
    distances = torch.full_like(x, 1e10)
    distances[x * x + y * y + z * z <= _PADDING] = -1.0
    chosen = [0]
    while len(chosen) < count:
        last = chosen[-1]
        torch.minimum(distances, (x - x[last]) ** 2 + (y - y[last]) ** 2 + (z - z[last]) ** 2, out=distances)
        chosen.append(int(distances.argmax()))
    return torch.tensor(chosen)


def group(xyz: FloatArray, rgb: FloatArray, groups: int = _GROUPS, members: int = _MEMBERS) -> tuple[Tensor, Tensor]:
    """Split a cloud into overlapping groups of neighbours.

    It runs on the CPU whatever computes the rest (about 50 ms), so that every device sees the same groups.

    Parameters
    ----------
    xyz : ndarray, shape (n, 3), float32
        Points; they are centred on their mean and scaled to the unit sphere, which changes nothing where they are so.
    rgb : ndarray, shape (n, 3), float32
        Colours, 0..1.
    groups, members : int
        How many groups, and of how many points; a cloud of fewer points is repeated.

    Returns
    -------
    centres : Tensor, shape (groups, 3), float32
        Points in the unit sphere.
    features : Tensor, shape (groups, members, 6), float32
        For each member its place from its group's centre, and its colour.
    """
    enough = np.resize(np.arange(len(xyz)), max(len(xyz), groups, members))
    points = torch.from_numpy(np.ascontiguousarray(xyz[enough], np.float32))
    colours = torch.from_numpy(np.ascontiguousarray(rgb[enough], np.float32))
    points = points - points.mean(dim=0)
    points = points / points.norm(dim=1).max().clamp_min(1e-12)
    centres = points[farthest_points(points, groups)]
    # A centre's own square is left out: it does not change which points are nearest.
    ranks = torch.addmm((points * points).sum(dim=1), centres, points.T, alpha=-2.0)  # (groups, n)
    nearest = ranks.topk(members, dim=1, largest=False, sorted=False).indices
    return centres, torch.cat([points[nearest] - centres.unsqueeze(1), colours[nearest]], dim=2)


class _GroupEncoder(nn.Module):
    """Groups -> one vector each: two shared networks over the members, each ended by the largest value."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv1d(6, 128, 1), nn.BatchNorm1d(128), nn.ReLU(), nn.Conv1d(128, 256, 1))
        self.second_conv = nn.Sequential(
            nn.Conv1d(512, 512, 1), nn.BatchNorm1d(512), nn.ReLU(), nn.Conv1d(512, _ENCODED, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(n, groups, members, 6) -> (n, groups, 512)."""
        count, groups, members, _ = features.shape
        x = self.first_conv(features.flatten(0, 1).transpose(1, 2))  # (n groups, 256, members)
        whole = x.amax(dim=2, keepdim=True).expand(-1, -1, members)
        x = self.second_conv(torch.cat([whole, x], dim=1))
        pooled: Tensor = x.amax(dim=2).unflatten(0, (count, groups))
        return pooled


class PointEncoder(nn.Module):
    """Groups of points -> vectors; its parts have the names of the published state dict.

    Parameters
    ----------
    trunk : nn.Module
        timm's EVA. Only its blocks and its last norm are used; its patch embedding and classifier are published too.
    """

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        width: int = trunk.embed_dim
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.cls_pos = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = _GroupEncoder()
        self.encoder2trans = nn.Linear(_ENCODED, width)
        self.trans2embed = nn.Linear(width, _WIDTH)
        self.pos_embed = nn.Sequential(nn.Linear(3, 128), nn.GELU(), nn.Linear(128, width))
        self.visual = trunk

    def forward(self, centres: Tensor, features: Tensor) -> Tensor:
        """(n, groups, 3) and (n, groups, members, 6) -> (n, 1024), not of unit length."""
        tokens = self.encoder2trans(self.encoder(features)) + self.pos_embed(centres)
        first = (self.cls_token + self.cls_pos).expand(len(centres), -1, -1)
        x = torch.cat([first, tokens], dim=1)  # (n, 1 + groups, width)
        for block in self.visual.blocks:
            x = block(x)
        found: Tensor = self.trans2embed(self.visual.fc_norm(self.visual.norm(x[:, 0])))
        return found


class _Network(nn.Module):
    """What the published file holds: the encoder, and the scale of the training's loss."""

    def __init__(self, encoder: PointEncoder) -> None:
        super().__init__()
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.point_encoder = encoder


def network(**smaller: Any) -> nn.Module:
    """Make Uni3D-g without weights or memory.

    Parameters
    ----------
    **smaller
        timm's arguments that replace the trunk's own, such as ``depth``; for tests.

    Returns
    -------
    nn.Module
        With ``point_encoder``, on the meta device.
    """
    import_torchvision()
    from timm import create_model

    with torch.device("meta"):
        return _Network(PointEncoder(create_model(_TRUNK, pretrained=False, **smaller)))


class Uni3D(Tower):
    """Coloured points -> unit rows of width 1024, in the space of EVA02-CLIP-E-14+ (its pictures and sentences)."""

    def __init__(
        self,
        spec: SpecialistSpec,
        files: Mapping[str, Path],
        device: torch.device,
        dtype: torch.dtype,
        **smaller: Any,
    ) -> None:
        self.spec = spec
        self._device, self._dtype = device, dtype
        self._network: Any = fill(
            network(**smaller), [read_training_file(files["model"], "module")], spec.title, device, dtype
        )

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed clouds.

        Parameters
        ----------
        modality : Modality
            ``"point"``.
        items : sequence of PointCloud
            At least one; trained on 10,000 points each, any number works.

        Returns
        -------
        Tensor, shape (n, 1024), float32
            Unit rows.
        """
        rows = []
        for start in range(0, len(items), _BATCH):
            groups = [group(item.xyz, item.rgb) for item in items[start : start + _BATCH]]
            parts = (torch.stack(part).to(self._device, self._dtype) for part in zip(*groups, strict=True))
            rows.append(unit(self._network.point_encoder(*parts)))
        return torch.cat(rows)


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> Uni3D:
    """Load the encoder from its local file (role "model").

    Raises
    ------
    WeightsError
        Where the weights do not fit the network exactly.
    """
    return Uni3D(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net: Any = network()
    inputs = empty(1, _GROUPS, 3), empty(1, _GROUPS, _MEMBERS, 6)
    return Runs(net, {"point": lambda _: net.point_encoder(*inputs)})
