"""Screenshots of a computer: a terminal, an article, a chart, a map and a dialog of a moody printer."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawing.canvas import Canvas, mix
from drawing.lettering import paragraph, wrap


def terminal() -> Image.Image:
    """Draw a terminal in which a Python program failed."""
    canvas = Canvas(1000, 560, "#12151c", scale=2)
    canvas.box((0, 0, 1000, 40), "#2a2f3a")
    for index, tone in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        canvas.oval(26 + index * 26, 20, 8, 8, tone)
    canvas.text((500, 20), "nora@attic: ~/coffee-robot", "ui", 16, "#aab3c2", anchor="mm")
    green, white, grey, red, blue = "#7fd88f", "#e6e9ef", "#8a94a6", "#ff7b72", "#79c0ff"
    rows = (
        ((green, "nora@attic:~/coffee-robot$ "), (white, "python brew.py")),
        ((grey, "Heating water: 94 C"),),
        ((grey, "Grinding beans: done"),),
        ((white, "Traceback (most recent call last):"),),
        ((white, "  File "), (blue, '"brew.py"'), (white, ", line 42, in pour")),
        ((white, "    cup.fill(coffee, amount=infinity)"),),
        ((red, "OverflowError: cup too small for this Monday"),),
        ((green, "nora@attic:~/coffee-robot$ "), (white, "buy bigger-cup")),
        ((red, "buy: permission denied, ask your wallet"),),
        ((green, "nora@attic:~/coffee-robot$ "),),
    )
    for index, row in enumerate(rows):
        x, y = 24.0, 78.0 + index * 47
        for tone, words in row:
            canvas.text((x, y), words, "mono", 23, tone)
            x += canvas.measure(words, "mono", 23)
    canvas.box((x, y - 14, x + 13, y + 14), white)
    return canvas.finish()


def article() -> Image.Image:
    """Draw a news page about houseplants that listen."""
    canvas = Canvas(1000, 800, "#ffffff", scale=2)
    canvas.box((0, 0, 1000, 64), "#f1efe9")
    canvas.text((60, 33), "The Daily Sprout", "brush", 32, "#2f5d3a")
    for index, section in enumerate(("World", "Science", "Garden", "Opinion")):
        canvas.text((560 + index * 105, 34), section, "ui-medium", 17, "#5c5a52")
    canvas.box((60, 100, 154, 128), "#2f5d3a", radius=4)
    canvas.text((107, 114), "SCIENCE", "ui-bold", 15, "#ffffff", anchor="mm")
    title = wrap(canvas, "Houseplants remember your gossip, researchers claim", "serif-bold", 52, 870)
    y = paragraph(canvas, (60, 174), title, "serif-bold", 52, "#1d1d1b", spacing=1.15)
    canvas.text((60, y - 4), "By Iris Fernwood · 4 March 2026 · 3 min read", "ui", 17, "#77746a")
    top = y + 28
    canvas.gradient([(0, "#cfe3d2"), (1, "#9cc2a4")], (60, top, 940, top + 300))
    for x, tone in ((180, "#c5673f"), (340, "#3f7cac"), (500, "#e3b23c"), (660, "#b58fb5"), (820, "#c8463c")):
        for lean in (-44, -22, 0, 22, 44):
            tip = (x + lean * 1.5, top + 66 + abs(lean) * 0.9)
            canvas.curve([(x, top + 220), (x + lean * 0.5, top + 150), tip], "#3f7f4a", 5)
            canvas.oval(tip[0], tip[1], 12, 24, mix("#4f9a58", "#bcd97a", (lean + 44) / 150), turn=lean)
        canvas.polygon(
            [(x - 46, top + 206), (x + 46, top + 206), (x + 34, top + 284), (x - 34, top + 284)], tone
        )
        for side in (-12, 12):
            canvas.oval(x + side, top + 240, 4, 5, "#2b2320")
        canvas.arc(x, top + 250, 8, 7, (20, 160), "#2b2320", 3)
    canvas.box((60, top + 284, 940, top + 300), "#8a6a4a")
    canvas.text((60, top + 322), "Five ferns that have heard everything.", "ui", 16, "#77746a")
    words = (
        "A team in Ghent kept microphones beside ninety potted ferns for a year. The leaves turned towards "
        "people who whispered and drooped when the talk was about taxes. One cactus did not react at all, "
        "which the authors describe as professional."
    )
    paragraph(canvas, (60, top + 368), wrap(canvas, words, "serif", 25, 870), "serif", 25, "#2a2a28")
    return canvas.finish()


def coffee_chart() -> Image.Image:
    """Draw a bar chart of cups of coffee by weekday."""
    canvas = Canvas(900, 620, "#ffffff", scale=2)
    canvas.text((60, 54), "Cups of coffee per day", "ui-bold", 34, "#1f2430")
    canvas.text((60, 94), "Office kitchen, first week of February", "ui", 20, "#6b7280")
    for cups in range(0, 101, 25):
        y = 520 - cups * 3.7
        canvas.box((100, y, 850, y + 1.5), "#dfe3ea")
        canvas.text((88, y), str(cups), "ui", 18, "#6b7280", anchor="rm")
    bars = (("Monday", 96), ("Tuesday", 71), ("Wednesday", 64), ("Thursday", 58), ("Friday", 37))
    for index, (day, cups) in enumerate(bars):
        x, y = 130 + index * 146, 520 - cups * 3.7
        tone = "#c8463c" if index == 0 else "#8a5a34"
        canvas.box((x, y, x + 96, 520), tone, radius=6)
        canvas.box((x, 500, x + 96, 520), tone)
        canvas.text((x + 48, y - 20), str(cups), "ui-bold", 24, "#1f2430", anchor="mm")
        canvas.text((x + 48, 546), day, "ui-medium", 20, "#1f2430", anchor="mm")
    canvas.text((60, 594), "Source: the sad person who refills the machine", "ui", 17, "#6b7280")
    return canvas.finish()


def _road(canvas: Canvas, points: list[tuple[float, float]], width: float, fill: str = "#ffffff") -> None:
    canvas.curve(points, "#d3cdbf", width + 5)
    canvas.curve(points, fill, width)


def harbour_map() -> Image.Image:
    """Draw a street map of a small harbour town."""
    canvas = Canvas(900, 700, "#f2eee3", scale=2)
    rng = np.random.default_rng(14)
    for column in range(13):
        for row in range(10):
            x, y = column * 72 + float(rng.uniform(-8, 8)), row * 72 + float(rng.uniform(-8, 8))
            canvas.box(
                (x, y, x + float(rng.uniform(24, 52)), y + float(rng.uniform(24, 52))), "#e4dccb", radius=3
            )
    canvas.blob([(60, 90), (220, 70), (250, 190), (170, 260), (70, 220)], "#c5e2b4")
    canvas.blob(
        [(-40, 560), (200, 530), (420, 590), (640, 520), (960, 560), (960, 800), (-40, 800)], "#a9d3ea"
    )
    canvas.curve([(560, -20), (600, 140), (520, 300), (600, 430), (580, 560)], "#a9d3ea", 46)
    _road(canvas, [(-20, 330), (240, 320), (480, 380), (920, 330)], 26, "#fbd777")
    _road(canvas, [(320, -20), (310, 180), (350, 340), (330, 520)], 18)
    _road(canvas, [(-20, 480), (200, 470), (420, 500), (700, 470), (920, 490)], 18)
    _road(canvas, [(760, -20), (740, 200), (770, 340), (760, 480)], 18)
    _road(canvas, [(420, 150), (560, 170), (740, 150), (920, 170)], 16)
    canvas.curve([(40, 620), (300, 640), (560, 620), (880, 650)], "#7fb2cf", 2.5)
    for words, x, y, turn, size in (
        ("Harbour Road", 190, 324, -1, 21),
        ("Mill Lane", 348, 100, 90, 22),
        ("Fishmarket Street", 196, 472, -1, 19),
        ("Old Bridge", 556, 358, 8, 20),
        ("Kestrel Avenue", 778, 242, 90, 21),
        ("Chapel Hill", 836, 160, 4, 19),
    ):
        with canvas.layer(turn=turn, around=(x, y)) as name:
            name.text((x, y), words, "sans-bold", size, "#5a5346", anchor="mm", stroke=(3, "#fffdf6"))
    canvas.text((156, 160), "Rose Park", "sans-bold", 24, "#3f7a3a", anchor="mm")
    canvas.text((250, 610), "Whale Bay", "serif-bold", 36, "#3f7fa6", anchor="mm")
    for x, y, tone, words in (
        (470, 440, "#d8402f", "Ferry to Gull Island"),
        (680, 600, "#e08a2c", "Lighthouse"),
    ):
        canvas.blob([(x - 18, y - 36), (x, y - 54), (x + 18, y - 36), (x, y)], tone)
        canvas.oval(x, y - 34, 7, 7, "#ffffff")
        canvas.text((x, y + 18), words, "sans-bold", 20, "#33302a", anchor="mm", stroke=(3, "#fffdf6"))
    canvas.box((700, 656, 880, 690), "#ffffffd0", radius=4)
    canvas.box((716, 676, 816, 680), "#33302a")
    canvas.text((828, 672), "200 m", "sans-bold", 16, "#33302a")
    return canvas.finish()


def moody_printer() -> Image.Image:
    """Draw an old dialog box in which a printer explains itself; few colours."""
    canvas = Canvas(560, 260, "#d4d0c8", scale=2)
    canvas.box((0, 0, 560, 260), "#d4d0c8", outline="#808080", width=2)
    canvas.gradient([(0, "#0a246a"), (1, "#a6caf0")], (4, 4, 556, 36), sideways=True)
    canvas.text((14, 20), "Printer", "sans-bold", 19, "#ffffff")
    canvas.box((526, 8, 550, 32), "#d4d0c8", outline="#606060", width=1.5)
    for ends in ([(532, 14), (544, 26)], [(544, 14), (532, 26)]):
        canvas.stroke(ends, "#000000", 2.5)
    canvas.polygon([(70, 66), (112, 140), (28, 140)], "#f7d038")
    canvas.text((70, 118), "!", "round", 46, "#000000", anchor="mm")
    paragraph(
        canvas,
        (140, 84),
        ["The printer is not in the mood.", "It can smell your deadline."],
        "sans",
        24,
        "#000000",
    )
    canvas.text((140, 158), "Error 0x2A: too much urgency", "sans", 18, "#404040")
    for x, words in ((96, "Retry"), (232, "Apologise"), (368, "Bribe")):
        canvas.box((x, 194, x + 116, 236), "#404040")
        canvas.box((x, 194, x + 114, 234), "#ffffff")
        canvas.box((x + 2, 196, x + 114, 234), "#d4d0c8")
        canvas.text((x + 58, 215), words, "sans", 19, "#000000", anchor="mm")
    return canvas.finish().quantize(64, dither=Image.Dither.NONE)
