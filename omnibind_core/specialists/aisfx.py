"""aiSFX: a convolutional network trained on sound effects libraries, the ears of the offline preset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from omnibind_core.errors import WeightsError
from omnibind_core.media.audio import resample, windows
from omnibind_core.specialists._meta import empty
from omnibind_core.specialists.base import Runs, Specialist, SpecialistSpec, Tower, unit
from omnibind_core.store.weights import WheelMember
from omnibind_core.types import Audio, FloatArray, Modality

__all__ = ["RATE", "SPECS", "AiSfx", "build", "compress", "log_mel", "mel_filters", "mel_power", "runs"]

RATE = 44_100  # Hz
_FFT, _HOP, _BINS = 2048, 1024, 96
_BLOCK = 100  # frames the network was trained on: 2.3 s
_STRIDE = 8  # frames of a place of the last layer: three poolings by two
_LOG_SCALE = 9.457798957824707  # the largest log mel of the authors' training sounds
# Root mean square that every sound is brought to; full scale is 1. So low a level puts faint noise below the
# logarithm's knee: of 770 recordings, the nearest in another group of packages had the right label first / among five
# for 18 / 40 %, against 18 / 38 % at 0.1 and 17 / 38 % at their own levels. Anything from 0.0005 to 0.01 does.
_LEVEL = 1e-3
_QUIETEST = 1e-6  # digital silence is left alone
_STAGES = (64, 128, 256, 512)  # channels

SPECS: tuple[SpecialistSpec, ...] = (
    SpecialistSpec(
        name="aisfx",
        title="aiSFX",
        widths={"audio": _STAGES[-1]},
        weights={
            "model": WheelMember(
                "aisfx",
                "0.1.2",
                "aisfx/models/checkpoint.pth",
                "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
                24_900_277,
            )
        },
        licence="CC-BY-4.0",
        paper="Ma and Lerch, Representation Learning for the Automatic Indexing of Sound Effects Libraries, ISMIR 2022",
        source="A. B. Ma and A. Lerch's X-Sequential-CE checkpoint, in the wheel aisfx 0.1.2",
        parameters=4_686_144,
    ),
)


@cache
def mel_filters() -> FloatArray:
    """Triangular filters on the mel scale, each of unit sum.

    Returns
    -------
    ndarray, shape (96, 1025), float32
        Weights of the FFT's bins, 0 to 22050 Hz, in rows from low to high. Equal to librosa's
        ``filters.mel(htk=True, norm=1)``: mel = 2595 log10(1 + Hz / 700), triangles straight over Hz. They are not
        asked of librosa, whose import makes one search by a sound on the command line take 3.9 s instead of 2.4.
    """
    top = 2595.0 * np.log10(1.0 + RATE / 2 / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(0.0, top, _BINS + 2) / 2595.0) - 1.0)
    hertz = np.linspace(0.0, RATE / 2, _FFT // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.maximum(0.0, np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)))
    filters: FloatArray = (triangles / triangles.sum(1, keepdims=True)).astype(np.float32)
    return filters


def mel_power(samples: FloatArray) -> Tensor:
    """Power in each mel band over time, of the sound brought to one loudness.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32
        At 44.1 kHz, any level and at least one sample.

    Returns
    -------
    Tensor, shape (frames, 96), float32
        Squared magnitudes under an unscaled Hann window, not negative; ``frames = 1 + n // 1024``.
    """
    wave = torch.from_numpy(np.ascontiguousarray(samples))
    wave = wave * (_LEVEL / wave.square().mean().sqrt().clamp(min=_QUIETEST))
    spectrum = torch.stft(
        wave, _FFT, _HOP, window=torch.hann_window(_FFT), center=True, pad_mode="constant", return_complex=True
    )
    power = torch.view_as_real(spectrum).square().sum(-1)  # (1025, frames)
    return (torch.from_numpy(mel_filters()) @ power).mT


def compress(power: Tensor) -> Tensor:
    """Spectrogram that the network reads: (frames, 96) powers -> (frames, 96) float32, at most about 1.

    The authors' settings. Their constant 9.4578 fits only squared magnitudes of an unscaled window: a full scale tone
    of amplitude 1 then reaches log10(1 + 10000 * 512**2) = 9.42.
    """
    return torch.log10(1.0 + 10_000.0 * power) / _LOG_SCALE


def log_mel(samples: FloatArray) -> Tensor:
    """Spectrogram of a sound at 44.1 kHz as the network reads it: (n,) float32 -> (frames, 96) float32."""
    return compress(mel_power(samples))


def fit(mel: Tensor) -> Tensor:
    """Repeat a short spectrogram until it fills a block: (frames, 96) -> (frames or 100, 96).

    With silence after the sound instead, the right label was among the five nearest of those 770 for 35 %, not 40 %.
    """
    short = len(mel)
    return mel if short >= _BLOCK else mel.repeat(-(-_BLOCK // short), 1)[:_BLOCK]


class Network(nn.Module):
    """Four stages of two convolutions each; evaluation only, so batch norms are folded into the convolutions."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, *_STAGES)
        self.first = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths))
        self.second = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for width in _STAGES)

    def load(self, published: Mapping[str, Tensor]) -> None:
        """Take the published weights.

        Raises
        ------
        WeightsError
            A tensor is missing or has another shape.
        """
        state: dict[str, Tensor] = {}
        try:
            for s in range(len(_STAGES)):
                stage = f"embedding_net.conv_block{s + 1}"
                for theirs, ours in (("1", f"first.{s}"), ("2", f"second.{s}")):
                    norm = f"{stage}.bn{theirs}"
                    scale = published[f"{norm}.weight"] / torch.sqrt(published[f"{norm}.running_var"] + 1e-5)
                    shift = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * scale
                    state[f"{ours}.weight"] = published[f"{stage}.conv{theirs}.weight"] * scale[:, None, None, None]
                    state[f"{ours}.bias"] = shift
            self.load_state_dict(state, strict=True)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"an aiSFX checkpoint that does not fit ({error})", "the published one", "run `make setup` again"
            ) from error

    def forward(self, x: Tensor) -> list[Tensor]:
        """Give the maps after each stage: (n, frames, 96) -> (n, channels, frames / s, 96 / s), s = 2, 4, 8, 8."""
        x = x[:, None].contiguous(memory_format=torch.channels_last)
        maps: list[Tensor] = []
        for first, second in zip(self.first, self.second, strict=True):
            x = torch.relu_(second(torch.relu_(first(x))))
            if len(maps) < len(_STAGES) - 1:
                x = torch.max_pool2d(x, 2)
            maps.append(x)
        return maps


