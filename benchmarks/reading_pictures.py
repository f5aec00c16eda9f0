"""Draws pictures with known text for benchmarks/reading.py: memes, screenshots, pages, and what is hard to
read.

Everything is seeded by the number of the picture, so picture 7 of a kind is the same in every run. The fonts
are those that ``make test`` fetches (``python -m training.assets``).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from textless_pictures import blobs, cartoon, colour, foliage, grain, scenery, wall
from training.assets import dictionary, font

SANS = (
    "DejaVuSans.ttf LiberationSans-Regular.ttf OpenSans-Regular.ttf Roboto-Regular.ttf Lato-Regular.ttf "
    "Carlito-Regular.ttf LiberationSans-Bold.ttf Roboto-Bold.ttf Inter-Bold.otf"
).split()
SERIF = "DejaVuSerif-Bold.ttf LiberationSerif-Bold.ttf Caladea-Bold.ttf GenBasB.ttf C059-Bold.otf".split()
MONO = "DejaVuSansMono-Bold.ttf LiberationMono-Bold.ttf FiraCode-Bold.ttf".split()
MEME = (
    "OpenSans-Bold.ttf RobotoCondensed-Bold.ttf BebasNeue-Regular.otf LiberationSansNarrow-Bold.ttf "
    "Lato-Black.ttf Cabin-Bold.otf DejaVuSans-Bold.ttf ComicNeue-Bold.otf LeagueSpartan-Bold.otf"
).split()
PAPER, INK = (250, 248, 242), (30, 30, 34)


@dataclass(frozen=True, eq=False)
class KnownPicture:
    """A picture, its lines in reading order, and the format it is saved in."""

    kind: str
    image: Image.Image
    lines: tuple[str, ...]
    suffix: str

    def save(self, folder: Path, number: int) -> Path:
        """Write the file and return its path."""
        path = folder / f"{self.kind}-{number:03}.{self.suffix}"
        if self.suffix == "jpg":
            self.image.save(path, quality=88)
        else:
            self.image.save(path)
        return path


def draw_all(num: int) -> list[tuple[str, Callable[[], KnownPicture]]]:
    """Return about ``num`` kinds and functions that draw one picture each; every kind at least once, and
    the first of each before any second.
    """
    total = sum(share for share, _ in KINDS.values())
    counts = {kind: max(1, round(num * share / total)) for kind, (share, _) in KINDS.items()}
    return [
        (kind, partial(draw, kind, random.Random(f"{kind} {number}")))
        for number in range(max(counts.values()))
        for kind, (_, draw) in KINDS.items()
        if number < counts[kind]
    ]


def words(chance: random.Random, least: int, most: int) -> str:
    """Return some words of the dictionary, now and then with a number or a capital."""
    chosen = [chance.choice(dictionary()) for _ in range(chance.randint(least, most))]
    if chance.random() < 0.2:
        chosen[-1] = str(chance.randint(2, 9999))
    if chance.random() < 0.4:
        chosen[0] = chosen[0].capitalize()
    return " ".join(chosen) + chance.choice(("", "", "", ".", "?", "!"))


def _meme(kind: str, chance: random.Random) -> KnownPicture:
    width_px, height_px = chance.choice(
        ((500, 500), (640, 480), (800, 600), (600, 750), (1080, 1080), (1200, 900))
    )
    image = scenery((width_px, height_px), chance, chance.random() * 0.5)
    draw, name = ImageDraw.Draw(image), chance.choice(MEME)
    size_px = int(height_px * chance.uniform(0.055, 0.1))
    lines: list[str] = []
    for y_share in (0.06, 0.88):
        for row in range(chance.randint(1, 2)):
            text = words(chance, 2, 4)
            text = text.upper() if chance.random() < 0.65 or name.startswith("Bebas") else text
            face = font(name, size_px)
            while face.getlength(text) > width_px * 0.94 and " " in text:
                text = text.rsplit(" ", 1)[0]
            y = height_px * y_share + (row if y_share < 0.5 else row - 1) * size_px * 1.2
            draw.text(
                (width_px / 2, y),
                text,
                "white",
                face,
                "ma",
                stroke_width=max(1, size_px // 14),
                stroke_fill="black",
            )
            lines.append(text)
    return KnownPicture(kind, image, tuple(lines), "jpg")


def _chat(kind: str, chance: random.Random, size: tuple[int, int] = (1170, 2532)) -> KnownPicture:
    is_dark = chance.random() < 0.4
    image = Image.new("RGB", size, (14, 20, 27) if is_dark else (236, 229, 221))
    draw, face = ImageDraw.Draw(image), font(chance.choice(SANS[:6]), chance.choice((36, 40, 46)))
    small = font("Roboto-Regular.ttf", 26)
    lines, y = [], 120
    while y < size[1] - 320:
        texts = [words(chance, 2, 5) for _ in range(chance.randint(1, 3))]
        is_mine = chance.random() < 0.5
        width = int(max(face.getlength(text) for text in texts)) + 180
        left = size[0] - 40 - width if is_mine else 40
        height = 62 * len(texts) + 40
        fill = (
            ((0, 92, 75) if is_mine else (32, 44, 51))
            if is_dark
            else ((220, 248, 198) if is_mine else (255, 255, 255))
        )
        draw.rounded_rectangle((left, y, left + width, y + height), 28, fill=fill)
        for row, text in enumerate(texts):
            draw.text(
                (left + 30, y + 18 + row * 62), text, (235, 235, 235) if is_dark else (17, 17, 17), face
            )
        time = f"{chance.randint(0, 23)}:{chance.randint(0, 59):02}"
        draw.text((left + width - 20, y + height - 8), time, (140, 150, 150), small, "rs")
        lines += texts
        y += height + chance.choice((18, 40, 90))
    return KnownPicture(kind, image, tuple(lines), chance.choice(("png", "jpg")))


def _tall(kind: str, chance: random.Random) -> KnownPicture:
    return _chat(kind, chance, (1080, 20_000))


def _desktop(kind: str, chance: random.Random, size: tuple[int, int] = (1920, 1080)) -> KnownPicture:
    is_dark = chance.random() < 0.4
    ground, ink = ((30, 31, 34), (214, 214, 214)) if is_dark else ((255, 255, 255), (25, 25, 25))
    image = Image.new("RGB", size, ground)
    draw, face = ImageDraw.Draw(image), font(chance.choice(SANS[:6]), chance.choice((13, 14, 15, 16)))
    columns = size[0] // 760 + 1
    lines = []
    for y in range(30, size[1] - 40, 35 if size[0] > 2_000 else chance.choice((24, 30))):
        for column in range(columns):
            text = words(chance, 2, 6)
            draw.text((40 + column * (size[0] // columns), y), text, ink, face)
            lines.append(text)
    return KnownPicture(kind, image, tuple(lines), "png")


def _desktop_4k(kind: str, chance: random.Random) -> KnownPicture:
    return _desktop(kind, chance, (3840, 2160))


def _terminal(kind: str, chance: random.Random) -> KnownPicture:
    image = Image.new(
        "RGB", (chance.choice((900, 1280)), 720), chance.choice(((0, 0, 0), (40, 42, 54), (0, 43, 54)))
    )
    draw, face = ImageDraw.Draw(image), font(chance.choice(MONO), chance.choice((14, 16, 18)))
    lines = []
    for row in range(chance.randint(8, 26)):
        text = chance.choice(
            (
                f"$ cd /home/{chance.choice(dictionary())}/{chance.choice(dictionary())}",
                f"error: {words(chance, 2, 5)} (line {chance.randint(1, 999)})",
                f"def {chance.choice(dictionary())}(self, {chance.choice(dictionary())}):",
                f"-rw-r--r-- 1 root {chance.randint(100, 99999)} {chance.choice(dictionary())}.txt",
                f"[{chance.randint(10, 23)}:{chance.randint(10, 59)}] {words(chance, 2, 6)}",
            )
        )
        draw.text(
            (14, 10 + row * 26), text, chance.choice(((230, 230, 230), (80, 250, 123), (255, 184, 108))), face
        )
        lines.append(text)
    return KnownPicture(kind, image, tuple(lines), "png")


def _page(kind: str, chance: random.Random, size: tuple[int, int] = (1240, 1754)) -> KnownPicture:
    image = Image.new("RGB", size, PAPER)
    draw, face = ImageDraw.Draw(image), font(chance.choice(SANS + SERIF), chance.choice((22, 26, 30)))
    lines, y = [], 120
    while y < size[1] - 150:
        if chance.random() < 0.12:
            y += 40
        text = words(chance, 4, 9)
        while face.getlength(text) > size[0] - 240 and " " in text:
            text = text.rsplit(" ", 1)[0]
        draw.text((120, y), text, INK, face)
        lines.append(text)
        y += int(face.size * 1.5)
    return KnownPicture(kind, image, tuple(lines), "jpg")


def _columns(kind: str, chance: random.Random) -> KnownPicture:
    image = Image.new("RGB", (1400, 1000), PAPER)
    draw, face = ImageDraw.Draw(image), font(chance.choice(SANS + SERIF), chance.choice((26, 30)))
    lines = []
    for left in (70, 740):
        for row in range(14):
            text = ""
            while (longer := f"{text} {chance.choice(dictionary())}".strip()) and face.getlength(
                longer
            ) < 590:
                text = longer
            draw.text((left, 80 + row * 60), text, INK, face)
            lines.append(text)
    return KnownPicture(kind, image, tuple(lines), "jpg")


def _turned(kind: str, chance: random.Random) -> KnownPicture:
    image = Image.new("RGB", (900, 1200), PAPER)
    draw, face = ImageDraw.Draw(image), font(chance.choice(SANS + SERIF), chance.choice((34, 40, 48)))
    lines = []
    for row in range(chance.randint(5, 11)):
        text = words(chance, 2, 4)
        draw.text((60, 90 + row * 90), text, INK, face)
        lines.append(text)
    degrees = chance.choice((90, 180, 270, 5, -7))
    return KnownPicture(
        kind,
        image.rotate(degrees, expand=True, fillcolor=PAPER, resample=Image.Resampling.BICUBIC),
        tuple(lines),
        "jpg",
    )


def _receipt(kind: str, chance: random.Random) -> KnownPicture:
    image = Image.new("RGB", (520, 1000), (244, 243, 240))
    draw, face = ImageDraw.Draw(image), font(chance.choice(MONO), 21)
    lines = []
    for row in range(chance.randint(10, 24)):
        item, price = words(chance, 1, 2).strip(".?!"), f"{chance.randint(0, 99)}.{chance.randint(0, 99):02}"
        draw.text((30, 60 + row * 36), item, INK, face)
        draw.text((490, 60 + row * 36), price, INK, face, "ra")
        lines += [item, price]
    noise = np.random.default_rng(chance.getrandbits(32)).normal(0, 7, (1000, 520, 1))
    image = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    return KnownPicture(
        kind,
        image.rotate(chance.uniform(-1.5, 1.5), fillcolor=(90, 80, 70), resample=Image.Resampling.BICUBIC),
        tuple(lines),
        "jpg",
    )


def _sticker(kind: str, chance: random.Random) -> KnownPicture:
    image = Image.new("RGBA", (512, 512), (0, 0, 0, 0))
    draw, name = ImageDraw.Draw(image), chance.choice(MEME)
    face = font(name, chance.choice((54, 64, 76)))
    lines = []
    for row in range(chance.randint(1, 3)):
        text = words(chance, 1, 2).strip(".?!")
        while face.getlength(text) > 480 and len(text) > 3:
            text = text[:-1].strip()
        draw.text((256, 120 + row * 130), text, colour(chance, 225, 255), face, "mm")
        lines.append(text.upper() if name.startswith("Bebas") else text)
    return KnownPicture(kind, image, tuple(lines), "png")


def _small(kind: str, chance: random.Random) -> KnownPicture:
    size = chance.choice(((320, 240), (400, 300), (480, 360)))
    image = (
        scenery(size, chance, 0.1)
        if chance.random() < 0.5
        else Image.new("RGB", size, colour(chance, 200, 255))
    )
    draw, face = ImageDraw.Draw(image), font(chance.choice(SANS), chance.choice((12, 13, 15)))
    lines = []
    for row in range(chance.randint(2, 6)):
        text = words(chance, 2, 4)
        box = draw.textbbox((16, 16 + row * 36), text, face)
        draw.rectangle((box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3), fill="white")
        draw.text((16, 16 + row * 36), text, "black", face)
        lines.append(text)
    return KnownPicture(kind, image, tuple(lines), "jpg")


def _sign(kind: str, chance: random.Random) -> KnownPicture:
    image = scenery((1600, 1200), chance, 1.0)
    lines = []
    for number in range(chance.randint(1, 3)):
        text = words(chance, 1, 2).strip(".?!").upper()
        face = font(chance.choice(SANS), chance.choice((22, 30, 44, 70)))
        width, height = int(face.getlength(text)) + 40, int(face.size * 1.7)
        ground = chance.choice(((20, 60, 140), (0, 100, 60), (240, 240, 235)))
        board = Image.new("RGBA", (width, height), (*ground, 255))
        ink = "black" if ground[0] > 200 else "white"
        ImageDraw.Draw(board).text((width / 2, height / 2), text, ink, face, "mm")
        if chance.random() < 0.5:
            board = _from_the_side(board, chance.uniform(-0.35, 0.35))
        board = board.rotate(chance.uniform(-12, 12), expand=True, resample=Image.Resampling.BICUBIC)
        image.paste(board, (chance.randint(20, max(21, 1580 - board.width)), 60 + number * 380), board)
        lines.append(text)
    return KnownPicture(kind, image.filter(ImageFilter.GaussianBlur(0.7)), tuple(lines), "jpg")


def _from_the_side(board: Image.Image, slope: float) -> Image.Image:
    """Return a board whose one end is farther away: lower, and nearer to the other end."""
    width, height = board.size
    lower = int(height * abs(slope) / 2)
    far = (0, -lower, 0, height + lower) if slope < 0 else (0, 0, 0, height)
    near = (width, -lower, width, height + lower) if slope > 0 else (width, 0, width, height)
    corners = (far[0], far[1], far[2], far[3], near[2], near[3], near[0], near[1])
    size = (max(8, int(width * (1 - abs(slope)))), height)
    return board.transform(size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)


def _wide(kind: str, chance: random.Random) -> KnownPicture:
    image = Image.new("RGB", (12_000, 1_080), "white")
    draw, face = ImageDraw.Draw(image), font(chance.choice(SANS), 40)
    lines = [words(chance, 1, 2).strip(".?!")[:16].strip() for _ in range(28)]
    for number, text in enumerate(lines):
        draw.text((40 + number * 425, 500), text, "black", face)
    return KnownPicture(kind, image, tuple(lines), "png")


def _textless(kind: str, chance: random.Random) -> KnownPicture:
    size = chance.choice(((640, 480), (1024, 768), (1600, 1200)))
    draw = chance.choice((blobs, blobs, foliage, grain, wall, cartoon))
    return KnownPicture(kind, draw(size, chance), (), "jpg")


KINDS: dict[str, tuple[int, Callable[[str, random.Random], KnownPicture]]] = {
    "meme": (60, _meme),
    "chat": (30, _chat),
    "desktop": (20, _desktop),
    "desktop 4K": (3, _desktop_4k),
    "terminal": (25, _terminal),
    "page": (25, _page),
    "columns": (15, _columns),
    "turned": (20, _turned),
    "receipt": (20, _receipt),
    "sticker": (20, _sticker),
    "small": (20, _small),
    "sign": (20, _sign),
    "tall": (2, _tall),
    "wide": (2, _wide),
    "textless": (30, _textless),
}
