"""``make eval``: how well mini names, finds and matches what nothing was chosen or trained on.

Pictures and shapes are the halves of the Tux Paint and Sweet Home 3D pools that no choice was made on; sounds come
from packages that the evaluated heads never heard. Media are fetched with apt at the first run, so this needs Debian.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from omnibind_core.binding.evaluate_ears import evaluate_sounds, head_embedder, learned
from omnibind_core.binding.evaluate_eyes import evaluate_images, evaluate_shapes, mini_embedders
from omnibind_core.binding.retrieval import table
from omnibind_core.config import assets_directory, load_preset
from omnibind_core.errors import OmniBindError

__all__ = ["main", "report"]

HEAD = """\
# Results of `mini`

Written by `make eval`. R@1 and R@5 are percentages of queries with a right answer first, or among the first five, with
95 % bootstrap intervals; chance is R@1 of guessing. Vectors are those of the preset, with its flat weights, by media
alone: no caption is used anywhere.

- **Pictures**: Tux Paint's stamps (538 pictures, 498 names). Held out is the half on which no choice was made.
- **Shapes**: Sweet Home 3D's furniture (761 meshes, 204 classes), by rendered views, training-free. Held out likewise.
- **Sounds**: recordings from packages that the heads of this table never heard (`assets/mini/eval`); the heads that the
  application uses learned from those packages too, among them most sounds of the gallery.
"""


def report() -> str:
    """Measure everything and lay it out as Markdown.

    Raises
    ------
    MediaError
        This machine has no apt, or apt could not fetch the media.
    """
    embed_text, embed_image, embed_shape = mini_embedders(load_preset("mini"))
    heads = assets_directory() / "mini" / "eval"
    rows = evaluate_images(embed_text, embed_image)
    rows += evaluate_shapes(embed_text, embed_shape, embed_image)
    rows += evaluate_sounds(embed_text, head_embedder(heads), learned(heads), embed_image)
    return f"{HEAD}\n{table(rows)}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="also write it to this file")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("trimesh").setLevel(logging.WARNING)
    try:
        text = report()
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
