"""Parametric furniture: one function for each class, or for several alike."""

from __future__ import annotations

from functools import partial

from tools.mini.pools.parametric.parts import Colour, Sketch, Sketcher, around

__all__ = ["FURNITURE"]


def _back(s: Sketch, w: float, base: float, top: float, z: float, c: Colour) -> None:
    kind = s.n(0, 2)
    if kind == 0:
        s.box(w, top - base, 0.04, (0, base, z), c, (-s.u(0, 12), 0, 0))
        return
    for i in range(s.n(2, 5)) if kind == 1 else ():
        s.box(w, 0.05, 0.03, (0, base + (i + 1) * (top - base) / 5, z), c)
    count = s.n(3, 7)
    for i in range(count) if kind == 2 else ():
        s.rod(0.012, top - base, ((i / (count - 1) - 0.5) * w * 0.9, base, z), c)
    for x in (-1, 1):
        s.box(0.04, top - base, 0.04, (x * w / 2, base, z), c)
    s.box(w, 0.06, 0.04, (0, top - 0.06, z), c)


def _chair(s: Sketch, arms: bool = False, high: float = 0.45) -> None:
    w, d, h, c = s.u(0.4, 0.52), s.u(0.4, 0.5), high * s.u(0.9, 1.1), s.paint("wood", "metal", "white", "dark")
    seat = s.paint() if s.chance(0.5) else c
    if s.chance(0.15):
        s.rod(0.03, h, (0, 0, 0), c)
        s.rod(w * 0.5, 0.03, (0, 0, 0), c)
    else:
        s.legs(w, d, h, s.u(0.012, 0.03), c, s.u(0, 0.06) if s.chance(0.4) else 0)
    s.box(w, s.u(0.03, 0.1), d, (0, h, 0), seat)
    _back(s, w * 0.95, h, h + s.u(0.35, 0.6), -d / 2, seat if s.chance(0.5) else c)
    for x in (-1, 1) if arms else ():
        s.box(0.05, 0.03, d, (x * w / 2, h + 0.22, 0), c)
        s.box(0.04, 0.22, 0.04, (x * w / 2, h, d / 2 - 0.05), c)


def _stool(s: Sketch, h: float = 0.45, back: bool = False) -> None:
    h, r, c = h * s.u(0.85, 1.2), s.u(0.15, 0.22), s.paint("wood", "metal", "dark")
    if s.chance(0.4):
        s.rod(0.025, h, (0, 0, 0), c)
        s.rod(r * 1.1, 0.02, (0, 0, 0), c)
    else:
        s.legs(r * 1.5, r * 1.5, h, 0.016, c, s.u(0.01, 0.08))
        s.ring(r * 0.9, 0.01, (0, h * 0.35, 0), c)
    (s.rod(r, 0.05, (0, h, 0), s.paint()) if s.chance(0.7) else s.box(2 * r, 0.05, 2 * r, (0, h, 0), s.paint()))
    if back:
        _back(s, 1.6 * r, h, h + 0.25, -r * 0.9, c)


def _table(s: Sketch, w: float = 1.3, h: float = 0.74, round_: bool = False, drawers: bool = False) -> None:
    w, d, h, c = w * s.u(0.7, 1.3), s.u(0.6, 0.95), h * s.u(0.9, 1.1), s.paint("wood", "white", "metal", "dark")
    d, t, top = min(w, d), s.u(0.02, 0.06), s.paint("wood", "white", "glass") if s.chance(0.4) else c
    if round_ or s.chance(0.1):
        s.rod(w * 0.45, t, (0, h, 0), top, sides=28)
        if s.chance(0.6):
            s.rod(0.05, h, (0, 0, 0), c)
            s.rod(w * 0.25, 0.03, (0, 0, 0), c, top=0.05)
            return
        w = d = w * 0.6
    else:
        s.box(w, t, d, (0, h, 0), top)
    if not drawers and s.chance(0.15):
        for x in (-1, 1):
            s.box(0.05, h, d * 0.8, (x * w * 0.4, 0, 0), c)
    else:
        s.legs(w * 0.95, d * 0.95, h, s.u(0.015, 0.045), c)
        if s.chance(0.5):
            s.box(w * 0.88, 0.08, d * 0.85, (0, h - 0.08, 0), c)
    for x in (-1, 1) if drawers else ():
        if x > 0 or s.chance(0.5):
            s.box(0.35, h * s.u(0.3, 0.95), d * 0.9, (x * (w / 2 - 0.2), h * 0.05, 0), c)
            for i in range(3):
                s.box(0.12, 0.015, 0.03, (x * (w / 2 - 0.2), h * (0.3 + 0.2 * i), d * 0.46), s.paint("metal"))


