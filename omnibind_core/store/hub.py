"""A file of the Hub -> the same file in the Hub library's cache, going on where an interrupted fetch stopped.

The pinned Hub library writes to a name that no other process knows, so that ten gigabytes begin anew after a kill, and
it leaves them behind. Here the part that has come lies under one name beside a note of what it is part of. All else is
the library's: addresses, headers, token, client, locks, and the layout of its cache, in which other programs find the
file.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omnibind_core.errors import WeightsError
from omnibind_core.store.checked import Digest, mismatch, remember
from omnibind_core.store.hub_errors import HubUnreachableError, Patience, not_a_hub, wrong_length
from omnibind_core.store.pace import Pace, size_words
from omnibind_core.store.paths import cache_directory, replace_file
from omnibind_core.store.sources import HubFile, Progress

__all__ = ["HubUnreachableError", "Known", "ask", "bytes_waiting", "digest_of", "fetch", "find", "read_range"]

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

_T = TypeVar("_T")

PATIENCE = 30.0
"""Seconds without a byte after which a server counts as hanging."""

_SAY = 0.2  # seconds between two reports
_LOG = 30.0  # seconds between two lines in the log
_LOOK = 1.0  # seconds between two looks at a fetch of another process
_SAFE = re.compile(r"[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}")


@dataclass(frozen=True)
class Known:
    """What the Hub says of a file.

    Attributes
    ----------
    commit : str
        To which the revision leads.
    etag : str
        Name of the content: the sha256 of large files (LFS and Xet), git's name of small ones.
    size : int or None
        Bytes.
    """

    commit: str
    etag: str
    size: int | None

    @property
    def digest(self) -> Digest | None:
        """What the content hashes to, where `etag` is of either form."""
        return _digest(self.etag)


def _digest(etag: str) -> Digest | None:
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        return Digest("sha256", etag)
    return Digest("git", etag) if re.fullmatch(r"[0-9a-f]{40}", etag) else None


def find(source: HubFile) -> Path | None:
    """Give the path of a file that is in the cache, asking nobody."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.repo, source.filename, cache_dir=_cache(), revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def digest_of(source: HubFile, path: Path) -> Digest | None:
    """Tell what a cached file must hash to: as stated, else as its blob is named."""
    return Digest("sha256", source.sha256) if source.sha256 else _digest(path.resolve().name)


def bytes_waiting(source: HubFile) -> int:
    """Bytes of a file that an interrupted fetch has left."""
    part = _part(source)
    return part.stat().st_size if part.is_file() else 0


def ask(source: HubFile) -> Known:
    """Ask the Hub for a file's size, content and commit, by HEAD.

    Raises
    ------
    HubUnreachableError
        Nothing answers, or not for `PATIENCE` seconds twice.
    WeightsError
        What the Hub answered instead, and what can be done about it.
    """
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers

    url, end = _address(source, source.revision), _endpoint()
    try:
        found = _patiently(
            source, lambda: get_hf_file_metadata(url, timeout=PATIENCE, endpoint=end, headers=build_hf_headers())
        )
    except OfflineModeIsEnabled as error:
        raise WeightsError(
            f"{source.label}, asked for while HF_HUB_OFFLINE is set",
            "a network that may be used",
            "unset HF_HUB_OFFLINE",
        ) from error
    if not all(_SAFE.fullmatch(name or "") for name in (found.commit_hash, found.etag)):
        raise not_a_hub(source, found.location)
    return Known(str(found.commit_hash), str(found.etag), found.size)


def fetch(source: HubFile, report: Progress) -> Path:
    """Fetch a file into the cache, or what is missing of it, and hold it to its hash.

    Two processes do not fetch one file at once: the second waits for the first.

    Parameters
    ----------
    source : HubFile
        Which.
    report : callable
        Called with (label with bytes, rate and time left; share done in 0..1).

    Returns
    -------
    Path
        In the Hub library's cache: a link to the blob, where the system has links.

    Raises
    ------
    WeightsError
        It cannot be had, or is not what it should be; says why, and what to do.
    """
    report(source.label, 0.0)
    known = ask(source)
    _agree(source, known)
    folder = _folder(source)
    blob, pointer, part = folder / "blobs" / known.etag, folder / "snapshots" / known.commit, _part(source)
    pointer = pointer.joinpath(*source.filename.split("/"))
    try:
        for path in (blob, pointer):
            path.parent.mkdir(parents=True, exist_ok=True)
        if known.commit != source.revision:
            refs = folder / "refs" / source.revision
            refs.parent.mkdir(parents=True, exist_ok=True)
            replace_file(refs, known.commit.encode())
        with _alone(source, known, report):
            if not blob.exists():
                _clear_orphans(blob)
                _download(source, known, part, report)
                part.replace(blob)
                for left in part.parent.glob(f"{part.stem}*"):  # the note, and one that a kill left half written
                    left.unlink(missing_ok=True)
                if known.digest:
                    remember(blob, known.digest)
            _link(blob, pointer)
    except OSError as error:
        raise _no_place(source, error, known, part) from error
    return pointer


