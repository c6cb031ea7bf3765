"""Where a query is, drawn: heat over a picture with the best box, a strip over a sound, a shape by parts."""

from __future__ import annotations

from dataclasses import replace
from html import escape

import numpy as np
from numpy.typing import NDArray

from demo.html.icons import icon
from demo.html.pictures import webp
from demo.state import Ingredient
from omnibind_core.search.localise import Located
from omnibind_core.types import Audio, FloatArray, Image, PointCloud

__all__ = ["bare", "coloured", "place", "spot", "verdict"]

_SIDE = 720  # pixels of a picture's longer side
_SHOWN = 560  # pixels that this side takes on the page at most
_BARS = 120
_HINT = "Click a place to search with it alone"
_SCORE = "Of this place and what is looked for, after what all things here have in common is taken away"
_HOT, _COLD = np.array([109, 94, 245]) / 255, np.array([0.62, 0.62, 0.66])


def bare(picture: Image) -> str:
    """Draw a picture before anything is looked for: nothing is far, and there is no place yet."""
    return _figure(_thumbnail(picture), "The picture that is looked into")


def place(found: Located, media: Image | Audio | PointCloud, query: Ingredient) -> str:
    """Draw where a query is; of a shape only the words, as the viewer shows it (:func:`coloured`)."""
    return _drawn(found, media) + verdict(found, query)


def spot(found: Located, media: Image | Audio | PointCloud) -> str:
    """Draw a place that is searched with alone, `found.best`, and say where it is."""
    said = f'<p class="ob-subject"><span><b>This place alone</b>: {escape(_where(found))}</span></p>'
    return _drawn(found, media) + said


def _drawn(found: Located, media: Image | Audio | PointCloud) -> str:
    if isinstance(media, Image):
        return _picture(found, media)
    return _strip(found, media) if isinstance(media, Audio) else ""


def verdict(found: Located, query: Ingredient) -> str:
    """Say where it is in words, and offer to search with that place."""
    where = _where(found)
    if not found.near:
        where = f"probably not in it; the nearest is {where}"
    return (
        f'<p class="ob-subject">{icon(query.modality)}<span><b>{escape(query.label)}</b>: {escape(where)}</span>'
        f'<small title="{_SCORE}">cosine {found.score:+.2f}; 0 means unrelated</small></p>'
        f'<p class="ob-spot"><button data-act="place">{icon("search")}Search with this place alone</button></p>'
    )


def _where(found: Located) -> str:
    if found.modality == "image":
        left, top, right, bottom = found.best
        across = ("left", "middle", "right")[min(2, int(1.5 * (left + right)))]
        down = ("top", "middle", "bottom")[min(2, int(1.5 * (top + bottom)))]
        where = f"{down} {across}"
        if down == "middle":
            where = "in the middle" if across == "middle" else f"at the {across}"
    elif found.modality == "audio":
        where = f"from {found.best[0]:.1f} to {found.best[1]:.1f} s"
    else:
        count = len(found.parts)
        where = "it is all one part" if count == 1 else f"part {int(found.best[0]) + 1} of {count}, the coloured one"
    return where


def _scaled(heat: FloatArray) -> FloatArray:
    """Bring heat to 0..1, so that the nearest place always shows: how near it is stands in words."""
    low, high = float(heat.min()), float(heat.max())
    if high - low < 1e-6:  # all of it is the place
        return np.ones_like(heat, np.float32)
    scaled: FloatArray = ((heat - low) / (high - low)).astype(np.float32)
    return scaled


def _thumbnail(image: Image) -> NDArray[np.uint8]:
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image.rgb)
    picture.thumbnail((_SIDE, _SIDE))
    return np.asarray(picture)


def _figure(rgb: NDArray[np.uint8], alt: str, inside: str = "") -> str:
    """Write a picture of its own width, so that what is `inside` lies over it and nothing else."""
    height, width = rgb.shape[:2]
    return (
        f'<figure class="ob-place" data-spot title="{_HINT}" '
        f'style="width:{_SHOWN * width // max(width, height)}px">'
        f'<img src="{webp(rgb, (width, height))}" alt="{alt}">{inside}</figure>'
    )


