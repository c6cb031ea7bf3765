"""The HTTP interface as programs call it: real files, a real server, the official client."""

import base64
import io
import json
import re
import shlex
import shutil
import socket
import subprocess

import httpx
import numpy as np
import openai
import pytest
import soundfile

from omnibind_core import media
from omnibind_core.errors import QueryError, WeightsError
from omnibind_core.media import load_points
from omnibind_core.media.shapes import TO_Y_UP
from omnibind_core.media.upright import turn
from omnibind_core.search.gallery import Gallery
from omnibind_core.serve.calls import MAX_JSON, address_of, files_of
from omnibind_core.serve.command import serve
from omnibind_core.serve.gate import Gate, check_host
from omnibind_core.serve.http import api
from omnibind_core.store.paths import assets_directory

GALLERY = assets_directory() / "gallery"
BARK = GALLERY / "sounds" / "dog-2.ogg"
DOG = GALLERY / "images" / "dog-1.jpg"
KEY = "0123456789abcdef"


@pytest.fixture(scope="module")
def client(address):
    with httpx.Client(base_url=address, timeout=60) as made:
        yield made


def data_uri(path, kind):
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_what_is_searched_and_the_collections_are_listed(client):
    found = client.get("/v1/collections").json()
    assert found["searched"] == {"image": 260, "audio": 213, "point": 121, "text": 294}
    assert isinstance(found["collections"], list)


def test_of_several_collections_files_are_named_by_their_items(explorer):
    joined = Gallery.join([explorer.gallery, explorer.gallery])
    names = files_of(joined)
    assert names["image/dog-1/file.jpg"] == DOG.resolve()
    assert address_of(joined)(str(DOG.resolve())) == "/v1/files/image/dog-1/file.jpg"
    assert address_of(explorer.gallery)(str(DOG.resolve())) == "/v1/files/images/dog-1.jpg"


def test_a_file_finds_the_same_as_the_library(client, explorer):
    found = client.post("/v1/search", files={"file": (BARK.name, BARK.read_bytes())}, data={"k": "3"}).json()
    hits = explorer.search([explorer.embed(BARK).term()]).hits["image"][:3]
    assert [hit["id"] for hit in found["hits"]["image"]] == [hit.id for hit in hits]
    picture = client.get(found["hits"]["image"][0]["file"])
    assert picture.status_code == 200
    assert picture.headers["content-type"].startswith("image/")


def test_a_mix_takes_files_items_sentences_and_data(client):
    terms = [{"file": "dog"}, {"item": "image/lion-1"}, {"text": "red", "weight": -0.5}]
    form = {"terms": json.dumps(terms), "k": "2"}
    by_form = client.post("/v1/mix", files={"dog": ("a.jpg", DOG.read_bytes())}, data=form).json()
    terms[0] = {"data": data_uri(DOG, "image/jpeg")}
    by_json = client.post("/v1/mix", json={"terms": terms, "k": 2}).json()
    assert by_form["hits"] == by_json["hits"]
    assert "image/lion-1" not in {hit["id"] for hit in by_json["hits"]["image"]}


def test_embed_similarity_and_classify(client):
    vector = client.post("/v1/embed", json={"text": "a dog"}).json()["vector"]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    things = [{"text": "a dog"}, {"item": "image/dog-1"}, {"text": "a grand piano"}]
    matrix = client.post("/v1/similarity", json={"items": things}).json()["matrix"]
    assert matrix[1][0] > matrix[1][2]
    form = {"labels": "piano, dog, truck"}
    scores = client.post("/v1/classify", files={"file": ("a.jpg", DOG.read_bytes())}, data=form).json()["scores"]
    assert scores[0]["label"] == "dog"


def test_things_are_compared_and_looked_for(client):
    items = [{"text": "a dog"}, {"item": "audio/guitar-1"}, {"item": "image/dog-1"}, {"text": "a guitar"}]
    made = client.post("/v1/compare", json={"items": items}).json()
    assert made["groups"][0] == made["groups"][2] != made["groups"][1] == made["groups"][3]
    form = {"query": '{"text": "a dog barks"}', "into": '{"file": "bark"}'}
    found = client.post("/v1/localise", files={"bark": (BARK.name, BARK.read_bytes())}, data=form).json()
    assert found["modality"] == "audio"
    assert 0 <= found["best"]["first"] < found["best"]["last"]
    assert len(found["heat"]) > 1


