"""Small archive formats that sounds are kept in: Qt's (.rcc), OpenTTD's (.cat), OpenClonk's (.ocg), patches (.pat)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from omnibind_core.errors import MediaError

__all__ = ["READERS", "read_cat", "read_ocg", "read_pat", "read_rcc"]

_MAX_MEMBER = 64 << 20  # No sound in a package is near this; a lying header is.
_MAX_GROUP = 256 << 20
_LOOPED = 1.5  # seconds that a looped sample of a patch is held
_ZLIB, _DIRECTORY, _ZSTD = 1, 2, 4  # Flags of a node in a .rcc tree


def read_rcc(path: Path) -> dict[str, bytes]:
    """Read all files of a Qt resource archive.

    Parameters
    ----------
    path : Path
        A ``.rcc`` file of format 1 to 3 (Qt 5 and 6), big-endian; members stored or deflated.

    Returns
    -------
    dict of str to bytes
        Content by path inside the archive, without a leading slash. Members packed with zstd are left out.

    Raises
    ------
    MediaError
        The file is no such archive, or is damaged.

    Notes
    -----
    Format: qtbase, ``src/corelib/io/qresource.cpp``.
    """
    return _guarded(_rcc, path)


def read_cat(path: Path) -> dict[str, bytes]:
    """Read all sounds of an OpenTTD sound set.

    Parameters
    ----------
    path : Path
        A ``.cat`` file, little-endian: a table of (offset, size), then each sound's description and WAVE file.

    Returns
    -------
    dict of str to bytes
        WAVE files by ``"<number>.wav"``: two digits from 00, the game's number of the effect.

    Raises
    ------
    MediaError
        The file is no such set, or is damaged.

    Notes
    -----
    Format: OpenTTD, ``src/sound.cpp`` and ``src/random_access_file.cpp``.
    """
    return _guarded(_cat, path)


def read_ocg(path: Path) -> dict[str, bytes]:
    """Read all files of an OpenClonk group.

    Parameters
    ----------
    path : Path
        A ``.ocg`` file: gzip under another magic number, then nested groups with scrambled headers.

    Returns
    -------
    dict of str to bytes
        Content by path, e.g. ``"Animals.ocg/MosquitoBuzz.ogg"``.

    Raises
    ------
    MediaError
        The file is no such group, or is damaged.

    Notes
    -----
    Format: OpenClonk, ``src/c4group/C4Group.cpp``.
    """
    return _guarded(_ocg, path)


def read_pat(path: Path) -> dict[str, bytes]:
    """Read all samples of a Gravis Ultrasound patch.

    Parameters
    ----------
    path : Path
        A ``.pat`` file of one instrument: a header, then samples of 8 or 16 bits, mono.

    Returns
    -------
    dict of str to bytes
        WAVE files of 16 bits by ``"<number>.wav"``, two digits from 00. A sample with a loop goes on for 1.5 s.

    Raises
    ------
    MediaError
        The file is no such patch, or is damaged.

    Notes
    -----
    Format: TiMidity++, ``timidity/instrum.c``.
    """
    return _guarded(_pat, path)


def _guarded(parse: Callable[[bytes], dict[str, bytes]], path: Path) -> dict[str, bytes]:
    try:
        return parse(path.read_bytes())
    except (struct.error, zlib.error, LookupError, ValueError, RecursionError) as error:
        raise MediaError(
            f"{path.name} cannot be read ({type(error).__name__}: {error})",
            f"a sound {path.suffix} archive",
            "unpack its package again",
        ) from error


def _rcc(data: bytes) -> dict[str, bytes]:
    if data[:4] != b"qres":
        raise ValueError("no 'qres' at its start")
    version, tree, payload, names = struct.unpack_from(">4I", data, 4)
    node_size = 14 if version == 1 else 22  # From format 2 each node ends in a date of 8 bytes

    def name_of(offset: int) -> str:
        (length,) = struct.unpack_from(">H", data, names + offset)
        start = names + offset + 6  # 2 bytes of length, 4 of hash
        return data[start : start + 2 * length].decode("utf-16-be")

    def walk(node: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        name_offset, flags = struct.unpack_from(">IH", data, tree + node * node_size)
        first, second = struct.unpack_from(">II", data, tree + node * node_size + 6)
        path = prefix + name_of(name_offset) if node else ""
        if flags & _DIRECTORY:
            if second <= node:
                raise ValueError("its tree turns back on itself")
            for child in range(second, second + first):
                yield from walk(child, path + "/" if node else "")
        elif not flags & _ZSTD:
            # A file's first word is its locale, the second the place of its content.
            (length,) = struct.unpack_from(">I", data, payload + second)
            content = data[payload + second + 4 : payload + second + 4 + length]
            if flags & _ZLIB:
                content = zlib.decompressobj().decompress(content[4:], _MAX_MEMBER)
            yield path, content

    return dict(walk(0, ""))


def _cat(data: bytes) -> dict[str, bytes]:
    (first,) = struct.unpack_from("<I", data)
    offset_mask = 0x7FFFFFFF  # The top bit only marks the newer form of the table
    count = (first & offset_mask) // 8
    if not 0 < count < 1000:
        raise ValueError(f"it claims {count} sounds")
    sounds: dict[str, bytes] = {}
    for number in range(count):
        offset, size = struct.unpack_from("<II", data, number * 8)
        offset &= offset_mask
        described = offset + 1 + data[offset]
        start = data.index(b"RIFF", described, described + 64)
        if size > _MAX_MEMBER:
            raise ValueError(f"sound {number} claims {size} bytes")
        (riff,) = struct.unpack_from("<I", data, start + 4)
        sounds[f"{number:02d}.wav"] = data[start : start + 8 + riff]
    return sounds


def _ocg(data: bytes) -> dict[str, bytes]:
    if data[:2] != b"\x1e\x8c":
        raise ValueError("not packed as a group")
    group = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(b"\x1f\x8b" + data[2:], _MAX_GROUP)
    return dict(_members(group, ""))


def _members(group: bytes, prefix: str) -> Iterator[tuple[str, bytes]]:
    head, entry = 204, 316  # bytes of the group's header and of each line of its table
    scrambled = bytearray(group[:head])
    for i in range(0, head - 2, 3):
        scrambled[i], scrambled[i + 2] = scrambled[i + 2], scrambled[i]
    header = bytes(byte ^ 237 for byte in scrambled)
    if not header.startswith(b"RedWolf Design GrpFolder"):
        raise ValueError("no group header")
    (count,) = struct.unpack_from("<i", header, 36)
    start = head + entry * count
    for line in range(count):
        at = head + entry * line
        name = group[at : at + 260].split(b"\0")[0].decode("latin-1")
        _, is_group, size, _, offset = struct.unpack_from("<5i", group, at + 260)
        content = group[start + offset : start + offset + size]
        if is_group:
            yield from _members(content, f"{prefix}{name}/")
        else:
            yield prefix + name, content


def _pat(data: bytes) -> dict[str, bytes]:
    if data[:12] not in (b"GF1PATCH110\0", b"GF1PATCH100\0"):
        raise ValueError("no patch header")
    wide, unsigned, looped = 1, 2, 4  # Bits of a sample's mode; wide: 16 bits instead of 8
    count, at = data[198], 239  # After the headers of file (129 bytes), instrument (63) and layer (47)
    if not count:
        raise ValueError("no samples")
    sounds: dict[str, bytes] = {}
    for number in range(count):
        size, start, end, rate = struct.unpack_from("<3IH", data, at + 8)
        mode = data[at + 55]
        content = data[at + 96 : at + 96 + size]
        if len(content) < size or not rate:
            raise ValueError(f"sample {number} is cut short or has no rate")
        kind = ("u" if mode & unsigned else "i") + ("2" if mode & wide else "1")
        samples = np.frombuffer(content[: size - size % int(kind[1])], "<" + kind).astype(np.int32)
        if mode & unsigned:
            samples = samples - (1 << (8 * int(kind[1]) - 1))
        if kind[1] == "1":
            samples = samples * 256
        start, end = start // int(kind[1]), min(end // int(kind[1]), len(samples))
        if mode & looped and start < end:
            missing = max(0, round(_LOOPED * rate) - end)
            samples = np.concatenate([samples[:end], np.resize(samples[start:end], missing)])
        body = samples.astype("<i2").tobytes()
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
        chunks = b"WAVE" + form + struct.pack("<4sI", b"data", len(body)) + body
        sounds[f"{number:02d}.wav"] = struct.pack("<4sI", b"RIFF", len(chunks)) + chunks
        at += 96 + size
    return sounds


READERS: dict[str, Callable[[Path], dict[str, bytes]]] = {
    ".rcc": read_rcc,
    ".cat": read_cat,
    ".ocg": read_ocg,
    ".pat": read_pat,
}
"""Reader of each archive format by suffix."""
