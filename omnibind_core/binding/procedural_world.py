"""Parametric shapes of what is found outside or carried about: plants, beings, vehicles, tools, food, games."""

from __future__ import annotations

import math
from functools import partial

from omnibind_core.binding.procedural_parts import Colour, Sketch, Sketcher

__all__ = ["WORLD"]


def _around(i: float, n: int, r: float) -> tuple[float, float]:
    return r * math.cos(2 * math.pi * i / n), r * math.sin(2 * math.pi * i / n)


def _person(s: Sketch, small: float = 1.0) -> None:
    skin, shirt, legs = s.paint("skin"), s.paint(), s.paint("dark") if s.chance(0.5) else s.paint()
    h, stride, sit = s.u(0.9, 1.1), s.u(0, 0.2), s.chance(0.15)
    for x in (-1, 1):
        knee = (x * 0.11, 0.48 * h, 0.38) if sit else (x * 0.1, 0.45 * h, x * stride * 0.5)
        foot = (x * 0.11, 0.02, 0.4) if sit else (x * 0.1, 0.03, x * stride)
        s.tube([(x * 0.09, 0.85 * h if not sit else 0.5 * h, 0), knee, foot], 0.09, legs, 0.05)
        s.ball(0.05, 0.04, 0.13, (foot[0], 0.03, foot[2] + 0.06), s.paint("dark"))
    base = 0.5 * h if sit else 0.82 * h
    if s.chance(0.25):
        s.rod(0.28, 0.5, (0, base - 0.4, 0), shirt, top=0.13)
    s.ball(0.19, 0.36, 0.12, (0, base + 0.28, 0), shirt)
    lift = s.u(-1, 0.6)
    for x in (-1, 1):
        hand = (x * 0.38, base + 0.5 + lift * 0.45, s.u(-0.1, 0.3))
        s.tube([(x * 0.19, base + 0.5, 0), (x * 0.3, base + 0.5 + lift * 0.25, 0.02), hand], 0.05, shirt, 0.035)
        s.ball(0.045, 0.045, 0.045, hand, skin)
    s.rod(0.05, 0.12, (0, base + 0.58, 0), skin)
    s.ball(0.1 * small, 0.13 * small, 0.11 * small, (0, base + 0.77, 0.01), skin)
    s.ball(0.11 * small, 0.1, 0.115 * small, (0, base + 0.83, -0.02), s.paint("fur", "dark"))


def _beast(s: Sketch, kind: str) -> None:
    """Animals on four legs: size of the legs, the neck, the ears and the tail tell them apart."""
    leg, neck, muzzle, ear, tail, fat = {
        "dog": (0.4, 0.25, 0.16, 0.1, 0.35, 0.17), "cat": (0.3, 0.12, 0.06, 0.08, 0.5, 0.14),
        "horse": (0.8, 0.55, 0.25, 0.08, 0.5, 0.25), "cow": (0.6, 0.2, 0.2, 0.08, 0.5, 0.32),
        "rabbit": (0.14, 0.1, 0.05, 0.22, 0.05, 0.17), "deer": (0.8, 0.5, 0.15, 0.1, 0.1, 0.2),
        "sheep": (0.35, 0.2, 0.1, 0.06, 0.06, 0.33), "pig": (0.25, 0.08, 0.12, 0.08, 0.1, 0.3),
        "elephant": (0.7, 0.1, 0.1, 0.2, 0.4, 0.5), "bear": (0.45, 0.2, 0.14, 0.06, 0.03, 0.36),
    }[kind]  # fmt: skip
    c = {"pig": (0.9, 0.65, 0.62), "elephant": (0.5, 0.5, 0.52), "sheep": (0.92, 0.9, 0.85)}.get(kind) or s.paint("fur")
    leg, body, fat, r = leg * s.u(0.85, 1.15), s.u(0.42, 0.55), fat * s.u(0.85, 1.15), s.u(0.035, 0.06)
    r = r * (2 if kind == "elephant" else 1)
    for x in (-1, 1):
        for z in (-1, 1):
            swing = s.u(-0.08, 0.08)
            s.tube(
                [(x * fat * 0.6, leg + 0.05, z * body * 0.75), (x * fat * 0.6, 0, z * body * 0.75 + swing)],
                r * 1.4,
                c,
                r,
            )
    s.ball(fat, fat * 1.05, body, (0, leg + fat * 0.7, 0), c)
    if kind == "cow" and s.chance(0.7):
        for i in range(4):
            s.ball(fat * 0.5, fat * 0.5, 0.15, (fat * 0.6 * (-1) ** i, leg + fat, s.u(-0.4, 0.4)), (0.1, 0.1, 0.1))
    top = (0.0, leg + fat * 1.1 + neck, body + neck * 0.45)
    s.tube([(0, leg + fat, body * 0.75), top], fat * 0.6, c, 0.09)
    head = max(0.1, fat * 0.5)
    s.ball(head, head, head * 1.2, top, c)
    s.ball(
        head * 0.55, head * 0.5, muzzle, (0, top[1] - head * 0.3, top[2] + head), s.paint("fur") if s.chance(0.3) else c
    )
    for x in (-1, 1):
        s.ball(
            0.2 if kind == "elephant" else 0.035,
            ear,
            0.02,
            (x * head * 0.7, top[1] + head * 0.6 + ear * 0.7, top[2]),
            c,
            (0, 0, -20 * x),
        )
        if kind in ("deer", "cow") and s.chance(0.8):
            tip = (x * 0.25, top[1] + head + (0.45 if kind == "deer" else 0.12), top[2])
            s.tube(
                [(x * 0.05, top[1] + head * 0.7, top[2]), (x * 0.15, top[1] + head + 0.1, top[2]), tip],
                0.03,
                s.paint("wood"),
                0.01,
            )
            if kind == "deer":
                s.tube(
                    [(x * 0.15, top[1] + head + 0.1, top[2]), (x * 0.12, top[1] + head + 0.35, top[2] + 0.1)],
                    0.02,
                    s.paint("wood"),
                )
    if kind == "elephant":
        s.tube([(0, top[1], top[2] + 0.2), (0, top[1] - 0.4, top[2] + 0.35), (0, 0.15, top[2] + 0.35)], 0.11, c, 0.05)
    rise = s.u(-0.9, 0.6)
    s.tube(
        [
            (0, leg + fat, -body),
            (0, leg + fat + rise * tail * 0.5, -body - tail * 0.5),
            (0, leg + fat + rise * tail, -body - tail * 0.7),
        ],
        0.035,
        c,
        0.015,
    )


