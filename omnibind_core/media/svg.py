"""Drawings (SVG) to pixels by resvg: no scripts, no network; files are kept from it here.

resvg follows paths to pictures on this machine. So whatever a drawing refers to is dropped here unless it lies within
it, and a drawing that takes long ends its process, which is what decoding processes are for.
"""

from __future__ import annotations

import re
import signal
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from omnibind_core.media import limits
from omnibind_core.media.notices import note

__all__ = ["rasterise"]

_SIDE = 768  # pixels of the longer side
_DPI = 96.0  # pixels of an inch, as CSS has it
_UNITS = {
    "px": 1.0,
    "pt": 4 / 3,
    "pc": 16.0,
    "mm": 96 / 25.4,
    "cm": 96 / 2.54,
    "in": 96.0,
    "em": 16.0,
    "ex": 8.0,
    "": 1.0,
}
_LENGTH = r"\s*(\d*\.?\d+(?:e[-+]?\d+)?)\.?\s*(px|pt|pc|mm|cm|in|em|ex|)\s*"
_PROPERTY = re.compile(r"(--[\w-]{1,80})\s*:([^;{}<>\"]{1,200})")
_USE = re.compile(r"var\(\s*(--[\w-]{1,80})\s*(?:,([^()<>\"]{0,200}(?:\([^()<>\"]{0,80}\))?[^()<>\"]{0,80}))?\)")
_DEEP = 5
_GZIP = b"\x1f\x8b"
_INSIDE = re.compile(r"\s*(?:#|data:image/(?:png|jpeg|jpg|gif|webp)[;,])", re.IGNORECASE)


def rasterise(data: bytes) -> bytes:
    """Draw an SVG.

    Parameters
    ----------
    data : bytes
        XML, plain or packed by gzip (.svgz), at most `limits.MAX_SVG_BYTES`, of at most `limits.MAX_SVG_PARTS`
        elements.

    Returns
    -------
    bytes
        A PNG with transparency.

    Raises
    ------
    ValueError
        It is too large, not valid, or draws nothing.
    """
    import resvg_py

    if data.startswith(_GZIP):
        data = _unzipped(data)
    if len(data) > limits.MAX_SVG_BYTES:
        raise ValueError(f"a drawing of more than {limits.MAX_SVG_BYTES / limits.MB:.0f} MB")
    text = _with_values(_without_outside(data))
    with _ending_after(limits.SVG_SECONDS):
        try:
            width, height = _shape(text)
            side = {"width": _SIDE} if width >= height else {"height": _SIDE}
            # Without a resolution, millimetres and points come to no pixels at all.
            return bytes(resvg_py.svg_to_bytes(svg_string=text, dpi=_DPI, **side))  # type: ignore[arg-type]
        except Exception:
            raise
        except BaseException as error:  # a panic of the Rust code is no Exception
            if isinstance(error, (KeyboardInterrupt, SystemExit, GeneratorExit)):
                raise
            raise ValueError("a drawing that cannot be drawn") from error


def _unzipped(data: bytes) -> bytes:
    """Unpack a .svgz, one byte beyond the limit at the most."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        return unpacking.decompress(data, limits.MAX_SVG_BYTES + 1)
    except zlib.error as error:
        raise ValueError("a damaged gzip archive") from error


def _without_outside(data: bytes) -> str:
    """Drop links out of the drawing, and say so."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"not valid XML: {error}") from error
    dropped = 0
    for parts, element in enumerate(root.iter(), 1):
        if parts > limits.MAX_SVG_PARTS:
            raise ValueError(f"a drawing of more than {limits.MAX_SVG_PARTS:,} elements")
        for name in list(element.attrib):
            if name.rpartition("}")[2].lower() == "href" and not _INSIDE.match(element.attrib[name]):
                del element.attrib[name]
                dropped += element.tag.rpartition("}")[2] in ("image", "use", "feImage")
    if dropped:
        note(f"{dropped} {'link' if dropped == 1 else 'links'} out of the drawing not followed")
    return ElementTree.tostring(root, encoding="unicode")


def _with_values(text: str) -> str:
    """Put the values of custom properties where they are used: resvg knows no var(), and paints black instead."""
    if "var(" not in text:
        return text
    known = {found[1]: found[2].strip() for found in _PROPERTY.finditer(text)}
    for _ in range(_DEEP):  # one value may use another
        text = _USE.sub(lambda found: known.get(found[1], (found[2] or "").strip()), text)
        if len(text) > limits.MAX_SVG_BYTES:
            raise ValueError(f"a drawing of more than {limits.MAX_SVG_BYTES / limits.MB:.0f} MB")
        if "var(" not in text:
            break
    return text


def _shape(text: str) -> tuple[float, float]:
    """Width and height of the drawing, as far as their proportion matters."""
    head = text[: text.find(">") + 1]
    sides = []
    for name in ("width", "height"):
        found = re.search(rf'\s{name}="{_LENGTH}"', head, re.IGNORECASE)
        sides.append(float(found[1]) * _UNITS[found[2].lower()] if found else 0.0)
    box = re.search(r'\sviewBox="([^"]*)"', head)
    numbers = re.findall(r"-?[\d.]+(?:e-?\d+)?", box[1]) if box else []
    if not all(sides) and len(numbers) == 4:
        sides = [float(numbers[2]), float(numbers[3])]
    width, height = (side or 1.0 for side in sides)
    if max(width, height) > limits.MAX_ASPECT * min(width, height):
        raise ValueError("a drawing that is a strip")
    return width, height


@contextmanager
def _ending_after(seconds: float) -> Iterator[None]:
    """End this process after so many seconds: nothing else stops compiled code. Only where it is a decoding one."""
    if not hasattr(signal, "setitimer") or not signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
