"""Parametric fittings of a house: machines, lamps, panels on walls, vessels, basins, computers."""

from __future__ import annotations

from functools import partial

from tools.mini.pools.parametric.parts import Colour, Sketch, Sketcher, around

__all__ = ["FITTINGS"]


def _machine(s: Sketch, kind: str) -> None:
    """White boxes of the kitchen: a stove, an oven, a washing machine, a microwave oven, a dishwasher."""
    w, c, dark = 0.6 * s.u(0.9, 1.1), s.paint("white", "metal"), s.paint("dark")
    h = {"microwave": 0.32, "oven": 0.6}.get(kind, 0.86)
    s.box(w, h, 0.6 if kind != "microwave" else 0.4, (0, 0, 0), c)
    z = 0.3 if kind != "microwave" else 0.2
    if kind == "washing":
        s.ring(w * 0.28, 0.03, (0, h * 0.45, z), s.paint("metal"), axis="z")
        s.rod(w * 0.27, 0.02, (0, h * 0.45, z), dark, axis="z")
        s.box(w * 0.9, 0.1, 0.02, (0, h - 0.12, z), s.paint("dark", "metal"))
    else:
        s.box(w * 0.75, h * 0.5, 0.02, (-0.05 * (kind == "microwave"), h * 0.2, z), dark)
        s.box(w * 0.7, 0.03, 0.04, (0, h * 0.76, z + 0.02), s.paint("metal"))
        for i in range(5):
            s.rod(0.02, 0.03, ((i / 4 - 0.5) * w * 0.8, h * 0.9, z), dark, axis="z")
    if kind == "stove":
        for x in (-1, 1):
            for zz in (-1, 1):
                s.rod(s.u(0.07, 0.1), 0.015, (x * w / 4, h, zz * 0.14), dark)
                s.ring(0.08, 0.01, (x * w / 4, h + 0.02, zz * 0.14), dark)
        if s.chance(0.4):
            s.box(w, 0.2, 0.04, (0, h, -0.28), c)


def _lamp(s: Sketch, h: float = 1.5, shade: float = 0.25, base: float = 0.15) -> None:
    h, c, light = h * s.u(0.8, 1.2), s.paint("metal", "dark", "wood"), s.paint("white") if s.chance(0.6) else s.paint()
    r = shade * s.u(0.7, 1.3)
    if h < 0.8 and s.chance(0.6):
        s.turned([(0, 0), (base, 0), (base * s.u(0.3, 1.2), h * 0.3), (0.03, h * 0.7), (0, h * 0.72)], (0, 0, 0), c)
    s.rod(base, 0.03, (0, 0, 0), c)
    s.rod(s.u(0.01, 0.02), h, (0, 0, 0), c)
    s.turned([(r, h - r * s.u(0.5, 1)), (r * s.u(0.3, 0.9), h + r * s.u(0.3, 0.9))], (0, 0, 0), light)


def _desk_lamp(s: Sketch) -> None:
    c, a = s.paint("metal", "dark") if s.chance(0.5) else s.paint(), s.u(0.1, 0.2)
    s.rod(0.1, 0.03, (0, 0, 0), c)
    elbow, head = (-a, 0.3, 0), (s.u(0.05, 0.15), 0.5, 0)
    s.tube([(0, 0, 0), elbow, head], 0.012, c)
    s.turned([(0.03, 0.1), (0.09, 0)], (head[0] + 0.04, head[1] - 0.08, 0), c)


def _hanging_lamp(s: Sketch) -> None:
    c, n = s.paint("metal", "dark", "white"), s.n(1, 8)
    s.rod(0.06, 0.03, (0, 0.8, 0), c)
    s.rod(0.01, 0.6, (0, 0.2, 0), c)
    if n < 4:
        s.turned(
            [(s.u(0.15, 0.3), 0), (s.u(0.05, 0.2), s.u(0.1, 0.25)), (0, 0.26)], (0, 0, 0), s.paint("white", "glass")
        )
        return
    for i in range(n):
        x, z = around(i, n, 0.35)
        s.tube([(0, 0.25, 0), (x * 0.6, 0.12, z * 0.6), (x, 0.2, z)], 0.01, c)
        s.ball(0.05, 0.07, 0.05, (x, 0.27, z), s.paint("white", "glass"))


