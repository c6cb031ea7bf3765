"""Names, hues and icons of the modalities: drawn here, so that the page asks nobody else for them."""

from __future__ import annotations

from collections.abc import Mapping

from omnibind_core.types import Modality

__all__ = ["ICONS", "NAMES", "ORDER", "PLURALS", "icon"]

ORDER: tuple[Modality, ...] = ("point", "audio", "image", "text")
NAMES: Mapping[Modality, str] = {"point": "Shape", "audio": "Sound", "image": "Picture", "text": "Sentence"}
PLURALS: Mapping[Modality, str] = {"point": "Shapes", "audio": "Sounds", "image": "Pictures", "text": "Sentences"}

ICONS: Mapping[str, str] = {
    "point": '<path d="M12 2.8 20 7.4v9.2l-8 4.6-8-4.6V7.4z"/><path d="M12 12v9.2M12 12 4 7.4M12 12l8-4.6"/>',
    "audio": '<path d="M3 10v4M7 6.5v11M11 3.5v17M15 8v8M19 5.5v13"/>',
    "image": '<rect x="3" y="4.5" width="18" height="15" rx="3"/><circle cx="8.6" cy="10" r="1.7"/>'
    '<path d="m4 18 5.2-5 3.6 3.4 3-2.6L21 18"/>',
    "text": '<path d="M5 6.5h14M5 12h14M5 17.5h8.5"/>',
    "play": '<path d="M8 5.6v12.8L18.5 12z" fill="currentColor"/>',
    "pause": '<path d="M8.5 5.5v13M15.5 5.5v13" stroke-width="3"/>',
    "search": '<circle cx="10.8" cy="10.8" r="6.3"/><path d="m15.6 15.6 5 5"/>',
    "add": '<path d="M12 5v14M5 12h14"/>',
    "subtract": '<path d="M5 12h14"/>',
    "undo": '<path d="M8.5 5 4 9.5 8.5 14"/><path d="M4.5 9.5h9.3a5.2 5.2 0 0 1 0 10.4H9"/>',
    "redo": '<path d="M15.5 5 20 9.5 15.5 14"/><path d="M19.5 9.5h-9.3a5.2 5.2 0 0 0 0 10.4H15"/>',
    "mute": '<path d="M4 9.5h3.5L12 5.5v13l-4.5-4H4z"/><path d="m16 9.5 5 5M21 9.5l-5 5"/>',
    "swap": '<path d="M7.5 4.5 4 8l3.5 3.5M4 8h16M16.5 12.5 20 16l-3.5 3.5M20 16H4"/>',
    "close": '<path d="m6 6 12 12M18 6 6 18"/>',
    "clear": '<path d="M4.5 7h15M9.5 7V4.5h5V7M7 7l.8 12.5h8.4L17 7"/>',
}


def icon(name: str) -> str:
    """Give an icon as inline SVG; it is decoration, so assistive technology skips it."""
    return (
        '<svg class="ob-icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" '
        f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{ICONS[name]}</svg>'
    )
