"""Commands: embed, similarity, search, classify, locate, separate, gallery, collection, serve, mcp, doctor."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omnibind_core import cli_collection, cli_mcp, cli_separate
from omnibind_core.errors import MediaError, OmniBindError
from omnibind_core.machine import process
from omnibind_core.machine.names import check_dtype, check_engine, check_plan
from omnibind_core.presets.preset import load_preset, preset_names
from omnibind_core.search.compose import (
    DEFAULT_CENTRED,
    DEFAULT_MATCH,
    DEFAULT_OPERATOR,
    MATCHES,
    OPERATORS,
    check_request,
)
from omnibind_core.store.addresses import milvus_address
from omnibind_core.store.collection import GALLERY, collection_folders
from omnibind_core.types import MODALITIES, Modality

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind
    from omnibind_core.search.answers import Embedded
    from omnibind_core.search.explorer import Explorer

__all__ = ["main", "parser"]

EXIT_BAD_INPUT = 2
_TEXT = "text:"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; None takes the process's.

    Returns
    -------
    int
        0, or 2 for bad input (the message goes to standard error).
    """
    arguments = parser().parse_args(argv)
    process.set_up()
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs addresses, and the Hub's are signed
    try:
        result = _run(arguments)
    except OmniBindError as error:
        _progress.close()
        if arguments.json:
            from omnibind_core.search.answers import error_form

            print(json.dumps(error_form(error)), file=sys.stderr)
        else:
            print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    finally:
        _progress.close()
    if arguments.json:
        print(json.dumps(result))
    else:
        for line in arguments.show(result):
            print(line)
    return 0


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Do what was asked for; raises OmniBindError, also where the system refuses a file or a folder."""
    try:
        _check(arguments)
        result: dict[str, Any] = arguments.run(arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OmniBindError(
            f"{error.filename or 'a file'}, which cannot be used ({error.strerror or error})",
            "files and folders that can be read and written",
            "check the path, and OMNIBIND_CACHE if it is set",
        ) from error
    return result


def parser() -> argparse.ArgumentParser:
    """Give the commands and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--preset", default="mini", help=f"one of {', '.join(preset_names())} (default: mini)")
    common.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: auto)")
    common.add_argument(
        "--dtype", default="auto", help="in what towers compute: auto, float32, bfloat16 (default: auto: measured)"
    )
    common.add_argument(
        "--engine",
        default="auto",
        help="what runs the networks on a processor: auto, torch, openvino (default: auto: measured)",
    )
    common.add_argument("--plan", default="auto", help="memory plan: auto, resident, int8, streamed (default: auto)")
    common.add_argument("--routing", default="default", help="default, or trained: the preset's trained routers")
    common.add_argument(
        "--up",
        default="auto",
        choices=("auto", "x", "y", "z", "-x", "-y", "-z"),
        help="axis that points up in shapes (default: auto: guessed where the file does not say)",
    )
    common.add_argument(
        "--faithful", action="store_true", help="treat sounds as the published code does, where it is deterministic"
    )
    common.add_argument("--json", action="store_true", help="print JSON instead of text")
    common.add_argument("-v", "--verbose", action="store_true", help="say what is loaded and measured")
    whole = argparse.ArgumentParser(
        prog="python -m omnibind_core",
        description="One space for 3D shapes, sounds, images and sentences. ITEM is a file, or text:a sentence.",
    )
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., Any], show: Callable[..., Any], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[common], help=text, description=text)
        sub.set_defaults(run=run, show=show)
        return sub

    one = command("embed", _embed, _show_embed, "embed items: unit vectors and the specialists' weights")
    one.add_argument("items", nargs="+", metavar="ITEM", help="a file, or text:a sentence")
    one = command("similarity", _similarity, _show_similarity, "cosine of every item with every other")
    one.add_argument("items", nargs="+", metavar="ITEM", help="a file, or text:a sentence")
    one = command("search", _search, _show_search, "find the gallery's items that answer the sum of the items")
    one.add_argument("items", nargs="+", metavar="ITEM", help="a file, or text:a sentence")
    one.add_argument("--minus", action="append", default=[], metavar="ITEM", help="subtract this item; may be repeated")
    one.add_argument("-k", type=int, default=5, help="answers for each modality (default: 5)")
    _searched(one)
    one.add_argument(
        "--in", dest="modalities", default=",".join(MODALITIES), help="where to look: image,audio,point,text"
    )
    one.add_argument("--operator", default=DEFAULT_OPERATOR, help=f"{', '.join(OPERATORS)} (default: %(default)s)")
    one.add_argument("--match", default=DEFAULT_MATCH, help=f"{', '.join(MATCHES)} (default: %(default)s)")
    one.add_argument(
        "--centred",
        action=argparse.BooleanOptionalAction,
        default=DEFAULT_CENTRED,
        help="subtract each modality's mean first",
    )
    one = command("classify", _classify, _show_classify, "which of these labels fits the item best")
    one.add_argument("item", metavar="ITEM", help="a file, or text:a sentence")
    one.add_argument("--labels", required=True, help="labels, separated by commas")
    one = command("gallery", _gallery, _show_gallery, "list the gallery; --build embeds it anew")
    one.add_argument("--build", action="store_true", help="embed every item and write the vectors")
    one.add_argument("--folder", type=Path, help="a gallery folder with catalogue.json (default: the committed one)")
    one = command("locate", _locate, _show_locate, "where in a picture, when in a sound, which part of a shape")
    one.add_argument("item", metavar="ITEM", help="what is looked for: a file, or text:a sentence")
    one.add_argument("into", metavar="FILE", help="what is looked into: a picture, a sound or a shape")
    cli_separate.install(commands, common, _embed_items)
    cli_collection.install(commands, common, _model)
    one = command("serve", _serve, _show_nothing, "answer programs over HTTP, under /v1, until told to end")
    one.add_argument("--host", default="127.0.0.1", help="to listen on; others need keys (default: 127.0.0.1)")
    one.add_argument("--port", type=int, default=8000, help="to listen on (default: 8000)")
    _searched(one)
    cli_mcp.install(commands, common, _searched, _explorer)
    one = command("doctor", _doctor, _show_doctor, "what this machine has and what the preset needs")
    one.add_argument("--fetch", action="store_true", help="fetch the preset's weights now")
    one.add_argument(
        "--check-hub", action="store_true", help="ask the Hub what it has, and say what differs; fetches nothing"
    )
    one.add_argument("--table", action="store_true", help="print the table of all presets instead")
    return whole


