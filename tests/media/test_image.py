from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from omnibind_core.errors import MediaError
from omnibind_core.media import load_image
from omnibind_core.media.image import FORMATS
from omnibind_core.types import Image

from .makers import bomb_png, encoded, picture


@pytest.mark.parametrize("extension", FORMATS)
def test_each_format_gives_the_same_picture(extension: str) -> None:
    rgb = load_image(picture(extension), extension=extension).rgb
    assert rgb.shape == ((768, 768, 3) if extension in ("svg", "svgz") else (96, 96, 3))
    assert rgb.dtype == np.uint8
    assert np.abs(rgb[5, 5].astype(int) - (255, 0, 0)).max() < 45


@pytest.mark.parametrize("name", ["cheetah.jpg", "lion.jpg", "tower.jpg", "logo.png", "screenshot.gif", "groot.jpeg"])
def test_real_pictures(assets: Path, name: str) -> None:
    assert load_image(assets / "images" / name).rgb.std() > 5


def test_a_gif_named_png_is_read_as_what_it_is(assets: Path) -> None:
    assert load_image(str(assets / "images" / "bus.png")).rgb.shape == (68, 61, 3)


def test_orientation_of_exif_is_applied() -> None:
    image = PIL.Image.new("RGB", (40, 20), "white")
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees to view
    assert load_image(encoded(image, "jpg", exif=exif)).rgb.shape == (40, 20, 3)


def test_transparent_becomes_white() -> None:
    image = PIL.Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (load_image(encoded(image, "png")).rgb == 255).all()
    palette = PIL.Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30, 0, 0, 0])
    assert (load_image(encoded(palette, "png", transparency=0)).rgb == 255).all()
    assert (load_image(encoded(palette, "png")).rgb == (10, 20, 30)).all()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = np.array([[0, 257, 32_896, 65_535]], np.uint16)
    rgb = load_image(encoded(PIL.Image.fromarray(grey), "png")).rgb
    assert rgb[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "RGB", "RGBA", "YCbCr", "I;16", "I", "F"])
def test_every_mode_of_pillow(mode: str) -> None:
    rgb = load_image(PIL.Image.new(mode, (6, 4))).rgb
    assert rgb.shape == (4, 6, 3)
    assert rgb.dtype == np.uint8


def test_cmyk_jpeg() -> None:
    rgb = load_image(encoded(PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpg")).rgb
    assert rgb[4, 4, 0] > 200 > 60 > rgb[4, 4, 1]


def test_first_frame_of_animations() -> None:
    frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for extension in ("gif", "webp", "png"):
        data = encoded(frames[0], extension, save_all=True, append_images=frames[1:])
        assert load_image(data).rgb[4, 4].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_arrays_and_images() -> None:
    array = np.zeros((4, 6, 3), np.uint8)
    image = load_image(array)
    assert image.rgb.shape == (4, 6, 3)
    assert image.rgb.flags.writeable
    assert load_image(image) is image
    assert load_image(np.full((4, 6), 7, np.uint8)).rgb[0, 0].tolist() == [7, 7, 7]
    assert load_image(np.zeros((4, 6, 4), np.uint8)).rgb[0, 0].tolist() == [255, 255, 255]
    for bad in (np.zeros((4, 6, 3)), np.zeros((4, 6, 2), np.uint8), np.zeros(5, np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(MediaError):
            load_image(bad)


def test_bombs_are_refused_by_their_header() -> None:
    with pytest.raises(MediaError, match=r"30,000 x 30,000 pixels, 900.0 megapixels.*at most 64 megapixels"):
        load_image(bomb_png(30_000, 30_000))
    with pytest.raises(MediaError, match=r"169\.0 megapixels"):
        load_image(bomb_png(13_000, 13_000))
    with pytest.raises(MediaError, match="strip"):
        load_image(bomb_png(20_000, 100))
    with pytest.raises(MediaError, match="megapixels"):
        load_image(PIL.Image.new("1", (9_000, 9_000)))


def test_damage_is_an_error(assets: Path) -> None:
    data = (assets / "images" / "cheetah.jpg").read_bytes()
    with pytest.raises(MediaError, match=r"damaged or incomplete"):
        load_image(data[: len(data) // 15])
    with pytest.raises(MediaError, match="damaged or incomplete"):
        load_image(b"\0\0\0\x18ftypheic" + bytes(100), extension="jpg")
    with pytest.raises(MediaError, match="as a picture"):
        load_image(None)  # type: ignore[arg-type]


def test_a_damaged_pillow_image_is_an_error(assets: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    path.write_bytes((assets / "images" / "cheetah.jpg").read_bytes()[:20_000])
    with PIL.Image.open(path) as image, pytest.raises(MediaError):
        load_image(image)


def test_the_picture_of_a_caller_stays_as_it_is(tmp_path: Path) -> None:
    PIL.Image.linear_gradient("L").resize((6_000, 6_000)).save(tmp_path / "large.jpg")
    with PIL.Image.open(tmp_path / "large.jpg") as image:
        assert load_image(image).rgb.shape == (3_000, 3_000, 3)
        assert image.size == (6_000, 6_000)


def test_what_comes_back_is_an_image() -> None:
    assert isinstance(load_image(picture("png")), Image)


@pytest.mark.parametrize("side", [4_400, 64])
def test_a_jpeg_of_repeated_passes_is_refused_at_once(side: int) -> None:
    """Ten bytes each, and a pass over all pixels each: 900 kB of them took the whole deadline, then the process."""
    stream = io.BytesIO()
    PIL.Image.new("RGB", (side, side), (9, 9, 9)).save(stream, "JPEG", progressive=True, quality=1)
    whole = stream.getvalue()
    scan = whole[whole.rindex(b"\xff\xda") : -2]
    start = time.perf_counter()
    with pytest.raises(MediaError, match="passes over"):
        load_image(whole[:-2] + scan * 20_000 + whole[-2:], extension="jpg")
    assert time.perf_counter() - start < 3
    assert load_image(whole[:-2] + scan * 10 + whole[-2:], extension="jpg").rgb.shape[2] == 3
