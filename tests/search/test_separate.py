"""Separation with the real model on real sounds of the gallery, mixed."""

import json

import numpy as np
import pytest
import soundfile

from omnibind_core import cli, media
from omnibind_core.errors import QueryError
from omnibind_core.search.answers import separated_form
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.separate import MAX_SECONDS, select, take_apart
from omnibind_core.types import Audio

RATE = 22_050


def sound_of(explorer, item_id, seconds=3):
    path = explorer.gallery.path(explorer.gallery.item(item_id))
    samples = media.audio.resample(media.load(path, "audio"), RATE)
    samples = np.resize(samples, seconds * RATE)
    return 0.1 * samples / np.sqrt(np.square(samples).mean())


def ratio(estimate, truth):
    """SI-SDR in dB, by its definition (Le Roux et al., ICASSP 2019)."""
    part = (estimate @ truth) / (truth @ truth) * truth
    return 10 * np.log10((part @ part) / np.square(estimate - part).sum())


@pytest.fixture(scope="module")
def explorer(mini):
    return Explorer(mini)


@pytest.fixture(scope="module")
def two(explorer):
    return sound_of(explorer, "audio/flute-1"), sound_of(explorer, "audio/drum-kit-1")


@pytest.fixture(scope="module")
def apart(explorer, two):
    return take_apart(explorer.model, Audio((two[0] + two[1]).astype(np.float32), RATE))


@pytest.mark.parametrize("query", ["image/flute-1", "text/flute-1"])
def test_a_flute_is_pulled_out_of_a_drum_kit(explorer, two, apart, query):
    found = select(apart, explorer.gallery.term(query), explorer.gallery)
    assert found.rate == RATE
    np.testing.assert_allclose(found.found + found.rest, apart.sound.samples, atol=1e-4)
    assert ratio(found.found, two[0]) > ratio(apart.sound.samples, two[0]) + 3
    assert found.present
    assert sum(part.level for part in found.parts) == pytest.approx(1, abs=1e-4)


def test_the_same_sound_gives_the_same_answer(explorer, apart):
    again = take_apart(explorer.model, apart.sound)
    np.testing.assert_array_equal(again.spectra, apart.spectra)


ABSENT = ["text/rain-1", "text/dog-1", "text/cow-1", "text/car-1", "text/clock-1", "text/baby-1", "text/thunder-1"]


def test_most_of_what_is_not_there_is_said_to_be_absent(explorer, apart):
    known = {item.id for item in explorer.gallery.items}
    asked = [name for name in ABSENT if name in known]
    absent = [select(apart, explorer.gallery.term(name), explorer.gallery) for name in asked]
    there = select(apart, explorer.gallery.term("audio/flute-1"), explorer.gallery)
    assert there.present
    assert all(one.score < there.score for one in absent)
    assert len(asked) >= 5
    assert sum(one.present for one in absent) < len(asked) / 2


@pytest.mark.parametrize("seconds", [0.05, 0.5])
def test_short_sounds_are_taken_apart_too(explorer, seconds):
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * 8000)).astype(np.float32)
    found = explorer.separate(Audio(samples, 8000), explorer.gallery.term("text/flute-1"))
    np.testing.assert_allclose(found.found + found.rest, samples, atol=1e-4)


def test_a_sound_that_is_too_long_is_refused(explorer):
    long = Audio(np.zeros(int((MAX_SECONDS + 1) * 8000), np.float32), 8000)
    with pytest.raises(QueryError, match="61 s"):
        explorer.separate(long, explorer.gallery.term("text/flute-1"))


def test_the_command_writes_two_sounds(explorer, apart, tmp_path, capsys):
    soundfile.write(tmp_path / "both.wav", apart.sound.samples, RATE, subtype="FLOAT")
    asked = ["separate", str(tmp_path / "both.wav"), "text:a flute", "--out", str(tmp_path / "out"), "--json"]
    assert cli.main(asked) == 0
    told = json.loads(capsys.readouterr().out)
    found, rest = (soundfile.read(told[name])[0] for name in ("found", "rest"))
    np.testing.assert_allclose(found + rest, media.load(tmp_path / "both.wav", "audio").samples, atol=1e-4)
    made = explorer.separate(media.load(tmp_path / "both.wav", "audio"), explorer.embed("a flute", "text").term())
    assert set(told) == set(separated_form("mini", made, "a", "b"))
    assert told["parts"]
    assert cli.main([*asked[:2], "text:a flute", "--out", str(tmp_path / "both.wav")]) == 2
    assert "a folder that can be written" in capsys.readouterr().err
