"""The inner loops of the rasteriser, compiled by numba. Arrays in, arrays out; :mod:`.raster` says what they mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from omnibind_core.types import FloatArray

__all__ = ["blend_points", "corner_normals", "fill", "resolve", "shade_faces", "splat"]

_F = TypeVar("_F", bound=Callable[..., Any])


def _compiled(function: _F) -> _F:
    """Compile with a cache on disk; without one where no folder for it can be written."""
    try:
        fast: _F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # numba found no place for its cache
        fast = numba.njit(nogil=True, error_model="numpy")(function)
    return fast


@_compiled
def corner_normals(
    corners: NDArray[np.int64],
    faces_by_place: NDArray[np.int64],
    firsts: NDArray[np.int64],
    areas: NDArray[np.float64],
    crease: float,
) -> FloatArray:
    """Blend the faces' area vectors (f, 3) into corner normals (f, 3, 3); `faces_by_place[firsts[p]:]` meet at p."""
    count = len(areas)
    units = np.zeros((count, 3))
    for f in range(count):
        length = np.sqrt(areas[f, 0] ** 2 + areas[f, 1] ** 2 + areas[f, 2] ** 2)
        if length > 0.0:
            units[f] = areas[f] / length
    out = np.zeros((count, 3, 3), np.float32)
    for f in range(count):
        for k in range(3):
            place = corners[3 * f + k]
            x, y, z = areas[f, 0], areas[f, 1], areas[f, 2]
            start, stop = firsts[place], firsts[place + 1]
            if stop - start <= 256:  # a hub of hundreds of faces is no smooth surface, and would cost their square
                for j in range(start, stop):
                    g = faces_by_place[j]
                    cosine = units[f, 0] * units[g, 0] + units[f, 1] * units[g, 1] + units[f, 2] * units[g, 2]
                    # Files wind faces either way: a neighbour that looks exactly away counts turned round.
                    if g != f and abs(cosine) > crease:
                        sign = 1.0 if cosine > 0.0 else -1.0
                        x += sign * areas[g, 0]
                        y += sign * areas[g, 1]
                        z += sign * areas[g, 2]
            length = np.sqrt(x * x + y * y + z * z)
            if length > 0.0:
                out[f, k, 0], out[f, k, 1], out[f, k, 2] = x / length, y / length, z / length
    return out


@_compiled
def _wrapped(place: int, size: int, wrap: int) -> int:
    """Bring a texel's number into 0..size - 1: repeating, clamped or mirrored."""
    if wrap == 1:
        return min(max(place, 0), size - 1)
    if wrap == 2:
        place = place % (2 * size)
        return min(place, 2 * size - 1 - place)
    return place % size


@_compiled
def _crossed(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, y: float, left: int, right: int
) -> tuple[int, int]:
    """Columns between which a row crosses a triangle, and one more on either side: what a long thin one costs."""
    low, high = np.inf, -np.inf
    for px, py, qx, qy in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay)):
        if py != qy and min(py, qy) <= y <= max(py, qy):
            x = px + (y - py) / (qy - py) * (qx - px)
            low, high = min(low, x), max(high, x)
    if low > high:
        return left, right
    return max(left, int(np.floor(low)) - 1), min(right, int(np.ceil(high)) + 1)


@_compiled
def fill(
    screen: FloatArray,
    faces: NDArray[np.int32],
    depth: FloatArray,
    owner: NDArray[np.int32],
    uv: FloatArray,
    texture_of_face: NDArray[np.int32],
    wraps: NDArray[np.int64],
    there: NDArray[np.int64],
    solid: NDArray[np.uint8],
) -> None:
    """Write each pixel's nearest face: `screen` (v, 3) is x, y in pixels and the inverse distance.

    Where a texture says that there is no surface, what lies behind it is seen.
    """
    height, width = depth.shape
    for f in range(len(faces)):
        ax, ay, aw = screen[faces[f, 0]]
        bx, by, bw = screen[faces[f, 1]]
        cx, cy, cw = screen[faces[f, 2]]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 1e-6:
            continue
        texture = texture_of_face[f]
        holed = texture >= 0 and there[texture, 0] >= 0
        left = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        right = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        top = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        for row in range(top, bottom + 1):
            y = row + 0.5
            first, last = _crossed(ax, ay, bx, by, cx, cy, y, left, right)
            for column in range(first, last + 1):
                x = column + 0.5
                u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                w = 1.0 - u - v
                if u >= -1e-6 and v >= -1e-6 and w >= -1e-6:
                    near = u * aw + v * bw + w * cw
                    if near > depth[row, column]:
                        if holed:
                            i, j, k = faces[f]
                            s = (u * aw * uv[i, 0] + v * bw * uv[j, 0] + w * cw * uv[k, 0]) / near
                            t = (u * aw * uv[i, 1] + v * bw * uv[j, 1] + w * cw * uv[k, 1]) / near
                            start, wide, high = there[texture]
                            px = _wrapped(int(np.floor(s * wide)), wide, wraps[texture, 0])
                            py = _wrapped(int(np.floor((1.0 - t) * high)), high, wraps[texture, 1])
                            if solid[start + py * wide + px] == 0:
                                continue
                        depth[row, column] = near
                        owner[row, column] = f


