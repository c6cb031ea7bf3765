"""Where the gallery's media come from: Debian packages, their archives, and who made each file under which licence.

A source is written ``"pool:path"``. Every pool names its package; the functions below turn a source into bytes
and into a credit. Facts about licences come from each package's ``usr/share/doc/<package>/copyright``; for GCompris
pictures, whose copyright file still describes older pictures, from the README beside each picture in its source tree.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from omnibind_core.errors import MediaError
from tools.gallery.credits import GCOMPRIS_CREDITS
from tools.mini.pools.debian import package_folder

__all__ = ["FURNITURE", "POOLS", "VERSIONS", "Pool", "credit", "furniture", "read", "read_opensfx", "read_rcc"]

VERSIONS = {
    "tuxpaint-stamps-default": "2022.06.04-1",
    "gcompris-qt-data": "3.1-2",
    "openclipart-png": "1:0.18+dfsg-19",
    "python3-skimage": "0.19.3-8",
    "scratch": "1.4.0.6~dfsg1-6.1",
    "openttd-opensfx": "1.0.3-2",
    "simutrans-pak64": "121.0-1",
    "lincity-ng-data": "2.9~git20150314-5",
    "lomiri-sounds": "22.02-1",
    "sonic-pi-samples": "3.2.2~repack-8",
    "sound-theme-freedesktop": "0.8-2",
    "unknown-horizons": "2019.1-6",
    "wesnoth-1.16-data": "1:1.16.9-1",
    "sweethome3d-furniture": "1.8-1",
    "fluid-soundfont-gm": "3.1-5.3",
    "espeak-ng": "1.51+dfsg-10+deb12u2",
}


@dataclass(frozen=True)
class Pool:
    """A folder, or an archive, inside a Debian package.

    Attributes
    ----------
    package : str
        Key of :data:`VERSIONS`.
    root : str
        Folder inside the package; ``archive.rcc:folder`` for one inside a Qt resource archive.
    creator, licence : str
        Of all its files; "" where each file has its own.
    """

    package: str
    root: str
    creator: str = ""
    licence: str = ""


_GCOMPRIS = "usr/share/gcompris-qt/rcc"
_ACTIVITY = "gcompris/src/activities"
_THINGS = f"{_GCOMPRIS}/categorization.rcc:{_ACTIVITY}/categorization/resource/images"
_FARM = f"{_GCOMPRIS}/explore_farm_animals.rcc:{_ACTIVITY}/explore_farm_animals/resource/animals"
POOLS = {
    "tux": Pool(
        "tuxpaint-stamps-default",
        "usr/share/tuxpaint/stamps",
        "Bill Kendrick and the Tux Paint contributors",
        "GPL-2.0-or-later",
    ),
    "clip": Pool("openclipart-png", "usr/share/openclipart/png", "Open Clip Art Library contributors", "CC-PDDC"),
    "skimage": Pool("python3-skimage", "usr/lib/python3/dist-packages/skimage/data"),
    "scratch": Pool("scratch", "usr/share/scratch/Media", "Massachusetts Institute of Technology", "CC-BY-SA-3.0"),
    "simutrans": Pool(
        "simutrans-pak64",
        "usr/share/games/simutrans/pak/sound",
        "Hansjoerg Malthaner and the Simutrans Team",
        "Artistic-1.0",
    ),
    "lincity": Pool(
        "lincity-ng-data",
        "usr/share/games/lincity-ng/sounds",
        "Paulo Augusto and the LinCity-NG contributors",
        "GPL-2.0-or-later",
    ),
    "lomiri": Pool("lomiri-sounds", "usr/share/sounds/lomiri", "Canonical Ltd.", "CC-BY-SA-3.0"),
    "sonicpi": Pool("sonic-pi-samples", "usr/share/sonic-pi/samples", "", "CC0-1.0"),
    "freedesktop": Pool("sound-theme-freedesktop", "usr/share/sounds/freedesktop/stereo"),
    "horizons": Pool(
        "unknown-horizons",
        "usr/share/unknown-horizons/content/audio/sounds",
        "Unknown Horizons Team",
        "CC-BY-SA-3.0",
    ),
    "wesnoth": Pool(
        "wesnoth-1.16-data",
        "usr/share/games/wesnoth/1.16/data/core/sounds",
        "David White and the Battle for Wesnoth contributors",
        "GPL-2.0-or-later",
    ),
    # GCompris: one archive per activity.
    "farm": Pool("gcompris-qt-data", _FARM),
    "wild": Pool("gcompris-qt-data", f"{_GCOMPRIS}/erase.rcc:{_ACTIVITY}/erase/resource"),
    "world": Pool(
        "gcompris-qt-data", f"{_GCOMPRIS}/explore_world_animals.rcc:{_ACTIVITY}/explore_world_animals/resource/animals"
    ),
    "tools": Pool("gcompris-qt-data", f"{_THINGS}/tools"),
    "things": Pool("gcompris-qt-data", f"{_THINGS}/others"),
    "power": Pool("gcompris-qt-data", f"{_THINGS}/renewable"),
    "fish": Pool("gcompris-qt-data", f"{_THINGS}/fishes"),
    "sights": Pool("gcompris-qt-data", f"{_THINGS}/monuments"),
    "wonders": Pool("gcompris-qt-data", f"{_GCOMPRIS}/explore_monuments.rcc:{_ACTIVITY}/explore_monuments/resource"),
    "instruments": Pool(
        "gcompris-qt-data",
        f"{_GCOMPRIS}/instruments.rcc:{_ACTIVITY}/instruments/resource",
        "Sylvain Dechy, Jérome Blanchard, Julie Jules, Chloé Tuvuku",
        "GPL-3.0-or-later",
    ),
    "memory": Pool(
        "gcompris-qt-data",
        f"{_GCOMPRIS}/memory-sound.rcc:{_ACTIVITY}/memory-sound/resource",
        "Lionel Allorge, Yves Combe",
        "LAL-1.2",
    ),
    "guess": Pool("gcompris-qt-data", f"{_GCOMPRIS}/guessnumber.rcc:{_ACTIVITY}/guessnumber/resource"),
    "lock": Pool("gcompris-qt-data", f"{_GCOMPRIS}/canal_lock.rcc:{_ACTIVITY}/canal_lock/resource"),
}

FURNITURE = {
    "cc0": ("BlendSwap-CC-0.sh3f", "CC0-1.0"),
    "ccby": ("BlendSwap-CC-BY.sh3f", "CC-BY-3.0"),
    "kator": ("KatorLegaz.sh3f", "CC-BY-3.0-US"),
    "reallusion": ("Reallusion.sh3f", "CC-BY-3.0-US"),
    "scopia": ("Scopia.sh3f", "CC-BY-3.0"),
}

# Files whose credit differs from the rest of their package.
_OTHER_CREDITS = {
    "skimage:chelsea.png": ("Stéfan van der Walt", "CC0-1.0"),
    "skimage:coffee.png": ("Rachel Michetti", "CC0-1.0"),
    "skimage:astronaut.png": ("NASA", "LicenseRef-public-domain"),
    "skimage:rocket.jpg": ("SpaceX", "LicenseRef-public-domain"),
    "skimage:hubble_deep_field.jpg": ("NASA", "LicenseRef-public-domain"),
    "freedesktop:alarm-clock-elapsed.oga": ("Tim Kahn (corsica_s)", "CC-BY-SA-3.0"),
    "freedesktop:camera-shutter.oga": ("horsthorstensen", "CC-BY-SA-3.0"),
    "freedesktop:phone-incoming-call.oga": ("Damien Sandras", "GPL-2.0-or-later"),
    "freedesktop:phone-outgoing-busy.oga": ("Damien Sandras", "GPL-2.0-or-later"),
    "lomiri:camera/click/camera_click.ogg": ("jdaniel1999", "CC0-1.0"),
    "guess:helicopter.wav": ("fridobeck", "CC-BY-3.0"),
    "lock:door_open.wav": ("lolamadeus", "CC0-1.0"),
    "lock:water_fill.wav": ("inchadney", "CC-BY-3.0"),
}


@cache
def read_rcc(path: Path) -> dict[str, bytes]:
    """Read all files of a compiled Qt resource archive: {path: contents}.

    The header holds a format version and three offsets: of the tree, of the data and of the names. A tree node is
    name offset (4 bytes), flags (2), then either number of children and first child, or locale and data offset.

    Raises
    ------
    MediaError
        The file is no such archive.
    """
    blob = path.read_bytes()
    magic, form, tree, data, names = struct.unpack(">4s4I", blob[:20])
    if magic != b"qres":
        raise MediaError(f"{path.name}", "a compiled Qt resource archive", f"delete {path} and fetch its package again")
    node_size = 14 if form < 2 else 22
    files: dict[str, bytes] = {}

    def walk(index: int, prefix: str) -> None:
        node = tree + index * node_size
        name_at, flags = struct.unpack(">IH", blob[node : node + 6])
        name = ""
        if index:
            (length,) = struct.unpack(">H", blob[names + name_at : names + name_at + 2])
            start = names + name_at + 6
            name = blob[start : start + 2 * length].decode("utf-16-be")
        full = f"{prefix}/{name}".strip("/")
        if flags & 2:
            count, first = struct.unpack(">II", blob[node + 6 : node + 14])
            for child in range(count):
                walk(first + child, full)
            return
        (at,) = struct.unpack(">I", blob[node + 10 : node + 14])
        (size,) = struct.unpack(">I", blob[data + at : data + at + 4])
        body = blob[data + at + 4 : data + at + 4 + size]
        files[full] = zlib.decompress(body[4:]) if flags & 1 else body

    walk(0, "")
    return files


@cache
def read_opensfx() -> list[tuple[str, bytes]]:
    """Read the sounds of OpenSFX's .cat file: (label, WAV). Each label names recording, author and licence."""
    blob = (package_folder("openttd-opensfx") / "usr/share/games/openttd/baseset/opensfx/opensfx.cat").read_bytes()
    # The two high bits of the first word mark the newer format; entries are (offset, size) pairs.
    count = (struct.unpack("<I", blob[:4])[0] & 0x7FFFFFFF) // 8
    sounds = []
    for index in range(count):
        at, size = struct.unpack("<II", blob[8 * index : 8 * index + 8])
        at &= 0x7FFFFFFF
        length = blob[at]
        label = blob[at + 1 : at + 1 + length].split(b"\0")[0].decode("latin-1")
        start = at + 1 + length
        sounds.append((label, blob[start : start + size]))
    return sounds


