"""The real page under attack: nothing leaves it, nothing of a call is logged, and every refusal has three parts."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from demo.logs import Line
from demo.page import build_demo, launch
from demo.service import Service
from demo.uploads import Uploads

from .conftest import GALLERY, free_port

SECRET = "a sentence that belongs to its visitor"


@pytest.fixture(scope="module")
def live(service: Service, uploads: Path) -> Iterator[tuple[str, gr.Blocks]]:
    async def start() -> tuple[gr.Blocks, str]:
        demo = build_demo(service, Uploads(uploads))
        return demo, launch(demo, service, server_name="127.0.0.1", server_port=free_port())

    demo, address = asyncio.run(start())
    yield address, demo
    demo.close(verbose=False)


@pytest.fixture
def address(live: tuple[str, gr.Blocks]) -> str:
    return live[0]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every name that was looked up, and every connection to a listener of our own."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolver(host: Any, *arguments: Any, **named: Any) -> Any:
        if str(host) not in {"127.0.0.1", "localhost"}:
            asked.append(f"looked up {host}")
            host = "127.0.0.1"
        return real(host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                asked.append("connected")
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        asked.append(f"127.0.0.1:{listener.getsockname()[1]}")
        yield asked
        ended.set()
        thread.join()


def answers(address: str, name: str, data: list[Any]) -> str:
    """Call an endpoint by hand; what came back."""
    started = httpx.post(f"{address}gradio_api/call/{name}", json={"data": data})
    if started.status_code != 200:
        return started.text
    where = f"{address}gradio_api/call/{name}/{started.json()['event_id']}"
    with httpx.stream("GET", where, timeout=30) as stream:
        return "".join(stream.iter_text())


def test_no_request_ever_leaves(address: str, left: list[str]) -> None:
    here = left.pop()
    kinds = [
        {"content-type": "application/json"},
        {"content-type": "application/json; x=multipart/form-data"},
        {"content-type": "APPLICATION/JSON;charset=utf-8; y=multipart/form-data; boundary=z"},
        {"content-type": "multipart/form-data; boundary=application/json"},
        {"content-type": "text/plain"},
        [("content-type", "multipart/form-data; boundary=x"), ("content-type", "application/json")],
        [("content-type", "application/json"), ("content-type", "multipart/form-data; boundary=x")],
        {},
    ]
    meta = {"_type": "gradio.FileData"}
    for target in (f"http://{here}/x.png", f"http://example.org:{here.split(':')[1]}/x.png", "https://example.org/x"):
        file = {"path": target, "url": target, "meta": meta, "orig_name": "x.png"}
        bodies = {
            "call/embed": {"data": ["", file, "auto", "y"]},
            "call/mix": {"data": [[{"file": file}]]},
            "call/v2/embed": {"text": "", "file": file},
            "queue/join": {"data": ["", file, "auto", "y"], "fn_index": 0, "session_hash": "s"},
            "run/embed": {"data": ["", file, "auto", "y"]},
            "api/embed": {"data": ["", file, "auto", "y"]},
            "component_server": {"data": file, "component_id": 1, "session_hash": "s", "fn_name": "x"},
            "stream/x": {"data": [file]},
        }
        for headers in kinds:
            for path, body in bodies.items():
                answer = httpx.post(f"{address}gradio_api/{path}", content=json.dumps(body), headers=headers)
                assert 400 <= answer.status_code < 500, (path, headers, answer.text)
        for path in (f"file={target}", f"file/{target}", f"proxy={target}", f"file=%68ttp:{target[5:]}"):
            assert httpx.get(f"{address}gradio_api/{path}").status_code in {403, 404}
    threading.Event().wait(0.3)
    assert left == []


WRONG: list[tuple[str, list[Any], str]] = [
    ("search", ["a dog", None, {"a": 1}, 3, "media", "y"], "modality"),
    ("search", ["a dog", None, ["x"], 3, "media", "y"], "modality"),
    ("search", ["a dog", None, "auto", 3, "media", {"x": 1}], "axis"),
    ("search", ["a dog", None, "auto", 3, {"x": 1}, "y"], "match"),
    ("search", ["a dog", None, "auto", {"x": 1}, "media", "y"], "k ="),
    ("search", [{"a": SECRET}, None, "auto", 3, "media", "y"], "as a sentence"),
    ("mix", [[{"text": "a dog"}], 3, "media", {"a": 1}], "operator"),
    ("mix", [[{"text": "a dog", "weight": {"a": 1}}], 3, "media", "sum"], "weight"),
    ("mix", [[{"text": "a dog", "modality": {"a": 1}}], 3, "media", "sum"], "modality"),
    ("mix", [[{"text": "a dog"}, {"text": "a dog", "weight": -1}], 3, "media", "product"], "cancel"),
    ("classify", ["dog", "a dog", None, "auto", "y"], "labels"),
    ("classify", [[{"a": 1}], "a dog", None, "auto", "y"], "labels"),
    ("search", ["a dog"], "another form"),
    ("search", [SECRET, SECRET], "another form"),
    ("search", ["", {"path": "x" * 5_000, "meta": {"_type": "gradio.FileData"}}, "auto", 3, "media", "y"], "form"),
]


@pytest.mark.parametrize(("name", "data", "says"), WRONG, ids=range(len(WRONG)))
def test_what_has_a_wrong_form_is_told_in_three_parts(address: str, name: str, data: list[Any], says: str) -> None:
    answer = answers(address, name, data)
    assert says in answer and "What to do" in answer
    assert len(answer) < 2_000


def test_what_is_not_here_is_told_in_three_parts(address: str) -> None:
    for path, body, status in [
        ("call/nothing", {"data": []}, 404),
        ("call/v2/nothing", {}, 404),
        ("queue/join", {"data": [], "fn_index": 9_999, "session_hash": "s"}, 400),
        ("queue/join", {"data": [], "fn_index": -1, "session_hash": "s"}, 400),
        ("queue/join", {"data": SECRET, "fn_index": 0, "session_hash": "s"}, 422),
        ("queue/join", {"data": [], "fn_index": SECRET, "session_hash": "s"}, 422),
        ("call/v2/search", {"strange": SECRET}, 422),
        ("run/search", {"data": ["a"]}, 404),
    ]:
        answer = httpx.post(f"{address}gradio_api/{path}", json=body)
        assert answer.status_code == status, (path, answer.text)
        assert SECRET not in answer.text
        assert path.startswith("run") or "What to do" in answer.text


def test_nothing_that_a_visitor_sent_is_logged_or_printed(
    address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for data in (
        [SECRET],
        [SECRET, SECRET],
        [{"x": SECRET}, None, "auto", 3, "media", "y"],
        [SECRET * 10_000, None, 3],
    ):
        answers(address, "search", data)
    answers(address, "classify", [[SECRET], SECRET, {"path": SECRET}, SECRET, SECRET])
    httpx.post(f"{address}gradio_api/queue/join", json={"data": SECRET, "session_hash": SECRET})
    httpx.post(f"{address}gradio_api/call/{SECRET}", json={"data": [SECRET]})
    lines = [Line().format(record) for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines, "a call that failed is noted"
    printed = capfd.readouterr()
    for text in (*lines, printed.out, printed.err):
        assert SECRET not in text and "Traceback" not in text
        assert len(text) < 5_000


def test_the_page_says_nothing_of_where_it_is_installed(address: str) -> None:
    root = str(GALLERY.parents[1])
    for path in ("config", "", "gradio_api/info", "gradio_api/openapi.json"):
        assert root not in httpx.get(f"{address}{path}").text
    assert root not in answers(address, "search", ["a dog", None, "auto", 3, "media", "y"])


def test_catalogue_and_vectors_are_not_served(address: str) -> None:
    for name in ("catalogue.json", "vectors-mini.safetensors"):
        for where in (f"gradio_api/file={GALLERY / name}", f"gallery/{name}", f"gallery/images/..%2f{name}"):
            assert httpx.get(f"{address}{where}").status_code in {403, 404}


def test_strangers_names_are_refused(address: str) -> None:
    assert httpx.get(address, headers={"host": "evil.example"}).status_code == 421
    assert httpx.get(address).status_code == 200
    assert httpx.get(f"{address}readyz").json()["status"] == "ready"
