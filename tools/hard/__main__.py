"""``python -m tools.hard``: thousands of hostile inputs, made here, each of which is refused or answered soon.

Prints one page and ends with 1 where an input crashed a decoder, took more than 10 s or more than 1 GB.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from omnibind_core import OmniBind
from omnibind_core.types import Modality
from tools.hard.crafted import Case, crafted
from tools.hard.damages import DAMAGES
from tools.hard.fuzz import findings, fuzz
from tools.hard.seeds import seeds
from tools.hard.trial import Tally, tried

__all__ = ["cases", "damaged", "main", "parser"]

_EMBED_EVERY = 40


def parser() -> argparse.ArgumentParser:
    """Give the command's options."""
    found = argparse.ArgumentParser(
        prog="python -m tools.hard",
        description="Try thousands of hostile inputs, which are made here, on the decoders.",
    )
    found.add_argument("--rounds", type=int, default=4, help="of each damage, on a file of each format")
    found.add_argument("--seed", type=int, default=0, help="of the dice")
    found.add_argument("--only", choices=("image", "audio", "point", "text"), help="one modality")
    found.add_argument("--fuzz", type=int, metavar="SECONDS", help="look for new ones with atheris instead, in all")
    return found


def cases(rounds: int, seed: int) -> Iterator[Case]:
    """Give every input: each damage of each format, those that are made to cost much, and what fuzzing found."""
    good = seeds()
    yield from damaged(good, rounds, seed)
    yield from crafted(good)
    yield from findings()


def damaged(good: dict[tuple[Modality, str], bytes], rounds: int, seed: int) -> Iterator[Case]:
    """Give each damage of each format so many times."""
    for (modality, extension), data in good.items():
        others = [one for one in good if one[0] == modality and one[1] != extension]
        for name, damage in DAMAGES.items():
            dice = random.Random(f"{seed} {modality} {extension} {name}")
            for number in range(rounds):
                yield Case(modality, f"{extension} {name} {number}", damage(data, dice), extension)
        dice = random.Random(f"{seed} {modality} {extension}")
        yield Case(modality, f"{extension} under another name", data, dice.choice(others)[1])
        yield Case(modality, f"{extension} behind zeros", bytes(5_000) + data, extension)
        yield Case(modality, f"{extension} of noise", dice.randbytes(20_000), extension)
        yield Case(modality, f"{extension} of nothing", b"", extension)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = parser().parse_args(arguments)
    os.environ.setdefault("OMNIBIND_OFFLINE", "1")
    if options.fuzz is not None:
        return fuzz(options.fuzz)
    model = OmniBind.from_pretrained("mini")
    embeds: dict[Modality, Callable[[Any], Any]] = {
        "image": model.embed_images, "audio": model.embed_audio, "point": model.embed_points, "text": model.embed_texts,
    }  # fmt: skip
    tally = Tally()
    for number, case in enumerate(cases(options.rounds, options.seed)):
        if options.only in (None, case.modality):
            embedded = number % _EMBED_EVERY == 0 or case.modality == "text"
            tally.outcomes.append(tried(case, embeds[case.modality] if embedded else None))
    sys.stdout.write(tally.page() + "\n")
    return int(any(one.wrong for one in tally.outcomes))


if __name__ == "__main__":
    sys.exit(main())
