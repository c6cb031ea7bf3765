"""ImageBind-huge: pictures, sounds and sentences in one space. Its licence forbids commercial use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor
from torch.nn.functional import pad

from omnibind_core.errors import WeightsError
from omnibind_core.media.audio import resample
from omnibind_core.specialists._causal import cut
from omnibind_core.specialists._fbank import FRAME, RATE, fbank
from omnibind_core.specialists._imagebind import BANKS, FRAMES, LONGEST, SIDE, ImageBindSize, Towers, names_to_read
from omnibind_core.specialists._meta import empty, pieces
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists._training_file import load_exactly
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import HubFile
from omnibind_core.types import Audio, Modality

__all__ = ["SPECS", "ImageBind", "build", "clips", "pixels", "runs"]

_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's, of 0..1
_SECONDS = 2  # of a clip
_SOUND_MEAN, _SOUND_DEVIATION = -4.268, 9.138  # of AudioSet's filter bank energies
_BATCH = 16
_NAMES: Mapping[Modality, str] = {"image": "vision", "audio": "audio", "text": "text"}

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="imagebind_huge",
        title="ImageBind-huge",
        widths={"audio": 1024, "image": 1024, "text": 1024},
        weights={
            "model": HubFile("nielsr/imagebind-huge", "model.safetensors", "72fdc699f73107650d658d1ca5d8261a371a2112")
        },
        licence="CC-BY-NC-SA-4.0",
        paper="Girdhar et al., ImageBind, arXiv 2305.05665",
        source="Meta's imagebind_huge.pth as safetensors, in nielsr/imagebind-huge; not for commercial use",
        parameters=1_073_097_728,
        bytes_per_parameter=4.5,  # float32, and other senses' towers
        published_pieces=77,
    ),
)


def pixels(rgb: NDArray[np.uint8]) -> Tensor:
    """Scale a picture's shorter side to 224, take the middle, and scale its values as CLIP does.

    Parameters
    ----------
    rgb : ndarray, shape (h, w, 3), uint8
        sRGB.

    Returns
    -------
    Tensor, shape (3, 224, 224), float32
        About -2..3.
    """
    height, width = rgb.shape[:2]
    shorter = min(height, width)
    size = (int(SIDE * width / shorter), int(SIDE * height / shorter))
    left, top = (round((side - SIDE) / 2) for side in size)
    picture = Pillow.fromarray(rgb).resize(size, Pillow.Resampling.BICUBIC)
    values = np.asarray(picture.crop((left, top, left + SIDE, top + SIDE)), np.float32) / 255.0
    scaled = (values - np.asarray(_MEAN, np.float32)) / np.asarray(_DEVIATION, np.float32)
    return torch.from_numpy(scaled).permute(2, 0, 1)


def clips(samples: Tensor) -> Tensor:
    """Cut the first, middle and last two seconds out of a sound and give their filter bank energies.

    Parameters
    ----------
    samples : Tensor, shape (n,), float32
        At 16 kHz.

    Returns
    -------
    Tensor, shape (3 or 1, 1, 128, 204), float32
        Scaled to AudioSet's mean and deviation, followed by zeros before scaling; one where the sound is not longer
        than two seconds, for the three would be equal.
    """
    # Seconds in exact fractions of floats, cut to samples: so published, and often one sample before the even third.
    spare = Fraction(max(len(samples) / RATE - _SECONDS, 0.0))
    starts = [spare * i / 2 for i in range(3)] if spare else [spare]
    made = []
    for start in starts:
        clip = samples[int(start * RATE) : int((start + _SECONDS) * RATE)]
        energies = fbank(pad(clip, (0, max(0, FRAME - len(clip)))))
        made.append(pad(energies, (0, 0, 0, FRAMES - len(energies))).mT)
    return ((torch.stack(made) - _SOUND_MEAN) / _SOUND_DEVIATION)[:, None]


class ImageBind(Tower):
    """Pictures, sounds and sentences -> unit rows of width 1024.

    Parameters
    ----------
    spec : SpecialistSpec
        `SPECS`'s.
    files : mapping of str to Path
        "model": safetensors.
    device : torch.device
        Where it computes.
    dtype : torch.dtype
        In what it computes.
    size : ImageBindSize, optional
        The published size, or a smaller one to test with.

    Raises
    ------
    WeightsError
        The file is damaged or does not fit.
    """

    def __init__(
        self,
        spec: SpecialistSpec,
        files: Mapping[str, Path],
        device: torch.device,
        dtype: torch.dtype,
        size: ImageBindSize | None = None,
    ) -> None:
        from safetensors import SafetensorError, safe_open

        self.spec = spec
        self._device, self._dtype = device, dtype
        self._tokenizer: Any = None
        with torch.device("meta"):
            towers = Towers(size or ImageBindSize())
        try:
            with safe_open(files["model"], framework="pt") as file:  # reads only the tensors asked for
                state = {name: file.get_tensor(name).to(device, dtype) for name in names_to_read(file.keys(), towers)}
        except (SafetensorError, OSError) as error:
            raise WeightsError(
                f"{files['model'].name} cannot be read ({error})", "the published safetensors", "fetch it again"
            ) from error
        load_exactly(towers, state, spec.title, assign=True)
        self._towers = towers.eval().requires_grad_(False)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed pictures, sounds or sentences.

        Parameters
        ----------
        modality : Modality
            ``"image"``, ``"audio"`` or ``"text"``.
        items : sequence of Image, Audio or Text
            At least one. Of a sound, three clips of 2 s are heard; sentences are cut after 77 pieces.

        Returns
        -------
        Tensor, shape (n, 1024), float32
            Unit rows.
        """
        if modality == "audio":
            return torch.cat([self._sound(item) for item in items])
        rows = []
        for start in range(0, len(items), _BATCH):
            chosen = items[start : start + _BATCH]
            if modality == "image":
                batch = torch.stack([pixels(item.rgb) for item in chosen]).to(self._device, self._dtype)
            else:
                batch = self.pieces([item.text for item in chosen])
            rows.append(unit(self._towers(_NAMES[modality], batch)))
        return torch.cat(rows)

    def pieces(self, texts: Sequence[str]) -> Tensor:
        """Give CLIP's byte pairs: (n, length of the longest, at most 77) int64, padded with 0."""
        if self._tokenizer is None:
            import_torchvision()
            from open_clip.tokenizer import SimpleTokenizer

            self._tokenizer = SimpleTokenizer(context_length=LONGEST)
        ids: Tensor = self._tokenizer(list(texts))
        return cut(ids).to(self._device)

    def _sound(self, item: Audio) -> Tensor:
        if item.left is not None:  # faithful: the published code takes the first channel
            item = replace(item, samples=item.left)
        samples = torch.from_numpy(np.ascontiguousarray(resample(item, RATE))).to(self._device)
        rows = unit(self._towers("audio", clips(samples).to(self._dtype)))
        return unit(rows.mean(0, keepdim=True))


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> ImageBind:
    """Load the three towers from their local file (role "model"); other senses' towers are not read.

    Raises
    ------
    WeightsError
        The file is damaged or does not fit the network exactly.
    """
    return ImageBind(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    with torch.device("meta"):
        net = Towers(ImageBindSize())
    return Runs(
        net,
        {
            "image": lambda _: net("vision", empty(1, 3, SIDE, SIDE)),
            "audio": lambda _: net("audio", empty(3, 1, BANKS, FRAMES)),  # three clips
            "text": lambda n: net("text", pieces(n)),
        },
    )
