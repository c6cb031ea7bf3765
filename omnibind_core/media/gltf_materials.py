"""What colours a glTF surface: the base colour's factor and texture, decoded once and only when used."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.gltf_buffers import Buffers, Json, data_uri, item, items, whole
from omnibind_core.media.shapes import Doubles
from omnibind_core.media.source import Blob
from omnibind_core.types import FloatArray

__all__ = ["Material", "Materials"]

_SPECULAR = "KHR_materials_pbrSpecularGlossiness"


@dataclass(frozen=True, eq=False)
class Material:
    """The part of a material that gives colour.

    Attributes
    ----------
    factor : ndarray, shape (3,), float32, optional
        0..1; None where the file gives none.
    texture : ndarray, shape (h, w, 3), uint8, optional
        Reduced to `limits.TEXTURE_SIDE`.
    channel : int
        Which set of texture coordinates.
    transform : ndarray, shape (2, 3), float64
        Applied to those coordinates, v downwards.
    """

    factor: FloatArray | None = None
    texture: NDArray[np.uint8] | None = None
    channel: int = 0
    transform: Doubles = field(default_factory=lambda: np.eye(2, 3))


class Materials:
    """Materials of one file; the sizes of its pictures are checked at once, their pixels decoded on demand."""

    def __init__(self, tree: Json, buffers: Buffers, blob: Blob) -> None:
        self._tree = tree
        self._buffers = buffers
        self._materials: dict[int, Material] = {}
        self._pictures: dict[int, NDArray[np.uint8] | None] = {}
        total = 0
        for index in range(len(items(tree, "images"))):
            picture = self._open(index)
            width, height = (0, 0) if picture is None else picture.size
            total += width * height
            if width * height > limits.MAX_TEXTURE_PIXELS or total > limits.MAX_TEXTURE_PIXELS_TOTAL:
                what = f"a texture of {width:,} x {height:,} pixels, {width * height / 1e6:,.1f} megapixels"
                if width * height <= limits.MAX_TEXTURE_PIXELS:
                    what = f"textures of more than {limits.MAX_TEXTURE_PIXELS_TOTAL / 1e6:.0f} megapixels together"
                raise MediaError(
                    f"{blob.name} with {what}",
                    f"{limits.MAX_TEXTURE_PIXELS / 1e6:.0f} megapixels each, "
                    f"{limits.MAX_TEXTURE_PIXELS_TOTAL / 1e6:.0f} together",
                    "scale its textures down",
                )

    def get(self, index: int) -> Material:
        """Material by its index in the file."""
        if index not in self._materials:
            self._materials[index] = self._read(item(self._tree, "materials", index))
        return self._materials[index]

    def _read(self, entry: Json) -> Material:
        specular = entry.get("extensions", {}).get(_SPECULAR)
        base = entry.get("pbrMetallicRoughness", {}) if specular is None else specular
        factor = base.get("baseColorFactor" if specular is None else "diffuseFactor")
        reference = base.get("baseColorTexture" if specular is None else "diffuseTexture")
        rgb = None
        if factor is not None:
            rgb = np.clip(np.nan_to_num(np.array(factor, np.float64)[:3]), 0, 1).astype(np.float32)
        if reference is None:
            return Material(rgb)
        shift = reference.get("extensions", {}).get("KHR_texture_transform", {})
        channel = whole(shift, "texCoord", whole(reference, "texCoord", 0))
        return Material(rgb, self._texture(reference.get("index")), channel, _transform(shift))

    def _texture(self, index: Any) -> NDArray[np.uint8] | None:
        """Pixels of a texture; None where its picture is of a kind that we do not read, or damaged."""
        texture = item(self._tree, "textures", index)
        source = texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source", texture.get("source"))
        if source is None:
            return None
        if source not in self._pictures:
            self._pictures[source] = self._decode(source)
        return self._pictures[source]

    def _decode(self, index: Any) -> NDArray[np.uint8] | None:
        picture = self._open(index)
        if picture is None:
            return None
        side = limits.TEXTURE_SIDE
        try:
            picture.draft("RGB", (side, side))  # JPEG decodes to a half or a quarter at no cost
            picture = picture.convert("RGB")
        except (OSError, ValueError, SyntaxError, EOFError):
            return None
        if max(picture.size) > side:
            width, height = (max(1, min(side, length)) for length in picture.size)
            picture = picture.resize((width, height), PIL.Image.Resampling.BOX)
        return np.array(picture)

    def _open(self, index: Any) -> PIL.Image.Image | None:
        """Header of an embedded picture; None where it lies in another file or is not a picture that we read."""
        image = item(self._tree, "images", index)
        uri = image.get("uri")
        if "bufferView" in image:
            data = self._buffers.view(image["bufferView"])
        elif isinstance(uri, str) and uri.startswith("data:"):
            data = data_uri(uri)
        else:
            return None
        try:
            return PIL.Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"])
        except (OSError, ValueError, SyntaxError):
            return None


def _transform(shift: Json) -> Doubles:
    """KHR_texture_transform as a matrix: scale, then rotation, then offset."""
    (u, v), (su, sv) = shift.get("offset", (0, 0)), shift.get("scale", (1, 1))
    angle = float(shift.get("rotation", 0))
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[su * cosine, sv * sine, u], [-su * sine, sv * cosine, v]], np.float64)
