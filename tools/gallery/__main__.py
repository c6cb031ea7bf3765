"""Build assets/gallery: media, thumbnails, catalogue.json, and the table of credits in assets/LICENSES.md.

    python -m tools.gallery [--only image|audio|point|text]

Everything comes from Debian 12 packages (fetched with apt on first use), from fluidsynth with the FluidR3 GM
soundfont, and from espeak-ng; images.py, sounds.py, shapes.py and sentences.py say
which files, and in whose words they are described. Needs ffmpeg, fluidsynth and espeak-ng.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from omnibind_core.errors import OmniBindError
from omnibind_core.media.raster import render
from omnibind_core.types import Modality, PointCloud, Surface
from tools.gallery import media, sources
from tools.gallery.images import IMAGES
from tools.gallery.sentences import SENTENCES
from tools.gallery.shapes import SHAPES
from tools.gallery.shapes_convert import Part, load_parts, to_glb
from tools.gallery.sounds import SOUNDS
from tools.mini.pools.debian import package_folder

__all__ = ["STEPS", "Shelf", "main", "parser", "write_credits"]

log = logging.getLogger(__name__)

Row: TypeAlias = dict[str, Any]
"""One item of the catalogue: the fields of :class:`omnibind_core.store.catalogue.Item`."""

ASSETS = Path(__file__).resolve().parents[2] / "assets"
GALLERY = ASSETS / "gallery"
OURS = "OmniBind Explorer contributors"
FOLDERS: Mapping[Modality, str] = {"image": "images", "audio": "sounds", "point": "shapes"}


class Shelf:
    """Numbers items by concept and writes their catalogue rows.

    Attributes
    ----------
    rows : list of dict
        What the catalogue says of each item, in the order of :meth:`add`.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._seen: Counter[str] = Counter()

    def paths(self, modality: Modality, concept: str, suffix: str) -> tuple[str, Path, Path]:
        """Name the next item of a concept.

        Parameters
        ----------
        modality : Modality
            What it is.
        concept : str
            What it shows, e.g. ``"teddy bear"``.
        suffix : str
            Of its file, with the dot; "" for sentences, which have none.

        Returns
        -------
        tuple of str, Path and Path
            Its id, its file and its thumbnail; for sentences the paths mean nothing.
        """
        slug = concept.replace(" ", "-")
        self._seen[f"{modality}/{slug}"] += 1
        name = f"{slug}-{self._seen[f'{modality}/{slug}']}"
        file = GALLERY / FOLDERS[modality] / f"{name}{suffix}" if modality != "text" else GALLERY
        return f"{modality}/{name}", file, GALLERY / "thumbnails" / f"{modality}-{name}.webp"

    def add(
        self, item: str, concept: str, caption: str, files: tuple[Path, Path] | None, credit: tuple[str, str, str]
    ) -> None:
        """Write one row.

        Parameters
        ----------
        item, concept, caption : str
            Its id, what it shows, and that in a sentence.
        files : tuple of Path and Path, optional
            File and thumbnail, both written; None for sentences.
        credit : tuple of str, str and str
            Creator, SPDX licence, and where it comes from.
        """
        creator, licence, source = credit
        self.rows.append(
            {
                "id": item,
                "modality": item.split("/")[0],
                "concept": concept,
                "caption": caption,
                "file": files[0].relative_to(GALLERY).as_posix() if files else None,
                "thumbnail": files[1].relative_to(GALLERY).as_posix() if files else None,
                "creator": creator,
                "licence": licence,
                "source": source,
                "sha256": hashlib.sha256(files[0].read_bytes()).hexdigest() if files else None,
            }
        )


def add_images(shelf: Shelf) -> None:
    """Write the pictures of :data:`tools.gallery.images.IMAGES`; raises MediaError where one cannot be fetched."""
    for concept, source, caption in IMAGES:
        item, file, thumbnail = shelf.paths("image", concept, ".jpg")
        image = media.picture(sources.read(source))
        media.save_picture(image, file)
        media.picture_thumbnail(image, thumbnail)
        shelf.add(item, concept, caption, (file, thumbnail), sources.credit(source))


def add_sounds(shelf: Shelf) -> None:
    """Write the sounds of :data:`tools.gallery.sounds.SOUNDS`; raises MediaError where one cannot be fetched."""
    for concept, source, caption, options in SOUNDS:
        item, file, thumbnail = shelf.paths("audio", concept, ".ogg")
        heard, heard_rate, credit = _sound(source)
        samples, rate = media.sound(heard, heard_rate, options)
        media.save_sound(samples, rate, file)
        media.sound_thumbnail(samples, thumbnail)
        shelf.add(item, concept, caption, (file, thumbnail), credit)


def _sound(source: str) -> tuple[media.Samples, int, tuple[str, str, str]]:
    """Play, read aloud or decode a source: mono samples, rate in Hz, and its credit."""
    kind, rest = source.split(":", 1)
    if kind == "fluid":
        program, keys = rest.split(":")
        package = "fluid-soundfont-gm"
        font = package_folder(package) / "usr/share/sounds/sf2/FluidR3_GM.sf2"
        line = f"{package} {sources.VERSIONS[package]}, General MIDI program {int(program) + 1}, rendered by fluidsynth"
        credit = ("Frank Wen (FluidR3 GM soundfont), rendered by this project", "MIT", line)
        return *media.fluidsynth(font, int(program), [int(k) for k in keys.split()]), credit
    if kind == "speech":
        voice, sentence = rest.split(":", 1)
        line = f"espeak-ng {sources.VERSIONS['espeak-ng']}, voice {voice}, a sentence of our own"
        return *media.espeak(voice, sentence), (f"{OURS}, with espeak-ng", "CC0-1.0", line)
    return *media.decode_sound(sources.read(source)), sources.credit(source)