@_compiled
def splat(
    screen: FloatArray,
    normals: FloatArray,
    radii: FloatArray,
    scale: float,
    depth: FloatArray,
    owner: NDArray[np.int32],
) -> None:
    """Write each pixel's nearest disc: `radii` (n,) in pixels, `normals` (n, 3) as the eye sees them.

    `scale` is how many pixels one unit of length spans where the inverse distance is 1.
    """
    height, width = depth.shape
    for i in range(len(screen)):
        radius = max(radii[i], 1.0)
        x, y, near = screen[i]
        nx, ny, nz = normals[i]
        if abs(nz) < 0.2:  # edge-on discs would vanish
            nz = 0.2 if nz >= 0.0 else -0.2
        for row in range(max(0, int(y - radius)), min(height, int(y + radius) + 2)):
            for column in range(max(0, int(x - radius)), min(width, int(x + radius) + 2)):
                dx, dy = column + 0.5 - x, row + 0.5 - y
                dz = -(nx * dx - ny * dy) / nz  # screen rows go down, Y goes up
                if dx * dx + dy * dy + dz * dz <= radius * radius or dx * dx + dy * dy <= 1.0:
                    here = near + near * dz / scale
                    if here > depth[row, column]:
                        depth[row, column] = here
                        owner[row, column] = i


@_compiled
def _light(nx: float, ny: float, nz: float, up: float) -> tuple[float, float]:
    """Diffuse and glossy light on a normal as the eye sees it; `up` is how far it points to the sky, -1..1."""
    key = max(0.0, -0.42 * nx + 0.55 * ny + 0.72 * nz)
    rim = max(0.0, 0.75 * nx + 0.10 * ny + 0.65 * nz)
    gloss = max(0.0, -0.23 * nx + 0.30 * ny + 0.925 * nz) ** 40
    return 0.30 + 0.12 * up + 0.55 * key + 0.14 * rim, 0.10 * gloss


@_compiled
def shade_faces(
    owner: NDArray[np.int32],
    screen: FloatArray,
    faces: NDArray[np.int32],
    normals: FloatArray,
    rgb: FloatArray,
    uv: FloatArray,
    texture_of_face: NDArray[np.int32],
    levels: NDArray[np.int64],
    texels: NDArray[np.uint8],
    wraps: NDArray[np.int64],
    turn: FloatArray,
) -> FloatArray:
    """Colours (h, w, 3), 0..1 linear, of the pixels that :func:`fill` gave an owner."""
    height, width = owner.shape
    out = np.zeros((height, width, 3), np.float32)
    weights = np.zeros(3)
    normal = np.zeros(3)
    colour = np.zeros(3)
    for row in range(height):
        for column in range(width):
            f = owner[row, column]
            if f < 0:
                continue
            ax, ay, aw = screen[faces[f, 0]]
            bx, by, bw = screen[faces[f, 1]]
            cx, cy, cw = screen[faces[f, 2]]
            x, y = column + 0.5, row + 0.5
            area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
            u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
            v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
            # Straight on screen is not straight on the surface: weigh by the inverse distances.
            weights[0], weights[1], weights[2] = u * aw, v * bw, (1.0 - u - v) * cw
            total = weights[0] + weights[1] + weights[2]
            for k in range(3):
                weights[k] /= total
            normal[:] = 0.0
            colour[:] = 0.0
            s = t = 0.0
            for k in range(3):
                vertex = faces[f, k]
                for axis in range(3):
                    normal[axis] += weights[k] * normals[f, k, axis]
                    colour[axis] += weights[k] * rgb[vertex, axis]
                s += weights[k] * uv[vertex, 0]
                t += weights[k] * uv[vertex, 1]
            texture = texture_of_face[f]
            if texture >= 0:
                i, j, k = faces[f]
                spread = abs(
                    (uv[j, 0] - uv[i, 0]) * (uv[k, 1] - uv[i, 1]) - (uv[j, 1] - uv[i, 1]) * (uv[k, 0] - uv[i, 0])
                )
                ratio = spread * levels[texture, 0, 1] * levels[texture, 0, 2] / max(abs(area), 1e-6)
                level = min(9, max(0, int(0.5 * np.log2(max(ratio, 1e-6)) + 0.5)))
                start, wide, high = levels[texture, level]
                # Bilinear; v goes upwards.
                across, along = wraps[texture]
                px = ((s - np.floor(s)) if across == 0 else min(max(s, -1000.0), 1000.0)) * wide - 0.5
                py = (1.0 - ((t - np.floor(t)) if along == 0 else min(max(t, -1000.0), 1000.0))) * high - 0.5
                x0, y0 = int(np.floor(px)), int(np.floor(py))
                fx, fy = px - x0, py - y0
                left, right = _wrapped(x0, wide, across), _wrapped(x0 + 1, wide, across)
                upper, lower = _wrapped(y0, high, along) * wide + start, _wrapped(y0 + 1, high, along) * wide + start
                for axis in range(3):
                    top = (1 - fx) * texels[upper + left, axis] + fx * texels[upper + right, axis]
                    low = (1 - fx) * texels[lower + left, axis] + fx * texels[lower + right, axis]
                    colour[axis] *= ((1 - fy) * top + fy * low) / 255.0
            length = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
            if length > 0.0:
                for axis in range(3):
                    normal[axis] /= length
            nx = turn[0, 0] * normal[0] + turn[0, 1] * normal[1] + turn[0, 2] * normal[2]
            ny = turn[1, 0] * normal[0] + turn[1, 1] * normal[1] + turn[1, 2] * normal[2]
            nz = turn[2, 0] * normal[0] + turn[2, 1] * normal[1] + turn[2, 2] * normal[2]
            side = 1.0 if nz >= 0.0 else -1.0  # surfaces are lit from both sides
            diffuse, gloss = _light(side * nx, side * ny, side * nz, side * normal[1])
            for axis in range(3):
                out[row, column, axis] = min(1.0, diffuse * colour[axis] ** 2.2 + gloss)
    return out