def _bird(s: Sketch) -> None:
    c = s.paint() if s.chance(0.6) else s.paint("fur", "white")
    s.ball(0.14, 0.14, 0.25, (0, 0.35, 0), c, (-s.u(0, 40), 0, 0))
    s.ball(0.09, 0.09, 0.09, (0, 0.53, 0.18), c)
    s.rod(0.03, 0.1, (0, 0.52, 0.25), (0.9, 0.6, 0.1), top=0.0, axis="z")
    span = s.u(0.15, 0.6)
    for x in (-1, 1):
        s.ball(span / 2, 0.02, 0.13, (x * (0.1 + span / 2), 0.4, -0.02), c, (0, 0, x * s.u(-20, 30)))
        s.tube([(x * 0.05, 0.25, 0), (x * 0.05, 0, 0.03)], 0.012, (0.9, 0.6, 0.1))
    s.box(0.12, 0.02, 0.25, (0, 0.33, -0.32), c)


def _fish(s: Sketch) -> None:
    c = s.paint()
    s.ball(0.1, s.u(0.12, 0.25), 0.4, (0, 0.3, 0), c)
    for turn in (40, -40):
        s.box(0.015, 0.25, 0.1, (0, 0.3, -0.38), c, (turn - 90, 0, 0))
    s.box(0.015, 0.18, 0.2, (0, 0.42, 0), c)


def _plant(s: Sketch, pot: bool = True) -> None:
    c, leaf, r = s.paint("earth", "white") if s.chance(0.7) else s.paint(), s.paint("leaf"), s.u(0.14, 0.25)
    h = s.u(0.2, 0.4) if pot else 0.0
    if pot:
        s.turned([(0, 0), (r * s.u(0.6, 1), 0), (r, h), (r * 0.9, h), (0, h * 0.9)], (0, 0, 0), c)
    kind = s.n(0, 3)
    if kind == 0:  # long leaves
        for i in range(s.n(8, 20)):
            x, z = _around(i + s.u(0, 0.7), 14, s.u(0.15, 0.45))
            top = s.u(0.3, 0.9)
            s.tube([(0, h, 0), (x * 0.5, h + top, z * 0.5), (x, h + top * s.u(0.5, 1.1), z)], 0.03, leaf, 0.004)
    elif kind == 1:  # trunk with leaves
        s.rod(0.025, 0.6, (0, h, 0), s.paint("wood"))
        for _ in range(s.n(15, 35)):
            s.ball(
                0.1,
                0.015,
                0.05,
                (s.u(-0.3, 0.3), h + s.u(0.35, 0.95), s.u(-0.3, 0.3)),
                leaf,
                (s.u(-60, 60), s.u(0, 360), s.u(-60, 60)),
            )
    elif kind == 2:  # ball or cone of leaves
        s.rod(0.03, 0.3, (0, h, 0), s.paint("wood"))
        if s.chance(0.5):
            s.ball(0.3, s.u(0.25, 0.5), 0.3, (0, h + 0.5, 0), leaf)
        else:
            s.rod(0.3, 1.0, (0, h + 0.1, 0), leaf, top=0.02)
    else:  # flowers
        for i in range(s.n(4, 12)):
            x, z = _around(i + s.u(0, 1), 7, s.u(0.05, 0.3))
            y = h + s.u(0.3, 0.6)
            s.tube([(x * 0.3, h, z * 0.3), (x, y, z)], 0.01, leaf)
            s.ball(0.07, 0.04, 0.07, (x, y, z), s.paint())
            s.ball(0.1, 0.01, 0.04, (x * 0.7, h + 0.2, z * 0.7), leaf, (0, s.u(0, 360), s.u(-40, 40)))


def _tree(s: Sketch, kind: str = "leaves") -> None:
    trunk, leaf = s.paint("wood"), s.paint("leaf")
    if kind == "fir":
        s.rod(0.06, 0.3, (0, 0, 0), trunk)
        n = s.n(3, 6)
        for i in range(n):
            s.rod(0.5 - 0.4 * i / n, 0.5, (0, 0.2 + i * 1.1 / n, 0), leaf, top=0.03)
        for i in range(20):
            x, z = _around(i, 7, 0.45 - 0.018 * i)
            s.ball(0.04, 0.04, 0.04, (x, 0.3 + i * 0.055, z), s.paint())
        s.ball(0.07, 0.07, 0.03, (0, 1.65, 0), (0.95, 0.8, 0.2))
    elif kind == "palm":
        bend, h = s.u(-0.3, 0.3), s.u(1.2, 2)
        s.tube([(0, 0, 0), (bend * 0.4, h * 0.5, 0), (bend, h, 0)], 0.09, trunk, 0.06)
        n = s.n(7, 12)
        for i in range(n):
            x, z = _around(i, n, 0.8)
            s.tube([(bend, h, 0), (bend + x * 0.5, h + 0.2, z * 0.5), (bend + x, h - s.u(0, 0.3), z)], 0.08, leaf, 0.01)
    else:
        h = s.u(0.5, 1.1)
        s.rod(s.u(0.05, 0.12), h, (0, 0, 0), trunk, top=0.05)
        if s.chance(0.2):
            s.rod(0.5, s.u(0.8, 1.6), (0, h * 0.6, 0), leaf, top=0.02)
            return
        for i in range(s.n(1, 9)):
            x, z = _around(i, 5, s.u(0.1, 0.4))
            y = h + s.u(0.1, 0.7)
            s.tube([(0, h * 0.8, 0), (x, y, z)], 0.03, trunk)
            s.ball(s.u(0.2, 0.4), s.u(0.2, 0.35), s.u(0.2, 0.4), (x, y, z), leaf)
        if s.chance(0.4):
            for _ in range(60):
                s.ball(
                    0.08,
                    0.02,
                    0.08,
                    (s.u(-0.6, 0.6), h + s.u(0, 1), s.u(-0.6, 0.6)),
                    leaf,
                    (s.u(-60, 60), 0, s.u(-60, 60)),
                )