def summarise(last: Tensor) -> Tensor:
    """Embedding of each block that lies in a sound: (1, 512, places, bins) -> (blocks, 512) float32.

    The network takes the mean over pitch and the largest value over time of a block of 100 frames. It is
    convolutional, so a longer sound passes through it whole, and blocks are cut from its last layer, each half over
    the next: the same as cutting them before, but for the silence that each block's edges would have met.
    """
    line = last.float().mean(3)  # (1, 512, places)
    places = min(_BLOCK // _STRIDE, line.shape[2])
    starts = [*range(0, line.shape[2] - places, places // 2 or 1), line.shape[2] - places]
    return torch.stack([line[0, :, start : start + places].amax(1) for start in starts])


class AiSfx(Tower):
    """Sounds -> unit rows of width 512."""

    def __init__(
        self, spec: SpecialistSpec, files: Mapping[str, Path], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.spec = spec
        self._device, self._dtype = device, dtype
        network = Network()
        network.load(_checkpoint(files["model"]))
        self._network: Any = network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network.eval().requires_grad_(False)

    @torch.inference_mode()
    def maps(self, mel: Tensor) -> list[Tensor]:
        """Run one spectrogram through the network.

        Parameters
        ----------
        mel : Tensor, shape (frames, 96), float32
            From :func:`log_mel`; short ones are repeated to 100 frames.

        Returns
        -------
        list of Tensor, shape (1, channels, frames / s, 96 / s)
            After each stage, in the specialist's own dtype: 64, 128, 256, 512 channels, s = 2, 4, 8, 8.
        """
        maps: list[Tensor] = self._network(fit(mel)[None].to(self._device, self._dtype))
        return maps

    @torch.inference_mode()
    def features(self, mel: Tensor) -> Tensor:
        """Mean embedding of a spectrogram's blocks, not scaled: (frames, 96) -> (512,) float32, not negative."""
        return summarise(self.maps(mel)[-1]).mean(0)

    def _embed(self, modality: Modality, items: Sequence[Any]) -> Tensor:
        """Embed sounds.

        Parameters
        ----------
        modality : Modality
            ``"audio"``.
        items : sequence of Audio
            At least one, of any rate and length; a sound over 10 s is the mean of its windows of 10 s.

        Returns
        -------
        Tensor, shape (n, 512), float32
            Unit rows.
        """
        rows = []
        for item in items:
            parts = [self.features(log_mel(resample(part, RATE))) for part in _parts(item)]
            rows.append(torch.stack(parts).mean(0))
        return unit(torch.stack(rows))


def _parts(item: Audio) -> list[Audio]:
    return windows(item, 10.0)


def _checkpoint(path: Path) -> Mapping[str, Tensor]:
    # Beside the weights lies a table of training sets with their class counts, as numpy integers.
    allowed = [np.dtype, np.dtypes.Int64DType, _numpy_scalar()]
    with torch.serialization.safe_globals(allowed):
        published, _ = torch.load(path, map_location="cpu", weights_only=True)
    state: Mapping[str, Tensor] = published
    return state


def _numpy_scalar() -> Any:
    """Numpy's own maker of scalars, under the name that the file calls it by; numpy 2 keeps it elsewhere."""
    maker = np.int64(0).__reduce__()[0]
    return (maker, "numpy.core.multiarray.scalar")


def build(
    spec: SpecialistSpec,
    files: Mapping[str, Path],
    shared: Mapping[str, Specialist],
    device: torch.device,
    dtype: torch.dtype,
) -> AiSfx:
    """Load the network; the checkpoint's class heads are left behind, for their labels were not published."""
    return AiSfx(spec, files, device, dtype)


def runs(name: str) -> Runs:
    """Say what one input runs, to be counted: see :class:`omnibind_core.specialists.base.Runs`."""
    with torch.device("meta"):
        net = Network()
    return Runs(net, {"audio": lambda _: net(empty(1, 431, _BINS))})  # 10 s
