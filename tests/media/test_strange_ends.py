"""What ends before its end, in formats whose files never say how long they are."""

import io
import re

import av
import numpy as np
import pytest
import soundfile

from omnibind_core.errors import MediaError
from omnibind_core.media import ac3, amr, load_audio, load_points, webm
from omnibind_core.media.meshes import _plain_corners

from .makers import sound
from .test_strange_shapes import HOUSE, XYZ, Scene, obj, same_shape, text_stl

TORN = "the end of the file is missing: what is there is read"
BLOCKS = "".join(f"v {x:.6f} {y:.6f} {i:.6f}\n" for i in range(20) for x in (0, 1) for y in (0, 1))
FACES = "".join(f"f {4 * i + 1}/1/1 {4 * i + 2}/1/1 {4 * i + 4}/1/1 {4 * i + 3}/1/1\n" for i in range(20))
PLACES = "vt 0.000000 0.000000\nvt 1.000000 0.000000\nvt 1.000000 1.000000\nvn 0 0 1\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BLOCKS + PLACES + FACES, False),
        ((BLOCKS + PLACES + FACES)[:-1], False),
        ((BLOCKS + PLACES + FACES)[:-5], True),  # a face of three where all have four
        ((BLOCKS + PLACES + FACES)[:-3], True),  # 83/1
        ((BLOCKS + PLACES + FACES)[:-2], True),  # 83/1/
        (BLOCKS[:-3], True),
        (BLOCKS[:-12], True),
        (BLOCKS[:-1], False),
        (BLOCKS + "v 0.000000 1.000000 -", True),
        (BLOCKS.replace(".000000", "") + "v 1 1 1e-", True),
        (BLOCKS.replace(".000000", "") + "v 1 1 1", False),
    ],
)
def test_an_obj_whose_last_line_stops_in_its_middle(text, said):
    assert (TORN in load_points(text.encode(), extension="obj").notices) == said


def test_an_obj_that_ends_before_its_faces():
    assert "there are no faces" in load_points((BLOCKS + PLACES).encode(), extension="obj").notices[0]


def test_faces_of_an_obj_whose_vertices_never_come():
    text = obj().decode() + "f 1 2 400\n"
    same_shape(text.encode(), "obj", HOUSE)
    assert load_points(text.encode(), extension="obj").notices == (
        "1 of 10 faces name vertices that are not there and were left out",
    )
    with pytest.raises(MediaError, match="vertices that it does not have"):
        load_points(b"f 1 2 3\nf 4 5 6\nf 7 8 9\nv 0 0 0\nv 1 0 0\nv 0 1 0\n", extension="obj")


def test_usual_text_of_stl_takes_the_quick_way():
    usual = text_stl().replace(b"solid\n", b"", 1).partition(b"endsolid")[0]
    corners = _plain_corners(usual)
    assert corners is not None and {tuple(row) for row in corners} == {tuple(row) for row in XYZ}
    np.testing.assert_array_equal(corners, _plain_corners(usual.upper().replace(b"\n", b"\r\n  ")))
    for odd in (usual.replace(b"outer loop", b"", 1), usual.replace(b"vertex ", b"vertex nan", 1), usual + b"1"):
        assert _plain_corners(odd) is None


SWEEP = np.sin(np.linspace(0, 2_000, 96_000)).astype(np.float32) * 0.5
TAG = b"ID3\4\0\0\0\0\0\x3f" + b"PRIV\0\0\0\x35\0\0com.apple.streaming.transportStreamTimestamp\0" + bytes(8)