def _searched(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--collection", default=GALLERY, help="names of collections, separated by commas (default: the gallery)"
    )
    one.add_argument(
        "--store",
        default="",
        help="where vectors are searched: milvus:PATH.db, or milvus:http://HOST:PORT (default: in memory)",
    )


def _check(arguments: argparse.Namespace) -> None:
    """Find what is wrong with a command before seconds are spent on importing torch and loading a model."""
    if arguments.preset != "auto":
        load_preset(arguments.preset).with_routing(arguments.routing)
    check_plan(arguments.plan)
    check_dtype(arguments.dtype)
    given = vars(arguments)
    if arguments.engine not in given.get("engines", ()):
        check_engine(arguments.engine)
    for item in (
        *given.get("items", ()),
        *given.get("minus", ()),
        *(given[name] for name in ("item", "into") if name in given),
    ):
        _source(item)
    collection_folders(given.get("collection", GALLERY))
    if store := given.get("store"):
        milvus_address(store)
    if "operator" in given:
        check_request(arguments.k, _split(arguments.modalities), arguments.operator, arguments.match)


def _split(names: str) -> list[Any]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _model(arguments: argparse.Namespace, modalities: set[Modality] | None = None, **options: Any) -> OmniBind:
    from omnibind_core.binder import OmniBind
    from omnibind_core.machine.runtime import tune_threads

    tune_threads()
    names = ("device", "dtype", "plan", "engine", "routing")
    options = {**{name: getattr(arguments, name) for name in names}, **options}
    return OmniBind.from_pretrained(arguments.preset, modalities=modalities, progress=_progress, **options)


