"""What the paper reports for its own presets: other models on other data, beside ours for orientation only."""

from __future__ import annotations

from omnibind_core.evaluation.report import Section

__all__ = ["published_section"]

_SOURCE = "arXiv 2407.11895"
_RETRIEVAL = (
    "text-audio, AudioCaps", "text-audio, Clotho", "audio-image, VGG-SS", "audio-image, FlickrNet",
    "text-image, COCO", "text-image, Flickr30K", "3D-image, Objaverse",
)  # fmt: skip
_ZERO_SHOT = ("AudioSet (mAP)", "ESC-50", "ImageNet", "Objaverse-LVIS", "ScanObjectNN", "ModelNet40")
_FIGURES: dict[str, tuple[float, ...]] = {
    "base": (43.61, 20.94, 14.11, 7.67, 56.94, 85.99, 34.34, 21.19, 92.90, 76.18, 53.30, 57.79, 82.82),
    "large": (47.89, 23.07, 14.14, 7.86, 60.08, 87.20, 46.09, 25.57, 93.25, 78.87, 53.97, 64.67, 86.55),
    "full": (46.72, 23.27, 15.64, 8.32, 62.64, 89.13, 46.55, 25.14, 93.45, 79.93, 53.56, 64.67, 87.12),
}


def published_section() -> Section:
    """Lay the published figures out, one row for each task."""
    tasks = [*(f"{task}: R@1" for task in _RETRIEVAL), *(f"{task}: top-1" for task in _ZERO_SHOT)]
    tasks = [task.replace(" (mAP): top-1", ": mAP") for task in tasks]
    rows = [[task, *(f"{figures[i]:.2f}" for figures in _FIGURES.values())] for i, task in enumerate(tasks)]
    text = (
        f"**Published, not measured here** ({_SOURCE}): the paper's presets, of 7, 12 and 30 billion parameters, on "
        "other data than the tables above. They are what `base`, `large` and `full` load; no figure of `mini` may be "
        "compared with them."
    )
    return Section("What the paper reports for base, large and full", text, ["task", *_FIGURES], rows)
