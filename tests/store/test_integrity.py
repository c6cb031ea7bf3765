"""A committed file with one flipped bit is refused by name, and nothing is made or written in its place."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from demo.service import Service
from demo.settings import Settings
from demo.shell.examples import Examples
from omnibind_core.binder import OmniBind
from omnibind_core.errors import DamagedError
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.gallery import Gallery
from omnibind_core.store import integrity
from omnibind_core.store.catalogue import read_catalogue
from omnibind_core.store.integrity import SUMS, check_committed, listed
from omnibind_core.store.paths import assets_directory
from tools import sums

COMMITTED = assets_directory()
NAMES = [path.relative_to(COMMITTED).as_posix() for path in listed(COMMITTED)]


def flip(path: Path) -> None:
    """Turn one bit in the middle of a file, and leave its length alone."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # a link to the committed file goes, not the file
    path.write_bytes(content)


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of assets like the committed one, whose files can be damaged, and a cache of its own."""
    folder, cache = tmp_path / "assets", tmp_path / "cache"
    for path in COMMITTED.rglob("*"):
        if path.is_file() and "eval" not in path.parts:
            target = folder / path.relative_to(COMMITTED)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target) if path.stat().st_dev == tmp_path.stat().st_dev else shutil.copy(path, target)
    monkeypatch.setenv("OMNIBIND_ASSETS", str(folder))
    monkeypatch.setattr(integrity, "_record", lambda: cache / "checked.json")
    monkeypatch.setattr(integrity, "_SEEN", {})
    return folder


def test_the_list_names_every_committed_file_that_vectors_hang_on_and_is_true() -> None:
    assert sums.wrong(COMMITTED) == []
    assert {"mini/looks.safetensors", "mini/routers.safetensors", "gallery/catalogue.json"} <= set(NAMES)
    assert sums.main([]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_listed_file_is_refused_by_name_when_a_bit_of_it_has_turned(assets: Path, name: str) -> None:
    check_committed(listed(assets))
    flip(assets / name)
    with pytest.raises(DamagedError, match=name.replace(".", r"\.")) as caught:
        check_committed(listed(assets))
    assert "restore it" in caught.value.action


def test_a_checkout_is_told_the_command_that_restores(assets: Path) -> None:
    (assets.parent / ".git").mkdir()
    flip(assets / "mini" / "looks.safetensors")
    with pytest.raises(DamagedError, match=r"git checkout -- assets/mini/looks\.safetensors"):
        check_committed([assets / "mini" / "looks.safetensors"])


@pytest.mark.parametrize("name", ["mini/looks.safetensors", "mini/points.safetensors", "mini/routers.safetensors"])
def test_a_damaged_weight_is_not_loaded(assets: Path, name: str) -> None:
    flip(assets / name)
    with pytest.raises(DamagedError, match=name):
        OmniBind.from_pretrained("mini", device="cpu", routing="trained")


def test_the_page_refuses_loudly_and_makes_no_gallery_instead(
    assets: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flip(assets / "mini" / "looks.safetensors")
    before = {path: path.stat().st_mtime_ns for path in assets.rglob("*")}
    monkeypatch.setattr(Gallery, "make", lambda *_, **__: pytest.fail("a gallery was made of a damaged weight"))
    service = Service(Settings(device="cpu"))
    service.start()
    with pytest.raises(DamagedError, match=r"looks\.safetensors"):
        service.wait()
    assert service.status().phase == "failed" and "looks.safetensors" in service.status().label
    assert "loading failed" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in assets.rglob("*")} == before


def test_damaged_vectors_and_a_damaged_catalogue_are_not_made_anew(
    assets: Path, mini: OmniBind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gallery, "make", lambda *_, **__: pytest.fail("a gallery was made of damaged files"))
    flip(assets / "gallery" / "vectors-mini.safetensors")
    with pytest.raises(DamagedError, match="vectors-mini"):
        Explorer(mini, assets / "gallery").make_gallery()
    flip(assets / "gallery" / "catalogue.json")
    with pytest.raises(DamagedError, match="catalogue"):
        read_catalogue(assets / "gallery")
    assert Examples.read(assets) == Examples(), "the page opens, and says elsewhere why nothing answers"


def test_a_damaged_medium_of_the_gallery_is_not_taken_for_the_item(assets: Path, mini: OmniBind) -> None:
    item = next(one for one in read_catalogue(assets / "gallery") if one.modality == "image")
    flip(assets / "gallery" / str(item.file))
    with pytest.raises(DamagedError, match=Path(str(item.file)).name):
        Explorer(mini, assets / "gallery").item(item.id)


def test_a_file_is_hashed_once_for_its_size_time_and_inode(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(integrity, "sha256_of", lambda path: hashed.append(path) or sums.sha256_of(path))
    path = assets / "mini" / "looks.safetensors"
    path.unlink()  # a link to the committed file, whose time stays what it is
    shutil.copy(COMMITTED / "mini" / "looks.safetensors", path)
    check_committed([path])
    check_committed([path])
    monkeypatch.setattr(integrity, "_SEEN", {})  # the next start reads the record
    check_committed([path])
    assert hashed == [path]
    os.utime(path, ns=(1, 1))
    check_committed([path])
    assert hashed == [path, path]


@pytest.mark.parametrize("record", ["", "{", "[]", '{"x": 3}'])
def test_a_damaged_record_costs_a_hash_and_no_more(assets: Path, record: str) -> None:
    (integrity._record().parent).mkdir()
    integrity._record().write_text(record)
    check_committed(listed(assets))
    assert len(json.loads(integrity._record().read_text())) >= len(NAMES)


def test_files_that_no_list_names_are_somebodys_own(assets: Path) -> None:
    (assets / SUMS).unlink()
    flip(assets / "mini" / "looks.safetensors")
    check_committed(listed(assets))
    (assets / SUMS).write_text("{")
    with pytest.raises(DamagedError, match=SUMS):
        check_committed(listed(assets))
