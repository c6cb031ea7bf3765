"""HTS-AT, the audio transformer under WavCaps and CLAP: its log-mel front end and its network.

Chen et al., HTS-AT, arXiv 2202.00874. The network is the one in laion_clap, with whose names both were published; the
front end is torch's Fourier transform with the filters that lie in each checkpoint. torchlibrosa's, inside laion_clap's
network, computes the same as a convolution and takes six times as long; librosa's takes half as long again, off the
card, and compiles for a quarter of a minute when it is first used on a machine.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from threading import Lock
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from omnibind_core.errors import WeightsError
from omnibind_core.specialists._torchvision import import_torchvision

__all__ = ["FFT", "HtsatSize", "features", "htsat_state", "log_mel", "make_htsat", "mlp", "take_filters"]

FFT = 1024  # samples, the length of the Hann window too
_FLOOR = 1e-10  # power, -100 dB
_BINS, _HEADS, _WINDOW = 64, (4, 8, 16, 32), 8
_BLOCK = 2048  # frames transformed at a time
_FRONT_END = ("window_size", "hop_size", "sample_rate", "fmin", "fmax")  # what laion_clap's own would be told
_LOCK = Lock()  # over sys.modules and the filters of warnings, which all threads share

# Parts of the published state dicts that no embedding needs: the classifier of the pretraining, and the Fourier
# transform as a convolution; and what the network computes when it is made: places in a window, masks of shifted ones.
_UNUSED = re.compile(r"tscam_conv\.(weight|bias)|head\.(weight|bias)|.*\.stft\.conv_(real|imag)\.weight")
_COMPUTED = re.compile(r".*\.(relative_position_index|attn_mask)")


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


@cache
def _laions() -> Any:
    """Import the module of the network out of laion_clap, without what that package does when it is imported.

    It asks the Hub for three tokenizers (for ten minutes where there is no network), and puts itself into ``sys.path``.
    So the two packages above the module are entered as they are found, not run, and all is taken out again: who else
    imports laion_clap gets all of it, and another copy than the one that is changed here.
    """
    import_torchvision()
    with _LOCK:
        before = {name: sys.modules.pop(name) for name in _loaded()}
        try:
            for name in ("laion_clap", "laion_clap.clap_module"):
                found = importlib.util.find_spec(name)
                if found is None:
                    raise ModuleNotFoundError(f"No module named '{name}'", name=name)
                sys.modules[name] = importlib.util.module_from_spec(found)
            module: Any = importlib.import_module("laion_clap.clap_module.htsat")
        finally:
            for name in _loaded():
                del sys.modules[name]
            sys.modules.update(before)
    module.Spectrogram = module.LogmelFilterBank = nn.Identity  # spectrograms come ready
    module.trunc_normal_ = lambda tensor, **_: tensor  # weights are loaded
    return module


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "laion_clap"]


def make_htsat(size: HtsatSize) -> nn.Module:
    """Build the network with weights yet to be loaded, on torch's default device; :func:`features` calls it."""
    module = _laions()
    from transformers.initialization import no_init_weights

    # The device is said, for the rates of drop_path are asked for their values.
    with _LOCK, no_init_weights(), warnings.catch_warnings(), torch.device("cpu"):
        warnings.filterwarnings("ignore", "torch.meshgrid")  # without indexing
        network: Any = module.HTSAT_Swin_Transformer(
            embed_dim=size.width,
            depths=list(size.depths),
            num_heads=list(_HEADS),
            window_size=_WINDOW,
            config=SimpleNamespace(mel_bins=_BINS, **dict.fromkeys(_FRONT_END)),
            enable_fusion=size.fusion,
            fusion_type="aff_2d" if size.fusion else "None",
        )
    network.tscam_conv = network.head = nn.Identity()  # the classifier
    if size.fusion:
        # In half precision the closer looks come in float32, for they are followed by zeros of that type.
        network.patch_embed.fusion_model.register_forward_pre_hook(lambda _, maps: (maps[0], maps[1].to(maps[0].dtype)))
    made: nn.Module = network.to(torch.get_default_device())
    return made


def features(network: nn.Module, mel: Tensor) -> Tensor:
    """Run the network.

    Parameters
    ----------
    network : nn.Module
        From :func:`make_htsat`, in evaluation mode.
    mel : Tensor, shape (n, 1, frames, 64) or (n, 4, frames, 64)
        Decibels, at most 1024 frames; of four, for a network with fusion, the last three are closer looks.

    Returns
    -------
    Tensor, shape (n, width of what comes out)
        Not scaled.
    """
    longer = torch.full((len(mel),), mel.shape[1] > 1, device="cpu")  # where its choice asks nothing of the card
    found: Tensor = network({"waveform": mel, "mel_fusion": mel, "longer": longer}, device=mel.device)["embedding"]
    return found


def mlp(before: int, after: int) -> nn.Sequential:
    """Make the head that WavCaps and CLAP put on both of their towers."""
    return nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after))


def htsat_state(published: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Choose what the network needs of a published HTS-AT.

    Parameters
    ----------
    published : mapping of str to Tensor
        The checkpoint's tensors, names cut to the network (``layers.0.blocks.0.attn.qkv.weight``), filters taken out.
    network : nn.Module
        From :func:`make_htsat`; gives its own tables of places and masks.

    Returns
    -------
    dict of str to Tensor
        All that the network holds, and whatever of the checkpoint is unknown.
    """
    computed = {name: value for name, value in network.state_dict().items() if _COMPUTED.fullmatch(name)}
    return {name: value for name, value in published.items() if not _UNUSED.fullmatch(name)} | computed


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
