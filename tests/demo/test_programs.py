"""Page and HTTP interface on one port: one answers people, the other programs, from one model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import gradio as gr
import httpx
import pytest

from demo.page import build_demo, launch
from demo.programs import interface
from demo.service import Service
from demo.settings import Settings

from .conftest import GALLERY, free_port

BARK = GALLERY / "sounds" / "dog-2.ogg"


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    before = service.settings

    async def start() -> tuple[gr.Blocks, str]:
        service.settings = replace(before, api="on")
        demo = build_demo(service)
        return demo, launch(demo, service, server_name="127.0.0.1", server_port=free_port())

    demo, local = asyncio.run(start())
    with httpx.Client(base_url=local, timeout=60) as made:
        yield made
    demo.close(verbose=False)
    service.settings = before


def test_programs_and_people_are_answered_on_one_port(client: httpx.Client, service: Service) -> None:
    found = client.post("/v1/search", files={"file": (BARK.name, BARK.read_bytes())}, data={"k": "3"}).json()
    explorer = service.wait()
    hits = explorer.search([explorer.embed(BARK).term()]).hits["image"][:3]
    assert [hit["id"] for hit in found["hits"]["image"]] == [hit.id for hit in hits]
    assert client.get(found["hits"]["image"][0]["file"]).headers["content-type"].startswith("image/")
    assert "OmniBind Explorer" in client.get("/").text
    assert "/search" in client.get("/gradio_api/info").json()["named_endpoints"]
    assert client.get("/readyz").json()["status"] == "ready"
    assert 'omnibind_calls_total{path="/v1/search",status="200"} 1' in client.get("/metrics").text


def test_each_keeps_its_own_rules(client: httpx.Client) -> None:
    assert client.get("/v1/nothing").json()["error"]["action"] == "correct it"
    address = {"query": {"text": "a dog"}, "into": {"data": "https://example.org/x.png"}}
    assert client.post("/v1/localise", json=address).status_code == 422  # no address is fetched
    assert client.post("/v1/search", headers={"host": "elsewhere.example"}, json={}).status_code == 401
    assert client.get("/", headers={"host": "elsewhere.example"}).status_code == 421
    assert client.get("/v1.").status_code == 404  # the page's


def test_where_others_can_call_there_must_be_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMNIBIND_API_KEYS", raising=False)
    with pytest.raises(SystemExit, match="set OMNIBIND_API_KEYS"):
        interface(Service(Settings(host="0.0.0.0", api="on")))
    monkeypatch.setenv("OMNIBIND_API_KEYS", "0123456789abcdef")
    assert interface(Service(Settings(host="0.0.0.0", api="on")))


def test_it_is_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("OMNIBIND_API", raising=False)
    assert Settings.read([]).api == "off"
    assert Settings.read(["--api"]).api == "on"
    monkeypatch.setenv("OMNIBIND_API", "on")
    assert Settings.read([]).api == "on"
    with pytest.raises(SystemExit):
        Settings.read(["--api", "maybe"])
    assert "--api 'maybe': on or off" in capsys.readouterr().err
