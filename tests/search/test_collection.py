"""Collections made of real files: grown, moved, pruned, damaged, shared by two processes; served like the gallery."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from omnibind_core import cli
from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import GalleryError
from omnibind_core.presets.preset import load_preset
from omnibind_core.search import collection
from omnibind_core.search.collection import add, missing
from omnibind_core.search.collection_tables import export_table, import_table
from omnibind_core.search.compose import Options
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.gallery import Gallery, vectors_path
from omnibind_core.store.collection import collection_folder, collection_names, read_items, remove_collection

MINI = load_preset("mini")
PATHS = ("images/lion.jpg", "images/cheetah1.jpg", "images/tower.jpg", "audio/cantina.wav", "models3d/Duck.glb")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("OMNIBIND_COLLECTIONS", str(tmp_path / "collections"))
    return tmp_path / "collections"


def write_source(folder, assets):
    """Write a lion with caption and licence, other media, sentences, and what cannot be read."""
    for name in PATHS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(assets / name, folder / name)
    (folder / "images/lion.txt").write_text("A lion rests in the grass\n")
    said = "SPDX-FileCopyrightText: Somebody\nSPDX-License-Identifier: CC0-1.0\n"  # REUSE-IgnoreStart
    (folder / "images/lion.jpg.license").write_text(said)
    (folder / "lines.txt").write_text("a dog barks\n\nrain falls on a roof\n")
    (folder / "images/broken.jpg").write_bytes((assets / PATHS[0]).read_bytes()[:30])
    (folder / "notes.png").write_text("not a picture")
    (folder / ".hidden.jpg").write_bytes(b"")
    return folder


@pytest.fixture
def source(tmp_path, assets):
    """Files that a test may change."""
    return write_source(tmp_path / "source", assets)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory, assets, mini):
    """Files that no test changes, and the collection made of them."""
    place = tmp_path_factory.mktemp("unchanged")
    files = write_source(place / "source", assets)
    return files, add(str(place / "made"), [files], mini).folder


@pytest.fixture
def mine(unchanged, place):
    """The name of a copy of the collection of unchanged files, with those files."""
    files, made = unchanged
    return files, Path(shutil.copytree(made, place / "mine"))


def content(folder):
    """All that a collection holds, by name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def skipped(folder):
    with (folder / "skipped.csv").open(encoding="utf-8") as stream:
        return {Path(row["file"]).name: row["reason"] for row in csv.DictReader(stream)}


def test_a_folder_becomes_items_and_what_is_bad_is_told(mini, source):
    seen = []
    made = add("mine", [source], mini, progress=lambda done, count: seen.append((done, count)))
    items = {Path(item.source).name: item for item in read_items(made.folder)}
    assert set(items) == {Path(name).name for name in PATHS} | {"lines.txt:1", "lines.txt:3"}
    assert (made.items, made.embedded, made.skipped) == (7, 8, 2)  # the lion's caption has a row too
    assert seen[-1] == (9, 9)  # with the one that has no content
    lion = items["lion.jpg"]
    assert (lion.caption, lion.licence, lion.creator) == ("A lion rests in the grass", "CC0-1.0", "Somebody")
    assert items["tower.jpg"].caption == "tower"
    for item in items.values():
        if item.file:
            assert (made.folder / item.file).read_bytes() == Path(item.source).read_bytes()
            assert (made.folder / item.thumbnail).read_bytes()[8:12] == b"WEBP"
    assert set(skipped(made.folder)) == {"broken.jpg", "notes.png"}
    assert "text" in skipped(made.folder)["notes.png"]
    found = Explorer(mini, made.folder)
    hits = found.search([found.embed("a lion", "text").term()]).hits
    assert hits["image"][0].id == lion.id
    assert float(found.item(lion.id).vector @ found.gallery.term(lion.id).vector) > 0.999