def add_shapes(shelf: Shelf) -> None:
    """Write the meshes of :data:`tools.gallery.shapes.SHAPES`; raises MediaError where one cannot be fetched."""
    package = "sweethome3d-furniture"
    for concept, source, caption, azimuth in SHAPES:
        item, file, thumbnail = shelf.paths("point", concept, ".glb")
        key, number = source.split("/")
        archive, licence = sources.FURNITURE[key]
        library, facts = sources.furniture(archive)
        model = facts[f"model#{number}"]
        parts = load_parts(library, model, facts.get(f"modelRotation#{number}"))
        creator = facts[f"creator#{number}"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(to_glb(parts, f"{creator}, {licence}, converted from Sweet Home 3D's {archive}"))
        media.shape_thumbnail(render(_cloud(parts), azimuth, 15, 2 * media.THUMBNAIL_SIDE, None), thumbnail)
        line = f"{package} {sources.VERSIONS[package]}, {archive}{model}"
        shelf.add(item, concept, caption, (file, thumbnail), (creator, licence, line))


def _cloud(parts: list[Part]) -> PointCloud:
    """Gather what the renderer draws; it knows no glass: plain clear parts are left out where others remain."""
    solid = [p for p in parts if p.colour[3] > 0.5 or p.texture is not None] or parts
    surfaces = tuple(
        Surface(
            part.xyz.astype(np.float32),
            part.faces.astype(np.int32),
            np.tile(np.asarray(part.colour[:3], np.float32), (len(part.xyz), 1)),
            None if part.uv is None else part.uv.astype(np.float32),
            None if part.texture is None else np.asarray(_on_its_own_colour(part.texture)),
        )
        for part in solid
    )
    xyz = np.concatenate([s.vertices for s in surfaces])
    return PointCloud(xyz, np.zeros_like(xyz), surfaces)


def _on_its_own_colour(texture: Image.Image) -> Image.Image:
    """Fill the holes of a texture with its mean colour."""
    if texture.mode != "RGBA":
        return texture.convert("RGB")
    texels = np.asarray(texture)
    seen = texels[texels[..., 3] > 128]
    mean = tuple(int(c) for c in seen[:, :3].mean(0)) if len(seen) else (128, 128, 128)
    sheet = Image.new("RGB", texture.size, mean)
    sheet.paste(texture, mask=texture.getchannel("A"))
    return sheet


def add_sentences(shelf: Shelf) -> None:
    """Write the rows of :data:`tools.gallery.sentences.SENTENCES`."""
    for concept, sentence in SENTENCES:
        item, _, _ = shelf.paths("text", concept, "")
        shelf.add(item, concept, sentence, None, (OURS, "Apache-2.0", "written for this gallery"))


STEPS: Mapping[Modality, Callable[[Shelf], None]] = {
    "image": add_images,
    "audio": add_sounds,
    "point": add_shapes,
    "text": add_sentences,
}
"""What makes each modality's items, in the catalogue's order."""
MARK = "<!-- The table below is written by tools/gallery/__main__.py -->"


def write_credits(rows: Sequence[Row], path: Path) -> None:
    """Replace the table at the end of assets/LICENSES.md.

    Parameters
    ----------
    rows : sequence of dict
        The whole catalogue.
    path : Path
        The page; what stands above its mark is kept.
    """
    groups: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row["file"]:
            package = row["source"].split(" ")[0]
            groups[package, row["licence"], row["creator"]].append(row["id"])
    lines = ["| Package | Licence | Creator | Items |", "|---|---|---|---|"]
    for (package, licence, creator), items in sorted(groups.items()):
        lines.append(f"| {package} | {licence} | {creator} | {', '.join(items)} |")
    text = path.read_text(encoding="utf-8").split(MARK)[0]
    path.write_text(f"{text}{MARK}\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.gallery",
        description="Build assets/gallery: media, thumbnails, catalogue.json, and the credits in assets/LICENSES.md.",
    )
    found.add_argument("--only", choices=tuple(STEPS), help="rebuild one modality and keep the others")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the gallery.

    Returns
    -------
    int
        0, or 2 where a person has to correct something: said on standard error.
    """
    only = parser().parse_args(arguments).only
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    try:
        _build(only)
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


def _build(only: Modality | None) -> None:
    catalogue = GALLERY / "catalogue.json"
    old = json.loads(catalogue.read_text(encoding="utf-8"))["items"] if only and catalogue.exists() else []
    rows: list[Row] = []
    for modality, step in STEPS.items():
        if only and modality != only:
            rows += [row for row in old if row["modality"] == modality]
            continue
        if modality in FOLDERS:
            shutil.rmtree(GALLERY / FOLDERS[modality], ignore_errors=True)
            for thumbnail in (GALLERY / "thumbnails").glob(f"{modality}-*.webp"):
                thumbnail.unlink()
        shelf = Shelf()
        step(shelf)
        rows += shelf.rows
        log.info("%s: %d", modality, len(shelf.rows))
    catalogue.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": 1, "items": rows}, ensure_ascii=False, indent=1)
    catalogue.write_text(text + "\n", encoding="utf-8")
    write_credits(rows, ASSETS / "LICENSES.md")
    size = sum(f.stat().st_size for f in GALLERY.rglob("*") if f.is_file())
    concepts = defaultdict(set)
    for row in rows:
        concepts[row["concept"]].add(row["modality"])
    shared = Counter(len(m) for m in concepts.values())
    log.info(
        "%d items, %.1f MB; concepts in four modalities: %d, in three: %d",
        len(rows), size / 1e6, shared[4], shared[3],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