def test_a_sound_is_pulled_out_and_both_parts_add_up(client):
    body = {"query": {"text": "a dog"}, "sound": {"item": "audio/dog-2"}}
    made = client.post("/v1/separate", json=body).json()
    found, rest = (
        soundfile.read(io.BytesIO(base64.b64decode(made[name].partition(",")[2])), dtype="float32")[0]
        for name in ("found", "rest")
    )
    given = media.load(BARK, "audio")
    assert made["rate"] == given.rate
    assert np.allclose(found + rest, given.samples, atol=1e-4)
    assert found.std() > rest.std() * 0.1


def test_items_are_listed_and_each_has_its_credits(client):
    page = client.get("/v1/items", params={"modality": "audio", "limit": 2}).json()
    assert len(page["items"]) == 2 < page["count"]
    one = client.get(f"/v1/items/{page['items'][0]['id']}").json()
    assert one["licence"]
    assert client.get(one["file"]).status_code == 200


@pytest.mark.parametrize("path", ["catalogue.json", "../mini/x", "%2e%2e/%2e%2e/README.md"])
def test_nothing_but_the_items_files_is_given(client, path):
    assert client.get(f"/v1/files/{path}").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("embed", {}),
        ("embed", {"text": "a", "item": "image/dog-1"}),
        ("embed", {"data": "http://example.org/a.png"}),
        ("embed", {"data": "data:image/png;base64,AAAA"}),
        ("embed", {"file": "/etc/passwd"}),
        ("search", {"text": "a", "k": 0}),
        ("search", {"text": "a", "unknown": 1}),
        ("mix", {"terms": []}),
        ("compare", {"items": [{"text": "a"}]}),
        ("localise", {"query": {"text": "a"}, "into": {"text": "b"}}),
        ("localise", {"query": {"text": "a"}, "into": {"item": "text/no-such"}}),
        ("separate", {"query": {"text": "a"}, "sound": {"item": "image/dog-1"}}),
        ("separate", {"query": {"text": "a"}}),
        ("mix", {"terms": [{"text": "a", "weight": 2}]}),
        ("mix", {"terms": [{"text": "a"}], "operator": "no"}),
        ("classify", {"text": "a", "labels": []}),
        ("embeddings", {"input": [1, 2, 3]}),
        ("embeddings", {"input": "a", "dimensions": 3}),
    ],
)
def test_what_is_wrong_is_told_in_three_parts(client, path, body):
    answer = client.post(f"/v1/{path}", json=body)
    assert answer.status_code == 422
    assert all(answer.json()["error"][part] for part in ("given", "allowed", "action", "message"))


def test_other_bodies_and_other_names_are_refused(client):
    assert client.post("/v1/embed", content=b"{}", headers={"content-type": "text/plain"}).status_code == 422
    assert client.get("/v1/items", headers={"host": "evil.example.org"}).status_code == 401
    large = client.post("/v1/embed", content=b" " * (MAX_JSON + 1), headers={"content-type": "application/json"})
    assert large.status_code == 413


def test_health_and_metrics(client):
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.post("/v1/embed", json={"text": "a dog"})
    lines = client.get("/metrics").text.splitlines()
    assert any(line.startswith('omnibind_calls_total{path="/v1/embed",status="200"}') for line in lines)
    assert "omnibind_ready 1" in lines


