"""Good files of every format that is read: what damages begin with. The gallery's media, written anew by libraries."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.media import formats
from omnibind_core.store.paths import assets_directory
from omnibind_core.types import Modality

__all__ = ["glb_parts", "seeds", "zipped"]

_RATE = 16_000
_PILLOW = {
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "jpe": "JPEG",
    "jfif": "JPEG",
    "pjpeg": "JPEG",
    "pjp": "JPEG",
    "mpo": "MPO",
    "apng": "PNG",
    "tif": "TIFF",
    "heic": "HEIF",
}
_AV = {
    "m4a": ("ipod", "aac"), "m4b": ("ipod", "aac"), "mp4": ("mp4", "aac"), "mov": ("mov", "aac"),
    "3gp": ("3gp", "libopencore_amrnb"), "aac": ("adts", "aac"), "webm": ("webm", "libopus"),
    "weba": ("webm", "libopus"), "mka": ("matroska", "flac"), "amr": ("amr", "libopencore_amrnb"),
    "m4r": ("ipod", "alac"), "m4v": ("mp4", "aac"), "mkv": ("matroska", "aac"), "ac3": ("ac3", "ac3"),
    "ec3": ("eac3", "eac3"), "eac3": ("eac3", "eac3"), "mp2": ("mp2", "mp2"), "mpga": ("mp3", "libmp3lame"),
    "wma": ("asf", "wmav2"),
}  # fmt: skip
_SOUNDFILE = {
    "opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS"), "oga": ("OGG", "VORBIS"), "aif": ("AIFF", "PCM_16"),
    "aifc": ("AIFF", "ULAW"), "snd": ("AU", "PCM_16"), "w64": ("W64", "PCM_16"),
}  # fmt: skip
_BIT_RATES = {"libopencore_amrnb": 12_200, "wmav2": 64_000}


def seeds() -> dict[tuple[Modality, str], bytes]:
    """Give one file for each modality and extension."""
    known = formats()
    found: dict[tuple[Modality, str], bytes] = {}
    found |= {("image", name): _picture(name) for name in known["image"]}
    found |= {("audio", name): _sound(name) for name in known["audio"]}
    found |= {("point", name): _shape(name) for name in known["point"]}
    return found


def _picture(extension: str) -> bytes:
    with PIL.Image.open(assets_directory() / "gallery" / "images" / "dog-1.jpg") as whole:
        image = whole.convert("RGB").resize((120, 90))
    if extension in ("svg", "svgz"):
        drawing = (
            b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><g fill="#286">'
            b'<rect width="40" height="30"/>'
            b'<circle cx="60" cy="30" r="20"/><path d="M5 5 L80 50 Q10 60 5 5"/></g><text x="9" y="50">dog</text></svg>'
        )
        return gzip.compress(drawing) if extension == "svgz" else drawing
    if extension in ("heic", "heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    options: dict[str, Any] = {}
    if extension in ("gif", "apng"):
        options = {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    file = io.BytesIO()
    image.save(file, _PILLOW.get(extension, extension.upper()), **options)
    return file.getvalue()


def _tone() -> NDArray[np.float32]:
    time = np.arange(_RATE) / _RATE
    tone = 0.4 * np.sin(2 * np.pi * (300 + 900 * time) * time)
    return np.asarray(tone, np.float32)


def _sound(extension: str) -> bytes:
    file = io.BytesIO()
    if extension not in _AV:
        import soundfile

        container, subtype = _SOUNDFILE.get(extension, (extension.upper(), None))
        soundfile.write(file, _tone(), _RATE, format=container, subtype=subtype)
        return file.getvalue()
    import av

    muxer, codec = _AV[extension]
    with av.open(file, "w", format=muxer) as container:
        rate = 8_000 if "amr" in codec else 48_000 if codec.endswith("ac3") else _RATE
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        if codec in _BIT_RATES:
            stream.bit_rate = _BIT_RATES[codec]
        frame: Any = av.AudioFrame.from_ndarray(_tone()[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = _RATE, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


def _shape(extension: str) -> bytes:
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=2)
    mesh.visual.vertex_colors = np.tile([200, 60, 20, 255], (len(mesh.vertices), 1))
    table = np.hstack([mesh.vertices, np.tile([200.0, 60.0, 20.0], (len(mesh.vertices), 1))])
    if extension == "glb":
        return (assets_directory() / "gallery" / "shapes" / "dog-1.glb").read_bytes()
    if extension == "npy":
        file = io.BytesIO()
        np.save(file, table)
        return file.getvalue()
    if extension in ("xyz", "pts", "asc"):
        return "\n".join(" ".join(f"{value:.4f}" for value in row) for row in table).encode()
    if extension == "gltf":
        tree, _ = glb_parts(mesh.export(file_type="glb"))
        binary = glb_parts(mesh.export(file_type="glb"))[1]
        import base64

        tree["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
        return json.dumps(tree).encode()
    if extension == "zip":
        material = b"newmtl red\nKd 0.8 0.1 0.1\nmap_Kd wood.png\n"
        shape = b"mtllib ball.mtl\nusemtl red\n" + _text(mesh.export(file_type="obj"))
        return zipped({"ball.obj": shape, "ball.mtl": material, "wood.png": _picture("png")})
    return _text(mesh.export(file_type=extension))


def _text(data: str | bytes) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


def glb_parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Part a GLB into its tree and its buffer."""
    length = int.from_bytes(data[12:16], "little")
    tree: dict[str, Any] = json.loads(data[20 : 20 + length])
    return tree, data[28 + length :]


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack files, by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()
