"""How well signed queries are answered: operators, centring and captions, against single terms.

The queries and the answers that a person accepts lie in ``data/compositions.json``, written before any run.

    python -m omnibind_core.binding.evaluate_compose [--preset mini] [--out FILE]
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from omnibind_core.binder import OmniBind
from omnibind_core.binding.composing import Measured, Outcome, Setting, decide, evaluate_compositions, winner
from omnibind_core.binding.report import Cell, Chart, Section, table
from omnibind_core.binding.retrieval import Figure
from omnibind_core.compose import DEFAULT_CENTRED, DEFAULT_MATCH, DEFAULT_OPERATOR, OPERATORS, Match
from omnibind_core.errors import OmniBindError
from omnibind_core.runtime import tune_threads

__all__ = ["evaluate_compositions", "main", "sections", "winner"]

_TEXT = """\
{n} queries of two or three terms over the gallery, such as a picture of a lion + "stripes" (a picture of a tiger is
right) or the whinny of a horse + "a toy" (the rocking horse is). What a person accepts was written down from the
catalogue's captions before any run. MRR is the mean of 1 / rank of the first right answer, hit@10 the share of queries
with one among the first ten answers of its kind; percent, with 95 % bootstrap intervals over queries. A query's own
inputs never come back.

Two things flatter: the captions said what is right, so comparing with captions has it easier; and the sound heads
learned from most of the gallery's sounds. The best single term is picked knowing the answer, for each query. n says
how many queries a way can answer: at equal weights slerp is the sum, and where nothing is subtracted projection is too.
"""
_MATCHED: Mapping[Match, str] = {"media": "the thing alone", "media+caption": "the thing and its caption"}


def sections(measured: Measured) -> list[Section]:
    """Lay the figures out: the ways in the winner's setting, all settings, and kinds of queries."""
    outcomes = measured.outcomes()
    decision = decide(measured)
    chosen = decision.chosen
    overall = {one.setting: one for one in outcomes if one.group == "all"}
    by_group = {(one.setting, one.group): one for one in outcomes}
    guessing = overall[Setting("chance")]
    counts = {one.group: one.n for one in outcomes if one.setting == guessing.setting}
    ways = [*OPERATORS, "first term", "best single term", "words only"]
    like = [overall[replace(chosen, way=way)] for way in ways]
    default = Setting(DEFAULT_OPERATOR, DEFAULT_CENTRED, DEFAULT_MATCH)
    verdict = f"The winner is **{_said(chosen)}**"
    if decision.best != chosen:
        verdict += (
            f": the best mean, of {_said(decision.best)}, leads by {decision.lead} points, which is within chance, "
            "and then the simplest way is kept"
        )
    verdict += ". " if chosen == default else f". The application still uses {_said(default)}. "
    groups = [group for group in counts if group != "all"]
    every: list[list[Cell]] = [
        [_way(o.setting), _matched(o.setting), o.n, str(o.mrr), str(o.hit), str(o.mean)] for o in overall.values()
    ]
    by_kind: list[list[Cell]] = [
        [
            *(_way(setting), _matched(setting)),
            *(_short(by_group.get((setting, group)), counts[group]) for group in groups),
        ]
        for setting in overall
    ]
    return [
        Section(
            "Mixing: ways to compose",
            f"{_TEXT.format(n=len(measured.queries))}\n{verdict}The ways below are compared in that setting.",
            ["way", "n", "MRR", "hit@10", "mean of both", "from", "to", "chance"],
            [
                [o.setting.way, o.n, str(o.mrr), str(o.hit), *_numbers(o.mean), round(guessing.mean.value, 1)]
                for o in sorted(like, key=lambda one: -one.mean.value)
            ],
            Chart("way", "mean of both", "from", "to", "chance"),
        ),
        Section(
            "Mixing: with and without centring and captions",
            "Centring subtracts each modality's mean first.",
            ["way", "compared with", "n", "MRR", "hit@10", "mean of both"],
            every,
        ),
        Section(
            "Mixing: kinds of queries",
            "MRR / hit@10 in percent; the number of queries stands in brackets, behind a cell where it is smaller.",
            ["way", "compared with", *(f"{group} ({counts[group]})" for group in groups)],
            by_kind,
        ),
    ]


def _way(setting: Setting) -> str:
    return f"{setting.way}, centred" if setting.centred else setting.way


def _matched(setting: Setting) -> str:
    return _MATCHED[setting.match] if setting.way != "chance" else "-"


def _said(setting: Setting) -> str:
    return f"{_way(setting)}, compared with {_MATCHED[setting.match]}"


def _numbers(one: Figure) -> list[float]:
    return [round(x, 1) for x in (one.value, one.low, one.high)]


def _short(one: Outcome | None, all_of_them: int) -> str:
    if one is None:
        return "-"
    said = f"{one.mrr.value:.1f} / {one.hit.value:.1f}"
    return said if one.n == all_of_them else f"{said} ({one.n})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mini", help="whose vectors of the gallery (default: mini)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        tune_threads()
        model = OmniBind.from_pretrained(options.preset, device=options.device, modalities=["text"])
        found = sections(evaluate_compositions(model))
    except OmniBindError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    parts = [f"## {one.title}\n\n{one.text.strip()}\n\n{table(*one.shown())}\n" for one in found]
    text = "\n".join(parts)
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
