"""The forms of heads: made, trained towards, read, written and applied."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from omnibind_core.binding.projectors import fold
from omnibind_core.errors import WeightsError
from omnibind_core.specialists.base import unit

__all__ = [
    "Head",
    "Temperature",
    "export_heads",
    "head_tensors",
    "info_nce",
    "new_head",
    "read_about",
    "read_head",
    "seeded",
    "write_heads",
]

Network = TypeVar("Network", bound=nn.Module)

_HIGHEST = 100.0  # CLIP's bound (arXiv 2103.00020, section 2.5), against a softmax that sees one candidate only


class Temperature(nn.Module):
    """What cosines are multiplied with before a softmax: one over the temperature.

    Parameters
    ----------
    scale : float
        At the start, above 0; 20 is a temperature of 0.05.
    learnable : bool
        Whether it is trained, as its logarithm and never above 100 (arXiv 2103.00020).
    """

    log_scale: Tensor

    def __init__(self, scale: float = 20.0, *, learnable: bool = False) -> None:
        super().__init__()
        start = torch.tensor(math.log(scale))
        if learnable:
            self.log_scale = nn.Parameter(start)
        else:
            self.register_buffer("log_scale", start)

    def forward(self) -> Tensor:
        """Give the scale, a scalar in (0, 100]."""
        return self.log_scale.exp().clamp(max=_HIGHEST)


def info_nce(a: Tensor, b: Tensor, scale: Tensor | float, positives: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE (arXiv 1807.03748; both ways as in arXiv 2103.00020), with one positive or several.

    With P(i) the positives of row i and s_ij = scale * <a_i, b_j>, one way is the mean over rows with a positive of
    ``-1 / |P(i)| * sum_{j in P(i)} log(exp s_ij / sum_m exp s_im)`` (the outer form of arXiv 2004.11362, eq. 2).

    Parameters
    ----------
    a, b : Tensor, shape (n, D) and (m, D), float
        Unit rows.
    scale : Tensor or float
        See :class:`Temperature`.
    positives : Tensor, shape (n, m), bool, optional
        Which are paired; None pairs row i with row i, n = m. Rows and columns without any only serve as negatives.

    Returns
    -------
    Tensor
        Scalar of at least 0: the mean of both ways; 0 where nothing is paired.
    """
    logits = scale * a.float() @ b.float().T
    wanted = torch.eye(len(a), device=a.device) if positives is None else positives.float()
    return (_one_way(logits, wanted) + _one_way(logits.T, wanted.T)) / 2


def _one_way(logits: Tensor, wanted: Tensor) -> Tensor:
    number = wanted.sum(1)
    per_row = -(wanted * logits.log_softmax(1)).sum(1) / number.clamp(min=1)
    return per_row.sum() / (number > 0).sum().clamp(min=1)


Head: TypeAlias = Callable[[Tensor], Tensor]
"""A specialist's unit rows (n, d) -> unit rows (n, width of the block) float32; a mean of several is shorter."""


_VERSION = "2"


def read_about(path: Path) -> dict[str, Any]:
    """Read what a file of heads says about itself."""
    from safetensors import safe_open

    with safe_open(path, "pt") as stored:
        about: dict[str, Any] = json.loads(stored.metadata()["heads"])
    return about


def read_head(path: Path, columns: tuple[int, int], prefix: str) -> Head:
    """Read a head as it is applied in its own block, without a preset.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file with a description in its metadata.
    columns : tuple of (int, int)
        First column and the one after the last that it fills in the shared space; a head that is stored wider is cut
        to them.
    prefix : str
        Of its tensors, before the first dot: ``"text"``, ``"audio"``, ``"aisfx"``.

    Raises
    ------
    WeightsError
        The file has no such head, or it is of another width.
    """
    from safetensors.torch import load_file

    about = read_about(path)
    start = f"{prefix}."
    tensors = {name[len(start) :]: t.float() for name, t in load_file(path).items() if name.startswith(start)}
    kind = about["kinds"].get(prefix)
    if kind not in ("linear", "anchors", "mlp"):
        raise WeightsError(f"{path.name} without a head '{prefix}'", f"one of {sorted(about['kinds'])}", "correct it")
    top = int(about.get("top_k", {}).get(prefix, 0))
    layers = _layers(tensors) if kind == "mlp" else []

    def head(x: Tensor) -> Tensor:
        if kind == "linear":
            y = x @ tensors["W"].T + tensors["b"]
        elif kind == "anchors":
            y = _shares(x @ tensors["A"].T + tensors["a"], top) @ tensors["B"] - tensors["m"]
        else:
            y = torch.stack([unit(torch.relu(x.double() @ w.T + b) @ v.T + c) for w, b, v, c in layers]).mean(0)
        if y.shape[-1] > columns[1] - columns[0]:
            y = y[..., slice(*columns)]
        return y.float() if kind == "mlp" else unit(y)

    return head


