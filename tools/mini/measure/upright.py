"""``python -m tools.mini.measure.upright``: the results page's section on which way is up, alone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from omnibind_core import media
from omnibind_core.binder import OmniBind
from omnibind_core.evaluation.report import Section
from omnibind_core.evaluation.upright import half_of, upright, upright_section
from omnibind_core.search.gallery import Gallery
from omnibind_core.types import PointCloud
from tools.mini.measure.alone import command, run
from tools.mini.pools.vectors import named_shapes
from tools.mini.shapes.pool import SWEET_HOME, clouds

__all__ = ["main", "parser", "upright_section_of", "upright_shapes"]


def upright_shapes() -> list[tuple[str, PointCloud]]:
    """Give Sweet Home's meshes of the test half, with their keys."""
    keys, _, cloud = clouds(SWEET_HOME)
    return [(keys[i], cloud(i)) for i, mesh in enumerate(named_shapes()) if half_of(mesh.name) == "test"]


def _of_the_gallery(gallery: Gallery) -> Iterator[tuple[str, PointCloud]]:
    """Give the gallery's shapes that were made of such meshes."""
    names = {f"{mesh.archive.name}/{mesh.member}": mesh.name for mesh in named_shapes()}
    for item in gallery.items:
        name = names.get(item.source.partition(", ")[2]) if item.modality == "point" else None
        path = gallery.path(item)
        if name and path and half_of(name) == "test":
            read = media.load(path, "point")
            if isinstance(read, PointCloud):
                yield item.id, read


def _bare(cloud: PointCloud) -> PointCloud:
    """Leave a cloud of 2,000 points."""
    step = len(cloud.xyz) // 2000
    return replace(cloud, xyz=cloud.xyz[::step][:2000], rgb=cloud.rgb[::step][:2000], surfaces=())


def upright_section_of(model: OmniBind) -> Section:
    """Measure the test half, turned and judged in several ways."""
    shapes, towers = upright_shapes(), model.towers
    inside = list(_of_the_gallery(Gallery.load(model)))
    return upright_section(
        [
            upright("turned at random, by form", shapes, "any", {}, None),
            upright("turned at random, by form and views", shapes, "any", towers, None),
            upright("the same, clouds of 2,000 points", shapes, "any", towers, None, _bare),
            upright("gallery, turned at random, by form and views", inside, "any", towers, None),
            upright("Y up, as the application judges", shapes, "y", towers),
            upright("gallery, Y up, as the application judges", inside, "y", towers),
            upright("Z up, as the application judges", shapes, "z", towers),
            upright("turned at random, as the application judges", shapes, "any", towers),
        ]
    )


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    return command("upright", "Measure how often it is guessed right what is up.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the section, and put it into the page where asked."""
    return run(upright_section_of, parser().parse_args(arguments).into)


if __name__ == "__main__":
    sys.exit(main())
