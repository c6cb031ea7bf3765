"""What an input costs in each preset, counted on the meta device: exact, in seconds, without weights or memory.

Ours runs each tower that the input needs once, and sentences only as far as they go. The published inference
(zehanwang01/OmniBind, ``omni_model``) runs every member's own tower: each Uni3D member runs EVA02-E's again, SigLIP
runs its other tower on a dummy, and most pad sentences to their full length. What both do alike outside of matrix
products (decoding, spectrograms, grouping of points, norms) is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from omnibind_core.machine.interception import Interception, is_lookup
from omnibind_core.presets.preset import HeadSpec, Preset, load_preset
from omnibind_core.specialists.registry import all_specs, find
from omnibind_core.types import MODALITIES, Modality

__all__ = [
    "PIECES",
    "Work",
    "family",
    "heads_bytes",
    "is_counted",
    "is_published",
    "meta_network",
    "ours",
    "parameters",
    "published",
    "table",
    "work",
]

PIECES = 12  # of a sentence such as "a small dog barks at the postman twice", marks of start and end included
_META = torch.device("meta")
_HIDDEN = 2048  # of the published heads
# Places that the published inference pads a sentence to; elsewhere it is as long as the sentence.
_PADDED = dict.fromkeys(("clap_general", "clap_music", "imagebind_huge", "eva02_e14_plus", "dfn_h14"), 77)
_BOTH_WAYS = {"siglip_l_384", "siglip_so400m_384"}  # always padded: padding counts
_WHOLE = {*_BOTH_WAYS, "mobileclip2_s0"}
_PARTNERS: Mapping[Modality, Modality] = {"image": "text", "text": "image"}


@dataclass(frozen=True)
class Work:
    """What one input costs.

    Attributes
    ----------
    operations : int
        Floating-point operations of matrix products and convolutions; a multiplication and an addition are two.
    weights : int
        Numbers of the weights that are read; two bytes each in bfloat16. Tables of
        words are not counted, for a few rows of them are looked up.
    """

    operations: int = 0
    weights: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.operations + other.operations, self.weights + other.weights)


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, device=_META)


def _pieces(count: int) -> Tensor:
    return torch.ones((1, count), dtype=torch.int64, device=_META)


@dataclass(frozen=True)
class _Runs:
    """A network on the meta device, and for each modality what embeds one input of so many pieces."""

    network: nn.Module
    by_modality: Mapping[Modality, Callable[[int], object]]


def _wavcaps(name: str) -> _Runs:
    from omnibind_core.specialists import wavcaps
    from omnibind_core.specialists._htsat import features

    net: Any = wavcaps.network()
    mel = _empty(1, 1, 1001, 64)  # 10 s
    return _Runs(
        net,
        {
            "audio": lambda _: net.audio_proj(features(net.audio_encoder, mel)),
            "text": lambda n: net.text_proj(net.text_encoder(input_ids=_pieces(n)).last_hidden_state[:, 0]),
        },
    )


def _clap(name: str) -> _Runs:
    from omnibind_core.specialists import clap
    from omnibind_core.specialists._htsat import features

    net: Any = clap.network(name)
    mel = _empty(1, 1, 1001, 64)  # 10 s, which are not fused
    return _Runs(
        net,
        {
            "audio": lambda _: net.audio_projection(features(net.audio_branch, mel)),
            "text": lambda n: net.text_projection(net.text_branch(input_ids=_pieces(n)).pooler_output),
        },
    )


def _clap_unfused(name: str) -> _Runs:
    from omnibind_core.specialists.clap_unfused import network

    net: Any = network()
    mel = _empty(1, 1, 1001, 64)

    def text(count: int) -> object:
        # As its forward does, which first looks at the pieces' numbers.
        embedded = net.text_model.embeddings(_pieces(count))
        return net.text_projection(net.text_model.pooler(net.text_model.encoder(embedded)[0]))

    return _Runs(
        net,
        {
            "audio": lambda _: net.audio_projection(net.audio_model(mel).pooler_output),
            "text": text,
        },
    )


def _imagebind(name: str) -> _Runs:
    from omnibind_core.specialists._imagebind import BANKS, FRAMES, SIDE, ImageBindSize, Towers

    with _META:
        net = Towers(ImageBindSize())
    return _Runs(
        net,
        {
            "image": lambda _: net("vision", _empty(1, 3, SIDE, SIDE)),
            "audio": lambda _: net("audio", _empty(3, 1, BANKS, FRAMES)),  # three clips
            "text": lambda n: net("text", _pieces(n)),
        },
    )


def _open_clip(name: str) -> _Runs:
    from omnibind_core.specialists._causal import encode_text
    from omnibind_core.specialists.open_clip_towers import configuration, network

    config = configuration(name)
    net: Any = network(config)
    side, longest = config["vision_cfg"]["image_size"], config["text_cfg"]["context_length"]

    def text(count: int) -> Tensor:
        embedded: Tensor = net.encode_text(_pieces(longest)) if name in _WHOLE else encode_text(net, _pieces(count))
        return embedded

    return _Runs(
        net,
        {
            "image": lambda _: net.encode_image(_empty(1, 3, side, side)),
            "text": text,
        },
    )


def _uni3d(name: str) -> _Runs:
    from omnibind_core.specialists.uni3d import network

    net: Any = network()
    return _Runs(net, {"point": lambda _: net.point_encoder(_empty(1, 512, 3), _empty(1, 512, 64, 6))})


def _eva_clip(name: str) -> _Runs:
    from omnibind_core.specialists._eva_clip import network

    net: Any = network()
    return _Runs(
        net,
        {
            "image": lambda _: net.visual_projection(net.vision_model(_empty(1, 3, 224, 224))),
            "text": lambda n: net.text_projection(net.text_model(_pieces(n))),
        },
    )


def _minilm(name: str) -> _Runs:
    from omnibind_core.specialists.minilm import network

    net = network()
    return _Runs(net, {"text": lambda n: net(_pieces(n), torch.ones((1, n), dtype=torch.bool, device=_META))})


def _efficientnet(name: str) -> _Runs:
    from omnibind_core.specialists.efficientnet_lite import network

    net, side = network(name)
    return _Runs(net, {"image": lambda _: net.forward_features(_empty(1, 3, side, side))})


def _aisfx(name: str) -> _Runs:
    from omnibind_core.specialists.aisfx import Network

    with _META:
        net = Network()
    return _Runs(net, {"audio": lambda _: net(_empty(1, 431, 96))})  # 10 s


def _whisper(name: str) -> _Runs:
    from omnibind_core.specialists.whisper_tiny import network

    net = network()
    return _Runs(net, {"audio": lambda _: net(_empty(1, 80, 1000))})  # 10 s


def _points(name: str) -> _Runs:
    from omnibind_core.specialists.point_encoder import GROUPS, Network

    with _META:
        net = Network()
    return _Runs(net, {"point": lambda _: net(_empty(1, GROUPS, 16, 9))})


_FAMILIES: Mapping[str, Callable[[str], _Runs]] = {
    "minilm": _minilm,
    "efficientnet_lite": _efficientnet,
    "aisfx": _aisfx,
    "whisper_tiny": _whisper,
    "point_encoder": _points,
    "wavcaps": _wavcaps,
    "clap": _clap,
    "imagebind": _imagebind,
    "open_clip_towers": _open_clip,
    "uni3d": _uni3d,
    "eva_clip_18b": _eva_clip,
    "mobileclip": _open_clip,
    "clap_unfused": _clap_unfused,
}
_PUBLISHED = ("base", "large", "full")


@cache
def _runs(name: str) -> _Runs:
    made = _FAMILIES[family(name)](name)
    made.network.eval().requires_grad_(False)
    return made


@cache
def _counted(name: str) -> tuple[int, dict[tuple[Modality, int], Work]]:
    """Count a specialist's weights and all its runs at once, for making its network takes longer than counting."""
    from torch.utils.flop_counter import FlopCounterMode

    made = _runs(name)
    found: dict[tuple[Modality, int], Work] = {}
    for modality, pieces in ((m, n) for m in made.by_modality for n in {PIECES, _PADDED.get(name, PIECES)}):
        weights: dict[int, int] = {}

        def read(function: Any, tensor: Tensor, weights: dict[int, int] = weights) -> Tensor:
            if not is_lookup(function):
                weights[id(tensor)] = tensor.numel()
            return tensor

        counter = FlopCounterMode(display=False)
        with torch.inference_mode(), counter, Interception(made.network.parameters(), read):
            made.by_modality[modality](pieces)
        found[modality, pieces] = Work(counter.get_total_flops(), sum(weights.values()))
    return sum(parameter.numel() for parameter in made.network.parameters()), found


