"""LAION CLAP: sounds and sentences about them, in general and for music and speech."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from omnibind_core.media.audio import resample, windows
from omnibind_core.specialists._clap_sounds import (
    FRAMES,
    HOP,
    RATE,
    SECONDS,
    WHOLE,
    closer_looks,
    fill,
    htk_filters,
    sixteen_bits,
)
from omnibind_core.specialists._htsat import HtsatSize, features, htsat_state, log_mel, make_htsat, mlp, take_filters
from omnibind_core.specialists._meta import empty, pieces
from omnibind_core.specialists._tokens import Pieces
from omnibind_core.specialists._training_file import load_exactly, read_training_file
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import HubFile
from omnibind_core.types import Audio, FloatArray, Modality

__all__ = ["SIZES", "SPECS", "Clap", "ClapSize", "build", "network", "runs", "translate"]

_LONGEST = 77  # pieces, as in training
_VOCABULARY = 50_265  # roberta-base
_BATCH = 4  # sounds at a time
_AUDIO, _TEXT = "audio_branch.", "text_branch."

_REPO, _REVISION = "Viglong/OmniBind", "8deaafb0eee8182f0a43a3efb8398e3fb486033b"
_TOKENIZER = HubFile("FacebookAI/roberta-base", "tokenizer.json", "e2da8e2f811d1448a5b465c236feacd80ffbac7b")
_PAPER = "Wu et al., Large-scale Contrastive Language-Audio Pretraining, arXiv 2211.06687"

# transformers' own conversions are not these: laion/clap-htsat-fused is the checkpoint trained on AudioSet too
# (630k-audioset-fusion-best), and gives RoBERTa's norms another epsilon than the training had.
SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="clap_general",
        title="LAION CLAP, general",
        widths={"audio": 512, "text": 512},
        weights={
            "model": HubFile(_REPO, "checkpoints/clap/630k-fusion-best.pt", _REVISION),
            "tokenizer": _TOKENIZER,
        },
        licence="CC0-1.0",
        paper=_PAPER,
        source="LAION's 630k-fusion-best.pt (HTSAT-tiny with fusion, RoBERTa), republished with OmniBind",
        parameters=153_507_528,
        bytes_per_parameter=12.0,  # the training left two states of its optimizer beside each number
        published_pieces=77,
    ),
    SpecialistSpec(
        name="clap_music",
        title="LAION CLAP, music and speech",
        widths={"audio": 512, "text": 512},
        weights={
            "model": HubFile(_REPO, "checkpoints/clap/music_speech_audioset_epoch_15_esc_89.98.pt", _REVISION),
            "tokenizer": _TOKENIZER,
        },
        licence="CC0-1.0",
        paper=_PAPER,
        source="LAION's music_speech_audioset_epoch_15_esc_89.98.pt (HTSAT-base, RoBERTa), republished with OmniBind",
        parameters=193_913_880,
        bytes_per_parameter=12.0,
        published_pieces=77,
    ),
)


@dataclass(frozen=True)
class ClapSize:
    """Size of the two towers.

    Attributes
    ----------
    audio : HtsatSize
        The sound tower.
    text_width, text_layers, text_heads, text_inner : int
        RoBERTa's hidden width, depth, attention heads and width between.
    width : int
        Of the embeddings.
    """

    audio: HtsatSize = field(default_factory=HtsatSize)
    text_width: int = 768
    text_layers: int = 12
    text_heads: int = 12
    text_inner: int = 3072
    width: int = 512


# By name of the specialist; LAION calls them "HTSAT-tiny" and "HTSAT-base".
SIZES = {
    "clap_general": ClapSize(HtsatSize(fusion=True)),
    "clap_music": ClapSize(HtsatSize(128, (2, 2, 12, 2))),
}


class _Towers(nn.Module):
    def __init__(self, size: ClapSize) -> None:
        super().__init__()
        self.audio_branch = make_htsat(size.audio)  # first: it sees to torchvision
        from transformers import RobertaConfig, RobertaModel
        from transformers.initialization import no_init_weights

        config = RobertaConfig(
            vocab_size=_VOCABULARY,
            hidden_size=size.text_width,
            num_hidden_layers=size.text_layers,
            num_attention_heads=size.text_heads,
            intermediate_size=size.text_inner,
            max_position_embeddings=514,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
        )
        with no_init_weights():
            self.text_branch: Any = RobertaModel(config)
        self.audio_projection = mlp(size.audio.features, size.width)
        self.text_projection = mlp(size.text_width, size.width)


def network(name: str) -> nn.Module:
    """Make the towers of the published size without weights or memory (on the meta device)."""
    with torch.device("meta"):
        return _Towers(SIZES[name])


def translate(published: Mapping[str, Tensor], towers: nn.Module) -> tuple[dict[str, Tensor], Tensor]:
    """Choose what our towers need of the published tensors.

    Parameters
    ----------
    published : mapping of str to Tensor
        The state dict in the published file.
    towers : nn.Module
        Our network.

    Returns
    -------
    state : dict of str to Tensor
        All that `towers` holds, and whatever of `published` is unknown. Left out by name: what only the loss uses
        (temperatures, two transforms), the classifier, and tables that are computed.
    filters : Tensor, shape (513, 64), float32
        Mel filters, Slaney's.

    Raises
    ------
    WeightsError
        There are no mel filters.
    """
    only_loss = ("audio_transform.sequential.", "text_transform.sequential.", "logit_scale_a", "logit_scale_t")
    computed = f"{_TEXT}embeddings.position_ids"
    state = {name: v for name, v in published.items() if not name.startswith(only_loss) and name != computed}
    sound = {name.removeprefix(_AUDIO): state.pop(name) for name in list(state) if name.startswith(_AUDIO)}
    filters = take_filters(sound, "logmel_extractor.melW")
    sound = htsat_state(sound, towers.get_submodule("audio_branch"))
    return state | {f"{_AUDIO}{name}": value for name, value in sound.items()}, filters


class Clap(Tower):
    """Sounds and sentences -> unit rows of width 512.

    Parameters
    ----------
    spec : SpecialistSpec
        One of `SPECS`.
    files : mapping of str to Path
        "model" and "tokenizer".
    device : torch.device
        Where it computes.
    dtype : torch.dtype
        In what it computes.
    size : ClapSize, optional
        The published size, or a smaller one to test with.

    Raises
    ------
    WeightsError
        A file is damaged or does not fit.
    """

    def __init__(
        self,
        spec: SpecialistSpec,
        files: Mapping[str, Path],
        device: torch.device,
        dtype: torch.dtype,
        size: ClapSize | None = None,
    ) -> None:
        size = size or SIZES[spec.name]
        self.spec = spec
        self._device, self._dtype = device, dtype
        # Not transformers' RobertaTokenizer: with nothing cached, it knows five pieces and does not say so.
        self._pieces = Pieces(files["tokenizer"], _VOCABULARY, _LONGEST, "<pad>")
        towers = _Towers(size)
        state, filters = translate(read_training_file(files["model"], "state_dict"), towers)
        load_exactly(towers, state, spec.title)
        self._fused = size.audio.fusion
        self._filters = (htk_filters() if self._fused else filters).to(device)
        self._towers: Any = towers.to(device=device, dtype=dtype).eval().requires_grad_(False)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed sounds or sentences.

        Parameters
        ----------
        modality : Modality
            ``"audio"`` or ``"text"``.
        items : sequence of Audio or Text
            At least one. Sounds under 10 s are repeated. Longer ones: the fused network takes them whole (see
            ``closer_looks``); for the other the published code takes 10 s from a random place, and here the unit
            vectors of the sound's windows of 10 s are averaged. Sentences are cut after 77 pieces.

        Returns
        -------
        Tensor, shape (n, 512), float32
            Unit rows.
        """
        if modality == "text":
            rows = [self._sentences(*batch) for batch in self._pieces.batches([i.text for i in items], self._device)]
            return torch.cat(rows)
        return torch.cat([self._sound(item) for item in items])

    def log_mel(self, samples: FloatArray) -> Tensor:
        """Give the spectrogram of one sound: (n,) at 48 kHz -> (1, 1, 1001, 64), fused and long (1, 4, 1001, 64)."""
        samples = sixteen_bits(samples)
        wave = torch.from_numpy(fill(samples) if len(samples) <= WHOLE else samples).to(self._device)
        mel = log_mel(wave[None], self._filters, HOP)
        return closer_looks(mel[0])[None] if mel.shape[1] > FRAMES else mel[None]

    def _sound(self, item: Audio) -> Tensor:
        """Embed one sound: (1, width)."""
        whole = Audio(resample(item, RATE), RATE)
        mels = [self.log_mel(part.samples) for part in ([whole] if self._fused else windows(whole, SECONDS))]
        return unit(torch.cat(list(self._rows(mels))).mean(0, keepdim=True))

    def _rows(self, mels: Sequence[Tensor]) -> Iterator[Tensor]:
        for start in range(0, len(mels), _BATCH):
            batch = torch.cat(list(mels[start : start + _BATCH]))
            yield unit(self._towers.audio_projection(self._heard(batch.to(self._dtype))))

    def _heard(self, mel: Tensor) -> Tensor:
        return features(self._towers.audio_branch, mel)

    def _sentences(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embed pieces: (n, t) -> (n, width)."""
        pooled = self._towers.text_branch(input_ids=ids, attention_mask=mask).pooler_output
        return unit(self._towers.text_projection(pooled))


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> Clap:
    """Load both towers from their local files (roles "model" and "tokenizer").

    Raises
    ------
    WeightsError
        A file is damaged or does not fit the network exactly.
    """
    return Clap(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net: Any = network(name)
    mel = empty(1, 1, 1001, 64)  # 10 s, which are not fused
    return Runs(
        net,
        {
            "audio": lambda _: net.audio_projection(features(net.audio_branch, mel)),
            "text": lambda n: net.text_projection(net.text_branch(input_ids=pieces(n)).pooler_output),
        },
    )