def _sofa(s: Sketch, seats: int = 0) -> None:
    n, c = seats or s.n(2, 4), s.paint() if s.chance(0.6) else s.paint("wood", "white", "dark")
    w, d, h = 0.6 * n + 0.1, s.u(0.75, 0.95), s.u(0.35, 0.45)
    arm = s.u(0.08, 0.2)
    s.box(w, h * 0.7, d, (0, 0.08, 0), c)
    s.box(w, s.u(0.4, 0.6), 0.18, (0, h * 0.6, -d / 2 + 0.09), c, (-8, 0, 0))
    for i in range(n):
        s.box(w / n * 0.95, 0.14, d * 0.8, ((i + 0.5 - n / 2) * w / n, h * 0.9, 0.05), c)
        if s.chance(0.3):
            s.box(0.35, 0.35, 0.1, ((i + 0.5 - n / 2) * w / n, h + 0.1, -d * 0.2), s.paint(), (-20, 0, 10))
    for x in (-1, 1):
        s.box(arm, h * s.u(1.1, 1.5), d, (x * (w / 2 + arm / 2), 0.08, 0), c)
    s.legs(w, d, 0.08, 0.025, s.paint("wood", "metal"))


def _bed(s: Sketch, w: float = 1.4, levels: int = 1, rails: float = 0.0) -> None:
    w, d, c = w * s.u(0.65, 1.2), s.u(1.9, 2.1) if w > 0.8 else 1.2, s.paint("wood", "metal", "white", "dark")
    for level in range(levels):
        y = s.u(0.2, 0.4) + level * 1.1
        s.box(w, 0.12, d, (0, y, 0), c)
        s.box(w * 0.96, 0.2, d * 0.97, (0, y + 0.1, 0), s.paint("white"))
        s.box(w, 0.08, d * 0.6, (0, y + 0.26, d * 0.18), s.paint())
        for x in (-0.25, 0.25) if w > 1.2 else (0,):
            s.box(0.5 if w > 0.8 else 0.3, 0.1, 0.3, (x * w, y + 0.3, -d * 0.4), s.paint("white"))
        for side in (-1, 1) if rails or level else ():
            for i in range(12):
                s.rod(0.01, 0.4, (side * w / 2, y + 0.1, (i / 11 - 0.5) * d), c)
            s.box(0.03, 0.04, d, (side * w / 2, y + 0.5, 0), c)
    top = levels * 1.1 - 0.4 + rails
    s.box(w, max(top, 0.5) + s.u(0.1, 0.5), 0.06, (0, 0, -d / 2), c)
    if s.chance(0.6) or levels > 1:
        s.box(w, max(top, 0.5) * s.u(0.5, 1), 0.06, (0, 0, d / 2), c)
    for i in range(6) if levels > 1 else ():
        s.box(0.35, 0.03, 0.04, (w * 0.25, 0.2 + 0.25 * i, d / 2 + 0.05), c)
    s.legs(w, d, 0.3, 0.04, c)


def _case(
    s: Sketch, w: float = 0.8, h: float = 0.9, d: float = 0.4, doors: int = 0, rows: int = 0, open_: bool = False
) -> None:
    """Cabinets, wardrobes, dressers, bookcases, refrigerators: a box with doors, drawers or shelves."""
    w, h, d, c = w * s.u(0.75, 1.3), h * s.u(0.85, 1.15), d * s.u(0.8, 1.2), s.paint("wood", "white", "dark")
    if open_:
        s.box(w, h, 0.02, (0, 0, -d / 2), c)
        for x in (-1, 1):
            s.box(0.03, h, d, (x * w / 2, 0, 0), c)
        for i in range(rows + 1):
            s.box(w, 0.03, d, (0, i * (h - 0.03) / rows, 0), c)
            for k in range(s.n(0, 12)) if i < rows and s.chance(0.7) else ():
                s.box(
                    w * 0.06,
                    h / rows * s.u(0.5, 0.8),
                    d * 0.7,
                    ((k / 13 - 0.42) * w, i * h / rows + 0.03, 0),
                    s.paint(),
                )
        return
    s.box(w, h, d, (0, 0.06, 0), c)
    front, knob = s.paint("wood", "white") if s.chance(0.4) else c, s.paint("metal", "dark")
    for i in range(doors):
        s.box(w / doors * 0.94, h * 0.94, 0.02, ((i + 0.5 - doors / 2) * w / doors, 0.09, d / 2), front)
        s.box(
            0.02,
            0.12,
            0.03,
            ((i + 0.5 - doors / 2) * w / doors + (0.4 - 0.8 * (i % 2)) * w / doors, h / 2, d / 2 + 0.02),
            knob,
        )
    for i in range(rows):
        s.box(w * 0.94, h / rows * 0.9, 0.02, (0, 0.08 + i * h / rows, d / 2), front)
        s.box(w * 0.2, 0.02, 0.03, (0, 0.08 + (i + 0.5) * h / rows, d / 2 + 0.02), knob)
    if s.chance(0.5):
        s.legs(w, d, 0.06, 0.03, c)


def _coat_rack(s: Sketch) -> None:
    c = s.paint("wood", "metal", "dark")
    s.rod(0.025, 1.7, (0, 0, 0), c)
    for i in range(4):
        x, z = around(i, 4, 0.25)
        s.tube([(0, 0.2, 0), (x, 0, z)], 0.02, c)
        s.tube([(0, 1.5, 0), (x * 0.6, 1.6, z * 0.6), (x * 0.7, 1.72, z * 0.7)], 0.012, c)


