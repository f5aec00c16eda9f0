"""Animals of the memes, each drawn around its own (0, 0) and about 200 units wide."""

from __future__ import annotations

from itertools import pairwise

from drawing.canvas import INK, Canvas, mix

EDGE = 3.5


def eyes(canvas: Canvas, mood: str, gap: float, y: float, size: float, lid: str) -> None:
    """Draw a pair of eyes: ``open``, ``tired`` (half shut, with bags), ``happy`` or ``wide``."""
    for side in (-1, 1):
        x = side * gap
        if mood == "happy":
            canvas.arc(x, y + size * 0.4, size * 0.8, size * 0.8, (200, 340), INK, size * 0.26)
            continue
        canvas.oval(x, y, size, size * 1.05, "#fffdf5", edge=size * 0.14)
        pupil = 0.42 if mood == "wide" else 0.62
        look = size * (0.24 if mood == "tired" else 0.05)
        canvas.oval(x, y + look, size * pupil, size * pupil * 1.1, "#241a16")
        canvas.oval(x - size * 0.2, y + look - size * 0.24, size * 0.18, size * 0.18, "#ffffff")
        if mood == "tired":
            shut = [
                (x - size * 1.1, y + size * 0.05),
                (x - size * 0.9, y - size * 0.8),
                (x, y - size * 1.15),
                (x + size * 0.9, y - size * 0.8),
                (x + size * 1.1, y + size * 0.05),
            ]
            canvas.polygon(shut, lid)
            canvas.stroke([shut[0], shut[-1]], INK, size * 0.16)
            canvas.arc(x, y + size * 0.8, size * 0.8, size * 0.6, (20, 160), mix(lid, INK, 0.45), size * 0.12)


def cat(canvas: Canvas, fur: str = "#e9974d", *, mood: str = "open") -> None:
    """Draw a striped cat's head from the front, 200 wide."""
    dark, light = mix(fur, "#5a2a10", 0.42), mix(fur, "#fff6e6", 0.72)
    for side in (-1, 1):
        ear = [(side * 88, -20), (side * 84, -112), (side * 22, -74)]
        canvas.polygon(ear, fur, edge=EDGE)
        canvas.polygon([(side * 78, -42), (side * 76, -92), (side * 42, -70)], "#f2a9a0")
    head = [
        (0, -84),
        (70, -66),
        (102, -8),
        (92, 44),
        (50, 76),
        (0, 84),
        (-50, 76),
        (-92, 44),
        (-102, -8),
        (-70, -66),
    ]
    canvas.blob(head, fur, edge=EDGE)
    for x, length in ((-22, 26), (0, 34), (22, 26)):
        canvas.stroke([(x, -80), (x * 0.8, -80 + length)], dark, 8)
    for side in (-1, 1):
        for y in (8, 26):
            canvas.stroke([(side * 98, y), (side * 74, y + 3)], dark, 7)
    canvas.oval(-20, 38, 28, 23, light)
    canvas.oval(20, 38, 28, 23, light)
    canvas.oval(0, 60, 18, 14, light)
    eyes(canvas, mood, 40, -6, 22, fur)
    canvas.blob([(-11, 20), (0, 17), (11, 20), (0, 32)], "#e0726e", edge=2)
    for side in (-1, 1):
        canvas.curve([(0, 32), (side * 8, 44), (side * 22, 42)], INK, 3)
        for rise in (-8, 2, 12):
            canvas.stroke([(side * 40, 38 + rise * 0.5), (side * 116, 34 + rise * 1.9)], "#fff8ee", 2)


def cat_sitting(canvas: Canvas, fur: str, *, mood: str = "open") -> None:
    """Draw a whole cat that sits, its head's middle at (0, 0) and its paws 230 below."""
    dark, light = mix(fur, "#5a2a10", 0.42), mix(fur, "#fff6e6", 0.72)
    canvas.curve([(60, 205), (130, 200), (150, 130), (120, 90), (142, 62)], INK, 33)
    canvas.curve([(60, 205), (130, 200), (150, 130), (120, 90), (142, 62)], fur, 26)
    canvas.blob([(0, 40), (64, 80), (92, 190), (70, 228), (-70, 228), (-92, 190), (-64, 80)], fur, edge=EDGE)
    canvas.blob([(0, 70), (36, 96), (40, 180), (0, 212), (-40, 180), (-36, 96)], light)
    for side in (-1, 1):
        canvas.blob(
            [(side * 12, 150), (side * 46, 150), (side * 50, 224), (side * 30, 234), (side * 10, 226)],
            fur,
            edge=EDGE,
        )
        for x in (22, 36):
            canvas.stroke([(side * x, 218), (side * x, 230)], INK, 2.5)
        for y in (128, 150, 172):
            canvas.stroke([(side * 84, y), (side * 62, y + 6)], dark, 7)
    cat(canvas, fur, mood=mood)