def _cactus(s: Sketch) -> None:
    c = s.paint("leaf")
    s.rod(0.12, 0.9, (0, 0.1, 0), c)
    s.ball(0.12, 0.12, 0.12, (0, 1, 0), c)
    for x in (-1, 1):
        y = s.u(0.3, 0.6)
        s.tube([(0, y, 0), (x * 0.3, y, 0), (x * 0.3, y + s.u(0.2, 0.4), 0)], 0.07, c)
    if s.chance(0.6):
        s.rod(0.2, 0.25, (0, 0, 0), s.paint("earth"), top=0.26)


def _hedge(s: Sketch) -> None:
    c, w, h = s.paint("leaf"), s.u(1, 2), s.u(0.5, 1.2)
    s.box(w, h, 0.4, (0, 0, 0), c)
    for _ in range(80):
        s.ball(0.09, 0.09, 0.09, (s.u(-w / 2, w / 2), s.u(0, h), 0.2 * (-1 if s.chance(0.5) else 1)), c)


def _fence(s: Sketch) -> None:
    c, n, h, w = s.paint("wood", "white", "metal"), s.n(6, 20), s.u(0.6, 1.2), s.u(1.4, 2.4)
    for i in range(n):
        s.box(w / n * s.u(0.3, 0.8), h, 0.02, ((i / (n - 1) - 0.5) * w, 0, 0), c)
    for y in (0.2, 0.8):
        s.box(w, 0.06, 0.04, (0, h * y, -0.02), c)


def _car(s: Sketch, kind: str = "car") -> None:
    c, glass, r = s.paint(), s.paint("dark", "glass"), s.u(0.28, 0.36)
    w, d, low = s.u(1.6, 1.85), s.u(3.6, 4.6), 0.25
    if kind == "bus":
        d, h = s.u(7, 10), s.u(2.3, 2.9)
        s.box(2.3, h, d, (0, low, 0), c)
        for i in range(8):
            s.box(2.34, h * 0.3, d / 10, (0, low + h * 0.5, (i / 7 - 0.5) * d * 0.85), glass)
        s.box(2.0, h * 0.45, 0.05, (0, low + h * 0.4, d / 2), glass)
    elif kind == "truck":
        d = s.u(5, 8)
        s.box(2.1, s.u(1.6, 2.2), 1.6, (0, low, d / 2 - 0.8), c)
        s.box(1.8, 0.7, 0.05, (0, 1.3, d / 2), glass)
        if s.chance(0.5):
            s.box(2.2, s.u(1.8, 2.6), d - 1.8, (0, 0.7, -0.9), s.paint("white") if s.chance(0.5) else s.paint())
        else:
            s.box(2.2, 0.2, d - 1.8, (0, 0.7, -0.9), s.paint("metal", "wood"))
            for x in (-1, 1):
                s.box(0.06, 0.6, d - 1.8, (x * 1.1, 0.8, -0.9), c)
        s.box(1.0, 0.3, d, (0, 0.4, 0), s.paint("dark"))
        r = 0.5
    else:
        h, cabin = s.u(0.5, 0.65), s.u(1.5, 2.6)
        s.box(w, h, d, (0, low, 0), c)
        before = len(s.parts)
        s.box(w * 0.94, s.u(0.45, 0.65), cabin, (0, low + h, -d * s.u(0.02, 0.12)), glass)
        roof = s.parts[before].vertices
        top = roof[:, 1] > low + h + 0.1
        middle = roof[:, 2].mean()
        roof[top, 2] = middle + (roof[top, 2] - middle) * s.u(0.5, 0.85)
        roof[top, 0] *= 0.85
        s.box(w * 0.78, 0.05, cabin * 0.55, (0, float(roof[:, 1].max()), float(middle)), c)
        for x in (-1, 1):
            s.ball(0.12, 0.08, 0.05, (x * w * 0.35, low + h * 0.6, d / 2), s.paint("white"))
            s.ball(0.12, 0.08, 0.05, (x * w * 0.35, low + h * 0.6, -d / 2), (0.7, 0.1, 0.1))
    s.wheels(w if kind == "car" else 2.1, d * 0.62, r, (0.08, 0.08, 0.08), 0.22)