def _panel(s: Sketch, kind: str) -> None:
    """Doors, windows, pictures, screens and plates on walls: flat, with something in front."""
    w, h, t, c = {
        "door": (0.9, 2.1, 0.06, "wood"), "window": (1.2, 1.2, 0.08, "white"), "socket": (0.08, 0.08, 0.012, "white"),
        "switch": (0.08, 0.08, 0.012, "white"), "television": (1.1, 0.65, 0.06, "dark"),
        "whiteboard": (1.4, 0.9, 0.03, "metal"),
        "picture": (0.7, 0.5, 0.03, "wood"), "radiator": (0.9, 0.6, 0.1, "white"), "blind": (1.0, 1.2, 0.04, "white"),
        "mirror": (0.5, 0.9, 0.03, "metal"),
    }[kind]  # fmt: skip
    w, h = w * s.u(0.75, 1.3), h * s.u(0.85, 1.2)
    frame, inner = s.paint(c) if s.chance(0.8) else s.paint(), s.paint("glass")
    if kind in ("window", "picture", "mirror", "whiteboard"):
        for x in (-1, 1):
            s.box(0.06, h, t, (x * w / 2, 0, 0), frame)
        s.box(w, 0.06, t, (0, 0, 0), frame)
        s.box(w, 0.06, t, (0, h - 0.06, 0), frame)
        white: Colour = (0.97, 0.97, 0.97)
        s.box(w, h, 0.01, (0, 0, 0), {"window": inner, "mirror": inner, "whiteboard": white}.get(kind, s.paint()))
        for i in range(s.n(1, 3)) if kind == "window" else ():
            s.box(0.05, h, t * 0.8, ((i + 1) * w / 4 - w / 2, 0, 0), frame)
    elif kind == "door":
        s.box(w, h, t, (0, 0, 0), frame)
        for i in range(s.n(0, 3)):
            s.box(w * 0.7, h * 0.22, 0.01, (0, 0.15 + i * h * 0.3, t / 2), s.paint("glass", "wood"))
        s.rod(0.02, 0.08, (w * 0.4, h * 0.47, t / 2), s.paint("metal"), axis="z")
        for x in (-1, 1) if s.chance(0.7) else ():
            s.box(0.08, h + 0.08, t * 1.6, (x * (w / 2 + 0.04), 0, 0), frame)
        s.box(w + 0.16, 0.08, t * 1.6, (0, h, 0), frame)
    elif kind in ("socket", "switch"):
        n = s.n(1, 3)
        s.box(w * n, h, t, (0, 0, 0), frame)
        for i in range(n):
            middle = (i + 0.5 - n / 2) * w
            if kind == "switch":
                s.box(w * 0.5, h * 0.6, t * 0.6, (middle, h * 0.2, t * 0.5), s.paint("white"), (s.u(-12, 12), 0, 0))
                continue
            s.ring(w * 0.3, 0.004, (middle, h / 2, t / 2), s.paint("white", "metal"), axis="z")
            for side in (-1, 1):
                s.rod(0.004, 0.006, (middle + side * 0.012, h / 2, t / 2), (0.1, 0.1, 0.1), axis="z")
    elif kind == "television":
        s.box(w, h, t, (0, 0.1, 0), frame)
        s.box(w * 0.95, h * 0.92, 0.01, (0, 0.1 + h * 0.04, t / 2), (0.05, 0.06, 0.1))
        s.box(0.1, 0.12, 0.05, (0, 0, 0), frame)
        s.box(w * 0.45, 0.02, 0.22, (0, 0, 0), frame)
    else:
        n = s.n(8, 16)
        for i in range(n):
            if kind == "radiator":
                s.box(w / n * 0.8, h, t, ((i / (n - 1) - 0.5) * w, 0, 0), frame)
            else:
                s.box(w, 0.01, h / n * 0.9, (0, i * h / n, 0), frame, (s.u(35, 60), 0, 0))
        s.box(w, 0.05, t * 0.6, (0, h * 0.92, 0), frame)


