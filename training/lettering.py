"""Writing text into a picture, and knowing where each letter lies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from training.assets import CAPITALS_ONLY, HAND_DRAWN, LACKING, TEXT_FONTS, dictionary
from training.levels import Level
from training.vocabulary import CHARACTERS, COMMON_WORDS, Split, is_for

MARGIN_PX = 4
HAND_DRAWN_SHARE, SMALL_SHARE = 0.15, 0.4
DISTINCT = "".join(letter for letter in CHARACTERS[:62] if letter not in "lI0")  # no fonts tell those apart
# Without others beside them, nobody can say whether these are small or large letters.
TELLING = "".join(letter for letter in DISTINCT if letter not in "cfijkopsuvwxyz")
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Line:
    """One written line; ``place`` is top, bottom, middle, bubble, chat or page.

    ``centres`` are those of its letters, spaces included.
    """

    text: str
    place: str
    font_name: str
    font_px: int
    box: Box
    centres: tuple[tuple[float, float], ...]


def make_text(rng: random.Random, max_chars: int, split: Split, font_name: str) -> str:
    """Return random letters, or words, up to a number of characters, as a font shows them; not empty."""
    text = _any_text(rng, max_chars, split)
    for letter in LACKING.get(font_name, ""):
        text = text.replace(letter, "")
    return text.upper() if font_name in CAPITALS_ONLY else text


def _any_text(rng: random.Random, max_chars: int, split: Split) -> str:
    length = rng.randint(max(1, max_chars // 3), max_chars)
    roll = rng.random()
    if length < 3:
        return "".join(rng.choice(TELLING) for _ in range(length))
    if roll < 0.35:
        letters = DISTINCT if rng.random() < 0.3 else DISTINCT[:50]
        return "".join(rng.choice(letters) for _ in range(length))
    if roll < 0.42:
        return _number(rng)[:max_chars]
    words = _words(rng, length, split)
    style = rng.random()
    words = words.upper() if style < 0.5 else words.title() if style < 0.62 else words
    if rng.random() < 0.2 and len(words) < max_chars:
        words += rng.choice("!?.,:")
    return words


def _words(rng: random.Random, length: int, split: Split) -> str:
    chosen: list[str] = []
    while True:
        room = length - sum(len(word) + 1 for word in chosen)
        if room < 2:
            break
        word = rng.choice(COMMON_WORDS) if rng.random() < 0.3 else _word(rng, split)
        if len(word) <= room:
            chosen.append(word)
        elif chosen and rng.random() < 0.3:
            break
    return " ".join(chosen) or "ok"[:length]


def _word(rng: random.Random, split: Split) -> str:
    words = dictionary()
    while True:
        word = words[rng.randrange(len(words))]
        if is_for(split, word):
            return word


def _number(rng: random.Random) -> str:
    return rng.choice(
        (
            str(rng.randint(0, 9999)),
            f"{rng.randint(1, 12)}:{rng.randint(0, 59):02}",
            f"{rng.randint(1, 100)}%",
            f"#{rng.randint(1, 99)}",
            f"${rng.randint(1, 999)}",
        )
    )


def choose_font(rng: random.Random, level: Level, split: Split) -> tuple[str, int]:
    """Return a font of the split and a size of the level; what is hard to read is practised more often."""
    if split == "test":
        return rng.choice(TEXT_FONTS["test"]), rng.randint(*level.font_px)
    names = HAND_DRAWN if rng.random() < HAND_DRAWN_SHARE else TEXT_FONTS["train"]
    sizes = [rng.randint(*level.font_px) for _ in range(2 if rng.random() < SMALL_SHARE else 1)]
    return rng.choice(names), min(sizes)


def fitted(text: str, drawn_with: ImageFont.FreeTypeFont, width_px: float) -> str:
    """Shorten text from its end until it is no wider than this."""
    while text and drawn_with.getlength(text) > width_px:
        text = text[:-1]
    return text.strip()


def ink_box(text: str, drawn_with: ImageFont.FreeTypeFont) -> Box:
    """Return where the ink of a line drawn at (0, 0) lies."""
    return drawn_with.getbbox(text)


def letter_boxes(text: str, drawn_with: ImageFont.FreeTypeFont, x: float, y: float) -> list[tuple[str, Box]]:
    """Return the place of each letter of a line drawn at (x, y)."""
    _, top, _, bottom = drawn_with.getbbox(text)
    boxes = []
    for index, letter in enumerate(text):
        left, right = drawn_with.getlength(text[:index]), drawn_with.getlength(text[: index + 1])
        boxes.append((letter, (x + left, y + top, x + right, y + bottom)))
    return boxes


def lightness(image: Image.Image, box: Sequence[float]) -> float:
    """Return how light a part of a picture is, 0 to 255."""
    left, top, right, bottom = (round(side) for side in box)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    return sum(
        image.crop((left, top, right, bottom)).convert("L").resize((1, 1), Image.Resampling.BOX).tobytes()
    )


def ink_for(rng: random.Random, behind: float) -> tuple[int, int, int]:
    """Return a colour that can be read on something this light."""
    if behind < 128:
        return rng.choice(((255, 255, 255), (255, 255, 255), (255, 240, 90), (200, 235, 255)))
    return rng.choice(((0, 0, 0), (0, 0, 0), (25, 25, 60), (70, 10, 10)))


def draw_line(
    image: Image.Image, text: str, place: tuple[float, float], drawn_with: ImageFont.FreeTypeFont, look: str
) -> None:
    """Write at (x, y): in white with a black outline, or in an ink that can be read there."""
    draw = ImageDraw.Draw(image)
    if look == "outline":
        width = max(1, round(drawn_with.size / 14))
        draw.text(place, text, font=drawn_with, fill="white", stroke_width=width, stroke_fill="black")
        return
    rng = random.Random(text)
    left, top, right, bottom = drawn_with.getbbox(text)
    x, y = place
    behind = lightness(image, (max(0, x + left), max(0, y + top), x + right, y + bottom))
    draw.text(place, text, font=drawn_with, fill=ink_for(rng, behind))
