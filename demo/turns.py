"""Whose turn it is: visitors are served in turn, and files never keep a sentence waiting.

Gradio's queue serves whoever came first, so one visitor with many slow files would be the only one. This one gives a
place to each before anyone has two, keeps files apart from what needs no decoder, and tells all where they stand.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, cast

import gradio as gr
from gradio.queueing import Event, EventQueue, Queue
from gradio.server_messages import EventMessage, ProcessCompletedMessage

from demo.guard.asgi import address_of
from demo.settings import FILE_EVENTS, QUEUE, QUEUE_EACH
from demo.uploads import Uploads
from omnibind_core.errors import QueryError

__all__ = ["FILES", "Turns"]

FILES = "files"
"""Where queries with files wait, whatever they ask for."""

Visitor = tuple[str, str]
"""Address, and the visit: a page, or a program's client. Calls that name none count as one visitor each address."""


class Turns(Queue):  # type: ignore[misc]
    """Gradio's queue, with turns.

    Parameters
    ----------
    demo : Blocks
        Whose queue it becomes.
    uploads : Uploads
        That is told which visit uses which files.
    """

    def __init__(self, demo: gr.Blocks, uploads: Uploads) -> None:
        super().__init__(
            live_updates=True,
            concurrency_count=demo.max_threads,
            update_intervals=1,
            max_size=None,  # told below, in our words
            blocks=demo,
            default_concurrency_limit=4,
        )
        self.ANALYTICS_MAX_EVENTS = 1  # nobody looks at them
        self.uploads = uploads
        self._served: dict[Visitor, float] = {}  # when each was last given a place
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def compute_analytics_summary(self, records: Any) -> dict[str, Any]:
        """Give nothing: gradio would make a table of all earlier calls after each one."""
        del records
        return {"functions": {}}

    def retry_seconds(self) -> int:
        """Say after how many seconds there may be a place again: from how long answers took, and how many wait."""
        times = [one.avg_time for one in self.process_time_per_fn.values() if one.count]
        each = sum(times) / len(times) if times else 1.0
        return max(1, min(120, math.ceil(each * len(self) / (2 * FILE_EVENTS))))

    async def push(self, body: Any, request: Any, username: str | None) -> Any:
        """Take a query in, or say why not and when to try again."""
        self._loop = asyncio.get_running_loop()
        seconds = self.retry_seconds()
        if self._stopping.is_set():
            return False, str(_stopping()), "queue_full"
        if body.fn_index is not None and body.fn_index not in self.blocks.fns:
            wrong = QueryError("a function that is not here", "the endpoints of /gradio_api/info", "correct fn_index")
            return False, str(wrong), "error"
        visitor: Visitor = (address_of(request.scope), body.session_hash or "")
        waiting = Counter(_visitor(event) for event in self._waiting())
        mine = sum(count for (address, _), count in waiting.items() if address == visitor[0])
        again = f"try again in about {seconds} s"
        if visitor[1] and waiting[visitor] >= QUEUE_EACH:
            own = QueryError(f"{waiting[visitor]} requests of yours that wait", f"{QUEUE_EACH} at a time", again)
            return False, str(own), "queue_full"
        if waiting.total() >= QUEUE or mine >= QUEUE // 2:
            full = QueryError("one request more than may wait here", f"{QUEUE} at a time, of all visitors", again)
            return False, str(full), "queue_full"
        success, event_id, state = await super().push(body, request, username)
        event = self.event_ids_to_events.get(event_id) if success else None
        if event is not None and event.data is not None:
            files = list(_files(event.data.data))
            self.uploads.use(event.session_hash, files)
            if files:
                self._move(event, FILES)
            self.broadcast_estimations(event.concurrency_id)
        return success, event_id, state

    async def process_events(self, events: list[Event], *arguments: Any, **named: Any) -> None:
        """Answer queries; of calls that name no visit, the visit ends with the answer."""
        try:
            await super().process_events(events, *arguments, **named)
        finally:
            for event in events:
                if event.session_hash == event._id:
                    self.uploads.leave(event.session_hash)

    def _move(self, event: Event, name: str) -> None:
        """Let a query wait with others: as long as nothing is awaited, nobody else sees it between the two."""
        here = self.event_queue_per_concurrency_id[event.concurrency_id].queue
        if event in here:
            here.remove(event)
            event.concurrency_id = name
            there = self.event_queue_per_concurrency_id.setdefault(name, EventQueue(name, FILE_EVENTS))
            there.queue.append(event)

    def _waiting(self) -> Iterator[Event]:
        for one in self.event_queue_per_concurrency_id.values():
            yield from one.queue

    def _running(self, concurrency_id: str) -> list[Event]:
        jobs = [event for job in self.active_jobs if job is not None for event in job]
        return [event for event in jobs if event.concurrency_id == concurrency_id]

    def _sort(self, queue: EventQueue) -> None:
        """Put those who wait in the order in which they are served: addresses take turns, and visits within each."""
        running = self._running(queue.concurrency_id)
        visits = Counter(map(_visitor, running))
        rounds: dict[Event, int] = {}
        for event in sorted(queue.queue, key=lambda one: one.enqueue_time):
            rounds[event] = visits[_visitor(event)]
            visits[_visitor(event)] += 1

        def place(event: Event) -> tuple[int, float, float]:
            return rounds[event], self._served.get(_visitor(event), 0.0), event.enqueue_time

        addresses = Counter(_visitor(event)[0] for event in running)
        order: dict[Event, int] = {}
        for event in sorted(queue.queue, key=place):
            order[event] = addresses[_visitor(event)[0]]
            addresses[_visitor(event)[0]] += 1
        last: defaultdict[str, float] = defaultdict(float)
        for (address, _), when in self._served.items():
            last[address] = max(last[address], when)
        several = len({_visitor(event)[0] for event in queue.queue}) > 1
        queue.queue.sort(key=lambda one: (order[one], last[_visitor(one)[0]] if several else 0.0, *place(one)))

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """Take the next query out, in turn; of several places for files, none has them all."""
        names = list(self.event_queue_per_concurrency_id)
        random.shuffle(names)
        for name in names:
            queue = self.event_queue_per_concurrency_id[name]
            limit = queue.concurrency_limit
            if not queue.queue or (limit is not None and queue.current_concurrency >= limit):
                continue
            self._sort(queue)
            held = Counter(map(_visitor, self._running(name)))
            most = max(1, (limit or 1) - 1) if name == FILES else math.inf
            chosen = next((event for event in queue.queue if held[_visitor(event)] < most), None)
            if chosen is not None:
                queue.queue.remove(chosen)
                self._served.pop(_visitor(chosen), None)
                self._served[_visitor(chosen)] = time.monotonic()  # the latest stands last
                while len(self._served) > 2 * QUEUE:
                    del self._served[next(iter(self._served))]
                return [chosen], chosen.fn.batch, name
        return None

    def broadcast_estimations(self, concurrency_id: str, after: int | None = None) -> None:
        """Tell everyone who waits where he stands."""
        del after  # turns move those before a newcomer, too
        self._sort(self.event_queue_per_concurrency_id[concurrency_id])
        super().broadcast_estimations(concurrency_id)

    def send_message(self, event: Event, event_message: EventMessage) -> None:
        """Send what gradio has to say; an error that it would not explain gets our three parts."""
        if isinstance(event_message, ProcessCompletedMessage) and not event_message.success:
            output = event_message.output
            if isinstance(output, dict) and not output.get("error"):
                output["error"] = str(
                    QueryError("a call of another form", "the parameters of /gradio_api/info", "correct the call")
                )
        super().send_message(event, event_message)

    def is_busy(self) -> bool:
        """Whether anything waits or is computed."""
        return len(self) > 0 or self.get_active_worker_count() > 0

    def refuse(self) -> None:
        """Take nothing more in: whoever comes is told that the service stops."""
        self._stopping.set()

    def tell_all(self) -> None:
        """Tell everyone who still waits for an answer that none will come. From any thread."""
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._tell_all)

    def _tell_all(self) -> None:
        told: defaultdict[str, int] = defaultdict(int)
        for event in [*self._waiting(), *(event for job in self.active_jobs if job for event in job)]:
            told[event._id] += 1
            if told[event._id] == 1:
                error = cast(Any, {"error": str(_stopping()), "visible": True, "duration": 10.0, "title": "Error"})
                self.send_message(event, ProcessCompletedMessage(output=error, success=False))
                event.alive = False
        for one in self.event_queue_per_concurrency_id.values():
            one.queue.clear()


def _stopping() -> QueryError:
    return QueryError("a query while the service stops", "queries once it is back", "try again in about 30 s")


def _visitor(event: Event) -> Visitor:
    own = event.session_hash != event._id  # gradio names visits that name themselves
    return address_of(event.request.scope), event.session_hash if own else ""


def _files(data: object) -> Iterator[str]:
    """Paths of the files that a query brings, however deep."""
    queue = [data]
    while queue:
        node = queue.pop()
        if isinstance(node, dict):
            if isinstance(node.get("path"), str):
                yield node["path"]
            queue.extend(node.values())
        elif isinstance(node, (list, tuple)):
            queue.extend(node)
