"""Small towers of the published presets' own classes, with made-up weights, loaded from files as the real ones are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from omnibind_core.specialists.base import Specialist
from omnibind_core.specialists.registry import find
from tests.specialists import test_clap, test_imagebind, test_open_clip_towers, test_uni3d, test_wavcaps
from tests.specialists.published import filled, read_keys
from tests.specialists.words import write_byte_level, write_wordpiece

CPU = torch.device("cpu")
MELS = torch.rand(513, 64, generator=torch.Generator().manual_seed(0)) / 50


def _wavcaps(folder: Path) -> Specialist:
    state = filled(read_keys("wavcaps_small"))
    state["audio_encoder.audio_enc.audio_feats_extractor.log_trans.melW"] = MELS
    torch.save({"model": state}, folder / "wavcaps.pt")
    return test_wavcaps.make({"model": folder / "wavcaps.pt", "tokenizer": write_wordpiece(folder / "bert.json")})


def _clap(name: str) -> Callable[[Path], Specialist]:
    return lambda folder: test_clap.make(name, folder, write_byte_level(folder / "roberta.json"))


def _imagebind(folder: Path) -> Specialist:
    from omnibind_core.specialists.imagebind import ImageBind

    save_file(filled(read_keys("imagebind_small")), folder / "imagebind.safetensors")
    files = {"model": folder / "imagebind.safetensors"}
    return ImageBind(find("imagebind_huge")[0], files, CPU, torch.float32, test_imagebind.SMALL)


def _open_clip(name: str) -> Callable[[Path], Specialist]:
    def make(folder: Path) -> Specialist:
        from omnibind_core.specialists.open_clip_towers import OpenClipTower

        torch.save(test_open_clip_towers.state(name), folder / f"{name}.bin")
        files = {"model": folder / f"{name}.bin", "tokenizer": test_open_clip_towers.tokenizer_of(name, folder)}
        return OpenClipTower(find(name)[0], files, CPU, torch.float32, test_open_clip_towers.small(name))

    return make


def _uni3d(folder: Path) -> Specialist:
    return uni3d(folder)


def uni3d(folder: Path, dtype: torch.dtype = torch.float32, **sizes: float) -> Specialist:
    """Make Uni3D of any width and depth."""
    from omnibind_core.specialists.uni3d import Uni3D, network

    smaller = test_uni3d.SMALLER | sizes
    keys = {name: (tuple(t.shape), str(t.dtype)[6:]) for name, t in network(**smaller).state_dict().items()}
    torch.save({"module": filled(keys)}, folder / "uni3d.pt")
    return Uni3D(find("uni3d_g_lvis")[0], {"model": folder / "uni3d.pt"}, CPU, dtype, **smaller)


def _eva_clip(folder: Path) -> Specialist:
    return eva_clip(folder)


def eva_clip(folder: Path, dtype: torch.dtype = torch.float32, **sizes: tuple[int, int]) -> Specialist:
    """Make EVA-CLIP of any width and depth."""
    from omnibind_core.specialists._eva_clip import Size, network
    from omnibind_core.specialists.eva_clip_18b import EvaClip

    small = {"wide": (64, 48), "layers": (2, 2), "heads": (4, 3), "inner": (320, 192)} | sizes
    size = Size(side=56, out=64, **small)
    state = filled({name: (tuple(t.shape), "float32") for name, t in network(size).state_dict().items()})
    spec = find("eva_clip_18b")[0]
    files = {role: folder / f"{role}.bin" for role in spec.weights}
    for i, path in enumerate(files.values()):
        torch.save({name: state[name] for name in sorted(state)[i::8]}, path)
    return EvaClip(spec, files, CPU, dtype, size)


MAKERS: Mapping[str, Callable[[Path], Specialist]] = {
    "wavcaps": _wavcaps,
    "clap_general": _clap("clap_general"),
    "clap_music": _clap("clap_music"),
    "imagebind_huge": _imagebind,
    "eva02_e14_plus": _open_clip("eva02_e14_plus"),
    "dfn_h14": _open_clip("dfn_h14"),
    "siglip_l_384": _open_clip("siglip_l_384"),
    "siglip2_so400m_384": _open_clip("siglip2_so400m_384"),
    "uni3d_g": _uni3d,
    "eva_clip_18b": _eva_clip,
}