def _bicycle(s: Sketch, motor: bool = False) -> None:
    c, r, d = s.paint(), s.u(0.3, 0.36), s.u(0.95, 1.2)
    thick = 0.07 if motor else 0.02
    for z in (-1, 1):
        s.ring(r, thick, (0, r, z * d / 2), (0.1, 0.1, 0.1), axis="x")
        for i in range(6):
            y, q = _around(i, 6, r)
            s.tube([(0, r, z * d / 2), (0, r + y, z * d / 2 + q)], 0.006, s.paint("metal"))
    seat, head, crank = (0.0, r + 0.45, -0.2), (0.0, r + 0.45, d * 0.35), (0.0, r * 0.9, -0.05)
    t = 0.035 if motor else 0.02
    s.tube([(0, r, -d / 2), crank, seat, (0, r, -d / 2)], t, c)
    s.tube([crank, head, seat], t, c)
    s.tube([(0, r, d / 2), (0, r + 0.65, d * 0.32)], t, c)
    s.tube([(-0.28, r + 0.7, d * 0.22), (0, r + 0.65, d * 0.32), (0.28, r + 0.7, d * 0.22)], 0.018, s.paint("dark"))
    s.ball(0.08, 0.04, 0.13, (0, r + 0.52, -0.22), s.paint("dark"))
    if motor:
        s.ball(0.13, 0.14, 0.28, (0, r + 0.4, 0.12), c)
        s.box(0.2, 0.3, 0.4, (0, r * 0.7, 0), s.paint("metal"))
        s.ball(0.12, 0.07, 0.35, (0, r + 0.42, -0.3), s.paint("dark"))


def _airplane(s: Sketch) -> None:
    c, w, d, span = (
        s.paint("white", "metal") if s.chance(0.6) else s.paint(),
        s.u(0.2, 0.35),
        s.u(1.6, 2.4),
        s.u(1.0, 1.6),
    )
    s.ball(w, w, d, (0, 0.6, 0), c)
    sweep = s.u(-25, 5)
    for x in (-1, 1):
        s.box(span, 0.04, s.u(0.35, 0.5), (x * span / 2, 0.55, 0), c, (0, -x * sweep, 0))
        s.box(0.5, 0.03, 0.25, (x * 0.25, 0.7, -d * 0.85), c)
        s.rod(0.1, 0.4, (x * span * 0.4, 0.45, 0.1), s.paint("metal"), axis="z")
    s.box(0.03, 0.6, 0.35, (0, 0.65, -d * 0.85), s.paint(), (-15, 0, 0))
    if s.chance(0.4):
        s.box(0.7, 0.06, 0.02, (0, 0.57, d), s.paint("dark"), (0, 0, s.u(0, 180)))


def _boat(s: Sketch) -> None:
    c = s.paint("wood", "white") if s.chance(0.6) else s.paint()
    before = len(s.parts)
    s.turned([(0, -1), (0.6, -1), (0.9, -0.6), (1.0, 0)], (0, 0.4, 0), c)
    s.parts[before].vertices[:] *= [0.45, 0.4, s.u(1.1, 1.6)]
    for z in (-0.5, 0.2):
        s.box(0.8, 0.04, 0.2, (0, 0.1, z), s.paint("wood"))
    if s.chance(0.5):
        s.rod(0.03, 1.8, (0, 0, 0.1), s.paint("wood"))
        s.box(0.01, 1.2, 0.8, (0, 0.4, -0.35), s.paint("white"))
    else:
        for x in (-1, 1):
            s.tube([(x * 0.2, 0.3, 0), (x * 1.1, 0.0, 0.2)], 0.03, s.paint("wood"))


def _train(s: Sketch) -> None:
    c, n = s.paint(), s.n(1, 3)
    s.rod(0.3, 1.0, (0, 0.35, 0), c, axis="z")
    s.rod(0.08, 0.3, (0, 0.6, 0.8), s.paint("dark"), top=0.12)
    s.box(0.7, 0.8, 0.5, (0, 0.2, -0.3), s.paint())
    for i in range(n + 1):
        if i:
            s.box(0.65, 0.5, 0.9, (0, 0.2, -0.3 - i * 1.1), s.paint())
        s.wheels(0.7, 0.5, 0.15, s.paint("dark"), 0.06)
        for part in s.parts[-4:]:
            part.vertices[:, 2] += -0.3 - i * 1.1 if i else 0.3


