"""Uploading a Space, to a Hub on loopback that takes what the real one does."""

import hashlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import space

ROOT = Path(__file__).resolve().parents[1]


class Uploads(ThreadingHTTPServer):
    """A Hub to write to: files by LFS, and a commit."""

    def __init__(self, status=200):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.status, self.large, self.commit, self.made, self.tokens = status, {}, [], {}, set()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def tell(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.tell({"id": "me/explorer", "sha": "0" * 40, "siblings": []})

    def do_POST(self):
        hub, content = self.server, self.body()
        hub.tokens.add(self.headers.get("Authorization"))
        if hub.status != 200:
            return self.tell({"error": "Invalid username or password."}, hub.status)
        if self.path == "/api/repos/create":
            hub.made = json.loads(content)
            return self.tell({"url": f"{hub.address}/spaces/me/explorer"})
        if self.path.endswith("/preupload/main"):
            rows = json.loads(content)["files"]
            kinds = [
                {
                    "path": row["path"],
                    "uploadMode": "regular" if row["path"].endswith((".py", ".md", ".txt")) else "lfs",
                }
                for row in rows
            ]
            return self.tell({"files": [{**kind, "shouldIgnore": False} for kind in kinds]})
        if self.path.endswith("/info/lfs/objects/batch"):
            wanted = json.loads(content)["objects"]
            rows = [{**row, "actions": {"upload": {"href": f"{hub.address}/lfs/{row['oid']}"}}} for row in wanted]
            return self.tell({"transfer": "basic", "objects": rows})
        if "/commit/" in self.path:
            hub.commit = [json.loads(line) for line in content.splitlines()]
            return self.tell(
                {"commitUrl": f"{hub.address}/spaces/me/explorer/commit/{'1' * 40}", "commitOid": "1" * 40}
            )
        return self.tell({})

    def do_PUT(self):
        content = self.body()
        self.server.large[self.path.rsplit("/", 1)[1]] = content
        self.tell({})


@pytest.fixture
def hub():
    with Uploads() as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


@pytest.fixture
def checkout(tmp_path):
    """A small checkout: some needed files, one that is not, one that git does not know."""
    for name, content in {
        "app.py": b"print()", "README.md": b"---\nsdk: gradio\n---\n", "assets/mini/words.safetensors": b"\0" * 5000,
        "tests/test_app.py": b"", "assets/private.txt": b"secret",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for command in (["init", "-q"], ["add", "app.py", "README.md", "assets/mini", "tests"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def send(hub, checkout, token="hf_one"):
    """Upload from a process of its own, for the Hub's address is read when its library is imported."""
    code = "import sys, pathlib; from tools.space import upload; upload('me/explorer', root=pathlib.Path(sys.argv[1]))"
    env = {"HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code, checkout], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def test_what_a_space_needs_is_uploaded_in_one_commit(hub, checkout):
    done = send(hub, checkout)
    assert done.returncode == 0, done.stderr
    assert {hub.made[key] for key in ("type", "sdk", "name")} == {"space", "gradio", "explorer"}
    files = {row["value"]["path"]: row["key"] for row in hub.commit if row["key"] != "header"}
    assert files == {"app.py": "file", "README.md": "file", "assets/mini/words.safetensors": "lfsFile"}
    assert hub.large == {hashlib.sha256(b"\0" * 5000).hexdigest(): b"\0" * 5000}
    assert "Bearer hf_one" in hub.tokens


def test_a_refusal_is_a_sentence(hub, monkeypatch, capsys):
    from huggingface_hub.errors import LocalTokenNotFoundError

    def refused(*_, **__):
        raise LocalTokenNotFoundError("Token is required, but no token found.")

    monkeypatch.setattr(space, "upload", refused)
    assert space.main(["me/explorer"]) == 1
    assert "HF_TOKEN" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        space.main(["explorer"])
    assert "owner/name" in capsys.readouterr().err


def test_this_checkout_has_all_that_a_space_needs(capsys):
    assert space.main(["me/explorer", "--dry-run"]) == 0
    listed = capsys.readouterr().out.splitlines()[1:]
    for name in ("app.py", "requirements.txt", "README.md", "assets/gallery/catalogue.json", "omnibind_core/binder.py"):
        assert name in listed
    assert not [name for name in listed if name.startswith(("tests/", "tools/", ".ci"))]
    for needed in space.NEEDED:
        assert any(name.startswith(needed) for name in listed), needed
