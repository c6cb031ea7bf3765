"""The pool of labelled sounds: recordings from Debian packages by a committed table, and rendered ones.

Labels were given by hand from file names and package descriptions. A *source* is what may be held out as a whole:
clips of one package share recorders, editors and codecs, so only other sources' clips test what a head has learned.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from omnibind_core.binding.archives import READERS
from omnibind_core.binding.debian import package_folder
from omnibind_core.errors import MediaError
from omnibind_core.types import Audio

__all__ = ["DEVELOPMENT", "TEST", "Clip", "packages", "read_clip", "table"]

log = logging.getLogger(__name__)

_TABLE = Path(__file__).parent / "data" / "sounds.csv"
_LONGEST = 20.0  # seconds that are read of a clip

TEST: tuple[str, ...] = ("scratch", "openttd-opensfx", "simutrans-pak64", "minetest-mod-homedecor")
"""Packages that no choice was made on; the figures that are shown come from heads that never heard them."""

DEVELOPMENT: tuple[tuple[str, ...], ...] = (
    ("tuxpaint-stamps-default",),
    ("gcompris-qt-data", "sound-icons", "oxygen-sounds", "sound-theme-freedesktop", "lomiri-sounds"),
    ("wesnoth-1.16-data", "lincity-ng-data", "unknown-horizons", "plee-the-bear-data", "tuxtype-data", "etw-data"),
    ("widelands-data", "flare-game", "supertux-data", "bucklespring-data"),
    ("openclonk-data", "megaglest-data", "minetest-data", "searchandrescue-data"),
    ("sonic-pi-samples", "lmms-common"),
)
"""Groups of packages that are held out in turn to make choices."""


@dataclass(frozen=True)
class Clip:
    """One labelled sound.

    Attributes
    ----------
    label : str
        What is heard, a name as people say it: "dog", "church organ".
    source : str
        Debian package, or the renderer.
    file : str
        Path inside the package; for archives ``"path/to.rcc:path/in/it.ogg"``; for renderers a name of their own.
    """

    label: str
    source: str
    file: str

    @property
    def key(self) -> str:
        """Unique name."""
        return f"{self.source}:{self.file}"


@cache
def table() -> tuple[Clip, ...]:
    """All labelled recordings, in the order of the committed table (label, package, file)."""
    with _TABLE.open(newline="", encoding="utf-8") as stream:
        return tuple(Clip(row["label"], row["package"], row["file"]) for row in csv.DictReader(stream))


def packages() -> tuple[str, ...]:
    """Debian packages that the table draws on, in alphabetical order."""
    return tuple(sorted({clip.source for clip in table()}))


def read_clip(clip: Clip) -> Audio:
    """Decode a recording of the table; its package is fetched at the first call.

    Parameters
    ----------
    clip : Clip
        A row of :func:`table`.

    Returns
    -------
    Audio
        Its first 20 s, channels averaged.

    Raises
    ------
    MediaError
        The package cannot be had, has no such file any more, or the file cannot be decoded.
    """
    import soundfile

    outer, _, inner = clip.file.partition(":")
    path = package_folder(clip.source) / outer
    try:
        source = io.BytesIO(_members(path)[inner]) if inner else path
        with soundfile.SoundFile(source) as sound:
            rate = int(sound.samplerate)
            samples = sound.read(round(_LONGEST * rate), dtype="float32", always_2d=True).mean(1)
    except (OSError, KeyError, soundfile.LibsndfileError) as error:
        raise MediaError(
            f"{clip.file} of package {clip.source} ({type(error).__name__}: {error})",
            "the files of Debian 12's packages",
            f"delete the folder of {clip.source} in the cache and try again",
        ) from error
    return Audio(np.ascontiguousarray(samples), rate)


@cache
def _members(path: Path) -> dict[str, bytes]:
    return READERS[path.suffix](path)


def read_all(clips: tuple[Clip, ...]) -> Iterator[tuple[Clip, Audio]]:
    """Decode recordings one by one; what is damaged or silent is left out with a warning."""
    for clip in clips:
        try:
            audio = read_clip(clip)
        except MediaError as error:
            log.warning("%s", error)
            continue
        if len(audio.samples) and float(np.abs(audio.samples).max()) > 1e-5:
            yield clip, audio
        else:
            log.warning("%s is silent", clip.key)
