"""Items beside one another, as HTML: how near each is to each, in groups, with their pictures on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from demo.html.icons import NAMES, icon
from demo.state import Ingredient
from omnibind_core.search.compare import TOGETHER, Compared

__all__ = ["matrix"]

_FAR = 0.5  # share that is drawn without colour: half of all pairs are nearer
_DEPTH = 60  # percent of the colour that the nearest have: words on it stay legible in both themes


def matrix(items: Sequence[Ingredient], made: Compared | None) -> str:
    """Draw the table; without one, the item or the words that stand there before.

    Every cell has its number, and groups are numbered and framed, so that nothing is told by colour alone.

    Parameters
    ----------
    items : sequence of Ingredient
        In the order in which they were given.
    made : Compared or None
        None where there are fewer than two.
    """
    if made is None:
        one = f"<ol class='ob-groups'>{_row(items[0], 0)}</ol>" if items else ""
        return f'<p class="ob-note">Give at least two things; their table appears here.</p>{one}'
    columns = "".join(
        f'<th scope="col" translate="no" title="{escape(items[i].label)}">{_face(items[i])}</th>' for i in made.order
    )
    rows = "".join(_line(items, made, place) for place in range(len(items)))
    return (
        f'{_groups(items, made)}<div class="ob-table" tabindex="0">'
        '<table class="ob-matrix" aria-label="How near each is to each">'
        f"<thead><tr><td></td>{columns}</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="ob-note">A number says how near two things are: of 100 pairs of the gallery of the same two kinds, '
        "so many are not as near. Framed: the same group. Hold the pointer over a cell for its cosine.</p>"
    )


def _line(items: Sequence[Ingredient], made: Compared, place: int) -> str:
    row = made.order[place]
    cells = "".join(_cell(items, made, row, column) for column in made.order)
    first = place == 0 or made.groups[made.order[place - 1]] != made.groups[row]
    name = f'{_face(items[row])}<span translate="no">{escape(items[row].label)}</span>'
    return f'<tr{" class=ob-first" if first else ""}><th scope="row">{name}</th>{cells}</tr>'


def _cell(items: Sequence[Ingredient], made: Compared, row: int, column: int) -> str:
    if row == column:
        return '<td class="ob-self" aria-label="itself">·</td>'
    share = float(made.shares[row, column])
    depth = max(0.0, (share - _FAR) / (1 - _FAR)) ** 2
    kind = ' class="ob-same"' if made.groups[row] == made.groups[column] else ""
    said = f"{items[row].label} and {items[column].label}: cosine {float(made.cosines[row, column]):+.3f}"
    return f'<td{kind} style="--depth:{_DEPTH * depth:.0f}%" title="{escape(said)}">{100 * share:.0f}</td>'


def _groups(items: Sequence[Ingredient], made: Compared) -> str:
    numbers = range(max(made.groups) + 1)
    many = [[row for row in made.order if made.groups[row] == number] for number in numbers]
    told = "one group" if len(many) == 1 else f"{len(many)} groups"
    parts = "".join(
        f"<li><b>{number + 1}</b><ol>{''.join(_row(items[row], row) for row in rows)}</ol></li>"
        for number, rows in enumerate(many)
    )
    return (
        f'<p class="ob-note" role="status">{len(items)} things fall into <b>{told}</b>: within one, every pair is '
        f"nearer than {TOGETHER:.0%} of such pairs.</p><ol class='ob-groups'>{parts}</ol>"
    )


def _row(one: Ingredient, row: int) -> str:
    label = escape(one.label)
    return (
        f'<li class="ob-{one.modality}">{_face(one)}<span translate="no">{label}</span>'
        f'<button data-act="drop" data-id="{row}" aria-label="Take {label} away">{icon("close")}</button></li>'
    )


def _face(one: Ingredient) -> str:
    name = f"{NAMES[one.modality]}: {escape(one.label)}"
    inner = f'<img src="{escape(one.thumbnail)}" alt="{name}">' if one.thumbnail else icon(one.modality)
    return f'<span class="ob-dot ob-{one.modality}" role="img" aria-label="{name}">{inner}</span>'
