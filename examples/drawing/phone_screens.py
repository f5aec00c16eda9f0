"""Screenshots of a phone: a chat, the weather and the home screen of applications that do not exist."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawing import animals
from drawing.canvas import Canvas, mix
from drawing.lettering import paragraph, wrap


def _status_bar(canvas: Canvas, time: str, ink: str) -> None:
    canvas.text((28, 26), time, "ui-bold", 19, ink)
    right = canvas.width_px - 26
    canvas.box((right - 34, 18, right, 34), mix(ink, "#808080", 0.5), radius=5)
    canvas.box((right - 32, 20, right - 20, 32), ink, radius=3)
    for bar in range(4):
        canvas.box((right - 72 + bar * 7, 33 - bar * 4 - 4, right - 67 + bar * 7, 34), ink, radius=1)


def _message(canvas: Canvas, y: float, words: str, time: str, *, mine: bool) -> float:
    """Write one message of a chat and return where the next one goes."""
    lines = wrap(canvas, words, "ui", 23, 330)
    width = max(170.0, *(canvas.measure(line, "ui", 23) for line in lines)) + 40
    height = len(lines) * 31 + 42
    left = canvas.width_px - width - 20 if mine else 20
    canvas.box((left, y + 2, left + width, y + height + 3), "#0000001c", radius=18)
    canvas.box((left, y, left + width, y + height), "#cdeccb" if mine else "#ffffff", radius=18)
    paragraph(canvas, (left + 20, y + 27), lines, "ui", 23, "#1c2420")
    canvas.text((left + width - 16, y + height - 15), time, "ui", 14, "#7d8a84", anchor="rm")
    return y + height + 14


def family_chat() -> Image.Image:
    """Draw a chat with a mother who knows about the pizza."""
    canvas = Canvas(540, 1000, "#e9e2d6", scale=2)
    rng = np.random.default_rng(2)
    for _ in range(60):
        x, y = float(rng.uniform(0, 540)), float(rng.uniform(120, 900))
        canvas.arc(x, y, 9, 9, (0, 250), "#dfd6c6", 3)
    canvas.box((0, 0, 540, 122), "#2f6f5e")
    _status_bar(canvas, "21:47", "#ffffff")
    canvas.stroke([(34, 70), (22, 82), (34, 94)], "#ffffff", 4)
    canvas.oval(82, 84, 28, 28, "#f2c9a0")
    animals.cat(canvas.at(82, 88, 0.2), "#8d99a6", mood="happy")
    canvas.text((124, 73), "Mum", "ui-bold", 24, "#ffffff")
    canvas.text((124, 100), "online", "ui", 16, "#cfe5dc")
    y = 146.0
    for words, time, mine in (
        ("Did you eat something healthy?", "21:38", False),
        ("Yes, a big salad", "21:40", True),
        ("Then why did Luigi's Pizza just call me to confirm your address?", "21:44", False),
        ("It was a very large salad", "21:45", True),
        ("With extra cheese?", "21:46", False),
        ("The cheese was a surprise to me too", "21:46", True),
        ("Enjoy your salad, darling", "21:47", False),
    ):
        y = _message(canvas, y, words, time, mine=mine)
    canvas.box((16, 930, 456, 984), "#ffffff", radius=27)
    canvas.text((44, 957), "Message", "ui", 20, "#9aa39e")
    canvas.oval(496, 957, 27, 27, "#2f6f5e")
    canvas.polygon([(486, 944), (512, 957), (486, 970), (491, 957)], "#ffffff")
    return canvas.finish()


def _weather_sign(canvas: Canvas, kind: str) -> None:
    """Draw a small sign of the weather around (0, 0), 50 wide."""
    if kind in {"sun", "fair"}:
        canvas.oval(8, -8, 15, 15, "#ffd45c")
    if kind in {"fair", "cloud", "snow", "rain"}:
        for x, y, size in ((-12, 4, 12), (2, -2, 15), (15, 5, 11)):
            canvas.oval(x, y, size, size, "#f3f7fc")
        canvas.box((-14, 4, 18, 16), "#f3f7fc", radius=6)
    if kind in {"snow", "rain"}:
        for x in (-12, 1, 14):
            if kind == "snow":
                canvas.oval(x, 25, 3, 3, "#ffffff")
            else:
                canvas.stroke([(x + 2, 21), (x - 2, 30)], "#8fd0ff", 3)


def weather() -> Image.Image:
    """Draw a weather application on a snowy morning."""
    canvas = Canvas(540, 960, scale=2)
    canvas.gradient([(0, "#36507f"), (0.5, "#6f8fb8"), (1, "#b9cbe0")])
    canvas.polygon(
        [(0, 420), (130, 300), (230, 390), (350, 270), (540, 430), (540, 960), (0, 960)], "#5d7ba655"
    )
    rng = np.random.default_rng(6)
    for _ in range(130):
        x, y, size = float(rng.uniform(0, 540)), float(rng.uniform(60, 960)), float(rng.uniform(1, 3.2))
        canvas.oval(x, y, size, size, "#ffffffa0")
    _status_bar(canvas, "08:15", "#ffffff")
    canvas.text((270, 104), "Tromsø", "ui-medium", 40, "#ffffff", anchor="mm")
    canvas.text((282, 206), "-7°", "ui-light", 128, "#ffffff", anchor="mm")
    canvas.text((270, 300), "Heavy snow until noon", "ui-medium", 25, "#ffffff", anchor="mm")
    canvas.text((270, 338), "High -3°   Low -12°", "ui", 20, "#e6eefa", anchor="mm")
    canvas.box((24, 386, 516, 546), "#2d446d90", radius=22)
    for index, (hour, kind, degrees) in enumerate(
        (
            ("Now", "snow", "-7°"),
            ("09", "snow", "-6°"),
            ("10", "snow", "-5°"),
            ("11", "cloud", "-4°"),
            ("12", "fair", "-3°"),
        )
    ):
        x = 74 + index * 98
        canvas.text((x, 416), hour, "ui-medium", 18, "#ffffff", anchor="mm")
        _weather_sign(canvas.at(x, 462), kind)
        canvas.text((x, 518), degrees, "ui-bold", 21, "#ffffff", anchor="mm")
    canvas.box((24, 566, 516, 872), "#2d446d90", radius=22)
    days = (
        ("Thursday", "snow", -12, -3),
        ("Friday", "cloud", -10, -2),
        ("Saturday", "fair", -8, 1),
        ("Sunday", "sun", -6, 3),
        ("Monday", "rain", -1, 4),
    )
    for index, (day, kind, low, high) in enumerate(days):
        y = 602 + index * 58
        canvas.text((48, y), day, "ui-medium", 21, "#ffffff")
        _weather_sign(canvas.at(206, y - 5, 0.72), kind)
        canvas.text((292, y), f"{low}°", "ui", 20, "#c9d8ee", anchor="rm")
        canvas.box((308, y - 4, 444, y + 4), "#24385c", radius=4)
        left, right = 308 + (low + 12) * 8.5, 308 + (high + 12) * 8.5
        canvas.gradient([(0, "#7fc4ff"), (1, "#ffd98a")], (left, y - 4, right, y + 4), sideways=True)
        canvas.text((494, y), f"{high}°", "ui-bold", 20, "#ffffff", anchor="rm")
    canvas.text((270, 916), "Wear the big coat", "ui-medium", 20, "#33486e", anchor="mm")
    return canvas.finish()


def _app(canvas: Canvas, tone: str, name: str) -> None:
    """Draw the sign of one application around (0, 0) with its name below."""
    with canvas.layer(within=lambda shape: shape.box((-42, -42, 42, 42), "#ffffff", radius=20)) as icon:
        icon.gradient([(0, mix(tone, "#ffffff", 0.28)), (1, mix(tone, "#000000", 0.1))], (-42, -42, 42, 42))
    canvas.text((0, 62), name, "ui-medium", 17, "#ffffff", anchor="mm")


def home_screen() -> Image.Image:
    """Draw a phone's home screen early in the morning, with an alarm that was put off."""
    canvas = Canvas(540, 1040, scale=2)
    canvas.gradient([(0, "#1d2b53"), (0.45, "#7e4a82"), (0.75, "#e0766a"), (1, "#f6b86a")])
    canvas.oval(270, 830, 120, 120, "#ffd79a")
    for step, tone in enumerate(("#5b3a6e", "#46305f", "#2f2450")):
        top = 800 + step * 62
        canvas.blob(
            [
                (-60, top),
                (110, top - 46),
                (260, top + 10),
                (430, top - 40),
                (620, top),
                (620, 1200),
                (-60, 1200),
            ],
            tone,
        )
    _status_bar(canvas, "07:59", "#ffffff")
    canvas.text((270, 136), "07:59", "ui-light", 108, "#ffffff", anchor="mm")
    canvas.text((270, 214), "Thursday, 12 February", "ui-medium", 23, "#f0e6f4", anchor="mm")
    canvas.box((30, 258, 510, 352), "#ffffffe0", radius=24)
    canvas.oval(78, 305, 26, 26, "#e36f6f")
    canvas.stroke([(78, 290), (78, 306), (89, 312)], "#ffffff", 4)
    canvas.text((120, 289), "Alarm", "ui-bold", 20, "#2a2233")
    canvas.text((120, 321), "Snoozed 6 times. Are you alive?", "ui", 20, "#4a4055")
    names = (
        ("#4f86c6", "Mail"),
        ("#5fae6e", "Maps"),
        ("#e0a43c", "Notes"),
        ("#b35c9e", "Camera"),
        ("#56606e", "Clock"),
        ("#d8574b", "Radio"),
        ("#3d9c9c", "Bank"),
        ("#8a6fc0", "Podcasts"),
    )
    for index, (tone, name) in enumerate(names):
        icon = canvas.at(94 + index % 4 * 117, 440 + index // 4 * 142)
        _app(icon, tone, name)
        _sign(icon, name)
    return canvas.finish()


def _sign(canvas: Canvas, name: str) -> None:
    """Draw the white sign of an application."""
    white = "#ffffff"
    if name == "Mail":
        canvas.box((-24, -16, 24, 18), white, radius=4)
        canvas.stroke([(-22, -14), (0, 4), (22, -14)], "#4f86c6", 4)
    elif name == "Maps":
        canvas.blob([(0, -24), (18, -8), (0, 24), (-18, -8)], white)
        canvas.oval(0, -8, 6, 6, "#5fae6e")
    elif name == "Notes":
        for y in (-14, 0, 14):
            canvas.stroke([(-20, y), (20 if y < 10 else 6, y)], white, 5)
    elif name == "Camera":
        canvas.box((-26, -14, 26, 20), white, radius=7)
        canvas.oval(0, 3, 12, 12, "#b35c9e")
        canvas.oval(0, 3, 6, 6, white)
    elif name == "Clock":
        canvas.oval(0, 0, 24, 24, white)
        canvas.stroke([(0, -14), (0, 0), (10, 6)], "#56606e", 4)
    elif name == "Radio":
        for size in (8, 17, 26):
            canvas.arc(-12, 14, size, size, (-90, 0), white, 5)
    elif name == "Bank":
        canvas.polygon([(-26, -8), (0, -24), (26, -8)], white)
        for x in (-18, 0, 18):
            canvas.box((x - 4, -4, x + 4, 14), white)
        canvas.box((-26, 16, 26, 22), white)
    else:
        canvas.box((-8, -24, 8, 6), white, radius=8)
        canvas.arc(0, 0, 17, 16, (0, 180), white, 4)
        canvas.stroke([(0, 16), (0, 26)], white, 4)