@cache
def furniture(archive: str) -> tuple[zipfile.ZipFile, dict[str, str]]:
    r"""Open a Sweet Home 3D furniture library.

    Parameters
    ----------
    archive : str
        Name of its file, one of :data:`FURNITURE`.

    Returns
    -------
    tuple of zipfile.ZipFile and dict
        The library and its properties (latin-1 with \u escapes): ``model#7``, ``creator#7`` ...
    """
    library = zipfile.ZipFile(package_folder("sweethome3d-furniture") / "usr/share/sweethome3d/furniture" / archive)
    text = library.read("PluginFurnitureCatalog.properties").decode("latin-1")
    found = dict(re.findall(r"^\s*([\w#]+)\s*=\s*(.*?)\s*$", text, flags=re.M))
    return library, {key: value.encode("latin-1").decode("unicode_escape") for key, value in found.items()}


def read(source: str) -> bytes:
    """Read a source such as ``"tux:animals/birds/crow.png"`` or ``"opensfx:14"``; fetches its package at first.

    Raises
    ------
    MediaError
        The package cannot be fetched.
    OSError, KeyError, IndexError
        The package has no such file.
    """
    pool_name, path = source.split(":", 1)
    if pool_name == "opensfx":
        return read_opensfx()[int(path)][1]
    pool = POOLS[pool_name]
    folder = package_folder(pool.package)
    if ".rcc:" in pool.root:
        archive, inside = pool.root.split(":")
        return read_rcc(folder / archive)[f"{inside}/{path}"]
    return (folder / pool.root / path).read_bytes()


