"""Pictures, sounds and thumbnails: from a source's bytes to the files in assets/gallery."""

from __future__ import annotations

import io
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from omnibind_core.types import FloatArray

__all__ = [
    "decode_sound",
    "espeak",
    "fluidsynth",
    "picture",
    "picture_thumbnail",
    "save_picture",
    "save_sound",
    "shape_thumbnail",
    "sound",
    "sound_thumbnail",
]

Samples: TypeAlias = NDArray[np.float64]
"""Mono, shape (n,), full scale is -1 to 1."""

PICTURE_SIDE = 640  # pixels
SMALLEST = 256  # pixels; the larger side of the smallest cut-outs
THUMBNAIL_SIDE = 256  # pixels
RATE = 44_100  # Hz; lower rates are kept, the lowest raised to 22,050
LONGEST = 10.0  # seconds
PEAK = 10 ** (-1 / 20)  # -1 dBFS
ACCENT = (0x6D, 0x5E, 0xF5)
PALE = (0xB9, 0xB3, 0xFF)


def picture(data: bytes) -> Image.Image:
    """Decode a picture for the gallery.

    Parameters
    ----------
    data : bytes
        A picture file; of an animation, the first frame.

    Returns
    -------
    PIL.Image.Image
        RGB. Cut-outs are cropped and set on white with a margin; at most 640 pixels, small ones doubled, tiny ones 256.
    """
    opened = Image.open(io.BytesIO(data))
    opened.seek(0)
    image: Image.Image = opened
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        box = image.getchannel("A").point(lambda a: 255 if a > 8 else 0).getbbox()
        image = image.crop(box)
        margin = round(0.06 * max(image.size))
        sheet = Image.new("RGBA", (image.width + 2 * margin, image.height + 2 * margin), "white")
        sheet.alpha_composite(image, (margin, margin))
        image = sheet
    image = image.convert("RGB")
    scale = min(PICTURE_SIDE / max(image.size), max(2.0, SMALLEST / max(image.size)))
    if scale != 1.0:
        wide, high = (max(1, round(s * scale)) for s in image.size)
        image = image.resize((wide, high), Image.Resampling.LANCZOS)
    return image


