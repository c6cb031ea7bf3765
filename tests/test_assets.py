"""The gallery's files and their papers."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ASSETS = Path(__file__).resolve().parent.parent / "assets"
GALLERY = ASSETS / "gallery"
ROWS = json.loads((GALLERY / "catalogue.json").read_text(encoding="utf-8"))["items"]
BY_ID = {row["id"]: row for row in ROWS}
FIELDS = {
    "id",
    "modality",
    "concept",
    "caption",
    "file",
    "thumbnail",
    "creator",
    "licence",
    "source",
    "sha256",
}
ALLOWED = {
    "Apache-2.0",
    "Artistic-1.0",
    "CC-BY-2.0",
    "CC-BY-3.0",
    "CC-BY-3.0-US",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC-PDDC",
    "CC0-1.0",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "LAL-1.2",
    "LicenseRef-public-domain",
    "MIT",
}
SUFFIXES = {"image": ".jpg", "audio": ".ogg", "point": ".glb"}
MAGIC = {".jpg": b"\xff\xd8\xff", ".ogg": b"OggS", ".glb": b"glTF", ".webp": b"RIFF"}


def test_rows_are_complete():
    for row in ROWS:
        assert set(row) == FIELDS, row["id"]
        assert row["id"].split("/")[0] == row["modality"]
        for field in ("concept", "caption", "creator", "licence", "source"):
            assert row[field] and row[field] == row[field].strip(), (row["id"], field)
        assert row["licence"] in ALLOWED, row["id"]
        assert 3 <= len(row["caption"]) <= 120, row["id"]


def test_ids_and_files_are_unique():
    assert len(BY_ID) == len(ROWS)
    files = [row["file"] for row in ROWS if row["file"]]
    assert len(set(files)) == len(files)
    hashes = Counter(row["sha256"] for row in ROWS if row["sha256"])
    assert [h for h, n in hashes.items() if n > 1] == []


def test_there_is_enough_to_look_at():
    counts = Counter(row["modality"] for row in ROWS)
    assert counts["point"] >= 70 and counts["audio"] >= 120
    assert counts["image"] >= 180 and counts["text"] >= 220
    modalities = defaultdict(set)
    for row in ROWS:
        modalities[row["concept"]].add(row["modality"])
    assert sum(len(m) >= 3 for m in modalities.values()) >= 60
    assert sum(len(m) == 4 for m in modalities.values()) >= 30


def test_files_are_what_the_catalogue_says():
    total = 0
    for row in ROWS:
        if row["modality"] == "text":
            assert row["file"] is row["thumbnail"] is row["sha256"] is None
            continue
        for name, limit in ((row["file"], 500_000), (row["thumbnail"], 15_000)):
            data = (GALLERY / name).read_bytes()
            total += len(data)
            assert 0 < len(data) < limit, (name, len(data))
            assert data.startswith(MAGIC[Path(name).suffix]), name
            if name == row["file"]:
                assert Path(name).suffix == SUFFIXES[row["modality"]]
                assert hashlib.sha256(data).hexdigest() == row["sha256"], name
    assert total < 60_000_000


def test_nothing_lies_beside_the_catalogue():
    named = {row[key] for row in ROWS for key in ("file", "thumbnail") if row[key]} | {"catalogue.json"}
    found = {p.relative_to(GALLERY).as_posix() for p in GALLERY.rglob("*") if p.is_file()}
    # What the program builds from the gallery may lie beside it.
    built = {p for p in found if p.startswith("index") or p.endswith((".npz", ".safetensors"))}
    assert found - built == named


def test_licences_name_everyone():
    text = (ASSETS / "LICENSES.md").read_text(encoding="utf-8")
    for row in ROWS:
        assert row["licence"] in text, row["licence"]
        if row["modality"] != "text":
            line = f"| {row['source'].split(' ')[0]} | {row['licence']} | {row['creator']} |"
            assert line in text, line
            assert re.search(rf"\b{re.escape(row['id'])}\b", text), row["id"]


def test_licence_texts_are_there():
    text = (ASSETS / "LICENSES.md").read_text(encoding="utf-8")
    links = set(re.findall(r"\]\((licences/[^)]+)\)", text))
    assert len(links) >= 10
    for link in links:
        assert (ASSETS / link).stat().st_size > 500, link


def test_shapes_are_centred_and_of_one_size():
    for row in ROWS:
        if row["modality"] != "point":
            continue
        data = (GALLERY / row["file"]).read_bytes()
        head = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
        bounds = [a for a in head["accessors"] if "min" in a]
        low = [min(a["min"][axis] for a in bounds) for axis in range(3)]
        high = [max(a["max"][axis] for a in bounds) for axis in range(3)]
        assert max(h - s for h, s in zip(high, low, strict=True)) == pytest.approx(1.0, abs=0.02), row["id"]
        assert all(abs(h + s) < 0.02 for h, s in zip(high, low, strict=True)), row["id"]


def test_examples_exist():
    examples = json.loads((ASSETS / "examples.json").read_text(encoding="utf-8"))
    assert examples["first"] in examples["examples"]
    counts = Counter(BY_ID[item]["modality"] for item in examples["examples"])
    assert all(4 <= counts[modality] <= 6 for modality in ("image", "audio", "point", "text"))
    assert len(examples["mixes"]) >= 5
    assert len(examples["anywhere"]) == 3
    for mix in examples["mixes"]:
        assert mix["title"] and len(mix["terms"]) >= 2
        for term in mix["terms"]:
            assert set(term) in ({"item", "weight"}, {"text", "weight"})
            assert -1.0 <= term["weight"] <= 1.0
            assert term.get("text") or term["item"] in BY_ID
