"""How well signed queries are answered: operators, centring and captions, against single terms.

The queries and the answers that a person accepts lie in ``data/compositions.json``, written before any run.

    python -m omnibind_core.evaluation.composing_page [--preset mini] [--out FILE]
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omnibind_core.binder import OmniBind
from omnibind_core.errors import OmniBindError
from omnibind_core.evaluation.composing import Measured, Setting, SettingResult, decide, evaluate_compositions, winner
from omnibind_core.evaluation.report import Cell, Chart, Section, table
from omnibind_core.evaluation.retrieval import Figure
from omnibind_core.machine.runtime import tune_threads
from omnibind_core.search.compose import DEFAULT_CENTRED, DEFAULT_MATCH, DEFAULT_OPERATOR, OPERATORS

__all__ = ["evaluate_compositions", "main", "parser", "sections", "winner"]

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


def sections(measured: Measured) -> list[Section]:
    """Lay the figures out: the ways in the winner's setting, all settings, and kinds of queries."""
    outcomes = measured.outcomes()
    decision = decide(measured)
    chosen = decision.chosen
    overall = {one.setting: one for one in outcomes if one.group == "all"}
    by_group = {(one.setting, one.group): one for one in outcomes}
    guessing = overall[Setting("chance")]
    counts = {one.group: one.n for one in outcomes if one.setting == guessing.setting}
    chance = round(guessing.mean.value, 1)
    ways = [*OPERATORS, "first term", "best single term", "words only"]
    like = [overall[one] for one in (replace(chosen, way=way) for way in ways) if one in overall]
    default = Setting(DEFAULT_OPERATOR, DEFAULT_CENTRED, DEFAULT_MATCH)
    verdict = f"The default is **{_said(chosen)}**"
    if decision.best != chosen:
        verdict += (
            f": the best mean, of {_said(decision.best)}, leads by {decision.lead.value:.1f} points (95 % interval "
            f"{decision.lead.low:.1f} to {decision.lead.high:.1f}), which is within chance, so the simplest stays"
        )
    verdict += ". " if chosen == default else f". The application still uses {_said(default)}. "
    mixed = sorted((o for o in overall.values() if o.setting.way in OPERATORS), key=lambda one: -one.mean.value)
    settings: list[list[Cell]] = [
        [_said(o.setting), o.n, str(o.mrr), str(o.hit), *_numbers(o.mean), chance] for o in mixed
    ]
    by_kind: list[list[Cell]] = [
        [_said(setting), *(_short(by_group.get((setting, group)), n) for group, n in counts.items())]
        for setting in overall
    ]
    return [
        Section(
            "Mixing: ways to compose",
            f"{_TEXT.format(n=len(measured.queries))}\n{verdict}The ways below are compared in that setting.",
            ["way", "n", "MRR", "hit@10", "mean of MRR and hit@10", "from", "to", "chance"],
            [
                [o.setting.way, o.n, str(o.mrr), str(o.hit), *_numbers(o.mean), chance]
                for o in sorted(like, key=lambda one: -one.mean.value)
            ],
            Chart("way", "mean of MRR and hit@10", "from", "to", "chance"),
        ),
        Section(
            "Mixing: with and without centring and captions",
            "Centring subtracts each modality's mean first. With captions, a query meets the mean of an item "
            "and its caption; without, with the item alone.",
            ["setting", "n", "MRR", "hit@10", "mean of MRR and hit@10", "from", "to", "chance"],
            settings,
            Chart("setting", "mean of MRR and hit@10", "from", "to", "chance"),
        ),
        Section(
            "Mixing: kinds of queries",
            "MRR / hit@10 in percent; the number of queries stands in brackets, behind a cell where it is smaller.",
            ["way", *(f"{group} ({n})" for group, n in counts.items())],
            by_kind,
        ),
    ]


def _said(setting: Setting) -> str:
    """Name a setting for people; guessing has none."""
    if setting.way == "chance":
        return setting.way
    centred = ", centred" if setting.centred else ""
    return f"{setting.way}{centred}, {'with' if setting.match == 'media+caption' else 'without'} captions"


def _numbers(one: Figure) -> list[float]:
    return [round(x, 1) for x in (one.value, one.low, one.high)]


def _short(one: SettingResult | None, all_of_them: int) -> str:
    if one is None:
        return "-"
    said = f"{one.mrr.value:.1f} / {one.hit.value:.1f}"
    return said if one.n == all_of_them else f"{said} ({one.n})"


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m omnibind_core.evaluation.composing_page",
        description="Measure the ways of mixing on a preset's vectors of the gallery.",
    )
    found.add_argument("--preset", default="mini", help="whose vectors of the gallery (default: mini)")
    found.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    found.add_argument("--out", type=Path, help="also write the tables to this file")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write them where asked."""
    options = parser().parse_args(arguments)
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