def work(name: str, modality: Modality, pieces: int = PIECES) -> Work:
    """Count one run of one specialist's tower.

    Parameters
    ----------
    name : str
        A specialist of the published presets or of lite.
    modality : Modality
        One picture, one sound of 10 s, one shape of 10,000 points, or one sentence.
    pieces : int
        Length of the sentence, for towers that do not pad it to their full length: `PIECES`, or what the published
        inference pads it to.

    """
    if family(name) == "point_words":  # its head is as small as those that are not counted
        return work(find(name)[0].shares[0], modality)
    if family(name) == "shape_views":
        from omnibind_core.specialists.shape_views import VIEWS

        seen = work(find(name)[0].shares[0], "image")
        return Work(len(VIEWS) * seen.operations, seen.weights)
    return _counted(_twin(name))[1][modality, pieces]


def parameters(name: str) -> int:
    """Count the parameters of a specialist's network, of the published presets or of lite."""
    return _counted(_twin(name))[0]


def meta_network(name: str) -> nn.Module:
    """Make the network of a published specialist, in its full size, without weights or memory."""
    return _runs(_twin(name)).network


@cache
def _published() -> frozenset[str]:
    return frozenset(tower for preset in _PUBLISHED for tower in load_preset(preset).specialists())


def is_published(name: str) -> bool:
    """Whether `name` is a specialist of the published presets, which are large enough to need a memory plan."""
    return name in _published()


