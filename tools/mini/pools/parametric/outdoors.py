"""Parametric vehicles, and what stands outside."""

from __future__ import annotations

from functools import partial

from tools.mini.pools.parametric.parts import Sketch, Sketcher, around

__all__ = ["OUTDOORS"]


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
            y, q = around(i, 6, r)
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


def _fence(s: Sketch) -> None:
    c, n, h, w = s.paint("wood", "white", "metal"), s.n(6, 20), s.u(0.6, 1.2), s.u(1.4, 2.4)
    for i in range(n):
        s.box(w / n * s.u(0.3, 0.8), h, 0.02, ((i / (n - 1) - 0.5) * w, 0, 0), c)
    for y in (0.2, 0.8):
        s.box(w, 0.06, 0.04, (0, h * y, -0.02), c)


OUTDOORS: dict[str, Sketcher] = {
    "fence": _fence,
    "car": _car,
    "bus": partial(_car, kind="bus"),
    "truck": partial(_car, kind="truck"),
    "bicycle": _bicycle,
    "motorcycle": partial(_bicycle, motor=True),
    "airplane": _airplane,
    "boat": _boat,
    "toy train": _train,
    **{
        k: partial(_street, kind=k)
        for k in (
            "street lamp",
            "lantern",
            "traffic cone",
            "fire hydrant",
            "mailbox",
            "hut",
            "dog house",
            "tent",
            "swing",
            "football goal",
            "basketball hoop",
            "swimming pool",
            "sun lounger",
            "snowman",
            "rock",
        )
    },
}
"""Label -> what draws it."""
