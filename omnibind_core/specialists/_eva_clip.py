"""EVA-CLIP's two towers in transformers' form: the networks of EVA-CLIP-18B, and small ones of its kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

__all__ = ["Size", "network"]

_PATCH = 14  # pixels
_VOCABULARY, _POSITIONS = 49_408, 77


@dataclass(frozen=True)
class Size:
    """Extent of the two towers; the defaults are the published config.json's and EVA-CLIP-18B.json's.

    Attributes
    ----------
    side : int
        Side of a picture, pixels.
    wide : tuple of int
        Width of the picture tower and of the sentence tower.
    layers, heads : tuple of int
        Likewise.
    inner : tuple of int
        Width inside the blocks' feed-forward networks, likewise.
    out : int
        Width of the shared space.
    """

    side: int = 224
    wide: tuple[int, int] = (5120, 1280)
    layers: tuple[int, int] = (48, 32)
    heads: tuple[int, int] = (40, 20)
    inner: tuple[int, int] = (25_600, 5120)
    out: int = 1536


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, *, bias: bool) -> None:
        super().__init__()
        self._heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width, bias=bias) for _ in range(3))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, *, causal: bool) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        q, k, v = (
            project(x).unflatten(2, (self._heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = scaled_dot_product_attention(q, k, v, is_causal=causal)  # (n, heads, t, width / heads)
        projected: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return projected


class _FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.fc2(gelu(self.fc1(x)))
        return found


def _norm(width: int, *, pictures: bool) -> nn.Module:
    return nn.RMSNorm(width, eps=1e-6) if pictures else nn.LayerNorm(width, eps=1e-5)


class _Block(nn.Module):
    """One layer: for pictures the norm (root mean square) comes last in each branch, for sentences first."""

    def __init__(self, width: int, heads: int, inner: int, *, pictures: bool) -> None:
        super().__init__()
        self._pictures = pictures
        self.layer_norm1, self.layer_norm2 = (_norm(width, pictures=pictures) for _ in range(2))
        self.self_attn = _Attention(width, heads, bias=not pictures)
        self.mlp = _FeedForward(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        if self._pictures:
            x = x + self.layer_norm1(self.self_attn(x, causal=False))
            x = x + self.layer_norm2(self.mlp(x))
        else:
            x = x + self.self_attn(self.layer_norm1(x), causal=True)
            x = x + self.mlp(self.layer_norm2(x))
        return x


class _Encoder(nn.Module):
    def __init__(self, width: int, layers: int, heads: int, inner: int, *, pictures: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Block(width, heads, inner, pictures=pictures) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class _PictureEmbeddings(nn.Module):
    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, _PATCH, stride=_PATCH)
        self.position_embedding = nn.Embedding((side // _PATCH) ** 2 + 1, width)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1)
        embedded: Tensor = torch.cat([first, patches], dim=1) + self.position_embedding.weight
        return embedded


class _SentenceEmbeddings(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(_VOCABULARY, width)
        self.position_embedding = nn.Embedding(_POSITIONS, width)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]
        return embedded


class _PictureTower(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.wide[0]
        self.embeddings = _PictureEmbeddings(width, size.side)
        self.encoder = _Encoder(width, size.layers[0], size.heads[0], size.inner[0], pictures=True)
        self.post_layernorm = _norm(width, pictures=True)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 3, side, side) -> (n, width): what the class token has gathered."""
        gathered: Tensor = self.post_layernorm(self.encoder(self.embeddings(pixels))[:, 0])
        return gathered


class _SentenceTower(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        width = size.wide[1]
        self.embeddings = _SentenceEmbeddings(width)
        self.encoder = _Encoder(width, size.layers[1], size.heads[1], size.inner[1], pictures=False)
        self.final_layer_norm = _norm(width, pictures=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, t) int64 -> (n, width): the state at the end of the sentence, whose token has the highest number."""
        states = self.encoder(self.embeddings(tokens))
        rows = torch.arange(len(tokens), device=tokens.device)
        last: Tensor = self.final_layer_norm(states[rows, tokens.argmax(dim=1)])
        return last


class _Network(nn.Module):
    """Both towers; the parts have the names of the published state dict."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.text_model = _SentenceTower(size)
        self.vision_model = _PictureTower(size)
        self.visual_projection = nn.Linear(size.wide[0], size.out, bias=False)
        self.text_projection = nn.Linear(size.wide[1], size.out, bias=False)


def network(size: Size | None = None) -> nn.Module:
    """Make EVA-CLIP-18B, or a network of another size of its kind, without weights or memory (on the meta device)."""
    with torch.device("meta"):
        return _Network(size or Size())