def dog(canvas: Canvas, fur: str = "#c99a62", *, mood: str = "open", glasses: bool = False) -> None:
    """Draw a floppy-eared dog's head from the front, 200 wide."""
    dark, light = mix(fur, "#3a2010", 0.5), mix(fur, "#fff8ec", 0.75)
    head = [
        (0, -92),
        (58, -80),
        (84, -30),
        (80, 30),
        (48, 84),
        (0, 96),
        (-48, 84),
        (-80, 30),
        (-84, -30),
        (-58, -80),
    ]
    canvas.blob(head, fur, edge=EDGE)
    canvas.blob([(-10, -90), (12, -90), (24, -30), (36, 20), (0, 40), (-36, 20), (-22, -30)], light)
    for side in (-1, 1):
        ear = [
            (side * 46, -86),
            (side * 84, -78),
            (side * 118, -10),
            (side * 112, 52),
            (side * 88, 58),
            (side * 72, -8),
        ]
        canvas.blob(ear, dark, edge=EDGE)
    canvas.blob([(0, 4), (44, 22), (50, 62), (24, 90), (-24, 90), (-50, 62), (-44, 22)], light, edge=0)
    canvas.blob([(-12, 66), (12, 66), (16, 94), (0, 112), (-16, 94)], "#ee8a8a", edge=2.5)
    canvas.stroke([(0, 72), (0, 96)], "#c9605f", 3)
    for side in (-1, 1):
        canvas.curve([(0, 46), (side * 10, 66), (side * 34, 60)], INK, 4)
        for spot in ((24, 48), (32, 40), (34, 52)):
            canvas.oval(side * spot[0], spot[1], 2, 2, dark)
    canvas.blob([(-22, 14), (0, 8), (22, 14), (12, 38), (0, 44), (-12, 38)], "#2a2020")
    canvas.oval(-7, 18, 6, 3, "#8a7a78")
    eyes(canvas, mood, 38, -22, 17, fur)
    for side in (-1, 1):
        canvas.curve([(side * 24, -54), (side * 38, -60), (side * 54, -52)], dark, 6)
        if glasses:
            canvas.arc(side * 38, -20, 30, 28, (0, 360), "#20242c", 6)
    if glasses:
        canvas.arc(0, -18, 9, 8, (190, 350), "#20242c", 6)


def rex(canvas: Canvas, skin: str = "#6fb04a") -> None:
    """Draw a tyrannosaur that looks to the right, its feet at (0, 0) and its head 330 above."""
    dark, belly = mix(skin, "#173a1a", 0.4), mix(skin, "#fbf3c4", 0.62)
    canvas.blob(
        [(-40, -120), (-120, -90), (-205, -46), (-262, -34), (-214, -16), (-120, -36), (-30, -60)],
        skin,
        edge=EDGE,
    )
    canvas.blob([(28, -70), (58, -64), (56, -22), (82, -4), (70, 2), (30, 2), (26, -30)], dark, edge=EDGE)
    body = [(-20, -60), (-66, -110), (-52, -190), (2, -238), (58, -232), (78, -160), (64, -84), (24, -44)]
    canvas.blob(body, skin, edge=EDGE)
    canvas.blob([(54, -214), (74, -160), (62, -90), (30, -58), (22, -110), (34, -180)], belly)
    canvas.blob(
        [(-52, -116), (-6, -118), (14, -76), (-8, -36), (34, -10), (30, 4), (-44, 4), (-42, -40)],
        skin,
        edge=EDGE,
    )
    head = [
        (-8, -226),
        (-16, -300),
        (22, -344),
        (88, -344),
        (146, -320),
        (152, -290),
        (128, -272),
        (84, -262),
        (56, -222),
    ]
    canvas.blob(head, skin, edge=EDGE)
    canvas.blob([(0, -262), (54, -256), (52, -212), (0, -206)], skin)
    canvas.blob(
        [(62, -262), (128, -272), (140, -262), (116, -244), (64, -236), (46, -248)],
        mix(skin, INK, 0.15),
        edge=3,
    )
    for x in (78, 94, 110, 124):
        canvas.polygon([(x, -268), (x + 11, -270), (x + 5, -256)], "#ffffff", edge=1.2)
    canvas.oval(54, -310, 17, 19, "#fffdf0", edge=3)
    canvas.oval(59, -308, 8, 10, "#221c18")
    canvas.oval(56, -312, 3, 3, "#ffffff")
    canvas.stroke([(34, -334), (72, -330)], dark, 6)
    canvas.oval(136, -314, 3, 3, dark)
    for x, y in ((-34, -196), (-58, -150), (-98, -104), (-150, -76), (0, -244)):
        canvas.polygon([(x - 13, y + 14), (x - 10, y - 16), (x + 14, y - 2)], dark)
    for x, y, size in ((-26, -160, 9), (-8, -190, 6), (-34, -96, 7), (2, -146, 6)):
        canvas.oval(x, y, size, size * 0.8, dark)


