"""Fetching from a Hub that fails in every way it can: the right file in the end, or a sentence that helps."""

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import try_to_load_from_cache

from omnibind_core.errors import WeightsError
from omnibind_core.store import checked, hub_errors
from omnibind_core.store import hub as fetching
from omnibind_core.store.weights import HubFile, bytes_waiting, is_cached, local_files
from tools.rehearsal.hub import FAULTS, Fault

ROOT = Path(__file__).parents[2]
CONTENT = np.random.default_rng(0).bytes(600_000)
SMALL = b'{"a tokenizer": true}'
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILE = HubFile("owner/name", "folder/model.pt", COMMIT)
WORDS = HubFile("owner/name", "tokenizer.json", COMMIT)


@pytest.fixture
def hub(hub_of):
    return hub_of({"owner/name/folder/model.pt": CONTENT, "owner/name/tokenizer.json": SMALL})


def get(source=FILE, **options):
    return local_files({"model": source}, **options)["model"]


def left(cache):
    """Files in the cache other than locks and notes."""
    found = [path for path in cache.rglob("*") if path.suffix not in {".lock", ".json"}]
    return [path for path in found if path.is_file() and not path.is_symlink()]


def test_large_and_small_files_come_whole_and_lie_where_other_programs_look(hub, cache):
    said = []
    path = get(progress=lambda label, share: said.append((label, share)))
    assert path.read_bytes() == CONTENT
    assert get(WORDS).read_bytes() == SMALL
    assert try_to_load_from_cache("owner/name", "folder/model.pt", cache_dir=cache / "hub", revision=COMMIT) == str(
        path
    )
    assert path.resolve().name == sha256(CONTENT).hexdigest()
    assert said[-1] == (FILE.label, 1.0)
    assert sorted(p.name for p in path.resolve().parent.iterdir()) == sorted(
        [path.resolve().name, get(WORDS).resolve().name]
    )
    assert len(hub.sent) == 2


def test_what_was_fetched_is_neither_asked_for_nor_hashed_again(hub, cache, monkeypatch):
    get()
    hub.sent.clear(), hub.asked.clear()
    monkeypatch.setattr(checked, "hold", lambda *_: pytest.fail("hashed again"))
    get()
    assert hub.asked == hub.sent == []
    record = json.loads(next((cache / "checked").iterdir()).read_bytes())
    assert record["checked"]["sha256"] == sha256(CONTENT).hexdigest()


def test_a_file_of_unknown_history_is_held_to_the_name_that_the_hub_gave_it(hub, cache):
    for source in (FILE, WORDS):
        path = get(source)
        shutil.rmtree(cache / "checked")
        path.resolve().write_bytes(path.read_bytes()[::-1])
        with pytest.raises(WeightsError, match="deleted"):
            get(source, offline=True)
        assert not is_cached(source)
        get(source)
        assert len(list((cache / "checked").iterdir())) == 1
        shutil.rmtree(cache / "checked")


def test_a_revision_that_is_a_name_leads_to_a_commit(hub_of, cache):
    hub_of({"owner/name/model.pt": CONTENT}, commit=COMMIT)
    source = HubFile("owner/name", "model.pt", "v1")
    assert COMMIT in get(source).parts
    assert is_cached(source)


