"""What can be taken away: a link, the answers as files, and the lines that do the same without the page."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Sequence
from html import escape

from demo.html.icons import NAMES, ORDER, PLURALS
from demo.html.pictures import file_address
from demo.links import Link
from demo.state import Ingredient
from omnibind_core.search.answers import Found, found_form

__all__ = ["takeaway"]

_SHOWN = 3  # answers of each kind on a picture for a slide


def takeaway(preset: str, part: str, link: Link, terms: Sequence[Ingredient], found: Found | None) -> str:
    """Draw it; `part` is the link's, `terms` what was asked, `found` the answers, None where nothing was asked."""
    if found is None:
        return '<p class="ob-note">Ask something first: then a link, the answers as files and the code appear here.</p>'
    left = f"{link.left} of your own files stay with you: they are not in the link." if link.left else ""
    one = f'<a class="ob-take" href="?q={escape(part)}" target="_blank" rel="noopener">This search as a link</a>'
    copy = f'<button data-copy="?q={escape(part)}">Copy the link</button>'
    files = _file("answers.json", "application/json", json.dumps(found_form(preset, found, _name), indent=1))
    files += _file("answers.csv", "text/csv", _table(found))
    files += f"<button data-card>answers.png</button>{_card(preset, terms, found)}"
    code = _code(preset, link)
    return (
        f'<div class="ob-takeaway">{f"<p>{one} {copy}</p>" if part else ""}'
        f'<p class="ob-note">{escape(left)}</p><p>{files}</p><pre tabindex="0">{escape(code)}</pre></div>'
    )


def _card(preset: str, terms: Sequence[Ingredient], found: Found) -> str:
    """Write what the page draws a picture for a slide of, out of sight."""
    columns = [
        {
            "kind": kind,
            "title": PLURALS[kind],
            "hits": [
                {"caption": hit.caption, "picture": file_address(hit.thumbnail) if hit.thumbnail else ""}
                for hit in found.hits[kind][:_SHOWN]
            ],
        }
        for kind in ORDER
        if kind in found.hits
    ]
    shown = [hit for column in columns for hit in found.hits[column["kind"]][:_SHOWN]]  # type: ignore[index]
    credits = dict.fromkeys(
        f"{hit.caption}: {hit.details['creator']}, {hit.details['licence']}"
        for hit in shown
        if hit.modality != "text" and hit.details.get("creator")
    )
    data = {
        "asked": "What is near to" if len(terms) == 1 else "What is near to all of",
        "terms": [{"label": one.label, "kind": one.modality, "weight": one.weight} for one in terms],
        "columns": columns,
        "credits": " · ".join(credits),
        "made": f"OmniBind Explorer · {preset}",
    }
    return f'<pre class="ob-data" hidden>{escape(json.dumps(data), quote=False)}</pre>'


def _name(path: str) -> str:
    """Say nothing of where files lie on this machine."""
    return path.rpartition("/")[2]


def _file(name: str, kind: str, text: str) -> str:
    data = base64.b64encode(text.encode()).decode()
    return f'<a class="ob-take" download="{name}" href="data:{kind};base64,{data}">{name}</a> '


def _table(found: Found) -> str:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(["kind", "rank", "id", "caption", "score", "share", "licence", "creator", "source"])
    for modality, hits in found.hits.items():
        for rank, hit in enumerate(hits, 1):
            about = [hit.details.get(name, "") for name in ("licence", "creator", "source")]
            share = "" if hit.share is None else f"{hit.share:.4f}"
            # A spreadsheet would take these for formulas.
            cells = [f"'{one}" if str(one)[:1] in "=+-@" else one for one in (hit.id, hit.caption, *about)]
            rows.writerow([NAMES[modality], rank, *cells[:2], f"{hit.score:.6f}", share, *cells[2:]])
    return out.getvalue()


def _code(preset: str, link: Link) -> str:
    lines = [
        "from omnibind_core import OmniBind",
        "from omnibind_core.search.compose import Options",
        "from omnibind_core.search.explorer import Explorer",
        "",
        f"explorer = Explorer(OmniBind.from_pretrained({preset!r}))",
        "terms = [",
    ]
    for one in link.terms:
        made = f"explorer.item({one.item!r})" if one.item else f"explorer.embed({one.text!r}, 'text')"
        lines.append(f"    {made}.term({one.weight:g}),")
    options = f"operator={link.options.operator!r}, match={link.options.match!r}, k={link.options.k}"
    for name in ("kinds", "licences", "concepts", "collections"):
        value = tuple(getattr(link.options, name))
        options += f", {name}={value!r}" if value else ""
    lines += ["]", f"found = explorer.search(terms, Options({options}))"]
    return "\n".join(lines)