@_compiled
def blend_points(
    screen: FloatArray,
    normals: FloatArray,
    rgb: FloatArray,
    radii: FloatArray,
    scale: float,
    depth: FloatArray,
    turn: FloatArray,
) -> FloatArray:
    """Colours (h, w, 3), 0..1 linear: at each pixel a blend of the discs that lie within a radius of the nearest."""
    height, width = depth.shape
    out = np.zeros((height, width, 3), np.float32)
    total = np.zeros((height, width), np.float32)
    facing = np.zeros((height, width, 3), np.float32)
    for i in range(len(screen)):
        radius = max(radii[i], 1.0)
        x, y, near = screen[i]
        nx, ny, nz = normals[i]
        side = 1.0 if nz >= 0.0 else -1.0  # surfaces are lit from both sides
        reach = near * near / scale * radius / near
        for row in range(max(0, int(y - radius)), min(height, int(y + radius) + 2)):
            for column in range(max(0, int(x - radius)), min(width, int(x + radius) + 2)):
                dx, dy = column + 0.5 - x, row + 0.5 - y
                far = (dx * dx + dy * dy) / (radius * radius)
                if (far <= 1.0 or dx * dx + dy * dy <= 1.0) and near >= depth[row, column] - reach:
                    weight = np.exp(-3.0 * far)
                    total[row, column] += weight
                    facing[row, column, 0] += weight * side * nx
                    facing[row, column, 1] += weight * side * ny
                    facing[row, column, 2] += weight * side * nz
                    for axis in range(3):
                        out[row, column, axis] += weight * rgb[i, axis]
    for row in range(height):
        for column in range(width):
            if total[row, column] > 0.0:
                nx, ny, nz = facing[row, column]
                length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
                nx, ny, nz = nx / length, ny / length, nz / length
                up = turn[0, 1] * nx + turn[1, 1] * ny + turn[2, 1] * nz
                diffuse, _ = _light(nx, ny, nz, up)
                for axis in range(3):
                    colour = out[row, column, axis] / total[row, column]
                    out[row, column, axis] = min(1.0, diffuse * colour**2.2)
    return out


def resolve(
    colours: FloatArray, owner: NDArray[np.int32], samples: int, background: tuple[int, int, int] | None
) -> NDArray[np.uint8]:
    """Average the samples of each pixel and lay them on the background: -> (h, w, 3 or 4) uint8."""
    alpha = _averaged((owner >= 0).astype(np.float32)[..., None], samples)
    light = _averaged(colours, samples)  # multiplied by alpha already
    if background is not None:
        light = light + (1.0 - alpha) * (np.asarray(background, np.float32) / 255.0) ** 2.2
        return _bytes(np.clip(light, 0.0, 1.0) ** (1 / 2.2))
    colour = np.clip(light / np.maximum(alpha, 1e-6), 0.0, 1.0) ** (1 / 2.2)
    return _bytes(np.concatenate([colour, alpha], axis=-1))


def _averaged(values: FloatArray, samples: int) -> FloatArray:
    """Average blocks of `samples` x `samples`; NumPy's mean over two axes apart is slow."""
    total = np.zeros_like(values[::samples, ::samples])
    for row in range(samples):
        for column in range(samples):
            total += values[row::samples, column::samples]
    return total / np.float32(samples * samples)


def _bytes(values: FloatArray) -> NDArray[np.uint8]:
    whole: NDArray[np.uint8] = np.round(255.0 * values).astype(np.uint8)
    return whole
