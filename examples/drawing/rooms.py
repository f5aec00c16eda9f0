"""Places the memes happen in: walls, windows, desks, rays of colour, and shadows under things."""

from __future__ import annotations

import numpy as np

from drawing.canvas import Box, Canvas, mix


def shadow(canvas: Canvas, x: float, y: float, rx: float, ry: float, *, opacity: float = 0.35) -> None:
    """Lay a soft shadow on the ground."""
    with canvas.layer(blur=ry * 0.5, opacity=opacity) as dark:
        dark.oval(x, y, rx, ry, "#140c08")


def rays(canvas: Canvas, x: float, y: float, first: str, second: str, *, parts: int = 24) -> None:
    """Fill everything with a burst of rays in two colours around a point."""
    reach = canvas.width_px + canvas.height_px
    canvas.gradient([(0, first), (1, mix(first, "#000000", 0.18))])
    for part in range(0, parts * 2, 2):
        a, b = (np.pi * (part + more) / parts for more in (0, 1))
        points = [(x, y), *((x + reach * float(np.cos(t)), y + reach * float(np.sin(t))) for t in (a, b))]
        canvas.polygon(points, second)
    canvas.glow(x, y, min(canvas.width_px, canvas.height_px) * 0.62, "#ffffff88")


def desk(canvas: Canvas, top: float, wood: str = "#a8713f") -> None:
    """Draw a wooden desk from ``top`` to the lower edge."""
    width, height = canvas.width_px, canvas.height_px
    canvas.gradient(
        [(0, mix(wood, "#ffffff", 0.18)), (1, mix(wood, "#000000", 0.3))], (0, top, width, height)
    )
    canvas.box((0, top, width, top + 4), mix(wood, "#fff2d8", 0.5))
    rng = np.random.default_rng(3)
    for _ in range(26):
        x, y = float(rng.uniform(-80, width)), float(rng.uniform(top + 12, height))
        length = float(rng.uniform(60, 260))
        canvas.curve([(x, y), (x + length / 2, y + 3), (x + length, y - 1)], mix(wood, "#2a1408", 0.28), 1.4)


def window(canvas: Canvas, frame: Box, sky: tuple[str, str], *, rain: bool = False) -> None:
    """Draw a window with a sky, roofs of a town, and a frame of four panes."""
    x0, y0, x1, y1 = frame
    canvas.box((x0 - 12, y0 - 12, x1 + 12, y1 + 12), "#e9e2d6", radius=4)
    canvas.gradient([(0, sky[0]), (1, sky[1])], frame)
    rng = np.random.default_rng(11)
    x = x0
    while x < x1:
        wide, tall = float(rng.uniform(26, 58)), float(rng.uniform(30, 110))
        wall = mix(sky[0], "#1c2430", 0.55)
        canvas.box((x, y1 - tall, min(x + wide, x1), y1), wall)
        for row in range(int(tall // 18)):
            for column in range(int(min(wide, x1 - x) // 15)):
                if rng.random() < 0.42:
                    left, up = x + 5 + column * 14, y1 - tall + 7 + row * 17
                    canvas.box((left, up, min(left + 6, x1), up + 8), "#ffd98a")
        x += wide
    if rain:
        for _ in range(70):
            left, up = float(rng.uniform(x0, x1 - 6)), float(rng.uniform(y0, y1 - 18))
            canvas.stroke([(left + 5, up), (left, up + 16)], "#e4f0ff90", 1.2)
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    canvas.box((middle_x - 5, y0, middle_x + 5, y1), "#e9e2d6")
    canvas.box((x0, middle_y - 5, x1, middle_y + 5), "#e9e2d6")
    canvas.box((x0 - 22, y1 + 10, x1 + 22, y1 + 24), "#d8cfbf", radius=3)


def wall_clock(canvas: Canvas, x: float, y: float, hour: float) -> None:
    """Draw a round clock that shows an hour."""
    canvas.oval(x, y, 46, 46, "#fbf7ee", edge=6)
    for part in range(12):
        angle = np.pi * part / 6
        cos, sin = float(np.cos(angle)), float(np.sin(angle))
        canvas.stroke([(x + 36 * cos, y + 36 * sin), (x + 40 * cos, y + 40 * sin)], "#2b2320", 3)
    for turns, length, width in ((hour / 12, 22, 5), (hour % 1, 33, 3.5)):
        angle = 2 * np.pi * turns - np.pi / 2
        canvas.stroke(
            [(x, y), (x + length * float(np.cos(angle)), y + length * float(np.sin(angle)))], "#2b2320", width
        )


def picture_frame(canvas: Canvas, frame: Box, ground: str) -> None:
    """Draw a framed picture of a hill under the sun on a wall."""
    x0, y0, x1, y1 = frame
    canvas.box(frame, "#6b4a2f", radius=3)
    inner = (x0 + 9, y0 + 9, x1 - 9, y1 - 9)
    canvas.box(inner, "#f4ead2")
    width, height = inner[2] - inner[0], inner[3] - inner[1]
    canvas.oval(inner[0] + width * 0.7, inner[1] + height * 0.34, width * 0.11, width * 0.11, "#e8a33d")
    low = inner[3]
    hill = [
        (inner[0], low),
        (inner[0], low - height * 0.3),
        (inner[0] + width * 0.35, low - height * 0.55),
        (inner[0] + width * 0.7, low - height * 0.22),
        (inner[2], low - height * 0.36),
        (inner[2], low),
    ]
    canvas.polygon(hill, ground)
