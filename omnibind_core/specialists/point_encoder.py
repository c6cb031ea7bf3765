"""Our own point encoder: a small transformer over groups of neighbouring points, for the offline preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.specialists._meta import empty
from omnibind_core.specialists._training_file import load_exactly
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import CommittedFile, read_tensors
from omnibind_core.types import Modality, PointCloud

__all__ = [
    "GROUPS",
    "SAMPLES",
    "SPECS",
    "WIDTH",
    "Network",
    "PointEncoder",
    "build",
    "even",
    "farthest",
    "group",
    "groups_of",
    "runs",
    "sphere",
]

SAMPLES = 512
"""Points that a cloud of more is thinned to: every query comes at the density that was trained most."""

_MOST = 4096  # points that are thinned evenly; a denser cloud is first thinned at random
GROUPS, _MEMBERS = 64, 16
_NEAR = 5.0  # brings a member's place in its group to the order of 1
WIDTH = 256
"""Width d of its unit rows."""
_WIDTH, _DEPTH, _HEADS = 192, 4, 4
_PART = 96


def farthest(xyz: Tensor, count: int) -> Tensor:
    """Choose points far from each other: first the first one, then always the one farthest from all chosen.

    Parameters
    ----------
    xyz : Tensor, shape (b, n, 3), float32
        Points of b clouds.
    count : int
        How many to choose of each, at most n.

    Returns
    -------
    Tensor, shape (b, count), int64
        Indices.
    """
    x, y, z = xyz.permute(2, 0, 1).contiguous()
    distances = torch.full_like(x, torch.inf)
    last = torch.zeros(len(xyz), 1, dtype=torch.int64)
    chosen = [last]
    for _ in range(count - 1):
        squares = (x - x.gather(1, last)).square_()
        squares += (y - y.gather(1, last)).square_()
        squares += (z - z.gather(1, last)).square_()
        torch.minimum(distances, squares, out=distances)
        last = distances.argmax(1, keepdim=True)
        chosen.append(last)
    return torch.cat(chosen, 1)


def even(points: Tensor, count: int = SAMPLES) -> Tensor:
    """Thin a cloud to points that lie evenly; one with fewer stays as it is.

    Parameters
    ----------
    points : Tensor, shape (n, 3 or more), float32
        The first three columns are x, y and z.
    count : int
        How many to keep.

    Returns
    -------
    Tensor, shape (min(n, count), ...), float32
        Where there were more, each first k are the k farthest from each other.
    """
    if len(points) <= count:
        return points
    if len(points) > _MOST:
        points = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:_MOST]]
    return points[farthest(points[None, :, :3], count)[0]]


def sphere(xyz: Tensor) -> Tensor:
    """Centre clouds on their mean and scale them to the unit sphere: (b, n, 3) -> (b, n, 3)."""
    xyz = xyz - xyz.mean(1, keepdim=True)
    scaled: Tensor = xyz / xyz.norm(dim=2).amax(1)[:, None, None].clamp_min(1e-9)
    return scaled


def group(points: Tensor, centres: Tensor) -> Tensor:
    """Gather each centre's nearest points.

    Parameters
    ----------
    points : Tensor, shape (b, n, 6), float32
        In the unit sphere, with colours.
    centres : Tensor, shape (b, g), int64
        Indices of the centres.

    Returns
    -------
    Tensor, shape (b, g, 16, 9), float32
        Of each member its place from its group's centre, its place, and its colour about 0; a cloud of fewer than 16
        points is repeated.
    """
    if points.shape[1] < _MEMBERS:
        points = points.repeat(1, -(-_MEMBERS // points.shape[1]), 1)
    xyz = points[..., :3]
    middles = xyz.gather(1, centres[..., None].expand(-1, -1, 3))
    ranks = torch.baddbmm(xyz.square().sum(2)[:, None], middles, xyz.mT, alpha=-2.0)  # (b, g, n)
    nearest = ranks.topk(_MEMBERS, dim=2, largest=False, sorted=False).indices.flatten(1)
    found = points.gather(1, nearest[..., None].expand(-1, -1, 6)).view(len(points), centres.shape[1], _MEMBERS, 6)
    place, colour = found[..., :3], found[..., 3:]
    return torch.cat([_NEAR * (place - middles[:, :, None]), place, 2.0 * colour - 1.0], dim=3)


class _Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(_WIDTH), nn.LayerNorm(_WIDTH)
        self.qkv, self.mix = nn.Linear(_WIDTH, 3 * _WIDTH), nn.Linear(_WIDTH, _WIDTH)
        self.up, self.down = nn.Linear(_WIDTH, 4 * _WIDTH), nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(x)).view(*x.shape[:2], 3, _HEADS, -1).permute(2, 0, 3, 1, 4)
        # Written out: torch's fused attention is slower to train on a CPU for so few tokens.
        seen = (q * q.shape[3] ** -0.5 @ k.mT).softmax(dim=3) @ v  # (b, heads, tokens, width of a head)
        x = x + self.mix(seen.transpose(1, 2).flatten(2))
        result: Tensor = x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
        return result


class Network(nn.Module):
    """Groups of points -> one vector: each group by shared layers and its largest values, then attention among them."""

    def __init__(self) -> None:
        super().__init__()
        self.member1, self.member2 = nn.Linear(9, _PART), nn.Linear(_PART, _PART)
        self.whole, self.member3 = nn.Linear(_PART, _WIDTH, bias=False), nn.Linear(_PART, _WIDTH)
        self.member4 = nn.Linear(_WIDTH, _WIDTH)
        self.first = nn.Parameter(torch.zeros(_WIDTH))
        self.blocks = nn.ModuleList(_Block() for _ in range(_DEPTH))
        self.norm = nn.LayerNorm(_WIDTH)
        self.out = nn.Linear(3 * _WIDTH, WIDTH)

    def forward(self, groups: Tensor) -> Tensor:
        """(b, g, 16, 9) -> (b, 256), not of unit length."""
        x = self.member2(torch.relu(self.member1(groups)))  # (b, g, 16, part)
        x = self.member3(x) + self.whole(x.max(2).values)[:, :, None]
        x = self.member4(torch.relu(x)).max(2).values  # (b, g, width)
        x = torch.cat([self.first.expand(len(x), 1, -1).to(x.dtype), x], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        result: Tensor = self.out(torch.cat([x[:, 0], x[:, 1:].mean(1), x[:, 1:].amax(1)], dim=1))
        return result


SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="point_encoder",
        title="Point encoder",
        widths={"point": WIDTH},
        weights={"model": CommittedFile("mini/points.safetensors")},
        licence="Apache-2.0",
        paper="Ours; its parts after Yu et al., Point-BERT, arXiv 2111.14819; Qi et al., PointNet++, arXiv 1706.02413",
        source="trained by `python -m tools.mini.shapes`, committed as assets/mini/points.safetensors",
        parameters=2_012_128,
    ),
)


class PointEncoder(Tower):
    """Coloured points -> unit rows of width 256; surfaces are not looked at."""

    def __init__(self, spec: SpecialistSpec, network: Network, device: torch.device, dtype: torch.dtype) -> None:
        self.spec = spec
        self._device, self._dtype = device, dtype
        self._network = network.to(device=device, dtype=dtype).eval().requires_grad_(False)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed clouds, each for itself, so that a row depends on nothing else.

        Parameters
        ----------
        modality : Modality
            ``"point"``.
        items : sequence of PointCloud
            At least one, of any numbers of points, Y up.

        Returns
        -------
        Tensor, shape (n, 256), float32
            Unit rows.
        """
        rows = [self._network(groups_of(cloud)[None].to(self._device, self._dtype)) for cloud in items]
        return unit(torch.cat(rows))


def groups_of(cloud: PointCloud) -> Tensor:
    """Thin a cloud, bring it to the unit sphere and group it, on the CPU: -> (at most 64, 16, 9) float32."""
    points = even(torch.from_numpy(np.concatenate([cloud.xyz, cloud.rgb], axis=1, dtype=np.float32)))[None]
    points = torch.cat([sphere(points[..., :3]), points[..., 3:]], dim=2)
    centres = farthest(points[..., :3], min(GROUPS, points.shape[1]))
    return group(points, centres)[0]


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> PointEncoder:
    """Load the encoder from its committed file (role "model").

    Raises
    ------
    WeightsError
        Where the weights do not fit the network exactly.
    """
    network = Network()
    state = {name: value.float() for name, value in read_tensors(files["model"]).items()}
    load_exactly(network, state, spec.title)
    return PointEncoder(spec, network, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    with torch.device("meta"):
        net = Network()
    return Runs(net, {"point": lambda _: net(empty(1, GROUPS, _MEMBERS, 9))})