def read_range(source: HubFile, known: Known, start: int, end: int) -> bytes:
    """Read bytes `start` to `end` (not included) of a file on the Hub, storing nothing.

    Raises
    ------
    WeightsError
        As for :func:`ask`; or the server gives no ranges.
    """

    def read() -> bytes:
        with _get(source, known, f"bytes={start}-{end - 1}") as response:
            if response.status_code != 206:
                raise WeightsError(
                    f"no ranges of {source.label}: its server sends all of it",
                    "a server that gives ranges",
                    "fetch the file instead",
                )
            return response.read()

    return _patiently(source, read)


def _patiently(source: HubFile, call: Callable[[], _T]) -> _T:
    """Call until it does not fail, or no other try is worth it."""
    from httpx2 import HTTPError

    patience = Patience(source, PATIENCE)
    while True:
        try:
            result = call()
            break
        except HTTPError as error:
            patience.again(error, moved=False)
    return result


def _agree(source: HubFile, known: Known) -> None:
    """Refuse before the first byte what would be refused after the last."""
    if source.sha256 and known.digest and known.digest.kind == "sha256" and known.digest.value != source.sha256:
        raise WeightsError(
            f"{source.label}, which the Hub has with sha256 {known.digest.value}",
            f"sha256 {source.sha256}",
            "do not use it: the publisher's file has changed, or a mirror (HF_ENDPOINT) has another one",
        )
    if source.size is not None and known.size is not None and known.size != source.size:
        raise wrong_length(source, known.size, source.size)


def _download(source: HubFile, known: Known, part: Path, report: Progress) -> None:
    """Append to `part` what is missing of it."""
    from httpx2 import HTTPError

    if not _is_part_of(part, known):
        part.unlink(missing_ok=True)
        replace_file(_note(part), json.dumps({"file": source.label, "etag": known.etag, "size": known.size}).encode())
    patience = Patience(source, PATIENCE)
    digest = known.digest if known.size is not None else None
    with part.open("ab", buffering=0) as out:
        have = out.tell()
        if known.size is not None and (free := shutil.disk_usage(part.parent).free) < known.size - have:
            raise OSError(errno.ENOSPC, f"{free} bytes free")
        hashed = digest.begin(known.size or 0) if digest else None
        if hashed and have:
            with part.open("rb") as stream:
                while block := stream.read(1 << 20):
                    hashed.update(block)
        if have:
            log.info("%s: going on at %s", source.label, size_words(have, known.size))
        tell = _Teller(source.label, known.size, have, report)
        while known.size is None or have < known.size:
            before = have
            try:
                with _get(source, known, f"bytes={have}-" if have else None) as response:
                    if have and response.status_code == 200:  # it does not know ranges: from the start, then
                        out.truncate(0)
                        have, hashed = 0, digest.begin(known.size or 0) if digest else None
                    _hold_to_length(source, known, response, have)
                    for chunk in response.iter_raw():
                        rest = memoryview(chunk)
                        while rest:
                            rest = rest[out.write(rest) :]
                        have += len(chunk)
                        if hashed:
                            hashed.update(chunk)
                        tell(have)
                if known.size is None:
                    break
                if have != known.size:
                    raise wrong_length(source, have, known.size)
            except HTTPError as error:
                patience.again(error, moved=have > before)
            except WeightsError:
                if known.size is not None and have > known.size:
                    part.unlink()
                raise
    if digest and hashed and hashed.hexdigest() != digest.value:
        part.unlink()
        raise mismatch(source.label, digest, hashed.hexdigest())


class _Teller:
    """Reports and logs how far one file is, not more often than people read."""

    def __init__(self, label: str, size: int | None, have: int, report: Progress) -> None:
        self._label, self._size, self._report = label, size, report
        self._pace = Pace(size, have)
        self._said = self._logged = time.monotonic()

    def __call__(self, have: int) -> None:
        now = time.monotonic()
        if now - self._said < _SAY:
            return
        self._said, words = now, self._pace.words(have)
        self._report(f"{self._label}: {words}", 0.999 * have / self._size if self._size else 0.0)
        if now - self._logged >= _LOG:
            self._logged = now
            log.info("%s: %s", self._label, words)