class _Bar:
    """One passing line on a terminal's standard error: what is being fetched or loaded, and how far it is."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, label: str, share: float) -> None:
        if share >= 1:
            self.close()
            return
        if self._bar is None:
            from tqdm import tqdm

            shape = "{desc}: {percentage:3.0f}%|{bar:20}|"
            self._bar = tqdm(total=100, bar_format=shape, leave=False, disable=None)
        self._bar.n = 100 * share
        self._bar.set_description_str(label)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None


_progress = _Bar()


def _source(item: str) -> tuple[Modality, str | Path]:
    """Tell what an ITEM is: a sentence only where it says so."""
    from omnibind_core import media

    if item.startswith(_TEXT):
        return "text", media.load_text(item[len(_TEXT) :]).text
    path = Path(item)
    if not path.exists():
        raise MediaError(
            f"'{item}', which does not exist",
            "a file, or text:a sentence",
            f"write text:{item} to mean it as a sentence",
        )
    return media.modality_of(path), path


def _embed_items(
    arguments: argparse.Namespace, items: Sequence[str], more: Collection[Modality] = (), collections: str = GALLERY
) -> tuple[Explorer, list[Embedded]]:
    """Embed items by a model that holds what these need, and what `more` needs, and no other tower."""
    from omnibind_core.search.explorer import Explorer

    sources = [_source(item) for item in items]
    first, *others = collection_folders(collections)
    model = _model(arguments, {modality for modality, _ in sources}.union(more))
    explorer = Explorer(model, first, others, store=vars(arguments).get("store", ""))
    made = [
        explorer.embed(source, modality, up=arguments.up, faithful=arguments.faithful) for modality, source in sources
    ]
    for item, one in zip(items, made, strict=True):
        for notice in one.notices if not arguments.json else ():  # JSON has them inside
            _progress.close()
            print(f"notice: {item}: {notice}", file=sys.stderr)
    return explorer, made


def _embed(arguments: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.search.answers import embedded_form

    explorer, made = _embed_items(arguments, arguments.items)
    rows = [{"source": item, **embedded_form(one)} for item, one in zip(arguments.items, made, strict=True)]
    return {"preset": explorer.preset, "items": rows}


def _show_embed(result: dict[str, Any]) -> list[str]:
    lines = []
    for item in result["items"]:
        vector = " ".join(f"{x:+.3f}" for x in item["vector"][:6])
        weights = ", ".join(f"{name} {w:.2f}" for name, w in item["weights"].items())
        lines.append(f"{item['source']} ({item['modality']}, {len(item['vector'])} wide): {vector} ...  [{weights}]")
    return lines


def _similarity(arguments: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.search.answers import embedded_form, similarity_form

    explorer, made = _embed_items(arguments, arguments.items)
    rows = [{"source": item, **embedded_form(one)} for item, one in zip(arguments.items, made, strict=True)]
    return {"preset": explorer.preset, "items": rows, "matrix": similarity_form(explorer.similarity(made))}


def _show_similarity(result: dict[str, Any]) -> list[str]:
    names = [Path(item["source"]).name if item["modality"] != "text" else item["source"] for item in result["items"]]
    width = max(len(name) for name in names)
    return [
        f"{name:<{width}}  " + " ".join(f"{value:+.2f}" for value in row)
        for name, row in zip(names, result["matrix"], strict=True)
    ]


def _search(arguments: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.search.answers import found_form
    from omnibind_core.search.compose import Options

    modalities = _split(arguments.modalities)
    signed = [(item, 1.0) for item in arguments.items] + [(item, -1.0) for item in arguments.minus]
    explorer, made = _embed_items(arguments, [item for item, _ in signed], collections=arguments.collection)
    terms = [one.term(weight, item) for (item, weight), one in zip(signed, made, strict=True)]
    options = Options(operator=arguments.operator, match=arguments.match, k=arguments.k, centred=arguments.centred)
    notices = [notice for one in made for notice in one.notices]
    return found_form(explorer.preset, explorer.search(terms, options, modalities=modalities), notices=notices)


def _show_search(result: dict[str, Any]) -> list[str]:
    lines = []
    for modality, hits in result["hits"].items():
        lines.append(f"{modality}: nothing here is near; the nearest:" if modality in result["far"] else f"{modality}:")
        lines += [f"  {hit['score']:+.3f}  {hit['id']:<28} {hit['caption']}" for hit in hits]
    return lines


def _classify(arguments: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.search.answers import scores_form

    explorer, made = _embed_items(arguments, [arguments.item], ["text"])
    scores = explorer.classify(made[0].vector, arguments.labels.split(","))
    fits = explorer.fits(made[0].vector, made[0].modality, scores[0])
    return scores_form(explorer.preset, scores, fits, made[0].notices)


def _show_classify(result: dict[str, Any]) -> list[str]:
    rows = [f"{row['probability']:6.1%}  {row['cosine']:+.3f}  {row['label']}" for row in result["scores"]]
    return rows if result["fits"] else [*rows, "perhaps none of these"]


def _locate(arguments: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.search.answers import located_form

    modality, path = _source(arguments.into)
    explorer, made = _embed_items(arguments, [arguments.item], [modality])
    given = explorer.load(path, modality, up=arguments.up)
    found = explorer.locate(made[0].term(1.0, arguments.item), given)
    return located_form(explorer.preset, found, [*made[0].notices, *given.notices])


def _show_locate(result: dict[str, Any]) -> list[str]:
    place = ", ".join(f"{name} {value:.2f}" for name, value in result["best"].items())
    doubt = "" if result["near"] else "  (probably not in it: this is only the nearest)"
    return [f"{result['score']:+.3f}  {place}{doubt}"]


def _gallery(arguments: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.search.answers import item_form
    from omnibind_core.search.gallery import Gallery, build, kept_path
    from omnibind_core.search.plane import plane
    from omnibind_core.store.catalogue import read_catalogue
    from omnibind_core.store.paths import assets_directory

    folder = arguments.folder or assets_directory() / "gallery"
    items = read_catalogue(folder)
    built = None
    if arguments.build:
        from tqdm import tqdm

        # mini's are committed, in float32 for all machines; others' are kept where the page looks for them.
        own = arguments.preset == "mini" or arguments.folder
        model = _model(arguments, None, dtype="float32" if own and arguments.dtype == "auto" else arguments.dtype)
        with tqdm(unit="vector", disable=not sys.stderr.isatty()) as bar:

            def told(done: int, total: int) -> None:
                bar.total, bar.n = total, done
                bar.refresh()

            if own:
                built = str(build(model, folder, told))
                if not arguments.folder:
                    for old in (assets_directory() / "mini").glob("plane-*.safetensors"):
                        old.unlink()
                    plane(Gallery.load(model, folder), assets_directory() / "mini")
            else:
                Gallery.make(model, folder, told)
                built = str(kept_path(model, folder))
    return {"preset": arguments.preset, "built": built, "items": [item_form(item) for item in items]}


def _show_gallery(result: dict[str, Any]) -> list[str]:
    counts = {m: sum(row["modality"] == m for row in result["items"]) for m in MODALITIES}
    lines = [f"{row['id']:<28} {row['caption']}" for row in result["items"]] if not result["built"] else []
    lines.append(", ".join(f"{count} {modality}" for modality, count in counts.items()))
    return lines + ([f"vectors written to {result['built']}"] if result["built"] else [])


def _serve(arguments: argparse.Namespace) -> dict[str, Any]:
    from omnibind_core.serve.command import serve

    serve(lambda: _explorer(arguments), arguments.host, arguments.port)
    return {}


def _explorer(arguments: argparse.Namespace) -> Explorer:
    """Load a model with its gallery, which is embedded where it has no vectors yet."""
    from omnibind_core.search.explorer import Explorer

    first, *others = collection_folders(arguments.collection)
    explorer = Explorer(_model(arguments), first, others, store=vars(arguments).get("store", ""))
    explorer.make_gallery()
    return explorer


def _show_nothing(result: dict[str, Any]) -> list[str]:
    del result
    return []


def _doctor(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.table:
        from omnibind_core.machine.table import preset_table

        return {"table": preset_table()}
    from omnibind_core.machine.doctor import examine

    options = {name: getattr(arguments, name) for name in ("device", "dtype", "plan", "fetch")}
    return examine(arguments.preset, check=arguments.check_hub, progress=_progress, **options)


def _show_doctor(result: dict[str, Any]) -> list[str]:
    if "table" in result:
        lines: list[str] = result["table"]
        return lines
    from omnibind_core.machine.doctor import describe

    return describe(result)