def is_counted(name: str) -> bool:
    """Whether the runs of a specialist can be counted here: those of all presets that ship."""
    spec = find(name)[0]
    shared = family(name) in {"shape_views", "point_words"}
    return family(name) in _FAMILIES or (shared and is_counted(spec.shares[0]))


def family(name: str) -> str:
    """Name of the module that a specialist comes from."""
    return getattr(find(name)[1], "__module__", "").rpartition(".")[2]


def _twin(name: str) -> str:
    """First specialist with the same network: three trainings of one cost the same."""
    spec, build = find(name)
    specs = all_specs().values()
    alike = (one.name for one in specs if one.parameters == spec.parameters and find(one.name)[1] is build)
    return next(alike)


def _head_numbers(preset: Preset, space: str, head: HeadSpec) -> int:
    """Count the weights of one space's projectors of the published form; lite's are half as wide, so at most these."""
    return head.count * _HIDDEN * (preset.spaces[space].width + preset.width) if head.kind == "mlp" else 0


def heads_bytes(preset: Preset) -> int:
    """Bytes of all projectors of a preset in memory, each once."""
    distinct = {(name, head) for name, space in preset.spaces.items() for head in space.heads.values()}
    itemsize: int = getattr(torch, preset.dtype).itemsize
    return itemsize * sum(_head_numbers(preset, name, head) for name, head in distinct)


def heads(preset: Preset, modality: Modality) -> Work:
    """Count the projectors of one input, the same on both sides; the routers are next to nothing."""
    spaces = preset.spaces_of(modality)
    numbers = sum(_head_numbers(preset, name, preset.spaces[name].heads[modality]) for name in spaces)
    return Work(2 * numbers, numbers)


def ours(preset: Preset, modality: Modality) -> Work:
    """Count one input in our inference: each tower once, and only the one that the input needs."""
    return sum((work(name, modality) for name in preset.towers_of(modality)), heads(preset, modality))


def published(preset: Preset, modality: Modality) -> Work:
    """Count one input in the published inference: every space's own tower, SigLIP's other tower, padding.

    Its spaces of a modality are all that have a tower for it: full runs the Uni3D members' picture towers too, although
    its router has no use for them.
    """
    total = heads(preset, modality)
    for space in preset.spaces.values():
        if modality not in space.towers:
            continue
        tower = space.towers[modality]
        total += work(tower, modality, _PADDED.get(tower, PIECES))
        if tower in _BOTH_WAYS:
            total += work(tower, _PARTNERS[modality])
    return total


def table(preset: Preset) -> dict[Modality, tuple[Work, Work]]:
    """Count all modalities: {modality: (published, ours)}."""
    return {modality: (published(preset, modality), ours(preset, modality)) for modality in MODALITIES}
