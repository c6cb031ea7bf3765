"""What a file holds, told from its first bytes: the name it was uploaded under proves nothing."""

from __future__ import annotations

import re
from collections.abc import Collection

from omnibind_core.media import junk, mpeg

__all__ = ["HEAD_BYTES", "TEXT", "UNKNOWN", "sniff", "wide_encoding"]

HEAD_BYTES = 4_096
"""How much of a file `sniff` wants to see."""

TEXT, UNKNOWN = "text", "unknown"
_PAIRS = 256  # bytes that show whether every other one is 0

# label for people, extensions the content may travel under (none: we do not read it), offset, signature
_SIGNATURES: tuple[tuple[str, tuple[str, ...], int, bytes], ...] = (
    ("PNG", ("png", "apng"), 0, b"\x89PNG\r\n\x1a\n"),
    ("JPEG", junk.JPEG, 0, b"\xff\xd8\xff"),
    ("GIF", ("gif",), 0, b"GIF8"),
    ("WebP", ("webp",), 8, b"WEBP"),
    ("BMP", ("bmp",), 0, b"BM"),
    ("WAV", ("wav",), 8, b"WAVE"),
    ("FLAC", ("flac",), 0, b"fLaC"),
    ("Ogg", ("ogg", "oga", "opus"), 0, b"OggS"),
    ("WebM", ("webm", "weba", "mka", "mkv"), 0, b"\x1aE\xdf\xa3"),
    ("HEIC", ("heic", "heif"), 4, b"ftyphei"),
    ("HEIC", ("heic", "heif"), 4, b"ftyphev"),
    ("AVIF", ("avif",), 4, b"ftypavi"),
    ("MP4", ("m4a", "m4b", "mp4", "mov", "3gp", "m4r", "m4v"), 4, b"ftyp"),
    ("binary glTF", ("glb",), 0, b"glTF"),
    ("NumPy", ("npy",), 0, b"\x93NUMPY"),
    ("PLY", ("ply",), 0, b"ply"),
    ("binary OFF", ("off",), 0, b"OFF BINARY"),
    ("TIFF", ("tiff", "tif"), 0, b"II*\0"),
    ("TIFF", ("tiff", "tif"), 0, b"MM\0*"),
    ("TIFF", ("tiff", "tif"), 0, b"II+\0"),
    ("TIFF", ("tiff", "tif"), 0, b"MM\0+"),
    ("icon", ("ico",), 0, b"\0\0\1\0"),
    ("Photoshop", (), 0, b"8BPS"),
    ("JPEG 2000", (), 0, b"\0\0\0\x0cjP"),
    ("JPEG XL", (), 0, b"\0\0\0\x0cJXL"),
    ("JPEG XL", (), 0, b"\xff\x0a"),
    ("AIFF", ("aiff", "aif", "aifc"), 8, b"AIF"),
    ("AU", ("au", "snd"), 0, b".snd"),
    ("AU", ("au", "snd"), 0, b"dns."),
    ("Wave64", ("w64",), 0, b"riff\x2e\x91\xcf\x11"),
    ("CAF", ("caf",), 0, b"caff"),
    ("AC-3", junk.AC3, 0, b"\x0bw"),
    ("AMR", ("amr",), 0, b"#!AMR"),
    ("AVI video", (), 8, b"AVI "),
    ("MIDI", (), 0, b"MThd"),
    ("Windows Media", ("wma",), 0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("FBX", (), 0, b"Kaydara FBX"),
    ("Blender", (), 0, b"BLENDER"),
    ("ZIP archive", ("zip",), 0, b"PK\x03\x04"),
    ("ZIP archive", (), 0, b"PK\x05\x06"),
    ("gzip archive", ("svgz",), 0, b"\x1f\x8b"),
    ("bzip2 archive", (), 0, b"BZh"),
    ("xz archive", (), 0, b"\xfd7zXZ\0"),
    ("7-Zip archive", (), 0, b"7z\xbc\xaf\x27\x1c"),
    ("RAR archive", (), 0, b"Rar!"),
    ("Zstandard archive", (), 0, b"(\xb5/\xfd"),
    ("tar archive", (), 257, b"ustar"),
    ("PDF", (), 0, b"%PDF"),
    ("HDF5", (), 0, b"\x89HDF"),
    ("pickle", (), 0, b"\x80\x04\x95"),
    ("executable", (), 0, b"\x7fELF"),
    ("executable", (), 0, b"MZ"),
)

_CERTAIN = tuple(signature for _, _, offset, signature in _SIGNATURES if offset == 0 and len(signature) > 3)
_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")


def sniff(head: bytes, size: int) -> tuple[str, Collection[str]]:
    """Tell a file's format from its beginning.

    Parameters
    ----------
    head : bytes
        At least the first `HEAD_BYTES` bytes, or the whole file.
    size : int
        Length of the whole file in bytes.

    Returns
    -------
    label : str
        The format for people, `UNKNOWN` or `TEXT` where no signature fits.
    extensions : collection of str
        Extensions this content may travel under; empty where we do not read it.
    """
    # A binary STL has no signature, but its length follows from its count of triangles.
    triangles = int.from_bytes(head[80:84], "little") if len(head) >= 84 else -1
    if triangles > 0 and size == 84 + 50 * triangles and not head.startswith(_CERTAIN):
        return "binary STL", ("stl",)
    encoding = wide_encoding(head)
    if encoding and not mpeg.find(head):  # the marks are headers of MPEG audio, too
        return _sniff_wide(head[: HEAD_BYTES - HEAD_BYTES % 4], encoding)
    if head.startswith(b"ID3"):  # in front of other formats than MP3, too
        start, tag = 0, mpeg.tag_bytes(head)
        while tag and start + tag < len(head):  # one tag may stand before another
            start += tag
            tag = mpeg.tag_bytes(head[start:])
        if tag and start + tag < size:  # the sound comes behind what is seen here
            return "MP3", mpeg.LAYERS
        found = junk.find(head[start + 10 if tag else start :])
        # A picture in there is the cover in a tag whose sound is missing.
        sound = found is not None and found[0] not in ("JPEG", "PNG", "GIF", "WebP")
        return found[:2] if found and sound else ("MP3", mpeg.LAYERS)
    if head[4:12] in (b"ftypmif1", b"ftypmif2", b"ftypmif3", b"ftypmsf1"):  # general brands: others stand behind
        return ("AVIF", ("avif",)) if b"avif" in head[12:64] else ("HEIF", ("heif", "heic"))
    for label, extensions, offset, signature in _SIGNATURES:
        if head.startswith(signature, offset):
            return label, extensions
    if head[4:8] in _ATOMS and head[0] < 9:  # QuickTime of before there was an ftyp; the size comes first
        return "QuickTime", ("mov", "m4a", "mp4", "m4v")
    if triangles == 0 and size == 84:
        return "empty STL", ("stl",)
    if b"\0" in head[:HEAD_BYTES] or not head[:1].isascii():
        found = junk.find(head)
        if found is not None:
            return found[:2]
    text = head[:HEAD_BYTES].rstrip(b"\0")  # some programs end a text with zeros
    if b"\0" in text or not text:
        return UNKNOWN, ("stl",)  # possibly one whose length is wrong
    while text.startswith(b"\xef\xbb\xbf"):
        text = text[3:]
    return _sniff_text(text.lstrip())


def wide_encoding(head: bytes) -> str:
    """Tell text of two or four bytes a character, by its mark or by its zeros.

    Parameters
    ----------
    head : bytes
        A file, or its beginning.

    Returns
    -------
    str
        A name for `bytes.decode`; empty for anything else.
    """
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = head[:_PAIRS:2], head[1:_PAIRS:2]
    for zeros, letters, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if len(zeros) > 8 and not zeros.strip(b"\0") and re.fullmatch(rb"[\t\n\r -~]+", letters):
            return name
    return ""


def _sniff_wide(head: bytes, encoding: str) -> tuple[str, Collection[str]]:
    """Tell text of two or four bytes a character."""
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    if re.match(r"\s*solid\b", text, re.IGNORECASE) and "facet" in text.lower():
        return "UTF-16 text", ("stl",)
    if re.match(r"\s*ply\s", text):
        return "UTF-16 text", ("ply",)
    if re.search(r"<(?:\w+:)?svg[\s>]", text):
        return "UTF-16 SVG", ("svg",)
    if re.search(r"^\s*v\s+[-+.\d]", text, re.MULTILINE):
        return "UTF-16 text", ("obj",)
    if re.match(r"\s*(?:ST)?C?N?4?n?OFF\b", text, re.IGNORECASE):
        return "UTF-16 text", ("off",)
    points = re.search(r"^\s*[-+.\d]\S*[\s,;]+[-+.\d]\S*[\s,;]+[-+.\d]", text, re.MULTILINE)
    return "UTF-16 text", ("xyz", "pts", "asc") if points else ()


def _sniff_text(head: bytes) -> tuple[str, Collection[str]]:
    """Tell the formats that people can read, as far as their beginning allows."""
    lower = head[:512].lower()
    if re.match(rb"(?:st)?c?n?4?n?off\b", lower):
        return "OFF", ("off",)
    if re.match(rb"ply\s*[\r\n]", lower):
        return "PLY", ("ply",)
    if lower.startswith(b"solid"):
        return "text STL", ("stl",)
    if lower.startswith(b"{"):
        return "JSON", ("gltf",)
    if lower.startswith(b"<") and re.search(rb"<(?:[a-z]+:)?svg[\s>]", head.lower()):
        return "SVG", ("svg", "svgz")
    if lower.startswith((b"<!--", b"<?xml")):  # long comments may come before the first element
        return "XML", ("svg",)
    if lower.startswith((b"<svg", b"<?xml", b"<!doctype", b"<html", b"<")):
        return "XML or HTML", ()
    # Comments and statements of OBJ and XYZ look alike from afar, and so may an OFF behind a comment.
    return TEXT, ("obj", "xyz", "off", "stl", "pts", "asc")
