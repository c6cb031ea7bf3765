"""How the gallery is made: its tables are what the catalogue says, and what makes them works. Fetches nothing."""

import io
import json
import shutil
import zipfile

import numpy as np
import pytest
import soundfile
from PIL import Image

from omnibind_core.errors import MediaError
from omnibind_core.media import load
from omnibind_core.store.paths import assets_directory
from tools.gallery import __main__ as collect
from tools.gallery import media, shapes_convert, sources
from tools.gallery.images import IMAGES
from tools.gallery.sentences import SENTENCES
from tools.gallery.shapes import SHAPES
from tools.gallery.sounds import SOUNDS

CATALOGUE = assets_directory() / "gallery" / "catalogue.json"
ROWS = json.loads(CATALOGUE.read_text(encoding="utf-8"))["items"]
TABLES = {
    "image": [(concept, caption) for concept, _, caption in IMAGES],
    "audio": [(concept, caption) for concept, _, caption, _ in SOUNDS],
    "point": [(concept, caption) for concept, _, caption, _ in SHAPES],
    "text": list(SENTENCES),
}
SUFFIXES = {"image": ".jpg", "audio": ".ogg", "point": ".glb", "text": ""}
MADE_HERE = ("fluid", "speech")
ASKS_THE_PACKAGE = ("opensfx", "sonicpi")  # whose credits stand in the package alone


def test_every_item_comes_from_its_row_and_every_row_gives_one():
    shelf = collect.Shelf()
    expected = []
    for modality, rows in TABLES.items():
        for concept, caption in rows:
            item, file, thumbnail = shelf.paths(modality, concept, SUFFIXES[modality])
            names = [path.relative_to(collect.GALLERY).as_posix() for path in (file, thumbnail)]
            expected.append((item, concept, caption, *(names if modality != "text" else (None, None))))
    assert [tuple(row[key] for key in ("id", "concept", "caption", "file", "thumbnail")) for row in ROWS] == expected


def test_sources_are_named_once_and_their_packages_are_known():
    for table in (IMAGES, SOUNDS, SHAPES):
        named = [row[1] for row in table]
        assert len(set(named)) == len(named)
    pools = {source.split(":")[0] for _, source, *_ in [*IMAGES, *SOUNDS]} - {*MADE_HERE, "opensfx"}
    assert pools <= set(sources.POOLS)
    assert {pool.package for pool in sources.POOLS.values()} <= set(sources.VERSIONS)
    assert {source.split("/")[0] for _, source, *_ in SHAPES} <= set(sources.FURNITURE)


def test_credits_are_those_of_the_catalogue():
    by_id = {row["id"]: row for row in ROWS}
    shelf, compared = collect.Shelf(), 0
    for modality, table in (("image", IMAGES), ("audio", SOUNDS)):
        for concept, source, *_ in table:
            row = by_id[shelf.paths(modality, concept, "")[0]]
            if source.split(":")[0] not in (*MADE_HERE, *ASKS_THE_PACKAGE):
                assert sources.credit(source) == (row["creator"], row["licence"], row["source"]), source
                compared += 1
    assert compared > 250


def test_a_source_without_a_credit_is_an_error():
    with pytest.raises(MediaError, match="creator or licence"):
        sources.credit("skimage:nobody.png")


def test_one_modality_is_rebuilt_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "ASSETS", tmp_path)
    monkeypatch.setattr(collect, "GALLERY", tmp_path / "gallery")
    (tmp_path / "gallery").mkdir()
    shutil.copy(CATALOGUE, tmp_path / "gallery" / "catalogue.json")
    shutil.copy(assets_directory() / "LICENSES.md", tmp_path)
    assert collect.main(["--only", "text"]) == 0
    assert (tmp_path / "gallery" / "catalogue.json").read_bytes() == CATALOGUE.read_bytes()
    assert (tmp_path / "LICENSES.md").read_bytes() == (assets_directory() / "LICENSES.md").read_bytes()


def test_what_cannot_be_fetched_is_said_in_three_parts(tmp_path, monkeypatch, capsys):
    def fails(_shelf):
        raise MediaError("a package that is gone", "one that is there", "choose another")

    monkeypatch.setattr(collect, "ASSETS", tmp_path)
    monkeypatch.setattr(collect, "GALLERY", tmp_path)
    monkeypatch.setattr(collect, "STEPS", {"text": fails})
    assert collect.main([]) == 2
    assert "What to do: choose another." in capsys.readouterr().err


def png(pixels):
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def test_cut_outs_are_cropped_and_set_on_white(tmp_path):
    sheet = np.zeros((200, 300, 4), np.uint8)
    sheet[50:150, 50:250] = (200, 30, 30, 255)
    image = media.picture(png(sheet))
    assert image.mode == "RGB"
    assert image.size == (448, 248)  # 200 x 100 and a margin of 6 %, doubled
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((224, 124)) == (200, 30, 30)
    media.picture_thumbnail(image, tmp_path / "new" / "thumbnail.webp")
    thumbnail = Image.open(tmp_path / "new" / "thumbnail.webp").convert("RGB")
    assert thumbnail.size == (256, 256)
    assert min(thumbnail.getpixel((128, 4))) > 245  # padded, not cropped


