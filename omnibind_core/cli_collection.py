"""Commands of collections: add | list | info | remove | export | import."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnibind_core.types import MODALITIES

if TYPE_CHECKING:
    from omnibind_core.search.collection_ray import RayEngine

__all__ = ["install"]

_FORMATS = ("parquet", "csv", "jsonl")


def install(commands: Any, common: argparse.ArgumentParser, model: Callable[..., Any]) -> None:
    """Add the commands; `model` loads the preset that the arguments name."""
    text = "your own collections: made of folders, searched like the gallery"
    whole = commands.add_parser("collection", help=text, description=text)
    below = whole.add_subparsers(required=True, metavar="ACTION")

    def action(name: str, run: Callable[..., Any], show: Callable[..., Any], text: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = below.add_parser(name, parents=[common], help=text, description=text)
        one.set_defaults(run=run, show=show)
        return one

    def named(one: argparse.ArgumentParser) -> argparse.ArgumentParser:
        one.add_argument("name", metavar="NAME", help="its name, or the path of a collection's folder")
        return one

    one = named(action("add", lambda given: _add(given, model), _show_add, "make or grow a collection"))
    one.add_argument("paths", nargs="*", metavar="PATH", help="files and folders; none: embed what it has, by --preset")
    one.add_argument("--prune", action="store_true", help="forget the items whose files are gone")
    one.set_defaults(engines=("ray",))
    one.add_argument(
        "--address",
        default="auto",
        help="for --engine ray, which embeds on a cluster: auto (the one here), local, HOST:PORT, ray://HOST:PORT",
    )
    action("list", _list, _show_list, "list the collections that are here")
    named(action("info", _info, _show_info, "what a collection holds, and what --preset has yet to embed"))
    named(action("remove", _remove, _show_path, "delete a collection; the files that it was made of stay"))
    one = named(action("export", _export, _show_path, "write items and vectors as one file"))
    one.add_argument("file", type=Path, metavar="FILE", help=f"ends in one of .{', .'.join(_FORMATS)}")
    one = named(action("import", _import, _show_add, "take items and vectors from a Parquet file of another machine"))
    one.add_argument("file", type=Path, metavar="FILE", help="a .parquet whose fingerprint fits --preset")


def _add(given: argparse.Namespace, model: Callable[..., Any]) -> dict[str, Any]:
    from tqdm import tqdm

    from omnibind_core.presets.preset import load_preset
    from omnibind_core.search.collection import add
    from omnibind_core.store.collection import collection_folder

    collection_folder(given.name, exists=not given.paths)  # before a model is loaded
    dtype = "float32" if given.dtype == "auto" else given.dtype
    with ExitStack() as ends:
        engine = ends.enter_context(_ray(given, dtype)) if given.engine == "ray" else None
        loaded = load_preset(given.preset).with_routing(given.routing) if engine else model(given, None, dtype=dtype)
        bar = ends.enter_context(tqdm(unit="item", disable=not sys.stderr.isatty()))

        def told(done: int, count: int) -> None:
            bar.total = count
            bar.update(done - bar.n)

        return _added(add(given.name, given.paths, loaded, prune=given.prune, engine=engine, progress=told))


def _ray(given: argparse.Namespace, dtype: str) -> RayEngine:
    from omnibind_core.search.collection_ray import RayEngine

    name = str(Path(given.preset).resolve()) if given.preset.endswith(".json") else given.preset
    options = {"dtype": dtype, "device": given.device, "plan": given.plan, "routing": given.routing}
    return RayEngine(given.address, preset=name, **options)


def _added(found: Any) -> dict[str, Any]:
    return {**vars(found), "folder": str(found.folder)}


def _show_add(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['items']} items, {result['embedded']} embedded now: {result['folder']}"]
    if result["moved"]:
        lines.append(f"{result['moved']} files were moved; nothing of them was embedded again")
    if result["forgotten"]:
        lines.append(f"{result['forgotten']} files are gone and forgotten")
    elif result["gone"]:
        lines.append(f"{result['gone']} files are gone; --prune forgets them")
    if result["skipped"]:
        lines.append(f"{result['skipped']} skipped: {Path(result['folder']) / 'skipped.csv'} says why")
    return lines


def _list(given: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.store.collection import collection_folder, collection_names, read_items

    del given
    return {"collections": [{"name": name, "items": len(read_items(collection_folder(name)))}
                            for name in collection_names()]}  # fmt: skip


def _show_list(result: dict[str, Any]) -> list[str]:
    return [f"{one['name']:<32} {one['items']:>9,} items" for one in result["collections"]] or ["no collections yet"]


def _info(given: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.binding.files import fingerprint
    from omnibind_core.presets.preset import load_preset
    from omnibind_core.search.collection import missing
    from omnibind_core.store.collection import collection_folder, read_items
    from omnibind_core.store.kept_indexes import index_bytes

    folder, preset = collection_folder(given.name), load_preset(given.preset)
    items = read_items(folder)
    lacks = missing(folder, preset)
    return {
        "folder": str(folder), "preset": preset.name, "fingerprint": fingerprint(preset), "items": len(items),
        "modalities": {m: sum(item.modality == m for item in items) for m in MODALITIES},
        "missing": lacks, "presets": sorted(p.stem.removeprefix("vectors-") for p in folder.glob("vectors-*")),
        "index_bytes": index_bytes(folder),
    }  # fmt: skip


def _show_info(result: dict[str, Any]) -> list[str]:
    from omnibind_core.store.pace import size_words

    counts = ", ".join(f"{count} {m}" for m, count in result["modalities"].items())
    lacks = ", ".join(f"{count} {m}" for m, count in result["missing"].items() if count)
    name = result["preset"]
    return [
        f"{result['items']} items ({counts}): {result['folder']}",
        f"vectors of: {', '.join(result['presets']) or 'no preset'}",
        f"{name} (fingerprint {result['fingerprint']}) "
        + (f"has yet to embed {lacks}: `collection add NAME --preset {name}`" if lacks else "has every item"),
        *([f"indexes in the cache: {size_words(size, None)}"] if (size := result["index_bytes"]) else []),
    ]


def _remove(given: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.store.collection import remove_collection

    return {"path": str(remove_collection(given.name)), "done": "removed"}


def _export(given: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.presets.preset import load_preset
    from omnibind_core.search.collection_tables import export_table
    from omnibind_core.store.collection import collection_folder

    export_table(collection_folder(given.name), load_preset(given.preset), given.file)
    return {"path": str(given.file), "done": "written"}


def _show_path(result: dict[str, Any]) -> list[str]:
    return [f"{result['done']}: {result['path']}"]


def _import(given: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.presets.preset import load_preset
    from omnibind_core.search.collection_tables import import_table

    return _added(import_table(given.name, load_preset(given.preset), given.file))