@pytest.mark.parametrize("extension", ["ac3", "ec3"])
@pytest.mark.parametrize(
    "before", [b"\x12rubbish" * 9, bytes(999), TAG + bytes(10 + 63 - len(TAG)), "swapped", "middle"]
)
def test_ac3_behind_something_else_tells_of_its_end(extension, before):
    whole = sound(extension, SWEEP, 48_000)
    plain = load_audio(whole)
    if before == "middle":  # a recorder that was switched on within a frame
        head, before = whole[100:], b""
    else:
        head = ac3.swapped(whole) if before == "swapped" else whole
        before = b"" if before == "swapped" else before
    for name in (None, extension):
        audio = load_audio(before + head, name)
        assert audio.notices == ()
        assert abs(audio.seconds - plain.seconds) < 0.05
        short = load_audio(before + head[: len(head) * 2 // 3 // 2 * 2 - 2], name)
        assert short.notices == (f"the end of the file is missing: {short.seconds:.1f} s are there",)


def test_parts_of_a_broadcast_have_tags_between_them():
    tag = TAG + bytes(10 + 63 - len(TAG))
    whole = sound("aac", SWEEP)
    at = whole.index(whole[:2], len(whole) // 2)
    joined = tag + whole[:at] + tag + whole[at:]
    assert load_audio(joined).notices == ()
    assert abs(load_audio(joined).seconds - load_audio(whole).seconds) < 0.05
    for end in (-9, len(tag) + at + 20 - len(joined)):
        audio = load_audio(joined[:end])
        assert audio.notices == (f"the end of the file is missing: {audio.seconds:.1f} s are there",)


PAINTED = np.array([[255, 128, 0], [0, 16, 255], [1, 2, 3], [200, 0, 100]] * 4)
HEX = [f"{r:02x}{g:02x}{b:02x}" for r, g, b in PAINTED]


@pytest.mark.parametrize(
    ("colours", "head"),
    [
        ([f"#{one}" for one in HEX], ""),
        ([f"0x{one.upper()}" for one in HEX], "x y z colour\n"),
        ([f"#{one}ff" for one in HEX], ""),
        ([f"0xff{one}" for one in HEX], "# places\n"),
        ([str(int(one, 16)) for one in HEX], "x y z rgb\n"),
        ([repr(float(np.array(int(one, 16), np.uint32).view(np.float32))) for one in HEX], "x y z rgb\n"),
    ],
)
def test_colours_of_points_that_are_one_word(colours, head):
    rows = [f"{i % 4} {i // 4} {i * i % 7} {colour}" for i, colour in enumerate(colours)]
    cloud = load_points((head + "\n".join(rows) + "\n").encode(), extension="xyz")
    assert cloud.has_colour
    np.testing.assert_allclose(cloud.rgb, PAINTED / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("subtype", "container"), [("GSM610", "AIFF"), ("MS_ADPCM", "W64"), ("ULAW", "W64"), ("FLOAT", "AU")]
)
def test_packed_samples_are_as_long_as_their_chunk_says(subtype, container):
    file = io.BytesIO()
    soundfile.write(file, SWEEP, 48_000, format=container, subtype=subtype)
    assert load_audio(file.getvalue()).notices == ()
    audio = load_audio(file.getvalue()[: len(file.getvalue()) // 2])
    said = re.fullmatch(r"([\d.]+) of ([\d.]+) s are there: the rest of the file is missing", audio.notices[0])
    assert said and abs(float(said[1]) - 1.0) < 0.15 and abs(float(said[2]) - 2.0) < 0.15


def test_a_wav_of_the_other_byte_order_without_its_end():
    file = io.BytesIO()
    soundfile.write(file, SWEEP, 48_000, format="WAV", subtype="PCM_16", endian="BIG")
    assert load_audio(file.getvalue()).notices == ()
    half = load_audio(file.getvalue()[: len(file.getvalue()) // 2])
    assert half.notices == ("1.0 of 2.0 s are there: the rest of the file is missing",)


def test_amr_without_its_end():
    whole = sound("amr", SWEEP)
    assert load_audio(whole).notices == ()
    for cut in range(2, 30):
        audio = load_audio(whole[: 6 + 32 * 40 - cut])  # 31 bytes behind a byte, 50 times a second
        assert audio.notices == (f"the end of the file is missing: {audio.seconds:.1f} s are there",)
    assert not amr.is_cut(whole[: 6 + 32 * 40])


def test_what_a_browser_recorded_without_its_end():
    file = io.BytesIO()
    with av.open(file, "w", format="webm", options={"live": "1"}) as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(SWEEP[None], format="flt", layout="mono")
        frame.sample_rate = 48_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    whole = file.getvalue()
    assert load_audio(whole, "webm").notices == ()
    for share in (0.4, 0.6, 0.9):
        audio = load_audio(whole[: int(share * len(whole))], "weba")
        assert audio.notices == (f"the end of the file is missing: {audio.seconds:.1f} s are there",)
    assert not webm.is_cut(whole + bytes(50))
    assert not webm.is_cut(b"")


def rows_of_glb(*, places_last: bool) -> bytes:
    """A plane of 40 x 40 squares, its indices or its vertices last."""
    scene, side = Scene(), np.arange(41)
    places = np.stack([*np.meshgrid(side, side), 0 * side[:, None] * side], axis=2).reshape(-1, 3).astype("<f4")
    corner = (side[:40, None] * 41 + side[:40]).ravel()
    faces = np.stack([corner, corner + 1, corner + 41, corner + 1, corner + 42, corner + 41], axis=1).astype("<u2")
    if places_last:
        indices, position = scene.add(faces.reshape(-1, 1), "SCALAR"), scene.add(places, "VEC3")
    else:
        position, indices = scene.add(places, "VEC3"), scene.add(faces.reshape(-1, 1), "SCALAR")
    primitive = {"attributes": {"POSITION": position}, "indices": indices}
    return scene.file(nodes=[{"mesh": 0}], meshes=[{"primitives": [primitive]}])


@pytest.mark.parametrize("places_last", [False, True])
def test_a_glb_without_its_end(places_last):
    whole = rows_of_glb(places_last=places_last)
    assert load_points(whole, extension="glb").notices == ()
    cloud = load_points(whole[:-6_000], extension="glb")
    assert cloud.notices[0] == "33,372 of 39,372 bytes of its data are there: the rest of the file is missing"
    high, wide, _ = np.ptp(cloud.xyz, axis=0)[[1, 0, 2]]
    assert 0.6 < high / wide < 0.9  # rows that are there, and nothing that leads elsewhere
    with pytest.raises(MediaError, match="bytes are there"):
        load_points(whole[: len(whole) // 2 - 3_000], extension="glb")
