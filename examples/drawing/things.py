"""Objects of the memes: cups, computers, a robot, pizza, a plant; each drawn around its own (0, 0)."""

from __future__ import annotations

from drawing.animals import eyes
from drawing.canvas import INK, Canvas, mix

EDGE = 3.5


def mug(canvas: Canvas, glaze: str = "#c8463c", *, steam: bool = True) -> None:
    """Draw a coffee mug 120 wide whose foot stands at (0, 0)."""
    if steam:
        with canvas.layer(blur=4, opacity=0.75) as mist:
            for x in (-26, 4, 34):
                mist.curve([(x, -140), (x + 14, -168), (x - 10, -196), (x + 8, -226)], "#ffffff", 9)
    canvas.arc(66, -64, 32, 34, (-90, 90), INK, 25)
    canvas.arc(66, -64, 32, 34, (-90, 90), glaze, 18)
    canvas.blob(
        [(-62, -124), (62, -124), (62, -60), (52, -10), (36, 0), (-36, 0), (-52, -10), (-62, -60)],
        glaze,
        edge=EDGE,
    )
    canvas.blob([(-54, -110), (-38, -108), (-40, -40), (-48, -30)], mix(glaze, "#ffffff", 0.4))
    canvas.oval(0, -122, 64, 17, mix(glaze, "#ffffff", 0.25), edge=EDGE)
    canvas.oval(0, -120, 54, 12, "#3d2314")
    canvas.arc(-8, -120, 30, 6, (180, 300), "#7a4e2c", 3)


def laptop(canvas: Canvas, screen: str = "#1e2a3a") -> None:
    """Draw an open laptop from the front, 260 wide, its keyboard's edge at (0, 0)."""
    canvas.box((-124, -180, 124, -14), "#3a3f4a", radius=12)
    canvas.box((-114, -170, 114, -24), screen, radius=5)
    canvas.polygon([(-124, -16), (124, -16), (158, 4), (-158, 4)], "#aab2bf", edge=2.5)
    canvas.box((-160, 2, 160, 12), "#858d9b", radius=5)


def monitor(canvas: Canvas, screen: str = "#16212f") -> None:
    """Draw a desktop screen 360 wide on a foot that stands at (0, 0)."""
    canvas.polygon([(-34, -70), (34, -70), (48, -6), (-48, -6)], "#6d7683", edge=2.5)
    canvas.box((-90, -12, 90, 0), "#59616d", radius=6)
    canvas.box((-184, -300, 184, -62), "#2c313a", radius=14)
    canvas.box((-170, -286, 170, -84), screen, radius=4)


def code_lines(canvas: Canvas, width: float, rows: int, gap: float) -> None:
    """Draw rows of little coloured bars that look like code from afar, from (0, 0) down."""
    colours = ("#7fd1b9", "#f2c14e", "#e36f6f", "#9fb8ff", "#d6dde6")
    for row in range(rows):
        x = (0, 1, 2, 2, 1, 1, 2, 0)[row % 8] * width * 0.08
        for part in range(2 + (row * 5) % 3):
            length = width * (0.09 + ((row * 7 + part * 3) % 5) * 0.045)
            if x + length < width:
                canvas.box(
                    (x, row * gap, x + length, row * gap + gap * 0.42),
                    colours[(row + part * 2) % 5],
                    radius=2,
                )
            x += length + width * 0.03