def credit(source: str) -> tuple[str, str, str]:
    """Tell who made a source.

    Returns
    -------
    tuple of str, str and str
        Creator, SPDX licence, and the line that says where it comes from.

    Raises
    ------
    MediaError
        Nobody is known to have made it.
    """
    pool_name, path = source.split(":", 1)
    if pool_name == "opensfx":
        return _opensfx_credit(int(path))
    pool = POOLS[pool_name]
    creator, licence, page = pool.creator, pool.licence, ""
    if source in _OTHER_CREDITS:
        creator, licence = _OTHER_CREDITS[source]
    elif source in GCOMPRIS_CREDITS:
        creator, licence, page = GCOMPRIS_CREDITS[source]
    elif pool_name == "farm" and path.endswith(".ogg"):
        creator, licence = "Bruno Coudoin and others", "GPL-3.0-only"
    elif pool_name == "sonicpi":
        creator, licence = _sonic_pi_credit(path)
    if not (creator and licence):
        raise MediaError(
            f"'{source}', whose creator or licence is not known",
            "a source with both",
            "read the package's copyright file and add them to tools/gallery/sources.py",
        )
    inside = f"{pool.root}/{path}".replace("usr/share/", "")
    line = f"{pool.package} {VERSIONS[pool.package]}, {inside}"
    return creator, licence, f"{line} ({page})" if page else line


