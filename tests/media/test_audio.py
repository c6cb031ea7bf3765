from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import limits, load_audio, resample, windows
from omnibind_core.media.audio import FORMATS
from omnibind_core.types import Audio

from .makers import RATE, TONE, sound, wav

PCM = (TONE * 32_767).astype("<i2").tobytes()


@pytest.mark.parametrize("extension", FORMATS)
def test_each_format_gives_the_tone(extension: str) -> None:
    audio = load_audio(sound(extension), extension=extension)
    assert audio.samples.dtype == np.float32
    assert audio.rate in (8_000, RATE, 48_000)
    assert not audio.notices
    assert audio.seconds == pytest.approx(1.0, abs=0.2)
    assert audio.samples.std() == pytest.approx(0.5 / np.sqrt(2), abs=0.07)  # AMR is rough
    spectrum = np.abs(np.fft.rfft(audio.samples))
    assert spectrum.argmax() / audio.seconds == pytest.approx(440, abs=5)


@pytest.mark.parametrize("name", ["cantina.wav", "sax.wav", "recording1.wav", "cate_blanch.mp3", "heath_ledger.mp3"])
def test_real_sounds(assets: Path, name: str) -> None:
    audio = load_audio(assets / "audio" / name)
    assert audio.samples.std() > 0.001
    assert 1 < audio.seconds < 30


def test_samples_are_exact_and_mixed_down() -> None:
    stereo = np.column_stack([TONE, 0.5 * TONE])
    audio = load_audio(sound("wav", stereo, subtype="FLOAT"))
    np.testing.assert_allclose(audio.samples, 0.75 * TONE, atol=1e-6)
    assert audio.rate == RATE


def test_samples_in_memory_as_gradio_gives_them() -> None:
    ints = (TONE * 32_768).astype(np.int16)
    np.testing.assert_allclose(load_audio((RATE, ints)).samples, TONE, atol=1e-4)
    np.testing.assert_allclose(load_audio((RATE, np.column_stack([ints, ints]))).samples, TONE, atol=1e-4)
    np.testing.assert_allclose(load_audio((RATE, (TONE * 127 + 128).astype(np.uint8))).samples, TONE, atol=0.02)
    np.testing.assert_allclose(load_audio((RATE, TONE.astype(np.float64))).samples, TONE, atol=1e-6)
    np.testing.assert_allclose(load_audio(Audio(TONE, RATE)).samples, TONE, atol=1e-6)
    with pytest.raises(MediaError, match=r"a row for each channel.*transpose"):
        load_audio((RATE, np.stack([TONE, TONE])))
    for bad in ((RATE, "noise"), ("fast", TONE), (RATE, np.zeros((2, 2, 2))), (RATE,), (RATE, np.zeros(0))):
        with pytest.raises(MediaError):
            load_audio(bad)  # type: ignore[arg-type]


def test_overshoot_is_scaled_down() -> None:
    audio = load_audio((RATE, 8 * TONE))
    assert np.abs(audio.samples).max() == pytest.approx(1.0)


def test_high_rates_come_back_at_48_khz() -> None:
    time = np.arange(96_000) / 96_000
    audio = load_audio(sound("flac", 0.5 * np.sin(2 * np.pi * 440 * time), 96_000))
    assert audio.rate == limits.KEEP_RATE
    assert len(audio.samples) == pytest.approx(48_000, abs=2)


def test_resample() -> None:
    audio = Audio(TONE, RATE)
    assert resample(audio, RATE) is TONE
    up = resample(audio, 48_000)
    assert up.dtype == np.float32
    assert up.shape == (48_000,)
    np.testing.assert_allclose(up[3_000:-3_000:3], TONE[1_000:-1_000], atol=1e-3)


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 1), (10.0, 1), (10.01, 2), (20.0, 2), (25.0, 3), (600.0, 60)])
def test_windows(seconds: float, count: int) -> None:
    audio = Audio(np.linspace(1, 2, round(seconds * 100), dtype=np.float32), 100)
    pieces = windows(audio)
    assert len(pieces) == count
    assert {len(piece.samples) for piece in pieces} == {min(len(audio.samples), 1_000)}
    assert pieces[0].samples[0] == audio.samples[0]
    assert pieces[-1].samples[-1] == audio.samples[-1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (wav(1, PCM), "at 1 Hz. Allowed: 8,000 to 192,000 Hz"),
        (wav(0, PCM), "at 0 Hz"),
        (wav(4_000_000_000, PCM), "at 4,000,000,000 Hz"),
        (wav(RATE, PCM, channels=1_000), "1000 channels"),
        (wav(RATE, b""), "no samples"),
        (wav(RATE, PCM[:100]), "at least 50 ms"),
        (sound("wav", np.full(RATE, np.nan), subtype="FLOAT"), "not numbers"),
        (sound("wav", np.where(np.arange(RATE) % 77 == 7, np.inf, 0.1), subtype="FLOAT"), "not numbers"),
        (sound("flac", np.zeros(RATE)), "silent"),
        (sound("flac", np.zeros(601 * 8_000), 8_000), "10.0 minutes. Allowed: at most 10 minutes"),
        (sound("m4a")[:-3_000], "damaged or incomplete"),
        (b"ID3" + bytes(1_000), "damaged or incomplete"),
        (b"\x1aE\xdf\xa3" + bytes(1_000), "damaged or incomplete"),
        (b"OggS" + bytes(1_000), "damaged or incomplete"),
        (sound("wav", np.full(RATE, 0.3)), "silent"),
        (b"#EXTM3U\n#EXTINF:1\n/etc/passwd\n", "text data"),
    ],
)
def test_bad_sounds(data: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=r"Given: .* Allowed: .* What to do: ") as caught:
        load_audio(data)
    assert words in str(caught.value)


def test_streamed_wav_without_a_length_is_read() -> None:
    assert load_audio(wav(RATE, PCM, data_size=0xFFFFFFFF)).seconds == pytest.approx(1.0)


def test_a_flac_that_hides_its_length() -> None:
    def hidden(data: bytes) -> bytes:  # STREAMINFO's count of samples: 0 means unknown
        return data[:21] + bytes([data[21] & 0xF0]) + bytes(4) + data[26:]

    np.testing.assert_allclose(load_audio(hidden(sound("flac"))).samples, TONE, atol=1e-4)
    with pytest.raises(MediaError, match="more than 10 minutes"):
        load_audio(hidden(sound("flac", np.zeros(601 * 8_000), 8_000)))


def test_a_film_without_sound(assets: Path) -> None:
    with pytest.raises(MediaError, match="holds no sound"):
        load_audio(assets / "videos" / "muted_b.mp4")
