"""Pictures as people have them: each kind of strangeness, and what is to be seen of it."""

from __future__ import annotations

import gzip
import io
import itertools
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import limits, load_image
from omnibind_core.store.paths import assets_directory

from .makers import bomb_png, encoded, picture

COLOURS = np.asarray(PIL.Image.open(io.BytesIO(picture("png"))).convert("RGB"))


def alike(rgb: np.ndarray, wanted: np.ndarray = COLOURS, most: float = 6.0) -> None:
    assert rgb.shape == wanted.shape
    assert np.abs(rgb.astype(int) - wanted).mean() < most


def chunk(kind: bytes, data: bytes, right: bool = True) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ (not right))


def with_chunk(*chunks: bytes) -> bytes:
    """Put chunks behind the header of a PNG."""
    data = picture("png")
    return data[:33] + b"".join(chunks) + data[33:]


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 5_000_000))),
        with_chunk(chunk(b"tEXt", b"Comment\0" + b"a" * 5_000_000)),
        with_chunk(chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"a" * 5_000_000))),
        with_chunk(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * 900_000))] * 80),
        with_chunk(chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"p" * 3_000_000))),
        with_chunk(chunk(b"iCCP", b"profile\0\0not compressed")),
        with_chunk(chunk(b"tEXt", b"Comment\0hello", right=False)),
        with_chunk(chunk(b"pHYs", b"\0", right=False)),
        with_chunk(chunk(b"eXIf", b"no EXIF at all")),
    ],
)
def test_what_a_png_says_beside_its_pixels_does_not_matter(data: bytes) -> None:
    image = load_image(data)
    np.testing.assert_array_equal(image.rgb, COLOURS)
    assert len(image.notices) == 0