def _tool(s: Sketch, kind: str) -> None:
    """Things with a handle, lying or standing along Y."""
    grip, m, h = s.paint("wood", "dark") if s.chance(0.6) else s.paint(), s.paint("metal"), s.u(0.9, 1.1)
    if kind == "hammer":
        s.rod(0.035, h, (0, 0, 0), grip)
        s.rod(0.07, 0.35, (-0.12, h - 0.05, 0), m, axis="x")
    elif kind in ("shovel", "broom", "rake"):
        s.rod(0.02, h, (0, 0.25, 0), grip)
        if kind == "shovel":
            s.ball(0.13, 0.2, 0.03, (0, 0.15, 0), m)
        else:
            s.box(0.35, 0.06, 0.06, (0, 0.2, 0), grip)
            for i in range(9):
                s.box(0.03, 0.22, 0.05, ((i / 8 - 0.5) * 0.34, 0, 0), s.paint("wood", "metal"))
    elif kind in ("knife", "spoon", "fork", "screwdriver", "toothbrush"):
        s.rod(0.035, 0.4, (0, 0, 0), grip if s.chance(0.5) or kind == "screwdriver" else m, top=0.03)
        if kind == "knife":
            s.box(0.09, 0.55, 0.008, (0.02, 0.4, 0), m)
        elif kind == "screwdriver":
            s.rod(0.012, 0.45, (0, 0.4, 0), m)
        else:
            s.rod(0.015, 0.3, (0, 0.4, 0), m)
            if kind == "spoon":
                s.ball(0.08, 0.13, 0.02, (0, 0.8, 0), m)
            elif kind == "fork":
                s.box(0.13, 0.08, 0.015, (0, 0.68, 0), m)
                for i in range(4):
                    s.box(0.018, 0.2, 0.012, ((i - 1.5) * 0.035, 0.75, 0), m)
            else:
                s.box(0.04, 0.15, 0.07, (0, 0.65, 0.02), s.paint("white"))
    elif kind in ("scissors", "pliers"):
        for x in (-1, 1):
            s.ring(0.12, 0.025, (x * 0.16, 0.1, 0), grip, axis="z")
            s.box(0.06, 0.75, 0.015, (x * 0.1, 0.2, 0.01 * x), m, (0, 0, x * 14))
    elif kind == "saw":
        s.box(0.2, 0.3, 0.05, (0, 0, 0), grip)
        s.box(0.16, 0.8, 0.006, (0, 0.28, 0), m)
    elif kind == "key":
        s.ring(0.12, 0.03, (0, 0.12, 0), m, axis="z")
        s.rod(0.025, 0.55, (0, 0.24, 0), m)
        for i in range(s.n(2, 4)):
            s.box(0.12, 0.05, 0.02, (0.06, 0.74 - 0.08 * i, 0), m)
    elif kind == "pencil":
        s.rod(0.04, 0.9, (0, 0.12, 0), s.paint(), sides=6)
        s.rod(0.002, 0.12, (0, 0, 0), s.paint("wood"), top=0.04, sides=6)
    elif kind == "racket":
        s.rod(0.02, 0.4, (0, 0, 0), grip)
        s.ring(0.2, 0.015, (0, 0.6, 0), s.paint(), axis="z")
        for i in range(-3, 4):
            s.box(0.004, 0.38, 0.004, (i * 0.05, 0.41, 0), s.paint("white"))
            s.box(0.38, 0.004, 0.004, (0, 0.6 + i * 0.05, 0), s.paint("white"))
    elif kind == "umbrella":
        s.rod(0.015, 1.1, (0, 0, 0), m)
        s.turned([(0.75, 0.8), (0.55, 1.0), (0.3, 1.1), (0, 1.14)], (0, 0, 0), s.paint(), sides=8)


def _instrument(s: Sketch, kind: str) -> None:
    c = s.paint("wood") if s.chance(0.6) else s.paint()
    if kind in ("guitar", "electric guitar", "violin"):
        deep = 0.04 if kind.startswith("e") else 0.1
        s.ball(0.22, 0.2, deep, (0, 0.2, 0), c)
        s.ball(0.16, 0.16, deep, (0, 0.45, 0), c)
        s.box(0.05, 0.65, 0.03, (0, 0.5, deep * 0.7), s.paint("wood", "dark"))
        s.box(0.09, 0.14, 0.03, (0, 1.13, deep * 0.7), s.paint("wood", "dark"))
        s.rod(0.06, 0.01, (0, 0.38, deep), s.paint("dark"), axis="z")
    elif kind == "piano":
        upright = s.chance(0.5)
        c = s.paint("dark", "wood")
        if upright:
            s.box(1.5, 1.2, 0.35, (0, 0, -0.2), c)
        else:
            s.rod(0.75, 0.3, (0, 0.65, -0.5), c, sides=24)
            s.box(1.5, 0.3, 0.6, (0, 0.65, 0), c)
            s.box(1.4, 0.02, 1.3, (-0.3, 1.3, -0.5), c, (0, 0, 35))
            s.legs(1.3, 0.9, 0.65, 0.05, c)
        s.box(1.4, 0.05, 0.25, (0, 0.68, 0.2 + 0.15 * (not upright)), (0.95, 0.95, 0.95))
    else:
        s.rod(0.3, s.u(0.2, 0.5), (0, 0.2, 0), c, sides=26)
        s.rod(0.31, 0.02, (0, 0.2, 0), s.paint("metal"), sides=26)
        for i in range(3):
            x, z = _around(i, 3, 0.25)
            s.tube([(x, 0.3, z), (x * 1.3, 0, z * 1.3)], 0.015, s.paint("metal"))


