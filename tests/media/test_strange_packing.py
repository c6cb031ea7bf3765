"""glTF behind meshopt: buffers and files as its own encoder makes them, and what happens where they are damaged."""

import base64
import contextlib
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_points, meshopt

from .test_strange_shapes import HOUSE, Scene, glb, same_shape

MADE = json.loads((Path(__file__).parents[1] / "data" / "meshopt.json").read_text(encoding="utf-8"))
BUFFERS = {f"{one['name']} {one['filter']} {one['mode']}": one for one in MADE["buffers"]}


def unpacked(one: dict, data: bytes | None = None) -> bytes:
    given = base64.b64decode(one["data"]) if data is None else data
    return meshopt.decoded(given, one["count"], one["stride"], one["mode"], one["filter"])


@pytest.mark.parametrize("name", BUFFERS)
def test_buffers_are_unpacked_as_by_their_own_decoder(name):
    one = BUFFERS[name]
    assert hashlib.sha256(unpacked(one)).hexdigest() == one["sha256"]


@pytest.mark.parametrize("name", ["house cc", "house khr", "house cf"])
def test_packed_files_are_read(name):
    same_shape(base64.b64decode(MADE[name]), "glb", HOUSE)


@pytest.mark.parametrize("name", BUFFERS)
def test_damaged_buffers_are_refused_or_read(name):
    chance, whole = random.Random(name), base64.b64decode(BUFFERS[name]["data"])
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 3])):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = data[: chance.choice([len(data), chance.randrange(len(data))])]
        with contextlib.suppress(ValueError):
            assert len(unpacked(BUFFERS[name], bytes(data))) == BUFFERS[name]["count"] * BUFFERS[name]["stride"]


def view_of(count: int, **changes) -> bytes:
    scene = Scene()
    packed = scene.bytes(base64.b64decode(BUFFERS["const v0 l2 NONE ATTRIBUTES"]["data"]))
    length = scene.views[packed]["byteLength"]
    extension = {"buffer": 0, "byteLength": length, "byteStride": 12, "count": count, "mode": "ATTRIBUTES", **changes}
    views = [{"buffer": 1, "byteLength": 12, "extensions": {"EXT_meshopt_compression": extension}}]
    accessors = [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}]
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}}]}]
    return glb({"nodes": [{"mesh": 0}], "meshes": meshes, "accessors": accessors, "bufferViews": views}, scene.data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (view_of(10**9), "more than 128 MB behind meshopt"),
        (view_of(300), "damaged"),
        (view_of(3, mode="NOISE"), "damaged"),
        (view_of(3, filter="NOISE"), "damaged"),
        (view_of(3, byteStride=7), "damaged"),
    ],
)
def test_what_is_not_meshopt_is_refused(data, words):
    with pytest.raises(MediaError, match=words):
        load_points(data, extension="glb")


def test_what_unpacks_to_a_thousand_times_is_bounded():
    with pytest.raises(ValueError, match="rows of 256 bytes"):
        meshopt.decoded(b"\xa1" + bytes(300), 10**6, 256, "ATTRIBUTES", "NONE")


def test_nothing_is_nothing():
    assert meshopt.decoded(b"", 0, 12, "ATTRIBUTES", "NONE") == b""
    assert np.array_equal(np.frombuffer(meshopt.decoded(b"\xd1\0\0\0\0", 1, 2, "INDICES", "NONE"), "<u2"), [0])
