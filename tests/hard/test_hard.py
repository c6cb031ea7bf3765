"""A few hundred of the inputs of `make test-hard`, and that what it counts as wrong is found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from omnibind_core.media import formats
from tools.hard import fuzz, trial
from tools.hard.__main__ import cases, damaged
from tools.hard.crafted import Case
from tools.hard.seeds import seeds
from tools.hard.trial import Tally, tried

EVERY = 5


@pytest.mark.slow
def test_there_are_thousands_over_all_kinds() -> None:
    everything = list(cases(4, 0))
    assert len(everything) >= 2_000
    kinds = Counter((case.modality, case.extension) for case in everything)
    for modality, extensions in formats().items():
        assert all(kinds[modality, extension] >= 40 for extension in extensions)
    assert sum(case.beside is not None for case in everything) >= 30


def test_each_is_refused_in_three_parts_or_answered() -> None:
    some = list(damaged(seeds(), 1, 7))[::EVERY]
    tally = Tally([tried(case) for case in some])
    wrong = [one for one in tally.outcomes if one.said in ("crashed", "lost") or one.bytes > trial.MOST_BYTES]
    assert not wrong, tally.page()


def test_a_wrong_exception_and_a_large_decoder_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("image", "it", b"")

    def load(*_: object, **__: object) -> None:
        raise KeyError("width")

    monkeypatch.setattr(trial, "load", load)
    outcome = tried(case)
    assert outcome.wrong
    assert outcome.said == "crashed"
    assert trial.Outcome(case, "answered", "", 11.0, 0).wrong
    assert trial.Outcome(case, "answered", "", 1.0, 2 * 10**9).wrong
    assert "wrong: 1" in Tally([outcome]).page()


def test_without_atheris_fuzzing_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(fuzz.importlib.util, "find_spec", lambda name: None)
    assert fuzz.fuzz(1) == 0
    assert "atheris is not installed" in capsys.readouterr().out


def test_what_was_found_becomes_a_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz, "FOUND", tmp_path)
    assert fuzz.findings() == []
    (tmp_path / "image.png.crash-1").write_bytes(b"abc")
    assert fuzz.findings() == [Case("image", "image.png.crash-1", b"abc", "png")]
