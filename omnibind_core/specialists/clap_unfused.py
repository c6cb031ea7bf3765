"""LAION CLAP as transformers publishes it, without fusion: sounds and sentences about them, for small machines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from omnibind_core.specialists._clap_sounds import slaney_filters
from omnibind_core.specialists._meta import empty, pieces
from omnibind_core.specialists._strict import fill
from omnibind_core.specialists._tokens import Pieces
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec
from omnibind_core.specialists.clap import Clap, ClapSize
from omnibind_core.store.weights import HubFile, read_tensors

__all__ = ["SPECS", "ClapUnfused", "build", "network", "runs"]

_REPO, _REVISION = "laion/clap-htsat-unfused", "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a"
_VOCABULARY, _LONGEST = 50_265, 77  # pieces: roberta-base's, and of a sentence

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="clap_unfused",
        title="LAION CLAP, unfused",
        widths={"audio": 512, "text": 512},
        weights={
            "model": HubFile(
                _REPO,
                "pytorch_model.bin",
                _REVISION,
                sha256="1cd3c601bc4afe0fa87be3de4c13dd2cfadd249fac1e29acf74a9b296c3219bb",
                size=614_525_833,
            ),
            "tokenizer": HubFile(
                _REPO,
                "tokenizer.json",
                _REVISION,
                sha256="77ef92283d67f0d97e1454909a964afcbfa2019f0fb9f18f8e88d5c25c3ba729",
                size=2_108_746,
            ),
        },
        licence="Apache-2.0",
        paper="Wu et al., Large-scale Contrastive Language-Audio Pretraining, arXiv 2211.06687",
        source="LAION's HTSAT-tiny with RoBERTa, without fusion, as transformers' ClapModel on the Hub under laion/",
        parameters=153_492_890,
    ),
)


def network(size: ClapSize | None = None) -> nn.Module:
    """Make transformers' ClapModel without weights or memory (on the meta device): the published size, or another."""
    import_torchvision()
    from transformers import ClapConfig, ClapModel

    size = size or ClapSize()
    audio = {
        "hidden_size": size.audio.features,
        "patch_embeds_hidden_size": size.audio.width,
        "depths": list(size.audio.depths),
        "enable_fusion": False,
        "fusion_type": None,
    }
    text = {
        "vocab_size": _VOCABULARY,
        "hidden_size": size.text_width,
        "num_hidden_layers": size.text_layers,
        "num_attention_heads": size.text_heads,
        "intermediate_size": size.text_inner,
        # RoBERTa's, with which it was trained; the published config.json says 1e-12.
        "layer_norm_eps": 1e-5,
    }
    with torch.device("meta"):
        made: nn.Module = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=size.width))
    return made


class ClapUnfused(Clap):
    """Sounds and sentences -> unit rows of width 512; longer sounds are averaged over windows of 10 s.

    Parameters
    ----------
    spec : SpecialistSpec
        The one in `SPECS`.
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
        self.spec = spec
        self._device, self._dtype = device, dtype
        self._pieces = Pieces(files["tokenizer"], _VOCABULARY, _LONGEST, "<pad>")
        empty: Any = network(size)
        state = dict(read_tensors(files["model"]))
        # Counted, not trained; what the file holds of it depends on the version that wrote it.
        places = empty.text_model.embeddings.position_ids.shape
        state["text_model.embeddings.position_ids"] = torch.arange(places[1]).expand(places)
        state["text_model.embeddings.token_type_ids"] = torch.zeros(places, dtype=torch.int64)
        model: Any = fill(empty, [state], spec.title, device, dtype)
        self._fused = False
        self._filters = slaney_filters().to(device)
        self._towers = SimpleNamespace(
            audio_branch=model.audio_model,
            audio_projection=model.audio_projection,
            text_branch=model.text_model,
            text_projection=model.text_projection,
        )

    def _heard(self, mel: Tensor) -> Tensor:
        found: Tensor = self._towers.audio_branch(mel).pooler_output
        return found


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> ClapUnfused:
    """Load both towers from their local files (roles "model" and "tokenizer").

    Raises
    ------
    WeightsError
        A file is damaged or does not fit the network exactly.
    """
    return ClapUnfused(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net: Any = network()
    mel = empty(1, 1, 1001, 64)  # 10 s

    def text(count: int) -> object:
        # As its forward does, which first looks at the pieces' numbers.
        embedded = net.text_model.embeddings(pieces(count))
        return net.text_projection(net.text_model.pooler(net.text_model.encoder(embedded)[0]))

    return Runs(net, {"audio": lambda _: net.audio_projection(net.audio_model(mel).pooler_output), "text": text})
