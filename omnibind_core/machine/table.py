"""The presets side by side: what they are, their size, licence, needs and cost. ``doctor --table`` prints it."""

from __future__ import annotations

from collections import Counter

from omnibind_core.machine.cost import is_counted, is_published, ours
from omnibind_core.machine.plans import light_needs, needs
from omnibind_core.machine.preflight import file_rows, is_commercial, licences
from omnibind_core.presets.preset import Preset, load_preset, preset_names
from omnibind_core.specialists.registry import find, required
from omnibind_core.types import MODALITIES, Modality

__all__ = ["preset_table"]

_CARD = 23_500_000_000  # bytes free on a 24 GB card, which "streamed" fills
_ORDER: tuple[Modality, ...] = ("text", "image", "audio", "point")
HEAD = (
    "| preset | what | size | commercial use | languages | needs | first start | tried "
    "| GFLOP for a sentence, picture, 10 s sound, shape |"
)


def preset_table() -> list[str]:
    """Give the table's lines in Markdown, the smallest preset first.

    Sizes of files are the publishers' where they are known, else estimated by the number of parameters; needs and cost
    are counted on the meta device. The same on every machine.
    """
    presets = sorted((load_preset(name) for name in preset_names()), key=_parameters)
    return [HEAD, "|" + "---|" * (HEAD.count("|") - 1), *(_row(preset) for preset in presets)]


def _parameters(preset: Preset) -> int:
    return sum(find(name)[0].parameters for name in required(preset.specialists()))


def _row(preset: Preset) -> str:
    lent = {fallback.source.label for fallback in preset.fallbacks.values()}  # fetched only if need be
    parameters = _parameters(preset)
    size = sum(row.about for row in file_rows(preset) if row.label not in lent)
    count = f"{parameters / 1e9:.1f} B" if parameters > 1e9 else f"{parameters / 1e6:.0f} M"
    fetched = f"{size / 1e9:.1f} GB" if size > 1e9 else f"{size / 1e6:.0f} MB"
    free = is_commercial(preset.licence) and all(is_commercial(name) for name in licences(preset))
    licence = f"{'yes' if free else 'no'} ({preset.licence})"
    titles = Counter(find(name)[0].title.split(",")[0] for name in required(preset.specialists()))
    what = ", ".join(title if n == 1 else f"{title} x{n}" for title, n in titles.items())
    cells = (
        *(f"`{preset.name}`", what, f"{count} parameters, {fetched}", licence, preset.languages or "not stated"),
        *(_needs(preset), preset.first_start or "none", preset.proven or "not stated", _cost(preset)),
    )
    return f"| {' | '.join(cells)} |"


def _needs(preset: Preset) -> str:
    if not any(is_published(name) for name in preset.specialists()):
        return f"{light_needs(preset) / 1e9:.1f} GB of memory, no card"
    plans = needs(preset, card=_CARD)  # "streamed" is the last
    cards = ", ".join(f"{one.card / 1e9:.1f} ({one.plan})" for one in plans)
    return f"a card with {cards} GB free; beside it {plans[-1].machine / 1e9:.0f} GB of memory"


def _cost(preset: Preset) -> str:
    if not all(is_counted(name) for m in MODALITIES for name in preset.towers_of(m)):
        return "not counted: see the measured times"
    return ", ".join(f"{ours(preset, modality).operations / 1e9:,.0f}" for modality in _ORDER)
