"""A collection as one table for other programs (Parquet, CSV, JSON lines), and back from Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import GalleryError, needing
from omnibind_core.presets.preset import Preset
from omnibind_core.search.collection import Added, finish
from omnibind_core.search.collection_scan import scan, text_id
from omnibind_core.search.collection_vectors import Known, read_known
from omnibind_core.store.collection import Source, collection_folder, locked, read_items, read_ledger
from omnibind_core.store.paths import replace_file
from omnibind_core.store.room import unwritten

__all__ = ["export_table", "import_table"]

_KEY = b"omnibind.fingerprint"


def export_table(folder: Path, preset: Preset, path: Path) -> None:
    """Write a collection's items with their vectors.

    Parameters
    ----------
    folder : Path
        The collection's.
    preset : Preset
        Whose vectors.
    path : Path
        Ends in .parquet (columns "vector" and "caption_vector" of float32, the fingerprint in the schema's metadata),
        .csv (without vectors) or .jsonl (vectors as lists).

    Raises
    ------
    GalleryError
        Another ending, items that the preset has not embedded, a file that cannot be written, pyarrow missing.
    """
    kind = path.suffix.lower()
    items, known = read_items(folder), read_known(folder, preset)
    if kind not in {".parquet", ".csv", ".jsonl"}:
        raise GalleryError(f"'{path}'", ".parquet, .csv or .jsonl", "give the file another ending")
    lacking = sum(item.id not in known.media for item in items)
    if lacking and kind != ".csv":
        raise GalleryError(
            f"{lacking} items without vectors of '{preset.name}'", "vectors of every item",
            f"`omnibind collection add {folder.name} --preset {preset.name}`",
        )  # fmt: skip
    rows: list[dict[str, Any]] = [asdict(item) for item in items]
    if kind != ".csv":
        for row in rows:
            row["vector"] = np.asarray(known.media[row["id"]], np.float32)
            said = known.caption.get(text_id(row["caption"]))
            row["caption_vector"] = None if said is None else np.asarray(said, np.float32)
    try:
        if kind == ".parquet":
            _parquet(rows, preset, path)
        else:
            replace_file(path, (_csv(rows) if kind == ".csv" else _lines(rows, preset)).encode())
    except OSError as error:
        raise unwritten(
            path.parent, error, path.name, "run the same command again, or name a file elsewhere"
        ) from error


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = ["id", "modality", "concept", "caption", "file", "creator", "licence", "source", "sha256"]
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in rows)
    return out.getvalue()


def _lines(rows: Sequence[Mapping[str, Any]], preset: Preset) -> str:
    mine = fingerprint(preset)

    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray) else value

    return "".join(
        json.dumps({**{name: plain(v) for name, v in row.items()}, "fingerprint": mine}, ensure_ascii=False) + "\n"
        for row in rows
    )


def _parquet(rows: Sequence[Mapping[str, Any]], preset: Preset, path: Path) -> None:
    pa, pq = _pyarrow()
    words = ("id", "modality", "concept", "caption", "file", "thumbnail", "creator", "licence", "source", "sha256")
    vectors = pa.list_(pa.float32(), preset.width)
    schema = pa.schema(
        [*((name, pa.string()) for name in words), ("vector", vectors), ("caption_vector", pa.list_(pa.float32()))],
        metadata={_KEY: fingerprint(preset).encode(), b"omnibind.preset": preset.name.encode()},
    )
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=schema), out)
    replace_file(path, out.getvalue().to_pybytes())


def import_table(name: str, preset: Preset, path: Path) -> Added:
    """Take items and vectors that another machine made with the same preset; nothing is embedded.

    Files are read where the column "source" says; rows whose file is not there, or has other content, are skipped.

    Raises
    ------
    GalleryError
        No Parquet, vectors of another fingerprint, columns missing, pyarrow missing.
    """
    rows = _read(preset, path)
    folder = collection_folder(name, exists=False)
    given = Known()
    with locked(folder):
        ledger = read_ledger(folder)
        for row in rows:
            source = str(row["source"])
            if row["modality"] == "text":
                fields = {one: row.get(one) or "" for one in ("concept", "caption", "creator", "licence", "source")}
                key = text_id(fields["caption"])
                item = {**fields, "id": key, "modality": "text", "captioned": True, "file": None, "thumbnail": None,
                        "sha256": None}  # fmt: skip
                ledger[source] = Source(0, 0, key, (item,))
                given.caption[key] = np.asarray(row["vector"], np.float16)
                continue
            found = scan([Path(source)], ledger) if Path(source).is_file() else {}
            one = found.get(source)
            if one is None or one.sha256 != row["sha256"] or not one.items:
                reason = f"{source} is not here with the content that its vector was made of"
                ledger[source] = Source(-1, 0, "", (), ((source, reason),))
                continue
            said = row["caption"] if row["caption_vector"] is not None else one.items[0]["caption"]
            made: dict[str, Any] = {**one.items[0], "caption": said, "captioned": row["caption_vector"] is not None}
            ledger[source] = Source(one.size, one.time, one.sha256, (made,))
            given.media[made["id"]] = np.asarray(row["vector"], np.float16)
            if row["caption_vector"] is not None:
                given.caption[text_id(said)] = np.asarray(row["caption_vector"], np.float16)
        return finish(folder, ledger, preset, None, given=given)


def _read(preset: Preset, path: Path) -> list[dict[str, Any]]:
    pa, pq = _pyarrow()
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise GalleryError(f"{path} ({error})", "a Parquet file", "export it as .parquet") from error
    metadata = table.schema.metadata or {}
    theirs, mine = metadata.get(_KEY, b"none").decode(), fingerprint(preset)
    if theirs != mine:
        raise GalleryError(
            f"vectors of fingerprint {theirs}", f"fingerprint {mine} of preset '{preset.name}'",
            "name the preset that made them, or add the files themselves",
        )  # fmt: skip
    needed = {"modality", "caption", "source", "sha256", "vector", "caption_vector"}
    if lacking := sorted(needed.difference(table.column_names)):
        raise GalleryError(
            f"{path} without columns {', '.join(lacking)}", "what `collection export` writes", "export anew"
        )
    rows: list[dict[str, Any]] = table.to_pylist()
    for row in rows:
        vector = np.asarray(row["vector"], np.float32)
        if vector.shape != (preset.width,) or not np.isfinite(vector).all() or abs(np.linalg.norm(vector) - 1) > 0.01:
            raise GalleryError(
                f"a vector of {row['source']} of no unit length", f"{preset.width} numbers", "export anew"
            )
    return rows


def _pyarrow() -> tuple[Any, Any]:
    with needing("pyarrow", "parquet"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet
