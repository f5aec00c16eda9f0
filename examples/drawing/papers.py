"""Photographs of things with words on them: a receipt, signs, a book, notes, a recipe and a ticket."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawing.canvas import Canvas, Point, mix
from drawing.lettering import paragraph
from drawing.texture import clouds, photograph, veil


def _table(canvas: Canvas, light: str, dark: str, seed: int, cell_px: tuple[float, float]) -> None:
    """Fill everything with a wooden or woven ground."""
    canvas.gradient([(0, light), (1, mix(light, dark, 0.4))])
    width, height = canvas.image.size
    grain_HW = clouds(width // 2, height // 2, cell_px, 4, seed)
    tone = int(dark[1:3], 16), int(dark[3:5], 16), int(dark[5:7], 16)
    canvas.paste(veil(tone, grain_HW**1.6 * 0.8).resize((width, height)), 0, 0)


def receipt() -> Image.Image:
    """Draw a grey scan of a bakery's receipt."""
    canvas = Canvas(560, 900, "#e3e3e1", scale=2)
    canvas.polygon([(44, 22), (520, 34), (512, 876), (36, 868)], "#fbfbf8")
    with canvas.layer(turn=0.8, around=(280, 450)) as paper:
        paper.text((280, 84), "CORNER BAKERY", "till-bold", 40, "#26262a", anchor="mm")
        paragraph(
            paper,
            (280, 134),
            ["12 Mill Lane, Whale Bay", "18 Feb 2026  13:14"],
            "till",
            22,
            "#3a3a40",
            anchor="mm",
        )
        rows = (
            ("2 Cinnamon roll", "5.80"),
            ("1 Rye bread", "4.20"),
            ("1 Cappuccino", "3.10"),
            ("1 Apple tart", "3.90"),
            ("1 Day-old donut", "0.50"),
        )
        y = 240.0
        for name, price in (
            *rows,
            ("", ""),
            ("TOTAL", "17.50"),
            ("Paid in cash", "20.00"),
            ("Change", "2.50"),
        ):
            face, size = ("till-bold", 34) if name == "TOTAL" else ("till", 26)
            paper.text((78, y), name, face, size, "#26262a")
            paper.text((482, y), price, face, size, "#26262a", anchor="rm")
            y += 48
        for line in (196, 474, 690):
            for x in range(78, 482, 16):
                paper.box((x, line, x + 9, line + 2), "#55555c")
        paper.text((280, 724), "Thank you, stay crumbly!", "till", 25, "#26262a", anchor="mm")
        rng = np.random.default_rng(4)
        left = 110.0
        while left < 446:
            wide = float(rng.choice([2, 3, 5, 7]))
            paper.box((left, 760, left + wide, 826), "#26262a")
            left += wide + float(rng.choice([2, 3, 5]))
    return (
        photograph(canvas.finish(), seed=12, grain=3, edges=0.12)
        .convert("L")
        .point([min(255, level // 8 * 8 + 4) for level in range(256)])
    )


def street_sign() -> Image.Image:
    """Draw a blue street sign and a parking sign on a brick wall."""
    canvas = Canvas(640, 860)
    canvas.gradient([(0, "#b9775a"), (1, "#94573f")])
    rng = np.random.default_rng(9)
    for row in range(36):
        for column in range(-1, 9):
            x, y = column * 80 + (row % 2) * 40, row * 24
            tone = mix("#a8614a", "#7d4433" if rng.random() < 0.5 else "#c98a6a", float(rng.uniform(0, 0.7)))
            canvas.box((x + 2, y + 2, x + 78, y + 22), tone, radius=2)
    grime = clouds(640, 860, (260, 200), 4, 21)
    canvas.paste(veil((40, 22, 16), grime**2 * 0.55).resize(canvas.image.size), 0, 0)
    for y0, y1 in ((196, 356), (470, 770)):
        with canvas.layer(blur=10, opacity=0.6) as dark:
            dark.box(
                (66 if y1 < 400 else 166, y0 + 12, 590 if y1 < 400 else 490, y1 + 14), "#000000", radius=12
            )
    canvas.box((56, 190, 584, 350), "#f4f6f8", radius=14)
    canvas.gradient([(0, "#1f58a8"), (1, "#174689")], (66, 200, 574, 340))
    canvas.text((320, 252), "Lighthouse Street", "sans-bold", 50, "#ffffff", anchor="mm")
    canvas.text((320, 308), "formerly Fish Alley", "sans", 28, "#dce8f8", anchor="mm")
    canvas.box((160, 460, 480, 764), "#f4f6f8", radius=14)
    canvas.oval(320, 556, 76, 76, "#c6302c")
    canvas.oval(320, 556, 60, 60, "#1f58a8")
    for lean in (-1, 1):
        canvas.stroke([(320 - 44, 556 - 44 * lean), (320 + 44, 556 + 44 * lean)], "#c6302c", 14)
    paragraph(canvas, (320, 668), ["No parking", "except seagulls"], "sans-bold", 33, "#22262c", anchor="mm")
    for x, y in ((80, 214), (560, 214), (80, 326), (560, 326), (178, 478), (462, 478)):
        canvas.oval(x, y, 5, 5, "#9aa3ad")
    return photograph(canvas.finish(), seed=31, grain=6, edges=0.4)


def book_cover() -> Image.Image:
    """Draw the cover of a novel: a lighthouse at night."""
    canvas = Canvas(600, 880)
    canvas.gradient([(0, "#0d1b3a"), (0.6, "#28537a"), (0.78, "#e0a36a"), (0.8, "#1d3a56"), (1, "#0b1626")])
    rng = np.random.default_rng(19)
    for _ in range(120):
        x, y, size = float(rng.uniform(0, 600)), float(rng.uniform(0, 560)), float(rng.uniform(0.6, 2))
        canvas.oval(x, y, size, size, "#fff7dc")
    with canvas.layer(blur=8, opacity=0.55) as beam:
        beam.polygon([(300, 404), (-40, 300), (-40, 430)], "#ffe9a0")
        beam.polygon([(300, 404), (640, 330), (640, 480)], "#ffe9a0")
    canvas.blob([(90, 740), (220, 690), (380, 688), (520, 736), (620, 900), (0, 900)], "#131a24")
    canvas.polygon([(262, 440), (338, 440), (362, 700), (238, 700)], "#f0ece2")
    for top in (486, 588):
        half = 38 + (top - 440) * 0.092
        canvas.polygon(
            [(300 - half, top), (300 + half, top), (300 + half + 4, top + 48), (300 - half - 4, top + 48)],
            "#c23b34",
        )
    canvas.box((252, 430, 348, 444), "#22262c", radius=3)
    canvas.box((272, 384, 328, 432), "#ffe9a0")
    canvas.polygon([(262, 386), (338, 386), (300, 348)], "#c23b34")
    canvas.glow(300, 406, 110, "#fff3c4d0")
    for row in range(14):
        y = 712 + row * 12
        canvas.curve([(0, y), (150, y + 4), (300, y - 3), (450, y + 4), (600, y)], "#5c86a840", 2)
    canvas.text((300, 110), "The Quiet", "serif-bold", 92, "#fbf3df", anchor="mm")
    canvas.text((300, 206), "Lighthouse", "serif-bold", 92, "#fbf3df", anchor="mm")
    canvas.text((300, 284), "A NOVEL", "serif-bold", 34, "#e8d8b4", anchor="mm")
    canvas.text((300, 826), "Ada  Fern", "serif-bold", 50, "#fbf3df", anchor="mm")
    return canvas.finish()


def cat_note() -> Image.Image:
    """Draw a handwritten note under a magnet on a fridge."""
    canvas = Canvas(700, 720)
    canvas.gradient([(0, "#dfe5e8"), (0.5, "#c9d2d7"), (1, "#b3bec5")], sideways=True)
    canvas.box((610, 0, 620, 720), "#9aa6ad")
    around = (330, 370)
    with canvas.layer(blur=12, opacity=0.5, turn=-4, around=around) as dark:
        dark.box((98, 118, 580, 640), "#28323a")
    with canvas.layer(turn=-4, around=around) as note:
        note.gradient([(0, "#fffdf2"), (1, "#f6f0dc")], (88, 100, 572, 628))
        for y in range(186, 620, 56):
            note.box((88, y, 572, y + 1.5), "#b9d4ea")
        note.box((140, 100, 142, 628), "#eeb4b0")
        lines = ["back at six.", "the cat has eaten.", "she will tell you", "she has not.", "she is lying."]
        paragraph(note, (164, 222), lines, "hand", 50, "#26408a", spacing=1.12)
        note.text((536, 584), "love, granny", "hand", 44, "#26408a", anchor="rm")
        note.curve(
            [(196, 548), (214, 540), (232, 552), (230, 576), (206, 588), (186, 572), (196, 548)], "#26408a", 3
        )
        for x in (194, 220):
            note.stroke([(x, 550), (x + 4, 534), (x + 12, 544)], "#26408a", 3)
    with canvas.layer(blur=5, opacity=0.5) as dark:
        dark.oval(338, 122, 34, 30, "#000000")
    canvas.oval(332, 112, 33, 33, "#c8302c")
    canvas.oval(322, 102, 10, 8, "#f2a09a")
    return photograph(canvas.finish(), seed=5, grain=4, edges=0.3)


def recipe_card() -> Image.Image:
    """Draw a recipe card on a wooden table with flour and an egg."""
    canvas = Canvas(900, 680)
    _table(canvas, "#b98a5e", "#4a2c16", 15, (900, 14))
    with canvas.layer(blur=10, opacity=0.55) as dark:
        dark.box((78, 66, 760, 630), "#140a04", radius=8)
    canvas.box((64, 48, 744, 612), "#fdf6e3", radius=8)
    canvas.box((64, 48, 744, 130), "#d97a6a", radius=8)
    canvas.box((64, 110, 744, 132), "#fdf6e3")
    canvas.box((64, 118, 744, 122), "#d97a6a")
    canvas.text((404, 82), "Sunday Pancakes", "brush", 48, "#fffaf0", anchor="mm")
    left = ["2 eggs", "200 g flour", "300 ml milk", "1 pinch of salt", "butter for the pan"]
    paragraph(canvas, (96, 176), left, "script", 34, "#4a2f22", spacing=1.35)
    steps = [
        "Whisk everything.",
        "Wait ten minutes.",
        "Fry until golden.",
        "The first one is",
        "for the dog, always.",
    ]
    paragraph(canvas, (410, 176), steps, "script", 34, "#4a2f22", spacing=1.35)
    canvas.box((384, 156, 386, 400), "#e4c9b4")
    for index in range(4):
        y = 560 - index * 18
        canvas.oval(250, y + 9, 108, 26, "#b9722f")
        canvas.oval(250, y, 108, 26, "#e6a552")
        canvas.oval(250, y - 2, 96, 20, "#f0bb6c")
    canvas.blob(
        [(190, 500), (250, 492), (310, 502), (306, 530), (290, 516), (262, 540), (240, 516), (206, 534)],
        "#b5651dd0",
    )
    canvas.polygon([(232, 486), (262, 480), (274, 496), (244, 504)], "#ffe9a0")
    canvas.text((680, 578), "serves 3, or 1 teenager", "script", 27, "#8a5a44", anchor="rm")
    for x, y, turn in ((820, 180, 20), (836, 290, -30)):
        with canvas.layer(blur=6, opacity=0.5) as dark:
            dark.oval(x + 8, y + 10, 48, 38, "#000000", turn=turn)
        canvas.oval(x, y, 48, 38, "#e8c3a0", turn=turn)
        canvas.glow(x - 14, y - 12, 24, "#fff6e8c0")
    flour = clouds(900, 680, (60, 60), 3, 40)
    span_x, span_y = np.linspace(0, 900, 900)[None], np.linspace(0, 680, 680)[:, None]
    near = np.clip(1 - np.hypot(span_x - 850, span_y - 560) / 190, 0, 1)
    canvas.paste(veil((252, 250, 245), (near * 1.6 * flour) ** 1.4).resize(canvas.image.size), 0, 0)
    return photograph(canvas.finish(), seed=8, grain=4, edges=0.35)


def _squares(canvas: Canvas, corner: Point, side: float, seed: int) -> None:
    """Draw a block of random squares that looks like a machine-readable code and says nothing."""
    rng = np.random.default_rng(seed)
    cells = rng.random((21, 21)) < 0.48
    step = side / 21
    for row, column in np.argwhere(cells):
        x, y = corner[0] + column * step, corner[1] + row * step
        canvas.box((x, y, x + step, y + step), "#22262c")
    for dx, dy in ((0, 0), (14, 0), (0, 14)):
        x, y = corner[0] + dx * step, corner[1] + dy * step
        for size, tone in ((7, "#22262c"), (5, "#ffffff"), (3, "#22262c")):
            inset = (7 - size) / 2 * step
            canvas.box((x + inset, y + inset, x + inset + size * step, y + inset + size * step), tone)


def train_ticket() -> Image.Image:
    """Draw a train ticket with small print."""
    canvas = Canvas(960, 420, "#e9edf0", scale=2)
    canvas.box((24, 24, 936, 396), "#ffffff", radius=18)
    canvas.box((24, 24, 936, 92), "#0f6b5c", radius=18)
    canvas.box((24, 70, 936, 92), "#0f6b5c")
    canvas.text((54, 59), "Northern Coast Railway", "ui-bold", 28, "#ffffff")
    canvas.text((906, 59), "Ticket 4471-B", "ui-medium", 22, "#d5efe8", anchor="rm")
    for x, label, place, time in (
        (54, "From", "Gull Island Pier", "09:42"),
        (54, "To", "Mountain Lake", "13:05"),
    ):
        y = 132 if label == "From" else 212
        canvas.text((x, y), label, "ui", 17, "#6b7280")
        canvas.text((x, y + 32), place, "ui-bold", 32, "#1f2430")
        canvas.text((x + 430, y + 32), time, "ui-bold", 32, "#0f6b5c")
    for x, label, value in (
        (54, "Date", "21 May 2026"),
        (224, "Coach", "7"),
        (324, "Seat", "42 window"),
        (494, "Class", "Second"),
    ):
        canvas.text((x, 300), label, "ui", 16, "#6b7280")
        canvas.text((x, 328), value, "ui-medium", 22, "#1f2430")
    canvas.text(
        (54, 370),
        "Not valid on whales. Dogs travel free if they look out of the window.",
        "ui",
        15,
        "#6b7280",
    )
    for y in range(104, 392, 14):
        canvas.box((668, y, 671, y + 8), "#b9c2c9")
    _squares(canvas, (706, 128), 196, 77)
    canvas.text((804, 356), "scan at the gate", "ui", 17, "#6b7280", anchor="mm")
    return canvas.finish()


def taverna_board() -> Image.Image:
    """Draw a chalk board of a Greek taverna."""
    canvas = Canvas(620, 820)
    _table(canvas, "#e6ded0", "#a8967c", 44, (220, 220))
    with canvas.layer(blur=12, opacity=0.5) as dark:
        dark.box((70, 64, 568, 780), "#000000", radius=6)
    canvas.box((58, 46, 562, 764), "#8a5a34", radius=6)
    canvas.box((80, 68, 540, 742), "#26302c")
    smear = clouds(460, 674, (160, 90), 4, 3)
    size = (460 * canvas.scale, 674 * canvas.scale)
    canvas.paste(veil((220, 230, 225), smear**2 * 0.22).resize(size), 80, 68)
    canvas.text((310, 142), "ΤΑΒΕΡΝΑ", "sans-bold", 72, "#f7f3e6", anchor="mm")
    canvas.curve([(150, 196), (230, 188), (310, 200), (390, 190), (470, 198)], "#f2c14e", 4)
    rows = (("Μουσακάς", "9 €"), ("Χταπόδι", "12 €"), ("Ελιές", "3 €"), ("Σαλάτα", "6 €"), ("Καφές", "2 €"))
    for index, (dish, price) in enumerate(rows):
        canvas.text((124, 270 + index * 74), dish, "sans", 46, "#f7f3e6")
        canvas.text((498, 270 + index * 74), price, "sans-bold", 42, "#f2c14e", anchor="rm")
    canvas.blob(
        [(250, 672), (310, 644), (372, 672), (400, 650), (400, 694), (372, 674), (310, 702)], "#8fc7e8"
    )
    canvas.oval(280, 668, 4, 4, "#26302c")
    return photograph(canvas.finish(), seed=50, grain=5, edges=0.35)
