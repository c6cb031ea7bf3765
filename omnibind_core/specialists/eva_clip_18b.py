"""EVA-CLIP-18B: the largest image-text space of the full preset, from its published parts, without remote code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

from omnibind_core.specialists._causal import cut
from omnibind_core.specialists._eva_clip import Size, network
from omnibind_core.specialists._meta import empty, pieces
from omnibind_core.specialists._strict import fill
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import HubFile, read_tensors
from omnibind_core.types import FloatArray, Modality

__all__ = ["SPECS", "EvaClip", "build", "runs", "square"]

_BATCH: Mapping[str, int] = {"image": 4, "text": 32}
# The published OmniBind cuts sentences here (max_length=42 of its tokenizer), though the tower has 77 positions.
_LONGEST = 42
# CLIPImageProcessor of openai/clip-vit-large-patch14, which the model card and the published OmniBind use.
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)

_REVISION = "5b689bfaf07126664d69a9947161a2196d0a2f06"
# (sha256, bytes) of the eight parts, where they are known; float32, 73 GB together.
_PARTS: tuple[tuple[str | None, int | None], ...] = (
    ("1ec7002740fab190d5909ee7ebe485a790330b2d94133c0ee0e95702821a618b", 9_606_255_379),
    ("48548c6676d68ba075dd1e2d2b45185f580185eff14acec97eb634f64b0b2bf9", 9_752_970_989),
    ("2e3c3635f191da8c38f862cc4f65acb30866b3ac017d778258e79222bd03c959", 9_962_746_627),
    ("fac1ea641f860bd041310ff74def0a7e1df48581d9b80e0ee40286cbe9499669", None),
    ("9be4f9ed186acebecd15785a8e9bba7151634b7d2c3d78f4e70ec158fa0bdf64", None),
    (None, None),
    ("86ecce4ce28c8c9702c2514943444b9c337c6b84ddab3ee19b9cbadb5adbfb77", None),
    ("a843a775ace6152b46c44dcefb11eb6367aa4d58de050a7bb580800e7992b3fb", None),
)

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="eva_clip_18b",
        title="EVA-CLIP-18B",
        widths={"image": 1536, "text": 1536},
        weights={
            f"part_{i}": HubFile("BAAI/EVA-CLIP-18B", f"pytorch_model-{i:05}-of-00008.bin", _REVISION, *known)
            for i, known in enumerate(_PARTS, 1)
        },
        licence="Apache-2.0",
        paper="Sun et al., EVA-CLIP-18B: Scaling CLIP to 18 Billion Parameters, arXiv 2402.04252",
        source="BAAI's EVA-CLIP-18B in transformers' form, on the Hub as BAAI/EVA-CLIP-18B",
        parameters=18_325_482_240,
    ),
)


def square(rgb: NDArray[np.uint8], side: int) -> FloatArray:
    """Prepare a picture as CLIPImageProcessor does: shorter side to `side` (bicubic), middle cut out, normalised.

    Parameters
    ----------
    rgb : ndarray, shape (h, w, 3), uint8
        sRGB.
    side : int
        Pixels.

    Returns
    -------
    ndarray, shape (3, side, side), float32
        About -2..2.
    """
    height, width = rgb.shape[:2]
    short = min(height, width)
    scaled = (int(side * width / short), int(side * height / short))
    left, top = ((length - side) // 2 for length in scaled)
    image = PIL.Image.fromarray(rgb).resize(scaled, PIL.Image.Resampling.BICUBIC)
    pixels = np.asarray(image.crop((left, top, left + side, top + side)), np.float32)
    prepared: FloatArray = ((pixels / 255 - _MEAN) / _DEVIATION).transpose(2, 0, 1)
    return prepared


class EvaClip(Tower):
    """Pictures and sentences -> unit rows of width 1536; an input runs the one tower that it needs."""

    def __init__(
        self,
        spec: SpecialistSpec,
        files: Mapping[str, Path],
        device: torch.device,
        dtype: torch.dtype,
        size: Size | None = None,
    ) -> None:
        import_torchvision()
        from open_clip import SimpleTokenizer  # CLIP's, bundled

        self.spec = spec
        self._device, self._dtype = device, dtype
        self._size = size or Size()
        self._tokenize: Any = SimpleTokenizer(context_length=_LONGEST)
        # One part in memory at a time: each is 10 GB in float32.
        parts = (read_tensors(files[role]) for role in spec.weights)
        self._network: Any = fill(network(self._size), parts, spec.title, device, dtype)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed pictures or sentences.

        Parameters
        ----------
        modality : Modality
            ``"image"`` or ``"text"``.
        items : sequence of Image or Text
            At least one; pictures of any sizes, sentences are cut after 42 pieces.

        Returns
        -------
        Tensor, shape (n, 1536), float32
            Unit rows.
        """
        run = self._pictures if modality == "image" else self._sentences
        size = _BATCH[modality]
        return torch.cat([unit(run(items[start : start + size])) for start in range(0, len(items), size)])

    def _pictures(self, items: Sequence[Any]) -> Tensor:
        pixels = torch.from_numpy(np.stack([square(item.rgb, self._size.side) for item in items]))
        made = self._network
        features: Tensor = made.visual_projection(made.vision_model(pixels.to(self._device, self._dtype)))
        return features

    def _sentences(self, items: Sequence[Any]) -> Tensor:
        tokens = cut(self._tokenize([item.text for item in items]))
        made = self._network
        features: Tensor = made.text_projection(made.text_model(tokens.to(self._device)))
        return features


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> EvaClip:
    """Load the towers from the local files of their parts (roles "part_1" to "part_8").

    Raises
    ------
    WeightsError
        Where the weights do not fit the network exactly.
    """
    return EvaClip(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net: Any = network()
    return Runs(
        net,
        {
            "image": lambda _: net.visual_projection(net.vision_model(empty(1, 3, 224, 224))),
            "text": lambda n: net.text_projection(net.text_model(pieces(n))),
        },
    )
