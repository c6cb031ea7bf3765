"""Disks that fill: a small one that really does, where mounting is allowed, and writes that fail, for everybody.

Whatever writes is told what to do, leaves nothing half-written that is taken for whole, and ends right when it is run
again with more room.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from safetensors.numpy import load_file

from omnibind_core.errors import GalleryError
from omnibind_core.presets.preset import load_preset
from omnibind_core.search import collection, disk_index, gallery
from omnibind_core.search.collection import Embedded, add
from omnibind_core.search.collection_tables import export_table, import_table
from omnibind_core.search.collection_vectors import read_known
from omnibind_core.search.compose import Term
from omnibind_core.search.disk_index import DiskIndex
from omnibind_core.search.gallery import Gallery, build, vectors_path
from omnibind_core.store.catalogue import Item
from omnibind_core.store.collection import read_items
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import FloatArray

MINI = load_preset("mini")
TOLD = r"^Given: .*its disk is full: .* free\). Allowed: .*with room for .* What to do: make room on that disk.*then "


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def direction(name: str) -> FloatArray:
    dice = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    row = dice.standard_normal(MINI.width)
    return (row / np.linalg.norm(row)).astype(np.float32)


class Quick:
    """Stands in for a model: the same vector for the same name, as an engine and for a gallery."""

    preset, width, numbers = MINI, MINI.width, "float32, resident"

    def rows(self, folder: Path, preset: Any, modality: str, rows: Sequence[Any]) -> Callable[[Sequence[int]], Any]:
        def embed(numbers: Sequence[int]) -> Embedded:
            some = [rows[number]["id"] for number in numbers]
            pictures = [b"" if modality == "text" else 40 * one.encode() for one in some]
            return Embedded(np.stack([direction(one) for one in some]), pictures, len(some))

        return embed

    def embed(self, modality: str, sources: Sequence[Any]) -> Any:
        return type("Made", (), {"vectors": np.stack([direction(Path(str(one)).name) for one in sources])})


MODEL: Any = Quick()


def write_source(folder: Path) -> Path:
    folder.mkdir()
    for path in sorted((assets_directory() / "gallery/images").iterdir())[:6]:
        shutil.copy(path, folder)
    (folder / "lines.txt").write_text("".join(f"sentence number {number}\n" for number in range(1, 10)))
    return folder


def whole_collection(folder: Path) -> None:
    """What the catalogue names is there, with its vector."""
    known = read_known(folder, MINI)
    for item in read_items(folder):
        assert item.id in known.media
        for name in filter(None, (item.file, item.thumbnail)):
            assert (folder / name).is_file()
        if item.file:
            assert hashlib.sha256((folder / item.file).read_bytes()).hexdigest() == item.sha256


def vectors() -> FloatArray:
    rows = np.random.default_rng(0).standard_normal((2_500, 32)).astype(np.float32)
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


class Work:
    """What writes, each as (what to do, what must hold after it failed); `disk` is what may be full."""

    def __init__(self, calm: Path, disk: Path) -> None:
        """Make what is needed, and what must come out, where there is room."""
        self.disk, self.calm = disk, calm
        self.source = write_source(calm / "source")
        made = add(str(calm / "made"), [self.source], MINI, engine=MODEL)
        self.made = made.folder
        export_table(self.made, MINI, calm / "out.parquet")
        self.bare = Path(shutil.copytree(assets_directory() / "gallery", calm / "gallery"))
        for path in self.bare.glob("vectors-*"):
            path.unlink()
        build(MODEL, self.bare)

    def add(self) -> None:
        add(str(self.disk / "mine"), [self.source], MINI, engine=MODEL)
        assert content(self.disk / "mine") == content(self.made)

    def added(self) -> None:
        whole_collection(self.disk / "mine")

    def export(self) -> None:
        export_table(self.made, MINI, self.disk / "out.parquet")
        assert (self.disk / "out.parquet").read_bytes() == (self.calm / "out.parquet").read_bytes()
        export_table(self.made, MINI, self.disk / "out.csv")

    def exported(self) -> None:
        names = {path.name for path in self.disk.iterdir()} - {"ballast"}
        assert names <= {"out.parquet"}

    def take_in(self) -> None:
        import_table(str(self.disk / "there"), MINI, self.calm / "out.parquet")
        back = self.disk / "there"
        assert vectors_path(back, "mini").read_bytes() == vectors_path(self.made, "mini").read_bytes()
        assert (back / "catalogue.json").read_bytes() == (self.made / "catalogue.json").read_bytes()

    def taken(self) -> None:
        whole_collection(self.disk / "there")

    def index(self) -> None:
        made = DiskIndex.build(vectors(), self.disk / "index")
        made.verify()
        assert made.search(vectors()[[7]], 3)[1][0, 0] == 7

    def indexed(self) -> None:
        assert not (self.disk / "index").exists()

    def grow(self) -> None:
        """Goes on with the index that is there."""
        index = DiskIndex(self.disk / "index")
        index.add(vectors()[::-1])
        assert len(index) == 5_000
        DiskIndex(self.disk / "index").verify()

    def grown(self) -> None:
        index = DiskIndex(self.disk / "index")
        index.verify()
        assert len(index) == 2_500
        assert len(list((self.disk / "index").iterdir())) == 4

    def gallery(self) -> None:
        folder = self.disk / "gallery"
        if not folder.exists():
            folder.mkdir()
            (folder / "catalogue.json").symlink_to(self.bare / "catalogue.json")  # takes no room
        build(MODEL, folder)
        found, right = (load_file(vectors_path(one, "mini")) for one in (folder, self.bare))
        assert all(np.array_equal(found[name], right[name]) for name in ("media", "caption"))

    def built(self) -> None:
        assert {path.name for path in (self.disk / "gallery").iterdir()} <= {"catalogue.json"}


def squeezed(disk: Path, step: int, run: Callable[[], None], holds: Callable[[], None]) -> int:
    """Run on a full disk, with `step` bytes more room after each failure, until it ends; gives the failures."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4_096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    for failures in itertools.count():
        try:
            run()
        except GalleryError as error:  # noqa: PERF203 - each failure gives room for the next run
            assert re.match(TOLD, str(error)), error
            assert str(disk) in error.given
            holds()
            assert ballast.stat().st_size, "no room ever suffices"
            os.truncate(ballast, max(0, ballast.stat().st_size - step))
        else:
            ballast.unlink()
            return failures
    raise AssertionError