def test_a_second_run_embeds_what_is_new_or_changed(mini, source, assets):
    folder = add("mine", [source], mini).folder
    before = content(folder)
    assert add("mine", [source], mini).embedded == 0
    assert content(folder) == before
    shutil.copy(assets / "images/bus.png", source / "images/bus.png")
    (source / "lines.txt").write_text("a dog barks\nwaves break\n")
    shutil.copy(assets / "audio/sax.wav", source / "audio/cantina.wav")
    made = add("mine", [source], mini)
    assert made.embedded == 3
    assert {"bus.png", "lines.txt:2"} <= {Path(item.source).name for item in read_items(folder)}
    assert len(list((folder / "sounds").iterdir())) == 1  # the changed file's copy took the place of the old one


def test_a_moved_file_is_not_embedded_again_and_a_lost_one_goes_when_asked(mini, source):
    folder = add("mine", [source], mini).folder
    (source / "cats").mkdir()
    for name in ("lion.jpg", "lion.txt", "lion.jpg.license"):
        (source / "images" / name).rename(source / "cats" / name)
    (source / "images/tower.jpg").unlink()
    made = add("mine", [source], mini)
    assert (made.embedded, made.moved, made.gone, made.forgotten, made.items) == (0, 1, 1, 0, 7)
    lion = next(item for item in read_items(folder) if item.caption.startswith("A lion"))
    assert lion.source == str(source / "cats/lion.jpg")
    made = add("mine", [source], mini, prune=True)
    assert (made.embedded, made.forgotten, made.items) == (0, 1, 6)
    assert len(list((folder / "images").iterdir())) == len(list((folder / "thumbnails").glob("image-*"))) == 2


def test_damaged_vectors_are_never_served_and_are_made_anew(mini, mine, monkeypatch, tmp_path):
    monkeypatch.setenv("OMNIBIND_CACHE", str(tmp_path / "cache"))
    source, folder = mine
    good, path = content(folder), vectors_path(folder, "mini")
    damaged = bytearray(path.read_bytes())
    damaged[-7] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(GalleryError, match="changed"):
        Gallery.load(mini, folder)
    assert missing(folder, MINI)["image"] == 3
    add("mine", [source], mini)
    assert content(folder) == good


def test_a_damaged_piece_of_a_killed_run_is_made_anew(mini, mine, monkeypatch):
    source, folder = mine
    good = content(folder)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(collection, "write_known", killed)
        with pytest.raises(KeyboardInterrupt):
            add("cut", [source], mini)
    cut = collection_folder("cut", exists=False)
    pieces = sorted((cut / "making").glob("*/*.npy"))
    assert len(pieces) == 4
    assert not (cut / "catalogue.json").exists()
    pieces[0].write_bytes(pieces[0].read_bytes()[:-3])
    made = add("cut", [source], mini)
    assert 0 < made.embedded < 8
    assert content(made.folder) == good


def test_a_lost_copy_comes_back_without_embedding(mini, mine):
    source, folder = mine
    good = content(folder)
    shutil.rmtree(folder / "images")
    assert add("mine", [source], mini).embedded == 0
    assert content(folder) == good


def test_a_damaged_ledger_is_told_and_costs_no_vectors(mini, mine):
    source, folder = mine
    (folder / "ledger.json").write_text('{"version": 1, "files"')
    with pytest.raises(GalleryError, match="vectors are kept"):
        add("mine", [source], mini)
    (folder / "ledger.json").unlink()
    assert add("mine", [source], mini).embedded == 0


def test_tables_go_out_and_parquet_comes_back(mini, mine, tmp_path):
    _source, folder = mine
    for kind in ("csv", "jsonl", "parquet"):
        export_table(folder, MINI, tmp_path / f"out.{kind}")
    with (tmp_path / "out.csv").open(encoding="utf-8") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == [item.id for item in read_items(folder)]
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert np.linalg.norm([row["vector"] for row in rows], axis=1) == pytest.approx(1, abs=2e-3)
    back = import_table("back", MINI, tmp_path / "out.parquet")
    assert (back.items, back.embedded) == (7, 0)
    assert vectors_path(back.folder, "mini").read_bytes() == vectors_path(folder, "mini").read_bytes()
    assert (back.folder / "catalogue.json").read_bytes() == (folder / "catalogue.json").read_bytes()
    with pytest.raises(GalleryError, match="another ending"):
        export_table(folder, MINI, tmp_path / "out.xls")


