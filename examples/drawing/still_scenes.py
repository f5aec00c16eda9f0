"""Scenes without any words near home: a city at night, a cat in a window, a red car, a bowl of fruit."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawing.canvas import CLEAR, Canvas, mix, ring, smooth
from drawing.texture import clouds, photograph, veil


def city_at_night() -> Image.Image:
    """Draw towers with lit windows and their lights in a river."""
    canvas = Canvas(1000, 700, scale=2)
    canvas.gradient([(0, "#070b22"), (0.7, "#2a2a5c"), (1, "#6a4a72")], (0, 0, 1000, 470))
    canvas.oval(820, 110, 40, 40, "#f6efd2")
    canvas.glow(820, 110, 150, "#f6efd270")
    rng = np.random.default_rng(33)
    for depth in range(3):
        x = -20.0
        wall = ("#23244e", "#171a3c", "#0c0f28")[depth]
        while x < 1000:
            wide, tall = float(rng.uniform(44, 96)), float(rng.uniform(90, 330 - depth * 60))
            top = 470 - tall
            canvas.box((x, top, x + wide, 470), wall)
            if rng.random() < 0.3:
                canvas.stroke([(x + wide / 2, top), (x + wide / 2, top - 34)], wall, 4)
                canvas.oval(x + wide / 2, top - 36, 2.5, 2.5, "#ff5a4f")
            for row in range(int(tall // 15)):
                for column in range(int(wide // 13)):
                    if rng.random() < 0.3 + 0.12 * depth:
                        tone = ("#ffd98a", "#ffe9b8", "#a9d4ff", "#ffb46b")[int(rng.integers(4))]
                        left, up = x + 6 + column * 12.5, top + 8 + row * 15
                        canvas.box((left, up, left + 6, up + 8), mix(wall, tone, 0.5 + 0.22 * depth))
            x += wide + float(rng.uniform(-6, 12))
    k = canvas.scale
    city = canvas.image.crop((0, 240 * k, 1000 * k, 470 * k)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    pixels_HWC = np.asarray(city).astype(np.float64)
    shift = np.round(np.sin(np.arange(230 * k) * 0.11) * np.linspace(1, 26, 230 * k)).astype(int)
    swayed = np.stack([np.roll(row, move, axis=0) for row, move in zip(pixels_HWC, shift, strict=True)])
    water = np.clip(swayed * np.array([0.55, 0.6, 0.75]) + np.array([4, 8, 22]), 0, 255).astype(np.uint8)
    canvas.image.paste(Image.fromarray(water), (0, 470 * k))
    canvas.box((0, 462, 1000, 474), "#05071a")
    for x in range(30, 1000, 78):
        canvas.glow(x, 456, 26, "#ffcf7ae0")
        with canvas.layer(blur=3, opacity=0.5) as streak:
            streak.oval(x, 540, 4, 62, "#ffcf7a")
    return photograph(canvas.finish(), seed=41, grain=6, edges=0.3)


def cat_in_window() -> Image.Image:
    """Draw the dark shape of a cat on a window sill in the evening."""
    canvas = Canvas(760, 900, "#1a1420", scale=2)
    canvas.gradient(
        [(0, "#35507f"), (0.45, "#c9788a"), (0.75, "#f7b06a"), (1, "#fbdc9a")], (110, 70, 650, 700)
    )
    canvas.glow(470, 560, 260, "#fff0c0d0")
    for x, tall, wide in ((110, 110, 120), (226, 170, 80), (310, 90, 130), (444, 140, 90), (540, 80, 120)):
        canvas.box((x, 700 - tall, min(x + wide, 650), 700), "#5a3a55")
    for left in (110, 374, 642):
        canvas.box((left, 70, left + 14, 700), "#231a26")
    for top in (62, 330):
        canvas.box((104, top, 656, top + 14), "#231a26")
    canvas.box((70, 694, 690, 740), "#3a2a30", radius=4)
    canvas.box((70, 694, 690, 702), "#b97a5a")
    fur = "#120d14"
    canvas.blob(
        [(300, 698), (286, 600), (316, 510), (352, 462), (420, 470), (456, 540), (474, 640), (466, 698)], fur
    )
    canvas.oval(352, 424, 62, 54, fur)
    canvas.polygon([(298, 412), (292, 336), (342, 380)], fur)
    canvas.polygon([(366, 380), (412, 340), (410, 416)], fur)
    canvas.curve([(450, 684), (520, 694), (566, 724), (560, 790), (524, 812)], fur, 25)
    canvas.curve([(458, 560), (474, 640), (468, 690)], "#e0946a70", 3)
    canvas.curve([(404, 396), (414, 424), (404, 454)], "#e0946a80", 3)
    for side in (-1, 1):
        for rise in (-6, 4):
            canvas.stroke([(352 + side * 40, 440), (352 + side * 92, 438 + rise * 2)], "#3a2a30", 1.5)
    canvas.polygon([(560, 620), (630, 620), (620, 696), (570, 696)], "#7a3f34")
    for lean in (-34, -16, 2, 20, 36):
        canvas.blob(
            [(595, 624), (595 + lean * 0.4, 580), (595 + lean, 540), (595 + lean * 0.9, 588)], "#22301f"
        )
    for x, side in ((40, 1), (720, -1)):
        for fold in range(4):
            left = x + side * (fold * 26 - 44)
            canvas.blob(
                [(left - 20, -30), (left + 22, -30), (left + 26, 460), (left + 14, 930), (left - 24, 930)],
                mix("#4a2436", "#7a3a4c", fold % 2),
            )
    return photograph(canvas.finish(), seed=9, grain=6, edges=0.4)


def _trees(canvas: Canvas) -> None:
    """Draw a row of round trees at the foot of the hills."""
    rng = np.random.default_rng(12)
    for x in range(20, 1000, 96):
        y, size = 392 + float(rng.uniform(-26, 10)), float(rng.uniform(20, 36))
        canvas.box((x - 3, y, x + 3, y + size), "#5a3f2a")
        for dx, dy in ((-0.6, 0), (0.6, 0), (0, -0.7), (0, 0.1)):
            canvas.oval(
                x + dx * size,
                y + dy * size,
                size * 0.8,
                size * 0.75,
                mix("#3f7f3a", "#7fb04a", float(rng.random())),
            )


def red_car() -> Image.Image:
    """Draw a small red car on a country road in summer."""
    canvas = Canvas(1000, 660, scale=2)
    canvas.gradient([(0, "#4f9fe0"), (1, "#d5edf8")], (0, 0, 1000, 380))
    sky = np.clip((clouds(1000, 360, (320, 90), 5, 77) - 0.52) * 2.2, 0, 1)
    canvas.paste(veil((255, 255, 255), sky).resize((2000, 720)), 0, 0)
    for tone, points in (
        (
            "#8fb57a",
            [
                (-60, 380),
                (160, 300),
                (400, 350),
                (640, 280),
                (860, 340),
                (1080, 300),
                (1080, 520),
                (-60, 520),
            ],
        ),
        ("#6fa24f", [(-60, 420), (220, 360), (520, 400), (800, 350), (1080, 400), (1080, 620), (-60, 620)]),
    ):
        canvas.blob(points, tone)
    _trees(canvas)
    meadow = clouds(1000, 200, (26, 10), 3, 90)
    canvas.gradient([(0, "#7fb04a"), (1, "#5a8f3a")], (0, 452, 1000, 660))
    canvas.paste(veil((40, 80, 20), meadow**2 * 0.5).resize((2000, 400)), 0, 452)
    canvas.polygon([(0, 500), (1000, 486), (1000, 610), (0, 632)], "#5d6168")
    canvas.polygon([(0, 500), (1000, 486), (1000, 490), (0, 505)], "#e6e6e0")
    for x in range(-20, 1000, 130):
        canvas.polygon(
            [
                (x, 568 - x * 0.018),
                (x + 70, 567 - x * 0.018),
                (x + 70, 574 - x * 0.018),
                (x, 575 - x * 0.018),
            ],
            "#f2ead0",
        )
    with canvas.layer(blur=9, opacity=0.6) as dark:
        dark.oval(500, 570, 230, 18, "#000000")
    _car(canvas.at(500, 560, 1.25))
    return photograph(canvas.finish(), seed=22, grain=4, edges=0.22)


def _car(canvas: Canvas) -> None:
    """Draw a red hatchback that drives to the right, its wheels at (0, 0), 340 wide."""
    red, shade = "#d3322b", "#9c1f1d"
    canvas.blob(
        [
            (-170, -22),
            (-172, -74),
            (-136, -92),
            (-96, -150),
            (20, -154),
            (78, -96),
            (150, -82),
            (172, -52),
            (168, -18),
        ],
        red,
    )
    canvas.blob([(-168, -20), (-170, -46), (0, -40), (170, -46), (168, -18), (0, -12)], shade)
    canvas.blob([(-108, -98), (-84, -140), (-22, -143), (-24, -96)], "#bfe3f2")
    canvas.blob([(-10, -97), (-8, -143), (16, -142), (58, -96)], "#bfe3f2")
    canvas.polygon([(-90, -100), (-62, -140), (-46, -140), (-72, -100)], "#e6f6fc")
    canvas.curve([(-160, -78), (-60, -88), (60, -88), (150, -72)], "#f2837a", 3)
    canvas.stroke([(-16, -92), (-14, -34)], shade, 2.5)
    canvas.box((-8, -80, 14, -75), "#e8e8e8", radius=2)
    canvas.oval(158, -58, 11, 13, "#fff4c0")
    canvas.box((-174, -72, -162, -52), "#ffb0a0", radius=3)
    canvas.box((-176, -32, -120, -18), "#3a3d42", radius=5)
    canvas.box((130, -32, 176, -18), "#3a3d42", radius=5)
    for x in (-100, 102):
        canvas.oval(x, -18, 40, 38, "#1a1b1f")
        canvas.oval(x, -12, 33, 33, "#22242a")
        canvas.oval(x, -12, 19, 19, "#c9ced6")
        for spoke in range(5):
            angle = spoke * 2 * np.pi / 5
            canvas.stroke(
                [(x, -12), (x + 17 * float(np.cos(angle)), -12 + 17 * float(np.sin(angle)))], "#7d858f", 4
            )
        canvas.oval(x, -12, 5, 5, "#3a3d42")


def _fruit(canvas: Canvas, x: float, y: float, size: float, tone: str) -> None:
    """Draw a round fruit with light from the upper left."""
    side = round(size * 2) + 4
    ball = Canvas(side, side, CLEAR, scale=canvas.scale)
    middle = side / 2
    with ball.layer(within=lambda shape: shape.oval(middle, middle, size, size * 0.95, "#ffffff")) as skin:
        skin.box((0, 0, side, side), mix(tone, "#1a0808", 0.45))
        with skin.layer(blur=size * 0.16) as lit:
            lit.oval(middle - size * 0.16, middle - size * 0.18, size * 0.84, size * 0.8, tone)
        with skin.layer(blur=size * 0.14, opacity=0.8) as shine:
            shine.oval(
                middle - size * 0.36, middle - size * 0.4, size * 0.26, size * 0.18, "#fff8ea", turn=-35
            )
    canvas.paste(ball.image, x - middle, y - middle)


def _bowl(canvas: Canvas) -> None:
    """Draw the front of a white bowl with blue lines."""

    def china(shape: Canvas) -> None:
        rim = ring(430, 436, 290, 36, start=0, end=180)
        side = smooth([(140, 436), (152, 490), (194, 560), (258, 614), (330, 634)], closed=False)
        shape.polygon([*rim, *side, *((860 - x, y) for x, y in reversed(side))], "#ffffff")

    with canvas.layer(within=china) as glaze:
        glaze.gradient(
            [(0, "#e3e9ec"), (0.3, "#f4f7f8"), (0.65, "#c9d2d8"), (1, "#8d99a2")],
            (140, 420, 720, 640),
            sideways=True,
        )
        glaze.gradient([(0, "#00000000"), (1, "#20181840")], (140, 420, 720, 640))
        glaze.arc(430, 456, 286, 40, (0, 180), "#3f6fa8", 10)
        glaze.arc(430, 478, 280, 42, (0, 180), "#3f6fa8", 3)


def fruit_bowl() -> Image.Image:
    """Draw a bowl with apples, oranges, grapes and a banana on a table."""
    canvas = Canvas(860, 720, scale=2)
    canvas.gradient([(0, "#3a4a4a"), (1, "#6a7468")], (0, 0, 860, 480))
    wall = clouds(860, 480, (300, 240), 4, 18)
    canvas.paste(veil((20, 26, 26), wall * 0.5).resize((1720, 960)), 0, 0)
    canvas.glow(220, 120, 420, "#ffe9b860")
    canvas.gradient([(0, "#a9754a"), (1, "#5f3a20")], (0, 470, 860, 720))
    wood = clouds(860, 250, (700, 14), 4, 52)
    canvas.paste(veil((50, 24, 8), wood**1.5 * 0.6).resize((1720, 500)), 0, 470)
    with canvas.layer(blur=16, opacity=0.6) as dark:
        dark.oval(470, 628, 280, 34, "#120804")
    canvas.oval(430, 436, 290, 40, "#8d99a2")
    canvas.oval(430, 440, 276, 34, "#4a3f3a")
    canvas.blob(
        [(560, 330), (640, 250), (668, 170), (690, 170), (700, 250), (660, 350), (590, 400)], "#e0a82c"
    )
    canvas.blob(
        [(560, 326), (632, 252), (666, 172), (682, 172), (684, 244), (640, 330), (580, 380)], "#f7d04a"
    )
    canvas.polygon([(666, 176), (688, 174), (686, 152), (672, 154)], "#5a4420")
    for x, y, size, tone in (
        (300, 356, 74, "#c8302c"),
        (560, 372, 76, "#ee8a24"),
        (430, 322, 82, "#d8402f"),
        (480, 404, 70, "#f09a34"),
        (360, 412, 66, "#8db33f"),
    ):
        _fruit(canvas, x, y, size, tone)
    canvas.curve([(430, 262), (436, 236), (452, 222)], "#4a321c", 7)
    canvas.blob([(444, 240), (480, 214), (512, 222), (484, 246)], "#5d8f3a")
    canvas.curve([(300, 292), (296, 272), (304, 258)], "#4a321c", 6)
    for row in range(4):
        for column in range(5 - row):
            _fruit(canvas, 236 + column * 27 + row * 12 - 40, 420 + row * 28, 18, "#6a3f8a")

    _bowl(canvas)
    _fruit(canvas, 120, 610, 54, "#c8302c")
    canvas.curve([(120, 562), (126, 544), (138, 536)], "#4a321c", 5)
    return photograph(canvas.finish().crop((0, 30, 860, 700)), seed=60, grain=5, edges=0.35)
