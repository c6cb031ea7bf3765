from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import formats, limits, load, load_audio, load_image, load_points, modality_of
from omnibind_core.media.sniff import sniff
from omnibind_core.types import MODALITIES, Audio, Image, PointCloud, Text

from .makers import TONE, mesh_file, picture, sound


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    for name, words in (
        ("missing.png", "missing.png, which does not exist"),
        ("nowhere.png", "does not exist"),
        ("", "a folder"),
        ("empty.png", "empty (0 bytes)"),
        ("pipe.wav", "a pipe or device"),
        ("a\0b.png", "cannot be read"),
        ("x" * 300 + ".png", "cannot be read"),
    ):
        with pytest.raises(MediaError) as caught:
            load_image(tmp_path / name)
        assert words in str(caught.value)
    with pytest.raises(MediaError, match="a pipe or device"):
        load_audio("/dev/zero")


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(picture("png"))
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    assert load_image(tmp_path / "link.png").rgb.shape == (96, 96, 3)


def test_size_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "big.glb"
    with path.open("wb") as file:
        file.truncate(limits.MAX_BYTES["point"] + 1)
    with pytest.raises(MediaError, match=r"128\.0 MB\. Allowed: a shape of at most 128 MB"):
        load_points(path)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("cat.png", b"hello", "text data and not .png"),
        ("cat.png", sound("wav"), "WAV data and not .png"),
        ("cat.psd", b"8BPS\0\1", "a .psd file. Allowed: png, apng, jpg"),
        ("cat.zip", b"PK\3\4", "a .zip file"),
        ("cat", b"hello", "without an extension, holding text data"),
        ("cat", b"\0\1\2", "without an extension, holding unknown data"),
        ("cat\n\x1b[31m.png", b"hello", "cat??[31m.png"),
    ],
)
def test_wrong_extensions(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        load_image(path)
    assert words in str(caught.value)


def test_modality_of(tmp_path: Path) -> None:
    for name, data, modality in (
        ("a.PNG", picture("png"), "image"),
        ("b", picture("webp"), "image"),
        ("c.wav", sound("wav"), "audio"),
        ("d.stl", mesh_file("stl"), "point"),
        ("e.obj", mesh_file("obj"), "point"),
        ("f", mesh_file("glb"), "point"),
    ):
        (tmp_path / name).write_bytes(data)
        assert modality_of(tmp_path / name) == modality
    (tmp_path / "lie.wav").write_bytes(picture("png"))
    with pytest.raises(MediaError, match="PNG data and not"):
        modality_of(str(tmp_path / "lie.wav"))


def test_load_tells_what_it_is_given(tmp_path: Path, assets: Path) -> None:
    assert isinstance(load(assets / "images" / "lion.jpg"), Image)
    assert isinstance(load(str(assets / "audio" / "cantina.wav")), Audio)
    assert isinstance(load(assets / "models3d" / "Duck.glb", up="z"), PointCloud)
    assert load("a dog barks") == Text("a dog barks")
    assert load(Text(" a ")) == Text("a")
    assert isinstance(load(PIL.Image.new("L", (4, 4))), Image)
    assert isinstance(load(np.zeros((4, 4, 3), np.uint8)), Image)
    assert isinstance(load((16_000, TONE)), Audio)
    assert isinstance(load(np.random.default_rng(0).normal(size=(50, 3))), PointCloud)
    assert load("/etc/hostname", "text") == Text("/etc/hostname")
    with pytest.raises(MediaError, match="does not exist"):
        load("no such dog.wav")
    with pytest.raises(MediaError, match="smell"):
        load("rose", "smell")  # type: ignore[arg-type]
    with pytest.raises(MediaError, match="without its modality"):
        load(3.0)


def test_formats() -> None:
    assert tuple(formats()) == MODALITIES
    every = [extension for extensions in formats().values() for extension in extensions]
    assert len(every) == len(set(every))
    assert not {"3mf", "dae", "pkl", "npz"} & set(every)


def test_sniff_knows_each_binary_format() -> None:
    for extension in ("png", "jpg", "webp", "gif", "bmp"):
        assert extension in sniff(picture(extension), len(picture(extension)))[1]
    for extension in ("wav", "flac", "ogg", "opus", "mp3", "m4a", "webm"):
        assert extension in sniff(sound(extension), len(sound(extension)))[1]
    for extension in ("glb", "stl", "ply", "off", "obj"):
        assert extension in sniff(mesh_file(extension), len(mesh_file(extension)))[1]
