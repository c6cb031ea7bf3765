"""HTS-AT, the audio transformer under WavCaps and CLAP: its log-mel front end and its network.

Chen et al., HTS-AT, arXiv 2202.00874. The network is the one in transformers (``ClapAudioModel``), under which the
published checkpoints' names are translated; the front end is torch's STFT with the filters that lie in each checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from omnibind_core.errors import WeightsError
from omnibind_core.specialists._torchvision import import_torchvision

__all__ = ["FFT", "HtsatSize", "htsat_names", "log_mel", "make_htsat", "mlp", "take_filters"]

FFT = 1024  # samples, the length of the Hann window too
_FLOOR = 1e-10  # power, -100 dB
_HEADS = (4, 8, 16, 32)
_BLOCK = 2048  # frames transformed at a time

# Parts of the published state dicts that no embedding needs: the classifier of the pretraining, and what is computed
# here (the Fourier transform as a convolution, tables of relative places, masks of shifted windows).
_UNUSED = re.compile(
    r"tscam_conv\.(weight|bias)|head\.(weight|bias)|.*\.stft\.conv_(real|imag)\.weight|.*\.relative_position_index"
    r"|layers\.\d+\.blocks\.\d+\.attn_mask"
)
_RENAMED = (
    ("bn0.", "batch_norm."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".attn.proj.", ".attention.output.dense."),
    (".attn.relative_position_bias_table", ".attention.self.relative_position_bias_table"),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
)


@dataclass(frozen=True)
class HtsatSize:
    """Size of an HTS-AT.

    Attributes
    ----------
    width : int
        Channels after the patch embedding; they double at each later stage.
    depths : tuple of int
        Blocks in each of the four stages.
    fusion : bool
        Whether three closer looks can be fused into the first layer ("aff_2d").
    """

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    fusion: bool = False

    @property
    def features(self) -> int:
        """Width of what comes out."""
        return self.width << (len(self.depths) - 1)


def make_htsat(size: HtsatSize) -> nn.Module:
    """Build the network with weights yet to be loaded.

    Returns
    -------
    nn.Module
        (n, 1 or 4, frames, 64) decibels, (n,) bool ``is_longer`` -> output with ``pooler_output`` (n, features).
    """
    import_torchvision()
    from transformers import ClapAudioConfig, ClapAudioModel
    from transformers.initialization import no_init_weights

    config = ClapAudioConfig(
        hidden_size=size.features,
        patch_embeds_hidden_size=size.width,
        depths=list(size.depths),
        num_attention_heads=list(_HEADS),
        enable_fusion=size.fusion,
        fusion_type="aff_2d" if size.fusion else None,
        hidden_dropout_prob=0.0,
    )
    with no_init_weights():
        network: nn.Module = ClapAudioModel(config)
    return network


def mlp(before: int, after: int) -> nn.Sequential:
    """Make the head that WavCaps and CLAP put on both of their towers."""
    return nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after))


def htsat_names(published: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Translate a published HTS-AT into the network's names.

    Parameters
    ----------
    published : mapping of str to Tensor
        The checkpoint's tensors, names cut to the network (``layers.0.blocks.0.attn.qkv.weight``), filters taken out.
    network : nn.Module
        From :func:`make_htsat`; gives its own tables of relative places.

    Returns
    -------
    dict of str to Tensor
        All that the network holds, and whatever of the checkpoint is unknown.
    """
    state = {name: value for name, value in network.state_dict().items() if name.endswith("relative_position_index")}
    for name, value in published.items():
        if _UNUSED.fullmatch(name):
            continue
        ours = f"audio_encoder.{name}"
        if ".attn.qkv." in ours:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                state[ours.replace(".attn.qkv.", f".attention.self.{part}.")] = third
            continue
        for old, new in _RENAMED:
            ours = ours.replace(old, new)
        state[ours] = value
    return state


def take_filters(published: dict[str, Tensor], name: str, bins: int = 64) -> Tensor:
    """Take the mel filters out of a checkpoint: (513, bins) float32.

    Raises
    ------
    WeightsError
        They are not there, or of another shape.
    """
    filters = published.pop(name, None)
    if filters is None or tuple(filters.shape) != (FFT // 2 + 1, bins):
        raise WeightsError(
            f"a checkpoint whose '{name}' is {'missing' if filters is None else tuple(filters.shape)}",
            f"mel filters of shape {(FFT // 2 + 1, bins)}",
            "use the published file",
        )
    return filters.float().clone()


def log_mel(waves: Tensor, filters: Tensor, hop: int) -> Tensor:
    """Give the spectrogram that the network reads.

    Parameters
    ----------
    waves : Tensor, shape (n, samples), float32
        Full scale is -1 to 1; over 512 samples.
    filters : Tensor, shape (513, bins), float32
        Mel filters over the FFT's bins.
    hop : int
        Samples from one frame to the next.

    Returns
    -------
    Tensor, shape (n, 1 + samples // hop, bins), float32
        Decibels, at least -100.
    """
    window = torch.hann_window(FFT, device=waves.device)
    frames = pad(waves[:, None], (FFT // 2, FFT // 2), mode="reflect")[:, 0].unfold(1, FFT, hop)
    parts = []
    for start in range(0, frames.shape[1], _BLOCK):  # ten minutes at once would take a gigabyte
        block = frames[:, start : start + _BLOCK] * window
        power = torch.view_as_real(torch.fft.rfft(block)).square().sum(-1)
        parts.append(10.0 * torch.log10((power @ filters).clamp(min=_FLOOR)))
    return torch.cat(parts, dim=1)
