"""What happens to files: each damage takes a good one and dice, and gives a bad one."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

__all__ = ["DAMAGES", "Damage"]

Damage = Callable[[bytes, random.Random], bytes]
_NUMBERS = (b"\xff\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"9999", b"-1  ", b"1e99", b"nan ")
_HEAD = 600


def _truncated(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(1, len(data))]


def _flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice([1, 5, 50, 500])):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _lying(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(min(len(data), _HEAD))
    return data[:start] + dice.choice(_NUMBERS) + data[start + 4 :]


def _lying_behind(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(max(len(data) - _HEAD, 0), len(data))
    return data[:start] + dice.choice(_NUMBERS) + data[start + 4 :]


def _holed(data: bytes, dice: random.Random) -> bytes:
    start, size = dice.randrange(len(data)), dice.choice([16, 256, 4_096])
    return data[:start] + bytes(len(data[start : start + size])) + data[start + size :]


def _shortened(data: bytes, dice: random.Random) -> bytes:
    """Take a piece out: everything behind it lies at another place."""
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.choice([1, 7, 100, 2_000]) :]


def _repeated(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    piece = data[start : start + dice.choice([8, 300, 5_000])]
    return data[:start] + piece * dice.choice([2, 50]) + data[start:]


def _shuffled(data: bytes, dice: random.Random) -> bytes:
    size = max(len(data) // 16, 1)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    head, rest = pieces[0], pieces[1:]
    dice.shuffle(rest)
    return head + b"".join(rest)


def _words(data: bytes, dice: random.Random) -> bytes:
    """Another number where digits stand: formats of text."""
    places = [i for i, byte in enumerate(data[:20_000]) if 48 <= byte <= 57]
    if not places:
        return _lying(data, dice)
    start = dice.choice(places)
    number = dice.choice([b"-1", b"99999999999", b"1e308", b"nan", b"inf", b"0", b"4294967296", b"x", b""])
    return data[:start] + number + data[start + 1 :]


def _checksummed(data: bytes, dice: random.Random) -> bytes:
    """Damage a PNG's chunk under a right checksum, so that what lies behind the check is met."""
    if not data.startswith(b"\x89PNG"):
        return _flipped(data, dice)
    at, chunks = 8, []
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + size])))
        at += 12 + size
    _, content = dice.choice(chunks)
    if content:
        content[dice.randrange(len(content))] = dice.randrange(256)
    parts = [
        len(body).to_bytes(4, "big") + name + bytes(body) + zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in chunks
    ]
    return data[:8] + b"".join(parts)


DAMAGES: dict[str, Damage] = {
    "truncated": _truncated, "flipped": _flipped, "lying": _lying, "lying behind": _lying_behind, "holed": _holed,
    "shortened": _shortened, "repeated": _repeated, "shuffled": _shuffled, "numbers": _words,
    "checksummed": _checksummed,
}  # fmt: skip