@contextlib.contextmanager
def _get(source: HubFile, known: Known, wanted: str | None) -> Iterator[httpx2.Response]:
    """Ask the Hub for a file's bytes: it sends on to where they lie, by an address that is good for some minutes."""
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    headers = {**build_hf_headers(), "Accept-Encoding": "identity", **({"Range": wanted} if wanted else {})}
    with get_session().stream("GET", _address(source, known.commit), headers=headers, timeout=PATIENCE) as response:
        hf_raise_for_status(response)
        yield response


def _hold_to_length(source: HubFile, known: Known, response: httpx2.Response, have: int) -> None:
    """See that what is about to come is what is missing."""
    said = response.headers.get("Content-Range", "")
    if match := re.fullmatch(r"bytes (\d+)-\d+/(\d+)", said):
        start, length = int(match[1]), match[2]
    else:
        start, length = 0, response.headers.get("Content-Length", "")
    whole = int(length) if length.isdigit() else None
    page = response.headers.get("Content-Type", "").startswith("text/html") and not source.filename.endswith(".html")
    differs = known.size is not None and whole is not None and whole != known.size
    if page and (differs or whole is None):
        raise not_a_hub(source, str(response.url))
    if differs and whole is not None and known.size is not None:
        raise wrong_length(source, whole, known.size)
    if start != have:
        raise WeightsError(
            f"{source.label} from byte {start} on", f"from byte {have} on, as asked", "check the proxy or HF_ENDPOINT"
        )


def _is_part_of(part: Path, known: Known) -> bool:
    try:
        note: Any = json.loads(_note(part).read_bytes())
        size = part.stat().st_size
    except (OSError, ValueError):  # none, or a note that is not ours
        return False
    same = isinstance(note, dict) and note.get("etag") == known.etag and note.get("size") == known.size
    # Without a size there is no telling whether all is here.
    return same and known.size is not None and size <= known.size


@contextlib.contextmanager
def _alone(source: HubFile, known: Known, report: Progress) -> Iterator[None]:
    """Hold the lock under which the Hub library itself fetches that content; wait for whoever holds it."""
    from filelock import Timeout
    from huggingface_hub.utils import WeakFileLock

    path = _cache() / ".locks" / _folder(source).name / f"{known.etag}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(WeakFileLock(path, timeout=_LOOK))
                break
            except Timeout:
                have = bytes_waiting(source)
                words = f"another process is fetching it, {size_words(have, known.size)}"
                report(f"{source.label}: {words}", 0.999 * have / known.size if known.size else 0.0)
        yield


def _clear_orphans(blob: Path) -> None:
    """Delete what the Hub library's own fetches of this content left; who holds its lock knows that none is running."""
    for orphan in blob.parent.glob(f"{blob.name}*.incomplete"):
        log.info("deleting %s, which an interrupted fetch left", orphan)
        orphan.unlink(missing_ok=True)


def _link(blob: Path, pointer: Path) -> None:
    if pointer.exists():
        return
    pointer.unlink(missing_ok=True)  # a link whose blob was gone
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:  # a system without links: then the file itself lies there, as the Hub library does it
        blob.replace(pointer)


def _no_place(source: HubFile, error: OSError, known: Known, part: Path) -> Exception:
    """Tell a full disk and a folder that is not to be written to from what is no fault of theirs."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        have, root = bytes_waiting(source), part.parent
        while not root.exists():
            root = root.parent
        return WeightsError(
            f"{source.label} and {shutil.disk_usage(root).free / 1e9:.1f} GB free in {_cache()}",
            f"{((known.size or 0) - have) / 1e9:.1f} GB, what is missing of it",
            "make room, or set OMNIBIND_CACHE to a folder on a larger disk; then run the same again: "
            f"{size_words(have, None)} are kept",
        )
    return WeightsError(
        f"{source.label}, which cannot be written to {_cache()} ({error.strerror or error})",
        "a folder that may be written to",
        "set OMNIBIND_CACHE to one that is yours, or let its owner fetch the file",
    )


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _address(source: HubFile, revision: str) -> str:
    from huggingface_hub import hf_hub_url

    return hf_hub_url(source.repo, source.filename, revision=revision, endpoint=_endpoint())


def _cache() -> Path:
    return Path(os.environ.get("HF_HUB_CACHE", cache_directory() / "hub")).expanduser()


def _folder(source: HubFile) -> Path:
    return _cache() / f"models--{source.repo.replace('/', '--')}"


def _part(source: HubFile) -> Path:
    name = sha256(f"{source.repo}/{source.filename}@{source.revision}".encode()).hexdigest()[:24]
    return _folder(source) / "blobs" / f"omnibind-{name}.part"


def _note(part: Path) -> Path:
    return part.with_suffix(".json")