def _rug(s: Sketch) -> None:
    c, w = s.paint(), s.u(1, 2.5)
    if s.chance(0.3):
        s.rod(w / 2, 0.02, (0, 0, 0), c, sides=30)
        s.rod(w / 3, 0.022, (0, 0, 0), s.paint(), sides=30)
    else:
        s.box(w, 0.02, w * 0.6, (0, 0, 0), c)
        s.box(w * 0.8, 0.022, w * 0.4, (0, 0, 0), s.paint())


def _towel(s: Sketch) -> None:
    c, n = s.paint(), s.n(1, 4)
    if s.chance(0.5):
        for i in range(n):
            s.box(0.4, 0.06, 0.3, (0, 0.065 * i, 0), c)
    else:
        s.rod(0.012, 0.6, (-0.3, 0.5, 0), s.paint("metal"), axis="x")
        for z in (-0.02, 0.02):
            s.box(s.u(0.3, 0.5), 0.45, 0.012, (0, 0.06, z), c)


def _clock(s: Sketch) -> None:
    c = s.paint("wood", "metal", "dark")
    s.rod(0.3, 0.05, (0, 0.3, 0), c, axis="z", sides=30)
    s.rod(0.27, 0.01, (0, 0.3, 0.05), s.paint("white"), axis="z", sides=30)
    for h in (0.15, 0.22):
        s.box(0.015, h, 0.01, (0, 0.3, 0.07), (0.05, 0.05, 0.05), (0, 0, s.u(0, 360)))


def _fireplace(s: Sketch) -> None:
    c = s.paint("earth", "white")
    for x in (-1, 1):
        s.box(0.3, 1.0, 0.4, (x * 0.5, 0, 0), c)
    s.box(1.4, 0.15, 0.5, (0, 1.0, 0), s.paint("wood", "white"))
    s.box(1.2, 1.0, 0.1, (0, 0, -0.2), s.paint("dark"))
    for i in range(3):
        s.rod(0.05, 0.5, (-0.25, 0.05, 0.1 * i - 0.1), s.paint("wood"), axis="x")
    if s.chance(0.5):
        s.box(0.9, s.u(0.6, 1.4), 0.3, (0, 1.15, -0.05), c)


def _stairs(s: Sketch) -> None:
    c, n, w = s.paint("wood", "earth", "white"), s.n(6, 14), s.u(0.8, 1.4)
    for i in range(n):
        s.box(w, 0.18 if s.chance(0) else 0.18 * (i + 1) * 1.0, 0.28, (0, 0, -0.28 * i), c)
    for x in (-1, 1) if s.chance(0.6) else ():
        for i in range(0, n, 2):
            s.rod(0.02, 0.8, (x * w / 2, 0.18 * (i + 1), -0.28 * i), s.paint("wood", "metal"))
        s.tube([(x * w / 2, 1.0, 0), (x * w / 2, 0.18 * n + 0.8, -0.28 * (n - 1))], 0.03, c)


def _ladder(s: Sketch) -> None:
    c, h, lean = s.paint("metal", "wood"), s.u(1.8, 3), s.u(0, 0.6)
    for side in (0, 1) if lean > 0.25 else (0,):
        for x in (-0.22, 0.22):
            s.tube([(x * 1.2, 0, (1 - 2 * side) * lean), (x, h, 0)], 0.025, c)
        for i in range(7) if side == 0 else ():
            s.box(0.44, 0.03, 0.06, (0, h * (i + 1) / 8, lean * (1 - (i + 1) / 8)), c)


FURNITURE: dict[str, Sketcher] = {
    "chair": _chair,
    "armchair": partial(_sofa, seats=1),
    "office chair": partial(_chair, arms=True),
    "high chair": partial(_chair, arms=True, high=0.8),
    "stool": _stool,
    "bar stool": partial(_stool, h=0.75, back=True),
    "table": _table,
    "round table": partial(_table, round_=True),
    "coffee table": partial(_table, w=0.9, h=0.38),
    "desk": partial(_table, drawers=True),
    "sofa": _sofa,
    "bed": _bed,
    "bunk bed": partial(_bed, w=0.9, levels=2),
    "crib": partial(_bed, w=0.6, rails=0.5),
    "bench": partial(_table, w=1.2, h=0.42),
    "cabinet": partial(_case, doors=2),
    "wardrobe": partial(_case, w=1.2, h=2.0, d=0.6, doors=2),
    "dresser": partial(_case, rows=4),
    "bedside table": partial(_case, w=0.45, h=0.5, rows=2),
    "bookcase": partial(_case, h=1.8, d=0.3, rows=5, open_=True),
    "refrigerator": partial(_case, w=0.6, h=1.7, d=0.6, rows=2),
    "clock": _clock,
    "staircase": _stairs,
    "ladder": _ladder,
    "coat rack": _coat_rack,
    "fireplace": _fireplace,
    "rug": _rug,
    "towel": _towel,
}
"""Label -> what draws it."""
