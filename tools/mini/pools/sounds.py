"""The pool of labelled sounds: recordings from Debian packages by a committed table, and rendered ones.

Labels were given by hand from file names and package descriptions. A *source* is what may be held out as a whole:
clips of one package share recorders, editors and codecs, so only other sources' clips test what a head has learned.
All packages are of Debian 12's section main; ``data/sound_packages.csv`` holds their versions and licences.
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

from omnibind_core.binding.first_start import SOUNDS
from omnibind_core.errors import MediaError
from omnibind_core.types import Audio
from tools.mini.pools.archives import READERS
from tools.mini.pools.debian import package_folder

__all__ = ["DEVELOPMENT", "TEST", "Clip", "packages", "read_clip", "sources_of_labels", "table", "versions"]

log = logging.getLogger(__name__)

_LONGEST = 20.0  # seconds that are read of a clip

TEST: tuple[str, ...] = ("scratch", "openttd-opensfx", "simutrans-pak64", "minetest-mod-homedecor")
"""Packages that no choice was made on; the figures that are shown come from heads that never heard them."""

# fmt: off
DEVELOPMENT: tuple[tuple[str, ...], ...] = (
    (
        "tuxpaint-stamps-default", "bambam", "bugsquish", "funnyboat", "gamine-data", "hannah-data", "khangman",
        "micropolis-data", "opencity-data", "pekka-kana-2-data", "pysiogame", "tuxpaint-data",
    ),
    (
        "gcompris-qt-data", "sound-icons", "oxygen-sounds", "sound-theme-freedesktop", "lomiri-sounds", "aisleriot",
        "asterisk-core-sounds-en-wav", "deepin-sound-theme", "dreamchess-data", "eboard", "foobillardplus-data",
        "gajim", "gnubg-data", "libreoffice-common", "linphone-common", "pinball-data", "pokerth-data", "pychess",
        "twinkle-common", "xboard", "yaru-theme-sound",
    ),
    (
        "wesnoth-1.16-data", "lincity-ng-data", "unknown-horizons", "plee-the-bear-data", "tuxtype-data", "etw-data",
        "ardentryst", "circuslinux-data", "crossfire-client", "freeciv-data", "freecol", "freedink-data",
        "frozen-bubble-data", "heroes-sound-effects", "icebreaker", "madbomber-data", "monsterz-data", "tuxmath-data",
    ),
    (
        "widelands-data", "flare-game", "supertux-data", "bucklespring-data", "abe-data", "amphetamine-data", "bomber",
        "caveexpress-data", "davegnukem-data", "epiphany-data", "freegish-data", "gnujump-data", "granatier",
        "hedgewars-data", "hex-a-hop-data", "jag", "kgoldrunner", "knavalbattle", "kolf", "ksirk", "lbreakout2-data",
        "lmarbles", "lugaru-data", "mazeofgalious-data", "mirrormagic-data", "njam-data", "open-invaders-data",
        "pathological", "pingus-data", "sdl-ball-data", "seahorse-adventures", "solarwolf", "tecnoballz-data",
        "tworld-data", "vodovod",
    ),
    (
        "openclonk-data", "megaglest-data", "minetest-data", "searchandrescue-data", "alienblaster-data", "barrage",
        "btanks-data", "bzflag-data", "crrcsim-data", "csmash-data", "dopewars-data", "dustracing2d-data",
        "freedroid-data", "freetennis-common", "gl-117-data", "libirrlicht-doc", "minetest-mod-lucky-block",
        "minetest-mod-mesecons", "minetest-mod-mobs-redo", "minetest-mod-nether", "minetest-mod-throwing-arrows",
        "minetest-mod-xdecor", "moon-lander-data", "netpanzer-data", "openssn-data", "orbital-eunuchs-sniper-data",
        "pink-pony-data", "powermanga-data", "ri-li-data", "rockdodger", "spacezero", "spring-common",
        "stormbaancoureur-data", "supertransball2-data", "tuxfootball", "wordwarvi-sound",
    ),
    (
        "sonic-pi-samples", "lmms-common", "freepats", "hydrogen-data", "hydrogen-drumkits", "klick", "overgod-data",
        "performous", "puredata-doc", "supercollider-common",
    ),
)
# fmt: on
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
    with SOUNDS.open(newline="", encoding="utf-8") as stream:
        return tuple(Clip(row["label"], row["package"], row["file"]) for row in csv.DictReader(stream))


@cache
def versions() -> dict[str, str]:
    """Version of each package of the table, as the committed list states it."""
    with (Path(__file__).parent / "data" / "sound_packages.csv").open(newline="", encoding="utf-8") as stream:
        return {row["package"]: row["version"] for row in csv.DictReader(stream)}


def packages() -> tuple[str, ...]:
    """Debian packages that the table draws on, in alphabetical order."""
    return tuple(sorted({clip.source for clip in table()}))


def sources_of_labels() -> dict[int, tuple[str, ...]]:
    """Group the labels of the table by how many packages they were recorded in.

    Returns
    -------
    dict of int to tuple of str
        Number of packages, ascending -> its labels, in alphabetical order.

    Examples
    --------
    ``{count: len(labels) for count, labels in sources_of_labels().items()}`` tells how broad the table is.
    """
    sources: dict[str, set[str]] = {}
    for clip in table():
        sources.setdefault(clip.label, set()).add(clip.source)
    return {
        count: tuple(sorted(label for label, found in sources.items() if len(found) == count))
        for count in sorted({len(found) for found in sources.values()})
    }


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