def test_no_token_leaves_for_another_host(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    get(), get(WORDS)
    assert [(sent.path, sent.token) for sent in hub.sent] == [
        ("owner/name/folder/model.pt", False),
        ("owner/name/tokenizer.json", True),
    ]


SENTENCES = {
    # kind, whether the Hub is asked or the file fetched, headers: what must be said
    ("401", True): r"without a token.*accept the terms on http://127.*/owner/name, make a token.*HF_TOKEN",
    ("401", False): r"\(401; without a token\)",
    ("403", True): r"\(403, GatedRepo; without a token\)",
    ("403", False): r"gives only to who asked \(403",
    ("404", True): r"does not have \(404; wanted: folder/model.pt at revision 0123",
    ("404", False): r"look at http.*/owner/name/tree/0123456789",
    ("429", True): r"too many requests from here \(429\).*try again in 7 min, at \d\d:\d\d",
    ("429", False): r"too many requests",
    ("503", True): r"out of service \(503\).*try again in some minutes",
    ("503", False): r"out of service \(503\)",
    ("hang", True): r"not one byte from 127\.0\.0\.1 for 0 s, 2 times.*run the same again later",
    ("hang", False): r"not one byte from localhost for 0 s, 2 times",
    ("reset", True): r"the connection to 127\.0\.0\.1 was cut 4 times",
    ("reset", False): r"the connection to localhost was cut 4 times.*goes on there",
    ("cut", True): r"the connection to 127\.0\.0\.1 was cut 4 times",
    ("cut", False): r"was cut 4 times",
    ("redirect", True): r"not the Hub but a page",
    ("redirect", False): r"not the Hub but a page",
    ("portal", True): r"not the Hub but a page \(http://login\.invalid/\).*logged in",
    ("portal", False): r"not the Hub but a page",
    ("wrong-length", False): r"model\.pt of 599993 bytes. Allowed: 600000 bytes",
    ("flip", False): r"has sha256 [0-9a-f]{64}; the file was deleted",
}
HEADERS = {"429": {"Retry-After": "420"}, "403": {"X-Error-Code": "GatedRepo"}}


@pytest.mark.parametrize(("kind", "ask"), SENTENCES)
def test_every_fault_has_its_sentence_and_the_next_start_has_the_file(hub, cache, kind, ask):
    with (
        hub.failing(Fault(kind, "model.pt", ask=ask, headers=HEADERS.get(kind, {}))),
        pytest.raises(WeightsError, match=SENTENCES[kind, ask]) as caught,
    ):
        get()
    assert all((caught.value.given, caught.value.allowed, caught.value.action))
    assert not is_cached(FILE)
    assert get().read_bytes() == CONTENT


def test_every_fault_of_the_stand_in_is_tested():
    assert {kind for kind, _ in SENTENCES} | {"no-ranges"} == set(FAULTS)


@pytest.mark.parametrize("kind", ["cut", "reset", "hang", "503", "429"])
@pytest.mark.parametrize("ask", [False, True])
def test_what_passes_by_itself_is_tried_again(hub, kind, ask):
    headers = {"Retry-After": "0"}
    with hub.failing(Fault(kind, "model.pt", times=1, after=0 if ask else 200_000, ask=ask, headers=headers)):
        assert get().read_bytes() == CONTENT
    count = sum(sent.count for sent in hub.sent)
    assert count == len(CONTENT) or (kind == "reset" and count > len(CONTENT))  # a reset takes what was on its way


def test_a_connection_that_is_cut_again_and_again_gets_there(hub):
    with hub.failing(Fault("cut", "model.pt", after=50_000)):
        assert get().read_bytes() == CONTENT
    assert [sent.start for sent in hub.sent] == list(range(0, len(CONTENT), 50_000))


@pytest.mark.parametrize("token", [None, "hf_secret"])
def test_gated_files_say_which_page_and_which_variable(hub, monkeypatch, token):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with (
        hub.failing(Fault("403", ask=True, headers={"X-Error-Code": "GatedRepo"})),
        pytest.raises(WeightsError) as caught,
    ):
        get()
    assert f"{hub.address}/owner/name" in caught.value.action
    assert ("set HF_TOKEN to it" in caught.value.action) == (token is None)
    assert "hf_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"), [("RevisionNotFound", "a revision 0123"), ("RepoNotFound", "a repository owner/name")]
)
def test_what_is_not_there_is_named(hub, code, words):
    with hub.failing(Fault("404", ask=True, headers={"X-Error-Code": code})), pytest.raises(WeightsError, match=words):
        get()


def test_the_hubs_own_form_of_a_limit_is_read(hub):
    with (
        hub.failing(Fault("429", ask=True, headers={"ratelimit": '"resolvers";r=0;t=240'})),
        pytest.raises(WeightsError, match="in 4 min"),
    ):
        get()


