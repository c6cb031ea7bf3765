"""Sounds as people have them: each kind of strangeness, and what is to be heard of it."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import ac3, load_audio, mpeg, windows
from omnibind_core.media.sniff import sniff
from omnibind_core.types import Audio

from .makers import RATE, TONE, ogg_flac, sound, wav

SWEEP = (0.4 * np.sin(2 * np.pi * (200 + 300 * np.arange(2 * RATE) / RATE) * np.arange(2 * RATE) / RATE)).astype("f4")
PCM = (SWEEP * 32_767).astype("<i2").tobytes()
ZEROS = np.zeros(9 * RATE, np.float32)


def alike(audio: Audio, samples: np.ndarray = SWEEP, least: float = 0.99) -> None:
    """The same samples but for what lossy formats and margins change."""
    assert audio.rate == RATE
    heard, wanted = audio.samples, np.asarray(samples, np.float32)
    size = 1 << int(np.ceil(np.log2(len(heard) + len(wanted))))
    overlaps = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)
    assert np.abs(overlaps).max() / np.sqrt(np.square(heard).sum() * np.square(wanted).sum()) > least
    assert len(heard) == pytest.approx(len(wanted), abs=0.25 * RATE)


def test_opposite_phase_does_not_cancel() -> None:
    for channels in ([SWEEP, -SWEEP], [SWEEP, -0.8 * SWEEP], [-SWEEP, SWEEP, SWEEP, -SWEEP]):
        data = sound("wav", np.column_stack(channels), RATE)
        audio = load_audio(data)
        alike(audio)
        assert audio.notices == ("the channels are in opposite phase: turned round before mixing",)
        assert np.abs(audio.samples).max() > 0.3
    quiet = load_audio(sound("wav", np.column_stack([SWEEP, -0.8 * SWEEP])), faithful=True)
    assert np.abs(quiet.samples).max() < 0.06


def test_wide_stereo_is_mixed_as_ever() -> None:
    left, right = SWEEP, np.roll(SWEEP, 50)
    audio = load_audio(sound("wav", np.column_stack([left, right]), subtype="FLOAT"))
    np.testing.assert_allclose(audio.samples, (left + right) / 2, atol=1e-6)
    assert not audio.notices


@pytest.mark.parametrize("offset", [0.5, -0.3, 0.05])
def test_a_constant_offset_is_taken_out(offset: float) -> None:
    audio = load_audio(sound("wav", SWEEP / 8 + offset, subtype="FLOAT"))
    np.testing.assert_allclose(audio.samples, SWEEP / 8 - SWEEP.mean() / 8, atol=1e-5)
    assert audio.notices == ("a constant offset taken out",)
    assert load_audio((RATE, SWEEP / 8 + offset), faithful=True).samples.mean() == pytest.approx(offset, abs=1e-3)


@pytest.mark.parametrize("speed", [0.2, 0.5, 1.0])
def test_a_drifting_offset_is_taken_out(speed: float) -> None:
    drift = 0.6 * np.sin(2 * np.pi * speed * np.arange(len(SWEEP)) / RATE + 1).astype(np.float32)
    audio = load_audio(sound("wav", SWEEP / 8 + drift, subtype="FLOAT"))
    alike(audio, SWEEP / 8, 0.96)
    assert audio.notices[-1] == "a drifting offset taken out"
    alike(load_audio((RATE, SWEEP / 8 + drift), faithful=True), SWEEP / 8 + drift, 0.999)


def test_low_tones_are_no_drift() -> None:
    hum = (0.4 * np.sin(2 * np.pi * 25 * np.arange(2 * RATE) / RATE)).astype(np.float32)
    audio = load_audio((RATE, hum))
    np.testing.assert_allclose(audio.samples, hum, atol=1e-5)
    assert not audio.notices


def test_eight_bits_that_were_cut_lean_to_one_side() -> None:
    cut = (np.floor(SWEEP / 4 * 128) / 128).astype(np.float32)
    audio = load_audio((RATE, cut))
    assert abs(cut.mean()) > 0.003 > 1e-4 > abs(audio.samples.mean())
    assert not audio.notices


def test_a_tiny_offset_stays() -> None:
    samples = SWEEP + np.float32(0.005)
    audio = load_audio((RATE, samples))
    np.testing.assert_array_equal(audio.samples, samples)
    assert not audio.notices


@pytest.mark.parametrize("value", [1e6, -1e30, 50.0])
@pytest.mark.parametrize("places", [[7_000], [0], [2 * RATE - 1], [5_000, 20_000, 20_001]])
def test_wild_samples_are_bridged(value: float, places: list[int]) -> None:
    samples = SWEEP.copy()
    samples[places] = value
    audio = load_audio((RATE, samples))
    assert np.abs(audio.samples - SWEEP).max() < 0.4
    assert np.abs(audio.samples - SWEEP).mean() < 1e-3
    assert re.fullmatch(r"[12] wild samples?, far above the rest, left out", audio.notices[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_bridged(value: float) -> None:
    samples = SWEEP.copy()
    samples[5_000] = value
    audio = load_audio(sound("wav", samples, RATE, "FLOAT"))
    alike(audio)
    assert audio.notices == ("1 sample that is no number left out",)


def test_clicks_that_are_meant_stay() -> None:
    ticks = np.zeros(3 * RATE, np.float32)
    ticks[1_000::4_000] = 0.9
    for samples in (ticks, np.where(np.arange(RATE) == 5_000, 0.9, 0).astype(np.float32)):
        heard = load_audio((RATE, samples))
        assert np.abs(heard.samples).max() == pytest.approx(samples.max())
        assert not any("wild" in notice for notice in heard.notices)


@pytest.mark.parametrize("noise", [0.0, 5e-4, 3e-3])
def test_silence_around_a_sound_is_left_out(noise: float) -> None:
    dice = np.random.default_rng(0)
    for parts in ([SWEEP, ZEROS], [ZEROS, SWEEP], [ZEROS, SWEEP, ZEROS]):
        samples = np.concatenate(parts)
        samples = samples + noise * dice.standard_normal(len(samples)).astype(np.float32)
        audio = load_audio((RATE, samples))
        alike(audio)
        assert re.fullmatch(r"\d+\.\d of \d+\.\d s are silence and left out", audio.notices[0])
        assert len(load_audio((RATE, samples), faithful=True).samples) == len(samples)


def test_long_pauses_are_shortened_and_short_ones_kept() -> None:
    audio = load_audio((RATE, np.concatenate([SWEEP, ZEROS, SWEEP])))
    assert audio.seconds == pytest.approx(4.5, abs=0.1)
    samples = np.concatenate([SWEEP, ZEROS[: int(1.9 * RATE)], SWEEP, ZEROS[: RATE // 4]])
    np.testing.assert_array_equal(load_audio((RATE, samples)).samples, samples)


def test_a_knock_in_silence_stays_long_enough() -> None:
    samples = np.zeros(5 * RATE, np.float32)
    samples[-200:] = SWEEP[1_000:1_200]
    for heard in (samples, samples[::-1].copy()):
        audio = load_audio((RATE, heard))
        assert audio.seconds == pytest.approx(0.05)
        assert np.abs(audio.samples).max() == pytest.approx(np.abs(samples).max(), abs=0.01)


def test_windows_that_are_faint_beside_others_do_not_count() -> None:
    loud, faint = np.full(1_000, 0.5, np.float32), np.full(1_000, 0.005, np.float32)
    assert len(windows(Audio(np.concatenate([faint, loud, faint, loud]), 100))) == 2
    assert len(windows(Audio(np.concatenate([faint, faint]), 100))) == 2


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000])
def test_wav_of_unknown_length(size: int) -> None:
    audio = load_audio(wav(RATE, PCM, data_size=size))
    np.testing.assert_allclose(audio.samples, SWEEP, atol=1e-4)
    assert not audio.notices


@pytest.mark.parametrize("missing", [1, 2, 3, 101])
def test_wav_a_few_bytes_short(missing: int) -> None:
    audio = load_audio(wav(RATE, PCM)[:-missing])
    assert len(audio.samples) == len(SWEEP) - (missing + 1) // 2
    assert not audio.notices


def chunk(kind: bytes, content: bytes, size: int | None = None, padding: bytes = b"") -> bytes:
    return kind + struct.pack("<I", len(content) if size is None else size) + content + padding


FMT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))


@pytest.mark.parametrize(
    "chunks",
    [
        FMT + chunk(b"LIST", b"INFOodd") + chunk(b"data", PCM),
        FMT + chunk(b"LIST", b"INFOodd", padding=b"\0") + chunk(b"data", PCM),
        chunk(b"junk", b"x" * 33) + FMT + chunk(b"odd ", b"y", padding=b"\0") + chunk(b"data", PCM),
        FMT + chunk(b"LIST", b"INFO" * 9, size=10**8) + chunk(b"data", PCM),
        FMT + chunk(b"LIST", b"INFO" * 9, size=3) + chunk(b"data", PCM),
        FMT + chunk(b"\0\0\0\0", b"") + chunk(b"data", PCM),
        FMT + chunk(b"data", PCM) + chunk(b"LIST", b"INFOend!"),
        FMT + chunk(b"data", b"") + chunk(b"data", PCM),
        FMT + chunk(b"data", PCM[:6_002]) + chunk(b"LIST", b"INFO") + chunk(b"data", PCM[6_002:]),
        chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 7, 1, 16)) + chunk(b"data", PCM),
        chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 0, 0, 16)) + chunk(b"data", PCM),
        chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 0)) + chunk(b"data", PCM),
        chunk(b"fmt ", struct.pack("<HHIIHHH", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 0)) + chunk(b"data", PCM),
    ],
)
@pytest.mark.parametrize("before", [b"", b"\0" * 50, b"HTTP/1.1 200 OK\r\n\r\n\0"])
def test_wav_with_odd_chunks(chunks: bytes, before: bytes) -> None:
    data = before + b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    np.testing.assert_allclose(load_audio(data, extension="wav").samples, SWEEP, atol=1e-4)


def test_wav_in_rf64() -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", len(PCM) + 80, len(PCM), len(SWEEP), 0))
    data = b"RF64" + b"\xff" * 4 + b"WAVE" + sizes + FMT + chunk(b"data", PCM, size=0xFFFFFFFF)
    np.testing.assert_allclose(load_audio(data).samples, SWEEP, atol=1e-4)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("data", "there", "said"),
    [
        (wav(RATE, PCM, data_size=9 * 2 * RATE), 2.0, 9.0),
        (wav(RATE, PCM)[: 44 + RATE], 0.5, 2.0),
        (sound("aiff", SWEEP)[:-RATE], 1.5, 2.0),
        (sound("au", SWEEP)[:-RATE], 1.5, 2.0),
        (sound("caf", SWEEP)[:-RATE], 1.5, 2.0),
        (half(sound("mp3", SWEEP)), 1.0, 2.0),
        (half(sound("mka", SWEEP)), 1.0, 2.0),
        (half(sound("webm", SWEEP)), 1.0, 2.0),
        (half(sound("flac", SWEEP)), 1.0, 2.0),
        (half(sound("w64", SWEEP)), 1.0, 2.0),
        (half(sound("caf", SWEEP, subtype="ALAC_16")), 1.0, 2.0),
    ],
)
def test_what_is_there_of_a_file_is_heard(data: bytes, there: float, said: float) -> None:
    audio = load_audio(data)
    assert audio.seconds == pytest.approx(there, abs=0.3)
    pattern = rf"{audio.seconds:.1f} of {said:.1f} s are there: the rest of the file is missing"
    assert any(re.fullmatch(pattern, notice) for notice in audio.notices), audio.notices


def test_an_mp4_whose_table_comes_first_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    with av.open(tmp_path / "a.mp4", "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(SWEEP[None], format="flt", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    data = (tmp_path / "a.mp4").read_bytes()
    audio = load_audio(data[: len(data) * 2 // 3])
    assert 0.8 < audio.seconds < 1.7
    assert audio.notices == (f"{audio.seconds:.1f} of 2.1 s are there: the rest of the file is missing",)


def test_a_flac_whose_header_claims_too_much() -> None:
    data = sound("flac", SWEEP)
    claims = int.from_bytes(data[18:26], "big") >> 36 << 36 | 3_600 * RATE
    audio = load_audio(data[:18] + claims.to_bytes(8, "big") + data[26:])
    alike(audio)
    assert audio.notices == ("2.0 of 3,600.0 s are there: the rest of the file is missing",)


def test_ogg_without_its_end() -> None:
    data = sound("opus", np.tile(SWEEP, 4))
    audio = load_audio(data[: len(data) // 2])
    assert audio.notices == (f"the end of the file is missing: {audio.seconds:.1f} s are there",)


@pytest.mark.parametrize("extension", ["aac", "ac3", "ec3", "mp2", "mpga"])
def test_frames_that_end_within_one_are_cut(extension: str) -> None:
    whole = sound(extension, SWEEP)
    if extension == "mpga":  # without its first frame, which counts the others
        at = whole.index(b"\xff\xfb", 10)
        whole = whole[whole.index(b"\xff\xfb", at + 4) :]
    assert load_audio(whole, extension).notices == ()
    audio = load_audio(whole[: len(whole) * 2 // 3 + 5], extension)
    assert 0.5 < audio.seconds / load_audio(whole, extension).seconds < 0.8
    assert audio.notices == (f"the end of the file is missing: {audio.seconds:.1f} s are there",)


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000])
def test_frames_of_ac3_at_each_rate_are_as_long_as_they_say(rate: int) -> None:
    for kbits in (64, 128, 192):
        file = io.BytesIO()
        with av.open(file, "w", format="ac3") as container:
            stream = container.add_stream("ac3", rate=rate, layout="mono")
            stream.bit_rate = kbits * 1_000
            frame = av.AudioFrame.from_ndarray(SWEEP[None], format="flt", layout="mono")
            frame.sample_rate = rate
            container.mux([*stream.encode(frame), *stream.encode(None)])
        data = file.getvalue()
        assert not ac3.is_cut(data)
        assert ac3.is_cut(data[:-1])
        assert not ac3.is_cut(data + b"rubbish")
    assert not ac3.is_cut(b"\x0b\x77\0\x01" * (1 << 22)), "more frames than are followed"


def test_what_follows_the_last_frame_is_no_cut() -> None:
    for extension, tails in {
        "mp2": (b"TAG" + bytes(125), b"\xff\xfe" + b"A\0" * 40),
        "aac": (b"\xff\xfb\x90\0" * 9,),
    }.items():
        whole = sound(extension, SWEEP)
        assert mpeg.is_cut(whole[:-3])
        assert not any(mpeg.is_cut(whole + tail) for tail in (b"", b"\xff", *tails))


@pytest.mark.parametrize("extension", ["ogg", "opus", "oga"])
def test_an_ogg_cut_in_its_only_page(extension: str) -> None:
    data = sound(extension, SWEEP)
    for share in (0.75, 0.999):
        audio = load_audio(data[: int(len(data) * share)])
        assert (0.15 if share < 0.9 else 0.9) < audio.seconds / 2.0 <= 1.0
        assert "missing" in audio.notices[0]
        np.testing.assert_allclose(audio.samples[1_000:4_000], SWEEP[1_000:4_000], atol=0.1)


@pytest.mark.parametrize(
    "junk",
    [
        bytes(9_000),
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
        b"\r\n\r\n\xff\xfb",
        b"ID3\x04\0\0\0\0\x0f\x7f" + bytes(2_047),
        bytes(range(256)) * 20,
    ],
)
def test_mpeg_frames_behind_something_else(junk: bytes) -> None:
    for extension in ("mp3", "aac"):
        data = junk + sound(extension, SWEEP)
        assert extension in sniff(data, len(data))[1]
        alike(load_audio(data), least=0.98)
        alike(load_audio(data, extension="m4a"), least=0.98)


def test_mp3_and_aac_are_told_from_their_frames() -> None:
    mp3, aac = sound("mp3", SWEEP), sound("aac", SWEEP)
    found = mpeg.find(mp3[mpeg.tag_bytes(mp3) :])
    assert found == ("mp3", 0)
    assert mpeg.find(aac) == ("aac", 0)
    assert mpeg.find(bytes(100) + b"\xff\xfb\x90\x00" * 50) is None
    assert mpeg.find(np.random.default_rng(0).bytes(200_000)) is None


@pytest.mark.parametrize("extension", ["ogg", "opus", "oga", "mp3"])
def test_parts_that_were_joined_are_all_heard(extension: str) -> None:
    parts = sound(extension, SWEEP) + sound(extension, SWEEP[::-1].copy())
    alike(load_audio(parts), np.concatenate([SWEEP, SWEEP[::-1]]), least=0.97)


def test_parts_of_different_rates_and_channels() -> None:
    stereo = np.column_stack([TONE, TONE])
    audio = load_audio(sound("ogg", SWEEP) + sound("ogg", stereo) + sound("ogg", np.repeat(SWEEP, 2), 2 * RATE))
    assert audio.rate == RATE
    assert audio.seconds == pytest.approx(5.0, abs=0.1)


def test_flac_behind_a_tag_and_in_ogg() -> None:
    tag = b"ID3\x04\0\0\0\0\x0f\x7f" + bytes(2_047)
    np.testing.assert_allclose(load_audio(tag + sound("flac", SWEEP)).samples, SWEEP, atol=1e-4)
    np.testing.assert_allclose(load_audio(ogg_flac(SWEEP, RATE), extension="ogg").samples, SWEEP, atol=1e-4)


def test_quicktime_without_its_first_atom() -> None:
    data = sound("mov", SWEEP)
    size = int.from_bytes(data[:4], "big")
    bare = struct.pack(">I4s", size, b"skip") + data[8:]
    assert data[4:8] == b"ftyp"
    for extension in ("mov", "m4a"):
        alike(load_audio(bare, extension=extension), least=0.97)


@pytest.mark.parametrize(("real", "named"), [("aac", "m4a"), ("webm", "ogg"), ("mp3", "wav"), ("wav", "mp3")])
def test_a_wrong_name_does_no_harm(real: str, named: str) -> None:
    assert load_audio(sound(real, SWEEP), extension=named).seconds == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_of_two_bytes_is_no_mp3(encoding: str) -> None:
    data = "\ufeffa dog barks\n".encode(encoding)
    assert sniff(data, len(data)) == ("UTF-16 text", ())
    with pytest.raises(MediaError, match=r"content is UTF-16 text data and not \.mp3"):
        load_audio(data, extension="mp3")
    shape = "\ufeff# OBJ\nv 0 0 0\nv 1 0 0\n".encode(encoding)
    assert sniff(shape, len(shape)) == ("UTF-16 text", ("obj",))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_some_samples_that_are_no_number_are_bridged(value: float) -> None:
    samples = SWEEP.copy()
    samples[::200] = value
    audio = load_audio(sound("wav", samples, RATE, "FLOAT"))
    alike(audio)
    assert audio.notices == ("160 samples that are no number left out",)
    samples[::50] = value
    with pytest.raises(MediaError, match="not numbers"):
        load_audio(sound("wav", samples, RATE, "FLOAT"))


@pytest.mark.parametrize("run", [5, 12, 20])
def test_a_run_of_wild_samples_is_one(run: int) -> None:
    samples = SWEEP / 4
    samples[9_000 : 9_000 + run] = np.where(np.arange(run) % 2, -30, 30)
    audio = load_audio((RATE, samples))
    assert np.abs(audio.samples - SWEEP / 4).mean() < 1e-3
    assert audio.notices == ("1 wild sample, far above the rest, left out",)


def test_an_au_of_unknown_length_or_the_other_order() -> None:
    data = sound("au", SWEEP)
    for size in (bytes(4), b"\xff" * 4):
        audio = load_audio(data[:8] + size + data[12:], extension="au")
        alike(audio)
        assert not audio.notices
    header = struct.pack("<4s5I", b"dns.", 24, len(PCM), 3, RATE, 1)
    alike(load_audio(header + PCM, extension="snd"))


def test_one_tag_before_another() -> None:
    frame = b"APIC\0\0\0\x20\0\0\0image/png\0\3\0\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0"
    tag = b"ID3\3\0\0" + bytes([0, 0, len(frame) >> 7, len(frame) & 127]) + frame
    for extension in ("mp3", "mpga"):
        alike(load_audio(tag + tag + sound("mpga", SWEEP), extension=extension), least=0.98)


def test_enhanced_ac3_is_told_from_ac3() -> None:
    for real, named in (("eac3", "ac3"), ("ac3", "ec3")):
        audio = load_audio(sound(real, SWEEP), extension=named)
        assert audio.rate == 48_000
        assert audio.seconds == pytest.approx(2.0, abs=0.1)
        assert audio.samples.std() == pytest.approx(SWEEP.std(), rel=0.1)


def test_a_title_that_is_no_text_does_not_stop_the_sound() -> None:
    data = sound("m4a")
    at = data.index(b"Lavf")
    audio = load_audio(data[:at] + b"\xff\xe9\xed\x80" + data[at + 4 :], "m4a")
    assert len(audio.samples) == pytest.approx(len(TONE), abs=0.25 * RATE)


def test_a_tag_without_its_sound_is_no_picture() -> None:
    cover = b"APIC" + b"\0\0\x40\0\0\0\0image/jpeg\0\3\0" + b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(2_000)
    for said in (len(cover) - 10, 100_000):
        tag = b"ID3\3\0\0" + bytes(said >> shift & 0x7F for shift in (21, 14, 7, 0)) + cover
        with pytest.raises(MediaError, match="damaged or incomplete"):
            load_audio(tag, "mp3")