def save_picture(image: Image.Image, path: Path) -> None:
    """Write a JPEG and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=88, optimize=True, progressive=True)


def picture_thumbnail(image: Image.Image, path: Path) -> None:
    """Write a square WebP of 256 pixels: photographs cropped, cut-outs (white corners) padded with white.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB.
    path : Path
        Where to; its folder is made.
    """
    if np.asarray(image)[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 245:
        side = max(image.size)
        sheet = Image.new("RGB", (side, side), "white")
        sheet.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    else:
        side = min(image.size)
        left, top = _sharpest(image, side), (image.height - side) // 3
        sheet = image.crop((left, top, left + side, top + side))
    _save_thumbnail(sheet, path)


def _sharpest(image: Image.Image, side: int) -> int:
    """Left edge of the square window with most detail, which is where photographs have their subject.

    Windows away from the middle must earn it: their detail counts up to a quarter less.
    """
    spare = image.width - side
    if spare <= 0:
        return 0
    grey = np.asarray(image.convert("L"), np.float32)
    detail = np.abs(np.diff(grey, axis=1)[:-1]) + np.abs(np.diff(grey, axis=0)[:, :-1])
    columns = np.square(np.minimum(detail, 60.0)).sum(0)
    sums = np.concatenate([[0.0], np.cumsum(columns)])
    lefts = np.arange(0, spare, 4)
    score = (sums[lefts + side - 1] - sums[lefts]) * (1.0 - 0.25 * np.abs(2.0 * lefts / spare - 1.0))
    return int(lefts[score.argmax()])


def _save_thumbnail(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    for quality, clear in ((82, 90), (70, 60), (55, 40), (40, 20), (25, 10), (12, 5)):
        image.save(path, "WEBP", quality=quality, alpha_quality=clear, method=4)
        if path.stat().st_size < 14_000:
            return


def decode_sound(data: bytes) -> tuple[Samples, int]:
    """Decode a sound file, with ffmpeg where libsndfile does not know the format.

    Returns
    -------
    tuple of ndarray and int
        The mean of its channels, shape (n,), float64, and the rate in Hz.

    Raises
    ------
    subprocess.CalledProcessError
        ffmpeg cannot read it either.
    """
    try:
        samples, rate = soundfile.read(io.BytesIO(data), always_2d=True, dtype="float64")
    except soundfile.LibsndfileError:
        command = ["ffmpeg", "-v", "error", "-i", "-", "-f", "wav", "-"]
        wav = subprocess.run(command, input=data, capture_output=True, check=True).stdout
        samples, rate = soundfile.read(io.BytesIO(wav), always_2d=True, dtype="float64")
    return samples.mean(1), rate


def sound(samples: Samples, rate: int, options: Mapping[str, Any]) -> tuple[FloatArray, int]:
    """Trim, cut, perhaps repeat, fade where cut, and normalise.

    Parameters
    ----------
    samples : ndarray, shape (n,), float64
        Mono, not silent.
    rate : int
        In Hz.
    options : mapping
        ``start``, ``length`` and ``gap`` in seconds, ``repeat`` a number of times; see :mod:`tools.gallery.sounds`.

    Returns
    -------
    tuple of ndarray and int
        Samples, shape (m,), float32, with their peak at -1 dBFS, and the rate: 22,050 to 44,100 Hz.
    """
    if rate > RATE:
        samples, rate = soxr.resample(samples, rate, RATE), RATE
    if rate < RATE // 2:
        samples, rate = soxr.resample(samples, rate, RATE // 2), RATE // 2
    samples = samples - samples.mean()
    start = int(options.get("start", 0) * rate)
    samples = _trim(samples[start:], rate)
    longest = min(options.get("length", LONGEST), LONGEST)
    if len(samples) > longest * rate:
        samples = samples[: int(longest * rate)].copy()
        fade = min(len(samples), int(0.4 * rate))
        samples[-fade:] *= np.linspace(1, 0, fade) ** 2
    if options.get("repeat"):
        edge = min(len(samples) // 4, int(0.01 * rate))
        once = samples.copy()
        once[:edge] *= np.linspace(0, 1, edge)
        once[-edge:] *= np.linspace(1, 0, edge)
        silence = np.zeros(int(options.get("gap", 0.5) * rate))
        samples = np.concatenate([np.concatenate([once, silence])] * options["repeat"])
        samples = samples[: len(samples) - len(silence)]
    return (samples * (PEAK / np.abs(samples).max())).astype(np.float32), rate


def _trim(samples: Samples, rate: int) -> Samples:
    """Cut silence (below -48 dB of the peak) off either end, save 50 ms."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (-48 / 20))
    margin = int(0.05 * rate)
    return samples[max(0, loud[0] - margin) : loud[-1] + margin]


