"""Naming: the callbacks as plain functions, on real files, with the real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.service import Service
from demo.tabs.classify import classify, classify_item

from ...media.makers import lying_bed
from ..conftest import GALLERY, Put, example


def test_naming(service: Service, upload: Put) -> None:
    picture = GALLERY / str(example("image").file)
    verdict, notice = classify(service, upload(picture), "", "dog, cat\nviolin")
    assert notice == ""
    assert all(f'<span translate="no">{label}</span>' in verdict for label in ("dog", "cat", "violin"))
    assert classify_item(service, example("audio").id, "dog, piano")[1] == ""
    assert "labels" in classify(service, None, "a dog", " , ")[1]
    assert "Given" in classify(service, None, "", "dog")[1]


def test_a_guessed_axis_is_told_and_can_be_turned(service: Service, upload: Put, tmp_path: Path) -> None:
    file = upload(lying_bed(tmp_path / "bed.npy"))
    guessed, notice = classify(service, file, "", "bed, tree")
    assert "The file does not say which way is up: z was taken." in notice
    assert 'data-act="turn" data-id="y"' in notice
    turned, quiet = classify(service, file, "", "bed, tree", "y")
    assert turned != guessed
    assert quiet == ""


def test_the_unexpected_is_logged_and_shown_kindly(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(service.wait(), "classify", broken)
    verdict, notice = classify(service, None, "a dog", "a, b")
    assert verdict == ""
    assert "unexpected" in notice
    assert "secret detail" not in notice
    assert "secret detail" in caplog.text
