"""WAV: finds format and samples whatever the chunks around them claim, and writes them anew.

libsndfile takes a header's word; recorders, streams and broken editors leave sizes of 0 or 2**32 - 1, sizes beyond the
file's end, odd chunks without their padding and frame sizes that contradict the format.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

__all__ = ["Waves", "mend"]

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_UNKNOWN = 0x7FFFF000  # sizes from here on are a stream's: nobody knew the length


@dataclass(frozen=True)
class Waves:
    """A WAV as it should be, and what its header promised.

    Attributes
    ----------
    data : bytes
        A valid file.
    rate, channels : int
        As its format says.
    promised : float or None
        Seconds, where the header says so and the format tells.
    empty : bool
        Whether there are no samples.
    """

    data: bytes
    rate: int
    channels: int
    promised: float | None
    empty: bool


def mend(data: bytes) -> Waves | None:
    """Write a WAV anew.

    Parameters
    ----------
    data : bytes
        RIFF, RF64 or BW64; what comes before it is skipped.

    Returns
    -------
    Waves or None
        None where there is no format or no samples to be found, or it is big-endian (RIFX): left to the decoders.
    """
    start = re.search(rb"(?:RIFF|RF64|BW64).{4}WAVE", data[: 1 << 16], re.DOTALL)
    if start is None:
        return None
    chunks = _chunks(data, start.end())
    samples = chunks.get(b"data")
    layout = chunks.get(b"fmt ")
    if layout is None or samples is None or layout[1] < 14 or layout[0] + 14 > len(data):
        return None
    body = data[layout[0] : layout[0] + min(layout[1], 256)]
    tag, channels, rate, speed, block = struct.unpack_from("<HHIIH", body)
    bits = int.from_bytes(body[14:16], "little")
    where, size = samples
    if size >= _UNKNOWN and b"ds64" in chunks:
        size = int.from_bytes(data[chunks[b"ds64"][0] + 8 : chunks[b"ds64"][0] + 16], "little")
    further = [] if size >= _UNKNOWN else _further(data, where + size + size % 2)
    if further:  # some recorders begin another chunk of samples after a pause
        data = data[: where + size] + b"".join(further)
        size += sum(map(len, further))
    there = len(data) - where
    streamed = size >= _UNKNOWN or (size == 0 and there > 0 and not _chunks_follow(data, where))
    kept = there if streamed else min(size, there)
    if tag == _EXTENSIBLE:
        known = int.from_bytes(body[24:26], "little") if len(body) >= 40 else 0
        tag = known if known in (_PCM, _FLOAT, _ALAW, _MULAW) or not bits else (known or _PCM)
    if tag in (_PCM, _FLOAT, _ALAW, _MULAW) and channels:
        bits = 8 if tag in (_ALAW, _MULAW) else (bits or 8 * block // channels)
        block = channels * ((bits + 7) // 8)
        speed = rate * block
        kept -= kept % max(block, 1)
        body = struct.pack("<HHIIHH", tag, channels, rate, min(speed, 0xFFFFFFFF), block & 0xFFFF, bits)
    promised = size / speed if speed and not streamed else None
    fact = chunks.get(b"fact")
    if promised is None and rate and fact is not None and fact[1] == 4 and not streamed:  # of no constant speed
        promised = int.from_bytes(data[fact[0] : fact[0] + 4], "little") / rate or None
    parts = [(b"fmt ", body)]
    if fact is not None and fact[1] == 4:
        parts.append((b"fact", data[fact[0] : fact[0] + 4]))
    parts.append((b"data", data[where : where + kept]))
    whole = b"".join(kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in parts)
    return Waves(b"RIFF" + struct.pack("<I", 4 + len(whole)) + b"WAVE" + whole, rate, channels, promised, kept <= 0)


def _chunks(data: bytes, start: int) -> dict[bytes, tuple[int, int]]:
    """Where each kind of chunk holds its content, and the size it claims: the first of each, up to the samples."""
    found: dict[bytes, tuple[int, int]] = {}
    while start + 8 <= len(data) and b"data" not in found:
        kind, size = data[start : start + 4], int.from_bytes(data[start + 4 : start + 8], "little")
        if not _plausible(kind) or (start + 8 + size > len(data) and kind != b"data"):
            break
        found.setdefault(kind, (start + 8, size))
        start += 8 + size
        if size % 2 and not (_plausible(data[start : start + 4]) and not _plausible(data[start + 1 : start + 5])):
            start += 1
    for kind in (b"fmt ", b"data"):
        # A chunk with a wrong size hides what follows it: look for the next name that is there.
        at = data.find(kind, start if kind == b"data" else 12) if kind not in found else -1
        if at >= 0 and at + 8 <= len(data):
            found[kind] = (at + 8, int.from_bytes(data[at + 4 : at + 8], "little"))
    return found


def _further(data: bytes, start: int) -> list[bytes]:
    """Give the samples of the chunks behind the first one."""
    found = []
    while start + 8 <= len(data) and _plausible(data[start : start + 4]):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        if data[start : start + 4] == b"data":
            found.append(data[start + 8 : start + 8 + size])
        start += 8 + size + size % 2
    return found


def _plausible(kind: bytes) -> bool:
    return re.fullmatch(rb"[A-Za-z0-9_ ][ -~]{3}", kind) is not None


def _chunks_follow(data: bytes, start: int) -> bool:
    """Whether nothing but whole chunks comes from here to the end: then samples of size 0 are none."""
    while start + 8 <= len(data) and _plausible(data[start : start + 4]):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        start += 8 + size + size % 2
    return start >= len(data)
