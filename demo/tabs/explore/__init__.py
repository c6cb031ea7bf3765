"""The main tab: four inputs, one mix, answers in all four modalities."""

from demo.tabs.explore.layout import build
from demo.tabs.explore.wiring import wire

__all__ = ["TITLE", "build", "wire"]

TITLE = "Explore"