def save_sound(samples: FloatArray, rate: int, path: Path) -> None:
    """Write OGG Vorbis, in pieces: libsndfile's encoder fails on very long single writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", samplerate=rate, channels=1, format="OGG", subtype="VORBIS") as out:
        for at in range(0, len(samples), 32_768):
            out.write(samples[at : at + 32_768])


def sound_thumbnail(samples: FloatArray, path: Path) -> None:
    """Draw waveform bars in the accent colour, brighter where the sound is; transparent around.

    Parameters
    ----------
    samples : ndarray, shape (n,), float32
        Mono, not silent.
    path : Path
        Where the WebP goes; its folder is made.
    """
    bars, gap, scale = 40, 2, 3
    side = THUMBNAIL_SIDE * scale
    pieces = np.array_split(samples, bars)
    power = np.array([np.sqrt(np.mean(np.square(p))) if len(p) else 0.0 for p in pieces])
    level = np.clip(1 + 20 * np.log10(power / power.max() + 1e-6) / 42, 0.05, 1.0) ** 1.4
    image = Image.new("RGBA", (side, side), (*ACCENT, 0))
    draw = ImageDraw.Draw(image)
    margin = 12 * scale
    step = (side - 2 * margin) / bars
    for index, height in enumerate(level):
        left = margin + index * step + gap * scale / 2
        right = margin + (index + 1) * step - gap * scale / 2
        half = max(3 * scale, height * (side / 2 - 28 * scale))
        tint = 0.35 + 0.65 * float(height)
        colour = tuple(round(deep * tint + pale * (1 - tint)) for deep, pale in zip(ACCENT, PALE, strict=True))
        draw.rounded_rectangle((left, side / 2 - half, right, side / 2 + half), (right - left) / 2, (*colour, 255))
    _save_thumbnail(image, path)


def shape_thumbnail(drawing: NDArray[np.uint8], path: Path) -> None:
    """Set a rendered shape over a soft shadow, transparent around.

    Parameters
    ----------
    drawing : ndarray, shape (h, w, 4), uint8
        RGBA, twice as large as the thumbnail.
    path : Path
        Where the WebP goes; its folder is made.
    """
    image = Image.fromarray(drawing)
    shadow = image.getchannel("A").point(lambda a: a * 70 // 255).filter(ImageFilter.GaussianBlur(image.width / 40))
    sheet = Image.new("RGBA", image.size, (40, 36, 80, 0))
    sheet.putalpha(shadow)
    below = Image.new("RGBA", image.size, (40, 36, 80, 0))
    below.alpha_composite(sheet, (0, image.width // 64))
    below.alpha_composite(image)
    _save_thumbnail(below, path)


def _midi(program: int, keys: Sequence[int], beat: float = 0.42) -> bytes:
    """Write a MIDI file of one track: each key for one beat (in seconds); the last one longer."""
    ticks = round(beat * 960)  # 480 ticks a quarter, 120 quarters a minute

    def delta(value: int) -> bytes:
        out = [value & 0x7F]
        while value := value >> 7:
            out.append(0x80 | (value & 0x7F))
        return bytes(reversed(out))

    body = b"\0" + bytes([0xC0, program])
    for index, key in enumerate(keys):
        length = ticks * 3 if index == len(keys) - 1 else ticks
        body += b"\0" + bytes([0x90, key, 104]) + delta(length) + bytes([0x80, key, 0])
    body += b"\0\xff\x2f\0"
    return struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, 480, b"MTrk", len(body)) + body


def fluidsynth(font: Path, program: int, keys: Sequence[int]) -> tuple[Samples, int]:
    """Play a phrase in General MIDI.

    Parameters
    ----------
    font : Path
        A SoundFont 2 file.
    program : int
        Instrument, counted from 0.
    keys : sequence of int
        MIDI keys; 60 is the middle C.

    Returns
    -------
    tuple of ndarray and int
        As :func:`decode_sound`.

    Raises
    ------
    OSError, subprocess.CalledProcessError
        fluidsynth is not installed, or failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        score, out = Path(scratch) / "score.mid", Path(scratch) / "out.wav"
        score.write_bytes(_midi(program, keys))
        command = ["fluidsynth", "-ni", "-g", "0.7", "-r", str(RATE), "-F", str(out), str(font), str(score)]
        subprocess.run(command, check=True, capture_output=True)
        return decode_sound(out.read_bytes())


def espeak(voice: str, sentence: str) -> tuple[Samples, int]:
    """Let a synthetic voice read a sentence.

    Parameters
    ----------
    voice : str
        A name that espeak-ng knows, e.g. ``"en-gb"``.
    sentence : str
        What to say.

    Returns
    -------
    tuple of ndarray and int
        As :func:`decode_sound`.

    Raises
    ------
    OSError, subprocess.CalledProcessError
        espeak-ng is not installed, or failed.
    """
    command = ["espeak-ng", "-v", voice, "-s", "150", "--stdout", sentence]
    return decode_sound(subprocess.run(command, check=True, capture_output=True).stdout)
