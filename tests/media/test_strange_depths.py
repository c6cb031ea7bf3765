"""Pictures of odd depths and packings, each against the same picture written plainly."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import PIL.Image
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_image
from omnibind_core.media.sniff import sniff

from .makers import encoded
from .test_strange_pictures import COLOURS, alike, chunk

GREY = COLOURS[..., 0]


def packed(rows: np.ndarray, bits: int, order: str) -> bytes:
    """Samples of any number of bits, each row filled up to a byte: (h, n) -> bytes."""
    if bits in (8, 16, 32, 64):
        return rows.astype(rows.dtype.newbyteorder(order)).tobytes()
    steps = np.arange(bits - 1, -1, -1, dtype=np.uint64)
    if bits == 24 and order == "<":
        steps = np.concatenate([steps[16:], steps[8:16], steps[:8]])
    spread = (rows[..., None].astype(np.uint64) >> steps & np.uint64(1)).astype(np.uint8)
    return b"".join(np.packbits(row.ravel()).tobytes() for row in spread)


def tiff(
    samples: np.ndarray,
    bits: int,
    photometric: int,
    order: str = "<",
    *,
    planes: bool = False,
    tile: int = 0,
    strip: int = 0,
    pack: int = 1,
    more: Sequence[tuple[int, int, list[int]]] = (),
    big: bool = False,
) -> bytes:
    """A TIFF with its directory behind its pixels; `more` are further entries: tag, type, values."""
    samples = samples if samples.ndim == 3 else samples[..., None]
    high, wide, several = samples.shape
    segments = []
    for plane in [samples[..., i : i + 1] for i in range(several)] if planes else [samples]:
        for top in range(0, high, tile or strip or high):
            for left in range(0, wide, tile or wide):
                piece = plane[top : top + (tile or strip or high), left : left + (tile or wide)]
                if tile:
                    piece = np.pad(piece, ((0, tile - piece.shape[0]), (0, tile - piece.shape[1]), (0, 0)))
                body = packed(piece.reshape(len(piece), -1), bits, order)
                if pack in PARTS:
                    body = as_picture(piece, pack)
                segments.append(zlib.compress(body) if pack == 8 else body)
    starts = [16 + sum(map(len, segments[:i])) for i in range(len(segments))]
    where, sizes = (324, 325) if tile not in (0, 48) else (273, 279)
    tags = [
        (256, 4, [wide]), (257, 4, [high]), (258, 3, [bits] * several), (259, 3, [pack]), (262, 3, [photometric]),
        (where, 4, starts), (277, 3, [several]), (278, 4, [strip or high]), (sizes, 4, [len(s) for s in segments]),
        (284, 3, [2 if planes else 1]), *([(322, 4, [tile]), (323, 4, [tile])] if tile else []), *more,
    ]  # fmt: skip
    word, own = ("Q", 8) if big else ("I", 4)
    at = 16 + sum(map(len, segments))
    behind = at + (8 if big else 2) + len(tags) * (4 + 2 * own) + own
    table, far = b"", b""
    for tag, kind, values in sorted(tags):
        data = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        table += struct.pack(f"{order}HH{word}", tag, kind, len(values))
        if len(data) <= own:
            table += data.ljust(own, b"\0")
        else:
            table += struct.pack(order + word, behind + len(far))
            far += data
    head = b"II" if order == "<" else b"MM"
    head += struct.pack(f"{order}HHHQ", 43, 8, 0, at) if big else struct.pack(f"{order}HI", 42, at)
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    return head.ljust(16, b"\0") + b"".join(segments) + count + table + bytes(own) + far


PARTS = {50001: ("webp", {"lossless": True}), 34712: ("jpeg2000", {}), 33005: ("jpeg2000", {}), 34933: ("png", {})}


def as_picture(rows: np.ndarray, pack: int) -> bytes:
    file, (form, options) = io.BytesIO(), PARTS[pack]
    PIL.Image.fromarray(rows[..., 0] if rows.shape[2] == 1 else rows).save(file, form, **options)
    return file.getvalue()


def scaled(values: np.ndarray, bits: int) -> np.ndarray:
    kind = {8: "u1", 16: "u2", 32: "u4"}.get(bits, "u8")
    return np.round(values / 255 * (2.0**bits - 1)).astype(kind)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 24, 32])
@pytest.mark.parametrize("kind", ["black is 0", "white is 0", "colours", "planes", "packed strips", "BigTIFF"])
def test_tiffs_of_any_depth(kind: str, bits: int, order: str) -> None:
    whole = 2.0**bits - 1
    if "is 0" in kind:
        values = scaled(GREY, bits)
        stored = values if kind == "black is 0" else (int(whole) - values).astype(values.dtype)
        data = tiff(stored, bits, int(kind == "black is 0"), order)
        wanted = np.dstack([values * (255 / whole)] * 3)
    else:
        values = scaled(COLOURS, bits)
        options = {"planes": kind == "planes", "big": kind == "BigTIFF"}
        if kind == "packed strips":
            options = {"strip": 7, "pack": 8}
        data = tiff(values, bits, 2, order, **options)
        wanted = values * (255 / whole)
    alike(load_image(data, "tiff").rgb, wanted, most=1)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("photometric", "planes"), [(1, False), (1, True), (0, False)])
def test_grey_beside_its_alpha(bits: int, photometric: int, planes: bool) -> None:
    values = scaled(GREY if photometric else 255 - GREY, bits)
    alpha = np.full_like(values, 2**bits - 1)
    alpha[:, 48:] = 0
    data = tiff(np.dstack([values, alpha]), bits, photometric, planes=planes, more=[(338, 3, [2])])
    rgb = load_image(data, "tiff").rgb
    alike(rgb[:, :48], np.dstack([GREY[:, :48]] * 3), most=1)
    assert (rgb[:, 48:] == 255).all()


@pytest.mark.parametrize("tile", [32, 40, 48])
@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("planes", [False, True])
def test_tiles_that_reach_over_the_edge(tile: int, bits: int, planes: bool) -> None:
    """Those of 48 are listed as strips, as some programs have it."""
    values = scaled(COLOURS[:80, :90], bits)
    alike(load_image(tiff(values, bits, 2, tile=tile, planes=planes)).rgb, values * (255 / (2**bits - 1)), most=1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_fractions_of_any_length(kind: str, order: str) -> None:
    bits = 8 * int(kind[1])
    for values, photometric in ((GREY, 1), (COLOURS, 2)):
        several = [3] * (3 if values.ndim == 3 else 1)
        data = tiff((values / 255).astype(kind), bits, photometric, order, more=[(339, 3, several)])
        alike(load_image(data, "tiff").rgb, np.broadcast_to(values.reshape(96, 96, -1), (96, 96, 3)), most=1)
    signed = (GREY.astype(int) * 100 - 12_750).astype("i2")
    image = load_image(tiff(signed, 16, 1, order, more=[(339, 3, [2])]), "tiff")
    alike(image.rgb, np.dstack([GREY] * 3), most=1)
    assert image.notices == ("values of -12750 to 12750 are brought to black to white",)


def test_differences_of_samples_and_an_orientation() -> None:
    values = scaled(COLOURS, 16).astype(np.int64)
    steps = np.diff(values, axis=1, prepend=0).astype("u2")
    for planes in (False, True):
        data = tiff(steps, 16, 2, planes=planes, pack=8, more=[(317, 3, [2])])
        alike(load_image(data, "tiff").rgb, COLOURS, most=1)
    data = tiff(np.rot90(scaled(COLOURS, 4)), 4, 2, more=[(274, 3, [6])])
    alike(load_image(data, "tiff").rgb, COLOURS, most=10)


@pytest.mark.parametrize("pack", PARTS)
@pytest.mark.parametrize("layout", [{}, {"strip": 40}, {"tile": 64}])
def test_tiffs_whose_parts_are_pictures(pack: int, layout: dict[str, int]) -> None:
    alike(load_image(tiff(COLOURS, 8, 2, pack=pack, **layout), "tiff").rgb, COLOURS)
    if pack != 50001:
        alike(load_image(tiff(GREY, 8, 1, pack=pack, **layout), "tiff").rgb, np.dstack([GREY] * 3))


def test_damaged_parts_of_a_tiff() -> None:
    whole = tiff(COLOURS, 8, 2, pack=50001, strip=40)
    small = tiff(COLOURS[:40, :50], 8, 2, pack=50001)
    at = small.rindex(struct.pack("<HHII", 256, 4, 1, 50)) + 8
    for data in (whole.replace(b"VP8L", b"VP9L"), small[:at] + struct.pack("<I", 30) + small[at + 4 :]):
        with pytest.raises(MediaError, match="damaged"):
            load_image(data, "tiff")


@pytest.mark.parametrize(("pack", "name"), [(34676, "LogLuv"), (34887, "LERC"), (50002, "JPEG XL")])
def test_packings_of_a_tiff_that_are_not_read_are_named(pack: int, name: str) -> None:
    with pytest.raises(MediaError, match=f"3 x 8 bits a pixel behind {name}.*as PNG"):
        load_image(tiff(COLOURS, 8, 2, pack=pack), "tiff")


def test_heif_of_plain_samples_is_named() -> None:
    head = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heif"
    entry = b"\0\0\0\x15infe\2\0\0\0\0\1\0\0unci\0"
    with pytest.raises(MediaError, match=r"stored as plain samples \(unci\).*HEIF of HEVC or AV1.*as PNG"):
        load_image(head + b"\0\0\0\x21meta\0\0\0\0" + entry + bytes(99), "heif")


def test_what_a_tiff_holds_that_is_not_read() -> None:
    with pytest.raises(MediaError, match=r"a TIFF of 1 x complex 64 bits a pixel.*grey, colours of red.*as PNG"):
        load_image(tiff((GREY / 255).astype("f8"), 64, 1, more=[(339, 3, [6])]), "tiff")
    short = tiff(scaled(COLOURS, 4), 4, 2)
    at = 16 + 96 * 144
    with pytest.raises(MediaError, match="damaged"):
        load_image(short[:16] + short[at - 9 : at] + short[at:], "tiff")


def test_a_tiff_as_long_as_a_stl_would_be_is_none() -> None:
    data = bytearray(encoded(PIL.Image.fromarray(COLOURS), "tiff"))
    data += bytes(-(len(data) - 84) % 50)
    data[80:84] = struct.pack("<I", (len(data) - 84) // 50)
    assert sniff(bytes(data), len(data))[0] == "TIFF"


# BMP


PALETTE = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
INDICES = (GREY[:40, :51] // 64).astype(np.uint8)


def bmp(bits: int, body: bytes, kind: int = 0, table: bytes = b"", high: int = 40) -> bytes:
    start = 54 + len(table)
    head = struct.pack("<2sIIIIiiHHIIiiII", b"BM", start + len(body), 0, start, 40, 51, high, 1, bits, kind,
                       len(body), 0, 0, len(table) // 4, 0)  # fmt: skip
    return head + table + body


@pytest.mark.parametrize("from_below", [True, False])
def test_two_bits_in_a_bmp(from_below: bool) -> None:
    rows = [packed(row[None], 2, ">").ljust(16, b"\0") for row in (INDICES[::-1] if from_below else INDICES)]
    table = b"".join(bytes([*map(int, colour[::-1]), 0]) for colour in PALETTE)
    data = bmp(2, b"".join(rows), table=table, high=40 if from_below else -40)
    np.testing.assert_array_equal(load_image(data, "bmp").rgb, PALETTE[INDICES])
    with pytest.raises(MediaError, match="damaged"):
        load_image(data[:-200], "bmp")


def test_runs_of_24_bits_in_a_bmp() -> None:
    wanted = PALETTE[INDICES].copy()
    wanted[:, 30:33] = COLOURS[:40, 30:33]
    body = b""
    for row in wanted[::-1]:
        at = 0
        while at < 51:
            if at == 30:  # as they are
                body += b"\0\x03" + row[30:33, ::-1].tobytes() + b"\0"
                at = 33
                continue
            run = 1
            while at + run not in (30, 51) and (row[at + run] == row[at]).all():
                run += 1
            body += bytes([run, *map(int, row[at][::-1])])
            at += run
        body += b"\0\0"
    np.testing.assert_array_equal(load_image(bmp(24, body + b"\0\1", 4), "bmp").rgb, wanted)


@pytest.mark.parametrize(("kind", "extension"), [(4, "jpg"), (5, "png")])
def test_a_picture_inside_of_a_bmp(kind: int, extension: str) -> None:
    inner = encoded(PIL.Image.fromarray(COLOURS), extension)
    alike(load_image(bmp(0, inner, kind), "bmp").rgb)


# JPEG and PNG


@pytest.mark.parametrize("form", ["bgr24", "yuvj444p"])
def test_a_jpeg_without_loss(form: str) -> None:
    """Pillow refuses some and takes brightness for red of others."""
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream = container.add_stream("ljpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 96, 96, form
        for packet in stream.encode(av.VideoFrame.from_ndarray(COLOURS, format="rgb24")):
            container.mux(packet)
        container.mux(stream.encode(None))
    alike(load_image(file.getvalue(), "jpg").rgb)


def test_a_jpeg_that_begins_twice_or_has_its_height_behind() -> None:
    data = encoded(PIL.Image.fromarray(COLOURS), "jpg", quality=95)
    alike(load_image(b"\xff\xd8" + data, "jpg").rgb)
    at = data.index(b"\xff\xc0")
    behind = data[: at + 5] + b"\0\0" + data[at + 7 : -2] + b"\xff\xdc\0\x04\0\x60\xff\xd9"
    alike(load_image(behind, "jpg").rgb)


def test_a_png_packed_for_a_telephone() -> None:
    rgba = np.dstack([COLOURS, np.full((96, 96), 255, np.uint8)])
    rgba[:, 48:, 3] = 0
    rgba[:, 48:, :3] = 0  # multiplied by alpha
    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(rgba[..., [2, 1, 0, 3]]))
    bare = zlib.compressobj(9, zlib.DEFLATED, -15)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 96, 96, 8, 6, 0, 0, 0))
    body = chunk(b"IDAT", bare.compress(rows) + bare.flush())
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", b"\x50\0\x20\2") + header + body + chunk(b"IEND", b"")
    rgb = load_image(data, "png").rgb
    alike(rgb[:, :48], COLOURS[:, :48], most=1)
    assert (rgb[:, 48:] == 255).all()
    with pytest.raises(MediaError, match="damaged"):
        load_image(data.replace(b"\x08\x06\0\0\0", b"\x08\x02\0\0\0"), "png")


@pytest.mark.parametrize(
    "fill",
    ["var(--paint)", "var( --paint , #00f )", "var(--other, #c00)", "var(--other, rgb(204, 0, 0))", "var(--deep)"],
)
def test_a_drawing_whose_colours_have_names(fill: str) -> None:
    """As icons of today have them; resvg paints them black."""
    style = "<style>:root { --deep: var(--paint); --paint: #c00; }</style>"
    data = f'<svg xmlns="http://www.w3.org/2000/svg" width="80" height="60">{style}<rect width="40" height="60" '
    assert load_image(f'{data} fill="{fill}"/></svg>'.encode(), "svg").rgb[300, 100].tolist() == [204, 0, 0]
    wide = "".join(f"--a{i}: {f'var(--a{i + 1})' * 12};" for i in range(9))
    with pytest.raises(MediaError, match="more than 4 MB"):
        load_image(data.replace(style, f"<style>*{{{wide}}}</style>").encode() + b'fill="var(--a0)"/></svg>', "svg")