def _shares(logits: Tensor, top: int) -> Tensor:
    if not 0 < top < logits.shape[-1]:
        return logits.softmax(-1)
    kept = logits.topk(top, dim=-1)
    return torch.zeros_like(logits).scatter(-1, kept.indices, kept.values.softmax(-1))


def _layers(tensors: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Fold the batch norms of heads named ``"{number}.0.weight"`` and so on."""
    layers = []
    for number in range(1 + max(int(name.split(".")[0]) for name in tensors)):
        hidden, d = tensors[f"{number}.0.weight"].shape
        width = len(tensors[f"{number}.3.weight"])
        first = fold(tensors, f"{number}.0.", f"{number}.1.", (hidden, d))
        layers.append((*first, *fold(tensors, f"{number}.3.", f"{number}.4.", (width, hidden))))
    return layers


def head_tensors(heads: Sequence[nn.Sequential], prefix: str = "audio") -> dict[str, Tensor]:
    """Name the tensors of heads of the published form as :class:`.projectors.Projectors` reads the kind "mlp"."""
    return {
        f"{prefix}.{number}.{name}": value
        for number, head in enumerate(heads)
        for name, value in head.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def write_heads(
    path: Path,
    columns: tuple[int, int],
    tensors: Mapping[str, Tensor],
    kinds: Mapping[str, str],
    about: Mapping[str, object],
) -> None:
    """Write heads as float16, as wide as their block.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, replaced atomically.
    columns : tuple of (int, int)
        Where in the shared space they lead: first column, and the one after the last.
    tensors : mapping of str to Tensor
        ``"<prefix>.<name>"`` as :mod:`omnibind_core.binding.projectors` reads them.
    kinds : mapping of str to str
        Kind of the head of each prefix.
    about : mapping of str to object
        What else the file shall say about itself, as JSON.
    """
    from safetensors.torch import save_file

    # One key: safetensors writes several in no fixed order.
    described = {"block": list(columns), "kinds": dict(kinds), "version": _VERSION, **about}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    stored = {name: value.detach().to(torch.float16).contiguous() for name, value in sorted(tensors.items())}
    save_file(stored, part, {"heads": json.dumps(described, sort_keys=True)})
    part.replace(path)


def new_head(
    d: int, hidden: int, width: int, seed: int, norm: Callable[[int], nn.Module] = nn.BatchNorm1d
) -> nn.Sequential:
    """Make a head of the published form; its output is not scaled to unit length.

    Parameters
    ----------
    d, hidden, width : int
        Widths of its input, its middle layer and its output.
    seed : int
        Of its first weights.
    norm : callable
        Width -> the batch norm after each layer: another one where several processes share a batch.
    """

    def make() -> nn.Sequential:
        return nn.Sequential(nn.Linear(d, hidden), norm(hidden), nn.ReLU(), nn.Linear(hidden, width), norm(width))

    return seeded(make, seed)


def export_heads(path: Path, heads: Mapping[str, Sequence[nn.Sequential]], about: Mapping[str, Any]) -> None:
    """Write the heads of all spaces as float32 safetensors, as :class:`.projectors.Projectors` reads the kind "mlp".

    Parameters
    ----------
    path : Path
        The file; its tensors are ``"<space>.<head>.0.weight"`` and so on, for the prefix ``"<space>.{}."``.
    heads : mapping of str to sequence of Sequential
        By space.
    about : mapping of str to JSON values
        Goes into the metadata.
    """
    from safetensors.torch import save_file

    tensors = {
        f"{space}.{number}.{name}": value.detach().cpu().contiguous()
        for space, several in heads.items()
        for number, head in enumerate(several)
        for name, value in head.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(dict(sorted(tensors.items())), part, {"about": json.dumps(about, sort_keys=True)})
    part.replace(path)


def seeded(make: Callable[[], Network], seed: int) -> Network:
    """Make a module with first weights that only `seed` decides; the global generator stays as it was.

    A bias before a BatchNorm is not trained: it changes nothing that BatchNorm lets through, and its gradient is
    rounding noise, which AdamW would turn into steps of full size that differ from machine to machine.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = make()
    for layers in module.modules():
        for layer, following in pairwise(layers) if isinstance(layers, nn.Sequential) else ():
            if isinstance(layer, nn.Linear) and isinstance(following, nn.BatchNorm1d):
                layer.bias.requires_grad_(False)
    return module