def test_photographs_are_made_smaller_and_cropped_to_a_square(tmp_path):
    image = media.picture(png(np.random.default_rng(0).integers(0, 200, (700, 1400, 3), np.uint8)))
    assert image.size == (640, 320)
    media.picture_thumbnail(image, tmp_path / "thumbnail.webp")
    assert max(np.asarray(Image.open(tmp_path / "thumbnail.webp").convert("RGB"))[0, 0]) < 230


def tone(seconds, rate):
    return 0.1 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize(("rate", "kept"), [(8_000, 22_050), (22_050, 22_050), (32_000, 32_000), (96_000, 44_100)])
def test_sounds_are_cut_normalised_and_of_a_usual_rate(rate, kept):
    samples, found = media.sound(tone(12, rate), rate, {})
    assert found == kept
    assert samples.dtype == np.float32
    assert len(samples) / found == pytest.approx(10.0, abs=0.1)
    assert np.abs(samples).max() == pytest.approx(10 ** (-1 / 20), rel=1e-5)
    assert np.abs(samples[-10:]).max() < 1e-3


def test_silence_goes_and_short_sounds_are_repeated(tmp_path):
    rate = 22_050
    quiet = np.zeros(rate)
    once, _ = media.sound(np.concatenate([quiet, tone(0.5, rate), quiet]), rate, {})
    assert len(once) / rate == pytest.approx(0.6, abs=0.01)
    thrice, _ = media.sound(np.concatenate([quiet, tone(0.5, rate), quiet]), rate, {"repeat": 3, "gap": 0.25})
    assert len(thrice) / rate == pytest.approx(3 * 0.6 + 2 * 0.25, abs=0.03)
    media.save_sound(thrice, rate, tmp_path / "sounds" / "tone.ogg")
    heard, found = media.decode_sound((tmp_path / "sounds" / "tone.ogg").read_bytes())
    assert (found, heard.ndim) == (rate, 1)
    assert len(heard) == len(thrice)
    media.sound_thumbnail(thrice, tmp_path / "tone.webp")
    with Image.open(tmp_path / "tone.webp") as drawn:
        assert drawn.size == (256, 256)


def test_several_channels_are_heard_as_one():
    packed = io.BytesIO()
    soundfile.write(packed, np.tile([[0.5, -0.5]], (100, 1)), 8_000, format="WAV")
    samples, rate = media.decode_sound(packed.getvalue())
    assert (samples.shape, rate) == ((100,), 8_000)
    assert np.abs(samples).max() < 1e-4


OBJ = """mtllib box.mtl
v 0 0 0
v 2 0 0
v 2 4 0
v 0 4 0
v 0 0 1
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl sheet
f 1/1 2/2 3/3
f 1/1 3/3 4/4
usemtl red
f 1 2 5
"""
MTL = """newmtl sheet
Kd 1 1 1
map_Kd sheet.png
newmtl red
Kd 1 0 0
d 0.5
"""


@pytest.fixture
def library():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr("box/box.obj", OBJ)
        files.writestr("box/box.mtl", MTL)
        files.writestr("box/sheet.png", png(np.full((8, 8, 3), 90, np.uint8)))
        files.writestr("other/box.png", b"")
    return zipfile.ZipFile(packed)


def test_a_model_becomes_a_glb_that_the_program_reads(library, tmp_path):
    upside_down = "1 0 0 0 -1 0 0 0 -1"
    parts = shapes_convert.load_parts(library, "/box/box.obj", upside_down)
    assert sorted(part.colour for part in parts) == [(1.0, 0.0, 0.0, 0.5), (1.0, 1.0, 1.0, 1.0)]
    assert [part.texture is not None for part in sorted(parts, key=lambda p: p.colour)] == [False, True]
    xyz = np.concatenate([part.xyz for part in parts])
    assert np.ptp(xyz, axis=0) == pytest.approx([0.5, 1.0, 0.25])
    path = tmp_path / "box.glb"
    path.write_bytes(shapes_convert.to_glb(parts, "somebody, CC0-1.0"))
    cloud = load(path, "point")
    assert len(cloud.surfaces) == 2
    assert sum(len(surface.faces) for surface in cloud.surfaces) == 3
    assert sum(surface.texture is not None for surface in cloud.surfaces) == 1


def test_parts_of_one_material_become_one_even_without_normals():
    faces = np.array([[0, 1, 2]])
    part = shapes_convert.Part(np.eye(3), None, None, faces, (1.0, 0.0, 0.0, 1.0), None)
    merged = shapes_convert.merge_alike([part, part])
    assert len(merged) == 1
    assert merged[0].normals is None
    assert merged[0].faces.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_mesh_that_stays_too_large_is_an_error(library, monkeypatch):
    monkeypatch.setattr(shapes_convert, "MOST_BYTES", 100)
    parts = shapes_convert.load_parts(library, "/box/box.obj", None)
    with pytest.raises(MediaError, match="at most 100"):
        shapes_convert.to_glb(parts, "")


def test_what_is_no_resource_archive_is_an_error(tmp_path):
    path = tmp_path / "broken.rcc"
    path.write_bytes(bytes(20))
    with pytest.raises(MediaError, match=r"broken\.rcc"):
        sources.read_rcc(path)
