"""Gaussian splats: points whose colour is a harmonic of degree 0, plain or packed as editors on the web write them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from omnibind_core.media.notices import note
from omnibind_core.media.shapes import Doubles, Points

__all__ = ["COLOURS", "PACKED", "seen", "unpacked"]

_FIRST = ("f_dc_0", "f_dc_1", "f_dc_2")
COLOURS = frozenset(_FIRST)
"""Columns that make a point a splat."""
PACKED = frozenset({"packed_position", "packed_color"})
"""Columns of splats whose numbers are packed into 32 bits, in chunks that have bounds of their own."""

_HARMONIC = 0.28209479177387814  # of degree 0: what a splat's first colour coefficient is multiplied with
_VISIBLE = 0.1  # opacity below which a splat is hardly seen
_CHUNK = 256  # splats that share bounds


def seen(xyz: Doubles, columns: Mapping[str, NDArray[np.float64]]) -> Points:
    """Give the splats that can be seen, with their colours.

    Parameters
    ----------
    xyz : ndarray, shape (n, 3), float64
        Places.
    columns : mapping of str to ndarray, shape (n,), float64
        `COLOURS`, and the opacity before its sigmoid where it is there.
    """
    first = np.column_stack([columns[name] for name in _FIRST])
    rgb = np.clip(np.nan_to_num(0.5 + _HARMONIC * first), 0.0, 1.0).astype(np.float32)
    if "opacity" not in columns:
        return Points(xyz, rgb)
    with np.errstate(over="ignore"):
        visible = 1.0 / (1.0 + np.exp(-columns["opacity"])) >= _VISIBLE
    if visible.sum() < max(8, len(visible) // 100) or visible.all():
        return Points(xyz, rgb)
    note(f"{int((~visible).sum()):,} of {len(visible):,} splats are nearly transparent and were left out")
    return Points(xyz[visible], rgb[visible])


def unpacked(
    columns: Mapping[str, NDArray[np.float64]], chunks: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Unpack places, colours and opacities: 11, 10 and 11 bits between a chunk's bounds, and 8 bits each.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (n,), float64
        `PACKED`, as whole numbers.
    chunks : mapping of str to ndarray, shape (m,), float64
        min_x, max_x and so on of every 256 splats; min_r, max_r and so on in newer files.

    Returns
    -------
    dict of str to ndarray, shape (n,), float64
        What a file that is not packed has.

    Raises
    ------
    KeyError, IndexError
        Bounds are missing.
    """
    place, paint = (columns[name].astype(np.int64) for name in ("packed_position", "packed_color"))
    owner = np.arange(len(place)) // _CHUNK

    def between(axis: str, share: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = (chunks[f"{end}_{axis}"][owner] for end in ("min", "max"))
        return np.asarray(low + share * (high - low), np.float64)

    found = {
        "x": between("x", (place >> 21 & 2047) / 2047),
        "y": between("y", (place >> 11 & 1023) / 1023),
        "z": between("z", (place & 2047) / 2047),
    }
    for name, axis, shift in zip(_FIRST, "rgb", (24, 16, 8), strict=True):
        share = (paint >> shift & 255) / 255
        found[name] = ((between(axis, share) if f"min_{axis}" in chunks else share) - 0.5) / _HARMONIC
    alpha = np.clip((paint & 255) / 255, 1e-6, 1 - 1e-6)
    found["opacity"] = np.log(alpha / (1 - alpha))
    return found
