"""Memes about pets, plants, food and plans; the jokes are this project's own."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from drawing import animals, rooms, things
from drawing.canvas import CLEAR, Canvas, mix
from drawing.lettering import bubble, capitals, meme_line


def high_five() -> Image.Image:
    """Draw a green tyrannosaur with short arms before a volcano."""
    canvas = Canvas(800, 640)
    canvas.gradient([(0, "#3b2a5c"), (0.45, "#c8567a"), (0.75, "#f7a45c"), (1, "#f9d27a")])
    canvas.oval(610, 330, 74, 74, "#ffe9a8")
    canvas.polygon([(40, 470), (150, 250), (210, 250), (340, 470)], "#4b2c48")
    canvas.polygon(
        [(150, 250), (210, 250), (222, 290), (196, 276), (180, 308), (162, 278), (140, 292)], "#ff6b3d"
    )
    canvas.glow(180, 236, 90, "#ff8a4a90")
    canvas.blob(
        [(-40, 470), (120, 420), (330, 446), (520, 410), (860, 452), (860, 680), (-40, 680)], "#7a4a3c"
    )
    canvas.blob([(-40, 560), (200, 520), (480, 540), (860, 505), (860, 700), (-40, 700)], "#5d8a3a")
    for x, y, tall in ((60, 505, 110), (744, 492, 130)):
        canvas.curve([(x, y), (x + 6, y - tall / 2), (x - 4, y - tall)], "#4a2f22", 13)
        for lean in (-62, -34, 0, 34, 62):
            canvas.blob(
                [(x - 4, y - tall), (x + lean * 0.6, y - tall - 34), (x + lean, y - tall - 4)], "#2f6b35"
            )
    rooms.shadow(canvas, 400, 556, 170, 18)
    animals.rex(canvas.at(400, 552, 1.22))
    animals.rex_arm(canvas.at(462, 348, 1.15))
    animals.rex_arm(canvas.at(436, 362, 1.15))
    meme_line(canvas, "ASKED FOR A HIGH FIVE", 56, 84)
    meme_line(canvas, "WAITING SINCE THE CRETACEOUS", 594, 68)
    return canvas.finish()


def thirsty_plant() -> Image.Image:
    """Draw a dying houseplant on a window sill."""
    canvas = Canvas(720, 720)
    canvas.gradient([(0, "#efd9b4"), (1, "#e0b98a")])
    rooms.window(canvas, (150, 110, 570, 500), ("#8ec9f0", "#e4f3fb"))
    canvas.box((60, 520, 660, 556), "#f5efe2", radius=4)
    canvas.box((60, 556, 660, 574), "#cdbb9b", radius=3)
    rooms.shadow(canvas, 360, 522, 100, 12)
    things.wilted_plant(canvas.at(360, 522, 1.1))
    meme_line(canvas, "I WATERED YOU ONCE", 62, 88)
    meme_line(canvas, "WHAT MORE DO YOU WANT", 644, 80)
    return canvas.finish()


def captcha_robot() -> Image.Image:
    """Draw a worried robot in front of a box that asks whether it is one."""
    canvas = Canvas(900, 620)
    rooms.rays(canvas, 250, 300, "#d98545", "#e99b58")
    things.robot(canvas.at(230, 280, 1.08))
    rooms.shadow(canvas, 630, 440, 240, 20, opacity=0.25)
    canvas.box((400, 240, 868, 420), "#c9ced6", radius=10)
    canvas.box((402, 242, 866, 418), "#fbfbfc", radius=8)
    canvas.box((434, 296, 502, 364), "#9aa4b2", radius=6)
    canvas.box((438, 300, 498, 360), "#ffffff", radius=4)
    canvas.text((528, 330), "I am not a robot", "sans", 34, "#23272e")
    canvas.blob([(826, 262), (846, 270), (844, 296), (826, 312), (808, 296), (806, 270)], "#5bb98c")
    canvas.stroke([(816, 286), (824, 294), (838, 278)], "#ffffff", 5)
    canvas.polygon(
        [(486, 350), (486, 418), (502, 404), (514, 430), (528, 424), (516, 398), (538, 396)],
        "#ffffff",
        edge=4,
    )
    meme_line(canvas, "ONE SIMPLE QUESTION", 66, 88)
    meme_line(canvas, "SUDDENLY I HAVE FEELINGS", 556, 76)
    return canvas.finish()


def broken_vase() -> Image.Image:
    """Draw two cats that talk about a broken vase."""
    canvas = Canvas(880, 660)
    canvas.gradient([(0, "#b9d3c4"), (1, "#93b8a6")])
    for x in range(0, 880, 88):
        canvas.box((x, 0, x + 3, 480), "#a9c8b8")
    canvas.gradient([(0, "#b98352"), (1, "#8a5a34")], (0, 480, 880, 660))
    canvas.box((0, 470, 880, 486), "#f1eadc")
    rooms.shadow(canvas, 436, 604, 110, 14)
    vase = [
        (368, 520),
        (384, 498),
        (398, 530),
        (418, 490),
        (436, 524),
        (456, 500),
        (470, 534),
        (492, 516),
        (500, 560),
        (482, 600),
        (378, 600),
        (360, 560),
    ]
    canvas.polygon(vase, "#3f78b5", edge=4)
    canvas.curve([(366, 556), (400, 546), (432, 558), (466, 546), (496, 556)], "#f4f0e4", 6)
    canvas.curve([(372, 576), (410, 568), (446, 578), (490, 568)], "#f4f0e4", 4)
    for x, y, points in (
        (530, 606, [(-22, 10), (-6, -24), (26, -10), (18, 14)]),
        (330, 616, [(-20, 6), (2, -22), (24, 10)]),
        (570, 570, [(-14, 6), (4, -14), (18, 8)]),
        (306, 572, [(-12, 6), (2, -14), (14, 4)]),
    ):
        canvas.polygon([(x + dx, y + dy) for dx, dy in points], "#3f78b5", edge=3.5)
    for x, y, side in ((396, 630, 1), (520, 636, -1)):
        canvas.stroke([(x, y), (x + side * 66, y - 10)], "#4c8a44", 5)
        for dx, dy in ((0, -11), (11, 0), (0, 11), (-11, 0)):
            canvas.oval(x + dx, y + dy, 9, 9, "#f28fb1", edge=2)
        canvas.oval(x, y, 7, 7, "#f2c14e", edge=2)
    animals.cat_sitting(canvas.at(180, 370, 0.92), "#8d99a6", mood="tired")
    animals.cat_sitting(canvas.at(690, 370, 0.92, flip=True), "#e9974d", mood="wide")
    bubble(canvas, (44, 44, 404, 190), (206, 246), ["Who broke", "the vase?"], 46)
    bubble(canvas, (470, 44, 846, 190), (664, 246), ["Gravity did.", "I only helped."], 44)
    return canvas.finish()


def pizza_sticker() -> Image.Image:
    """Draw a smiling slice as a die-cut sticker on a clear ground."""
    canvas = Canvas(640, 640, CLEAR)
    things.pizza_slice(canvas.at(320, 300, 1.45))
    for words, y, size in (("PIZZA FIRST", 70, 92), ("QUESTIONS LATER", 556, 84)):
        line = capitals(words, size * canvas.scale, "#d2432f", "#ffffff")
        canvas.paste(line, 320 - line.width / canvas.scale / 2, y - line.height / canvas.scale / 2)
    art = canvas.finish()
    rim = (
        art.getchannel("A")
        .filter(ImageFilter.GaussianBlur(7))
        .point([min(255, level * 6) for level in range(256)])
    )
    soft = rim.filter(ImageFilter.GaussianBlur(4))
    sticker = Image.new("RGBA", art.size, "#30303000")
    sticker.putalpha(soft.point([level // 2 for level in range(256)]))
    white = Image.new("RGBA", art.size, "#ffffff")
    white.putalpha(rim)
    sticker.alpha_composite(white)
    sticker.alpha_composite(art)
    return sticker


def plans_and_budget() -> Image.Image:
    """Draw a rocket on one half and a paper plane on the other."""
    canvas = Canvas(960, 600)
    canvas.gradient([(0, "#0c1438"), (1, "#39307a")], (0, 0, 480, 600))
    rng = np.random.default_rng(5)
    for _ in range(90):
        x, y, size = float(rng.uniform(0, 476)), float(rng.uniform(0, 600)), float(rng.uniform(0.6, 2.2))
        canvas.oval(x, y, size, size, "#fdf6d8")
    canvas.oval(94, 128, 46, 46, "#f2c14e")
    for x, y, size in ((80, 116, 10), (108, 140, 7), (96, 108, 5)):
        canvas.oval(x, y, size, size, "#dba63a")
    with canvas.layer(turn=24, around=(250, 320)) as tilted:
        tilted.blob([(250, 420), (288, 470), (272, 520), (250, 580), (228, 520), (212, 470)], "#ff9d3c")
        tilted.blob([(250, 430), (270, 470), (250, 530), (230, 470)], "#ffe27a")
        things.toy_rocket(tilted.at(250, 440, 1.02))
    canvas.gradient([(0, "#cdbb9b"), (1, "#b09a74")], (480, 0, 960, 600))
    canvas.box((480, 440, 960, 600), "#8d6f4c")
    rooms.shadow(canvas, 716, 510, 160, 16)
    plane = canvas.at(716, 400, 1.4)
    plane.polygon([(-150, 34), (140, -64), (-20, 44)], "#f7f5ef", edge=3)
    plane.polygon([(-20, 44), (140, -64), (14, 94)], "#d7d2c4", edge=3)
    plane.polygon([(-20, 44), (6, 48), (14, 94)], "#b9b3a2", edge=2.5)
    for x, y in ((530, 340), (510, 386), (560, 298)):
        canvas.curve([(x, y), (x + 40, y - 14), (x + 80, y + 2)], "#fff8e6", 4)
    canvas.box((475, 0, 485, 600), "#ffffff")
    meme_line(canvas, "MY PLANS", 540, 92, x=238, max_width=440)
    meme_line(canvas, "MY BUDGET", 66, 92, x=720, max_width=440)
    return canvas.finish()


def laundry_mountain() -> Image.Image:
    """Draw a heap of coloured clothes with plain white words on it."""
    canvas = Canvas(800, 800)
    canvas.gradient([(0, "#c9b79c"), (1, "#8c7558")])
    rng = np.random.default_rng(29)
    tones = (
        "#c8463c",
        "#3f7cac",
        "#e3b23c",
        "#5d9a5b",
        "#8b5fa8",
        "#d97a9b",
        "#47a3a0",
        "#dd8341",
        "#56606e",
        "#e9dcc3",
    )
    for index in range(230):
        down = index / 230
        x, y = float(rng.normal(400, 120 + down * 230)), 120 + down * 690
        reach = float(rng.uniform(40, 78))
        tone = tones[int(rng.integers(len(tones)))]
        points = []
        for part in range(7):
            angle, radius = part / 7 * 2 * np.pi, reach * float(rng.uniform(0.6, 1.15))
            points.append((x + radius * float(np.cos(angle)), y + radius * 0.72 * float(np.sin(angle))))
        canvas.blob(points, tone, edge=2)
        for fold in range(int(rng.integers(2, 5))):
            shift = (fold - 1.5) * reach * 0.3
            line = [(x - reach * 0.5, y + shift), (x, y + shift - 9), (x + reach * 0.5, y + shift + 5)]
            canvas.curve(line, mix(tone, "#1c1410", 0.3) if fold % 2 else mix(tone, "#ffffff", 0.45), 4)
    for words, y, size in (
        ("Laundry day", 330, 108),
        ("has been moved", 450, 84),
        ("to another month", 550, 84),
    ):
        with canvas.layer(blur=5, opacity=0.75) as dark:
            dark.text((403, y + 4), words, "round", size, "#000000", anchor="mm", stroke=(3, "#000000"))
        canvas.text((400, y), words, "round", size, "#ffffff", anchor="mm")
    return canvas.finish()


def game_over() -> Image.Image:
    """Draw a screen of an old video game, in 16 colours and large square pixels."""
    small = Image.new("RGB", (190, 142), "#10122b")
    pen = ImageDraw.Draw(small)
    rng = np.random.default_rng(8)
    for _ in range(60):
        pen.point((int(rng.integers(190)), int(rng.integers(84))), "#8f97d8")
    for x in range(0, 190, 10):
        pen.rectangle((x, 118, x + 8, 125), "#b5533c")
        pen.rectangle((x - 5, 127, x + 3, 134), "#8e3d2e")
    pen.rectangle((0, 116, 189, 117), "#67c35f")
    cup = (
        "..s...s...",
        "...s...s..",
        "..s...s...",
        "",
        "wwwwwwwww.",
        "wbbbbbbbwww",
        "wwwwwwwww.w",
        "wwwwwwwww.w",
        "wwwwwwwwwww",
        "wwwwwwwww..",
        ".wwwwwww...",
    )
    tones = {"s": "#c9d2f0", "w": "#f2f0e6", "b": "#6b3d22"}
    for row, cells in enumerate(cup):
        for column, cell in enumerate(cells):
            if cell in tones:
                x, y = 78 + column * 3, 82 + row * 3
                pen.rectangle((x, y, x + 2, y + 2), tones[cell])
    font = ImageFont.load_default_imagefont()
    for words, y, tone, grow in (("GAME OVER", 12, "#ffd23f", 3), ("INSERT COFFEE", 50, "#ff6b6b", 2)):
        box = font.getbbox(words)
        label = Image.new("L", (round(box[2]), round(box[3])))
        ImageDraw.Draw(label).text((0, 0), words, 255, font)
        mask = label.resize((label.width * grow, label.height * grow), Image.Resampling.NEAREST)
        small.paste(Image.new("RGB", mask.size, tone), ((190 - mask.width) // 2, y), mask)
    big = small.resize((760, 568), Image.Resampling.NEAREST)
    return big.quantize(16, dither=Image.Dither.NONE)


def late_noodles() -> Image.Image:
    """Draw a grey cat that eats instant noodles in an office at night; the words are Chinese."""
    canvas = Canvas(800, 620)
    canvas.gradient([(0, "#1d2340"), (1, "#3a3a5e")])
    rooms.window(canvas, (60, 90, 330, 340), ("#0f1838", "#3a3f78"))
    canvas.glow(560, 260, 300, "#ffd98a60")
    animals.cat_sitting(canvas.at(500, 262, 1.0), "#8d99a6", mood="tired")
    rooms.desk(canvas, 470, "#7a5a44")
    things.laptop(canvas.at(170, 520, 0.85))
    rooms.shadow(canvas, 500, 540, 120, 16)
    canvas.polygon([(412, 430), (588, 430), (556, 540), (444, 540)], "#d8402f", edge=4)
    canvas.box((438, 466, 562, 500), "#f7efdc")
    canvas.oval(500, 430, 90, 20, "#f7efdc", edge=4)
    for x in range(440, 560, 15):
        canvas.curve([(x - 8, 432), (x, 424), (x + 8, 434), (x + 14, 426)], "#f2c14e", 5)
    for x in (560, 578):
        canvas.stroke([(x - 40, 430), (x + 36, 350)], "#6b3d22", 7)
    with canvas.layer(blur=5, opacity=0.6) as mist:
        for x in (470, 505, 540):
            mist.curve([(x, 404), (x + 14, 374), (x - 8, 346), (x + 8, 316)], "#ffffff", 9)
    for words, y in (("加班到深夜", 50), ("只有泡面懂我", 578)):
        canvas.text((400, y), words, "chinese", 66, "#ffffff", anchor="mm", stroke=(5, "#000000"))
    return canvas.finish()


def forwarded(original: Image.Image, *, share: float, quality: int) -> Image.Image:
    """Return what a messenger makes of a picture: compressed hard, then made a little smaller."""
    sent = io.BytesIO()
    original.save(sent, "JPEG", quality=quality)
    size = (round(original.width * share), round(original.height * share))
    return Image.open(sent).resize(size, Image.Resampling.BICUBIC)