def test_a_wrong_checksum_of_the_pixels_is_said() -> None:
    data = bytearray(picture("png"))
    place = data.index(b"IDAT")
    end = place + 4 + int.from_bytes(data[place - 4 : place], "big")
    data[end] ^= 1
    image = load_image(bytes(data))
    np.testing.assert_array_equal(image.rgb, COLOURS)
    assert image.notices == ("1 part of the picture with a wrong checksum read all the same",)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_wrong_sum_of_the_packed_pixels_is_said(parts: int) -> None:
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in COLOURS))[:-4] + b"\1\2\3\4"
    size = -(-len(body) // parts)
    header = struct.pack(">IIBBBBB", COLOURS.shape[1], COLOURS.shape[0], 8, 2, 0, 0, 0)
    packed = [chunk(b"IDAT", body[at : at + size]) for at in range(0, len(body), size)]
    image = load_image(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(packed) + chunk(b"IEND", b""), "png")
    alike(image.rgb, COLOURS)
    assert image.notices == ("1 part of the picture with a wrong checksum read all the same",)


@pytest.mark.parametrize("missing", [1, 2, 20])
def test_jpeg_without_its_end(missing: int) -> None:
    image = load_image(picture("jpg")[:-missing])
    alike(image.rgb)
    assert not image.notices or "the end of the file is missing" in image.notices[0]


def test_a_progressive_jpeg_is_seen_as_far_as_it_goes(assets: Path) -> None:
    with PIL.Image.open(assets / "images" / "cheetah.jpg") as whole:
        data = encoded(whole.convert("RGB"), "jpg", progressive=True)
        wanted = np.asarray(whole)
    image = load_image(data[: int(0.7 * len(data))])
    assert image.rgb.shape == wanted.shape
    assert np.abs(image.rgb.astype(int) - wanted).mean() < 12
    assert image.notices == ("the end of the file is missing: what is there is seen",)


@pytest.mark.parametrize("extension", ["jpg", "png", "bmp", "gif", "tiff"])
def test_half_a_picture_is_what_is_there(assets: Path, extension: str) -> None:
    with PIL.Image.open(assets / "images" / "cheetah.jpg") as whole:
        options = {"interlace": 0} if extension == "gif" else {}
        data = encoded(whole.convert("P" if extension == "gif" else "RGB"), extension, **options)
        wanted = np.asarray(whole.convert("P").convert("RGB") if extension == "gif" else whole)
    image = load_image(data[: len(data) // 2])
    rows = len(image.rgb)
    assert 0.3 < rows / len(wanted) < 0.7
    if extension != "bmp":  # which is written from below
        assert np.abs(image.rgb[: rows - 20].astype(int) - wanted[: rows - 20]).mean() < 6
    assert image.notices == (
        f"{100 * rows / len(wanted):.0f} % of the picture are there: the rest of the file is missing",
    )


def test_half_of_every_other_row(assets: Path) -> None:
    with PIL.Image.open(assets / "images" / "cheetah.jpg") as whole:
        small = whole.convert("P")
    data = encoded(small, "gif", interlace=1)
    image = load_image(data[: len(data) * 3 // 4])
    assert len(image.rgb) > 0.98 * small.height
    assert np.abs(image.rgb.astype(int) - np.asarray(small.convert("RGB"))[: len(image.rgb)]).mean() < 30


@pytest.mark.parametrize("extension", ["jpg", "png", "gif", "webp"])
@pytest.mark.parametrize("junk", [b"\r\n", bytes(700), b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"])
def test_junk_before_a_picture(extension: str, junk: bytes) -> None:
    alike(load_image(junk + picture(extension), extension=extension).rgb, most=8)


def test_alpha_of_zero_everywhere_is_ignored() -> None:
    clear = np.dstack([COLOURS, np.zeros(COLOURS.shape[:2], np.uint8)])
    for extension in ("png", "webp"):
        options = {"lossless": True, "exact": True} if extension == "webp" else {}
        image = load_image(encoded(PIL.Image.fromarray(clear), extension, **options))
        np.testing.assert_array_equal(image.rgb, COLOURS)
        assert image.notices == ("the picture is transparent everywhere: its transparency is ignored",)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_white_on_transparent_is_seen(mode: str) -> None:
    drawing = PIL.Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    drawing.paste((250, 250, 250, 255), (16, 16, 48, 48))
    data = encoded(drawing.convert(mode), "png")
    image = load_image(data)
    assert image.rgb[2, 2].max() < 30
    assert image.rgb[32, 32].min() > 230
    assert image.notices == ("white on a transparent ground: seen on black",)


def test_what_shows_on_white_stays_on_white() -> None:
    for colour in ((0, 0, 0), (200, 120, 40), (255, 255, 0)):
        drawing = PIL.Image.new("RGBA", (64, 64), (255, 255, 255, 0))
        drawing.paste((*colour, 255), (16, 16, 48, 48))
        image = load_image(encoded(drawing, "png"))
        assert image.rgb[2, 2].tolist() == [255, 255, 255]
        assert image.rgb[32, 32].tolist() == list(colour)
        assert not image.notices


@pytest.mark.parametrize("extension", ["gif", "webp", "png"])
def test_a_blank_first_frame_is_passed_over(extension: str) -> None:
    frames = [PIL.Image.new("RGB", (96, 96), shade) for shade in ("black", "black", "white")]
    frames.append(PIL.Image.fromarray(COLOURS))
    data = encoded(frames[0], extension, save_all=True, append_images=frames[1:])
    image = load_image(data)
    alike(image.rgb, most=12)
    assert image.notices[0].startswith("the first frame is blank: number ")
    blank = load_image(encoded(frames[0], extension, save_all=True, append_images=frames[1:3]))
    assert (blank.rgb == 0).all()
    assert not blank.notices


def key_png(colour_type: int, bits: int, rows: list[bytes], key: bytes, width: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, len(rows), bits, colour_type, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        itertools.starmap(chunk, [(b"IHDR", header), (b"tRNS", key), (b"IDAT", body), (b"IEND", b"")])
    )


def test_a_transparent_colour_of_any_depth() -> None:
    grey = struct.pack(">4H", 0x1234, 0x8000, 0x1235, 0)
    assert load_image(key_png(0, 16, [grey], b"\x12\x34", 4)).rgb[0, :, 0].tolist() == [255, 128, 18, 0]
    colour = struct.pack(">6H", 0x1234, 0x5678, 0x9ABC, 0, 0, 0)
    rgb = load_image(key_png(2, 16, [colour], b"\x12\x34\x56\x78\x9a\xbc", 2)).rgb
    assert rgb[0].tolist() == [[255, 255, 255], [0, 0, 0]]
    four_bits = load_image(key_png(0, 4, [b"\x37\xf0"], b"\0\3", 4)).rgb
    assert four_bits[0, :, 0].tolist() == [255, 119, 255, 0]


def test_tiff_pages_and_depths() -> None:
    pages = [PIL.Image.fromarray(COLOURS), PIL.Image.new("RGB", (8, 8))]
    image = load_image(encoded(pages[0], "tiff", save_all=True, append_images=pages[1:]))
    np.testing.assert_array_equal(image.rgb, COLOURS)
    assert image.notices == ("the first of several pages is seen",)
    wide = load_image(encoded(PIL.Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 257), "tiff"))
    np.testing.assert_array_equal(wide.rgb[..., 0], COLOURS[..., 0])
    fractions = load_image(encoded(PIL.Image.fromarray(COLOURS[..., 0].astype(np.float32) / 255), "tiff"))
    assert np.abs(fractions.rgb[..., 0].astype(int) - COLOURS[..., 0]).max() <= 1


@pytest.mark.parametrize("extension", ["heic", "avif", "jpg", "webp", "png"])
def test_pictures_are_upright(extension: str) -> None:
    flat = PIL.Image.fromarray(COLOURS[:48])
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    if extension == "heic":  # turned by a property of its own, not by EXIF
        flat.info["exif"] = exif.tobytes()
        data = encoded(flat, extension)
        assert b"irot" in data
    else:
        data = encoded(flat, extension, exif=exif)
    rgb = load_image(data).rgb
    assert rgb.shape == (96, 48, 3)
    assert np.abs(rgb[5, -5].astype(int) - (255, 0, 0)).max() < 45


def test_photographs_of_many_megapixels() -> None:
    ramp = PIL.Image.linear_gradient("L")
    for side, extension, least in ((6_000, "jpg", 3_000), (12_000, "jpg", 3_000), (6_000, "png", 3_000)):
        image = load_image(encoded(ramp.resize((side, side)), extension))
        assert image.rgb.shape == (least, least, 3)
        assert image.rgb.nbytes <= 3 * limits.KEEP_PIXELS
        assert np.abs(image.rgb[::500, 5, 0].astype(int) - np.linspace(0, 255, least)[::500]).max() < 4
    assert load_image(bomb_png(8_000, 8_000)).rgb.shape == (4_000, 4_000, 3)
    with pytest.raises(MediaError, match=r"at most 64 megapixels.*save it as JPEG"):
        load_image(bomb_png(8_100, 8_000))


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {}>{}</svg>'


def test_drawings_are_drawn() -> None:
    image = load_image(SVG.format('viewBox="0 0 20 10"', '<rect width="10" height="10" fill="red"/>').encode())
    assert image.rgb.shape == (384, 768, 3)
    assert image.rgb[200, 100].tolist() == [255, 0, 0]
    assert image.rgb[200, 700].tolist() == [255, 255, 255]
    declared = '<?xml version="1.0" encoding="utf-16"?>\n<!-- a comment -->\n' + SVG.format("", '<circle r="9"/>')
    assert load_image(declared.replace("utf-16", "utf-8").encode(), extension="svg").rgb.min() == 0


@pytest.mark.parametrize("link", ["{}", "file://{}", "&#x2f;{}", "data:image/svg+xml,%3Csvg/%3E"])
@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
def test_drawings_open_no_files(tmp_path: Path, link: str, attribute: str) -> None:
    (tmp_path / "secret.png").write_bytes(picture("png"))
    place = str(tmp_path / "secret.png")
    target = link.format(place.lstrip("/") if link.startswith("&") else place)
    image = load_image(
        SVG.format('width="9" height="9"', f'<image width="9" height="9" {attribute}="{target}"/>').encode()
    )
    assert (image.rgb == 255).all()
    assert image.notices == ("1 link out of the drawing not followed",)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<svg >", "not valid XML"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="1"/>', "a strip"),
        (SVG.format("", "<g/>" * 20_001).encode(), "more than 20,000 elements"),
        (b"<html></html>", "XML or HTML data"),
    ],
)
def test_bad_drawings(data: bytes, words: str) -> None:
    with pytest.raises(MediaError) as caught:
        load_image(data, extension="svg")
    assert words in str(caught.value)


def test_a_drawing_that_refers_to_itself_again_and_again_ends() -> None:
    levels = "".join(
        f'<g id="g{level}">' + f'<use href="#g{level + 1}"/>' * 10 + "</g>" for level in range(12)
    )  # 10**12 rectangles
    data = SVG.format('width="9" height="9"', f'<g id="g12"><rect width="1" height="1"/></g>{levels}').encode()
    with pytest.raises(MediaError):
        load_image(data)


def test_a_jpeg_whose_first_segment_is_not_the_usual_one_is_not_taken_for_its_thumbnail(tmp_path):
    def jpeg(size):
        kept = io.BytesIO()
        PIL.Image.new("RGB", size, "red").save(kept, "jpeg")
        return kept.getvalue()

    def segment(mark, body):
        return b"\xff" + bytes([mark]) + (len(body) + 2).to_bytes(2, "big") + body

    xmp = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>")
    for first in (b"", xmp):
        path = tmp_path / "first.jpg"
        photoshop = segment(0xED, b"Photoshop 3.0\0" + jpeg((16, 12)))
        path.write_bytes(b"\xff\xd8" + first + photoshop + jpeg((640, 480))[2:])
        assert load_image(path).rgb.shape == (480, 640, 3)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"quality": 95}])
@pytest.mark.parametrize("extension", ["webp", "avif", "heic"])
@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_what_is_there_of_a_format_that_must_be_whole(extension: str, options: dict[str, object], share: float) -> None:
    if (extension, share) == ("avif", 0.5):
        pytest.skip("its tiles lie side by side: of the first rows one is missing")
    if extension != "webp":
        options = {name: value for name, value in options.items() if name != "lossless"}
    with PIL.Image.open(assets_directory() / "gallery" / "images" / "dog-1.jpg") as opened:
        data = encoded(opened.convert("RGB"), extension, **options)
    whole, part = load_image(data), load_image(data[: int(len(data) * share)])
    rows = len(part.rgb)
    assert 0.1 * len(whole.rgb) <= rows <= share * len(whole.rgb) + 20
    assert (part.rgb[: rows - 2] == whole.rgb[: rows - 2]).all()
    assert re.search(
        r"(\d+ % of the picture are|the end of the file is missing: what is) (there|seen)", part.notices[0]
    )


def test_letters_among_the_pixels_are_no_animation() -> None:
    lettered = COLOURS.copy()
    lettered[:9, 0] = [*b"xac"]
    lettered[:9, 1] = [*b"TLx"]
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in lettered), 0)
    header = struct.pack(">IIBBBBB", lettered.shape[1], lettered.shape[0], 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body)
    image = load_image(data[: len(data) * 2 // 3], "png")
    alike(image.rgb, lettered[: len(image.rgb)])
    assert len(image.notices) == 1 and "of the picture are there" in image.notices[0]


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_what_is_there_of_a_drawing_in_webp(share: float) -> None:
    y, x = np.mgrid[:240, :320]
    drawn = np.dstack([x * 255 // 319, y * 255 // 239, (x // 40 + y // 40) % 2 * 200]).astype(np.uint8)
    whole = encoded(PIL.Image.fromarray(drawn), "webp", quality=95)
    seen = load_image(whole[: int(share * len(whole))], "webp")
    rows = len(seen.rgb)
    assert rows > 0.5 * share * 240
    np.testing.assert_array_equal(seen.rgb, load_image(whole, "webp").rgb[:rows])
    assert "missing" in seen.notices[0]


@pytest.mark.parametrize("extension", ["webp", "avif", "heic"])
def test_hardly_anything_is_no_picture(extension: str) -> None:
    with PIL.Image.open(assets_directory() / "gallery" / "images" / "dog-1.jpg") as opened:
        data = encoded(opened.convert("RGB"), extension)
    for share in (0.02, 0.06):
        with pytest.raises(MediaError, match=r"damaged|of another|unknown"):
            load_image(data[: int(len(data) * share)], extension=extension)


def tiff(
    samples: np.ndarray, *, form: int = 1, planes: bool = False, strips: int = 1, order: str = "<", white: int = 0xFFFF
) -> bytes:
    """A TIFF whose directory comes first, uncompressed."""
    high, wide = samples.shape[:2]
    several = samples.shape[2] if samples.ndim == 3 else 1
    data = samples.transpose(2, 0, 1) if planes else samples
    body = data.astype(data.dtype.newbyteorder(order)).tobytes()
    count = several if planes else strips
    size = len(body) // count
    tags = [
        (256, 4, [wide]), (257, 4, [high]), (258, 3, [8 * samples.itemsize] * several), (259, 3, [1]),
        (262, 3, [2 if several > 2 else min(white, 1)]), (273, 4, [0] * count), (277, 3, [several]),
        (278, 4, [high // strips]),
        (279, 4, [size] * count), (284, 3, [2 if planes else 1]), (339, 3, [form] * several),
    ]  # fmt: skip
    start = 8 + 2 + 12 * len(tags) + 4
    room = sum(len(v) * (2 if kind == 3 else 4) for _, kind, v in tags if len(v) * (2 if kind == 3 else 4) > 4)
    tags[5] = (273, 4, [start + room + i * size for i in range(count)])
    entries, far = b"", b""
    for tag, kind, values in tags:
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        entries += struct.pack(f"{order}HHI", tag, kind, len(values))
        if len(packed) <= 4:
            entries += packed.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", start + len(far))
            far += packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return head + entries + bytes(4) + far + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_that_pillow_gets_wrong_or_refuses(order: str) -> None:
    alike(load_image(tiff(COLOURS.astype("u2") * 257, planes=True, order=order)).rgb, most=1)
    alike(load_image(tiff(COLOURS.astype("f4") / 255, form=3, order=order)).rgb, most=1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_grey_whose_white_is_zero(order: str) -> None:
    for grey in (COLOURS[..., 0].astype("u2") * 257, COLOURS[..., 0]):
        alike(load_image(tiff(~grey, order=order, white=0)).rgb, load_image(tiff(grey, order=order)).rgb, most=1)


def test_a_tiff_without_its_end() -> None:
    data = tiff(COLOURS, strips=8)
    part = load_image(data[: int(len(data) * 0.8)])
    alike(part.rgb, COLOURS[:72], most=0.1)
    assert part.notices == ("75 % of the picture are there: the rest of the file is missing",)
    last = encoded(PIL.Image.fromarray(COLOURS), "tiff", compression="tiff_lzw")
    with pytest.raises(MediaError, match="its directory, which stands at the end, is missing"):
        load_image(last[: len(last) * 9 // 10])


@pytest.mark.parametrize(
    ("scale", "kind", "notice"),
    [
        (1, "u2", "8 bits are read: no value is above 255"),
        (4, "u2", "10 bits are read: no value is above 1,023"),
        (16, "u2", "12 bits are read: no value is above 4,095"),
        (257, "u2", None),
        (1, "i4", "8 bits are read: no value is above 255"),
        (1_000, "i4", "values of 0 to 255,000 are brought to black to white"),
        (1 / 255, "f4", None),
        (1, "f4", None),
        (257, "f4", "values of 0 to 65535 are brought to black to white"),
    ],
)
def test_grey_of_any_range_fills_black_to_white(scale: float, kind: str, notice: str | None) -> None:
    grey = COLOURS[..., 0]
    image = load_image(encoded(PIL.Image.fromarray((grey.astype(np.float64) * scale).astype(kind)), "tiff"))
    alike(image.rgb, np.stack([grey] * 3, axis=2), most=1.1)
    assert image.notices == (() if notice is None else (notice,))


DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" {}><rect width="40" height="60" fill="#c00"/></svg>'


@pytest.mark.parametrize("unit", ["", "px", "pt", "pc", "mm", "cm", "in", "em"])
def test_drawings_in_any_unit(unit: str) -> None:
    rgb = load_image(DRAWING.format(f'width="8{unit}" height="6{unit}" viewBox="0 0 80 60"').encode()).rgb
    assert rgb.shape[1] == 768
    assert rgb.shape[0] == pytest.approx(576, abs=20)  # small drawings are rounded to whole pixels first
    assert rgb[300, 100].tolist() == [204, 0, 0]
    assert rgb[300, 700].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "pack",
    [
        lambda text: text.encode("utf-16"),
        lambda text: f"<!-- {'x' * 6_000} -->{text}".encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: gzip.compress(text.encode()),
    ],
)
def test_drawings_packed_in_other_ways(pack) -> None:
    data = pack(DRAWING.format('viewBox="0 0 80 60"'))
    for extension in ("svg", "svgz") if data[:1] == b"\x1f" else ("svg",):
        assert load_image(data, extension=extension).rgb[300, 100].tolist() == [204, 0, 0]


def test_a_drawing_that_unpacks_without_end_is_refused() -> None:
    with pytest.raises(MediaError, match="more than 4 MB"):
        load_image(gzip.compress(b"<svg>" + b" " * 50_000_000), extension="svgz")
    with pytest.raises(MediaError, match="damaged"):
        load_image(b"\x1f\x8b" + bytes(200), extension="svgz")


def masked_bmp(rgba: np.ndarray, bits: int, masks: tuple[int, ...], from_below: bool = True) -> bytes:
    """A BMP whose samples lie where masks say: three in a header of 40 bytes, four in one of 56."""
    height, width = rgba.shape[:2]
    pixels = np.zeros((height, width), np.uint32)
    for channel, mask in enumerate(masks):
        shift = (mask & -mask).bit_length() - 1
        pixels |= np.round(rgba[..., channel] * ((mask >> shift) / 255)).astype(np.uint32) << np.uint32(shift)
    rows = np.ascontiguousarray(pixels.astype(f"<u{bits // 8}")[:: -1 if from_below else 1]).view(np.uint8)
    rows = np.pad(rows.reshape(height, -1), ((0, 0), (0, -rows.reshape(height, -1).shape[1] % 4)))
    size = 56 if len(masks) == 4 else 40
    start = 14 + size + (0 if len(masks) == 4 else 12)
    head = struct.pack("<2sIIIIiiHHI", b"BM", start + rows.size, 0, start, size, width,
                       height if from_below else -height, 1, bits, 3)  # fmt: skip
    return head + bytes(20) + struct.pack(f"<{len(masks)}I", *masks) + rows.tobytes()


@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (16, (0x0F00, 0x00F0, 0x000F)),
        (16, (0x0F00, 0x00F0, 0x000F, 0xF000)),
        (16, (0x3000, 0x0E00, 0x0001)),
        (32, (0x00FF, 0xFF00, 0xFF000000)),
        (32, (0x3FF00000, 0x000FFC00, 0x000003FF)),
        (32, (0xFC000000, 0x03FE0000, 0x0001F000, 0x00000FFF)),
    ],
)
@pytest.mark.parametrize("from_below", [True, False])
def test_a_bmp_has_its_samples_where_masks_say(bits: int, masks: tuple[int, ...], from_below: bool) -> None:
    rgba = np.dstack([COLOURS[:90, :81], np.full((90, 81), 255)])
    seen = load_image(masked_bmp(rgba, bits, masks, from_below)).rgb
    levels = np.array([(mask // (mask & -mask)) for mask in masks[:3]])
    wanted = np.round(np.round(rgba[..., :3] * (levels / 255)) * (255 / levels))
    np.testing.assert_allclose(seen, wanted, atol=1)


def test_alpha_of_a_masked_bmp_is_seen_and_its_size_is_bounded() -> None:
    rgba = np.dstack([COLOURS, np.full((96, 96), 255)])
    rgba[:, 48:, 3] = 0
    data = masked_bmp(rgba, 16, (0x0F00, 0x00F0, 0x000F, 0xF000))
    assert (load_image(data).rgb[:, 48:] == 255).all()
    with pytest.raises(MediaError, match="megapixels"):
        load_image(data[:18] + struct.pack("<ii", 30_000, 30_000) + data[26:])
    with pytest.raises(MediaError, match="damaged or incomplete"):
        load_image(data[:18] + struct.pack("<ii", 8_000, 8_000) + data[26:])
    half = load_image(data[: len(data) // 2])
    assert half.rgb.shape == (47, 96, 3)
    assert half.notices == ("49 % of the picture are there: the rest of the file is missing",)


def test_runs_of_four_bits_in_a_bmp_are_no_stripes() -> None:
    """Pillow makes stripes of them, silently."""
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)
    indices = np.random.default_rng(0).integers(0, 5, (40, 51))
    indices[10:20, 5:30] = 3
    body = b""
    for row in indices[::-1]:
        at = 0
        while at < len(row):
            run = 1
            while at + run < len(row) and row[at + run] == row[at] and run < 255:
                run += 1
            if run > 2:
                body += bytes([run, int(row[at]) * 17])
            else:  # as they are: pairs of them, filled up to two bytes
                run = min(7, len(row) - at)
                if run < 3:
                    body += bytes([run, int(row[at]) << 4 | int(row[at + run - 1])])
                else:
                    some = [*map(int, row[at : at + run]), 0, 0, 0, 0]
                    pairs = bytes(some[i] << 4 | some[i + 1] for i in range(0, run, 2))
                    body += bytes([0, run]) + pairs + bytes(len(pairs) % 2)
            at += run
        body += b"\0\0"
    body += b"\0\1"
    table = b"".join(bytes([*map(int, colour[::-1]), 0]) for colour in palette).ljust(64, b"\0")
    head = struct.pack("<2sIIIIiiHHIIiiII", b"BM", 118 + len(body), 0, 118, 40, 51, 40, 1, 4, 2, len(body), 0, 0, 16, 0)
    np.testing.assert_array_equal(load_image(head + table + body).rgb, palette[indices])


def test_of_a_damaged_animation_the_picture_that_stands_for_it_is_seen() -> None:
    file = io.BytesIO()
    first = PIL.Image.fromarray(COLOURS)
    first.save(file, "PNG", save_all=True, append_images=[first.rotate(90), first.rotate(180)])
    data = bytearray(file.getvalue())
    at = data.index(b"fcTL")
    data[at + 4 : at + 8] = struct.pack(">I", 7)  # out of its order
    data[at + 30 : at + 34] = struct.pack(">I", zlib.crc32(bytes(data[at : at + 30])))
    image = load_image(bytes(data))
    np.testing.assert_array_equal(image.rgb, COLOURS)
    assert image.notices == ("its animation is damaged: the picture that stands for it is seen",)


def test_an_avif_whose_alpha_breaks_a_rule_is_read() -> None:
    """Files of old encoders do not say how large their alpha is: libavif refuses them."""
    rgba = np.dstack([COLOURS, np.full((96, 96), 255, np.uint8)])
    rgba[:, 48:, 3] = 0
    data = bytearray(encoded(PIL.Image.fromarray(rgba), "avif", quality=95))
    kinds, at = [], data.index(b"ipco") + 4
    end = at - 8 + int.from_bytes(data[at - 8 : at - 4], "big")
    while at < end:
        kinds.append(bytes(data[at + 4 : at + 8]))
        at += int.from_bytes(data[at : at + 4], "big")
    at = data.index(b"ipma") + 12
    for _ in range(2):
        for place in range(at + 3, at + 3 + data[at + 2]):
            if data[at + 1] == 2 and data[place] & 0x7F == kinds.index(b"ispe") + 1:
                data[place] = kinds.index(b"pixi") + 1
        at += 3 + data[at + 2]
    with pytest.raises(PIL.UnidentifiedImageError):
        PIL.Image.open(io.BytesIO(data))
    rgb = load_image(bytes(data)).rgb
    alike(rgb[:, :44], COLOURS[:, :44])
    assert (rgb[:, 52:] > 250).all()


def test_a_sequence_without_a_still_shows_its_first_picture() -> None:
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=2, options={"crf": "10", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(COLOURS, format="rgb24")))
        container.mux(stream.encode(None))
    data = file.getvalue()
    size = int.from_bytes(data[:4], "big")
    alike(load_image(data[:8] + b"msf1" + bytes(4) + b"msf1hevc".ljust(size - 16, b"\0") + data[size:], "heic").rgb)


@pytest.mark.parametrize("across", [1, 2])
def test_colours_of_an_uncompressed_ycbcr_tiff(across: int) -> None:
    """Pillow takes brightness for red and so on."""
    samples = np.asarray(PIL.Image.fromarray(COLOURS).convert("YCbCr"))
    pairs = samples.reshape(96, 96 // across, across, 3)
    body = np.concatenate([pairs[..., 0], pairs[:, :, 0, 1:]], axis=2).tobytes()
    start = 8 + len(body) + 2 + 12 * 11 + 4
    tags = [
        *((256, 3, 1, 96), (257, 3, 1, 96), (258, 3, 3, start), (259, 3, 1, 1), (262, 3, 1, 6), (273, 4, 1, 8)),
        *((277, 3, 1, 3), (278, 3, 1, 96), (279, 4, 1, len(body)), (284, 3, 1, 1), (530, 3, 2, 1 << 16 | across)),
    ]
    directory = struct.pack("<H", 11) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    data = b"II*\0" + struct.pack("<I", 8 + len(body)) + body + directory + struct.pack("<3H", 8, 8, 8)
    image = load_image(data, "tiff")
    alike(image.rgb, most=3.0)
    assert not image.notices
