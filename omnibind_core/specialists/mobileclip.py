"""MobileCLIP2-S0: pictures and sentences in one space, small enough for a laptop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omnibind_core.specialists.base import Specialist, SpecialistSpec
from omnibind_core.specialists.open_clip_towers import OpenClipTower, runs
from omnibind_core.store.weights import HubFile

__all__ = ["SPECS", "MobileClip", "build", "runs"]

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="mobileclip2_s0",
        title="MobileCLIP2-S0",
        widths={"image": 512, "text": 512},
        weights={
            "model": HubFile(
                "timm/MobileCLIP2-S0-OpenCLIP",
                "open_clip_model.safetensors",
                "095906d28bf54d7584dc411e8ffe448f34289e05",
                sha256="ab91a1a0c4330d6b1913e24d5035dfdea15423316aaec649610c6b1c6ddd0e95",
            )
        },
        # LICENSE_MODELS of github.com/apple/ml-mobileclip: "exclusively for Research Purposes", which it calls
        # "non-commercial scientific research and academic development".
        licence="LicenseRef-Apple-AMLR-non-commercial-research",
        paper="Faghri et al., MobileCLIP2: Improving Multi-Modal Reinforced Training, arXiv 2508.20691",
        source="Apple's MobileCLIP2-S0 (DFNDR-2B), in open_clip's form on the Hub under timm/",
        parameters=74_835_073,
    ),
)


class MobileClip(OpenClipTower):
    """Pictures and sentences -> unit rows of width 512.

    Its sentences are read both ways: padding is seen too, so that all 77 places run. The branches beside each
    convolution of the picture tower, which only training needs, are folded into it.
    """

    def __init__(
        self,
        spec: SpecialistSpec,
        files: Mapping[str, Path],
        device: torch.device,
        dtype: torch.dtype,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        # Folded in float32: sums of branches would lose digits in bfloat16.
        super().__init__(spec, files, torch.device("cpu"), torch.float32, config)
        from timm.utils import reparameterize_model

        self._network.visual = reparameterize_model(self._network.visual)
        self._network.to(device=device, dtype=dtype)
        self._device, self._dtype = device, dtype

    def _sentences(self, items: Sequence[Any]) -> Tensor:
        features: Tensor = self._network.encode_text(self._tokenize([item.text for item in items]).to(self._device))
        return features


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> MobileClip:
    """Load the towers from their local file (role "model").

    Raises
    ------
    WeightsError
        Where the weights do not fit the network exactly.
    """
    return MobileClip(spec, files, device, dtype)
