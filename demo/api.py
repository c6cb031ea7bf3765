"""The endpoints for programs: files and sentences in, JSON out. Their docstrings are their documentation."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar

import gradio as gr
from gradio import FileData

from demo.guard.files import uploaded_path
from demo.html.pictures import file_address
from demo.service import Service
from demo.settings import MAX_TERMS, MODEL_EVENTS
from omnibind_core.errors import MediaError, OmniBindError, QueryError
from omnibind_core.media import Up
from omnibind_core.search.answers import Embedded, embedded_form, found_form, scores_form
from omnibind_core.search.compose import (
    DEFAULT_MATCH,
    DEFAULT_OPERATOR,
    OPERATORS,
    Match,
    Options,
    check_weight,
)
from omnibind_core.types import MODALITIES, Modality

__all__ = ["Api", "publish"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

if TYPE_CHECKING:
    Sense: TypeAlias = str
    Mixing: TypeAlias = str
else:  # what callers are told to choose from is what the registries hold
    Sense = Literal[("auto", *MODALITIES)]
    Mixing = Literal[tuple(OPERATORS)]
_DEFAULT = Options()


def told(endpoint: Callable[Concatenate[Api, P], R]) -> Callable[Concatenate[Api, P], R]:
    """Give callers the three parts of an error, and of anything unexpected only that it happened."""

    @functools.wraps(endpoint)
    def safe(api: Api, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return api._service.steady(lambda: endpoint(api, *args, **kwargs))
        except OmniBindError as error:
            raise gr.Error(str(error), print_exception=False) from None
        except Exception:
            log.exception("%s failed", endpoint.__name__)
            raise gr.Error(
                "Something unexpected went wrong; it has been noted in the log.", print_exception=False
            ) from None

    return safe


class Api:
    """The endpoints of one service.

    Parameters
    ----------
    service : Service
        That answers.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    @told
    def search(
        self,
        text: str = "",
        file: FileData | None = None,
        modality: Sense = "auto",
        k: int = _DEFAULT.k,
        match: Match = DEFAULT_MATCH,
        up: Up = "auto",
    ) -> dict[str, Any]:
        """Find what is near a file or a sentence, in all four modalities.

        Give `file` (an image, a sound, a mesh or a point cloud) or `text`. `modality` "auto" tells a file by its
        content. `k` answers come back for each modality (1 to 200); `match` says whether they are compared by their
        "media" alone or by "media+caption". `up` names the axis that points up in a shape's
        file ("x" to "-z"); "auto" guesses it where the file does not say.

        Answers {"preset", "hits": {modality: [{"id", "modality", "caption", "score", "z", "terms", "file"}]},
        "notices"}, best first. "file" is an address on this server, null for a sentence; "z" says by how many standard
        deviations the score stands out; "terms" is the cosine with each term of the query. "notices" says what was
        dropped, assumed or missing when the file was read; every answer has it.
        """
        made = self._one(text, file, modality, up)
        return self._search([made], [1.0], replace(_DEFAULT, k=k, match=match))

    @told
    def mix(
        self,
        terms: list[dict[str, Any]],
        k: int = _DEFAULT.k,
        match: Match = DEFAULT_MATCH,
        operator: Mixing = DEFAULT_OPERATOR,
    ) -> dict[str, Any]:
        """Find what answers several signed terms together.

        Each of the 1 to 8 `terms` is {"text": ...}, {"file": ...} or {"item": a gallery id}, with "weight" from -1
        to 1 (1 where it is left out; negative means less of this), and for shapes "up". `operator` is "sum",
        "slerp", "product" or "projection"; `k` and `match` are those of /search.

        Answers as /search does.
        """
        if not isinstance(terms, list) or not all(isinstance(term, dict) for term in terms) or len(terms) > MAX_TERMS:
            raise QueryError("terms of another form", f"a list of 1 to {MAX_TERMS} objects", "see the documentation")
        made, weights = [self._given(term) for term in terms], [check_weight(term.get("weight", 1.0)) for term in terms]
        options = replace(_DEFAULT, k=k, match=match, operator=operator)
        return self._search(made, weights, options, {str(term["item"]) for term in terms if term.get("item")})

    @told
    def embed(
        self, text: str = "", file: FileData | None = None, modality: Sense = "auto", up: Up = "auto"
    ) -> dict[str, Any]:
        """Give the vector of a file or a sentence in the shared space.

        Parameters are those of /search. Answers {"preset", "modality", "vector": unit vector as a list of numbers,
        "weights": {specialist: the router's weight}, "routed": whether a trained router weighed this modality,
        "timings": {stage: seconds}, "notices"}.
        """
        return {"preset": self._service.wait().preset, **embedded_form(self._one(text, file, modality, up))}

    @told
    def classify(
        self,
        labels: list[str],
        text: str = "",
        file: FileData | None = None,
        modality: Sense = "auto",
        up: Up = "auto",
    ) -> dict[str, Any]:
        """Say which of 1 to 200 `labels` fits a file or a sentence best.

        The other parameters are those of /search. Answers {"preset", "scores": [{"label", "probability", "cosine"}],
        "fits", "notices"}, best first; probabilities sum to 1. "fits" is false where perhaps none of the labels is
        right.
        """
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise QueryError("labels of another form", "a list of words or sentences", "see the documentation")
        made, explorer = self._one(text, file, modality, up), self._service.wait()
        scores = explorer.classify(made.vector, labels)
        return scores_form(explorer.preset, scores, explorer.fits(made.vector, made.modality, scores[0]), made.notices)

    def _search(
        self, made: Sequence[Embedded], weights: Sequence[float], options: Options, exclude: Collection[str] = ()
    ) -> dict[str, Any]:
        explorer = self._service.wait()
        terms = [one.term(weight) for one, weight in zip(made, weights, strict=True)]
        notices = [notice for one in made for notice in one.notices]
        return found_form(explorer.preset, explorer.search(terms, options, exclude=exclude), _address, notices)

    def _one(self, text: object, file: object, modality: str, up: str) -> Embedded:
        """Embed what a call brought."""
        if not isinstance(modality, str) or not isinstance(up, str):
            raise QueryError("a modality or an axis that is not a word", "one of the documented words", "correct it")
        if file and text:
            raise QueryError("a file and a sentence", "one of them", "leave one out, or use /mix")
        if not file:
            if modality not in {"auto", "text"}:
                raise QueryError(f"no file for modality '{modality}'", "a file, or text", "send a file")
            if not isinstance(text, str):
                raise MediaError(f"a {type(text).__name__} as a sentence", "a sentence", "send text")
            return self._service.read(text, "text", "y", {}, False)
        path = uploaded_path(file)
        kinds: dict[str, Modality | None] = {"auto": None, **{m: m for m in MODALITIES if m != "text"}}
        if modality not in kinds:
            raise QueryError(
                f"modality '{modality[:20]}' for a file", f"one of {', '.join(kinds)}", "choose one of these"
            )
        return self._service.read(path, kinds[modality], up, {}, False)

    def _given(self, term: dict[str, Any]) -> Embedded:
        """Embed what one term of a mix names."""
        if term.get("item"):
            return self._service.read_item(str(term["item"]))
        return self._one(
            term.get("text", ""), term.get("file"), str(term.get("modality", "auto")), str(term.get("up", "auto"))
        )


def _address(path: str) -> str:
    """Say where a file of the gallery is on this server."""
    return f"/{file_address(path)}"


def publish(service: Service) -> None:
    """Register the endpoints with the application that is being built."""
    api = Api(service)
    for endpoint in (api.search, api.mix, api.embed, api.classify):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_id="model", concurrency_limit=MODEL_EVENTS)
