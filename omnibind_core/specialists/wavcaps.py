"""WavCaps HTSAT-BERT: sounds and sentences about sounds, in three stages of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from omnibind_core.media.audio import resample, windows
from omnibind_core.specialists._htsat import HtsatSize, features, htsat_state, log_mel, make_htsat, mlp, take_filters
from omnibind_core.specialists._meta import empty, pieces
from omnibind_core.specialists._tokens import Pieces
from omnibind_core.specialists._training_file import load_exactly, read_training_file
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import HubFile
from omnibind_core.types import Audio, Modality

__all__ = ["RATE", "SPECS", "WavCaps", "WavCapsSize", "build", "network", "runs", "translate"]

RATE = 32_000  # Hz
_SECONDS = 10.0  # what the network was trained on
_HOP = 320  # samples
_LONGEST = 30  # word pieces, as in training
_VOCABULARY = 30_522  # bert-base-uncased
_BATCH = 4  # windows at a time
_FILTERS = "audio_feats_extractor.log_trans.melW"  # 64 bins, 50 to 14000 Hz

# The weights as OmniBind's authors republish them beside their own; WavCaps' own are on a shared drive.
_REPO, _REVISION = "Viglong/OmniBind", "8deaafb0eee8182f0a43a3efb8398e3fb486033b"
_TOKENIZER = HubFile("google-bert/bert-base-uncased", "tokenizer.json", "b96743c503420c0858ad23fca994e670844c6c05")


def _spec(name: str, title: str, file: str, stage: str) -> SpecialistSpec:
    return SpecialistSpec(
        name=name,
        title=f"WavCaps HTSAT-BERT, {title}",
        widths={"audio": 1024, "text": 1024},
        weights={"model": HubFile(_REPO, f"checkpoints/wavcaps/{file}", _REVISION), "tokenizer": _TOKENIZER},
        licence="LicenseRef-non-commercial-research",  # "created under a UK data copyright exemption for" such
        paper="Mei et al., WavCaps, arXiv 2303.17395",
        source=f"WavCaps' retrieval model HTSAT-BERT, {stage} ({file}), as republished with OmniBind",
        parameters=140_100_248,
        bytes_per_parameter=12.0,  # the training left two states of its optimizer beside each number
    )


SPECS: tuple[SpecialistSpec, ...] = (
    _spec("wavcaps_pt", "pretrained", "HTSAT-BERT-PT.pt", "trained on WavCaps, AudioCaps and Clotho"),
    _spec("wavcaps_ft_audiocaps", "AudioCaps", "HTSAT-BERT-FT-AudioCaps.pt", "tuned on AudioCaps"),
    _spec("wavcaps_ft_clotho", "Clotho", "HTSAT-BERT-FT-Clotho.pt", "tuned on Clotho"),
)


@dataclass(frozen=True)
class WavCapsSize:
    """Size of the two towers; the published one by default.

    Attributes
    ----------
    audio : HtsatSize
        The sound tower.
    text_width, text_layers, text_heads, text_inner : int
        BERT's hidden width, depth, attention heads and width between.
    width : int
        Of the embeddings.
    """

    audio: HtsatSize = field(default_factory=HtsatSize)
    text_width: int = 768
    text_layers: int = 12
    text_heads: int = 12
    text_inner: int = 3072
    width: int = 1024


class _Towers(nn.Module):
    def __init__(self, size: WavCapsSize) -> None:
        super().__init__()
        self.audio_encoder = make_htsat(size.audio)  # first: it sees to torchvision
        from transformers import BertConfig, BertModel
        from transformers.initialization import no_init_weights

        config = BertConfig(
            vocab_size=_VOCABULARY,
            hidden_size=size.text_width,
            num_hidden_layers=size.text_layers,
            num_attention_heads=size.text_heads,
            intermediate_size=size.text_inner,
        )
        with no_init_weights():
            self.text_encoder: Any = BertModel(config, add_pooling_layer=False)
        self.audio_proj = mlp(size.audio.features, size.width)
        self.text_proj = mlp(size.text_width, size.width)


def network() -> nn.Module:
    """Make the towers of the published size without weights or memory (on the meta device)."""
    with torch.device("meta"):
        return _Towers(WavCapsSize())


def translate(published: Mapping[str, Tensor], towers: nn.Module) -> tuple[dict[str, Tensor], Tensor]:
    """Rename the published tensors to those of our towers.

    Parameters
    ----------
    published : mapping of str to Tensor
        The state dict in the published file.
    towers : nn.Module
        Our network.

    Returns
    -------
    state : dict of str to Tensor
        All that `towers` holds, and whatever of `published` is unknown. Left out by name: the temperature of the loss,
        the classifier, and tables that are computed.
    filters : Tensor, shape (513, 64), float32
        Mel filters.

    Raises
    ------
    WeightsError
        There are no mel filters.
    """
    state = dict(published)
    for unused in ("temp", "text_encoder.text_encoder.embeddings.position_ids"):
        state.pop(unused, None)
    audio, text = "audio_encoder.audio_enc.", "text_encoder.text_encoder."
    sound = {name.removeprefix(audio): state.pop(name) for name in list(state) if name.startswith(audio)}
    filters = take_filters(sound, _FILTERS)
    network = towers.get_submodule("audio_encoder")
    state = {name.replace(text, "text_encoder.", 1) if name.startswith(text) else name: v for name, v in state.items()}
    state |= {f"audio_encoder.{name}": value for name, value in htsat_state(sound, network).items()}
    return state, filters


class WavCaps(Tower):
    """Sounds and sentences -> unit rows of width 1024.

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
    size : WavCapsSize
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
        size: WavCapsSize | None = None,
    ) -> None:
        self.spec = spec
        self._device, self._dtype = device, dtype
        self._pieces = Pieces(files["tokenizer"], _VOCABULARY, _LONGEST, "[PAD]")
        towers = _Towers(size or WavCapsSize())
        state, filters = translate(read_training_file(files["model"], "model"), towers)
        load_exactly(towers, state, spec.title)
        self._filters = filters.to(device)
        self._towers: Any = towers.to(device=device, dtype=dtype).eval().requires_grad_(False)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed sounds or sentences.

        Parameters
        ----------
        modality : Modality
            ``"audio"`` or ``"text"``.
        items : sequence of Audio or Text
            At least one. The published code cuts a sound after 10 s, and so are faithful ones; of others the unit
            vectors of its windows of 10 s are averaged. A shorter one is followed by silence. Sentences are cut after
            30 word pieces.

        Returns
        -------
        Tensor, shape (n, 1024), float32
            Unit rows.
        """
        if modality == "text":
            rows = [self._sentences(*batch) for batch in self._pieces.batches([i.text for i in items], self._device)]
            return torch.cat(rows)
        return torch.cat([self._sound(item) for item in items])

    def log_mel(self, samples: Tensor) -> Tensor:
        """Give the spectrogram of windows: (n, samples up to 320000) at 32 kHz -> (n, 1, 1001, 64) decibels."""
        whole = round(_SECONDS * RATE)
        waves = pad(samples.to(self._device), (0, whole - samples.shape[1]))
        return log_mel(waves, self._filters, _HOP)[:, None]

    def _sound(self, item: Audio) -> Tensor:
        """Embed one sound: (1, width)."""
        samples = resample(item, RATE)
        if item.faithful:
            samples = samples[: round(_SECONDS * RATE)]
        parts = windows(Audio(samples, RATE), _SECONDS)  # of one length, for one alone may be shorter
        rows = []
        for start in range(0, len(parts), _BATCH):
            waves = torch.stack([torch.from_numpy(part.samples) for part in parts[start : start + _BATCH]])
            heard = features(self._towers.audio_encoder, self.log_mel(waves).to(self._dtype))
            rows.append(unit(self._towers.audio_proj(heard)))
        return unit(torch.cat(rows).mean(0, keepdim=True))

    def _sentences(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embed word pieces by the first one's last state: (n, t) -> (n, width)."""
        states = self._towers.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return unit(self._towers.text_proj(states[:, 0]))


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> WavCaps:
    """Load both towers from their local files (roles "model" and "tokenizer").

    Raises
    ------
    WeightsError
        A file is damaged or does not fit the network exactly.
    """
    return WavCaps(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net: Any = network()
    mel = empty(1, 1, 1001, 64)  # 10 s
    return Runs(
        net,
        {
            "audio": lambda _: net.audio_proj(features(net.audio_encoder, mel)),
            "text": lambda n: net.text_proj(net.text_encoder(input_ids=pieces(n)).last_hidden_state[:, 0]),
        },
    )
