"""A plan small enough for seconds: MiniLM reads real captions, mini's own gallery vectors stand for the media."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open

from omnibind_core.store.paths import assets_directory
from omnibind_core.store.shards import extract
from omnibind_core.types import FloatArray

__all__ = ["PLAN", "lay_out"]

PLAN = """
name = "small"
title = "Small & tested"
licence = "CC-BY-4.0"
out = "trained"
seed = 3

[pools.image]
files = ["image/*.jpg"]
licence = "see the gallery's catalogue"
vectors = {efficientnet_lite2 = "ready/image"}

[pools.audio]
files = ["audio/*.ogg"]
vectors = {aisfx = "ready/audio"}

[pools.text]
lines = {image = ["seen.txt"], audio = ["heard.txt"]}

[spaces.eyes]
title = "Eyes"
towers = {image = "efficientnet_lite2", text = "minilm_l6"}

[spaces.ears]
towers = {audio = "aisfx", text = "minilm_l6"}

[pairs]
duplicates = {image = {space = "eyes", cosine = 0.9999}}

[pairs.routes]
"image>text" = ["eyes:text"]
"text>image" = ["eyes:image"]
"audio>text" = ["ears:text"]
"text>audio" = ["ears:audio"]
"audio>image" = ["ears:text", "eyes:image"]
"image>audio" = ["eyes:text", "ears:audio"]

[target]
parts = [{space = "eyes", share = 0.9}, {space = "ears", share = 0.1, project = true}]

[projectors]
mixtures = ["all", "AT"]
steps = 20
batch = 48
hidden = 64

[routers]
inputs = {text = ["eyes"]}
domains = {image = ["eyes"], audio = ["ears"]}
steps = 60
batch = 48
rate = 0.003
decoupling = 4.0
"""


def lay_out(folder: Path) -> None:
    """Lay out the plan, sentences, and 60 pictures, sounds and shapes each: stubs with finished vectors."""
    gallery = assets_directory() / "gallery"
    with safe_open(gallery / "vectors-mini.safetensors", "np") as stored:
        ids, rows = json.loads(stored.metadata()["ids"]), stored.get_tensor("media").astype(np.float32)
    items = {item["id"]: item for item in json.loads((gallery / "catalogue.json").read_text())["items"]}
    for modality, suffix, said, template in (
        ("image", "jpg", "seen.txt", "a photo of a {}"),
        ("audio", "ogg", "heard.txt", "the sound of a {}"),
        ("point", "glb", "", ""),
    ):
        chosen = sorted(i for i, name in enumerate(ids) if items[name]["modality"] == modality)[:60]
        (folder / modality).mkdir()
        paths = [folder / modality / f"{number:03d}.{suffix}" for number in range(len(chosen))]
        for path in paths:
            path.touch()
        keys = [path.relative_to(folder).as_posix() for path in paths]
        words = rows[chosen][:, :384]  # mini's block of meaning is MiniLM's space

        def embed(numbers: range, words: FloatArray = words) -> FloatArray:
            return words[list(numbers)]

        extract(folder / "ready" / modality, range(len(keys)), keys, embed, specialist="mini's words")
        lines = [items[ids[i]]["caption"] for i in chosen] + [template.format(items[ids[i]]["concept"]) for i in chosen]
        if said:
            (folder / said).write_text("\n\n".join(lines))
    (folder / "small.toml").write_text(PLAN)