def robot(canvas: Canvas, metal: str = "#8fb6c9") -> None:
    """Draw a worried robot from the front, its head's middle at (0, 0), its chest 190 below."""
    dark, light = mix(metal, "#16303c", 0.5), mix(metal, "#ffffff", 0.5)
    canvas.stroke([(0, -84), (0, -122)], dark, 7)
    canvas.oval(0, -130, 14, 14, "#ff6b57", edge=3)
    for side in (-1, 1):
        canvas.box((min(side * 92, side * 116), -28, max(side * 92, side * 116), 28), dark, radius=8)
        canvas.curve([(side * 84, 140), (side * 136, 160), (side * 140, 232)], INK, 33)
        canvas.curve([(side * 84, 140), (side * 136, 160), (side * 140, 232)], dark, 26)
    canvas.box((-26, 70, 26, 110), dark)
    canvas.blob([(-92, 104), (92, 104), (102, 180), (92, 268), (-92, 268), (-102, 180)], metal, edge=EDGE)
    canvas.box((-52, 140, 52, 200), "#24343f", radius=8)
    canvas.stroke([(-42, 172), (-20, 172), (-10, 152), (4, 192), (14, 172), (42, 172)], "#6ef0a8", 4)
    for x in (-30, 0, 30):
        canvas.oval(x, 226, 9, 9, ("#ffcf4d", "#ff6b57", "#6ef0a8")[(x + 30) // 30], edge=2.5)
    canvas.box((-96, -84, 96, 78), INK, radius=34)
    canvas.box((-92, -80, 92, 74), metal, radius=30)
    canvas.box((-76, -70, 40, -58), light, radius=6)
    canvas.box((-70, -46, 70, 52), "#24343f", radius=22)
    for side in (-1, 1):
        canvas.oval(side * 32, -8, 17, 20, "#7df3ff")
        canvas.oval(side * 32, -4, 7, 9, "#14313a")
        canvas.stroke([(side * 14, -34), (side * 46, -26 - 8)], "#7df3ff", 4)
    canvas.stroke([(-26, 34), (-12, 28), (0, 36), (12, 28), (26, 34)], "#7df3ff", 5)
    canvas.blob([(84, -66), (94, -44), (84, -34), (74, -44)], "#bdeeff", edge=2)


def pizza_slice(canvas: Canvas, *, mood: str = "happy") -> None:
    """Draw a slice of pizza with a face, 220 wide, its middle at (0, 0)."""
    canvas.blob(
        [(-118, -88), (-60, -118), (0, -126), (60, -118), (118, -88), (112, -56), (0, -74), (-112, -56)],
        "#c9853c",
        edge=EDGE,
    )
    canvas.blob([(-96, -92), (-40, -112), (20, -116), (60, -106), (0, -100)], "#e3a75c")
    canvas.blob(
        [(-106, -64), (-50, -80), (0, -84), (50, -80), (106, -64), (62, 40), (8, 144), (-8, 144), (-62, 40)],
        "#ffc94d",
        edge=EDGE,
    )
    for x, y in ((-44, 62), (46, 44), (16, 112)):
        canvas.blob(
            [(x - 9, y - 12), (x + 9, y - 12), (x + 7, y + 22), (x, y + 32), (x - 7, y + 22)],
            "#ffc94d",
            edge=0,
        )
    for x, y, size in ((-66, -44, 20), (66, -46, 19), (0, -60, 17), (4, 74, 19)):
        canvas.oval(x, y, size, size * 0.9, "#d2432f", edge=2.5)
        canvas.oval(x - 5, y - 5, size * 0.3, size * 0.22, "#ee7a5c")
    for x, y, turn in ((-34, -54, 30), (36, -66, -40), (-26, 84, 60), (84, -20, 10)):
        canvas.oval(x, y, 10, 4.5, "#5d9a3a", turn=turn)
    eyes(canvas, mood, 28, -6, 15, "#ffc94d")
    canvas.arc(0, 14, 17, 15, (10, 170), INK, 5)
    for side in (-1, 1):
        canvas.oval(side * 48, 12, 10, 6, "#f5916b")


def wilted_plant(canvas: Canvas) -> None:
    """Draw a drooping houseplant in a pot that stands at (0, 0)."""
    green = "#8a9a4a"
    stems = (
        [(0, -140), (-16, -230), (-70, -262), (-118, -214), (-128, -160)],
        [(4, -140), (12, -250), (64, -290), (116, -250), (128, -176)],
        [(0, -140), (-4, -268), (20, -318), (52, -330), (70, -292)],
        [(-4, -140), (-40, -196), (-92, -190), (-112, -120), (-112, -92)],
    )
    for stem in stems:
        canvas.curve(stem, INK, 11)
        canvas.curve(stem, green, 6)
    for stem, tone in zip(stems, ("#a98f3e", "#93a04b", "#7f9c4c", "#b07f3a"), strict=True):
        x, y = stem[-1]
        canvas.blob(
            [(x, y - 18), (x + 24, y + 14), (x + 8, y + 62), (x - 4, y + 74), (x - 22, y + 20)], tone, edge=3
        )
        canvas.curve([(x, y - 10), (x + 2, y + 30), (x, y + 62)], mix(tone, INK, 0.35), 2.5)
        x, y = stem[2]
        canvas.blob(
            [(x, y), (x - 26, y + 16), (x - 30, y + 56), (x - 6, y + 36)], mix(tone, green, 0.5), edge=3
        )
    canvas.blob([(60, -8), (84, -14), (110, -4), (84, 4)], "#b07f3a", edge=3)
    canvas.polygon([(-66, -132), (66, -132), (50, 0), (-50, 0)], "#c5673f", edge=EDGE)
    canvas.box((-76, -152, 76, -118), INK, radius=6)
    canvas.box((-73, -149, 73, -121), "#d87b50", radius=4)
    for side in (-1, 1):
        for lean in (-1, 1):
            canvas.stroke([(side * 22 - 7, -70 - 7 * lean), (side * 22 + 7, -70 + 7 * lean)], INK, 4)
    canvas.arc(0, -28, 15, 12, (200, 340), INK, 4)


def toy_rocket(canvas: Canvas) -> None:
    """Draw a rocket that stands at (0, 0), 300 high."""
    for side in (-1, 1):
        canvas.blob(
            [(side * 40, -110), (side * 86, -60), (side * 92, 0), (side * 44, -30)], "#d4473b", edge=EDGE
        )
    canvas.blob(
        [(0, -310), (42, -240), (56, -150), (44, -24), (-44, -24), (-56, -150), (-42, -240)],
        "#f1f3f6",
        edge=EDGE,
    )
    canvas.blob(
        [(0, -310), (28, -268), (40, -232), (0, -222), (-40, -232), (-28, -268)], "#d4473b", edge=EDGE
    )
    canvas.oval(0, -172, 25, 25, "#5aa9d6", edge=6)
    canvas.oval(-8, -180, 8, 6, "#d3efff")
    canvas.box((-30, -26, 30, -8), "#59616d", radius=4)
