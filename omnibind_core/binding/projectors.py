"""All heads of a preset as stacked matrices: {space: (n, d)} -> (spaces, n, D).

Four kinds of head lead from a specialist's space into the shared one:

``mlp``
    Linear, BatchNorm, ReLU, Linear, BatchNorm, unit rows: the published form (arXiv 2407.11895, section 3.2, and
    its code). Several heads of a space are averaged, and the average is not scaled again.
``linear``
    Linear, unit rows.
``anchors``
    ``softmax(x A^T + a) B - m``, unit rows: x is described by how near it lies to known anchors, and rebuilt from
    what the anchors are in the shared space. ConSE (arXiv 1312.5650) is this with an image classifier as A and
    sentence vectors of class names as B.
``identity``
    The specialist's own vector.

A head may fill only some columns of the shared space; the rest of its vector is 0. Spaces that fill different columns
do not mix: the cosine of two bound vectors is then a weighted mean of the cosines in each block of columns.

BatchNorm in evaluation is affine, so it is folded into the matrix before it, once, in float64. Heads of equal shape
lie in one tensor, so that a preset's heads are a few batched products instead of a loop over them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from omnibind_core.errors import PresetError
from omnibind_core.presets.preset import HeadSpec, Preset
from omnibind_core.specialists.base import unit
from omnibind_core.store.weights import Tensors, take
from omnibind_core.types import Modality

__all__ = ["Projectors"]

BATCH_NORM_EPSILON = 1e-5  # torch.nn.BatchNorm1d's default, which the published code keeps

Key = tuple[str, HeadSpec]


class Projectors:
    """Heads of a preset, ready to apply.

    Parameters
    ----------
    preset : Preset
        Says which heads there are.
    files : mapping of str to mapping of str to Tensor
        State dict of each of ``preset.files``.
    device : torch.device
        Where they live and compute.
    dtype : torch.dtype, optional
        Type of the matrices; None takes ``preset.dtype``. Norms and averages are float32 always.
    modalities : collection of Modality, optional
        Only the heads that these need; None takes all.

    Raises
    ------
    WeightsError
        A tensor is missing or has the wrong shape.
    """

    def __init__(
        self,
        preset: Preset,
        files: Mapping[str, Tensors],
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        modalities: Collection[Modality] | None = None,
    ) -> None:
        modalities = preset.members if modalities is None else modalities
        dtype = dtype or getattr(torch, preset.dtype)
        self.width = preset.width
        self._heads: dict[Modality, dict[str, Key]] = {}
        stacks: dict[tuple[tuple[int, int, int], int], list[Key]] = {}
        self._single: dict[Key, _Head] = {}
        self._stacked: dict[Key, tuple[_Stack, int]] = {}
        for space, head in _distinct(preset, modalities):
            tensors = files[head.file] if head.file else {}
            if head.kind == "mlp":
                hidden, d = tensors_shape(tensors, f"{head.prefixes()[0]}0.weight")
                shape = d, hidden, head.width(preset.width)
                stacks.setdefault((shape, head.count), []).append((space, head))
            else:
                self._single[space, head] = _build(head, tensors, device, dtype)
        for (shape, count), keys in stacks.items():
            stack = _Stack.load(keys, files, shape, count, device, dtype)
            self._stacked.update({key: (stack, row) for row, key in enumerate(keys)})
        for modality in modalities:
            self._heads[modality] = {
                space: (space, preset.spaces[space].heads[modality]) for space in preset.spaces_of(modality)
            }

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Whose heads are here."""
        return tuple(self._heads)

    def __call__(self, modality: Modality, vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Project the vectors of one modality.

        Parameters
        ----------
        modality : Modality
            Whose heads to use.
        vectors : mapping of str to Tensor, shape (n, d)
            Unit rows by space.

        Returns
        -------
        dict of str to Tensor, shape (n, D), float32
            By space; a mean of several heads is shorter than a unit vector.
        """
        projected: dict[str, Tensor] = {}
        runs: dict[int, tuple[_Stack, list[tuple[int, str]]]] = {}
        for space, x in vectors.items():
            key = self._heads[modality][space]
            if key in self._single:
                projected[space] = self._single[key](x)
            else:
                stack, row = self._stacked[key]
                runs.setdefault(id(stack), (stack, []))[1].append((row, space))
        for stack, rows in runs.values():
            rows.sort()
            for first, names in _contiguous(rows):
                outputs = stack(torch.stack([vectors[name] for name in names]), first)
                projected.update(zip(names, outputs, strict=True))
        heads = self._heads[modality]
        return {space: self.spread(heads[space][1], rows, self.width) for space, rows in projected.items()}

    @staticmethod
    def spread(head: HeadSpec, rows: Tensor, width: int) -> Tensor:
        """Put what a head gives into its columns: (n, width of the head) -> (n, D), 0 elsewhere.

        Raises
        ------
        PresetError
            Rows of another width than the head's columns.
        """
        if rows.shape[1] != head.width(width):
            raise PresetError(
                f"a head of file '{head.file}' that gives {rows.shape[1]} columns",
                f"{head.width(width)}",
                "correct the preset's columns or its width",
            )
        return (
            rows if head.columns is None else torch.nn.functional.pad(rows, (head.columns[0], width - head.columns[1]))
        )

    def nbytes(self) -> int:
        """Memory of all matrices, in bytes."""
        stacks = {id(stack): stack for stack, _ in self._stacked.values()}.values()
        tensors = [t for stack in stacks for t in (stack.w1, stack.b1, stack.w2, stack.b2)]
        tensors += [t for head in self._single.values() for t in head.tensors()]
        return sum(t.numel() * t.element_size() for t in tensors)


def _distinct(preset: Preset, modalities: Collection[Modality]) -> Iterator[Key]:
    """Yield every head once, in the order of the preset's spaces; modalities of a space often share theirs."""
    for name, space in preset.spaces.items():
        used = (head for m, head in space.heads.items() if m in modalities and name in preset.spaces_of(m))
        yield from dict.fromkeys((name, head) for head in used)


def _contiguous(rows: list[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """Split sorted (row, name) into runs of neighbouring rows: a run is a view of the stack, not a copy."""
    start = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i][0] != rows[i - 1][0] + 1:
            yield rows[start][0], [name for _, name in rows[start:i]]
            start = i


def tensors_shape(tensors: Tensors, name: str) -> tuple[int, ...]:
    """Shape of a tensor that must be there."""
    return tuple(take(tensors, name).shape)


@dataclass
class _Stack:
    """Heads of S spaces, H heads each, all Linear(d, hidden), ReLU, Linear(hidden, D), BatchNorm folded in."""

    w1: Tensor  # (S, H * hidden, d): the H heads of a space read the same x, so they are one product
    b1: Tensor  # (S, 1, H * hidden)
    w2: Tensor  # (S * H, D, hidden)
    b2: Tensor  # (S * H, 1, D)
    heads: int

    @classmethod
    def load(
        cls,
        keys: list[Key],
        files: Mapping[str, Tensors],
        shape: tuple[int, int, int],
        count: int,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> _Stack:
        d, hidden, width = shape

        def empty(*size: int) -> Tensor:
            return torch.empty(size, dtype=dtype, device=device)

        stack = cls(
            empty(len(keys), count * hidden, d),
            empty(len(keys), 1, count * hidden),
            empty(len(keys) * count, width, hidden),
            empty(len(keys) * count, 1, width),
            count,
        )
        for s, (_, head) in enumerate(keys):
            for h, prefix in enumerate(head.prefixes()):
                tensors = files[head.file]
                rows = slice(h * hidden, (h + 1) * hidden)
                w, b = fold(tensors, f"{prefix}0.", f"{prefix}1.", (hidden, d))
                stack.w1[s, rows], stack.b1[s, 0, rows] = w, b
                w, b = fold(tensors, f"{prefix}3.", f"{prefix}4.", (width, hidden))
                stack.w2[s * count + h], stack.b2[s * count + h, 0] = w, b
        return stack

    def __call__(self, x: Tensor, first: int) -> Tensor:
        """Apply the heads of spaces ``first ... first + s``: (s, n, d) -> (s, n, D) float32."""
        s, n, _ = x.shape
        spaces, heads = slice(first, first + s), slice(first * self.heads, (first + s) * self.heads)
        hidden = torch.baddbmm(self.b1[spaces], x.to(self.w1.dtype), self.w1[spaces].mT).relu_()  # (s, n, H * hidden)
        hidden = hidden.view(s, n, self.heads, -1).transpose(1, 2).reshape(s * self.heads, n, -1)
        out = torch.baddbmm(self.b2[heads], hidden, self.w2[heads].mT)  # (s * H, n, D)
        return unit(out).view(s, self.heads, n, -1).mean(dim=1)


def fold(tensors: Tensors, linear: str, norm: str, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Fold an evaluating BatchNorm into the Linear before it.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        State dict.
    linear, norm : str
        Name prefixes of the two layers.
    shape : tuple of int
        (out, in) of the Linear.

    Returns
    -------
    weight : Tensor, shape (out, in), float64
    bias : Tensor, shape (out,), float64
    """
    out = shape[0]
    weight, bias = take(tensors, f"{linear}weight", shape).double(), take(tensors, f"{linear}bias", (out,)).double()
    scale = take(tensors, f"{norm}weight", (out,)).double()
    scale = scale / torch.sqrt(take(tensors, f"{norm}running_var", (out,)).double() + BATCH_NORM_EPSILON)
    shift = take(tensors, f"{norm}bias", (out,)).double()
    mean = take(tensors, f"{norm}running_mean", (out,)).double()
    return weight * scale[:, None], (bias - mean) * scale + shift


@dataclass
class _Head:
    """A head that is alone of its kind and shape."""

    def __call__(self, x: Tensor) -> Tensor:
        """(n, d) -> (n, D) float32."""
        return x.float()

    def tensors(self) -> list[Tensor]:
        return [value for value in vars(self).values() if isinstance(value, Tensor)]


@dataclass
class _Linear(_Head):
    weight: Tensor  # (D, d)
    bias: Tensor  # (D,)

    def __call__(self, x: Tensor) -> Tensor:
        return unit(torch.nn.functional.linear(x.to(self.weight.dtype), self.weight, self.bias))


@dataclass
class _Anchors(_Head):
    keys: Tensor  # (K, d), the temperature folded in
    bias: Tensor  # (K,)
    values: Tensor  # (K, D)
    mean: Tensor  # (D,)
    top_k: int

    def __call__(self, x: Tensor) -> Tensor:
        logits = torch.nn.functional.linear(x.to(self.keys.dtype), self.keys, self.bias).float()
        if 0 < self.top_k < logits.shape[1]:
            kept = logits.topk(self.top_k, dim=1)
            logits = torch.full_like(logits, -torch.inf).scatter(1, kept.indices, kept.values)
        shares = logits.softmax(dim=1).to(self.values.dtype)
        return unit((shares @ self.values).float() - self.mean.float())


def _build(head: HeadSpec, tensors: Tensors, device: torch.device | str, dtype: torch.dtype) -> _Head:
    def load(name: str) -> Tensor:
        return take(tensors, head.prefix + name).to(device=device, dtype=dtype)

    if head.kind == "identity":
        return _Head()
    if head.kind == "linear":
        return _Linear(load("W"), load("b"))
    if head.kind == "anchors":
        return _Anchors(load("A"), load("a"), load("B"), load("m"), head.top_k)
    raise PresetError(f"a head of kind '{head.kind}'", "mlp, linear, anchors or identity", "correct the preset")
