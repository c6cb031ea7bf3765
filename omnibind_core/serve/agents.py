"""A local server for agents, over stdio, by the Model Context Protocol: what ``/v1`` answers, as tools.

It reads sentences, items of the gallery, and files inside folders that were allowed when it was started, nothing else.
"""

from __future__ import annotations

import functools
import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, ValidationError

from omnibind_core.errors import OmniBindError, QueryError
from omnibind_core.search.compose import DEFAULT_OPERATOR, OPERATORS
from omnibind_core.search.explorer import Explorer
from omnibind_core.serve import answering
from omnibind_core.serve.calls import Call, Classify, Compare, Localise, Mix, Search, Similarity, Thing

__all__ = ["Folders", "agents"]

log = logging.getLogger(__name__)

_SHOWN = 4  # pictures that come back with an answer
_BESIDE = 64  # files of a shape's folder that may belong to it
_INSTRUCTIONS = (
    "One space for 3D shapes, sounds, pictures and sentences: anything finds, and is mixed with, anything. "
    "An input is {text}, {item} (an id that an earlier answer named) or {file} (a path inside an allowed folder). "
    "Scores are cosines; `z` says by how many standard deviations an answer stands out; where `far` names a kind, "
    "nothing of that kind is near."
)
Content: TypeAlias = list[Any]
Kind: TypeAlias = Literal["image", "audio", "point", "text"]
if TYPE_CHECKING:
    Mixing: TypeAlias = str
else:  # what agents are told to choose from is what the registry holds
    Mixing = Literal[tuple(OPERATORS)]


@dataclass(frozen=True)
class Folders(Call):
    """A call whose files are paths on this machine.

    Attributes
    ----------
    allowed : tuple of Path
        Folders that files may lie in; links are followed before it is judged.
    """

    allowed: tuple[Path, ...] = field(default=())

    def path(self, thing: Thing) -> Path | None:
        """Give the file that an input names.

        Raises
        ------
        MediaError, QueryError
            As :meth:`Call.path`; or a path outside of what was allowed.
        """
        if thing.file is None or sum(getattr(thing, name) is not None for name in ("text", "item", "data")):
            return super().path(thing)
        return self._inside(Path(thing.file))

    def beside(self, path: Path) -> dict[str, Path]:
        """Give the files of a shape's folder that lie, links followed, inside what was allowed."""
        found: dict[str, Path] = {}
        for other in sorted(path.parent.iterdir())[:_BESIDE]:
            if other.is_file() and other != path and self._is_inside(other.resolve()):
                found[other.name] = other.resolve()
        return found

    def address(self, explorer: Explorer) -> Callable[[str], str]:
        """Name files of the gallery by their paths: whoever asks is on this machine."""
        del explorer
        return str

    def _inside(self, path: Path) -> Path:
        real = path.expanduser().resolve()
        if not self._is_inside(real):  # said alike whether it is there or not
            allowed = ", ".join(map(str, self.allowed)) or "no folder"
            raise QueryError(
                f"the path {path}, which is not inside an allowed folder",
                f"files inside {allowed}",
                "start it with --allow FOLDER",
            )
        if not real.is_file():
            raise QueryError(f"the path {path}, where no file is", "a file", "correct the path")
        return real

    def _is_inside(self, real: Path) -> bool:
        return any(real.is_relative_to(folder) for folder in self.allowed)