def _picture(found: Located, image: Image) -> str:
    from PIL import Image as Pillow

    rgb = _thumbnail(image).astype(np.float32)
    heat = Pillow.fromarray((255 * _scaled(found.heat)).astype(np.uint8)).resize(
        (rgb.shape[1], rgb.shape[0]), Pillow.Resampling.BICUBIC
    )
    share = (np.asarray(heat, np.float32) / 255)[:, :, None]
    grey = rgb.mean(axis=2, keepdims=True) * 0.55 + 90
    # What is far fades to grey; what is near keeps its colours and is tinted.
    mixed = (1 - share) * grey + share * (0.75 * rgb + 0.25 * 255 * _HOT)
    left, top, right, bottom = (100 * one for one in found.best)
    box = f"left:{left:.1f}%;top:{top:.1f}%;width:{right - left:.1f}%;height:{bottom - top:.1f}%"
    alt = "The picture; what is far from the query is grey"
    return _figure(mixed.clip(0, 255).astype(np.uint8), alt, f'<i style="{box}"></i>')


def _strip(found: Located, sound: Audio) -> str:
    seconds = sound.seconds
    peaks = np.array([float(np.abs(part).max(initial=0)) for part in np.array_split(sound.samples, _BARS)])
    peaks = np.maximum(peaks / max(float(peaks.max()), 1e-6), 0.02)
    middle = (np.arange(_BARS) + 0.5) * seconds / _BARS
    at = np.clip(np.searchsorted(found.edges, middle) - 1, 0, len(found.heat) - 1)
    heat = _scaled(found.heat)[at]
    bars = "".join(
        f'<rect x="{10 * i + 1}" y="{100 - 95 * peak:.1f}" width="8" height="{190 * peak:.1f}" rx="3" '
        f'style="fill-opacity:{0.15 + 0.85 * share:.2f}"/>'
        for i, (peak, share) in enumerate(zip(peaks, heat, strict=True))
    )
    line = " ".join(f"{10 * i + 5},{196 - 60 * share:.0f}" for i, share in enumerate(heat))
    first, last = (1000 * _BARS / 100 * one / seconds for one in found.best)
    marks = "".join(
        f'<span style="left:{100 * t / seconds:.1f}%">{t:g} s</span>' for t in _ticks(seconds) if t < 0.97 * seconds
    )
    return (
        f'<figure class="ob-place ob-strip" data-spot title="{_HINT}"><svg viewBox="0 0 {10 * _BARS} 200" '
        f'preserveAspectRatio="none" role="img" '
        f'aria-label="The sound over time; what is near to the query is darker, and the line is higher">{bars}'
        f'<polyline points="{line}"/><rect class="ob-span" x="{first:.0f}" y="2" rx="10" '
        f'width="{last - first:.0f}" height="196"/></svg><div class="ob-ticks">{marks}</div></figure>'
    )


def _ticks(seconds: float) -> list[float]:
    step = next(one for one in (0.5, 1, 2, 5, 10, 30, 60, 120) if seconds / one <= 9 or one == 120)
    return [float(t) for t in np.arange(0, seconds, step)]


def coloured(found: Located) -> PointCloud:
    """Give a shape whose parts are grey, the nearer to the query the more coloured."""
    heat = _scaled(found.heat)
    parts = []
    for part, share in zip(found.parts, heat**2, strict=True):
        colour = ((1 - share) * _COLD + share * _HOT).astype(np.float32)
        surfaces = tuple(
            replace(one, rgb=np.tile(colour, (len(one.vertices), 1)), uv=None, texture=None) for one in part.surfaces
        )
        parts.append(replace(part, rgb=np.tile(colour, (len(part.xyz), 1)), surfaces=surfaces))
    return PointCloud(
        np.vstack([one.xyz for one in parts]),
        np.vstack([one.rgb for one in parts]),
        tuple(surface for one in parts for surface in one.surfaces),
    )
