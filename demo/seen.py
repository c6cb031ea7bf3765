"""What an input shows of what was read: a shape as the towers got it, other files in a form that browsers know."""

from __future__ import annotations

import io
import os
import secrets
import tempfile
from pathlib import Path

from omnibind_core.media.glb import glb
from omnibind_core.types import Audio, Image, Media, PointCloud

__all__ = ["seen_file", "seen_media"]

_SHOWN = {"png", "apng", "jpg", "jpeg", "jfif", "jpe", "gif", "webp", "svg", "bmp", "ico"}
_PLAYED = {"wav", "mp3", "ogg", "oga", "opus", "flac", "m4a", "aac", "weba", "webm", "mp4", "mov", "m4v"}
_SECONDS = 60.0  # of a sound that is written again, 16 bits each
_SIDE = 1_024


def seen_file(media: Media, source: str) -> str:
    """Give the path of what a browser can show of an input.

    Parameters
    ----------
    media : Media
        As it was decoded.
    source : str
        Path of the file.

    Returns
    -------
    str
        The file itself where browsers know its format, else one that is made beside the uploads and goes with them;
        empty for a sentence, and for what would be too large.
    """
    extension = Path(source).suffix.lower().removeprefix(".")
    if isinstance(media, PointCloud):
        return _placed(glb(media), "shape.glb")
    if isinstance(media, Image):
        return source if extension in _SHOWN else _placed(_picture(media), "picture.webp")
    if isinstance(media, Audio):
        if extension in _PLAYED:
            return source
        return _placed(_sound(media), "sound.wav") if media.seconds <= _SECONDS else ""
    return ""


def seen_media(media: Audio | PointCloud) -> str:
    """Write a shape or a sound that was made here, for the viewer or the player; gives the file's path."""
    return _placed(glb(media), "shape.glb") if isinstance(media, PointCloud) else _placed(_sound(media), "sound.wav")


def _picture(image: Image) -> bytes:
    from PIL import Image as Pillow

    picture = Pillow.fromarray(image.rgb)
    picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _sound(audio: Audio) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, audio.samples, audio.rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _placed(data: bytes, name: str) -> str:
    """Write a file where visitors' files lie, under a folder that nobody can guess; it is swept with them."""
    root = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")
    folder = root / secrets.token_hex(16)
    folder.mkdir(parents=True)
    (folder / name).write_bytes(data)
    return str(folder / name)
