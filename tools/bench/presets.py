"""`make bench-presets`: what one input costs in the published presets, counted on the meta device, without weights.

Prints Markdown. docs/presets.md is its output, and a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from omnibind_core.types import Modality

if TYPE_CHECKING:
    from omnibind_core.presets.preset import Preset

__all__ = ["main", "page", "plan_rows", "rows", "second_rows"]

NAMES: Mapping[Modality, str] = {"text": "sentence", "image": "picture", "audio": "sound of 10 s", "point": "shape"}
HEAD = """\
# What the published presets cost

Printed by `make bench-presets`: counted on torch's meta device, so exact, the same on every machine, and without
weights. GFLOP are billions of floating-point operations in matrix products and convolutions (a multiplication and an
addition are two). GB read are the bytes of the weights that one input reads, at two bytes each (bfloat16) on both
sides; at batch 1 they decide how long a fast card takes. The sentence has {pieces} pieces, the shape 10,000 points.

"Published" is the authors' inference code (zehanwang01/OmniBind, `omni_model/experts.py`): each Uni3D member runs
EVA02-CLIP-E-14+'s picture or sentence tower again (four runs in large and full, two in base), each SigLIP call runs its
other tower on a dummy, and towers that read from left to right run 77 places for every sentence. "Ours" runs each tower
once, only the one that the input needs, and only as far as the sentence goes (SigLIP reads both ways and always runs
64 places). The vectors are the same: what is left out is computed twice, or not used.
"""
FOOT = """\
What remains in `full` for a picture is EVA-CLIP-18B itself (9,121 GFLOP), which nobody runs twice; in `base` there is
only one EVA02-E run and no SigLIP to save. Sounds and shapes were never computed twice.
"""


CARD = """\
## On a card

`make gpu-check` (`python -m tools.gpu_check`) measures all this on a CUDA machine in under ten minutes and downloads
nothing: towers of base and full at true size from made-up numbers, by modality and batch; memory plans; the card's
vectors against the processor's (float32 within 1e-4, bfloat16 at a cosine of at least 0.999); stacked heads against a
loop; a card that is nearly full; CUDA graphs and compiling; `mini`, and the page's first answer with it. **On an
NVIDIA H200 it found** that a query takes 54 ms at most of the towers of base and 0.11 s of those of full:
[on-a-card.md](on-a-card.md). Please send us yours.
"""
DIFFERENCES = """\
## Where our preprocessing differs from the published

Elsewhere ours is the authors' own, held to it by goldens (`tests/specialists/`). `faithful=True` in Python and
`--faithful` on the command line do what is published where that is deterministic; they also leave silence, offsets and
opposite phase as they are.

| input | published | ours | why |
|---|---|---|---|
| sound over 10 s, WavCaps | cut after 10 s | unit vectors of its windows of 10 s, averaged | the rest is heard too |
| sound over 10 s, CLAP for music | 10 s from a random place | the same average | one sound has one vector |
| sound over 10 s, CLAP general | a random place in each third | the middle of each third | the same |
| stereo, ImageBind | the left channel | the mean of both | a sound on the right is heard; the others mix it down too |
| other rates, ImageBind | torchaudio's windowed sinc | soxr, high quality | one resampler for all, librosa's |
| shape from a mesh, Uni3D | 10,000 points in a `.npy` | drawn evenly from its surface | meshes are read |
| sentence, SigLIP 2 | open_clip takes punctuation away | kept, in lower case | so it was trained |

| difference | with `faithful` | cosine of ours with the published, median (lowest) |
|---|---|---:|
| over 10 s, windows averaged or cut after 10 s | WavCaps as published | 0.978 (0.957) |
| the mean of the channels, or the left one | ImageBind as published | 0.951 (0.909) |
| soxr, or torchaudio's windowed sinc, to 16 kHz | as ours | 1.000 (1.000) |
| CLAP: fixed places, or random ones | as ours, for the published is random | not measured |

Cosines are of ten pairs of the gallery's longest sounds, one after the other (17 s) and one on each side, and of a
tower that is here, aiSFX as `mini` has it, for the published towers' weights are not
(`python -m tools.bench.differences`).

The first five matter where sounds are long, in stereo or of other rates; for mono sounds up to 10 s at the tower's own
rate, and for everything in a published point cloud, there is no difference.
"""


def _published() -> list[Preset]:
    """Give the authors' presets, the smallest first."""
    from omnibind_core.presets.preset import ranked

    return [preset for preset in reversed(ranked()) if preset.published]


