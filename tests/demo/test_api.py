"""The contract that programs rely on: through gradio_client, and with requests made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import gradio as gr
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demo.api import Api
from demo.page import build_demo, launch
from demo.service import Service
from omnibind_core.search.compose import MATCHES, OPERATORS
from omnibind_core.types import MODALITIES

from .conftest import GALLERY, example, free_port

PUBLIC = {"/search", "/mix", "/embed", "/classify"}


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    async def start() -> tuple[gr.Blocks, str]:
        demo = build_demo(service)
        return demo, launch(demo, service, server_name="127.0.0.1", server_port=free_port())

    demo, local = asyncio.run(start())  # where no loop runs, gradio makes a few and never closes them
    yield local
    demo.close(verbose=False)


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address, verbose=False)


def picture() -> str:
    return str(GALLERY / str(example("image").file))


def hits_are_right(answer: dict[str, Any], k: int) -> None:
    assert set(answer) == {"preset", "hits", "far", "notices"}
    assert set(answer["hits"]) == set(MODALITIES)
    for modality, hits in answer["hits"].items():
        assert len(hits) == k
        scores = [hit["score"] for hit in hits]
        assert scores == sorted(scores, reverse=True)
        for hit in hits:
            assert set(hit) == {"id", "modality", "caption", "score", "z", "share", "terms", "file", "like"}
            assert (hit["file"] is None) == (modality == "text")


def test_exactly_the_public_endpoints_are_listed_and_documented(client: Client) -> None:
    listed = client.view_api(return_format="dict", print_info=False)
    assert set(listed["named_endpoints"]) == PUBLIC
    assert not listed["unnamed_endpoints"]
    for name, endpoint in listed["named_endpoints"].items():
        assert len(endpoint["description"]) > 40, f"{name} has no documentation"
        method = getattr(Api, name[1:])
        for parameter in endpoint["parameters"]:
            assert parameter["parameter_name"] in method.__doc__ or name in {"/embed", "/classify"}


def test_what_callers_may_choose_is_what_the_registries_hold() -> None:
    hints = get_type_hints(Api.mix)
    assert get_args(hints["operator"]) == tuple(OPERATORS)
    assert get_args(hints["match"]) == MATCHES
    assert all(f'"{name}"' in str(Api.mix.__doc__) for name in OPERATORS)
    assert set(get_args(get_type_hints(Api.search)["modality"])) == {"auto", *MODALITIES}


def test_search_by_text_and_by_file(client: Client) -> None:
    hits_are_right(client.predict(text="a dog barks", k=3, api_name="/search"), 3)
    answer = client.predict(file=handle_file(picture()), k=2, match="media", api_name="/search")
    hits_are_right(answer, 2)
    assert example("image").id not in [hit["id"] for hit in answer["hits"]["image"]]


def test_a_hit_can_be_downloaded(client: Client, address: str) -> None:
    answer = client.predict(text="a piano", k=1, api_name="/search")
    got = httpx.get(address.rstrip("/") + answer["hits"]["audio"][0]["file"])
    assert got.status_code == 200
    assert len(got.content) > 1000


def test_mix(client: Client) -> None:
    terms = [
        {"file": handle_file(picture()), "weight": 1.0},
        {"text": "the sea", "weight": 0.6},
        {"item": example("audio").id, "weight": -0.5},
    ]
    answer = client.predict(terms=terms, k=2, operator="sum", api_name="/mix")
    hits_are_right(answer, 2)
    assert all(len(hit["terms"]) == 3 for hits in answer["hits"].values() for hit in hits)


def test_embed(client: Client, service: Service) -> None:
    for item in (example(m) for m in MODALITIES):
        given = {"file": handle_file(str(GALLERY / item.file))} if item.file else {"text": item.caption}
        answer = client.predict(**given, api_name="/embed")
        assert answer["modality"] == item.modality
        vector = np.array(answer["vector"])
        assert vector.shape == (service.wait().model.width,)
        assert abs(np.linalg.norm(vector) - 1) < 1e-3
        assert abs(sum(answer["weights"].values()) - 1) < 1e-3


def test_classify(client: Client) -> None:
    answer = client.predict(labels=["dog", "violin"], text="a puppy", api_name="/classify")
    assert [one["label"] for one in answer["scores"]] == ["dog", "violin"]
    assert abs(sum(one["probability"] for one in answer["scores"]) - 1) < 1e-6


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"text": "", "api_name": "/search"}, "empty sentence"),
        ({"text": "a", "k": 0, "api_name": "/search"}, "from 1 to"),
        ({"text": "a", "match": "x", "api_name": "/search"}, "match"),
        ({"terms": [], "api_name": "/mix"}, "at least one term"),
        ({"terms": [{"text": "a", "weight": 3}], "api_name": "/mix"}, "from -1 to 1"),
        ({"terms": [{"text": "a"}] * 9, "api_name": "/mix"}, "1 to 8"),
        ({"terms": [{"item": "image/nothing"}], "api_name": "/mix"}, "image/nothing"),
        ({"labels": [], "text": "a", "api_name": "/classify"}, "labels"),
        ({"text": "a", "modality": "smell", "api_name": "/embed"}, "smell"),
    ],
)
def test_errors_say_what_to_do(client: Client, call: dict[str, Any], says: str) -> None:
    with pytest.raises(AppError, match=says) as caught:
        client.predict(**call)
    assert "What to do" in str(caught.value)


def post(address: str, name: str, data: list[Any]) -> tuple[int, str]:
    """Call an endpoint by hand; gives the status of the request, and what came back."""
    started = httpx.post(f"{address}gradio_api/call/{name}", json={"data": data})
    if started.status_code != 200:
        return started.status_code, started.text
    with httpx.stream("GET", f"{address}gradio_api/call/{name}/{started.json()['event_id']}", timeout=30) as stream:
        return 200, "".join(stream.iter_text())


def test_nobody_reads_the_servers_files(address: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(Path(picture()).read_bytes())
    meta = {"_type": "gradio.FileData"}
    for path in (str(secret), "/etc/passwd", str(Path(__file__)), picture()):
        for file in ({"path": path, "meta": meta}, {"path": path}, path):
            _, answer = post(address, "embed", ["", file, "auto", "y"])
            assert "vector" not in answer
            assert "root:" not in answer


def test_nobody_makes_the_server_fetch(address: str) -> None:
    for url in ("http://127.0.0.1:9/x.png", "https://example.org/x.png"):
        file = {"path": url, "url": url, "meta": {"_type": "gradio.FileData"}}
        assert post(address, "embed", ["", file, "auto", "y"])[0] == 403
        assert httpx.get(f"{address}gradio_api/file={url}").status_code == 403


def test_only_the_gallery_is_served(address: str) -> None:
    media = f"{address}gradio_api/file={picture()}"
    assert httpx.get(media).status_code == 200
    for path in (
        "/etc/passwd",
        str(Path(__file__)),
        f"{GALLERY}/../examples.json",
        str(GALLERY.parent / "examples.json"),
    ):
        assert httpx.get(f"{address}gradio_api/file={path}").status_code in {403, 404}


def test_all_other_events_are_private(address: str) -> None:
    config = httpx.get(f"{address}config").json()
    visible = {f"/{one['api_name']}" for one in config["dependencies"] if one["api_visibility"] != "private"}
    assert visible == PUBLIC


def test_the_page_asks_nobody_else_for_styles(address: str) -> None:
    page = httpx.get(address).text
    assert "<style>" in page
    assert not httpx.get(f"{address}config").json()["stylesheets"]