def _vessel(s: Sketch, kind: str) -> None:
    """Everything that is turned on a wheel: bottles, vases, bowls, glasses, plates, mugs, candles, barrels."""
    r, c = s.u(0.85, 1.2), s.paint("white", "glass", "earth") if s.chance(0.6) else s.paint()
    a, b = s.u(0.7, 1.3), s.u(0.7, 1.3)
    profile = {
        "bottle": [(0, 0), (1, 0), (1, 2.6 * a), (0.9, 3 * a), (0.35, 3.8 * a), (0.3, 4.8 * a), (0, 4.8 * a)],
        "vase": [(0, 0), (0.6, 0), (1.1 * b, 1.2), (0.9, 2.2 * a), (0.4 * b, 2.9 * a), (0.7 * b, 3.3 * a)],
        "bowl": [(0, 0), (0.5, 0), (0.9, 0.4), (1.2, 0.9 * a), (1.1, 0.9 * a), (0.8, 0.4), (0, 0.1)],
        "glass": [(0, 0), (0.7 * b, 0), (0.9, 2 * a), (0.85, 2 * a), (0.6 * b, 0.15), (0, 0.15)],
        "wine": [(0, 0), (0.8, 0), (0.1, 0.15), (0.1, 1.4 * a), (0.9 * b, 2.2 * a), (0.8, 3.2 * a)],
        "plate": [(0, 0), (1, 0), (1.7, 0.25 * a), (1.65, 0.28 * a), (1, 0.08), (0, 0.08)],
        "mug": [(0, 0), (1, 0), (1.0 * b, 2 * a), (0.92 * b, 2 * a), (0.9, 0.1), (0, 0.1)],
        "candle": [(0, 0), (0.5, 0), (0.5, 2.6 * a), (0.06, 2.6 * a), (0.03, 3.0 * a), (0, 3.0 * a)],
        "barrel": [(0, 0), (1, 0), (1.25, 1.4), (1, 2.8), (0, 2.8)],
        "can": [(0, 0), (0.8 * b, 0), (1, 2.2 * a), (1.05, 2.3 * a), (0.9, 2.5 * a), (0, 2.6 * a)],
        "pot": [(0, 0), (0.7, 0), (1, 1.4), (1.1, 1.4), (0.9, 1.3), (0, 1.2)],
        "teapot": [(0, 0), (0.7, 0), (1.2, 0.8), (1.0, 1.5), (0.4, 1.75), (0.1, 1.8), (0.15, 2.0), (0, 2.05)],
        "pan": [(0, 0), (1.4, 0), (1.6, 0.35), (1.55, 0.35), (1.35, 0.06), (0, 0.06)],
    }[kind]
    s.turned([(x * r, y) for x, y in profile], (0, 0, 0), c, sides=24)
    if kind in ("mug", "teapot"):
        s.ring(0.6, 0.14, (-1.0, 1.0, 0), c, axis="z")
    if kind == "teapot":
        s.tube([(0.8, 0.6, 0), (1.4, 0.9, 0), (1.8, 1.6, 0)], 0.3, c, 0.12)
    if kind == "pan":
        s.box(2.4, 0.15, 0.3, (2.6, 0.2, 0), s.paint("dark", "wood"))
    if kind == "bottle":
        s.rod(0.36, 0.4, (0, 4.8 * a, 0), s.paint())
        if s.chance(0.6):
            s.rod(1.02 * r, 1.2 * a, (0, 0.7 * a, 0), s.paint("white") if s.chance(0.5) else s.paint(), sides=24)
    for i in range(3) if kind == "barrel" else ():
        s.ring(1.1 * r + 0.05, 0.06, (0, 0.5 + 0.9 * i, 0), s.paint("metal"))


def _sink(s: Sketch, kind: str) -> None:
    c, m = s.paint("white"), s.paint("metal")
    if kind == "bathtub":
        s.turned([(0.3, 0.1), (0.42, 0.5), (0.46, 0.52), (0.5, 0.5), (0.42, 0), (0, 0)], (0, 0, 0), c)
        part = s.parts[-1]
        part.vertices[:, 0] *= s.u(1.6, 2.1)
    elif kind == "toilet":
        s.turned([(0, 0), (0.14, 0), (0.12, 0.2), (0.2, 0.38), (0.21, 0.42), (0, 0.4)], (0, 0, 0.1), c)
        s.box(0.4, 0.4, 0.2, (0, 0.38, -0.22), c)
        s.box(0.38, 0.03, 0.44, (0, 0.42, 0.08), s.paint("white"), (-80 * s.chance(0.4), 0, 0))
        return
    elif kind == "sink":
        w = s.u(0.5, 0.7)
        s.box(w, 0.05, 0.45, (0, 0.8, 0), c)
        s.turned([(0, 0.65), (0.15, 0.68), (0.2, 0.86), (0.22, 0.86)], (0, 0, 0.03), c)
        s.box(w * 0.9, 0.75, 0.4, (0, 0, 0), s.paint("wood", "white")) if s.chance(0.5) else s.rod(
            0.08, 0.8, (0, 0, -0.05), c
        )
    elif kind == "shower":
        s.box(0.9, 0.1, 0.9, (0, 0, 0), c)
        for turn in (0, 90):
            s.box(0.9, 1.9, 0.02, (0.45 * (turn > 0), 0.1, 0.45 * (turn == 0)), s.paint("glass"), (0, turn, 0))
        s.tube([(-0.4, 1.0, -0.4), (-0.4, 2.0, -0.4), (-0.2, 2.05, -0.2)], 0.015, m)
        s.rod(0.1, 0.03, (-0.2, 2.0, -0.2), m)
        return
    s.tube(
        [
            (0, 0.5 + 0.3 * (kind == "sink"), -0.18),
            (0, 1.05 if kind == "sink" else 0.7, -0.18),
            (0, 1.0 if kind == "sink" else 0.7, -0.03),
        ],
        0.02,
        m,
    )


