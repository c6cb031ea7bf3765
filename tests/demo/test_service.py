"""The service where a preset has no vectors of the gallery yet: it makes them once, and says so meanwhile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from demo.service import Service
from demo.settings import Settings
from omnibind_core.store.paths import assets_directory

GALLERY = assets_directory() / "gallery"


def test_a_gallery_without_vectors_is_embedded_at_the_first_start(tmp_path: Path, monkeypatch) -> None:
    whole = json.loads((GALLERY / "catalogue.json").read_text(encoding="utf-8"))
    items = [next(i for i in whole["items"] if i["modality"] == m) for m in ("image", "audio", "point", "text")]
    for item in items:
        for name in (item.get("file"), item.get("thumbnail")):
            if name:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(GALLERY / name, tmp_path / name)
    (tmp_path / "catalogue.json").write_text(json.dumps({**whole, "items": items}), encoding="utf-8")
    service = Service(Settings.read(["--device", "cpu"]))
    service.folder = tmp_path
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(service, "_progress", lambda label, share: told.append((label, share)))
    _, gallery = service._load()
    assert len(gallery) == len(items)
    assert (tmp_path / "vectors-mini.safetensors").is_file()
    assert [share for label, share in told if label == "the gallery, once"] == [0.25, 0.5, 0.75, 1.0]
    told.clear()
    service._load()
    assert not [label for label, _ in told if label == "the gallery, once"]
