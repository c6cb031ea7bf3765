"""Rooms and arrows: a later room may import an earlier one, never the reverse, and no import runs in a circle.

docs/architecture.md holds the drawing that this walk gives; `python -m tools.rooms --write` renews it.
"""

from pathlib import Path

from tools.rooms import MAY, circles, drawing, imports, modules, room_of, upward

ROOT = Path(__file__).parent.parent
FOUND = imports(modules(ROOT))


def test_every_module_has_a_room():
    assert {room_of(module) for module in FOUND} == set(MAY)


def test_no_arrow_runs_upward():
    assert upward(FOUND) == []


def test_no_circle():
    assert circles(FOUND) == []


def test_only_the_demo_imports_gradio():
    outside = imports(modules(ROOT), outside=True)
    core = {name for module, names in outside.items() if module.startswith("omnibind_core") for name in names}
    assert not [name for name in core if name.split(".")[0] in {"gradio", "gradio_client"}]


DEMO = {
    "settings": (),
    "logs": (),
    "uploads": ("settings",),
    "guard": ("settings", "uploads"),
    "sessions": (),
    "turns": ("settings", "uploads", "guard"),
    "state": ("settings",),
    "links": ("settings", "state"),
    "html": ("settings", "state", "links"),
    "zero": (),
    "seen": (),
    "loading": ("settings", "state", "zero"),
    "service": ("settings", "state", "html", "zero", "seen", "loading"),
    "shell": ("settings", "state", "html", "guard", "service"),
    "tabs": ("settings", "state", "seen", "links", "html", "guard", "service", "shell"),
    "api": ("settings", "guard", "html", "service"),
    "programs": ("service",),
    "page": (
        "settings",
        "logs",
        "uploads",
        "html",
        "guard",
        "turns",
        "sessions",
        "service",
        "shell",
        "tabs",
        "api",
        "programs",
    ),
}
"""What each part of the demo may import of it, beside itself."""


def part_of(module):
    """The part of the demo that a module is, or lies in; None outside of it."""
    top, *rest = module.split(".")
    return rest[0] if top == "demo" and rest else None


def test_the_parts_of_the_demo_import_downwards():
    parts = {part_of(module) for module in FOUND} - {None}
    assert parts == set(DEMO)
    wrong = [
        f"{module} -> {other}"
        for module, others in FOUND.items()
        for other in others
        if (here := part_of(module)) and (there := part_of(other)) and there != here and there not in DEMO[here]
    ]
    assert wrong == []


def test_drawings_state_and_service_know_nothing_of_gradio():
    outside = imports(modules(ROOT), outside=True)
    free = {"html", "state", "settings", "loading", "service", "logs", "uploads"}
    names = {name.split(".")[0] for module, named in outside.items() if part_of(module) in free for name in named}
    assert not names & {"gradio", "gradio_client"}


def test_no_tab_imports_another():
    def tab_of(module):
        parts = module.split(".")
        return parts[2] if parts[:2] == ["demo", "tabs"] and len(parts) > 2 else None

    wrong = [
        f"{module} -> {other}"
        for module, others in FOUND.items()
        for other in others
        if tab_of(module) and tab_of(other) and tab_of(module) != tab_of(other)
    ]
    assert wrong == []


def test_the_walk_sees_what_it_shall_find(tmp_path):
    package = tmp_path / "omnibind_core"
    for name, text in {
        "store/paths.py": "from omnibind_core.search import gallery\n",
        "search/gallery.py": "def late():\n    import omnibind_core.store.paths\n",
        "search/__init__.py": "",
        "store/__init__.py": "",
        "__init__.py": "",
    }.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = imports(modules(tmp_path))
    assert upward(found) == ["omnibind_core.store.paths -> omnibind_core.search.gallery (store may not import search)"]
    assert circles(found) == [["omnibind_core.search.gallery", "omnibind_core.store.paths"]]


def test_the_drawing_is_the_walk():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert drawing(FOUND) in page, "run `python -m tools.rooms --write`"
