"""The HTTP interface under ``/v1``: what the explorer answers, in the one JSON form of all programs."""

from __future__ import annotations

import base64
import io
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from omnibind_core import media
from omnibind_core.errors import ExhaustedError, OmniBindError, QueryError
from omnibind_core.media.limits import MAX_BYTES
from omnibind_core.search.answers import (
    Embedded,
    compared_form,
    embedded_form,
    error_form,
    found_form,
    item_form,
    located_form,
    scores_form,
    separated_form,
    similarity_form,
)
from omnibind_core.search.compose import Options
from omnibind_core.search.explorer import Explorer
from omnibind_core.serve.calls import (
    MAX_INPUTS,
    MAX_JSON,
    Call,
    Classify,
    Compare,
    Embed,
    Embeddings,
    Localise,
    Mix,
    Search,
    Separate,
    Similarity,
    Thing,
    body_form,
    read,
)
from omnibind_core.serve.gate import BusyError, Gate, RefusedError
from omnibind_core.types import MODALITIES, Audio, FloatArray, Image, PointCloud

__all__ = ["MAX_BODY", "api"]

log = logging.getLogger(__name__)
B = TypeVar("B", bound=BaseModel)
MAX_BODY = max(MAX_BYTES.values()) + 1_000_000
"""Bytes of a form: the largest file that is decoded, and what stands around it."""
_OPEN = {"/healthz", "/readyz", "/v1/docs", "/v1/openapi.json"}
"""What is told without a key."""
Answering = Callable[[Explorer, Any, Call], Any]


