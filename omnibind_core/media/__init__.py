"""Path or bytes -> decoded media, with every limit in one place.

Files are decoded in a few warm processes apart (`pool`), so that a file which crashes, hangs or swells its decoder
is one `MediaError` and nothing more.
"""

from __future__ import annotations

from omnibind_core.media.audio import load_audio, resample, windows
from omnibind_core.media.dispatch import formats, load, modality_of
from omnibind_core.media.image import load_image
from omnibind_core.media.points import Up, load_points
from omnibind_core.media.pool import close, warm
from omnibind_core.media.text import load_text
from omnibind_core.media.video import load_frames

__all__ = [
    "Up",
    "close",
    "formats",
    "load",
    "load_audio",
    "load_frames",
    "load_image",
    "load_points",
    "load_text",
    "modality_of",
    "resample",
    "warm",
    "windows",
]
