"""Makes small media files, sound and broken ones, for the tests of this folder."""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import pillow_heif
import soundfile
import trimesh

from omnibind_core.media import load_points
from omnibind_core.media.shapes import TO_Y_UP
from omnibind_core.media.upright import turn
from omnibind_core.store.paths import assets_directory

RATE = 16_000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype(np.float32)


def picture(extension: str, side: int = 96) -> bytes:
    """A smooth gradient with a red corner on top left."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    rgb = np.stack([np.tile(ramp, (side, 1)), np.tile(ramp[:, None], (1, side)), np.full((side, side), 90)], axis=-1)
    rgb[: side // 4, : side // 4] = (255, 0, 0)
    return encoded(PIL.Image.fromarray(rgb.astype(np.uint8)), extension)


def encoded(image: PIL.Image.Image, extension: str, **options: Any) -> bytes:
    file = io.BytesIO()
    if extension == "svgz":
        return gzip.compress(encoded(image, "svg", **options))
    if extension == "svg":
        link = base64.b64encode(encoded(image, "png")).decode()
        width, height = image.size
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
            f'<image width="{width}" height="{height}" href="data:image/png;base64,{link}"/></svg>'
        ).encode()
    names = {
        "jpg": "JPEG",
        "pjpeg": "JPEG",
        "pjp": "JPEG",
        "jpe": "JPEG",
        "jfif": "JPEG",
        "apng": "PNG",
        "tif": "TIFF",
        "heic": "HEIF",
    }
    if extension in ("heic", "heif"):
        pillow_heif.register_heif_opener()
    if extension == "ico":
        options = {"sizes": [image.size], **options}
    image.save(file, names.get(extension, extension.upper()), **options)
    return file.getvalue()


def bomb_png(width: int, height: int) -> bytes:
    """A one-bit PNG of zeros: a few kilobytes whatever its size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    deflate = zlib.compressobj(9)
    rows = bytes(((width + 7) // 8 + 1) * 100)
    body = b"".join(deflate.compress(rows) for _ in range(height // 100)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def sound(extension: str, samples: np.ndarray = TONE, rate: int = RATE, subtype: str | None = None) -> bytes:
    """Encode samples, of shape (n,) or (n, channels)."""
    file = io.BytesIO()
    if extension in CONTAINERS:
        _encode_av(file, extension, samples, rate)
    else:
        container = {"opus": "OGG", "oga": "OGG", "aif": "AIFF", "aifc": "AIFF", "snd": "AU"}.get(
            extension, extension.upper()
        )
        default = {"opus": "OPUS", "ogg": "VORBIS", "oga": "FLAC", "aif": "PCM_16", "aifc": "ULAW"}.get(extension)
        if (extension, subtype) == ("oga", None):
            return ogg_flac(samples, rate)
        soundfile.write(file, samples, rate, format=container, subtype=subtype or default)
    return file.getvalue()


# What PyAV writes: extension -> its muxer and codec.
CONTAINERS = {
    "m4a": ("ipod", "aac"),
    "m4b": ("ipod", "aac"),
    "mp4": ("mp4", "aac"),
    "mov": ("mov", "aac"),
    "3gp": ("3gp", "libopencore_amrnb"),
    "aac": ("adts", "aac"),
    "webm": ("webm", "libopus"),
    "weba": ("webm", "libopus"),
    "mka": ("matroska", "flac"),
    "amr": ("amr", "libopencore_amrnb"),
    "m4r": ("ipod", "alac"),
    "m4v": ("mp4", "aac"),
    "mkv": ("matroska", "aac"),
    "ac3": ("ac3", "ac3"),
    "ec3": ("eac3", "eac3"),
    "eac3": ("eac3", "eac3"),
    "mp2": ("mp2", "mp2"),
    "mpga": ("mp3", "libmp3lame"),
    "wma": ("asf", "wmav2"),
}


def ogg_flac(samples: np.ndarray, rate: int) -> bytes:
    file = io.BytesIO()
    _encode_av(file, "oga", samples, rate, ("ogg", "flac"))
    return file.getvalue()


def _encode_av(
    file: io.BytesIO, extension: str, samples: np.ndarray, rate: int, how: tuple[str, str] | None = None
) -> None:
    muxer, codec = how or CONTAINERS[extension]
    telephone = codec == "libopencore_amrnb"  # 8 kHz and no other
    with av.open(file, "w", format=muxer) as container:
        own = 8_000 if telephone else 48_000 if codec.endswith("ac3") else rate
        stream = container.add_stream(codec, rate=own, layout="mono")
        if telephone:
            stream.bit_rate = 12_200
        if codec == "wmav2":
            stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(np.asarray(samples, np.float32)[None], format="flt", layout="mono")
        frame.sample_rate = rate
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def wav(rate: int, data: bytes, channels: int = 1, data_size: int | None = None) -> bytes:
    """A 16-bit WAV that may lie."""
    block = (2 * channels) & 0xFFFF
    size = len(data) if data_size is None else data_size
    return (
        b"RIFF" + struct.pack("<I", (36 + size) & 0xFFFFFFFF) + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, channels, rate, (rate * block) & 0xFFFFFFFF, block, 16)
        + b"data" + struct.pack("<I", size) + data
    )  # fmt: skip


def ball(coloured: bool = False) -> trimesh.Trimesh:
    mesh = trimesh.creation.icosphere(subdivisions=2)
    if coloured:
        mesh.visual.vertex_colors = np.tile([255, 0, 0, 255], (len(mesh.vertices), 1))
    return mesh


def mesh_file(extension: str, mesh: trimesh.Trimesh | None = None, **options: Any) -> bytes:
    data = (mesh or ball()).export(file_type=extension, **options)
    return data if isinstance(data, bytes) else data.encode()


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()


def gltf_tree(**changes: Any) -> dict[str, Any]:
    """One triangle; keyword arguments replace top-level entries."""
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36}],
        **changes,
    }