def test_the_page_describes_every_call(client):
    paths = client.get("/v1/openapi.json").json()["paths"]
    assert {"/v1/embed", "/v1/search", "/v1/mix", "/v1/similarity", "/v1/classify", "/v1/embeddings"} <= set(paths)
    content = paths["/v1/search"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    assert "$ref" not in json.dumps(paths["/v1/mix"]["post"]["requestBody"])
    assert client.get("/v1/docs").status_code == 200


def test_which_way_is_up_is_guessed_said_and_overruled(client, tmp_path):
    schema = client.get("/v1/openapi.json").json()["paths"]["/v1/embed"]["post"]["requestBody"]["content"]
    up = schema["application/json"]["schema"]["properties"]["up"]
    assert up["default"] == "auto" and "-z" in up["description"]
    bed = load_points(GALLERY / "shapes" / "bed-1.glb")
    np.save(tmp_path / "bed.npy", np.hstack([turn(bed, TO_Y_UP["z"].T).xyz, bed.rgb]))
    told = {}
    for axis in ("", "z", "y", "w"):
        with (tmp_path / "bed.npy").open("rb") as file:
            told[axis] = client.post("/v1/embed", files={"file": file}, data={"up": axis} if axis else {}).json()
    assert told[""]["notices"] == ["the file does not say which way is up: z was taken"]
    assert told["z"]["notices"] == told["y"]["notices"] == []
    guessed, given, lying = (np.array(told[axis]["vector"]) for axis in ("", "z", "y"))
    assert float(guessed @ given) > 0.999 > float(guessed @ lying)
    assert "axis that points up" in told["w"]["error"]["given"]


def test_the_official_openai_client_works_unchanged(address, explorer):
    inputs = ["a dog barks", data_uri(DOG, "image/jpeg"), data_uri(BARK, "audio/ogg")]
    wanted = [explorer.embed("a dog barks", "text").vector, explorer.embed(DOG).vector, explorer.embed(BARK).vector]
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        answer = client.embeddings.create(model="omnibind", input=inputs)
        assert client.models.list().data[0].id == "mini"
        np.testing.assert_allclose([row.embedding for row in answer.data], wanted, atol=1e-5)
        with pytest.raises(openai.UnprocessableEntityError, match="What to do"):
            client.embeddings.create(model="omnibind", input="data:image/png;base64,AAAA")


def test_keys_are_asked_for_and_required_elsewhere(explorer):
    check_host("127.0.0.1", ())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for port in (taken.getsockname()[1], 0, 99_999):
            with pytest.raises(QueryError, match="--port"):
                serve(lambda: pytest.fail("nothing is loaded"), "127.0.0.1", port)
    check_host("0.0.0.0", (KEY,))
    with pytest.raises(QueryError, match="OMNIBIND_API_KEYS"):
        check_host("0.0.0.0", ())
    gate = Gate((KEY,))
    gate.check("any.example.org", f"Bearer {KEY}", "")
    gate.check("any.example.org", "", KEY)
    for authorization, key in (("", ""), ("Bearer no", ""), (KEY, ""), ("", KEY[:-1])):
        with pytest.raises(QueryError, match="valid key"):
            gate.check("localhost", authorization, key)
    routes = {route.path for route in api(lambda: explorer, lambda: True, (KEY,)).routes}
    assert "/v1/embed" in routes


@pytest.mark.parametrize("error", [WeightsError("a", "b", "c"), RuntimeError("no memory left")])
def test_whatever_stops_the_models_stops_the_service_and_is_said(error):
    def broken():
        raise error

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(type(error), match=re.escape(str(error))):
        serve(broken, "127.0.0.1", port)


CURL = re.findall(r"^curl .*$", (GALLERY.parents[1] / "docs" / "api-server.md").read_text(encoding="utf-8"), re.M)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("line", CURL)
def test_the_pages_curl_lines_answer(address, line):
    """As they stand there, but for the port."""
    command = [part.replace("http://127.0.0.1:8000", address) for part in shlex.split(line)]
    said = subprocess.run([*command, "--noproxy", "*"], cwd=GALLERY.parents[1], check=True, capture_output=True)
    answer = json.loads(said.stdout)
    assert "error" not in answer
    assert {"hits", "scores", "matrix", "data", "items", "best"} & set(answer)


def test_every_path_is_on_the_page(client):
    page = (GALLERY.parents[1] / "docs" / "api-server.md").read_text(encoding="utf-8")
    for path in client.get("/v1/openapi.json").json()["paths"]:
        assert path.partition("/{")[0] in page, path


def test_a_body_of_a_million_values_is_refused_before_it_is_read(client):
    body = b'{"items": [' + b"[]," * 1_000_000 + b"[]]}"
    answer = client.post("/v1/similarity", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert "lists and objects" in answer.json()["error"]["given"]
