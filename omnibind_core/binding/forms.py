"""The forms of heads: made, trained towards, read, written and applied."""

from __future__ import annotations

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
from omnibind_core.store import kept

__all__ = [
    "Head",
    "Temperature",
    "apply_heads",
    "head_tensors",
    "info_nce",
    "kinds_of",
    "layers",
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


def layers(d: int, hidden: int, width: int, norm: Callable[[int], nn.Module] = nn.BatchNorm1d) -> nn.Sequential:
    """Lay out a head of the published form: Linear, BatchNorm, ReLU, Linear, BatchNorm; see :func:`new_head`."""
    return nn.Sequential(nn.Linear(d, hidden), norm(hidden), nn.ReLU(), nn.Linear(hidden, width), norm(width))


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
    return seeded(lambda: layers(d, hidden, width, norm), seed)


def apply_heads(heads: Sequence[Head], x: Tensor) -> Tensor:
    """Mean of the unit rows that several heads give, not scaled again: (n, d) -> (n, width)."""
    return torch.stack([unit(head(x)) for head in heads]).mean(0)


def read_about(path: Path) -> dict[str, Any]:
    """Read what a file of heads says about itself."""
    about: dict[str, Any] = kept.read_about(path, "heads")
    return about


def read_head(path: Path, prefix: str) -> Head:
    """Read a head as it is applied in its own block, without a preset.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file with a description in its metadata.
    prefix : str
        Of its tensors, before the first dot: ``"text"``, ``"audio"``, ``"aisfx"``.

    Raises
    ------
    WeightsError
        The file has no such head.
    """
    from safetensors.torch import load_file

    about = read_about(path)
    start = f"{prefix}."
    tensors = {name[len(start) :]: t.float() for name, t in load_file(path).items() if name.startswith(start)}
    kind = about.get("kinds", {}).get(prefix)
    if kind == "linear":
        return lambda x: unit(x @ tensors["W"].T + tensors["b"])
    if kind == "anchors":
        top = int(about.get("top_k", {}).get(prefix, 0))
        return lambda x: unit(_shares(x @ tensors["A"].T + tensors["a"], top) @ tensors["B"] - tensors["m"])
    if kind == "mlp":
        heads = _folded(tensors)
        return lambda x: apply_heads(heads, x.double()).float()
    raise WeightsError(
        f"{path.name} without a head '{prefix}'", f"one of {sorted(about.get('kinds', {}))}", "correct it"
    )


def _shares(logits: Tensor, top: int) -> Tensor:
    if not 0 < top < logits.shape[-1]:
        return logits.softmax(-1)
    best = logits.topk(top, dim=-1)
    return torch.zeros_like(logits).scatter(-1, best.indices, best.values.softmax(-1))


def _folded(tensors: Mapping[str, Tensor]) -> list[Head]:
    """Fold the batch norms of heads whose tensors are called ``"{number}.0.weight"`` and so on."""

    def one(number: int) -> Head:
        hidden, d = tensors[f"{number}.0.weight"].shape
        width = len(tensors[f"{number}.3.weight"])
        w, b = fold(tensors, f"{number}.0.", f"{number}.1.", (hidden, d))
        v, c = fold(tensors, f"{number}.3.", f"{number}.4.", (width, hidden))
        return lambda x: torch.relu(x @ w.T + b) @ v.T + c

    return [one(number) for number in range(1 + max(int(name.split(".")[0]) for name in tensors))]


def head_tensors(heads: Mapping[Any, nn.Module | Sequence[nn.Module]]) -> dict[str, Tensor]:
    """Name the tensors of heads as :mod:`.projectors` and :mod:`.routers` read the kind "mlp".

    Parameters
    ----------
    heads : mapping of str to Module, or sequence of Module
        By prefix: ``"<prefix>.0.weight"`` for one, ``"<prefix>.<number>.0.weight"`` for several.
    """
    each: dict[str, nn.Module] = {}
    for prefix, several in heads.items():
        if isinstance(several, nn.Module):
            each[prefix] = several
        else:
            each |= {f"{prefix}.{number}": head for number, head in enumerate(several)}
    return {f"{prefix}.{name}": value for prefix, head in each.items() for name, value in head.state_dict().items()}


def kinds_of(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Tell the kind of head of each prefix by the names of its tensors."""
    kinds = {".W": "linear", ".A": "anchors", ".0.0.weight": "mlp"}
    return {n.removesuffix(end): kind for n in tensors for end, kind in kinds.items() if n.endswith(end)}


def write_heads(
    path: Path,
    tensors: Mapping[str, Tensor],
    about: Mapping[str, object],
    *,
    entry: str = "heads",
    dtype: torch.dtype | None = torch.float16,
    sort: bool = True,
) -> None:
    """Write heads or routers: the same bytes for the same tensors.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file, replaced atomically.
    tensors : mapping of str to Tensor
        As :func:`head_tensors` names them; a BatchNorm's counters, which have no effect, are left out.
    about : mapping of str to JSON values
        What the file shall say about itself. :func:`read_head` looks for ``"kinds"`` (see :func:`kinds_of`) and
        ``"top_k"`` there.
    entry : str
        Of the metadata that holds it.
    dtype : torch.dtype, optional
        As stored; None leaves each tensor its own.
    sort : bool
        See :func:`omnibind_core.store.kept.write_tensors`.
    """
    stored = {n: t.to(dtype or t.dtype) for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    kept.write_tensors(path, stored, {entry: about}, sort=sort)


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
