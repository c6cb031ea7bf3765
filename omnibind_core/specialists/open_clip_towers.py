"""Image-text towers that open_clip builds: EVA02-CLIP-E-14+, DFN5B ViT-H-14, SigLIP at 384 pixels and SigLIP 2."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image
import torch
from torch import Tensor, nn

from omnibind_core.errors import WeightsError
from omnibind_core.specialists._causal import cut, encode_text
from omnibind_core.specialists._meta import empty, pieces
from omnibind_core.specialists._strict import fill
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import HubFile, read_tensors
from omnibind_core.types import Modality

__all__ = [
    "SIGLIP",
    "SIGLIP_2",
    "SPECS",
    "OpenClipTower",
    "Pieces",
    "build",
    "configuration",
    "network",
    "runs",
    "siglip_tokenizer",
]

_BATCH: Mapping[str, int] = {"image": 8, "text": 32}
_SIGLIP_LENGTH = 64
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Pieces:
    """How a SigLIP reads sentences: 64 pieces, of which the last is the end even of one that is cut.

    big_vision calls this ``tokenize(max_len=64, eos="sticky")``.

    Attributes
    ----------
    title : str
        Whose.
    end, padding : tuple of (str, int)
        The piece that ends a sentence and the one that fills it up, each with its number.
    punctuation : bool
        Whether it is read; capitals never are.
    """

    title: str
    end: tuple[str, int]
    padding: tuple[str, int]
    punctuation: bool

    def clean(self, text: str) -> str:
        """Give what is read of a sentence."""
        # As transformers' SiglipTokenizer and Siglip2Tokenizer. open_clip takes punctuation from both, but SigLIP 2 was
        # trained on lower case alone (arXiv 2502.14786).
        return text.lower() if self.punctuation else " ".join(text.lower().translate(_PUNCTUATION).split())


SIGLIP = Pieces("SigLIP", ("</s>", 1), ("</s>", 1), punctuation=False)
SIGLIP_2 = Pieces("SigLIP 2", ("<eos>", 1), ("<pad>", 0), punctuation=True)
"""Gemma's pieces, of many languages."""


@dataclass(frozen=True)
class _Recipe:
    """How open_clip calls a network and its weights.

    Attributes
    ----------
    model : str
        Name of open_clip's model configuration.
    tag : str
        Name of its weights; they settle size, mean, deviation, interpolation and how a picture is made square.
    siglip : Pieces, optional
        How SigLIP reads sentences, both ways: padding is seen too, and all places run; None for others. SigLIP
        computes GELU by its tanh approximation, as big_vision trained it and as transformers' SiglipModel, which the
        published OmniBind runs, does; open_clip's configuration of 2023 leaves GELU exact.
    """

    model: str
    tag: str
    siglip: Pieces | None = None


_RECIPES: Mapping[str, _Recipe] = {
    "eva02_e14_plus": _Recipe("EVA02-E-14-plus", "laion2b_s9b_b144k"),
    "dfn_h14": _Recipe("ViT-H-14-quickgelu", "dfn5b"),
    "siglip_l_384": _Recipe("ViT-L-16-SigLIP-384", "webli", siglip=SIGLIP),
    "siglip_so400m_384": _Recipe("ViT-SO400M-14-SigLIP-384", "webli", siglip=SIGLIP),
    "siglip2_b32_256": _Recipe("ViT-B-32-SigLIP2-256", "webli", siglip=SIGLIP_2),
    "siglip2_so400m_384": _Recipe("ViT-SO400M-16-SigLIP2-384", "webli", siglip=SIGLIP_2),
}