def agents(explorer: Callable[[], Explorer], allowed: Sequence[Path] = ()) -> MCPServer[Any]:
    """Make the server; ``.run("stdio")`` answers until its input ends.

    Parameters
    ----------
    explorer : callable
        Gives who answers; may wait for it.
    allowed : sequence of Path
        Folders whose files may be read.
    """
    server: MCPServer[Any] = MCPServer("omnibind", instructions=_INSTRUCTIONS, log_level="ERROR")
    folders = tuple(folder.expanduser().resolve() for folder in allowed)

    run = functools.partial(_run, explorer, folders)
    tool = functools.partial(server.tool, structured_output=False)

    @tool()
    def search(
        text: str = "", item: str = "", file: str = "", kind: Kind | None = None, k: int = 5, up: str = "auto"
    ) -> Content:
        """Find what is near one input, in all four modalities. Give exactly one of text, item and file.

        `kind` says what a file is; left out, its content tells. `k` answers come back of each kind, 1 to 200. `up`
        names the axis that points up in a shape's file: x, y, z, -x, -y, -z, or auto: guessed where it is not said.
        """
        given = {"text": text, "item": item, "file": file, "modality": kind, "k": k, "up": up}
        return run(Search, answering.search, given)

    @tool()
    def mix(terms: list[dict[str, Any]], k: int = 5, operator: Mixing = DEFAULT_OPERATOR) -> Content:
        """Find what answers 1 to 8 signed inputs together.

        Each term is {"text"}, {"item"} or {"file"}, with "weight" from -1 to 1: negative means less of this.
        """
        return run(Mix, answering.mix, {"terms": terms, "k": k, "operator": operator})

    @tool()
    def classify(
        labels: list[str], text: str = "", item: str = "", file: str = "", kind: Kind | None = None, up: str = "auto"
    ) -> Content:
        """Say which of 1 to 200 labels fits an input best; "fits" is false where perhaps none does."""
        given = {"labels": labels, "text": text, "item": item, "file": file, "modality": kind, "up": up}
        return run(Classify, answering.classify, given)

    @tool()
    def similarity(items: list[dict[str, Any]]) -> Content:
        """Give the cosine of every input with every other; each is {"text"}, {"item"} or {"file"}."""
        return run(Similarity, answering.similarity, {"items": items})

    @tool()
    def compare(items: list[dict[str, Any]]) -> Content:
        """Say how near each of 2 to 24 inputs is to each, by the gallery's own pairs, and which belong together."""
        return run(Compare, answering.compare, {"items": items})

    @tool()
    def localise(query: dict[str, Any], into: dict[str, Any]) -> Content:
        """Say where `query` is in a picture, when in a sound, which part of a shape `into`."""
        return run(Localise, answering.localise, {"query": query, "into": into})

    @tool()
    def collections() -> Content:
        """List the gallery that is searched, and the collections of this machine, with their counts by kind."""
        try:
            return [json.dumps(answering.collections(explorer()))]
        except OmniBindError as error:
            raise ToolError(str(error)) from None

    return server


def _run(
    explorer: Callable[[], Explorer],
    allowed: tuple[Path, ...],
    form: type[BaseModel],
    answer: Callable[[Explorer, Any, Call], Any],
    given: dict[str, Any],
) -> Content:
    """Check a call and answer it; whatever goes wrong is told in three parts, or that it happened."""
    with tempfile.TemporaryDirectory(prefix="omnibind-") as folder:
        call = Folders(Path(folder), allowed=allowed)
        try:
            body = form.model_validate({key: x for key, x in given.items() if x not in ("", None)})
            who = explorer()
            return _content(who, answer(who, body, call))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "call"
            wrong = QueryError(f"a wrong '{where}' ({first['msg']})", "what the tool's schema says", "correct it")
            raise ToolError(str(wrong)) from None
        except OmniBindError as error:
            raise ToolError(str(error)) from None
        except Exception:
            log.exception("a tool failed")
            raise ToolError("Something unexpected went wrong; it has been noted in the log.") from None


def _content(explorer: Explorer, form: dict[str, Any]) -> Content:
    """Give an answer as JSON, and pictures of the best of what was found."""
    content: Content = [json.dumps(form, ensure_ascii=False)]
    best = sorted(
        (hits[0] for kind, hits in form.get("hits", {}).items() if hits and kind not in form.get("far", [])),
        key=lambda hit: -hit["z"],
    )
    for hit in best:
        picture = explorer.hit(hit["id"]).thumbnail
        if picture and len(content) <= _SHOWN:
            content += [f"{hit['id']}: {hit['caption']}", Image(path=picture)]
    return content
