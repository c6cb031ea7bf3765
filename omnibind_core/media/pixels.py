"""From any mode of Pillow to 8-bit RGB: depth, size, transparency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.media import limits
from omnibind_core.media.notices import note

__all__ = ["blank", "fractions", "plain", "spread"]

_TO_8_BITS = (np.arange(65_536) / 257).round().astype(np.uint8)
_DEPTHS = (255, 1_023, 4_095, 65_535)  # 8, 10, 12 and 16 bits, of what is stored in 16 or 32
_INVISIBLE = 8  # largest alpha of a picture whose transparency is a mistake
_BLANK = 3.0  # standard deviation of a channel, of 255
_STRIP = 128  # rows of a reduced picture made at a time
_PALE = 40  # of 255 below white: less does not show on white
_SHOWS = 0.05  # of what is drawn that must show on white


def plain(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Bring a picture to 8-bit RGB of at most `limits.KEEP_PIXELS`, each mode on purpose.

    Parameters
    ----------
    picture : PIL.Image.Image
        Of any mode; transparency as Pillow has it, or a colour in its information.
    """
    picture = _eight_bits(picture)
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        return _on_ground(_smaller(picture, "RGBA"))
    return _smaller(picture, "RGB")  # palette, grey, 1 bit, CMYK, YCbCr, LAB


def _eight_bits(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Scale 16 bits, which convert() would clip at 255, and fractions."""
    key = picture.info.get("transparency")
    if picture.mode.startswith("I"):
        wide = np.asarray(picture)
        grey = PIL.Image.fromarray(_TO_8_BITS[_sixteen_bits(wide)])
        if isinstance(key, int):
            grey = PIL.Image.merge("LA", [grey, PIL.Image.fromarray(np.where(wide == key, 0, 255).astype(np.uint8))])
        return grey
    if picture.mode == "F":  # Pillow's own range is 0..255; files of fractions have 0..1
        return PIL.Image.fromarray(fractions(np.asarray(picture)))
    if isinstance(key, tuple) and max(key) > 255:  # of a 16-bit PNG, whose samples Pillow has halved by now
        picture = picture.copy()
        picture.info["transparency"] = tuple(value >> 8 for value in key)
    return picture


def fractions(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bring fractions of any range to 0..255: of any shape, said where they are measurements, not brightness."""
    finite = np.isfinite(values)
    if not finite.all():
        values = np.where(finite, values, values[finite].min(initial=0.0))
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if low < 0.0 or high > 255.0:
        note(f"values of {low:g} to {high:g} are brought to black to white")
        return np.asarray(((values - low) * (255.0 / (high - low))).round(), np.uint8)
    return np.asarray((values * (255.0 if 0.0 < high <= 1.0 else 1.0)).round(), np.uint8)


def _sixteen_bits(wide: NDArray[Any]) -> NDArray[np.uint16]:
    """Bring whole numbers to 0..65535: of cameras that fill 8 to 12 bits of 16, and of files of 32."""
    low, high = int(wide.min(initial=0)), int(wide.max(initial=0))
    full = next((most for most in _DEPTHS if high <= most), high)
    if low >= 0 and full == _DEPTHS[-1]:
        return wide.astype(np.uint16)
    if low >= 0 and full < _DEPTHS[-1] and high:
        note(f"{full.bit_length()} bits are read: no value is above {full:,}")
    elif high or low:
        note(f"values of {low:,} to {high:,} are brought to black to white")
    low = min(low, 0)
    return ((wide.astype(np.float32) - low) * (65_535 / max(full - low, 1))).round().astype(np.uint16)


def _smaller(picture: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    """Convert, and reduce by a whole number where there are more pixels than any tower looks at.

    In strips, for copies of the whole would cost three times its memory.
    """
    factor = math.ceil(math.sqrt(picture.width * picture.height / limits.KEEP_PIXELS))
    if factor < 2:
        return picture.convert(mode)
    across, down = min(factor, picture.width), min(factor, picture.height)
    small = PIL.Image.new(mode, (-(-picture.width // across), -(-picture.height // down)))
    for top in range(0, small.height, _STRIP):
        bottom = min((top + _STRIP) * down, picture.height)
        strip = picture.crop((0, top * down, picture.width, bottom)).convert(mode)
        small.paste(strip.reduce((across, down)), (0, top))
    return small


def _on_ground(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Lay RGBA on the ground that shows what is drawn: white, but black for what is white itself."""
    pixels = np.asarray(picture)
    alpha = pixels[..., 3]
    if int(alpha.max(initial=0)) < _INVISIBLE and spread(pixels[..., :3]) >= _BLANK:
        note("the picture is transparent everywhere: its transparency is ignored")
        return picture.convert("RGB")
    ground = "white"
    drawn = alpha >= 128
    if drawn.any() and not drawn.all():
        shows = pixels[..., :3].min(axis=2) < 255 - _PALE
        if np.count_nonzero(shows & drawn) < _SHOWS * np.count_nonzero(drawn):
            note("white on a transparent ground: seen on black")
            ground = "black"
    return PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, ground), picture).convert("RGB")


def spread(rgb: NDArray[np.uint8]) -> float:
    """Largest standard deviation of a channel, looked at on a grid of at most 256 x 256 pixels."""
    rows, columns = (max(side // 256, 1) for side in rgb.shape[:2])
    return float(rgb[::rows, ::columns].reshape(-1, rgb.shape[2]).std(axis=0).max(initial=0.0))


def blank(rgb: NDArray[np.uint8]) -> bool:
    """Whether nothing is to be seen."""
    return spread(rgb) < _BLANK