def _for_cards() -> list[Preset]:
    """Give the presets that want a card, the lowest in rank first."""
    from omnibind_core.presets.preset import ranked

    return [preset for preset in reversed(ranked()) if preset.card]


def rows() -> list[str]:
    """Give the table of costs, line by line."""
    from omnibind_core.machine.cost import table

    lines = [
        "| preset | input | published GFLOP | our GFLOP | share | published GB read | our GB read | share |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for preset in _published():
        costs = table(preset)
        for modality, name in NAMES.items():
            theirs, own = costs[modality]
            lines.append(
                f"| {preset.name} | {name} | {theirs.operations / 1e9:,.1f} | {own.operations / 1e9:,.1f} "
                f"| {own.operations / theirs.operations:.2f} | {2 * theirs.weights / 1e9:.2f} "
                f"| {2 * own.weights / 1e9:.2f} | {own.weights / theirs.weights:.2f} |"
            )
    return lines


PLANS = """\
## Memory plans

`from_pretrained(..., plan="auto")` takes the first of these that fits what is free (`omnibind_core/machine/memory.py`):
`resident`, all weights on the card in bfloat16; `int8`, large matrices in eight bits with a scale for each 64 numbers,
tower by tower where its vectors change by less than 1 % (one minus the cosine, measured while loading); `streamed`:
what does not fit the card stays in pinned memory and comes when it is read, with the vectors of `resident`. Card: free
bytes needed, {reserve:.1f} GB for CUDA and for computing included. Machine: at most, while loading; for `streamed`
beside a 24 GB card, which is filled first.
"""
SECONDS = """\
Seconds for one input are **estimates, not measurements**: {flops:.0f} TFLOP/s, {memory:.1f} TB/s on the card and
{bus:.0f} GB/s to it (a 24 GB card of 2022 on PCIe 4 reaches about this), one input at a time, without decoding and
without the time to start kernels, which adds tens of milliseconds.
"""
FLOPS, MEMORY, BUS = 100e12, 0.8e12, 20e9  # a second
CARDS = (("open", 24), ("base", 16), ("large", 24), ("full", 24), ("full", 40), ("full", 80))


def plan_rows() -> list[str]:
    """Give the table of memory plans, line by line."""
    from omnibind_core.machine.plans import needs

    lines = ["| preset | plan | card GB | machine GB |", "|---|---|---:|---:|"]
    for preset in _for_cards():
        found = needs(preset, card=23_500_000_000)
        lines += [f"| {preset.name} | {one.plan} | {one.card / 1e9:.1f} | {one.machine / 1e9:.1f} |" for one in found]
    return lines


def second_rows() -> list[str]:
    """Give the table of estimated seconds, line by line."""
    from omnibind_core.machine.cost import ours, work
    from omnibind_core.machine.plans import choose_plan, needs, shares_on_card
    from omnibind_core.presets.preset import load_preset

    lines = [
        f"| preset | card | plan | {' | '.join(NAMES.values())} | data to the card for a picture |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, size in CARDS:
        preset, card = load_preset(name), int(size * 1e9 - 0.5e9)
        plan, _ = choose_plan(needs(preset, card=card), card, 1 << 62)
        there = shares_on_card(preset, card)
        cells: list[str] = []
        travels: dict[Modality, float] = {}
        for modality in NAMES:
            cost = ours(preset, modality)
            towers = preset.towers_of(modality)
            away = sum(2 * work(tower, modality).weights * (1 - there[tower]) for tower in towers)
            travels[modality] = away if plan == "streamed" else 0.0
            # int8: a byte is read, two are written and read again.
            reading = (5 if plan == "int8" else 2) * cost.weights / MEMORY
            seconds = max(cost.operations / FLOPS, reading) + travels[modality] / BUS
            cells.append(f"{seconds:.3f}")
        lines.append(f"| {name} | {size} GB | {plan} | {' | '.join(cells)} | {travels['image'] / 1e9:.1f} GB |")
    return lines


def page() -> str:
    """Give docs/presets.md."""
    from omnibind_core.machine.cost import PIECES
    from omnibind_core.machine.plans import RESERVE

    costs = [HEAD.format(pieces=PIECES), *rows(), "", FOOT]
    plans = [PLANS.format(reserve=RESERVE / 1e9), *plan_rows(), ""]
    seconds = [SECONDS.format(flops=FLOPS / 1e12, memory=MEMORY / 1e12, bus=BUS / 1e9), *second_rows()]
    return "\n".join([*costs, *plans, *seconds, "", CARD, DIFFERENCES])


def main() -> None:
    """Print it."""
    import torch

    torch.set_num_threads(1)
    sys.stdout.write(page())


if __name__ == "__main__":
    main()