def _device(s: Sketch, kind: str) -> None:
    c, m = s.paint("dark", "metal", "white") if s.chance(0.7) else s.paint(), s.paint("metal")
    if kind == "telephone":
        if s.chance(0.4):
            s.box(0.08, 0.16, 0.012, (0, 0, 0), c)
            s.box(0.07, 0.13, 0.004, (0, 0.015, 0.007), (0.1, 0.1, 0.15))
            return
        s.box(0.2, 0.06, 0.22, (0, 0, 0), c, (8, 0, 0))
        s.box(0.06, 0.05, 0.23, (-0.07, 0.07, 0), c)
        for i in range(12):
            s.box(0.02, 0.01, 0.02, (0.01 + 0.03 * (i % 3), 0.065, 0.05 - 0.03 * (i // 3)), s.paint("white"))
    elif kind == "camera":
        s.box(0.14, 0.09, 0.05, (0, 0, 0), c)
        s.rod(0.04, s.u(0.04, 0.1), (0, 0.045, 0.02), s.paint("dark"), axis="z")
        s.box(0.05, 0.03, 0.04, (0, 0.09, 0), c)
        if s.chance(0.3):
            for i in range(3):
                x, z = _around(i, 3, 0.15)
                s.tube([(0, 0, 0), (x, -0.4, z)], 0.01, m)
    elif kind in ("radio", "loudspeaker"):
        tall = kind == "loudspeaker"
        w, h = (0.25, 0.45) if tall else (0.45, 0.22)
        s.box(w, h, 0.18, (0, 0, 0), c)
        for i in (-1, 1):
            at = (0, h * (0.5 + 0.22 * i), 0.09) if tall else (i * w * 0.3, h * 0.45, 0.09)
            s.rod(0.08, 0.01, at, s.paint("dark"), axis="z")
            s.ring(0.08, 0.008, at, m, axis="z")
        if not tall:
            s.tube([(0.15, h, 0), (0.25, h + 0.3, 0)], 0.006, m)
            s.box(0.15, 0.05, 0.01, (0, h * 0.75, 0.09), s.paint("white"))
    elif kind == "keyboard":
        s.box(0.45, 0.02, 0.16, (0, 0, 0), c)
        for i in range(60):
            s.box(0.024, 0.012, 0.022, ((i % 15 - 7) * 0.028, 0.02, (i // 15 - 1.5) * 0.032), s.paint("white", "dark"))
    elif kind == "headphones":
        s.ring(0.12, 0.015, (0, 0.1, 0), c, axis="z", arc=180)
        for x in (-1, 1):
            s.rod(0.06, 0.04, (x * 0.12 - 0.02, 0.08, 0), s.paint("dark"), axis="x")
    elif kind == "watch":
        s.rod(0.03, 0.012, (0, 0.05, 0.04), m, axis="z")
        s.ring(0.045, 0.012, (0, 0.05, 0), c, axis="x")
    elif kind == "glasses":
        for x in (-1, 1):
            s.ring(0.03, 0.004, (x * 0.04, 0.03, 0), c, axis="z")
            s.tube([(x * 0.07, 0.04, 0), (x * 0.075, 0.04, -0.12), (x * 0.07, 0.02, -0.15)], 0.004, c)


def _street(s: Sketch, kind: str) -> None:
    c, m = s.paint(), s.paint("metal", "dark")
    if kind == "street lamp":
        s.rod(0.05, 3, (0, 0, 0), m, top=0.03)
        if s.chance(0.5):
            s.tube([(0, 3, 0), (0.5, 3.2, 0), (0.8, 3.1, 0)], 0.03, m)
            s.ball(0.2, 0.06, 0.1, (0.85, 3.07, 0), s.paint("white"))
        else:
            s.turned([(0.1, 3), (0.2, 3.4), (0, 3.55)], (0, 0, 0), s.paint("white", "glass"), sides=8)
    elif kind == "lantern":
        s.rod(0.12, 0.05, (0, 0, 0), m, sides=6)
        s.rod(0.1, 0.25, (0, 0.05, 0), s.paint("glass"), top=0.12, sides=6)
        s.rod(0.14, 0.1, (0, 0.3, 0), m, top=0.02, sides=6)
        s.ring(0.05, 0.01, (0, 0.44, 0), m, axis="z")
    elif kind == "traffic cone":
        s.box(0.4, 0.03, 0.4, (0, 0, 0), (0.9, 0.35, 0.1))
        s.rod(0.15, 0.6, (0, 0.03, 0), (0.9, 0.35, 0.1), top=0.03)
        s.rod(0.11, 0.12, (0, 0.25, 0), (0.95, 0.95, 0.95), top=0.085)
    elif kind == "fire hydrant":
        s.turned(
            [(0.2, 0), (0.2, 0.05), (0.13, 0.06), (0.13, 0.55), (0.16, 0.56), (0.1, 0.7), (0, 0.74)],
            (0, 0, 0),
            (0.8, 0.1, 0.1),
        )
        for axis in "xz":
            s.rod(0.06, 0.4, (-0.2 * (axis == "x"), 0.4, -0.2 * (axis == "z")), (0.8, 0.1, 0.1), axis=axis)
    elif kind == "mailbox":
        s.rod(0.04, 1, (0, 0, 0), s.paint("wood", "metal"))
        s.box(0.25, 0.2, 0.45, (0, 1, 0), c)
        s.rod(0.125, 0.45, (0, 1.2, -0.225), c, axis="z")
    elif kind in ("hut", "dog house", "tent"):
        w, h = s.u(0.9, 1.3), 0.02 if kind == "tent" else s.u(0.5, 0.9)
        if kind != "tent":
            s.box(w, h, s.u(0.9, 1.4), (0, 0, 0), s.paint("wood", "white"))
        for x in (-1, 1):
            s.box(w * 0.8, 0.04, 1.5, (x * w * 0.28, h + 0.2, 0), c, (0, 0, -x * s.u(38, 50)))
        s.box(w * 0.35, 0.5, 0.02, (0, 0, 0.72), s.paint("dark"))
        if kind == "hut" and s.chance(0.5):
            s.box(0.12, 0.4, 0.12, (w * 0.25, h + 0.3, -0.2), s.paint("earth"))
    elif kind in ("swing", "football goal"):
        for x in (-1, 1):
            s.tube([(x, 0, 0.4), (x, 1.5, 0), (x, 0, -0.4)], 0.04, m)
        s.tube([(-1, 1.5, 0), (1, 1.5, 0)], 0.04, m)
        if kind == "swing":
            for i in range(s.n(1, 2)):
                middle = 0.45 - 0.9 * i
                for dx in (-0.18, 0.18):
                    s.tube([(middle + dx, 1.5, 0), (middle + dx, 0.4, 0.1)], 0.01, s.paint("metal"))
                s.box(0.42, 0.04, 0.2, (middle, 0.38, 0.1), s.paint("wood"))
        else:
            for i in range(10):
                s.box(0.008, 1.5, 0.008, (-1 + 0.22 * i, 0, -0.3), (0.95, 0.95, 0.95))
                s.box(2, 0.008, 0.008, (0, 0.15 * i, -0.3), (0.95, 0.95, 0.95))
    elif kind == "basketball hoop":
        s.rod(0.06, 2.6, (0, 0, 0), m)
        s.box(1.1, 0.8, 0.04, (0, 2.3, 0.1), s.paint("white"))
        s.ring(0.23, 0.02, (0, 2.45, 0.38), (0.9, 0.4, 0.1))
    elif kind == "swimming pool":
        w = s.u(1, 2)
        s.box(w + 0.3, 0.1, 1.3, (0, 0, 0), s.paint("white", "earth"))
        s.box(w, 0.11, 1.0, (0, 0, 0), (0.3, 0.65, 0.85))
        for z in (-0.1, 0.1):
            s.ring(0.12, 0.015, (w / 2, 0.1, z), m, axis="z", arc=180)
    elif kind == "sun lounger":
        s.legs(0.6, 1.7, 0.3, 0.03, s.paint("wood", "white"))
        s.box(0.62, 0.08, 1.2, (0, 0.3, 0.25), c)
        s.box(0.62, 0.08, 0.7, (0, 0.42, -0.65), c, (s.u(15, 50), 0, 0))
    elif kind == "snowman":
        for r, y in ((0.4, 0.38), (0.28, 0.95), (0.2, 1.35)):
            s.ball(r, r, r, (0, y, 0), (0.95, 0.96, 0.98))
        s.rod(0.04, 0.25, (0, 1.36, 0.18), (0.95, 0.5, 0.1), top=0.0, axis="z")
        s.rod(0.2, 0.02, (0, 1.5, 0), (0.1, 0.1, 0.1))
        s.rod(0.13, 0.22, (0, 1.5, 0), (0.1, 0.1, 0.1))
        for x in (-1, 1):
            s.tube([(x * 0.25, 1.0, 0), (x * 0.6, 1.2, 0)], 0.02, s.paint("wood"))
    elif kind == "rock":
        for _ in range(s.n(1, 5)):
            s.ball(
                s.u(0.2, 0.5),
                s.u(0.15, 0.4),
                s.u(0.2, 0.5),
                (s.u(-0.3, 0.3), s.u(0, 0.15), s.u(-0.3, 0.3)),
                s.paint("earth", "metal"),
            )


def _carried(s: Sketch, kind: str) -> None:
    c = s.paint()
    if kind in ("suitcase", "briefcase", "toolbox", "handbag", "backpack"):
        w, h, d = (0.45, 0.35, 0.18) if kind != "backpack" else (0.32, 0.5, 0.2)
        w, h = w * s.u(0.8, 1.2), h * s.u(0.8, 1.4)
        (
            s.ball(w * 0.55, h * 0.6, d * 0.7, (0, h / 2, 0), c)
            if kind in ("backpack", "handbag")
            else s.box(w, h, d, (0, 0, 0), c)
        )
        s.ring(w * 0.25, 0.015, (0, h, 0), s.paint("dark"), axis="z", arc=180)
        s.box(w * 0.6, h * 0.35, 0.05, (0, h * 0.1, d / 2), s.paint("metal", "dark"))
        for x in (-1, 1) if kind == "backpack" else ():
            s.tube([(x * 0.1, h, -0.1), (x * 0.13, h * 0.6, -0.22), (x * 0.1, 0.1, -0.12)], 0.02, s.paint("dark"))
    elif kind == "box":
        s.box(s.u(0.4, 0.8), s.u(0.3, 0.6), s.u(0.4, 0.7), (0, 0, 0), s.paint("wood", "white") if s.chance(0.7) else c)
    elif kind == "gift":
        s.box(0.5, 0.4, 0.5, (0, 0, 0), c)
        ribbon = s.paint()
        s.box(0.52, 0.42, 0.08, (0, 0, 0), ribbon)
        s.box(0.08, 0.42, 0.52, (0, 0, 0), ribbon)
        for x in (-1, 1):
            s.ring(0.09, 0.02, (x * 0.09, 0.48, 0), ribbon, axis="z")
    elif kind == "book":
        for i in range(s.n(1, 4)):
            s.box(0.2, 0.03, 0.28, (0, 0.035 * i, 0), s.paint(), (0, s.u(-15, 15), 0))
            s.box(0.19, 0.022, 0.27, (0.008, 0.004 + 0.035 * i, 0), (0.95, 0.95, 0.9))
    elif kind == "ball":
        s.ball(0.3, 0.3, 0.3, (0, 0.3, 0), c)
        for axis in "xyz" if s.chance(0.6) else "":
            s.ring(0.3, 0.008, (0, 0.3, 0), s.paint("dark", "white"), axis=axis)
    elif kind in ("hat", "helmet"):
        s.ball(0.12, 0.12, 0.14, (0, 0.04, 0), c)
        if kind == "hat":
            s.rod(s.u(0.18, 0.28), 0.015, (0, 0, 0), c)
            s.ring(0.13, 0.012, (0, 0.03, 0), s.paint("dark"))
    elif kind == "shoe":
        for side in (-0.08, 0.08) if s.chance(0.5) else (0.0,):
            s.box(0.09, 0.025, 0.28, (side, 0, 0), s.paint("dark", "white"))
            s.ball(0.05, 0.05, 0.09, (side, 0.04, 0.06), c)
            s.ball(0.048, s.u(0.06, 0.16), 0.06, (side, 0.08, -0.08), c)
    elif kind == "clothes":
        legs = s.chance(0.4)
        if legs:
            for x in (-1, 1):
                s.tube([(x * 0.1, 0.9, 0), (x * 0.12, 0, 0)], 0.1, c, 0.08)
        else:
            s.ball(0.24, 0.36, 0.1, (0, 0.4, 0), c)
            for x in (-1, 1):
                s.tube([(x * 0.2, 0.65, 0), (x * 0.4, s.u(0.1, 0.5), 0)], 0.08, c, 0.06)
        if s.chance(0.4):
            s.tube([(-0.2, 0.75, 0), (0, 0.85, 0), (0.2, 0.75, 0)], 0.01, s.paint("metal"))
    elif kind == "skateboard":
        s.box(0.2, 0.02, 0.8, (0, 0.1, 0), c)
        s.wheels(0.2, 0.5, 0.04, s.paint("white", "dark"), 0.04)


def _food(s: Sketch, kind: str) -> None:
    brown: Colour = (0.75 * s.u(0.85, 1.1), 0.5, 0.25)
    if kind == "cake":
        for i in range(s.n(1, 3)):
            s.rod(
                0.4 - 0.11 * i,
                0.16,
                (0, 0.03 + 0.16 * i, 0),
                s.paint() if s.chance(0.5) else s.paint("white", "wood"),
                sides=26,
            )
        s.rod(0.5, 0.03, (0, 0, 0), s.paint("white", "metal"), sides=26)
        for i in range(8):
            x, z = _around(i, 8, 0.15)
            s.rod(0.012, 0.6, (x, 0.05, z), s.paint())
    elif kind == "hamburger":
        s.ball(0.3, 0.15, 0.3, (0, 0.22, 0), brown)
        for y, layer in ((0.18, s.paint("leaf")), (0.13, (0.9, 0.75, 0.2)), (0.07, (0.3, 0.17, 0.1)), (0, brown)):
            s.rod(0.31, 0.06, (0, y, 0), layer, sides=24)
    elif kind == "bread":
        s.ball(0.14, s.u(0.1, 0.16), s.u(0.2, 0.5), (0, 0.1, 0), brown)
        for i in range(4):
            s.box(0.16, 0.01, 0.02, (0, 0.2, 0.12 * i - 0.2), (0.9, 0.75, 0.5), (0, 30, 0))
    elif kind == "apple":
        skin: Colour = (0.8, 0.15, 0.12) if s.chance(0.6) else (0.5, 0.7, 0.2)
        s.turned([(0, 0.06), (0.16, 0), (0.3, 0.25), (0.26, 0.46), (0.12, 0.54), (0, 0.46)], (0, 0, 0), skin)
        s.tube([(0, 0.46, 0), (0.03, 0.62, 0)], 0.015, s.paint("wood"))
    elif kind == "roast chicken":
        s.ball(0.2, 0.14, 0.26, (0, 0.16, 0), brown)
        for x in (-1, 1):
            s.tube([(x * 0.15, 0.16, 0.1), (x * 0.13, 0.22, 0.35)], 0.07, brown, 0.03)
        s.rod(0.4, 0.02, (0, 0, 0), s.paint("white", "metal"), sides=26)


def _game(s: Sketch, kind: str) -> None:
    c = s.paint("wood", "dark")
    green: Colour = (0.1, 0.45, 0.25)
    s.legs(2.2, 1.2, 0.75, 0.06, c)
    s.box(2.3, 0.1, 1.3, (0, 0.72, 0), c if kind != "table tennis table" else green)
    if kind == "table tennis table":
        s.box(0.02, 0.15, 1.4, (0, 0.82, 0), (0.9, 0.9, 0.9))
        s.box(2.3, 0.005, 0.02, (0, 0.825, 0), (0.95, 0.95, 0.95))
    elif kind == "pool table":
        s.box(2.0, 0.11, 1.0, (0, 0.72, 0), green)
        for _ in range(8):
            s.ball(0.03, 0.03, 0.03, (s.u(-0.9, 0.9), 0.86, s.u(-0.4, 0.4)), s.paint())
    else:
        for i in range(8):
            s.rod(0.01, 1.8, ((i / 7 - 0.5) * 1.9, 0.95, -0.9), s.paint("metal"), axis="z")
            for k in (-1, 0, 1):
                s.box(0.03, 0.12, 0.05, ((i / 7 - 0.5) * 1.9, 0.86, k * 0.35), s.paint())


WORLD: dict[str, Sketcher] = {
    "person": _person, "doll": partial(_person, small=1.6), "bird": _bird, "fish": _fish, "potted plant": _plant,
    "flower": partial(_plant, pot=False), "tree": _tree, "christmas tree": partial(_tree, kind="fir"),
    "palm tree": partial(_tree, kind="palm"), "cactus": _cactus, "hedge": _hedge, "fence": _fence, "car": _car,
    "bus": partial(_car, kind="bus"), "truck": partial(_car, kind="truck"), "bicycle": _bicycle,
    "motorcycle": partial(_bicycle, motor=True), "airplane": _airplane, "boat": _boat, "toy train": _train,
    **{
        k: partial(_beast, kind=k)
        for k in ("dog", "cat", "horse", "cow", "rabbit", "deer", "sheep", "pig", "elephant", "bear")
    },
    **{k: partial(_tool, kind=k) for k in (
        "hammer", "shovel", "broom", "rake", "knife", "spoon", "fork", "screwdriver", "toothbrush", "scissors",
        "pliers",
        "saw", "key", "pencil", "racket", "umbrella")},
    **{k: partial(_instrument, kind=k) for k in ("guitar", "electric guitar", "violin", "piano", "drum")},
    **{k: partial(_device, kind=k) for k in (
        "telephone", "camera", "radio", "loudspeaker", "headphones", "watch", "glasses")},
    "computer keyboard": partial(_device, kind="keyboard"),
    **{k: partial(_street, kind=k) for k in (
        "street lamp", "lantern", "traffic cone", "fire hydrant", "mailbox", "hut", "dog house", "tent", "swing",
        "football goal", "basketball hoop", "swimming pool", "sun lounger", "snowman", "rock")},
    **{k: partial(_carried, kind=k) for k in (
        "suitcase", "briefcase", "toolbox", "handbag", "backpack", "box", "gift", "book", "ball", "hat", "helmet",
        "shoe",
        "clothes", "skateboard")},
    **{k: partial(_food, kind=k) for k in ("cake", "hamburger", "bread", "apple", "roast chicken")},
    **{k: partial(_game, kind=k) for k in ("table tennis table", "pool table", "foosball table")},
}  # fmt: skip
"""Label -> what draws it."""