def api(explorer: Callable[[], Explorer], ready: Callable[[], bool], keys: Collection[str] = ()) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    explorer : callable
        Gives who answers; may wait for it.
    ready : callable
        Whether it answers at once.
    keys : collection of str
        One of which every call must bring; none: nobody is asked.
    """
    gate = Gate(keys)
    app = FastAPI(title="OmniBind", version="1", docs_url="/v1/docs", redoc_url=None, openapi_url="/v1/openapi.json")
    app.state.gate = gate
    _guard(app, gate)
    _errors(app)
    _health(app, gate, ready)
    _gallery(app, gate, explorer)

    def publish(path: str, form: type[BaseModel], answer: Answering, *, files: bool = True) -> None:
        async def endpoint(request: Request) -> JSONResponse:
            with tempfile.TemporaryDirectory(prefix="omnibind-") as folder:
                body, call = await read(request, form, Path(folder))
                return JSONResponse(await gate.run(lambda: answer(explorer(), body, call)))

        app.post(path, summary=form.__doc__, openapi_extra=body_form(form, files=files), response_model=None)(endpoint)

    publish("/v1/embed", Embed, _embed)
    publish("/v1/search", Search, _search)
    publish("/v1/mix", Mix, _mix)
    publish("/v1/similarity", Similarity, _similarity)
    publish("/v1/compare", Compare, _compare)
    publish("/v1/classify", Classify, _classify)
    publish("/v1/localise", Localise, _localise)
    publish("/v1/separate", Separate, _separate)
    publish("/v1/embeddings", Embeddings, _embeddings, files=False)
    return app


def _one(explorer: Explorer, thing: Thing, call: Call) -> Embedded:
    path = call.path(thing)
    if thing.item is not None:
        return explorer.item(thing.item)
    if path is None:
        return explorer.embed(thing.text, "text", decoded=False)
    if thing.modality == "text":
        raise QueryError("a file as a sentence", "text", "send the sentence as text")
    return explorer.embed(str(path), thing.modality, up=thing.up, beside={}, decoded=False)


def _embed(explorer: Explorer, body: Embed, call: Call) -> dict[str, Any]:
    return {"preset": explorer.preset, **embedded_form(_one(explorer, body, call))}


def _search(explorer: Explorer, body: Search, call: Call) -> dict[str, Any]:
    return _found(explorer, [body], Options(k=body.k, match=body.match), call)


def _mix(explorer: Explorer, body: Mix, call: Call) -> dict[str, Any]:
    return _found(explorer, body.terms, Options(k=body.k, match=body.match, operator=body.operator), call)


def _found(explorer: Explorer, things: Sequence[Thing], options: Options, call: Call) -> dict[str, Any]:
    made = [_one(explorer, thing, call) for thing in things]
    terms = [one.term(thing.weight) for one, thing in zip(made, things, strict=True)]
    found = explorer.search(terms, options, exclude={thing.item for thing in things if thing.item})
    notices = [notice for one in made for notice in one.notices]
    return found_form(explorer.preset, found, _address(explorer), notices)


def _similarity(explorer: Explorer, body: Similarity, call: Call) -> dict[str, Any]:
    made = [_one(explorer, thing, call) for thing in body.items]
    notices = [notice for one in made for notice in one.notices]
    return {"preset": explorer.preset, "matrix": similarity_form(explorer.similarity(made)), "notices": notices}


def _classify(explorer: Explorer, body: Classify, call: Call) -> dict[str, Any]:
    made = _one(explorer, body, call)
    return scores_form(explorer.preset, explorer.classify(made.vector, body.labels), made.notices)


def _compare(explorer: Explorer, body: Compare, call: Call) -> dict[str, Any]:
    made = [_one(explorer, thing, call) for thing in body.items]
    notices = [notice for one in made for notice in one.notices]
    return compared_form(explorer.preset, explorer.compare([one.term() for one in made]), notices)


def _localise(explorer: Explorer, body: Localise, call: Call) -> dict[str, Any]:
    given, made = _decoded(explorer, body.into, call), _one(explorer, body.query, call)
    found = explorer.locate(made.term(), given)
    return located_form(explorer.preset, found, [*made.notices, *given.notices])


def _separate(explorer: Explorer, body: Separate, call: Call) -> dict[str, Any]:
    sound, made = _decoded(explorer, body.sound, call), _one(explorer, body.query, call)
    if not isinstance(sound, Audio):
        raise QueryError("something else than a sound", "a sound", "send a sound to take apart")
    answer = explorer.separate(sound, made.term())
    found, rest = (_sound(samples, answer.rate) for samples in (answer.found, answer.rest))
    return separated_form(explorer.preset, answer, found, rest, [*made.notices, *sound.notices])


def _decoded(explorer: Explorer, thing: Thing, call: Call) -> Image | Audio | PointCloud:
    """Read what something is looked for in."""
    path: str | Path | None = call.path(thing)
    if thing.item is not None:
        path = explorer.gallery.path(explorer.gallery.item(thing.item))
    if path is None or thing.modality == "text":
        raise QueryError("a sentence to look into", "a picture, a sound or a shape", "send one of these")
    modality = thing.modality or media.modality_of(path)
    read = media.load(path, modality, **({"up": thing.up} if modality == "point" else {}))
    if not isinstance(read, (Image, Audio, PointCloud)):
        raise QueryError("words to look into", "a picture, a sound or a shape", "send one of these")
    return read


def _sound(samples: FloatArray, rate: int) -> str:
    """Give samples as a WAVE file of float32 in a data URI: whole numbers would cut peaks beyond full scale."""
    import soundfile

    written = io.BytesIO()
    soundfile.write(written, samples, rate, format="WAV", subtype="FLOAT")
    return "data:audio/wav;base64," + base64.b64encode(written.getvalue()).decode()


def _embeddings(explorer: Explorer, body: Embeddings, call: Call) -> dict[str, Any]:
    inputs = [body.input] if isinstance(body.input, str) else body.input
    if not 1 <= len(inputs) <= MAX_INPUTS:
        raise QueryError(f"{len(inputs)} inputs", f"1 to {MAX_INPUTS}", "send several calls")
    if body.dimensions not in {None, explorer.model.width}:
        raise QueryError(f"{body.dimensions} dimensions", f"{explorer.model.width}", "leave dimensions out")
    things = [Thing.model_validate({"data" if one[:5].lower() == "data:" else "text": one}) for one in inputs]
    vectors = [_one(explorer, thing, call).vector for thing in things]
    rows = [
        {
            "object": "embedding",
            "index": number,
            "embedding": base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()
            if body.encoding_format == "base64"
            else [float(x) for x in vector],
        }
        for number, vector in enumerate(vectors)
    ]
    # No tokens are billed here, and each tower cuts words in its own way: the field is there because clients read it.
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return {"object": "list", "data": rows, "model": explorer.preset, "usage": usage}


def _address(explorer: Explorer) -> Callable[[str], str]:
    base = explorer.gallery.folder.resolve()
    return lambda path: f"/v1/files/{Path(path).relative_to(base).as_posix()}"


def _gallery(app: FastAPI, gate: Gate, explorer: Callable[[], Explorer]) -> None:
    @app.get("/v1/items", summary="The gallery's items, in the catalogue's order")
    async def items(modality: str = "", offset: int = 0, limit: int = 100) -> Any:
        if modality not in {"", *MODALITIES} or offset < 0 or not 1 <= limit <= 1_000:
            raise QueryError("another page", f"modality {', '.join(MODALITIES)}; limit 1 to 1000", "correct it")
        gallery = (await gate.run(explorer)).gallery
        chosen = [item for item in gallery.items if modality in {"", item.modality}]
        return {"count": len(chosen), "items": [item_form(item) for item in chosen[offset : offset + limit]]}

    @app.get("/v1/items/{item_id:path}", summary="One item, with its credits and its file's address")
    async def item(item_id: str) -> Any:
        who = await gate.run(explorer)
        hit = who.hit(item_id)
        form = item_form(who.gallery.item(item_id))
        return {**form, **hit.details, "file": _address(who)(hit.file) if hit.file else None}

    @app.get("/v1/files/{name:path}", summary="An item's file", response_class=FileResponse)
    async def file(name: str) -> Any:
        gallery = (await gate.run(explorer)).gallery
        # Compared with names, and never opened by what was asked for.
        if name not in {one for item in gallery.items for one in (item.file, item.thumbnail) if one}:
            raise HTTPException(404)
        return FileResponse(gallery.folder / name, headers={"x-content-type-options": "nosniff"})

    @app.get("/v1/models", summary="The preset, in OpenAI's form")
    async def models() -> Any:
        row = {"id": (await gate.run(explorer)).preset, "object": "model", "created": 0, "owned_by": "omnibind"}
        return {"object": "list", "data": [row]}


def _health(app: FastAPI, gate: Gate, ready: Callable[[], bool]) -> None:
    @app.get("/healthz", summary="Whether the process answers")
    async def healthz() -> Any:
        return {"status": "alive"}

    @app.get("/readyz", summary="Whether queries are answered")
    async def readyz() -> Any:
        now = ready()
        return JSONResponse({"status": "ready" if now else "not ready"}, 200 if now else 503)

    @app.get("/metrics", summary="Counts, as Prometheus reads them", response_class=PlainTextResponse)
    async def metrics() -> Any:
        return PlainTextResponse(gate.metrics.text(ready()), media_type="text/plain; version=0.0.4")


def _guard(app: FastAPI, gate: Gate) -> None:
    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        start, headers = time.perf_counter(), request.headers
        response: Response
        try:
            if request.url.path not in _OPEN:
                gate.check(headers.get("host", ""), headers.get("authorization", ""), headers.get("x-api-key", ""))
            most = MAX_BODY if headers.get("content-type", "").startswith("multipart/") else MAX_JSON
            length = headers.get("content-length", "0" if request.method == "GET" else "")
            # A body of unstated length would be read before it could be refused; every usual client states it.
            if not (length.isascii() and length.isdigit()) or int(length[:18]) > most:
                response = _told(
                    QueryError("a body too large or without a length", f"up to {most:,} bytes", "cut it"), 413
                )
            else:
                response = await call_next(request)
        except OmniBindError as error:
            response = _told(error, 401)
        route = request.scope.get("route")
        gate.metrics.add(getattr(route, "path", "other"), response.status_code, time.perf_counter() - start)
        return response


def _errors(app: FastAPI) -> None:
    async def known(request: Request, error: Exception) -> Response:
        del request
        if not isinstance(error, OmniBindError):
            raise error
        return _told(
            error,
            503 if isinstance(error, (BusyError, ExhaustedError)) else 401 if isinstance(error, RefusedError) else 422,
        )

    async def form(request: Request, error: Exception) -> Response:
        del request, error
        return _told(QueryError("a call of another form", "the form on /v1/docs", "correct it"), 422)

    async def missing(request: Request, error: Exception) -> Response:
        del request
        status = getattr(error, "status_code", 404)
        return _told(QueryError("a call of nothing that is here", "what /v1/docs lists", "correct it"), status)

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("%s failed", request.url.path, exc_info=error)
        said = "Something unexpected went wrong; it has been noted in the log."
        return JSONResponse({"error": {"message": said, "type": "server_error"}}, 500)

    app.add_exception_handler(OmniBindError, known)
    app.add_exception_handler(RequestValidationError, form)
    app.add_exception_handler(HTTPException, missing)
    app.add_exception_handler(Exception, unexpected)


def _told(error: OmniBindError, status: int) -> JSONResponse:
    """Give the three parts, and beside them what OpenAI's clients read."""
    form = error_form(error)["error"]
    headers = {"retry-after": "1"} if status == 503 else {}
    return JSONResponse({"error": {**form, "message": str(error), "type": type(error).__name__}}, status, headers)
