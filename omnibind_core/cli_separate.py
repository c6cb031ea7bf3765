"""The command that pulls out of a sound what another item names."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omnibind_core.errors import QueryError

__all__ = ["install"]


def install(commands: Any, common: argparse.ArgumentParser, embed_items: Callable[..., Any]) -> None:
    """Add the command; `embed_items` gives an explorer and the items in its space."""
    text = "pull out of a sound what a picture, a shape, a sentence or another sound names"
    one = commands.add_parser("separate", parents=[common], help=text, description=text)
    one.set_defaults(run=lambda given: _separate(given, embed_items), show=_show)
    one.add_argument("items", nargs=2, metavar="ITEM", help="the sound, and what to look for: a file, or text:a word")
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where found.wav and rest.wav go")


def _separate(given: argparse.Namespace, embed_items: Callable[..., Any]) -> dict[str, Any]:
    import soundfile

    from omnibind_core import media
    from omnibind_core.search.answers import separated_form

    name, query = given.items
    sound = media.load(Path(name), "audio")
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QueryError(
            f"--out {given.out} ({error.strerror})", "a folder that can be written", "name another"
        ) from error
    explorer, made = embed_items(given, [query], ["audio"])
    answer = explorer.separate(sound, made[0].term())
    paths = [given.out / "found.wav", given.out / "rest.wav"]
    for path, samples in zip(paths, (answer.found, answer.rest), strict=True):
        soundfile.write(path, samples, answer.rate, subtype="FLOAT")  # whole numbers would cut peaks beyond full scale
    found, rest = map(str, paths)
    return separated_form(explorer.preset, answer, found, rest, [*sound.notices, *made[0].notices])


def _show(result: dict[str, Any]) -> list[str]:
    there = "found" if result["present"] else "not in this sound, as far as can be heard; the nearest is written"
    lines = [f"{there} (stands out by {result['score']:+.1f} standard deviations)"]
    lines += [
        f"  part {i:>2}: {part['score']:+.1f}, {part['weight']:4.0%} of it taken, {part['level']:4.0%} of the sound"
        for i, part in enumerate(result["parts"], 1)
    ]
    return [*lines, f"written: {result['found']}, {result['rest']}"]
