"""Parametric beings and plants."""

from __future__ import annotations

from functools import partial

from tools.mini.pools.parametric.parts import Sketch, Sketcher, around

__all__ = ["NATURE"]


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
            x, z = around(i + s.u(0, 0.7), 14, s.u(0.15, 0.45))
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
            x, z = around(i + s.u(0, 1), 7, s.u(0.05, 0.3))
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
            x, z = around(i, 7, 0.45 - 0.018 * i)
            s.ball(0.04, 0.04, 0.04, (x, 0.3 + i * 0.055, z), s.paint())
        s.ball(0.07, 0.07, 0.03, (0, 1.65, 0), (0.95, 0.8, 0.2))
    elif kind == "palm":
        bend, h = s.u(-0.3, 0.3), s.u(1.2, 2)
        s.tube([(0, 0, 0), (bend * 0.4, h * 0.5, 0), (bend, h, 0)], 0.09, trunk, 0.06)
        n = s.n(7, 12)
        for i in range(n):
            x, z = around(i, n, 0.8)
            s.tube([(bend, h, 0), (bend + x * 0.5, h + 0.2, z * 0.5), (bend + x, h - s.u(0, 0.3), z)], 0.08, leaf, 0.01)
    else:
        h = s.u(0.5, 1.1)
        s.rod(s.u(0.05, 0.12), h, (0, 0, 0), trunk, top=0.05)
        if s.chance(0.2):
            s.rod(0.5, s.u(0.8, 1.6), (0, h * 0.6, 0), leaf, top=0.02)
            return
        for i in range(s.n(1, 9)):
            x, z = around(i, 5, s.u(0.1, 0.4))
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


NATURE: dict[str, Sketcher] = {
    "person": _person,
    "doll": partial(_person, small=1.6),
    "bird": _bird,
    "fish": _fish,
    "potted plant": _plant,
    "flower": partial(_plant, pot=False),
    "tree": _tree,
    "christmas tree": partial(_tree, kind="fir"),
    "palm tree": partial(_tree, kind="palm"),
    "cactus": _cactus,
    "hedge": _hedge,
    **{
        k: partial(_beast, kind=k)
        for k in ("dog", "cat", "horse", "cow", "rabbit", "deer", "sheep", "pig", "elephant", "bear")
    },
}
"""Label -> what draws it."""
