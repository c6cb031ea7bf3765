"""Collections embedded by a cluster: batches go to Ray's workers, which hold the model; this process joins them.

Ray Data maps the batches over a pool of actors, gives them back in order, and sends those of a lost worker or node to
another one. A batch has the items that it has in one process, so that it has the same vectors.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from omnibind_core.binding.files import fingerprint
from omnibind_core.errors import GalleryError, OmniBindError, needing
from omnibind_core.media import limits
from omnibind_core.search.collection import Embedded, Row, embed_batch, read_content, read_row
from omnibind_core.types import Modality

if TYPE_CHECKING:
    from omnibind_core.binder import OmniBind
    from omnibind_core.presets.preset import Preset

__all__ = ["RayEngine"]


class RayEngine:
    """A Ray cluster that embeds, one worker a card, or a core where there are no cards.

    Every machine of the cluster needs this package in the same version, its extra `ray`, and the files, and the
    collection's folder for items whose files are gone, under the same paths.

    Parameters
    ----------
    address : str
        "auto" joins the cluster that this machine belongs to, "local" starts one of this machine alone, for the
        moment; HOST:PORT, or ray://HOST:PORT. A Python program that joined a cluster before stays in it.
    preset : str, optional
        Name or path by which workers load the preset; its own name by default.
    **options
        Others of :meth:`omnibind_core.binder.OmniBind.from_pretrained`, for each worker; `dtype` is "float32" by
        default.

    Raises
    ------
    ExtraError
        Ray is not installed.
    GalleryError
        No cluster there; later, when batches come back: a worker that has another version of the preset, or does not
        see the files.

    Examples
    --------
    >>> with RayEngine("auto") as engine:  # doctest: +SKIP
    ...     add("holiday", ["/shared/holiday"], load_preset("lite"), engine=engine)
    """

    def __init__(self, address: str = "auto", *, preset: str | None = None, **options: Any) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster started here tells its makers nothing
        with needing("ray", "ray"):
            import ray
            import ray.data
        logging.getLogger("ray.data").setLevel(logging.ERROR)  # below, it tells of each step
        self._ray, self._name, self._options = ray, preset, {"dtype": "float32", **options}
        self._joined = not ray.is_initialized()
        if self._joined:
            try:
                ray.init(address, log_to_driver=False, logging_level=logging.WARNING)
            except ConnectionError as error:
                raise GalleryError(
                    f"the address '{address}': {error}", "that of a Ray cluster that runs",
                    "start one with `ray start --head`, set RAY_AUTH_MODE=token if it asks for a token, or say local",
                ) from error  # fmt: skip

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster, if this engine joined it."""
        if self._joined:
            self._ray.shutdown()

    def rows(
        self, folder: Path, preset: Preset, modality: Modality, rows: Sequence[Row]
    ) -> Callable[[Sequence[int]], Embedded]:
        """See :meth:`omnibind_core.search.collection.Engine.rows`."""
        expected = -1
        stream: Iterator[Embedded] = iter(())

        def embed(numbers: Sequence[int]) -> Embedded:
            nonlocal expected, stream
            if numbers[0] != expected:  # the first call tells what an earlier run left
                batches = [rows[i : i + len(numbers)] for i in range(numbers[0], len(rows), len(numbers))]
                stream = self._stream(folder, preset, modality, batches)
            expected = numbers[-1] + 1
            return next(stream)

        return embed

    def _stream(
        self, folder: Path, preset: Preset, modality: Modality, batches: Sequence[Sequence[Row]]
    ) -> Iterator[Embedded]:
        """Embed batches as fast as the cluster can; they come in order."""
        data = self._ray.data
        context = data.DataContext.get_current()
        context.enable_progress_bars = False  # the caller shows one
        context.execution_options.preserve_order = True
        resources = self._ray.cluster_resources()
        each = {"num_cpus": 1, "num_gpus": 1} if resources.get("GPU") else {"num_cpus": 1}
        workers = max(1, min(len(batches), int(resources.get("GPU") or resources.get("CPU", 1))))
        name = self._name or preset.name
        asked = data.from_items([{"rows": json.dumps(one)} for one in batches], override_num_blocks=len(batches))
        made = asked.map(
            Worker,
            fn_constructor_args=(name, self._options, fingerprint(preset), str(folder.absolute()), modality),
            compute=data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
            **each,
        )
        for one in made.iter_rows():
            if one["error"]:
                raise GalleryError(*json.loads(one["error"]))
            for row in json.loads(one["unseen"]):
                if read_content(row, folder) is not None:
                    raise GalleryError(
                        f"'{row['source']}', which the machine {one['host']} does not see as it is here",
                        "files that every machine of the cluster sees under the same path",
                        "put them into a shared folder, or add them without Ray",
                    )
            vectors = np.frombuffer(one["vectors"], np.float32).reshape(-1, preset.width)
            yield Embedded(vectors, one["thumbnails"], one["embedded"])


class Worker:
    """What lives in each of Ray's workers: the model, and what it makes of one batch after another."""

    def __init__(self, name: str, options: Mapping[str, Any], wanted: str, folder: str, modality: Modality) -> None:
        self._name, self._options, self._wanted = name, options, wanted
        self._folder, self._modality = Path(folder), modality

    @cached_property
    def _model(self) -> OmniBind:
        from omnibind_core.binder import OmniBind

        model = OmniBind.from_pretrained(self._name, modalities=[self._modality], **self._options)
        if fingerprint(model.preset) != self._wanted:
            raise GalleryError(
                f"'{self._name}' with the fingerprint {fingerprint(model.preset)} on {socket.gethostname()}",
                f"that of the machine that asks, {self._wanted}", "install the same version on all machines",
            )  # fmt: skip
        return model

    def __call__(self, batch: Mapping[str, str]) -> dict[str, Any]:
        """Embed a batch; errors of ours go back as they are, for Ray would wrap them."""
        made = {"vectors": b"", "thumbnails": [], "embedded": 0, "unseen": "[]", "host": socket.gethostname()}
        try:
            return {**made, **self._embedded(json.loads(batch["rows"])), "error": ""}
        except OmniBindError as error:
            return {**made, "error": json.dumps([error.given, error.allowed, error.action])}

    def _embedded(self, rows: Sequence[Row]) -> dict[str, Any]:
        if self._modality == "text":
            vectors, embedded = embed_batch(self._model, "text", [row["caption"] for row in rows])
            return {"vectors": vectors.tobytes(), "thumbnails": [b""] * len(rows), "embedded": embedded}
        with ThreadPoolExecutor(limits.WORKERS) as threads:  # each waits for a decoding process
            read = list(threads.map(lambda row: read_row(row, self._folder), rows))
        unread = [row for row, one in zip(rows, read, strict=True) if isinstance(one, str)]
        unseen = [row for row in unread if read_content(row, self._folder) is None]
        items = [None if isinstance(one, str) else one[0] for one in read]
        vectors, embedded = embed_batch(self._model, self._modality, items)
        return {
            "vectors": vectors.tobytes(), "embedded": embedded, "unseen": json.dumps(unseen),
            "thumbnails": [b"" if isinstance(one, str) else one[2] for one in read],
        }  # fmt: skip
