"""Films: their pictures evenly over their length, and clear words where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from omnibind_core.errors import MediaError
from omnibind_core.media import load_audio, load_frames
from omnibind_core.media.video import FRAMES, is_film

from .makers import film, sound

COLOURS = [(220, 30, 30), (30, 200, 30), (30, 30, 220)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "a.mkv", "A.M4V"])
def test_frames_are_spread_over_the_film(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.lower()
    film(path, [Pillow.new("RGB", (320, 240), colour) for colour in COLOURS], None)
    path = path.rename(tmp_path / name)
    assert is_film(path)
    frames = load_frames(path)
    assert len(frames) == FRAMES
    assert {one.rgb.shape for one in frames} == {(240, 320, 3)}
    seen = [one.rgb.reshape(-1, 3).mean(axis=0) for one in frames]
    nearest = [int(np.argmin([np.abs(mean - colour).sum() for colour in COLOURS])) for mean in seen]
    assert nearest == [0, 0, 1, 1, 2, 2]


def test_a_film_whose_end_is_missing_shows_what_is_there(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (6, 240, 320, 3), np.uint8)
    path = tmp_path / "a.webm"
    film(path, [Pillow.fromarray(one) for one in noise], None)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 1 <= len(load_frames(path)) <= FRAMES


def test_the_sound_of_a_film_is_a_sound(tmp_path: Path) -> None:
    (tmp_path / "tone.wav").write_bytes(sound("wav"))
    film(tmp_path / "a.mp4", Pillow.new("RGB", (32, 32)), tmp_path / "tone.wav", seconds=1)
    assert load_audio(tmp_path / "a.mp4").seconds == pytest.approx(1.0, abs=0.1)


def test_what_is_no_film_is_refused_in_three_parts(tmp_path: Path) -> None:
    (tmp_path / "sound.m4a").write_bytes(sound("m4a"))
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(400))
    (tmp_path / "words.mp4").write_text("these are words")
    for name, words in {"sound.m4a": "no pictures", "cut.mp4": "damaged", "words.mp4": "text"}.items():
        with pytest.raises(MediaError, match=words) as caught:
            load_frames(tmp_path / name)
        assert caught.value.action
