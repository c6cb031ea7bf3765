"""Rendered sounds: General MIDI sound fonts through fluidsynth, speech through espeak-ng, and a few signals of our own.

Each renderer is a source of its own, as a package is. Rendered sounds teach; nothing is ever tested on them.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from omnibind_core.errors import MediaError
from omnibind_core.types import Audio, FloatArray
from tools.mini.pools.debian import package_folder
from tools.mini.pools.sounds import Clip

__all__ = ["FONTS", "SOURCES", "VERSION", "rendered", "signals"]

VERSION = 1
"""Of what is rendered here: whoever changes a sound raises it."""

FONTS: dict[str, str] = {
    "fluid-soundfont-gm": "usr/share/sounds/sf2/FluidR3_GM.sf2",
    "timgm6mb-soundfont": "usr/share/sounds/sf2/TimGM6mb.sf2",
    "musescore-general-soundfont-small": "usr/share/sounds/sf3/MuseScore_General_Lite.sf3",
}
"""Debian package -> its General MIDI sound font."""
SOURCES: tuple[str, ...] = (*FONTS, "espeak-ng", "synthesis")
"""What rendered clips have as their source."""

# General MIDI programs, from 0; the pitch is the middle of the instrument's usual range.
_PROGRAMS: dict[str, tuple[tuple[int, ...], int]] = {
    "piano": ((0, 1), 60), "electric piano": ((4, 5), 60), "harpsichord": ((6,), 60), "celesta": ((8,), 72),
    "glockenspiel": ((9,), 79), "music box": ((10,), 76), "vibraphone": ((11,), 65), "marimba": ((12,), 60),
    "xylophone": ((13,), 72), "bell": ((14,), 60), "dulcimer": ((15,), 64), "organ": ((16, 19), 60),
    "accordion": ((21,), 62), "harmonica": ((22,), 67), "guitar": ((24, 25), 55), "electric guitar": ((27, 29, 30), 52),
    "bass guitar": ((33, 34, 36), 36), "violin": ((40, 110), 69), "viola": ((41,), 60), "cello": ((42,), 48),
    "double bass": ((43,), 38), "harp": ((46,), 62), "timpani": ((47,), 45), "orchestra": ((48, 49), 60),
    "choir": ((52, 53), 62), "trumpet": ((56,), 66), "trombone": ((57,), 52), "tuba": ((58,), 40),
    "french horn": ((60,), 55), "brass band": ((61,), 60), "saxophone": ((64, 65, 66), 60), "oboe": ((68,), 70),
    "bassoon": ((70,), 48), "clarinet": ((71,), 62), "flute": ((72, 73), 74), "recorder": ((74,), 74),
    "pan flute": ((75,), 72), "whistle": ((78,), 84), "ocarina": ((79,), 76), "sitar": ((104,), 55),
    "banjo": ((105,), 60), "shamisen": ((106,), 60), "koto": ((107,), 62), "kalimba": ((108,), 67),
    "bagpipes": ((109,), 65), "steel drum": ((114,), 67), "wood block": ((115,), 72), "drum": ((116, 117), 50),
    "breathing": ((121,), 60), "waves": ((122,), 60), "bird": ((123,), 72), "telephone": ((124,), 60),
    "helicopter": ((125,), 60), "applause": ((126,), 60), "gunshot": ((127,), 60),
}  # fmt: skip
# Keys of the percussion channel.
_DRUMS: dict[str, tuple[int, ...]] = {
    "kick drum": (35, 36), "snare drum": (38, 40), "clapping": (39,), "hi-hat": (42, 46), "drum": (41, 45, 48),
    "cymbal": (49, 51, 57), "tambourine": (54,), "cowbell": (56,), "bongo drum": (60, 61), "conga drum": (62, 63),
    "shaker": (69, 82), "maracas": (70,), "whistle": (71, 72), "wood block": (75, 76), "triangle": (80, 81),
    "castanets": (85,),
}  # fmt: skip
_RATE = 44_100
_SLOT, _TICKS = 5.0, 480  # seconds for each phrase with its echo; ticks of a second
_TUNE = (0, 4, 7, 12, 7, 4)  # semitones

Note = tuple[float, float, int, int]  # start and length in seconds, key, velocity


def rendered() -> Iterator[tuple[Clip, Audio]]:
    """Render everything; about a minute.

    Yields
    ------
    tuple of (Clip, Audio)
        Sources are the sound fonts' packages, ``"espeak-ng"`` and ``"synthesis"``.

    Raises
    ------
    MediaError
        fluidsynth or espeak-ng is not installed, or fails.
    """
    for package, path in FONTS.items():
        yield from _font(package, package_folder(package) / path)
    yield from _speech()
    yield from signals()


def _run(*command: str) -> None:
    if not shutil.which(command[0]):
        raise MediaError(f"{command[0]} is needed to render sounds", "Debian's package", f"apt install {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MediaError(f"{command[0]} failed: {done.stderr.strip()[-200:]}", "a run without error", "look into it")


def _phrases() -> Iterator[tuple[str, int | None, str, list[Note]]]:
    """Give (label, program or None for drums, name, notes) for each slot."""
    for label, (programs, middle) in _PROGRAMS.items():
        for program in programs:
            yield label, program, "held", [(0.0, 2.5, middle, 96)]
            yield label, program, "tune", [(0.35 * i, 0.33, middle + step, 84) for i, step in enumerate(_TUNE)]
            yield label, program, "high", [(0.7 * i, 0.6, middle + 7 + 2 * i, 70) for i in range(4)]
            if program < 32 or program in (46, 48, 49, 52, 53, 61):
                yield label, program, "chord", [(0.0, 2.0, middle + step, 80) for step in (-12, 0, 4, 7)]
    for label, keys in _DRUMS.items():
        for key in keys:
            yield label, None, f"{key} once", [(0.0, 0.5, key, 110)]
            yield label, None, f"{key} beats", [(0.4 * i, 0.2, key, 100 - 20 * (i % 2)) for i in range(7)]
            yield label, None, f"{key} fast", [(0.15 * i, 0.1, key, 90 - 15 * (i % 3)) for i in range(18)]
    for name, step in (("slow", 0.35), ("middle", 0.25), ("fast", 0.18)):
        beat = [(36,), (42,), (38, 42), (42,), (36, 36), (42,), (38,), (46,)]
        yield "drum kit", None, name, [(step * i, 0.1, key, 100) for i in range(12) for key in beat[i % len(beat)]]


def _font(package: str, font: Path) -> Iterator[tuple[Clip, Audio]]:
    import soundfile

    phrases = list(_phrases())
    events: list[tuple[float, bytes]] = []
    for slot, (_, program, _, notes) in enumerate(phrases):
        start = slot * _SLOT
        channel = 9 if program is None else 0
        if program is not None:
            events.append((start, bytes([0xC0, program])))
        for at, length, key, velocity in notes:
            events.append((start + at, bytes([0x90 | channel, key, velocity])))
            events.append((start + at + length, bytes([0x80 | channel, key, 0])))
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder) / "phrases.mid", Path(folder) / "phrases.wav"
        midi.write_bytes(_midi(events))
        _run("fluidsynth", "-niq", "-r", str(_RATE), "-g", "0.6", "-F", str(wave), str(font), str(midi))
        samples, rate = soundfile.read(wave, dtype="float32", always_2d=True)
    mono = samples.mean(1)
    for slot, (label, program, name, _) in enumerate(phrases):
        piece = _trim(mono[round(slot * _SLOT * rate) : round((slot + 1) * _SLOT * rate)])
        if len(piece):
            number = "drums" if program is None else f"{program:03d}"
            yield Clip(label, package, f"{number} {name}"), Audio(piece, rate)


def _midi(events: list[tuple[float, bytes]]) -> bytes:
    """Write a MIDI file of one track at one second a beat, from (seconds, message)."""
    track, last = bytearray(b"\0\xff\x51\x03" + (1_000_000).to_bytes(3, "big")), 0
    for seconds, message in sorted(events, key=lambda event: (event[0], event[1][0] & 0xF0 == 0x90)):
        tick = round(seconds * _TICKS)
        delta, last = tick - last, tick
        chunks = [delta & 0x7F]
        while delta := delta >> 7:
            chunks.append(delta & 0x7F | 0x80)
        track += bytes(reversed(chunks)) + message
    track += b"\0\xff\x2f\0"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, _TICKS) + b"MTrk" + struct.pack(">I", len(track)) + bytes(track)


def _trim(samples: FloatArray) -> FloatArray:
    """Cut off silence at both ends (-60 dB of the peak); empty where all is silent."""
    level = np.abs(samples)
    loud = np.flatnonzero(level > max(1e-3 * float(level.max(initial=0.0)), 1e-4))
    return np.ascontiguousarray(samples[loud[0] : loud[-1] + 1]) if len(loud) else samples[:0]


def _speech() -> Iterator[tuple[Clip, Audio]]:
    import soundfile

    sentences = ("The quick brown fox jumps over the lazy dog.", "Please leave a message after the tone.")
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "speech.wav"
        for voice in ("en-gb", "en-us+f3", "de", "fr+f2", "es+m5", "it", "en-us+whisper", "ru+m3"):
            for i, sentence in enumerate(sentences):
                _run("espeak-ng", "-v", voice, "-s", str(140 + 30 * i), "-w", str(wave), sentence)
                samples, rate = soundfile.read(wave, dtype="float32", always_2d=True)
                label = "whispering" if "whisper" in voice else "speech"
                yield Clip(label, "espeak-ng", f"{voice} {i}"), Audio(_trim(samples.mean(1)), int(rate))


def signals() -> Iterator[tuple[Clip, Audio]]:
    """Sounds that are simple enough to be written down."""
    rng = np.random.default_rng(7)
    t = np.arange(4 * _RATE) / _RATE

    def tone(hertz: Any) -> FloatArray:
        phase = np.cumsum(np.broadcast_to(hertz, t.shape)) / _RATE
        return np.asarray(np.sin(2 * np.pi * phase), np.float32)

    def coloured(low: float, high: float, slope: float) -> FloatArray:
        spectrum = np.fft.rfft(rng.normal(size=len(t)))
        hertz = np.fft.rfftfreq(len(t), 1 / _RATE)
        shape = np.where((hertz > low) & (hertz < high), np.maximum(hertz, 1.0) ** slope, 0.0)
        wave = np.fft.irfft(spectrum * shape, len(t))
        return np.asarray(wave / np.abs(wave).max(), np.float32)

    def pulses(period: float, decay: float) -> FloatArray:
        return np.asarray(np.exp(-decay * (t % period)), np.float32)

    def on(period: float, share: float) -> FloatArray:
        return np.asarray((t % period) < share * period, np.float32)

    def sweep(low: float, high: float, period: float) -> FloatArray:
        return np.asarray(low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * t / period)), np.float32)

    def both(f: float, g: float) -> FloatArray:
        return np.asarray(tone(f) + tone(g), np.float32)

    makers: list[tuple[str, tuple[float, ...], Callable[[float], Any]]] = [
        ("siren", (0.4, 1.5, 4.0), lambda p: tone(sweep(600, 1500, p))),
        ("siren", (450, 660), lambda f: tone(f + 150 * on(1.0, 0.5))),
        ("alarm", (800, 1500, 2800), lambda f: tone(f) * on(0.5, 0.5)),
        ("alarm clock", (2000, 3000), lambda f: np.sign(tone(f)) * on(0.12, 0.5) * on(1.0, 0.5)),
        ("computer beep", (500, 1000, 2000), lambda f: tone(f) * on(4.0, 0.06)),
        ("dial tone", (440,), lambda f: both(f, 480)),
        ("dial tone", (0.5, 1.0), lambda p: both(425, 620) * on(p, 0.5)),
        ("telephone", (800, 1400), lambda f: both(f, 1.2 * f) * on(0.05, 0.5) * on(3.0, 0.6)),
        ("wind", (2, 5), lambda p: coloured(60, 900, -1.0) * (0.6 + 0.4 * np.sin(2 * np.pi * t / p))),
        ("waterfall", (-0.3, -0.6), lambda slope: coloured(100, 12_000, slope)),
        ("waves", (2, 4), lambda p: coloured(100, 8000, -0.6) * (0.5 - 0.5 * np.cos(2 * np.pi * t / p))),
        ("clock", (0.25, 0.5, 1.0), lambda p: coloured(1500, 9000, 0.0) * pulses(p, 150)),
        ("heartbeat", (0.8, 1.1), lambda p: tone(50) * (pulses(p, 18) + np.roll(pulses(p, 22), 12_000))),
        ("laser", (2000, 4000), lambda f: tone(f * pulses(0.5, 6) + 80) * pulses(0.5, 4)),
        ("electric hum", (50, 60), lambda f: tone(f) + tone(2 * f) / 2 + tone(3 * f) / 3 + tone(5 * f) / 5),
        ("Morse code", (600, 800), lambda f: tone(f) * np.repeat(rng.random(63) < 0.55, len(t) // 63)),
        ("sonar", (900, 1300), lambda f: tone(f) * pulses(2, 2.5)),
        ("whistle", (2300, 3000), lambda f: tone(f + 60 * np.sin(2 * np.pi * 25 * t))),
        ("fan", (90, 140), lambda f: coloured(50, 2500, -0.8) + 0.2 * tone(f)),
    ]
    for label, values, make in makers:
        for value in values:
            wave = np.asarray(make(value), np.float32)
            yield Clip(label, "synthesis", f"{label} {value:g}"), Audio(_trim(wave * np.float32(0.3)), _RATE)
