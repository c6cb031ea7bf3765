"""Damage real files at many places: each outcome is a valid medium or a MediaError, soon."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import numpy as np
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import formats, limits, load
from omnibind_core.types import MODALITIES, Audio, Image, Modality

from .makers import ball, mesh_file, picture, sound
from .test_points import shape_file

CASES = [(modality, extension) for modality in MODALITIES for extension in formats()[modality]]
ROUNDS = 40


def intact(modality: Modality, extension: str) -> bytes:
    if modality == "image":
        return picture(extension)
    if modality == "audio":
        return sound(extension)
    coloured = extension in ("glb", "ply", "obj")
    return mesh_file(extension, ball(coloured=True)) if coloured else shape_file(extension)


def truncated(data: bytearray, dice: random.Random) -> bytearray:
    return data[: dice.randrange(1, len(data))]


def flipped(data: bytearray, dice: random.Random) -> bytearray:
    for _ in range(dice.choice([1, 5, 50])):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return data


def lying(data: bytearray, dice: random.Random) -> bytearray:
    """A wrong number somewhere in the header."""
    start = dice.randrange(min(len(data), 600))
    data[start : start + 4] = dice.choice([b"\xff\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f", b"9999", b"-1  "])
    return data


def holed(data: bytearray, dice: random.Random) -> bytearray:
    start = dice.randrange(len(data))
    data[start : start + 64] = bytes(len(data[start : start + 64]))
    return data


@pytest.mark.parametrize(("modality", "extension"), CASES)
def test_damage(modality: Modality, extension: str) -> None:
    dice = random.Random(f"{modality}.{extension}")
    data = intact(modality, extension)
    load(data, modality, extension=extension)
    damages: list[Callable[[bytearray, random.Random], bytearray]] = [truncated, flipped, lying, holed]
    for _ in range(ROUNDS):
        damaged = bytes(dice.choice(damages)(bytearray(data), dice))
        start = time.monotonic()
        try:
            media = load(damaged, modality, extension=extension)
        except MediaError as error:
            assert error.given and error.allowed and error.action
            continue
        finally:
            assert time.monotonic() - start < limits.DEADLINE_SECONDS + 2
        if isinstance(media, Image):
            assert media.rgb.size <= 3 * limits.KEEP_PIXELS
        elif isinstance(media, Audio):
            assert np.abs(media.samples).max() <= 1
        else:
            assert np.isfinite(media.xyz).all()  # type: ignore[union-attr]
