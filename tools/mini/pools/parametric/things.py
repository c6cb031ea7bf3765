"""Parametric things that are carried about, played, eaten."""

from __future__ import annotations

from functools import partial

from tools.mini.pools.parametric.parts import Colour, Sketch, Sketcher, around

__all__ = ["THINGS"]


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
            x, z = around(i, 3, 0.25)
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
                x, z = around(i, 3, 0.15)
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
            x, z = around(i, 8, 0.15)
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


THINGS: dict[str, Sketcher] = {
    **{
        k: partial(_tool, kind=k)
        for k in (
            "hammer",
            "shovel",
            "broom",
            "rake",
            "knife",
            "spoon",
            "fork",
            "screwdriver",
            "toothbrush",
            "scissors",
            "pliers",
            "saw",
            "key",
            "pencil",
            "racket",
            "umbrella",
        )
    },
    **{k: partial(_instrument, kind=k) for k in ("guitar", "electric guitar", "violin", "piano", "drum")},
    **{
        k: partial(_device, kind=k)
        for k in ("telephone", "camera", "radio", "loudspeaker", "headphones", "watch", "glasses")
    },
    "computer keyboard": partial(_device, kind="keyboard"),
    **{
        k: partial(_carried, kind=k)
        for k in (
            "suitcase",
            "briefcase",
            "toolbox",
            "handbag",
            "backpack",
            "box",
            "gift",
            "book",
            "ball",
            "hat",
            "helmet",
            "shoe",
            "clothes",
            "skateboard",
        )
    },
    **{k: partial(_food, kind=k) for k in ("cake", "hamburger", "bread", "apple", "roast chicken")},
    **{k: partial(_game, kind=k) for k in ("table tennis table", "pool table", "foosball table")},
}
"""Label -> what draws it."""