def _opensfx_credit(index: int) -> tuple[str, str, str]:
    """Creator, licence and source line from a label such as ``"Cow". Original "x.wav" by "Someone". License: ...``."""
    label, _ = read_opensfx()[index]
    quoted = re.match(r'"([^"]+)"', label)
    if not quoted:
        raise MediaError(f"OpenSFX's label {label!r}", "one that starts with a quoted title", "choose another sound")
    title = quoted[1]
    facts, licence_name = label[len(title) + 2 :].rsplit("License:", 1)
    people = re.findall(r'\bby "?([^"]+?)"?(?:,| and|$)', "\n".join(re.split(r"\.\s", facts)), flags=re.I | re.M)
    people = list(dict.fromkeys(p.strip().rstrip(".") for p in people))
    short = {"Zero": "CC0-1.0", "ShareAlike": "CC-BY-SA-3.0", "Attribution": "CC-BY-3.0"}
    licence = next(spdx for word, spdx in short.items() if word in licence_name)
    line = f"openttd-opensfx {VERSIONS['openttd-opensfx']}, opensfx.cat entry {index} ({title})"
    return ", ".join(people), licence, line


@cache
def _sonic_pi_copyright() -> dict[str, tuple[str, str]]:
    text = (package_folder("sonic-pi-samples") / "usr/share/doc/sonic-pi-samples/copyright").read_text()
    found = {}
    for block in text.split("\n\n"):
        files = re.search(r"^Files:((?:.|\n )*)", block, flags=re.M)
        owner = re.search(r"^Copyright:\s*(.*)", block, flags=re.M)
        licence = re.search(r"^License:\s*(\S+)", block, flags=re.M)
        if files and owner and licence:
            for name in files[1].split():
                found[Path(name).name] = (re.sub(r"^[\d, -]+", "", owner[1]).strip(), licence[1])
    return found


def _sonic_pi_credit(path: str) -> tuple[str, str]:
    creator, licence = _sonic_pi_copyright()[path]
    return creator, {"CC0": "CC0-1.0"}.get(licence, licence)
