"""What ends before its end, in formats whose files never say how long they are."""

import numpy as np
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_points
from omnibind_core.media.meshes import _plain_corners

from .test_strange_shapes import HOUSE, XYZ, obj, same_shape, text_stl

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