def test_a_hub_that_is_not_there_is_said_to_be_out_of_reach(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(hub_errors.HubUnreachableError, match=r"127\.0\.0\.1 cannot be reached.*HF_ENDPOINT"):
        get()


def test_who_never_answers_is_asked_twice_and_who_began_to_more_often(hub, monkeypatch):
    import httpx2

    refused = httpx2.ConnectError("refused", request=httpx2.Request("GET", "https://hub.invalid/"))
    never, once = hub_errors.Patience(FILE, 30), hub_errors.Patience(FILE, 30)
    never.again(refused, moved=False)
    with pytest.raises(WeightsError):
        never.again(refused, moved=False)
    for moved in (True, False, False):
        once.again(refused, moved=moved)
    with pytest.raises(WeightsError):
        once.again(refused, moved=False)


def test_an_endpoint_that_is_no_address(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.example")
    with pytest.raises(WeightsError, match=r"HF_ENDPOINT='huggingface\.example'.*begins with https://"):
        get()


def test_the_hub_librarys_own_switch_is_named(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    with pytest.raises(WeightsError, match="unset HF_HUB_OFFLINE"):
        get()


def test_a_proxy_that_refuses_is_named(hub):
    import httpx2

    error = httpx2.ProxyError(
        "407 Proxy Authentication Required", request=httpx2.Request("GET", "https://hub.invalid/")
    )
    assert "HTTPS_PROXY" in hub_errors.explain(FILE, error, 1, 30).action


def test_an_interrupted_fetch_goes_on_in_another_process(hub, cache):
    with hub.failing(Fault("cut", after=250_000, times=1), Fault("503", times=9)), pytest.raises(WeightsError):
        get()
    assert bytes_waiting(FILE) == 250_000
    hub.sent.clear()
    code = (
        "import sys; from omnibind_core.store.weights import *; print(local_files({'m': HubFile(*sys.argv[1:])})['m'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *(FILE.repo, FILE.filename, FILE.revision)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()).read_bytes() == CONTENT
    assert [(sent.start, sent.count) for sent in hub.sent] == [(250_000, 350_000)]
    assert bytes_waiting(FILE) == 0


def test_a_part_of_another_content_is_not_gone_on_with(hub_of, cache):
    hub = hub_of({"owner/name/folder/model.pt": CONTENT[::-1]})
    with hub.failing(Fault("cut", after=250_000, times=1), Fault("503", times=9)), pytest.raises(WeightsError):
        get()
    hub_of({"owner/name/folder/model.pt": CONTENT})
    assert get().read_bytes() == CONTENT


def test_a_part_that_was_damaged_is_deleted_and_fetched_again(hub, cache):
    with hub.failing(Fault("cut", after=250_000, times=1), Fault("503", times=9)), pytest.raises(WeightsError):
        get()
    part = next(cache.rglob("*.part"))
    part.write_bytes(bytes(250_000))
    with pytest.raises(WeightsError, match="deleted"):
        get()
    assert left(cache) == []
    assert get().read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(hub):
    with hub.failing(Fault("cut", after=250_000, times=1), Fault("no-ranges")):
        assert get().read_bytes() == CONTENT
    assert [sent.start for sent in hub.sent] == [0, 0]


def test_what_the_hub_library_left_behind_is_cleared(hub, cache):
    blobs = cache / "hub" / "models--owner--name" / "blobs"
    blobs.mkdir(parents=True)
    orphan = blobs / f"{sha256(CONTENT).hexdigest()}.1a2b3c4d.incomplete"
    orphan.write_bytes(CONTENT[:1000])
    get()
    assert not orphan.exists()


def test_another_file_than_the_preset_names_is_refused_before_it_is_fetched(hub):
    for wrong in ({"sha256": "0" * 64}, {"size": 7}):
        with pytest.raises(WeightsError):
            get(HubFile(FILE.repo, FILE.filename, FILE.revision, **wrong))
    assert hub.sent == []


def test_a_full_disk_is_said_before_and_while_it_fills(hub, cache, monkeypatch):
    usage = shutil.disk_usage(cache.parent)
    with monkeypatch.context() as patched:
        patched.setattr(fetching.shutil, "disk_usage", lambda _path: usage._replace(free=1000))
        with pytest.raises(WeightsError, match=r"0\.0 GB free in .*cache.*OMNIBIND_CACHE"):
            get()
    assert hub.sent == []

    class Full:
        """A file on a disk that takes 100,000 bytes more."""

        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, block):
            if self.file.tell() + len(block) > 100_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.file.write(block)

    opened = Path.open

    def open_full(path, mode="r", *args, **kwargs):
        file = opened(path, mode, *args, **kwargs)
        return Full(file) if mode == "ab" else file

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", open_full)
        with pytest.raises(WeightsError, match=r"what is missing of it.*kB are kept"):
            get()
    kept = bytes_waiting(FILE)
    assert 0 < kept <= 100_000
    assert get().read_bytes() == CONTENT
    assert hub.sent[-1].start == kept


def test_a_small_disk_really_fills(hub, cache):
    cache.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", cache], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a disk is not allowed here")
    try:
        with pytest.raises(WeightsError, match="OMNIBIND_CACHE"):
            get()
        assert get(WORDS).read_bytes() == SMALL
    finally:
        subprocess.run(["umount", cache], check=True)


def test_a_cache_that_may_not_be_written_to(hub, cache, monkeypatch):
    get()
    real = Path.mkdir
    monkeypatch.setattr(checked, "replace_file", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only")))

    def refused(self, *args, **kwargs):
        if self.is_relative_to(cache) and not self.is_dir():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", refused)
    assert get().read_bytes() == CONTENT  # what is here can be read
    with pytest.raises(WeightsError, match=r"cannot be written to .* \(Read-only file system\).*OMNIBIND_CACHE"):
        get(HubFile("owner/name", "tokenizer.json", COMMIT[::-1]))


def test_a_folder_that_is_a_file(hub, cache):
    cache.write_bytes(b"")
    with pytest.raises(WeightsError, match="a folder that may be written to"):
        get()


def test_two_processes_wait_for_one_another(hub, cache, monkeypatch):
    monkeypatch.setattr(fetching, "_LOOK", 0.1)  # well within the second that the transfer takes
    hub.rate = 600_000
    said, results = [], []

    def run():
        results.append(get(progress=lambda label, _share: said.append(label)).read_bytes())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [CONTENT, CONTENT]
    assert sum(sent.count for sent in hub.sent) == len(CONTENT)
    assert any("another process is fetching it" in label for label in said)
    assert any("MB/s" in label and "left" in label for label in said)


def bytes_in(cache):
    """Bytes of the files that are there, while another process may rename them."""
    total = 0
    for path in left(cache):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


PROGRAM = """
import sys
from omnibind_core.store.weights import HubFile, local_files
local_files({name: HubFile("owner/name", name, sys.argv[1]) for name in sys.argv[2:]})
"""


def test_killed_at_random_moments_no_byte_that_was_here_is_fetched_again(hub_of, cache):
    contents = {f"part_{i}.bin": np.random.default_rng(i).bytes(400_000) for i in range(3)}
    hub = hub_of({f"owner/name/{name}": content for name, content in contents.items()}, rate=350_000)
    chance = random.Random(5)
    sources = [HubFile("owner/name", name, COMMIT) for name in contents]
    here = dict.fromkeys((f"owner/name/{name}" for name in contents), 0)
    kills = 0
    while True:
        before = len(hub.sent)
        enough = sum(here.values()) + chance.randint(20_000, 500_000)
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, COMMIT, *contents], cwd=ROOT)
        while process.poll() is None:
            if bytes_in(cache) >= enough:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
            time.sleep(0.01)
        first = {}
        for sent in hub.sent[before:]:
            first.setdefault(sent.path, sent.start)
        assert all(start == here[path] for path, start in first.items())
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        here = {f"owner/name/{one.filename}": len(contents[one.filename]) if is_cached(one) else bytes_waiting(one)
                for one in sources}  # fmt: skip
    assert kills > 1
    for source in sources:
        path = get(source, offline=True)
        assert path.read_bytes() == contents[source.filename]
        assert [p for p in path.resolve().parent.iterdir() if len(p.name) != 64] == []
