"""What colours a glTF surface: the base colour's factor and texture, decoded once and only when used."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from omnibind_core.errors import MediaError
from omnibind_core.media import limits
from omnibind_core.media.gltf_buffers import Buffers, Json, data_uri, item, items, whole
from omnibind_core.media.notices import note
from omnibind_core.media.shapes import Doubles
from omnibind_core.media.source import Blob, shown
from omnibind_core.media.textures import open_texture, picture_beside, pixels
from omnibind_core.types import FloatArray, Wrap

__all__ = ["Material", "Materials"]

_SPECULAR = "KHR_materials_pbrSpecularGlossiness"
_FAINT = 0.1  # alpha of what is blended, below which it is hardly seen
_DARK = 0.02  # base colour below which only a surface's own light shows
_WRAPS: dict[Any, Wrap] = {33071: "clamp", 33648: "mirror", 10497: "repeat"}


@dataclass(frozen=True, eq=False)
class Material:
    """The part of a material that gives colour.

    Attributes
    ----------
    factor : ndarray, shape (3,), float32, optional
        0..1; None where the file gives none.
    texture : ndarray, shape (h, w, 3) or (h, w, 4), uint8, optional
        Reduced to `limits.TEXTURE_SIDE`; a fourth channel is 0 where there is no surface.
    channel : int
        Which set of texture coordinates.
    transform : ndarray, shape (2, 3), float64
        Applied to those coordinates, v downwards.
    wrap : tuple of (Wrap, Wrap)
        What lies beyond the texture's edges.
    hidden : bool
        Whether nothing of it can be seen.
    cutoff : float, optional
        Alpha of a vertex's colour below which there is no surface; None where alpha says nothing.
    """

    factor: FloatArray | None = None
    texture: NDArray[np.uint8] | None = None
    channel: int = 0
    transform: Doubles = field(default_factory=lambda: np.eye(2, 3))
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")
    hidden: bool = False
    cutoff: float | None = None


class Materials:
    """Materials of one file; the sizes of its pictures are checked at once, their pixels decoded on demand."""

    def __init__(self, tree: Json, buffers: Buffers, blob: Blob) -> None:
        self._tree = tree
        self._buffers = buffers
        self._materials: dict[int, Material] = {}
        self._pictures: dict[tuple[int, float | None], NDArray[np.uint8] | None] = {}
        self._blob = blob
        total = 0
        for index in range(len(items(tree, "images"))):
            picture = self._open(index)
            total += 0 if picture is None else picture.size[0] * picture.size[1]
            if total > limits.MAX_TEXTURE_PIXELS_TOTAL:
                most = limits.MAX_TEXTURE_PIXELS_TOTAL / 1e6
                raise MediaError(
                    f"{blob.name} with textures of more than {most:.0f} megapixels together",
                    f"{limits.MAX_TEXTURE_PIXELS / 1e6:.0f} megapixels each, {most:.0f} together",
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
        cutoff = _cutoff(entry)
        rgb, alpha = None, 1.0
        if factor is not None:
            whole_factor = np.clip(np.nan_to_num(np.array(factor, np.float64)), 0, 1)
            rgb = whole_factor[:3].astype(np.float32)
            alpha = float(whole_factor[3]) if len(whole_factor) > 3 else 1.0
        if cutoff is not None and alpha < cutoff:
            return Material(hidden=True)
        glow = _glow(entry)
        shines = glow is not None and reference is None and rgb is not None and float(rgb.max()) < _DARK
        if glow is not None and "emissiveTexture" in entry and not shines:
            shines = factor is None and reference is None  # nothing but that was given
            if reference is not None:
                dark, _ = self._texture(reference.get("index"), None)
                shines = dark is not None and int(dark.max()) < 255 * _DARK
        if shines and glow is not None:  # nothing but its own light shows
            rgb, reference, cutoff = glow, entry.get("emissiveTexture"), None
        below = None
        if reference is None and glow is not None and not shines and rgb is not None:
            if "emissiveTexture" in entry:  # light comes on top of what the surface has by itself
                below, reference = (rgb, glow), entry["emissiveTexture"]
            else:
                rgb = np.clip(rgb + glow, 0, 1).astype(np.float32)
        if reference is None:
            return Material(rgb, cutoff=cutoff)
        shift = reference.get("extensions", {}).get("KHR_texture_transform", {})
        channel = whole(shift, "texCoord", whole(reference, "texCoord", 0))
        texture, wrap = self._texture(reference.get("index"), None if cutoff is None else cutoff / max(alpha, 1e-6))
        if below is not None and texture is not None:
            rgb, mixed = None, below[0] * 255.0 + below[1] * texture[:, :, :3]
            texture = np.concatenate([np.clip(mixed, 0, 255).round().astype(np.uint8), texture[:, :, 3:]], axis=2)
        return Material(rgb, texture, channel, _transform(shift), wrap, cutoff=cutoff)

    def _texture(self, index: Any, cutoff: float | None) -> tuple[NDArray[np.uint8] | None, tuple[Wrap, Wrap]]:
        """Pixels of a texture, and its wrapping; no pixels where its picture is not read, or damaged."""
        texture = item(self._tree, "textures", index)
        extensions = texture.get("extensions", {})
        source = next(
            (
                found
                for name in ("EXT_texture_webp", "EXT_texture_avif", "MSFT_texture_dds")
                if (found := extensions.get(name, {}).get("source")) is not None
            ),
            texture.get("source"),
        )
        sampler = item(self._tree, "samplers", texture["sampler"]) if "sampler" in texture else {}
        wrap = _WRAPS.get(sampler.get("wrapS"), "repeat"), _WRAPS.get(sampler.get("wrapT"), "repeat")
        if source is None:
            if extensions:
                note(f"a texture in the form {shown(next(iter(extensions)))} is not read: grey instead")
            return None, wrap
        if (source, cutoff) not in self._pictures:
            self._pictures[source, cutoff] = self._decode(source, cutoff)
        return self._pictures[source, cutoff], wrap

    def _decode(self, index: Any, cutoff: float | None) -> NDArray[np.uint8] | None:
        picture = self._open(index)
        found = None if picture is None else pixels(picture, alpha=cutoff is not None)
        if found is None:
            name = item(self._tree, "images", index).get("uri", "")
            embedded = not isinstance(name, str) or not name or name.startswith("data:")
            note(f"a texture{'' if embedded else f' {shown(name)}'} is missing or cannot be read: grey instead")
        if found is None or cutoff is None:
            return found
        there = found[:, :, 3] >= 255 * cutoff
        if there.all():
            return np.ascontiguousarray(found[:, :, :3])
        found = found.copy()
        found[:, :, 3] = np.where(there, 255, 0)
        return found

    def _open(self, index: Any) -> PIL.Image.Image | None:
        """Header of a picture; None where it is not there or not a picture that we read."""
        image = item(self._tree, "images", index)
        uri = image.get("uri")
        if "bufferView" in image:
            data: bytes | None = self._buffers.view(image["bufferView"])
        elif isinstance(uri, str) and uri.startswith("data:"):
            data = data_uri(uri)
        else:
            data = picture_beside(self._blob, uri) if isinstance(uri, str) else None
        return None if data is None else open_texture(data, self._blob.name)


def _cutoff(entry: Json) -> float | None:
    """Alpha below which there is no surface; None where alpha says nothing."""
    mode = entry.get("alphaMode", "OPAQUE")
    if mode == "MASK":
        return float(np.clip(np.nan_to_num(float(entry.get("alphaCutoff", 0.5))), 0, 1))
    return _FAINT if mode == "BLEND" else None


def _glow(entry: Json) -> FloatArray | None:
    """Light of its own, 0..1; None without any."""
    factor = np.clip(np.nan_to_num(np.array(entry.get("emissiveFactor", (0, 0, 0)), np.float64).reshape(-1)[:3]), 0, 1)
    strength = entry.get("extensions", {}).get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1.0)
    glow = np.clip(factor * float(strength), 0, 1).astype(np.float32)
    return glow if len(glow) == 3 and glow.max() > 0 else None


def _transform(shift: Json) -> Doubles:
    """KHR_texture_transform as a matrix: scale, then rotation, then offset."""
    (u, v), (su, sv) = shift.get("offset", (0, 0)), shift.get("scale", (1, 1))
    angle = float(shift.get("rotation", 0))
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[su * cosine, sv * sine, u], [-su * sine, sv * cosine, v]], np.float64)
