"""What a call may hold: the forms of the bodies, and how they are read from JSON or from a form with files."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import mimetypes
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from omnibind_core.errors import MediaError, QueryError
from omnibind_core.search.compare import MOST
from omnibind_core.search.compose import DEFAULT_MATCH, DEFAULT_OPERATOR, Match, Options
from omnibind_core.search.explorer import Explorer
from omnibind_core.search.gallery import Gallery
from omnibind_core.serve.gate import check_values
from omnibind_core.types import Modality

__all__ = [
    "Call",
    "Classify",
    "Compare",
    "Embed",
    "Embeddings",
    "Localise",
    "Mix",
    "Search",
    "Separate",
    "Similarity",
    "Thing",
    "address_of",
    "body_form",
    "files_of",
    "read",
]

MAX_TERMS = 8
"""Terms of a mix, as on the page."""
MAX_INPUTS = 64
"""Inputs of one call of embeddings, and items of a similarity."""
MAX_JSON = 32_000_000
"""Bytes of a JSON body, with what data URIs bring; larger files come in a form."""
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[\w.+-]+)*);base64,", re.IGNORECASE)
_SUFFIXES: Mapping[str, str] = {"audio/wav": ".wav", "audio/x-wav": ".wav", "audio/ogg": ".ogg", "audio/mpeg": ".mp3"}
_DEFAULT = Options()
B = TypeVar("B", bound=BaseModel)


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Thing(_Form):
    """One input: exactly one of text, item, data and file."""

    text: str | None = Field(None, description="a sentence")
    item: str | None = Field(None, description="an id of the gallery")
    data: str | None = Field(None, description="a file as a data URI: data:image/png;base64,..")
    file: str | None = Field(None, description="name of a part of the form that holds a file")
    weight: float = Field(1.0, ge=-1, le=1, description="in a mix; negative: less of this")
    modality: Modality | None = Field(None, description="what a file is; left out, its content tells")
    up: str = Field(
        "auto",
        description="the axis that points up in a shape: x, y, z, -x, -y, -z, or auto: guessed where it is not said",
    )


class Embed(Thing):
    """The vector of one input."""


class _Looking(_Form):
    k: int = Field(_DEFAULT.k, description="answers for each modality, 1 to 200")
    match: Match = Field(DEFAULT_MATCH, description="media, or media+caption")


class Search(Thing, _Looking):
    """What is near one input."""


class Mix(_Looking):
    """What answers several signed inputs together."""

    terms: list[Thing] = Field(min_length=1, max_length=MAX_TERMS)
    operator: str = Field(DEFAULT_OPERATOR, description="sum, slerp, product or projection")


class Similarity(_Form):
    """Cosine of every input with every other."""

    items: list[Thing] = Field(min_length=1, max_length=MAX_INPUTS)


class Compare(_Form):
    """How near each is to each, told by the gallery's own pairs, and which belong together."""

    items: list[Thing] = Field(min_length=2, max_length=MOST)


class Localise(_Form):
    """Where in a picture, when in a sound, which part of a shape."""

    query: Thing = Field(description="what is looked for")
    into: Thing = Field(description="what is looked into: a picture, a sound or a shape")


class Separate(_Form):
    """What an input names, pulled out of a sound of up to a minute; both come back as data URIs."""

    query: Thing = Field(description="what is pulled out")
    sound: Thing


class Classify(Thing):
    """Which of the labels fits an input best."""

    labels: list[str]


class Embeddings(BaseModel):
    """OpenAI's form: sentences, or data URIs of pictures, sounds and shapes."""

    input: str | list[str]
    model: str = Field("omnibind", description="taken as it is: the server has one preset")
    encoding_format: str = Field("float", pattern="^(float|base64)$")
    dimensions: int | None = Field(None, description="only the preset's own width")


@dataclass(frozen=True)
class Call:
    """What came with a call besides its body's form: files by the name of their part, in a folder of its own."""

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)

    def path(self, thing: Thing) -> Path | None:
        """Give the file that an input names; None for a sentence or an item of the gallery.

        Raises
        ------
        MediaError, QueryError
            Not exactly one of its four fields is set, no such part, or a data URI that is none.
        """
        given = [name for name in ("text", "item", "data", "file") if getattr(thing, name) is not None]
        if len(given) != 1:
            raise QueryError(f"an input with {' and '.join(given) or 'nothing'}", "text, item, data or file", "set one")
        if thing.data is not None:
            return self.keep(thing.data)
        if thing.file is None:
            return None
        if thing.file not in self.files:
            raise QueryError(f"file '{thing.file}'", "the name of a part of this form", "send a part of that name")
        return self.files[thing.file]

    def beside(self, path: Path) -> dict[str, Path]:
        """Give the files that belong to a shape, by name: none, for a part of a form has no neighbours."""
        del path
        return {}

    def address(self, explorer: Explorer) -> Callable[[str], str]:
        """Say how the answer names files of the gallery: by their address under ``/v1/files/``."""
        return address_of(explorer.gallery)

    def keep(self, data: str) -> Path:
        """Write a data URI's content to a file; raises MediaError where it is none."""
        head = _DATA.match(data)
        if head is None:
            raise MediaError("data that is no data URI", "data:TYPE;base64,..", "encode the file; none is fetched")
        try:
            content = base64.b64decode(data[head.end() :], validate=True)
        except (binascii.Error, ValueError) as error:
            raise MediaError(f"a data URI with broken base64 ({error})", "base64", "encode it again") from error
        kind = (head[1] or "").lower()
        path = self.folder / f"data-{len(list(self.folder.iterdir()))}{_SUFFIXES.get(kind) or _suffix_of(kind)}"
        path.write_bytes(content)
        return path