def test_vectors_of_another_preset_and_files_of_another_content_are_refused(mini, source, tmp_path):
    folder = add("mine", [source], mini).folder
    export_table(folder, MINI, tmp_path / "out.parquet")
    with pytest.raises(GalleryError, match="fingerprint"):
        import_table("other", load_preset("lite"), tmp_path / "out.parquet")
    (source / "images/tower.jpg").write_bytes((source / "images/lion.jpg").read_bytes() + b"more")
    made = import_table("back", MINI, tmp_path / "out.parquet")
    assert made.items == 6
    assert "content" in skipped(made.folder)["tower.jpg"]
    (tmp_path / "none.parquet").write_bytes(b"PAR1")
    with pytest.raises(GalleryError, match="a Parquet file"):
        import_table("none", MINI, tmp_path / "none.parquet")


def test_another_preset_is_told_what_it_would_take(mini, mine):
    _source, folder = mine
    assert missing(folder, MINI) == {"image": 0, "audio": 0, "point": 0, "text": 0}
    assert missing(folder, load_preset("lite")) == {"image": 3, "audio": 1, "point": 1, "text": 2}


def test_several_are_searched_together(mini, mine):
    _, folder = mine
    own = Explorer(mini).gallery
    both = Explorer(mini, None, [folder])
    assert len(both.gallery) == len(own) + 7
    hits = both.search([both.embed("a lion", "text").term()]).hits["image"]
    lion = next(hit for hit in hits if hit.caption.startswith("A lion rests"))
    assert Path(lion.file).is_relative_to(folder)
    assert len(Gallery.join([own, own])) == len(own)
    alone = both.search([both.embed("a lion", "text").term()], Options(collections=(folder.name,))).hits
    assert {len(hits) for hits in alone.values()} == {3, 1, 2}
    assert all(both.gallery.homes(hit.id) == {folder.name} for hits in alone.values() for hit in hits)
    assert all(Path(hit.file).is_relative_to(folder) for hits in alone.values() for hit in hits if hit.file)
    shared = Gallery.join([both.gallery, Gallery.load(mini, folder)])
    assert shared.homes(lion.id) == {folder.name}
    assert shared.homes("image/dog-1") == {"gallery"}
    assert own.homes("image/dog-1") == {"gallery"}


def test_names_that_cannot_be_are_refused(place):
    for name in ("..", "a b", "", "gallery", "x" * 65):
        with pytest.raises(GalleryError, match="letters"):
            collection_folder(name)
    with pytest.raises(GalleryError, match="make it"):
        collection_folder("unicorn")
    (place / "strange").mkdir(parents=True)
    (place / "strange/catalogue.json").write_text('{"items": []}')
    with pytest.raises(GalleryError, match="ledger"):
        remove_collection("strange")


def test_the_commands(mini, source, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("omnibind_core.binder.OmniBind.from_pretrained", lambda *args, **kwargs: mini)

    def said(*words):
        assert cli.main(["collection", *map(str, words)]) == 0
        return capsys.readouterr().out

    assert said("list") == "no collections yet\n"
    assert said("add", "mine", source).startswith("7 items, 8 embedded now")
    assert "7 items" in said("list")
    assert "3 image, 1 audio, 1 point, 2 text" in said("info", "mine")
    assert f"mini (fingerprint {fingerprint(MINI)}) has every item" in said("info", "mine")
    assert said("export", "mine", tmp_path / "out.csv").startswith("written")
    assert cli.main(["search", "text:a lion", "--collection", "mine,gallery", "-k", "2"]) == 0
    assert "A lion rests" in capsys.readouterr().out
    assert cli.main(["search", "text:a lion", "--collection", "unicorn"]) == 2
    assert "one that is here: mine" in capsys.readouterr().err
    assert said("remove", "mine").startswith("removed")
    assert collection_names() == []
    assert source.is_dir()
