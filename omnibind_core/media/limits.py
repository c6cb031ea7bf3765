"""Every limit on what is decoded, in one place; error messages quote these numbers.

They keep one upload from taking the machine: what may be read, what may be decoded, and what the
process that decodes may use. Sizes count bytes with 1 MB = 1,000,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from omnibind_core.types import Modality

MB: Final = 1_000_000

MAX_BYTES: Final[Mapping[Modality, int]] = {"image": 64 * MB, "audio": 128 * MB, "point": 128 * MB, "text": 64_000}
"""Largest file. 20 megapixels of uncompressed RGB are 60 MB; ten minutes of 16-bit stereo at 48 kHz are 115 MB."""

MAX_PIXELS: Final = 64_000_000
"""Pixels of a picture, width times height: 8,000 x 8,000. Decoding one takes up to 900 MB."""

MAX_PIXELS_JPEG: Final = 210_000_000
"""Of a JPEG, which is decoded at a half to an eighth of its sides: telephones write 200 million."""

MAX_PIXELS_WEBP: Final = 48_000_000
"""Of a WebP, whose decoder holds five copies."""

KEEP_PIXELS: Final = 20_000_000
"""Pictures with more pixels come back reduced: towers look at 224 to 448 pixels a side."""

MAX_SVG_BYTES: Final = 4 * MB
MAX_SVG_PARTS: Final = 20_000
SVG_SECONDS: Final = 3.0
"""Of a drawing: its size, its elements, and the wall time it takes to draw before its process is ended."""

USUAL_SCANS: Final = 24
MAX_SCANS: Final = 1_000
MAX_SCANNED_PIXELS: Final = 1_500_000_000
"""Passes over a JPEG's pixels: usual ones (10 in most progressive files) always pass, more only as far as a picture is
small. Each takes 0.8 ns a pixel, and ten bytes of the file: 900 kB of them took 20 s and more."""

MAX_ASPECT: Final = 64
"""Longest side over shortest. Towers scale the short side to 224, so a strip of 1 x 20,000,000 would blow up there."""

MIN_RATE: Final = 8_000
MAX_RATE: Final = 192_000
"""Sampling rates in Hz, as a file may declare them."""

KEEP_RATE: Final = 48_000
"""Sounds above this rate in Hz come back at it: no specialist hears beyond 24 kHz, and memory stays bounded."""

MAX_CHANNELS: Final = 8
MIN_SECONDS: Final = 0.05
MAX_SECONDS: Final = 600.0
"""Length of a sound. An hour of silence fits a FLAC of half a megabyte, so size alone does not bound it."""

MIN_PEAK: Final = 1e-4
"""Largest absolute sample below which a sound counts as silent: -80 dB of full scale, three steps of 16 bits."""

MAX_CHARACTERS: Final = 2_000
"""Characters of a sentence; text towers read 77 tokens or so."""

POINTS: Final = 10_000
"""Points sampled from a surface: what the published point towers were trained on."""

MIN_POINTS: Final = 8
MAX_POINTS: Final = 5_000_000
"""Points that a file of points may hold; more than `POINTS` are thinned at random."""

MAX_FACES: Final = 2_000_000
MAX_LAYERS: Final = 300
"""Times that a shape's faces may cover it, one behind another: drawing takes as long. Most in the gallery: 6."""
MAX_VERTICES: Final = 3 * MAX_FACES
"""Triangles and vertices of a mesh, after every instance in its scene is counted."""

MAX_BUNDLE_FILES: Final = 512
MAX_BUNDLE_BYTES: Final = 256 * MB
"""Files beside a shape, or in an archive, and what they hold together when unpacked."""

MAX_NODES: Final = 10_000
"""Nodes visited in a scene: 20,000 instances of one mesh fit one megabyte and took 6 GB."""

MAX_PIECES: Final = 25_000
"""Primitives placed in a scene: each takes 0.1 ms, whatever its size, and 40 bytes of the file."""

MAX_TEXTURE_PIXELS: Final = 20_000_000
MAX_TEXTURE_PIXELS_TOTAL: Final = 200_000_000
"""Pixels of one texture, and of all textures in a file: 4,096 x 4,096 passes."""

TEXTURE_SIDE: Final = 1_024
"""Textures are reduced to this many pixels a side: finer than 10,000 points or a preview can show."""

GREY: Final = 0.4
"""Colour of points whose file has none, as in the published point clouds."""

DEADLINE_SECONDS: Final = 20.0
"""Wall time for decoding one file; the process that takes longer is ended."""

START_SECONDS: Final = 60.0
"""Wall time for a decoding process to start, and for a query to wait for a free one."""

WORKERS: Final = 2
"""Decoding processes, hence files decoded at the same time."""

WORKER_BYTES: Final = 3_000 * MB
"""Address space of one decoding process, where the platform can limit it."""

WORKER_TIRED_BYTES: Final = 1_000 * MB
"""A decoding process that ever used more than this is replaced after its answer."""