def survive(place: Path, disk: Path) -> None:
    """Fill a small disk during each work; prints how often each failed before it ended right."""
    collection.BATCH = 4  # pieces enough to be cut between
    work = Work(place, disk)
    for name, step, run, holds in (
        ("add", 49_152, work.add, work.added),
        ("export", 49_152, work.export, work.exported),
        ("import", 49_152, work.take_in, work.taken),
        ("gallery", 1_048_576, work.gallery, work.built),
        ("index", 49_152, work.index, work.indexed),
        ("addition", 49_152, work.grow, work.grown),
    ):
        print(name, squeezed(disk, step, run, holds), flush=True)  # noqa: T201
        for path in disk.iterdir():
            if name not in {"index"}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_small_disk_really_fills(tmp_path: Path) -> None:
    disk, calm = tmp_path / "disk", tmp_path / "calm"
    disk.mkdir()
    calm.mkdir()
    mount = f"mount -t tmpfs -o size=8m tmpfs {disk}"
    alone = next(
        (way for way in (["unshare", "-rm"], ["unshare", "-m"]) if shutil.which("unshare")
         and not subprocess.run([*way, "sh", "-c", mount], capture_output=True).returncode), None
    )  # fmt: skip
    if alone is None:
        pytest.skip("mounting a disk is not allowed here")
    command = [*alone, "sh", "-c", f'{mount} && exec "$0" -m {__name__} {calm} {disk}', sys.executable]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    failures = {name: int(count) for name, count in map(str.split, done.stdout.splitlines())}
    assert set(failures) == {"add", "export", "import", "gallery", "index", "addition"}
    assert min(failures.values()) >= 3, failures


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Work:
    monkeypatch.setattr(collection, "BATCH", 16)
    for name in ("calm", "disk"):
        (tmp_path / name).mkdir()
    return Work(tmp_path / "calm", tmp_path / "disk")


@pytest.mark.parametrize(
    ("run", "holds", "least"),
    [("add", "added", 6), ("export", "exported", 2), ("take_in", "taken", 3), ("gallery", "built", 1)],
)
def test_whichever_write_fails(run: str, holds: str, least: int, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write of a run fails, then the second one of the next run, and so on until one has no more."""
    real, left = os.fsync, 0

    def fsync(number: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    for failures in itertools.count():
        left = failures + 1
        try:
            getattr(work, run)()
        except GalleryError as error:
            assert re.match(TOLD, str(error)), error
            assert str(work.disk) in error.given
            getattr(work, holds)()
            assert not list(work.disk.rglob("*.part")), "what was begun keeps no room"
        else:
            break
    assert failures >= least


def no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def no_space_for_codes(_index: Any, name: str) -> None:
    Path(name).write_bytes(b"half")
    raise RuntimeError(f"Error in write: {name}: 4 != 5 (No space left on device)")


def no_space_for_numpy(path: Path, *_: Any, **__: Any) -> None:
    Path(path).write_bytes(b"half")
    raise OSError("2500 requested and 128 written")


FAILS: dict[str, tuple[Any, str, Any]] = {
    "rows": (disk_index, "_part", no_space),
    "codes": (faiss, "write_index", no_space_for_codes),
    "gone": (np, "save", no_space_for_numpy),
    "manifest": (disk_index, "replace_file", no_space),
}


@pytest.mark.parametrize("place", FAILS)
def test_an_index_is_whole_or_none_wherever_the_disk_fills(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index"
    with monkeypatch.context() as patch, pytest.raises(GalleryError, match=TOLD):
        patch.setattr(*FAILS[place])
        DiskIndex.build(vectors(), folder)
    assert not folder.exists()
    index = DiskIndex.build(vectors(), folder)
    before = content(folder)
    with monkeypatch.context() as patch:
        patch.setattr(*FAILS[place])
        with pytest.raises(GalleryError, match=TOLD):
            index.add(vectors()[:5])
        if place in {"gone", "manifest"}:
            with pytest.raises(GalleryError, match=TOLD):
                index.delete(np.array([7]))
    assert content(folder) == before
    for one in (index, DiskIndex(folder)):
        assert len(one) == 2_500
        assert one.search(vectors()[[7]], 1)[1].tolist() == [[7]]
    index.add(vectors()[:5])
    index.delete(np.array([7]))
    assert len(DiskIndex(folder)) == 2_504


def test_a_gallery_whose_index_finds_no_room_is_searched_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path))
    monkeypatch.setattr(gallery, "FLAT_MOST", 1_000)
    items = [Item(f"text/{number}", "text", "", "", None, None, "", "", "", None) for number in range(2_500)]
    made = Gallery(items, vectors(), vectors(), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(*FAILS["codes"])
        assert made.search([Term(vectors()[7], modality="image")], 1)["text"][0].id == "text/7"
    assert "all are searched" in caplog.text
    assert str(tmp_path / "indexes") in caplog.text
    assert not [path for path in (tmp_path / "indexes").iterdir() if path.is_dir()]


if __name__ == "__main__":
    survive(Path(sys.argv[1]), Path(sys.argv[2]))
