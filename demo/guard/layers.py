"""What stands around gradio, three ASGI applications.

:class:`Door` says who may speak to us, :class:`NoFetching` what a request may hold, :class:`Quota` what uploads take.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from starlette.middleware import Middleware

from demo.guard.door import Door
from demo.guard.no_fetching import NoFetching
from demo.guard.quota import Quota
from demo.uploads import Uploads

__all__ = ["layers"]


def layers(
    *,
    hosts: Collection[str],
    uploads: Uploads,
    galleries: Sequence[Path],
    ready: Callable[[], tuple[bool, str]],
    retry: Callable[[], int],
) -> list[Middleware]:
    """Give all that stands around gradio, the outermost first, for ``app_kwargs`` of ``launch``.

    Parameters
    ----------
    hosts : collection of str
        From :func:`demo.guard.door.allowed_hosts`.
    uploads : Uploads
        Where visitors' files lie.
    galleries : sequence of Path
        Whose media are served.
    ready : callable
        Says whether queries are answered, and how far loading is.
    retry : callable
        Says after how many seconds whoever found no place may try again.
    """
    return [
        Middleware(Door, hosts=hosts, uploads=uploads, galleries=galleries, ready=ready, retry=retry),
        Middleware(NoFetching),
        Middleware(Quota, uploads=uploads),
    ]