def rex_arm(canvas: Canvas, skin: str = "#6fb04a") -> None:
    """Draw the tyrannosaur's short arm, raised from (0, 0)."""
    canvas.curve([(0, 0), (28, -4), (40, -30)], INK, 21)
    canvas.curve([(0, 0), (28, -4), (40, -30)], skin, 15)
    for x in (-7, 3):
        canvas.polygon([(40 + x, -36), (48 + x, -36), (45 + x, -50)], "#fff7df", edge=1.5)


def snail(canvas: Canvas) -> None:
    """Draw a snail that looks to the right with glasses on, its foot at (0, 0)."""
    skin = "#e6c58d"
    canvas.blob(
        [
            (-150, 0),
            (-120, -26),
            (40, -40),
            (84, -88),
            (104, -130),
            (140, -132),
            (150, -100),
            (138, -40),
            (110, -2),
            (0, 6),
        ],
        skin,
        edge=EDGE,
    )
    for x, lean in ((112, -6), (138, 10)):
        canvas.curve([(x, -124), (x + lean * 0.6, -160), (x + lean, -186)], INK, 12)
        canvas.curve([(x, -124), (x + lean * 0.6, -160), (x + lean, -186)], skin, 6.5)
        canvas.oval(x + lean, -192, 14, 15, "#fffdf5", edge=3)
        canvas.oval(x + lean + 4, -190, 6, 8, "#221a16")
    canvas.arc(130, -92, 14, 10, (20, 150), INK, 4)
    shell = "#c96f4a"
    canvas.oval(-24, -98, 96, 90, shell, edge=EDGE)
    for step, radius in enumerate((78, 60, 43, 27, 12)):
        tone = mix(shell, "#fbd7a0", 0.28 + 0.14 * (step % 2) + 0.05 * step)
        canvas.oval(-24 + step * 3, -96 + step * 3, radius, radius * 0.93, tone, edge=2.6)


def octopus(canvas: Canvas, skin: str = "#9a6fd0", *, mood: str = "wide") -> None:
    """Draw an octopus's head, its middle at (0, 0); the arms are drawn by ``octopus_arm``."""
    light = mix(skin, "#ffffff", 0.4)
    head = [
        (0, -130),
        (72, -108),
        (98, -40),
        (84, 30),
        (92, 78),
        (0, 92),
        (-92, 78),
        (-84, 30),
        (-98, -40),
        (-72, -108),
    ]
    canvas.blob(head, skin, edge=EDGE)
    canvas.blob([(-58, -92), (-30, -112), (-26, -94), (-56, -66)], light)
    for x, y, size in ((56, -76, 9), (38, -98, 6), (70, -50, 6)):
        canvas.oval(x, y, size, size, mix(skin, INK, 0.25))
    eyes(canvas, mood, 38, -8, 25, skin)
    canvas.arc(0, 62, 18, 16, (195, 345), INK, 5)
    for side in (-1, 1):
        canvas.oval(side * 66, 36, 13, 8, "#f08fb0")


def octopus_arm(canvas: Canvas, points: list[tuple[float, float]], skin: str = "#9a6fd0") -> None:
    """Draw one arm with suckers through the points."""
    canvas.curve(points, INK, 35)
    canvas.curve(points, skin, 28)
    for (x0, y0), (x1, y1) in pairwise(points[1:]):
        canvas.oval((x0 + x1) / 2, (y0 + y1) / 2 + 6, 5, 5, mix(skin, "#ffffff", 0.55))


def duck(canvas: Canvas) -> None:
    """Draw a rubber duck that looks to the right, its middle at (0, 0)."""
    yellow, shade = "#fcd32f", "#e9ae16"
    body = [
        (-150, -30),
        (-118, -8),
        (-60, -20),
        (40, -12),
        (104, 12),
        (100, 80),
        (40, 118),
        (-70, 116),
        (-126, 70),
    ]
    canvas.blob(body, yellow, edge=EDGE)
    canvas.blob(
        [(-124, 52), (-60, 92), (30, 98), (98, 62), (88, 92), (40, 116), (-70, 114), (-112, 80)], shade
    )
    canvas.blob(
        [(-84, 20), (-20, 8), (34, 24), (20, 62), (-40, 72), (-96, 48)], mix(yellow, shade, 0.6), edge=3
    )
    canvas.blob([(100, -92), (150, -84), (164, -68), (140, -58), (96, -60)], "#f08a24", edge=3)
    canvas.stroke([(100, -74), (158, -70)], "#b85c10", 3)
    canvas.oval(52, -72, 66, 62, yellow, edge=EDGE)
    canvas.blob([(2, -60), (60, -24), (116, -60), (98, -22), (52, -12), (12, -26)], mix(yellow, shade, 0.55))
    canvas.oval(72, -88, 12, 15, "#fffdf5", edge=2.5)
    canvas.oval(75, -86, 7, 10, "#201a14")
    canvas.oval(72, -91, 3, 3, "#ffffff")
    canvas.blob([(18, -108), (44, -122), (52, -112), (26, -96)], "#fff4b8")
