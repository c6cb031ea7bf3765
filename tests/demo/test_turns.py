"""Visitors are served in turn, files keep no sentence waiting, and whoever finds no place is told when to come back."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from demo.guard.door import allowed_hosts
from demo.guard.layers import layers
from demo.page import stop
from demo.settings import FILE_EVENTS, MODEL_EVENTS, QUEUE_EACH
from demo.turns import Turns
from demo.uploads import Uploads

from .conftest import free_port

Ask = Callable[..., "Future[list[dict[str, Any]]]"]


class Place:
    """A page whose queries with files end when they are told to."""

    def __init__(self, folder: Path) -> None:
        self.uploads = Uploads(folder)
        self.go = threading.Event()
        self.served: list[str] = []
        self.at_once = self.most = 0
        with gr.Blocks() as demo:
            gr.api(self.search, api_name="search", concurrency_id="model", concurrency_limit=MODEL_EVENTS)
        demo.queue(api_open=False)
        demo._queue = self.turns = Turns(demo, self.uploads)
        self.demo = demo

    def search(self, text: str = "", file: dict[str, Any] | None = None) -> str:
        self.served.append(text)
        if file:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            self.go.wait(20)
            self.at_once -= 1
        return text


@pytest.fixture
def place(uploads: Path) -> Iterator[Place]:
    async def start() -> Place:
        made = Place(uploads)
        around = layers(
            hosts=allowed_hosts("127.0.0.1"),
            uploads=made.uploads,
            galleries=[uploads],
            ready=lambda: (True, "ready"),
            retry=made.turns.retry_seconds,
        )
        made.demo.launch(
            server_name="127.0.0.1",
            server_port=free_port(),
            prevent_thread_lock=True,
            quiet=True,
            app_kwargs={"middleware": around},
        )
        return made

    made = asyncio.run(start())
    yield made
    made.go.set()
    made.demo.close(verbose=False)


@pytest.fixture
def ask(place: Place) -> Iterator[Ask]:
    """Ask as a visitor; gives all that the page is sent until the answer, or the refusal."""
    base = place.demo.local_url

    def one(visitor: str, text: str, with_file: bool) -> list[dict[str, Any]]:
        file = {"path": "x.png", "orig_name": "x.png"} if with_file else None
        body = {"data": [text, file], "fn_index": 0, "session_hash": visitor}
        joined = httpx.post(f"{base}gradio_api/queue/join", json=body, timeout=30)
        if joined.status_code != 200:
            return [{"status": joined.status_code, **joined.json(), "retry": joined.headers.get("retry-after")}]
        mine = joined.json()["event_id"]
        found = []
        with httpx.stream("GET", f"{base}gradio_api/queue/data?session_hash={visitor}", timeout=10) as stream:
            for line in stream.iter_lines():
                message = json.loads(line[6:]) if line.startswith("data: ") else {}
                if message.get("event_id") == mine:
                    found.append(message)
                if message.get("msg") == "process_completed" and message["event_id"] == mine:
                    break
        return found

    with ThreadPoolExecutor(64) as threads:
        yield lambda visitor, text, with_file=False: threads.submit(one, visitor, text, with_file)
        place.go.set()


def until(met: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def waiting(place: Place) -> int:
    return len(place.turns)


def fill(place: Place, visitor: str, count: int) -> None:
    """Let a visitor send many files, and wait for no answer."""
    for number in range(count):
        data = [f"{visitor}{number}", {"path": "x.png", "orig_name": "x.png"}]
        body = {"data": data, "fn_index": 0, "session_hash": visitor}
        answer = httpx.post(f"{place.demo.local_url}gradio_api/queue/join", json=body)
        assert answer.status_code == 200, answer.text


def test_a_sentence_is_answered_at_once_while_one_visitor_floods_with_slow_files(place: Place, ask: Ask) -> None:
    fill(place, "flood", 6)
    start = time.monotonic()
    for number in range(5):
        assert ask(f"v{number}", "a dog").result(5)[-1]["output"]["data"] == ["a dog"]
    assert time.monotonic() - start < 5 * 1.0
    assert place.served.count("a dog") == 5


def test_of_the_places_for_files_no_visitor_has_them_all(place: Place, ask: Ask) -> None:
    fill(place, "flood", 4)
    time.sleep(0.5)
    assert place.at_once == FILE_EVENTS - 1
    fill(place, "other", 1)
    until(lambda: "other0" in place.served)
    assert place.at_once == FILE_EVENTS
    fill(place, "third", 1)
    time.sleep(0.3)
    assert place.most == FILE_EVENTS, "and together they never have more places than there are"


def test_visitors_take_turns(place: Place, ask: Ask) -> None:
    fill(place, "a", 4)
    until(lambda: place.served)
    fill(place, "b", 3)
    until(lambda: len(place.served) == 2)
    fill(place, "c", 1)
    until(lambda: waiting(place) == 6)
    place.go.set()
    until(lambda: len(place.served) == 8)
    order = [one for one in place.served if one not in {"a0", "b0"}]
    assert "c0" in order[:2], "who has had no place yet comes before those who had one"
    rest = [one[0] for one in order if one != "c0"]
    assert set(rest[:2]) == {"a", "b"} or set(rest[1:3]) == {"a", "b"}, "and then in turn"


def test_whoever_waits_is_told_where_he_stands(place: Place, ask: Ask) -> None:
    fill(place, "a", 3)
    until(lambda: place.served)
    late = ask("b", "b0", with_file=True)
    until(lambda: len(place.served) == 2)
    later = ask("c", "c0", with_file=True)
    until(lambda: waiting(place) == 3)
    place.go.set()
    told = [message["rank"] for message in later.result(10) if message["msg"] == "estimation"]
    assert told and told[0] == 0, "b has the second place, and c comes before the second file of a"
    assert late.result(10)[-1]["success"]


def test_too_many_are_refused_in_three_parts_that_say_when_to_come_back(place: Place, ask: Ask) -> None:
    fill(place, "a", 1)
    until(lambda: place.served)
    fill(place, "a", QUEUE_EACH)
    refused = ask("a", "one more", with_file=True).result(5)[0]
    assert refused["status"] == 503
    assert "Given: 8 requests of yours" in refused["detail"] and "try again in about" in refused["detail"]
    assert 1 <= int(refused["retry"]) <= 120
    place.go.set()
    assert ask("b", "b0").result(10)[-1]["success"], "others still find a place"


def test_what_no_function_has_is_refused(place: Place) -> None:
    body = {"data": [], "fn_index": 77, "session_hash": "s"}
    answer = httpx.post(f"{place.demo.local_url}gradio_api/queue/join", json=body)
    assert answer.status_code == 400 and "What to do" in answer.text


def test_a_stop_answers_what_it_can_and_tells_the_others_so(place: Place, ask: Ask) -> None:
    fill(place, "a", 1)
    until(lambda: len(place.served) == 1)
    running = ask("b", "b0", with_file=True)
    until(lambda: len(place.served) == 2)
    hopeless = ask("c", "c0", with_file=True)
    until(lambda: waiting(place) == 1)
    start = time.monotonic()
    stopping = threading.Thread(target=stop, args=(place.demo, 2.0))
    stopping.start()
    until(lambda: place.turns._stopping.is_set())
    assert "while the service stops" in str(ask("d", "d0").result(5))
    for one in (running, hopeless):
        last = one.result(5)[-1]
        assert not last["success"] and "What to do: try again" in last["output"]["error"]
    stopping.join(10)
    assert time.monotonic() - start < 5