@functools.lru_cache(maxsize=4)
def files_of(gallery: Gallery) -> Mapping[str, Path]:
    """Say which files of a gallery are served under ``/v1/files/``: path by name.

    Names are those in the gallery's folder; of several that are searched together they are made of the items' ids.
    """
    found: dict[str, Path] = {}
    for item in gallery.items:
        for part, thumbnail in (("file", False), ("thumbnail", True)):
            path = gallery.path(item, thumbnail)
            if path:
                inside = gallery.folder != Path() and Path(path).is_relative_to(gallery.folder.resolve())
                name = Path(path).relative_to(gallery.folder.resolve()).as_posix() if inside else ""
                found[name or f"{item.id}/{part}{Path(path).suffix}"] = Path(path)
    return found


def address_of(gallery: Gallery) -> Callable[[str], str]:
    """Say by which address each file of a gallery is served."""
    names = {str(path): name for name, path in files_of(gallery).items()}
    return lambda path: f"/v1/files/{quote(names[path])}"


def _suffix_of(kind: str) -> str:
    return mimetypes.guess_extension(kind) or ""


async def read(request: Request, form: type[B], folder: Path) -> tuple[B, Call]:
    """Read a body.

    Parameters
    ----------
    request : Request
        With JSON, or ``multipart/form-data``: fields as in JSON, lists and inputs as JSON, or labels separated by
        commas; a single part with a file need not be named by ``file``.
    form : type
        What it must be.
    folder : Path
        Where its files are put; whoever made it deletes it.

    Raises
    ------
    QueryError
        It has another form: where, without what it held.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    call = Call(folder)
    try:
        if kind == "multipart/form-data":
            fields = await _fields(request, call)
            if "file" in form.model_fields and len(call.files) == 1 and "file" not in fields:
                fields["file"] = next(iter(call.files))
            return form.model_validate(fields), call
        if kind == "application/json":
            body = await request.body()
            check_values(body)
            return form.model_validate_json(body), call
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise QueryError(f"a wrong '{where}' ({first['msg']})", "the form on /v1/docs", "correct it") from None
    except MultiPartException as error:
        raise QueryError(f"a form that cannot be read ({error.message})", "multipart/form-data", "correct it") from None
    raise QueryError(f"a body of type '{kind[:60]}'", "application/json or multipart/form-data", "set Content-Type")


async def _fields(request: Request, call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {}
    async with request.form(max_files=MAX_INPUTS, max_fields=64, max_part_size=1_000_000) as parts:
        for name, value in parts.multi_items():
            if isinstance(value, UploadFile):
                suffix = Path((value.filename or "").replace("\\", "/")).suffix[:12]
                path = call.folder / f"file-{len(call.files)}{suffix if suffix.isascii() else ''}"
                with path.open("wb") as kept:
                    while block := await value.read(1_000_000):
                        kept.write(block)
                call.files[name] = path
            elif name in {"terms", "items", "query", "into", "sound"} or (
                name == "labels" and value.lstrip().startswith("[")
            ):
                try:
                    found[name] = json.loads(value)
                except (ValueError, RecursionError):
                    raise QueryError(f"a field '{name}' that is not JSON", "JSON", "correct it") from None
            elif name == "labels":
                found[name] = [label for label in value.split(",") if label.strip()]
            else:
                found[name] = value
    return found


def body_form(form: type[BaseModel], *, files: bool = True) -> dict[str, Any]:
    """Describe a body for the OpenAPI page: as JSON, and as a form with files."""
    schema = form.model_json_schema()
    inner = schema.pop("$defs", {})

    def resolved(node: Any) -> Any:
        if isinstance(node, dict):
            named = node.get("$ref", "").rpartition("/")[2]
            return resolved(inner[named]) if named else {key: resolved(value) for key, value in node.items()}
        return [resolved(one) for one in node] if isinstance(node, list) else node

    whole = resolved(schema)
    content = {"application/json": {"schema": whole}}
    if files:
        part = {"type": "string", "format": "binary", "description": "a file; more parts are named as you like"}
        content["multipart/form-data"] = {"schema": {**whole, "properties": {**whole["properties"], "file": part}}}
    return {"requestBody": {"required": True, "content": content}}
