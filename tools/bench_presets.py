"""`make bench-presets`: what one input costs in the published presets, counted on the meta device, without weights.

Prints Markdown. docs/presets.md is its output, and a test compares the two.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

NAMES = {"text": "sentence", "image": "picture", "audio": "sound of 10 s", "point": "shape"}
HEAD = """\
# What the published presets cost

Printed by `make bench-presets`: counted on torch's meta device, so exact, the same on every machine, and without
weights. GFLOP are billions of floating-point operations in matrix products and convolutions (a multiplication and an
addition are two). GB read are the bytes of the weights that one input reads, at two bytes each (bfloat16) on both
sides; at batch 1 they decide how long a fast card takes. The sentence has {pieces} pieces, the shape 10,000 points.

"Published" is the authors' inference code (zehanwang01/OmniBind, `omni_model/experts.py`): each Uni3D member runs
EVA02-CLIP-E-14+'s picture or sentence tower again (four runs in large and full, two in base), each SigLIP call runs its
other tower on a dummy, CLAP pads every sentence to 77 pieces. "Ours" runs each tower once, and only the one that the
input needs. The vectors are the same: what is left out is computed twice, or not used.
"""
FOOT = """\
What remains in `full` for a picture is EVA-CLIP-18B itself (9,121 GFLOP), which nobody runs twice; in `base` there is
only one EVA02-E run and no SigLIP to save. Sounds and shapes were never computed twice.
"""


def rows() -> list[str]:
    """Lines of the table of costs."""
    from omnibind_core.config import load_preset
    from omnibind_core.cost import table

    lines = [
        "| preset | input | published GFLOP | our GFLOP | share | published GB read | our GB read | share |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for preset in ("base", "large", "full"):
        costs = table(load_preset(preset))
        for modality, name in NAMES.items():
            theirs, own = costs[modality]
            lines.append(
                f"| {preset} | {name} | {theirs.operations / 1e9:,.1f} | {own.operations / 1e9:,.1f} "
                f"| {own.operations / theirs.operations:.2f} | {2 * theirs.weights / 1e9:.2f} "
                f"| {2 * own.weights / 1e9:.2f} | {own.weights / theirs.weights:.2f} |"
            )
    return lines


def page() -> str:
    """Give docs/presets.md."""
    from omnibind_core.cost import PIECES

    return "\n".join([HEAD.format(pieces=PIECES), *rows(), "", FOOT])


def main() -> None:
    """Print it."""
    import torch

    torch.set_num_threads(1)
    print(page(), end="")


if __name__ == "__main__":
    main()
