"""The sound pool: archive readers on archives made here, the committed table, rendered notes, augmentation."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from omnibind_core.errors import MediaError
from tools.mini.pools import rendered as pools_rendered
from tools.mini.pools import sounds as pools_sounds
from tools.mini.pools.archives import read_cat, read_ocg, read_pat, read_rcc
from tools.mini.sounds.augment import augment

WAVE = b"RIFF" + struct.pack("<I", 8) + b"WAVEdata"


def rcc(version: int = 3) -> bytes:
    """Build an archive: a/b.txt deflated, c.bin stored."""
    texts = ["a", "b.txt", "c.bin"]
    names, name_at = b"", {}
    for text in texts:
        name_at[text] = len(names)
        names += struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")
    packed = struct.pack(">I", 5) + zlib.compress(b"hello")
    payload = struct.pack(">I", len(packed)) + packed
    stored_at = len(payload)
    payload += struct.pack(">I", 3) + b"xyz"
    date = b"" if version == 1 else bytes(8)
    tree = struct.pack(">IHII", 0, 2, 2, 1) + date  # the root: two children from node 1
    tree += struct.pack(">IHII", name_at["a"], 2, 1, 3) + date
    tree += struct.pack(">IHHHI", name_at["c.bin"], 0, 0, 1, stored_at) + date
    tree += struct.pack(">IHHHI", name_at["b.txt"], 1, 0, 1, 0) + date
    start = 24
    offsets = (start + len(payload) + len(names), start, start + len(payload))
    return b"qres" + struct.pack(">4I", version, *offsets) + bytes(4) + payload + names + tree


def cat() -> bytes:
    body, table = b"", b""
    for text in (b"Cow\0", b"Horse\0"):
        table += struct.pack("<II", (16 + len(body)) | 0x80000000, len(WAVE))
        body += bytes([len(text)]) + text + WAVE
    return table + body


def group(entries: dict[str, bytes | dict[str, bytes]]) -> bytes:
    head = bytearray(204)
    head[:24] = b"RedWolf Design GrpFolder"
    struct.pack_into("<i", head, 36, len(entries))
    head = bytearray(byte ^ 237 for byte in head)
    for i in range(0, 202, 3):
        head[i], head[i + 2] = head[i + 2], head[i]
    table, body = b"", b""
    for name, content in entries.items():
        data = group(dict(content)) if isinstance(content, dict) else content
        line = name.encode().ljust(260, b"\0")
        line += struct.pack("<5i", 0, isinstance(content, dict), len(data), 0, len(body))
        table += line.ljust(316, b"\0")
        body += data
    return bytes(head) + table + body


def ocg() -> bytes:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(group({"Bell.ogg": b"ding", "Animals.ocg": {"Bee.ogg": b"bzz"}})) + packer.flush()
    return b"\x1e\x8c" + packed[2:]


def pat() -> bytes:
    """Build a patch: four samples of 16 bits, then four unsigned of 8 bits, of which the last two are a loop."""
    made = b"GF1PATCH110\0".ljust(198, b"\0") + b"\2" + bytes(40)
    for content, loop, mode in (
        (struct.pack("<4h", 0, 100, -100, 7), (0, 0), 1),
        (bytes([128, 255, 0, 128]), (2, 4), 2 | 4),
    ):
        head = bytes(8) + struct.pack("<3IH", len(content), *loop, 1000)
        made += head.ljust(55, b"\0") + bytes([mode]) + bytes(40) + content
    return made


@pytest.mark.parametrize("version", [1, 2, 3])
def test_qt_archive(tmp_path: Path, version: int):
    path = tmp_path / "some.rcc"
    path.write_bytes(rcc(version))
    assert read_rcc(path) == {"a/b.txt": b"hello", "c.bin": b"xyz"}


def test_openttd_archive(tmp_path: Path):
    path = tmp_path / "some.cat"
    path.write_bytes(cat())
    assert read_cat(path) == {"00.wav": WAVE, "01.wav": WAVE}


def test_openclonk_archive(tmp_path: Path):
    path = tmp_path / "some.ocg"
    path.write_bytes(ocg())
    assert read_ocg(path) == {"Bell.ogg": b"ding", "Animals.ocg/Bee.ogg": b"bzz"}


def test_patch(tmp_path: Path):
    path = tmp_path / "some.pat"
    path.write_bytes(pat())
    sounds = read_pat(path)
    assert list(sounds) == ["00.wav", "01.wav"]
    samples, rate = soundfile.read(io.BytesIO(sounds["00.wav"]), dtype="int16")
    assert rate == 1000
    assert samples.tolist() == [0, 100, -100, 7]
    samples, _ = soundfile.read(io.BytesIO(sounds["01.wav"]), dtype="int16")
    assert samples[:8].tolist() == [0, 127 * 256, -128 * 256, 0, -128 * 256, 0, -128 * 256, 0]
    assert len(samples) == 1500  # a loop goes on


@pytest.mark.parametrize(("read", "make"), [(read_rcc, rcc), (read_cat, cat), (read_ocg, ocg), (read_pat, pat)])
def test_damaged_archives_are_refused(tmp_path: Path, read, make):
    whole = make()
    path = tmp_path / "some.bin"
    for broken in (b"", b"nonsense" * 8, whole[: len(whole) // 2]):
        path.write_bytes(broken)
        with pytest.raises(MediaError, match="cannot be read"):
            read(path)


def test_the_table_is_sound():
    clips = pools_sounds.table()
    assert len(clips) > 2000
    assert len({clip.key for clip in clips}) == len(clips)
    assert len({clip.label for clip in clips}) > 280
    assert all(clip.label == clip.label.strip() and clip.file for clip in clips)


def test_test_packages_are_kept_apart():
    groups = [pools_sounds.TEST, *pools_sounds.DEVELOPMENT]
    named = [package for group in groups for package in group]
    assert sorted(named) == list(pools_sounds.packages())
    tested = [clip for clip in pools_sounds.table() if clip.source in pools_sounds.TEST]
    assert len(tested) > 150


def test_many_labels_have_independent_sources():
    counts = pools_sounds.sources_of_labels()
    assert sum(len(labels) for labels in counts.values()) == len({clip.label for clip in pools_sounds.table()})
    assert list(counts) == sorted(counts)
    assert sum(len(labels) for count, labels in counts.items() if count >= 3) >= 140


def test_every_package_has_a_licence():
    path = Path(pools_sounds.__file__).parent / "data" / "sound_packages.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["package"] for row in rows] == list(pools_sounds.packages())
    assert all(row["version"] and row["licences"] and row["component"] == "main" for row in rows)


def test_midi_is_well_formed():
    data = pools_rendered._midi([(0.0, bytes([0xC0, 3])), (0.0, bytes([0x90, 60, 90])), (1.0, bytes([0x80, 60, 0]))])
    assert data[:4] == b"MThd"
    (length,) = struct.unpack(">I", data[18:22])
    assert len(data) == 22 + length
    assert data[22:] == bytes.fromhex("00ff51030f4240 00c003 00903c5a 8360803c00 00ff2f00".replace(" ", ""))


def test_own_signals_are_sounds():
    heard = list(pools_rendered.signals())
    assert len({clip.key for clip, _ in heard}) == len(heard) > 30
    for _, audio in heard:
        assert audio.samples.dtype == np.float32
        assert np.isfinite(audio.samples).all()
        assert 0.01 < np.abs(audio.samples).max() <= 2.0


@pytest.mark.parametrize("rate", [43.0, 100.0])
def test_augmentation_is_deterministic_and_bounded(rate: float):
    mel = torch.rand(300, 96) ** 4
    others = [torch.rand(40, 96)]
    for seed in range(30):
        first = augment(mel, others, np.random.default_rng(seed), rate)
        again = augment(mel, others, np.random.default_rng(seed), rate)
        assert torch.equal(first, again)
        assert first.shape[1] == 96
        assert 2 <= len(first) <= 10 * rate
        assert (first >= 0).all()
        assert torch.isfinite(first).all()
        assert 0.2 < float(first.mean() / mel.mean()) < 5


@pytest.mark.parametrize("frames", [1, 3, 60])
def test_short_sounds_can_be_augmented(frames: int):
    for seed in range(20):
        assert torch.isfinite(augment(torch.rand(frames, 96), [], np.random.default_rng(seed), 43.0)).all()