_SIGLIP_PAPER = "Zhai, Mustafa, Kolesnikov and Beyer, Sigmoid Loss for Language Image Pre-Training, arXiv 2303.15343"
_SIGLIP_2_PAPER = (
    "Tschannen et al., SigLIP 2: Multilingual Vision-Language Encoders with Improved Semantic Understanding, "
    "Localization, and Dense Features, arXiv 2502.14786"
)
_L_REVISION = "306cc288a5a625ac50e0516a0df5ed17fee33699"
_SO400M_REVISION = "9a9cf937c9944727bd49787baa7ea78c1363a999"

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="eva02_e14_plus",
        title="EVA02-CLIP-E-14+",
        widths={"image": 1024, "text": 1024},
        weights={
            "model": HubFile(
                "timm/eva02_enormous_patch14_plus_clip_224.laion2b_s9b_b144k",
                "open_clip_model.safetensors",
                "0162f50c2742be3c90b3a81e4e8066fc5a90e125",
            )
        },
        licence="MIT",
        paper="Sun, Fang, Wu, Wang and Cao, EVA-CLIP: Improved Training Techniques for CLIP at Scale, arXiv 2303.15389",
        source="BAAI's EVA02_CLIP_E_psz14_plus_s9B (LAION-2B), in open_clip's form on the Hub under timm/",
        parameters=5_044_889_089,
        bytes_per_parameter=2.0,  # its file is bfloat16, 10.1 GB
        published_pieces=77,
    ),
    SpecialistSpec(
        name="dfn_h14",
        title="DFN5B CLIP ViT-H-14",
        widths={"image": 1024, "text": 1024},
        weights={
            "model": HubFile(
                "apple/DFN5B-CLIP-ViT-H-14", "open_clip_pytorch_model.bin", "60f1032137f6fff2b4b847cea7a9b7f82c9dfafe"
            )
        },
        licence="LicenseRef-Apple-Sample-Code",
        paper="Fang et al., Data Filtering Networks, arXiv 2309.17425",
        source="Apple's ViT-H-14 at 224 pixels (DFN-5B), on the Hub as apple/DFN5B-CLIP-ViT-H-14",
        parameters=986_109_441,
        published_pieces=77,
    ),
    SpecialistSpec(
        name="siglip_l_384",
        title="SigLIP ViT-L-16-384",
        widths={"image": 1024, "text": 1024},
        weights={
            "model": HubFile(
                "timm/ViT-L-16-SigLIP-384",
                "open_clip_model.safetensors",
                _L_REVISION,
                sha256="cb93064778814979fb20377f38dda9d451e4b5a50cd6e83bdecb9438c563ad88",
            ),
            "tokenizer": HubFile("timm/ViT-L-16-SigLIP-384", "tokenizer.json", _L_REVISION),
        },
        licence="Apache-2.0",
        paper=_SIGLIP_PAPER,
        source="Google's SigLIP L/16 at 384 pixels (WebLI), in open_clip's form on the Hub under timm/",
        parameters=652_478_466,
        published_pair=True,
    ),
    SpecialistSpec(
        name="siglip_so400m_384",
        title="SigLIP ViT-SO400M-14-384",
        widths={"image": 1152, "text": 1152},
        weights={
            "model": HubFile(
                "timm/ViT-SO400M-14-SigLIP-384",
                "open_clip_model.safetensors",
                _SO400M_REVISION,
                sha256="97faeafa0576c1ba4c92bae739ca06ef5f5d0c2db92f86a6086653d82a262043",
            ),
            "tokenizer": HubFile("timm/ViT-SO400M-14-SigLIP-384", "tokenizer.json", _SO400M_REVISION),
        },
        licence="Apache-2.0",
        paper=_SIGLIP_PAPER,
        source="Google's SigLIP SO400M/14 at 384 pixels (WebLI), in open_clip's form on the Hub under timm/",
        parameters=877_960_498,
        published_pair=True,
    ),
    SpecialistSpec(
        name="siglip2_b32_256",
        title="SigLIP 2 ViT-B-32-256",
        widths={"image": 768, "text": 768},
        # No list of these repositories' commits could be read when this was written: "main" until one is known.
        weights={
            "model": HubFile("timm/ViT-B-32-SigLIP2-256", "open_clip_model.safetensors", "main"),
            "tokenizer": HubFile("timm/ViT-B-32-SigLIP2-256", "tokenizer.json", "main"),
        },
        licence="Apache-2.0",
        paper=_SIGLIP_2_PAPER,
        source="Google's SigLIP 2 B/32 at 256 pixels (WebLI), in open_clip's form on the Hub under timm/",
        parameters=376_856_066,
    ),
    SpecialistSpec(
        name="siglip2_so400m_384",
        title="SigLIP 2 ViT-SO400M-16-384",
        widths={"image": 1152, "text": 1152},
        weights={
            "model": HubFile("timm/ViT-SO400M-16-SigLIP2-384", "open_clip_model.safetensors", "main"),
            "tokenizer": HubFile("timm/ViT-SO400M-16-SigLIP2-384", "tokenizer.json", "main"),
        },
        licence="Apache-2.0",
        paper=_SIGLIP_2_PAPER,
        source="Google's SigLIP 2 SO400M/16 at 384 pixels (WebLI), in open_clip's form on the Hub under timm/",
        parameters=1_136_039_602,
    ),
)


def configuration(name: str) -> dict[str, Any]:
    """Give open_clip's own model configuration of a specialist: a fresh copy, in the form of its JSON files."""
    import_torchvision()
    import open_clip

    found: dict[str, Any] = open_clip.get_model_config(_RECIPES[name].model)
    return found


def network(config: Mapping[str, Any], *, siglip: bool = False) -> nn.Module:
    """Make a network of open_clip's without weights or memory.

    Parameters
    ----------
    config : mapping
        As :func:`configuration` gives it.
    siglip : bool
        Compute every GELU by its tanh approximation.

    Returns
    -------
    nn.Module
        With ``encode_image`` and ``encode_text``, on the meta device.
    """
    import_torchvision()
    import open_clip

    arguments = {key: value for key, value in config.items() if key != "custom_text"}
    with torch.device("meta"):
        made: nn.Module = (open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP)(**arguments)
    if siglip:
        for layer in made.modules():
            if isinstance(layer, nn.GELU):
                layer.approximate = "tanh"
    return made


