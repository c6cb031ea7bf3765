"""The look of gradio's own components. Fonts are the system's, so that the page loads nothing from elsewhere."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from demo.shell import words

__all__ = ["HEAD", "PAGE_JS", "html", "theme"]

_FOLDER = Path(__file__).parent
PAGE_JS = (_FOLDER / "page.js").read_text(encoding="utf-8")
"""What every component of :func:`html` runs."""
_SCRIPTS = ("keys.js", "drop.js", "stories.js", "card.js", "follow.js")
# In the head, not `css=`: that option rewrites selectors, and drops them inside @media for all but gradio's own box.
HEAD = (
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="description" content="Shapes, sounds, pictures and sentences in one space">'
    f"<style>{(_FOLDER / 'style.css').read_text(encoding='utf-8')}</style>"
    + words.script()
    + "".join(f"<script>{(_FOLDER / name).read_text(encoding='utf-8')}</script>" for name in _SCRIPTS)
)

_ACCENT = gr.themes.Color(
    c50="#f4f3ff", c100="#ebe9fe", c200="#d9d6fe", c300="#bdb4fe", c400="#9b8afb", c500="#6d5ef5",
    c600="#5d4ce0", c700="#4c3cc0", c800="#3f329b", c900="#352c7d", c950="#1f1850", name="iris",
)  # fmt: skip
_NEUTRAL = gr.themes.Color(
    c50="#fafafc", c100="#f3f3f8", c200="#e6e6ef", c300="#d2d2de", c400="#9c9cb0", c500="#6c6c82",
    c600="#515166", c700="#3a3a4c", c800="#242433", c900="#181824", c950="#101018", name="ink",
)  # fmt: skip


def html(value: str = "", classes: str = "", js: str | None = PAGE_JS) -> gr.HTML:
    """Make an HTML component without gradio's own styles, whose buttons and sliders reach Python.

    A click on ``data-act`` triggers ``select`` with {"act", "id"}; a slider with ``data-weight`` or ``data-share``
    that is let go triggers ``input``, whose listener reads from the page where the sliders stand.
    """
    return gr.HTML(value, apply_default_css=False, js_on_load=js, elem_classes=["ob-plain", *classes.split()])


def theme() -> gr.themes.Base:
    """Give the theme: calm surfaces, one accent, round corners; light and dark."""
    made = gr.themes.Base(
        primary_hue=_ACCENT,
        secondary_hue=_ACCENT,
        neutral_hue=_NEUTRAL,
        radius_size=gr.themes.sizes.radius_lg,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=["Inter", "ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "monospace"],
    )
    return made.set(
        body_background_fill="*neutral_100",
        body_background_fill_dark="*neutral_950",
        block_background_fill="#ffffff",
        block_background_fill_dark="*neutral_900",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_shadow="none",
        input_background_fill="#ffffff",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_border_color="*neutral_200",
        input_border_color_dark="*neutral_700",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_800",
        button_primary_background_fill="*primary_500",
        button_primary_background_fill_hover="*primary_600",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_400",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        slider_color="*primary_500",
        slider_color_dark="*primary_400",
    )