def glb(tree: dict[str, Any], *views: bytes) -> bytes:
    """Pack a GLB; `views` become its bufferViews where there are any."""
    binary = b""
    if views:
        tree = {**tree, "bufferViews": []}
        for view in views:
            tree["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(view)})
            binary += view + bytes(-len(view) % 4)
        tree["buffers"] = [{"byteLength": len(binary)}]
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body


def zipped(files: dict[str, bytes]) -> bytes:
    """An archive of some files, without compression."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def film(
    path: Path, pictures: PIL.Image.Image | Sequence[PIL.Image.Image], sound: Path | None, seconds: int = 2
) -> None:
    """Write a film of ten frames a second that shows pictures one after another, with a sound or without."""
    shown = pictures if isinstance(pictures, Sequence) else [pictures]
    webm = path.suffix == ".webm"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx" if webm else "libx264", rate=10)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio = None if sound is None else container.add_stream("libopus" if webm else "aac", rate=48_000)
        for i in range(10 * seconds):
            picture = np.asarray(shown[i * len(shown) // (10 * seconds)].convert("RGB").resize((320, 240)))
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        if audio is not None:
            samples, rate = soundfile.read(sound, dtype="float32", always_2d=True)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[: seconds * rate, :1].T), "fltp", "mono")
            frame.sample_rate = rate
            resampler = av.AudioResampler("fltp", "mono", 48_000, audio.frame_size or 960)
            done = 0
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                part.pts, done = done, done + part.samples
                container.mux(audio.encode(part))
            container.mux(audio.encode(None))


def lying_bed(path: Path) -> Path:
    """Points of a bed in a file in which Z is up: its format does not say."""
    bed = load_points(assets_directory() / "gallery" / "shapes" / "bed-1.glb")
    np.save(path, np.hstack([turn(bed, TO_Y_UP["z"].T).xyz, bed.rgb]))
    return path
