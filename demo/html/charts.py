"""What was measured, as HTML: bars with their intervals and with what guessing would give, and tables."""

from __future__ import annotations

import math
import re
from html import escape

from omnibind_core.evaluation.report import Report, Section

__all__ = ["chart", "heading", "introduction", "missing", "table"]

_INTRODUCTION = """\
<p>Each test hides an answer and lets the model look for it: given a sound, which of all the labels is its own? Nothing
that it is tested with was used to train it or to choose how it works, unless a section says so.</p>
<dl>
<div><dt><i class="ob-key ob-key-bar"></i>The bar</dt><dd>How often it was right, in percent: R@1 counts the first
answer, R@5 the first five. Longer is better.</dd></div>
<div><dt><i class="ob-key ob-key-whisker"></i>The whisker</dt><dd>How far luck reaches. Other items of the same kind
would have given a figure in this range 95 times of 100. Where two whiskers overlap a lot, neither has won.</dd></div>
<div><dt><i class="ob-key ob-key-chance"></i>Chance</dt><dd>What guessing blindly would give. A bar is worth something
as far as it reaches beyond this mark.</dd></div>
</dl>"""
_LONG = 12  # rows that a table without a chart may have before it is folded away too
_STEPS = 4  # lines of the scale
_NUMBER = re.compile(r"[-+]?\d[\d.,]*( ?%| ?M)?( [(/].*)?")
_HUES = {
    "image": ("picture", "photograph", "image"),
    "audio": ("sound",),
    "point": ("shape", "mesh"),
    "text": ("name", "label", "class", "sentence", "text"),
}


def introduction(report: Report, preset: str) -> str:
    """Draw what the tab is about, and how to read it.

    Parameters
    ----------
    report : Report
    preset : str
        The one that the page runs; where the figures are another's, they say so.
    """
    other = "" if preset == report.preset else f" This page runs <b>{escape(preset)}</b>, which they do not describe."
    source = (
        f"Figures of the preset <b>{escape(report.preset)}</b>, measured on {escape(report.date)} with "
        f"<code>{escape(report.command)}</code>, which prints them again.{other}"
    )
    return f'<div class="ob-intro"><h2>How good is it?</h2>{_INTRODUCTION}<p class="ob-note">{source}</p></div>'


def missing(given: str, action: str) -> str:
    """Draw what to do where there are no figures."""
    return (
        '<div class="ob-intro"><h2>No figures yet</h2><p>This copy brings no measurements that can be shown: '
        f"{escape(given)}.</p><p>What to do: {_code(action)}.</p></div>"
    )


def heading(section: Section) -> str:
    """Draw a section's title."""
    return f"<h3>{_arrows(section.title)}</h3>"


def chart(section: Section) -> str:
    """Draw a section's rows as bars; empty where it has no chart.

    Every bar has its number beside it, so that nothing is told by length or colour alone.
    """
    drawn = section.chart
    if drawn is None or not section.rows:
        return ""
    values = _numbers(section, drawn.value)
    lows, highs, chances = (_numbers(section, name) for name in (drawn.low, drawn.high, drawn.chance))
    top = _scale(max([x for x in (*values, *highs, *chances) if x is not None], default=1.0))
    bars = "".join(
        _bar(str(label), top, *figures)
        for label, *figures in zip(section.column(drawn.label), values, lows, highs, chances, strict=True)
    )
    ticks = "".join(f'<i style="left:{100 * i / _STEPS:g}%">{top * i / _STEPS:g}</i>' for i in range(_STEPS + 1))
    scale = f'<span></span><span class="ob-ticks">{ticks}</span><em></em>'
    return (
        f'<div class="ob-chart"><p class="ob-note">{escape(drawn.value)}</p><ul>{bars}</ul>'
        f'<div class="ob-scale" aria-hidden="true">{scale}</div></div>'
    )


def _bar(
    label: str, top: float, value: float | None, low: float | None, high: float | None, chance: float | None
) -> str:
    hue, name = _hue(label), _arrows(label)
    if value is None:
        return f'<li class="ob-bar-row"><span>{name}</span><span class="ob-lane"></span><em>–</em></li>'
    interval = f" ({low:.1f}–{high:.1f})" if low is not None and high is not None else ""
    told = f"{value:.1f}{interval}" + (f", chance {chance:.1f}" if chance is not None else "")
    marks = f'<b style="width:{_share(value, top)}"></b>'
    if low is not None and high is not None:
        marks += f'<s style="left:{_share(low, top)};width:{_share(high - low, top)}"></s>'
    if chance is not None:
        marks += f'<u style="left:{_share(chance, top)}"></u>'
    return (
        f'<li class="ob-bar-row{f" ob-{hue}" if hue else ""}" title="{name}: {told}"><span>{name}</span>'
        f'<span class="ob-lane" aria-hidden="true">{marks}</span>'
        f'<em>{value:.1f}<small class="ob-hide">{escape(told.removeprefix(f"{value:.1f}"))}</small></em></li>'
    )


def table(section: Section) -> str:
    """Draw a section's table in a box that scrolls sideways; a long one, and any beside a chart, is folded away."""
    columns, rows = section.shown()
    right = [
        i > 0 and all(_NUMBER.fullmatch(row[i]) or row[i] in ("", "-") for row in rows) for i in range(len(columns))
    ]
    style = [' class="ob-num"' if numeric else "" for numeric in right]
    head = "".join(f'<th scope="col"{style[i]}>{_arrows(name)}</th>' for i, name in enumerate(columns))
    body = "".join(
        f'<tr><th scope="row">{_arrows(row[0])}</th>'
        + "".join(f"<td{style[i]}>{_arrows(cell)}</td>" for i, cell in enumerate(row) if i)
        + "</tr>"
        for row in rows
    )
    box = (
        f'<div class="ob-scroll" role="region" tabindex="0" aria-label="Table: {_arrows(section.title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    if section.chart is None and len(rows) <= _LONG:
        return box
    return f'<details class="ob-figures"><summary>All figures ({len(rows)} rows)</summary>{box}</details>'


def _numbers(section: Section, name: str) -> list[float | None]:
    """Numbers of a column; None for each row where there is none."""
    cells = section.column(name) if name else [""] * len(section.rows)
    return [float(cell) if isinstance(cell, (int, float)) else None for cell in cells]


def _scale(most: float) -> float:
    """Give the end of the scale: 100 for percentages, so that bars of all sections compare; else a round number."""
    if 20 < most <= 100:
        return 100.0
    power = 10.0 ** math.floor(math.log10(max(most, 1e-9)))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if most <= step * power * (1 + 1e-9))


def _share(value: float, top: float) -> str:
    return f"{max(0.0, min(100.0, 100 * value / top)):.2f}%"


def _hue(label: str) -> str:
    """Tell what a test asks with by its first word that is a modality's; empty for none."""
    found = [(label.find(word), hue) for hue, words in _HUES.items() for word in words if word in label]
    return min(found)[1] if found else ""


def _arrows(text: str) -> str:
    return escape(text.replace("->", "→"))


def _code(text: str) -> str:
    """Escape, and set what stands between backquotes as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
