"""laion_clap's HTS-AT, and how it is imported, against the ways gone before: transformers' network and torchlibrosa.

Until laion_clap did the work, the published names were translated into those of transformers' ``ClapAudioModel``, and
unfused CLAP, published in that form, is still run by it: `translated` is that translation.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from omnibind_core.specialists import _htsat
from omnibind_core.specialists._clap_sounds import HOP, RATE, closer_looks, htk_filters, slaney_filters
from omnibind_core.specialists._htsat import FFT, HtsatSize, features, htsat_state, log_mel, make_htsat
from omnibind_core.specialists._torchvision import import_torchvision
from tests.specialists.published import numbers, sound

SIZES = {
    "unfused": HtsatSize(16, (2, 2, 6, 2)),
    "fused": HtsatSize(16, (2, 2, 6, 2), fusion=True),
    "music": HtsatSize(32, (2, 2, 12, 2)),
}
RENAMED = (
    ("bn0.", "batch_norm."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".attn.proj.", ".attention.output.dense."),
    (".attn.relative_position", ".attention.self.relative_position"),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
)

# What a first import of laion_clap would do: ask the Hub, put itself into sys.path, stay in sys.modules.
ALONE = """
import socket, sys
def refuse(*_): raise AssertionError("the network was asked for")
socket.socket.connect = socket.getaddrinfo = refuse
sys.argv += ["--port", "1"]
before = list(sys.path)
from omnibind_core.specialists._htsat import HtsatSize, make_htsat
assert "librosa" not in sys.modules and "transformers" not in sys.modules
make_htsat(HtsatSize(16, (2, 2, 2, 2)))
assert sys.path == before
assert not [name for name in sys.modules if name.startswith("laion_clap") or name.startswith("clap_module")]
assert sys.modules["transformers"].AutoTokenizer
"""


def made(size: HtsatSize) -> torch.nn.Module:
    """Give laion_clap's network with made-up weights."""
    network = make_htsat(size).eval().requires_grad_(False)
    weights = {name: t for name, t in network.state_dict().items() if t.is_floating_point() and "attn_mask" not in name}
    weights = {name: numbers(name, tuple(t.shape)) for name, t in weights.items()}
    counted = {n: t for n, t in network.state_dict().items() if n.endswith("num_batches_tracked")}
    network.load_state_dict(htsat_state(weights | counted, network), strict=True)
    return network


def translated(size: HtsatSize, network: torch.nn.Module) -> torch.nn.Module:
    """Give transformers' network with the same weights."""
    import_torchvision()
    from transformers import ClapAudioConfig, ClapAudioModel

    other = ClapAudioModel(
        ClapAudioConfig(
            hidden_size=size.features,
            patch_embeds_hidden_size=size.width,
            depths=list(size.depths),
            num_attention_heads=[4, 8, 16, 32],
            enable_fusion=size.fusion,
            fusion_type="aff_2d" if size.fusion else None,
        )
    ).eval()
    state = {}
    for theirs, value in network.state_dict().items():
        if theirs.endswith("attn_mask"):
            continue
        name = f"audio_encoder.{theirs}"
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
                state[name.replace(".attn.qkv.", f".attention.self.{part}.")] = third
            continue
        for old, new in RENAMED:
            name = name.replace(old, new)
        state[name] = value
    other.load_state_dict(state, strict=True)
    return other


@pytest.mark.parametrize(("which", "seconds"), [("unfused", 10.0), ("music", 10.0), ("fused", 10.0), ("fused", 15.0)])
def test_vectors_are_those_of_transformers(which: str, seconds: float):
    network = made(SIZES[which])
    filters = htk_filters() if SIZES[which].fusion else slaney_filters()
    mel = log_mel(torch.from_numpy(sound(seconds, RATE, 1))[None], filters, HOP)[:, None]
    if seconds > 10.0:
        mel = closer_looks(mel[0, 0])[None]
    batch = torch.cat([mel, mel.flip(2)])
    with torch.inference_mode():
        ours = features(network, batch)
        longer = torch.full((2,), batch.shape[1] > 1)
        theirs = translated(SIZES[which], network)(batch, is_longer=longer).pooler_output
    assert ours.shape == (2, SIZES[which].features)
    assert (ours - theirs).abs().max() < 1e-5
    assert (ours[0] - ours[1]).abs().max() > 1e-2


def test_spectrograms_are_torchlibrosas():
    """Which laion_clap's network makes itself, where it has no fusion."""
    from torchlibrosa.stft import LogmelFilterBank, Spectrogram

    wave = torch.from_numpy(sound(3.0, RATE, 2))[None]
    power = Spectrogram(n_fft=FFT, hop_length=HOP)(wave)
    theirs = LogmelFilterBank(sr=RATE, n_fft=FFT, n_mels=64, fmin=50, fmax=14_000, top_db=None)(power)[:, 0]
    assert (log_mel(wave, slaney_filters(), HOP) - theirs).abs().max() < 2e-3  # decibels


def test_spectrograms_are_librosas():
    """With the settings that laion_clap names as those of the fused network."""
    import librosa

    wave = sound(3.0, RATE, 3)
    said = {"sr": RATE, "n_fft": FFT, "hop_length": HOP, "pad_mode": "reflect"}
    theirs = librosa.feature.melspectrogram(y=wave, **said, n_mels=64, fmin=50, fmax=14_000, norm=None, htk=True)
    ours = log_mel(torch.from_numpy(wave)[None], htk_filters(), HOP)[0].mT.numpy()
    assert np.abs(ours - librosa.power_to_db(theirs, top_db=None)).max() < 2e-3  # decibels


def test_it_is_imported_without_the_hub():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run([sys.executable, "-W", "error", "-c", ALONE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_laion_clap_that_somebody_imported_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    theirs = ModuleType("laion_clap")
    monkeypatch.setitem(sys.modules, "laion_clap", theirs)
    module = _htsat._laions.__wrapped__()
    assert sys.modules["laion_clap"] is theirs
    assert "laion_clap.clap_module.htsat" not in sys.modules
    assert module.__name__ == "laion_clap.clap_module.htsat"
    assert module is not _htsat._laions()


def test_half_precision_takes_closer_looks():
    network = made(SIZES["fused"])
    mel = closer_looks(log_mel(torch.from_numpy(sound(12.0, RATE, 4))[None], htk_filters(), HOP)[0])[None]
    with torch.inference_mode():
        whole = features(network, mel)
        half = features(network.to(torch.bfloat16), mel.to(torch.bfloat16)).float()
    assert torch.cosine_similarity(whole, half).item() > 0.999


def test_a_network_without_memory():
    with torch.device("meta"):
        network = make_htsat(SIZES["fused"])
    assert all(tensor.is_meta for tensor in network.state_dict().values())
    assert features(network.eval(), torch.empty(1, 1, 1001, 64, device="meta")).shape == (1, 128)