def siglip_tokenizer(file: Path, vocabulary: int, pieces: Pieces = SIGLIP) -> Callable[[Sequence[str]], Tensor]:
    """Read SigLIP's tokenizer from its own file; open_clip would ask the Hub for it.

    Parameters
    ----------
    file : Path
        ``tokenizer.json``.
    vocabulary : int
        How many pieces the network knows; the file may list unused ones beyond them.
    pieces : Pieces
        Which SigLIP's.

    Returns
    -------
    callable
        Sentences -> (n, 64) int64 pieces, cut or padded.

    Raises
    ------
    WeightsError
        The file is damaged, or of another vocabulary.
    """
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    try:
        made = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise WeightsError(
            f"tokenizer {file.name} cannot be read ({str(error)[:200]})", "the published file", "fetch it again"
        ) from error
    (end, end_id), (padding, padding_id) = pieces.end, pieces.padding
    if made.get_vocab_size() < vocabulary or (made.token_to_id(end), made.token_to_id(padding)) != (end_id, padding_id):
        raise WeightsError(
            f"a tokenizer of {made.get_vocab_size():,} pieces, {end} being {made.token_to_id(end)}",
            f"{pieces.title}'s, of {vocabulary:,} pieces or more, {end} being {end_id} and {padding} {padding_id}",
            "fetch it again",
        )
    # A file says where sentences begin and end as its own program last left it; Gemma's own begin with <bos>.
    made.post_processor = TemplateProcessing(single=f"$A {end}", special_tokens=[pieces.end])
    made.enable_truncation(_SIGLIP_LENGTH)
    made.enable_padding(length=_SIGLIP_LENGTH, pad_id=padding_id, pad_token=padding)

    def tokenize(texts: Sequence[str]) -> Tensor:
        return torch.tensor([coded.ids for coded in made.encode_batch([pieces.clean(text) for text in texts])])

    return tokenize


class OpenClipTower(Tower):
    """Pictures and sentences -> unit rows in one space; an input runs the one tower that it needs."""

    def __init__(
        self,
        spec: SpecialistSpec,
        files: Mapping[str, Path],
        device: torch.device,
        dtype: torch.dtype,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        recipe = _RECIPES[spec.name]
        config = config or configuration(spec.name)
        import open_clip
        from open_clip.transform import PreprocessCfg, image_transform_v2

        self.spec = spec
        self._device, self._dtype = device, dtype
        published = open_clip.get_pretrained_cfg(recipe.model, recipe.tag)
        names = ("mean", "std", "interpolation", "resize_mode")
        square = PreprocessCfg(size=config["vision_cfg"]["image_size"], **{name: published[name] for name in names})
        self._prepare = image_transform_v2(square, is_train=False)
        self._tokenize: Callable[[list[str]], Tensor] = (
            siglip_tokenizer(files["tokenizer"], config["text_cfg"]["vocab_size"], recipe.siglip)
            if recipe.siglip
            else open_clip.SimpleTokenizer(context_length=config["text_cfg"]["context_length"])
        )
        empty = network(config, siglip=recipe.siglip is not None)
        self._network: Any = fill(empty, [read_tensors(files["model"])], spec.title, device, dtype)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed pictures or sentences.

        Parameters
        ----------
        modality : Modality
            ``"image"`` or ``"text"``.
        items : sequence of Image or Text
            At least one; pictures of any sizes, sentences are cut after 77 pieces (SigLIP: 64).

        Returns
        -------
        Tensor, shape (n, spec.widths[modality]), float32
            Unit rows.
        """
        run = self._pictures if modality == "image" else self._sentences
        size = _BATCH[modality]
        return torch.cat([unit(run(items[start : start + size])) for start in range(0, len(items), size)])

    def _pictures(self, items: Sequence[Any]) -> Tensor:
        pixels = torch.stack([self._prepare(PIL.Image.fromarray(item.rgb)) for item in items])  # (n, 3, side, side)
        features: Tensor = self._network.encode_image(pixels.to(self._device, self._dtype))
        return features

    def _sentences(self, items: Sequence[Any]) -> Tensor:
        tokens = self._tokenize([item.text for item in items])
        if not _RECIPES[self.spec.name].siglip:
            return encode_text(self._network, cut(tokens).to(self._device))
        features: Tensor = self._network.encode_text(tokens.to(self._device))
        return features


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> OpenClipTower:
    """Load the towers from their local files (role "model"; SigLIP also "tokenizer").

    Raises
    ------
    WeightsError
        Where the weights do not fit the network exactly.
    """
    return OpenClipTower(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    config = configuration(name)
    net: Any = network(config)
    side, longest = config["vision_cfg"]["image_size"], config["text_cfg"]["context_length"]

    def text(count: int) -> Tensor:
        whole = _RECIPES[name].siglip is not None
        embedded: Tensor = net.encode_text(pieces(longest)) if whole else encode_text(net, pieces(count))
        return embedded

    return Runs(net, {"image": lambda _: net.encode_image(empty(1, 3, side, side)), "text": text})
