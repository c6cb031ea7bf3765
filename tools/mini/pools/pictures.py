"""Named pictures to choose on and to measure on: the stamps of Tux Paint, as Debian ships them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from omnibind_core.errors import MediaError
from omnibind_core.types import Image
from tools.mini.pools.debian import package_folder

__all__ = ["NamedPicture", "load_picture", "tux_paint"]

_FOLDER = "usr/share/tuxpaint/stamps"
_NOT_PICTURES = {"symbols"}  # letters, digits, coins
_TURNED = ("_mirror", "_flip")


@dataclass(frozen=True)
class NamedPicture:
    """One stamp.

    Attributes
    ----------
    key : str
        Path below the stamps' folder: unique, stable.
    name : str
        Its English description without article and full stop, lower case, e.g. ``"red kangaroo"``.
    file : Path
        A PNG with transparency.
    photograph : bool
        False for drawings.
    """

    key: str
    name: str
    file: Path
    photograph: bool


def tux_paint() -> list[NamedPicture]:
    """All 538 named pictures (430 photographs), in order of their paths.

    Raises
    ------
    MediaError
        Where the Debian package ``tuxpaint-stamps-default`` cannot be had.
    """
    folder = package_folder("tuxpaint-stamps-default") / _FOLDER
    pictures: list[NamedPicture] = []
    for file in sorted(folder.rglob("*.png")):
        path = file.relative_to(folder)
        words = file.with_suffix(".txt")
        if path.parts[0] in _NOT_PICTURES or file.stem.endswith(_TURNED) or not words.is_file():
            continue
        name = _plain(words.read_text(encoding="utf-8").splitlines()[0])
        pictures.append(NamedPicture(path.as_posix(), name, file, "cartoon" not in path.parts))
    if not pictures:
        raise MediaError(f"no picture in {folder}", "the stamps of tuxpaint-stamps-default", "unpack it again")
    return pictures


def _plain(sentence: str) -> str:
    bare = sentence.strip().strip('"“”').rstrip(".!?").strip()
    return re.sub(r"^(a|an|the)\s+", "", bare, flags=re.IGNORECASE).lower()


def load_picture(picture: NamedPicture) -> Image:
    """Decode a stamp and lay it on white."""
    with Pillow.open(picture.file) as opened:
        stamp = opened.convert("RGBA")
    ground = Pillow.new("RGBA", stamp.size, (255, 255, 255, 255))
    ground.alpha_composite(stamp)
    return Image(np.asarray(ground.convert("RGB")))
