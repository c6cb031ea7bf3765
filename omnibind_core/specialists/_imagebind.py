"""ImageBind's network: the towers for pictures, sounds and sentences, under the names of the published file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, gelu

from omnibind_core.errors import WeightsError

__all__ = ["BANKS", "FRAMES", "LONGEST", "SIDE", "ImageBindSize", "Towers", "TrunkSize", "names_to_read"]

SIDE, _PATCH = 224, 14  # pixels
BANKS, FRAMES = 128, 204  # of a spectrogram
_KERNEL, _STRIDE = 16, 10  # of the sound tower's patches, bins and frames
LONGEST, _VOCABULARY = 77, 49_408  # byte pairs

# What the published file holds besides: towers for other senses, scales of the loss (positive, so unit rows do not
# change), and the causal mask, which is computed.
_SKIPPED = (
    *(
        f"modality_{part}.{sense}."
        for part in ("preprocessors", "trunks", "heads")
        for sense in ("depth", "thermal", "imu")
    ),
    "modality_postprocessors.",
    "modality_preprocessors.text.mask",
)


@dataclass(frozen=True)
class TrunkSize:
    """Width, number of blocks and attention heads of one transformer."""

    width: int
    blocks: int
    heads: int


@dataclass(frozen=True)
class ImageBindSize:
    """Sizes of the three transformers and of the embeddings; the published ones by default."""

    vision: TrunkSize = field(default_factory=lambda: TrunkSize(1280, 32, 16))
    text: TrunkSize = field(default_factory=lambda: TrunkSize(1024, 24, 16))
    audio: TrunkSize = field(default_factory=lambda: TrunkSize(768, 12, 12))
    width: int = 1024


class _Block(nn.Module):
    """Attention and two layers, each after a norm and added to what came in."""

    def __init__(self, size: TrunkSize, biased: bool) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(size.width, size.heads, add_bias_kv=biased, batch_first=True)
        self.norm_1 = nn.LayerNorm(size.width, eps=1e-6)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(size.width, 4 * size.width), "fc2": nn.Linear(4 * size.width, size.width)}
        )
        self.norm_2 = nn.LayerNorm(size.width, eps=1e-6)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """(n, t, d), (t, t) bool with True where a place may not look -> (n, t, d)."""
        normed = self.norm_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        out: Tensor = x + self.mlp["fc2"](gelu(self.mlp["fc1"](self.norm_2(x))))
        return out


class _Trunk(nn.Module):
    def __init__(self, size: TrunkSize, *, normed: bool = False, biased: bool = False) -> None:
        super().__init__()
        self.pre_transformer_layer = nn.Sequential(*([nn.LayerNorm(size.width, eps=1e-6)] if normed else []))
        self.blocks = nn.ModuleList(_Block(size, biased) for _ in range(size.blocks))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(n, t, d) -> (n, t, d)."""
        x = self.pre_transformer_layer(x)
        for block in self.blocks:
            x = block(x, mask)
        return x


class _Patches(nn.Module, ABC):
    """What pictures and spectrograms have in common: patches, a summary's place before them, places added."""

    def __init__(self, width: int, patches: int, stem: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.rgbt_stem = nn.ModuleDict(stem)
        self.pos_embedding_helper = nn.ParameterDict({"pos_embed": nn.Parameter(torch.empty(1, 1 + patches, width))})

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, 1 + patches, d)."""
        patches = self.patches(x).flatten(2).mT
        if "norm_layer" in self.rgbt_stem:
            patches = self.rgbt_stem["norm_layer"](patches)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1)
        placed: Tensor = tokens + self.pos_embedding_helper["pos_embed"]
        return placed

    @abstractmethod
    def patches(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, d, rows, columns)."""