def _fan(s: Sketch) -> None:
    c, h = s.paint("white", "metal", "dark"), s.u(0.2, 1.1)
    s.rod(0.18, 0.03, (0, 0, 0), c)
    s.rod(0.02, h, (0, 0, 0), c)
    for z in (-0.05, 0.08):
        for r in (0.08, 0.14, 0.2):
            s.ring(r, 0.005, (0, h + 0.15, z), c, axis="z")
    for i in range(s.n(3, 5)):
        x, y = around(i, 4, 0.09)
        s.ball(0.06, 0.09, 0.01, (x, h + 0.15 + y, 0.02), s.paint("white"))


def _computer(s: Sketch, laptop: bool) -> None:
    c = s.paint("dark", "metal", "white")
    if laptop:
        s.box(0.34, 0.02, 0.24, (0, 0, 0), c)
        s.box(0.3, 0.005, 0.12, (0, 0.02, -0.03), s.paint("dark"))
        s.box(0.34, 0.22, 0.012, (0, 0.02, -0.12), c, (-s.u(5, 30), 0, 0))
        s.box(0.31, 0.19, 0.004, (0, 0.035, -0.113), (0.1, 0.15, 0.3), (-15, 0, 0))
        return
    _panel(s, "television")
    s.box(0.5, 0.02, 0.18, (0, 0, 0.4), c)
    if s.chance(0.5):
        s.box(0.2, 0.5, 0.5, (0.85, 0, 0), c)


def _coffee_maker(s: Sketch) -> None:
    c = s.paint("dark", "metal") if s.chance(0.7) else s.paint()
    s.box(0.2, 0.03, 0.25, (0, 0, 0), c)
    s.box(0.2, 0.3, 0.09, (0, 0, -0.08), c)
    s.box(0.2, 0.09, 0.25, (0, 0.26, 0), c)
    s.turned([(0, 0), (0.06, 0), (0.075, 0.06), (0.05, 0.14), (0.05, 0.15)], (0, 0.04, 0.04), s.paint("glass"))


FITTINGS: dict[str, Sketcher] = {
    "stove": partial(_machine, kind="stove"),
    "oven": partial(_machine, kind="oven"),
    "washing machine": partial(_machine, kind="washing"),
    "microwave oven": partial(_machine, kind="microwave"),
    "lamp": _lamp,
    "table lamp": partial(_lamp, h=0.45, shade=0.15, base=0.08),
    "desk lamp": _desk_lamp,
    "ceiling lamp": _hanging_lamp,
    "door": partial(_panel, kind="door"),
    "window": partial(_panel, kind="window"),
    "electrical socket": partial(_panel, kind="socket"),
    "light switch": partial(_panel, kind="switch"),
    "television": partial(_panel, kind="television"),
    "whiteboard": partial(_panel, kind="whiteboard"),
    "picture": partial(_panel, kind="picture"),
    "mirror": partial(_panel, kind="mirror"),
    "radiator": partial(_panel, kind="radiator"),
    "window blind": partial(_panel, kind="blind"),
    "bottle": partial(_vessel, kind="bottle"),
    "vase": partial(_vessel, kind="vase"),
    "bowl": partial(_vessel, kind="bowl"),
    "glass": partial(_vessel, kind="glass"),
    "wine glass": partial(_vessel, kind="wine"),
    "plate": partial(_vessel, kind="plate"),
    "mug": partial(_vessel, kind="mug"),
    "candle": partial(_vessel, kind="candle"),
    "barrel": partial(_vessel, kind="barrel"),
    "trash can": partial(_vessel, kind="can"),
    "teapot": partial(_vessel, kind="teapot"),
    "frying pan": partial(_vessel, kind="pan"),
    "sink": partial(_sink, kind="sink"),
    "bathtub": partial(_sink, kind="bathtub"),
    "toilet": partial(_sink, kind="toilet"),
    "shower": partial(_sink, kind="shower"),
    "electric fan": _fan,
    "laptop": partial(_computer, laptop=True),
    "computer": partial(_computer, laptop=False),
    "coffee maker": _coffee_maker,
}
"""Label -> what draws it."""
