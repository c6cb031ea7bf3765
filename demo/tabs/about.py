"""What this is, what it is made of, and how programs call it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape

import gradio as gr

from demo.service import Service
from demo.shell.examples import Examples
from demo.shell.theme import html

__all__ = ["TITLE", "build", "wire"]

TITLE = "How it works"

_STORY = """
### One space for everything
Nobody has data that pairs shapes, sounds, pictures and sentences all together. But there are **specialists**:
networks that were trained to join two or three of them. Here every specialist stays frozen; light **projectors**
carry its vectors into one shared space, and a **router** decides how much each specialist counts: for the input at
hand where it is trained, else by weights that measured best. What comes out is one unit vector, whatever went in: so
a bark, a photograph of a dog, a plastic dog and the word are neighbours, and vectors can be added and subtracted.

### Reading the answers
- **Dots** say how far an answer stands out from the average item of its column. They can be compared between columns.
- **The percentage**, for a single term: how many of all pairs of these two kinds are not as near. The cosine, from −1
  to +1, shows when you point at it: those of true matches differ a lot between kinds, so a 0.2 can be excellent for a
  sound and poor for a sentence. Once there are two terms or more the number is the mix's own score.
- **Nothing here is near**: at least 19 of 20 true matches are nearer than the best answer, or what you gave is more
  like noise than what they were found for. The nearest are folded away.
- **Small bars**, once there are two terms or more: how near the answer is to each of them. Unwanted terms are hatched.
- What you gave never comes back as its own answer.

### Yours stays yours
Nobody else sees what you drop in. Uploads are deleted when you leave, at the latest after an hour, and nothing is sent
anywhere.
"""

_CALLING = """\
from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860/")
client.predict(file=handle_file("dog.wav"), api_name="/search")
client.predict(text="a dog barks", k=3, api_name="/search")
terms = [{"text": "a dog", "weight": 1.0}, {"text": "grass", "weight": -0.7}]
client.predict(terms=terms, api_name="/mix")
client.predict(file=handle_file("chair.glb"), up="z", api_name="/embed")
client.predict(labels=["dog", "cat"], text="a puppy", api_name="/classify")"""
_CALLED = 'Files go in, JSON comes out; "Use via API" at the foot of a wide page lists every endpoint.'


@dataclass
class Parts:
    """Components that the wiring needs."""

    made_of: gr.Markdown


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    del service
    with gr.Row(elem_classes="ob-page ob-two ob-prose"):
        with gr.Column(scale=3, min_width=300):
            gr.Markdown(_STORY)
            gr.Markdown("### Call it from a program")
            html(f'<pre class="ob-code" tabindex="0">{escape(_CALLING)}</pre>', js=None)
            gr.Markdown(_CALLED)
        with gr.Column(scale=2, min_width=300):
            made_of = gr.Markdown("### What is loaded\nStill waking up.")
            html(_credits(examples), js=None)
    return Parts(made_of)


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Fill in what is loaded when the tab is opened."""
    del demo

    def describe() -> str:
        return _made_of(service)

    tab.select(describe, None, parts.made_of, api_visibility="private", show_progress="hidden")


def _made_of(service: Service) -> str:
    if service.status().phase != "ready":
        return "### What is loaded\nStill waking up: come back in a few seconds."
    explorer = service.wait()
    rows = "\n".join(
        f"| {s.title} | {', '.join(s.widths)} | {_parameters(s.parameters)} | {s.licence} |"
        for s in explorer.specialists()
    )
    preset = explorer.model.preset
    return (
        f"### What is loaded\n**{preset.title}** on {explorer.model.device}: {preset.width} dimensions, "
        f"{len(explorer.gallery):,} items in the gallery. Licence of the strictest part: {preset.licence}.\n\n"
        f"| specialist | understands | parameters | licence |\n|---|---|---|---|\n{rows}\n\n{preset.note}"
    )


def _parameters(count: int) -> str:
    return f"{count / 1e6:.0f} M" if count else "shared"


def _credits(examples: Examples) -> str:
    counts = Counter(item.licence for item in examples.catalogue)
    rows = "".join(f"<li>{escape(licence)}: {count}</li>" for licence, count in counts.most_common())
    lead = "<p>Every item names its maker, licence and source: open it.</p>"
    return f'<div class="ob-credits"><h3>Whose work the gallery is</h3><ul>{rows}</ul>{lead}</div>'