class _PicturePatches(_Patches):
    def __init__(self, width: int) -> None:
        kernel = (2, _PATCH, _PATCH)  # two frames, for films
        proj = nn.ModuleDict({"1": nn.Conv3d(3, width, kernel, kernel, bias=False)})
        super().__init__(width, (SIDE // _PATCH) ** 2, {"proj": proj})

    def patches(self, x: Tensor) -> Tensor:
        """Add the two kernels up, for a still is a film of two equal frames."""
        proj: Any = self.rgbt_stem["proj"]
        return conv2d(x, proj["1"].weight.sum(2), stride=_PATCH)


class _SoundPatches(_Patches):
    def __init__(self, width: int) -> None:
        rows, columns = ((side - _KERNEL) // _STRIDE + 1 for side in (BANKS, FRAMES))
        proj = nn.Conv2d(1, width, _KERNEL, _STRIDE, bias=False)
        super().__init__(width, rows * columns, {"proj": proj, "norm_layer": nn.LayerNorm(width)})

    def patches(self, x: Tensor) -> Tensor:
        out: Tensor = self.rgbt_stem["proj"](x)
        return out


class _Pieces(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(_VOCABULARY, width)
        self.pos_embed = nn.Parameter(torch.empty(1, LONGEST, width))

    def forward(self, ids: Tensor) -> Tensor:
        """(n, t up to 77) int64 -> (n, t, d)."""
        embedded: Tensor = self.token_embedding(ids)
        return embedded + self.pos_embed[:, : ids.shape[1]]


def _head(before: int, after: int) -> tuple[nn.LayerNorm, nn.Linear]:
    return nn.LayerNorm(before, eps=1e-6), nn.Linear(before, after, bias=False)


class Towers(nn.Module):
    """The three towers, under the names of the published file."""

    def __init__(self, size: ImageBindSize) -> None:
        super().__init__()
        vision, text, audio = size.vision, size.text, size.audio
        self.modality_preprocessors = nn.ModuleDict(
            {"vision": _PicturePatches(vision.width), "text": _Pieces(text.width), "audio": _SoundPatches(audio.width)}
        )
        self.modality_trunks = nn.ModuleDict(
            {"vision": _Trunk(vision, normed=True), "text": _Trunk(text), "audio": _Trunk(audio, biased=True)}
        )
        heads = {name: _head(one.width, size.width) for name, one in (("vision", vision), ("audio", audio))}
        self.modality_heads = nn.ModuleDict(
            {name: nn.ModuleDict({"0": norm, "2": linear}) for name, (norm, linear) in heads.items()}
            | {"text": nn.ModuleDict({"proj": nn.Sequential(*_head(text.width, size.width))})}
        )

    def forward(self, name: str, x: Tensor) -> Tensor:
        """Embed a batch of "vision" (n, 3, 224, 224), "audio" (n, 1, 128, 204) or "text" (n, t): (n, width)."""
        trunk: nn.Module = self.modality_trunks[name]
        head: Any = self.modality_heads[name]
        tokens = self.modality_preprocessors[name](x)
        if name == "text":
            causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
            last = trunk(tokens, causal)[torch.arange(len(x), device=x.device), x.argmax(1)]  # the mark of the end
            out: Tensor = head["proj"](last)
        else:
            out = head["2"](head["0"](trunk(tokens)[:, 0]))
        return out


def names_to_read(published: Sequence[str], towers: nn.Module) -> list[str]:
    """Give the names to read from the published file: exactly those of `towers`.

    Raises
    ------
    WeightsError
        The file lacks one, or holds one that is neither needed nor known (other senses' towers, scales of the loss).
    """
    wanted = set(towers.state_dict())
    missing = sorted(wanted - set(published))
    unknown = sorted(name for name in set(published) - wanted if not name.startswith(_SKIPPED))
    if missing or unknown:
        raise WeightsError(
            f"an ImageBind file with {len(missing)} missing tensors {missing[:3]} and {len(unknown)} unknown "
            f"{unknown[:3]}",
            "the published file",
            "fetch it again",
        )
    return sorted(wanted)
