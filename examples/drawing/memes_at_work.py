"""Memes about offices, meetings and code; the jokes are this project's own."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawing import animals, rooms, things
from drawing.canvas import INK, Canvas, Point
from drawing.lettering import caption_bar, meme_line, paragraph
from drawing.texture import photograph


def monday_again() -> Image.Image:
    """Draw a tired ginger cat at a desk on a rainy morning."""
    canvas = Canvas(900, 675)
    canvas.gradient([(0, "#56697c"), (1, "#8c98a0")])
    rooms.window(canvas, (560, 90, 840, 380), ("#7f93ab", "#c9b7b0"), rain=True)
    rooms.wall_clock(canvas, 110, 205, 6.02)
    rooms.shadow(canvas, 350, 520, 210, 26)
    animals.cat_sitting(canvas.at(345, 262, 1.18), "#e9974d", mood="tired")
    rooms.desk(canvas, 505)
    for x in (290, 400):
        canvas.blob([(x - 36, 498), (x + 36, 498), (x + 40, 528), (x, 540), (x - 40, 528)], "#e9974d", edge=4)
        for toe in (-13, 13):
            canvas.stroke([(x + toe, 520), (x + toe, 534)], INK, 3)
    rooms.shadow(canvas, 640, 574, 90, 18)
    things.mug(canvas.at(640, 575, 1.35))
    canvas.polygon([(120, 560), (230, 548), (262, 590), (140, 604)], "#f4f1ea", edge=2.5)
    for row in range(3):
        canvas.stroke([(146 + row * 6, 568 + row * 10), (220 + row * 8, 560 + row * 10)], "#8b95a0", 2.5)
    meme_line(canvas, "MONDAY AGAIN", 58, 86)
    meme_line(canvas, "I NEED ANOTHER COFFEE", 622, 80)
    return canvas.finish()


def _call_tile(canvas: Canvas, x: float, y: float, ground: str, name: str) -> None:
    canvas.box((x, y, x + 214, y + 150), ground, radius=10)
    canvas.box((x + 8, y + 122, x + 20 + canvas.measure(name, "ui", 14), y + 144), "#0b0e13", radius=4)
    canvas.text((x + 14, y + 133), name, "ui", 14, "#ffffff")


def meeting_dog() -> Image.Image:
    """Draw a video call in which a dog sits through slides."""
    canvas = Canvas(1000, 640, "#171b22")
    canvas.box((24, 24, 736, 540), "#86a9b5", radius=14)
    canvas.gradient([(0, "#a8c3b8"), (1, "#7f9f98")], (24, 24, 736, 540))
    rooms.picture_frame(canvas, (70, 130, 200, 230), "#7f9c4c")
    canvas.box((560, 150, 720, 162), "#7c5a3c")
    for x, tall, tone in (
        (572, 70, "#c8463c"),
        (594, 84, "#e3b23c"),
        (618, 62, "#3f7cac"),
        (640, 76, "#5d9a5b"),
    ):
        canvas.box((x, 150 - tall, x + 18, 150), tone, radius=2)
    canvas.blob([(380, 400), (500, 440), (540, 600), (220, 600), (260, 440)], "#c99a62", edge=4)
    canvas.blob([(300, 424), (380, 450), (460, 424), (452, 452), (380, 476), (308, 452)], "#c8463c", edge=3)
    canvas.oval(380, 480, 15, 15, "#f2c14e", edge=3)
    animals.dog(canvas.at(380, 300, 1.42), mood="tired")
    canvas.box((0, 541, 760, 640), "#171b22")
    for index, (ground, name) in enumerate(
        (("#d9b36c", "Finance"), ("#90a7d0", "Marketing"), ("#b58fb5", "The boss"))
    ):
        _call_tile(canvas, 762, 24 + index * 172, ground, name)
    animals.cat(canvas.at(869, 90, 0.55), "#8d99a6", mood="open")
    animals.duck(canvas.at(862, 268, 0.48))
    animals.octopus(canvas.at(869, 444, 0.5), "#d0709a", mood="happy")
    for index, tone in enumerate(("#3a414d", "#3a414d", "#3a414d", "#d83a3a")):
        canvas.oval(396 + index * 70, 596, 25, 25, tone)
    canvas.box((390, 586, 402, 602), "#e8edf4", radius=5)
    canvas.box((455, 588, 471, 604), "#e8edf4", radius=3)
    canvas.polygon([(473, 596), (481, 589), (481, 603)], "#e8edf4")
    canvas.box((526, 588, 546, 602), "#e8edf4", radius=2)
    canvas.arc(606, 602, 13, 9, (200, 340), "#ffffff", 6)
    meme_line(canvas, "THIS MEETING", 72, 84, x=380, max_width=680)
    meme_line(canvas, "COULD HAVE BEEN A WALK", 496, 74, x=380, max_width=690)
    return canvas.finish()


def home_office_snail() -> Image.Image:
    """Draw a snail with a laptop before violet rays."""
    canvas = Canvas(800, 600)
    rooms.rays(canvas, 400, 330, "#5b3f8f", "#7a58b5")
    rooms.shadow(canvas, 390, 490, 330, 26)
    canvas.polygon([(60, 470), (740, 470), (780, 520), (20, 520)], "#d9a766", edge=4)
    canvas.box((20, 518, 780, 542), "#a8713f", radius=3)
    animals.snail(canvas.at(300, 480, 1.28))
    things.laptop(canvas.at(610, 486, 0.82))
    things.code_lines(canvas.at(528, 358, 0.8), 205, 6, 19)
    meme_line(canvas, "WORKING FROM HOME", 62, 84)
    meme_line(canvas, "SINCE 500 MILLION YEARS AGO", 566, 62)
    return canvas.finish()


def duck_debugging() -> Image.Image:
    """Draw a rubber duck beside a screen full of code."""
    canvas = Canvas(760, 760)
    canvas.gradient([(0, "#243b4a"), (1, "#3d6472")])
    canvas.glow(260, 300, 380, "#7fd1e5a0")
    rooms.desk(canvas, 560, "#8a6a4a")
    things.monitor(canvas.at(275, 590, 1.36))
    things.code_lines(canvas.at(62, 222, 1.36), 300, 9, 20)
    canvas.arc(240, 362, 70, 28, (0, 360), "#ff5a4f", 5)
    rooms.shadow(canvas, 556, 634, 150, 22)
    animals.duck(canvas.at(560, 530, 0.95, flip=True))
    meme_line(canvas, "NEVER JUDGES MY CODE", 68, 84)
    meme_line(canvas, "STILL FINDS THE BUG", 700, 84)
    return canvas.finish()


def busy_octopus() -> Image.Image:
    """Draw an octopus that holds eight things at once."""
    canvas = Canvas(840, 700)
    rooms.rays(canvas, 420, 330, "#1f7f93", "#2b98ab")
    ends: list[Point] = [
        (96, 240),
        (70, 400),
        (120, 540),
        (300, 580),
        (540, 580),
        (720, 540),
        (770, 400),
        (744, 240),
    ]
    for index, (x, y) in enumerate(ends):
        side = -1 if index < 4 else 1
        root = 420 + (index - 3.5) * 24
        bend = (420 + side * (150 + 30 * abs(index - 3.5)), 420 + (y - 400) * 0.35)
        animals.octopus_arm(
            canvas, [(root, 400), (root + side * 20, 440), bend, ((bend[0] + x) / 2, y + 18), (x, y)]
        )
    animals.octopus(canvas.at(420, 310, 1.25))
    things.mug(canvas.at(96, 240, 0.62), steam=False)
    things.laptop(canvas.at(92, 408, 0.42))
    canvas.oval(120, 536, 40, 40, "#fbf7ee", edge=4)
    canvas.stroke([(120, 512), (120, 536), (138, 544)], INK, 4)
    canvas.box((270, 548, 336, 612), "#f6e27a", radius=3, outline=INK, width=3)
    for row in range(3):
        canvas.stroke([(280, 566 + row * 15), (324, 566 + row * 15)], "#6b5d2a", 3)
    canvas.box((520, 530, 566, 610), "#20242c", radius=8, outline=INK, width=3)
    canvas.box((525, 538, 561, 596), "#8fd3ff", radius=3)
    canvas.polygon([(694, 560), (704, 568), (772, 500), (762, 492)], "#f2c14e", edge=3)
    canvas.polygon([(694, 560), (704, 568), (686, 576)], "#2b2320")
    things.pizza_slice(canvas.at(768, 400, 0.42))
    canvas.box((712, 196, 778, 244), "#ffffff", radius=3, outline=INK, width=3)
    canvas.stroke([(714, 200), (745, 224), (776, 200)], INK, 3)
    meme_line(canvas, "EIGHT ARMS", 62, 88)
    meme_line(canvas, "AND STILL BEHIND SCHEDULE", 652, 76)
    return canvas.finish()


def works_first_time() -> Image.Image:
    """Draw a suspicious dog before a green screen, with a caption bar."""
    canvas = Canvas(720, 800, "#ffffff")
    canvas.gradient([(0, "#dcd3c2"), (1, "#b9aa92")], (0, 170, 720, 800))
    rooms.picture_frame(canvas, (50, 230, 190, 340), "#3f7cac")
    rooms.desk(canvas, 660)
    things.monitor(canvas.at(520, 684, 0.9))
    canvas.box((366, 426, 674, 610), "#0f2a1c", radius=4)
    canvas.stroke([(458, 520), (504, 562), (588, 470)], "#57e08a", 20)
    canvas.blob([(200, 540), (300, 580), (330, 700), (70, 700), (100, 580)], "#c99a62", edge=4)
    animals.dog(canvas.at(200, 470, 1.25), mood="open", glasses=True)
    rooms.desk(canvas, 690)
    caption_bar(canvas, "When the code works on the very first try and now you trust nothing", 170, 38)
    return canvas.finish()


def not_on_friday() -> Image.Image:
    """Draw a sticky note, stuck on crookedly, on a screen at night."""
    canvas = Canvas(820, 620)
    canvas.gradient([(0, "#141a26"), (1, "#2a2230")])
    canvas.glow(120, 120, 260, "#ffb85c70")
    canvas.glow(730, 90, 200, "#6fa8ff50")
    things.monitor(canvas.at(410, 640, 1.9))
    things.code_lines(canvas.at(112, 118, 1.6), 370, 11, 20)
    around = (430, 300)
    with canvas.layer(blur=14, opacity=0.6, turn=-12, around=around) as dark:
        dark.box((262, 152, 616, 476), "#000000")
    with canvas.layer(turn=-12, around=around) as note:
        note.gradient([(0, "#f7df62"), (0.8, "#fdee96"), (1, "#f2d34d")], (254, 134, 606, 466))
        note.box((370, 118, 490, 152), "#e9e2d0b0")
        paragraph(note, (430, 212), ["Do not deploy", "on Friday."], "comic", 48, "#2a2a3a", anchor="mm")
        paragraph(note, (430, 348), ["I mean it."], "comic", 36, "#b03030", anchor="mm")
        paragraph(note, (586, 430), ["signed, you last Friday"], "comic", 23, "#2a2a3a", anchor="rm")
    return photograph(canvas.finish(), seed=17, grain=4, edges=0.35)


def loading_motivation() -> list[Image.Image]:
    """Draw the frames of a cat that falls asleep over a progress bar which does not move."""
    frames = []
    for step in range(8):
        canvas = Canvas(480, 400, "#2f3e6b", scale=3)
        phase = float(np.sin(step / 8 * 2 * np.pi))
        canvas.oval(240, 214, 150, 18, "#243056")
        animals.cat(canvas.at(240, 132 + phase * 5, 0.95), "#e9974d", mood="tired")
        for index in range(3):
            if step >= index * 2:
                size = 18 + index * 9
                canvas.text(
                    (346 + index * 22, 96 - index * 28 - phase * 3),
                    "Z",
                    "round",
                    size,
                    "#cfe0ff",
                    anchor="mm",
                )
        canvas.text(
            (240, 258), "LOADING MOTIVATION" + "." * (1 + step % 3), "round", 33, "#ffffff", anchor="mm"
        )
        canvas.box((60, 284, 420, 316), "#ffffff", radius=16)
        canvas.box((64, 288, 416, 312), "#1c2648", radius=12)
        canvas.box((64, 288, 92 + (step % 2) * 4, 312), "#6ee7a0", radius=12)
        canvas.text((240, 350), "3 % done, try again on Thursday", "sans-bold", 22, "#cfe0ff", anchor="mm")
        frames.append(canvas.finish())
    return frames
