"""The answers that the tours of ``assets/stories.json`` show, made anew: ``python -m tools.stories``.

Titles, sentences and terms are written by hand in that file; this fills in what answers each step. Afterwards
``python -m tools.sums --write`` takes note of the file.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omnibind_core.binder import OmniBind
from omnibind_core.search.compose import Options, Term
from omnibind_core.search.explorer import Explorer
from omnibind_core.store.paths import assets_directory, replace_file

__all__ = ["answered", "main", "parser"]

PRESET = "mini"
EACH = 4
"""Answers of each kind that a step shows."""


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    return argparse.ArgumentParser(
        prog="python -m tools.stories", description="Make the answers that the tours of assets/stories.json show."
    )


def answered(explorer: Explorer, terms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Ask a step's terms.

    Returns
    -------
    dict
        {"hits": {modality: [[id, score, z, share, cosine with each term ..]]}, "far": [modality]}.
    """
    made: list[Term] = []
    for one in terms:
        embedded = explorer.item(one["item"]) if one.get("item") else explorer.embed(one["text"], "text")
        made.append(embedded.term(one.get("weight", 1.0)))
    found = explorer.search(made, Options(k=EACH), exclude=[one["item"] for one in terms if one.get("item")])
    hits = {
        modality: [
            [h.id, round(h.score, 4), round(h.z, 2), None if h.share is None else round(h.share, 4),
             *(round(cosine, 3) for cosine in h.terms)]
            for h in many
        ]
        for modality, many in found.hits.items()
    }  # fmt: skip
    return {"hits": hits, "far": sorted(found.far)}


def told(raw: Mapping[str, Any]) -> str:
    """Write the file's text: an answer, a list of kinds, or a term a line."""
    lines = json.dumps(raw, ensure_ascii=False, indent=1) + "\n"
    return re.sub(r"\[[^\[\]{}]*\]|\{[^\[\]{}]*\}", lambda flat: " ".join(flat[0].split()), lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make them, and say how many steps there are."""
    parser().parse_args(arguments)
    path: Path = assets_directory() / "stories.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    explorer = Explorer(OmniBind.from_pretrained(PRESET, engine="torch"))
    steps = [step for story in raw["stories"] for step in story["steps"]]
    for step in steps:
        step.update(answered(explorer, step["terms"]))
    raw["preset"] = PRESET
    replace_file(path, told(raw).encode())
    sys.stdout.write(
        f"{len(raw['stories'])} tours, {len(steps)} steps: {path.name}; now python -m tools.sums --write\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
