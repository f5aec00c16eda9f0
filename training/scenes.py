"""Pictures made up from a seed, with everything that is in them known."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from training.assets import font
from training.backgrounds import draw_background, shade
from training.lettering import (
    MARGIN_PX,
    Box,
    Line,
    choose_font,
    draw_line,
    fitted,
    ink_for,
    letter_boxes,
    make_text,
)
from training.levels import Level
from training.pictograms import draw_thing
from training.vocabulary import ALIKE, CHARACTERS, COLOURS, PICTOGRAMS, SHAPES, THINGS, Split, is_for

TILE_PX, CELL_PX = 192, 8
PARAGRAPH_CHARS = 48
SORTS = ("paragraph", "line", "meme", "things")
OWN_COLOURS_SHARE = {"train": 0.2, "test": 0.45}  # of pictograms; colours need more practice than tests
SEVERAL_SHARE = 0.8  # at least, of pictures of things: which of them is meant is the hard part
ORDERS = 24  # letters of a line that are counted
CLASSES = 1 + len(CHARACTERS) + len(THINGS)  # of a cell: nothing, a letter, a thing


@dataclass(frozen=True)
class Thing:
    """One thing drawn; ``colour`` is None for one with fixed colours."""

    name: str
    colour: str | None
    box: Box


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it.

    ``cells`` uint8 [height / 8, width / 8]: the class of each cell. ``order``, of the same shape: 1 where the
    middle of a line's first letter lies, 2 for the second and so on, else 0. ``tints``, of the same shape:
    one more than the colour of the thing there, or of the background; 0 where there is no one colour.
    """

    image: Image.Image
    kind: str
    colours: tuple[str, ...]
    things: tuple[Thing, ...]
    lines: tuple[Line, ...]
    cells: NDArray[np.uint8]
    order: NDArray[np.uint8]
    tints: NDArray[np.uint8]


def make_scene(seed: int, level: Level, split: Split = "train", grid: tuple[int, int] = (1, 1)) -> Scene:
    """Draw a picture of this many tiles (columns, rows); the same arguments give the same picture."""
    kind = Page if level.is_page else Drawing
    return kind(random.Random(f"{split} {seed}"), level, split, grid).finish()


class Drawing:
    """A picture being drawn: lines of text, then things where there is room."""

    def __init__(self, rng: random.Random, level: Level, split: Split, grid: tuple[int, int]) -> None:
        self.rng, self.level, self.split = rng, level, split
        self.width, self.height = grid[0] * TILE_PX, grid[1] * TILE_PX
        self.lines: list[Line] = []
        self.things: list[Thing] = []
        self.marks: list[tuple[int, Box]] = []
        self.coloured: list[tuple[int, Box]] = []
        self.taken: list[Box] = []

    def finish(self) -> Scene:
        """Draw all and return what was drawn."""
        rng = self.rng
        is_chat = "chat" in self.level.places and rng.random() < 0.12
        self.kind = "plain" if is_chat else rng.choice(self.level.backgrounds)
        self.colours = self._background_colours(is_chat=is_chat)
        self.image = draw_background(rng, (self.width, self.height), self.kind, self.colours)
        if is_chat:
            self.kind = "chat"
            self._chat()
        else:
            self._write_and_place()
        shown = self.colours if self.kind in ("gradient", "stripes") else self.colours[:1]
        things, lines = tuple(self.things), tuple(self.lines)
        cells = self._filled(sorted(self.marks, reverse=True))
        order = _order(lines, cells.shape)
        scene = Scene(self.image, self.kind, shown, things, lines, cells, order, self._tints())
        return _spoiled(rng, scene, self.level)

    def _background_colours(self, *, is_chat: bool) -> tuple[str, str]:
        while True:
            names = list(COLOURS) if not is_chat else ["white", "grey", "black", "blue", "green"]
            first = self.rng.choice(names)
            second = self.rng.choice(
                [name for name in COLOURS if name != first and {name, first} not in ALIKE]
            )
            if is_chat or is_for(self.split, first, second):
                return first, second

    def _write_and_place(self) -> None:
        rng, level = self.rng, self.level
        if level.shares and self.width == TILE_PX:
            self._write_and_place_mostly(rng.choices(SORTS, level.shares)[0])
            return
        count = rng.choices(range(level.max_lines + 1), [1, *[4] * level.max_lines])[0]
        places = [place for place in level.places if place != "chat"]
        rng.shuffle(places)
        if count >= 2 and rng.random() < 0.6:
            places = ["top", "bottom", *(place for place in places if place not in ("top", "bottom"))]
        for place in places[:count]:
            self._bubble() if place == "bubble" else self._write(place)
        for _ in range(rng.randint(0 if self.lines else 1, level.max_things)):
            self._place_thing()

    def _write_and_place_mostly(self, what: str) -> None:
        """Make a picture of one sort, so that each is practised."""
        rng, most_things = self.rng, self.level.max_things
        if what == "paragraph":
            self._paragraph()
        elif what == "meme":
            self._write("top")
            self._write("bottom")
        elif what == "line" or rng.random() < 0.3:
            place = rng.choice([place for place in self.level.places if place != "chat"])
            self._bubble() if place == "bubble" else self._write(place)
        least, most = {"paragraph": (0, 1), "line": (0, 2), "meme": (0, 2)}.get(what, (1, most_things))
        if what == "things" and rng.random() < SEVERAL_SHARE:
            least = 2
        for _ in range(rng.randint(least, most)):
            self._place_thing()

    def _paragraph(self) -> None:
        """Write lines of one font below each other, some of them short, from the left or centred."""
        rng, level = self.rng, self.level
        name, size = choose_font(rng, level, self.split)
        drawn_with, is_centred = font(name, size), rng.random() < 0.5
        look = rng.choice([look for look in level.looks if look != "bar"])
        y, x, gap, room = rng.uniform(2, 24), rng.uniform(3, 24), rng.uniform(2, 9), PARAGRAPH_CHARS
        while room > 0:
            made = make_text(rng, min(level.max_chars, room), self.split, name)
            text = fitted(made, drawn_with, self.width - (6 if is_centred else x + 3))
            left, top, right, bottom = drawn_with.getbbox(text or "x")
            if y + bottom - top > self.height - 2:
                return
            if text:
                begin = (self.width - (right - left)) / 2 if is_centred else x
                at = round(begin - left), round(y - top)
                draw_line(self.image, text, at, drawn_with, look)
                box = (begin, y, begin + right - left, y + bottom - top)
                self._note(text, "paragraph", name, size, *at, box)
            room -= len(text) + 1
            y += bottom - top + gap

    def _write(self, place: str) -> None:
        rng = self.rng
        name, size = choose_font(rng, self.level, self.split)
        drawn_with = font(name, size)
        columns = self.width // TILE_PX
        text = fitted(
            make_text(rng, self.level.max_chars * columns, self.split, name),
            drawn_with,
            self.width - 2 * MARGIN_PX,
        )
        if not text:
            return
        left, top, right, bottom = drawn_with.getbbox(text)
        x = rng.uniform(MARGIN_PX, self.width - MARGIN_PX - (right - left)) - left
        if rng.random() < 0.5:
            x = (self.width - (right - left)) / 2 - left
        free = self.height - (bottom - top)
        depth = rng.uniform(2, 10)
        y = {"top": depth, "bottom": free - depth, "middle": rng.uniform(0.35, 0.65) * free}[place] - top
        box = (x + left, y + top, x + right, y + bottom)
        look = rng.choice(self.level.looks)
        if look == "bar":
            box = (0, box[1] - depth, self.width, box[3] + depth)
        if self._is_taken(box):
            return
        if look == "bar":
            ImageDraw.Draw(self.image).rectangle(box, fill=shade(rng, rng.choice(("white", "black")), 8))
        x, y = round(x), round(y)
        draw_line(self.image, text, (x, y), drawn_with, look)
        self._note(text, place, name, size, x, y, box)

    def _bubble(self) -> None:
        rng = self.rng
        name, size = choose_font(rng, self.level, self.split)
        size = max(self.level.font_px[0], round(0.8 * size))
        drawn_with = font(name, size)
        text = fitted(make_text(rng, self.level.max_chars, self.split, name), drawn_with, 0.8 * self.width)
        if not text:
            return
        left, top, right, bottom = drawn_with.getbbox(text)
        pad = rng.uniform(6, 12)
        wide, tall = right - left + 2 * pad, bottom - top + 2 * pad
        x = rng.uniform(1, max(2, self.width - wide - 1))
        y = rng.uniform(1, max(2, self.height - tall - 14))
        if self._is_taken((x, y, x + wide, y + tall + 12)):
            return
        draw = ImageDraw.Draw(self.image)
        fill = rng.choice(("white", "white", "white", (255, 250, 220)))
        tip = x + rng.uniform(0.2, 0.8) * wide
        draw.polygon([(tip - 6, y + tall - 2), (tip + 6, y + tall - 2), (tip + 4, y + tall + 12)], fill=fill)
        draw.rounded_rectangle((x, y, x + wide, y + tall), radius=min(14, tall / 2), fill=fill)
        at = round(x + pad - left), round(y + pad - top)
        draw.text(at, text, font=drawn_with, fill=ink_for(rng, 255))
        self._note(text, "bubble", name, size, *at, (x, y, x + wide, y + tall + 12))

    def _chat(self) -> None:
        """Messages below each other, mine on the right, yours on the left."""
        rng = self.rng
        name, size = choose_font(rng, self.level, self.split)
        size = round(self.level.font_px[0] + 0.4 * (size - self.level.font_px[0]))
        drawn_with, y = font(name, size), rng.uniform(4, 20)
        fills = {
            "left": shade(rng, rng.choice(("white", "grey"))),
            "right": shade(rng, rng.choice(("green", "blue"))),
        }
        for _ in range(rng.randint(2, 4)):
            text = fitted(
                make_text(rng, self.level.max_chars, self.split, name), drawn_with, 0.75 * self.width
            )
            left, top, right, bottom = drawn_with.getbbox(text or "x")
            wide, tall = right - left + 16, bottom - top + 12
            if not text or y + tall > self.height - 4:
                break
            side = rng.choice(("left", "right"))
            x = 6 if side == "left" else self.width - wide - 6
            draw = ImageDraw.Draw(self.image)
            draw.rounded_rectangle((x, y, x + wide, y + tall), radius=8, fill=fills[side])
            at = round(x + 8 - left), round(y + 6 - top)
            is_light = sum(fills[side]) > 384
            draw.text(at, text, font=drawn_with, fill=(0, 0, 0) if is_light else (255, 255, 255))
            self._note(text, "chat", name, size, *at, (x, y, x + wide, y + tall))
            y += tall + rng.uniform(5, 12)

    def _note(self, text: str, place: str, name: str, size: int, x: int, y: int, box: Box) -> None:
        spots = letter_boxes(text, font(name, size), x, y)
        centres = tuple(((left + right) / 2, (top + bottom) / 2) for _, (left, top, right, bottom) in spots)
        self.lines.append(Line(text, place, name, size, box, centres))
        self.taken.append(box)
        for letter, spot in spots:
            if letter in CHARACTERS:
                self.marks.append((1 + CHARACTERS.index(letter), spot))

    def _place_thing(self) -> None:
        """Draw one more thing where there is room; often one more of the last."""
        rng = self.rng
        if self.things and rng.random() < 0.3:
            name, colour = self.things[-1].name, self.things[-1].colour
        else:
            name, colour = self._kind_of_thing()
        for _ in range(8):
            drawn = draw_thing(rng, name, colour, rng.randint(*self.level.thing_px))
            if drawn.width >= self.width or drawn.height >= self.height:
                continue
            x, y = rng.randint(0, self.width - drawn.width), rng.randint(0, self.height - drawn.height)
            box = (x, y, x + drawn.width, y + drawn.height)
            if self._is_taken(box):
                continue
            self.image.paste(drawn, (x, y), drawn)
            self.things.append(Thing(name, colour, box))
            self.taken.append(box)
            inset = 0.12 * drawn.width, 0.12 * drawn.height
            inner = (x + inset[0], y + inset[1], box[2] - inset[0], box[3] - inset[1])
            self.marks.append((1 + len(CHARACTERS) + THINGS.index(name), inner))
            self.coloured.append((0 if colour is None else 1 + list(COLOURS).index(colour), inner))
            return

    def _kind_of_thing(self) -> tuple[str, str | None]:
        """Choose a thing and a colour that stands out; some pairs are kept for the test."""
        rng = self.rng
        while True:
            name = rng.choice(SHAPES) if rng.random() < 0.2 else rng.choice(list(PICTOGRAMS))
            if name in PICTOGRAMS and rng.random() < OWN_COLOURS_SHARE[self.split]:
                return name, None
            seen = self.colours if self.kind in ("gradient", "stripes") else self.colours[:1]
            colour = rng.choice(list(COLOURS))
            if any(colour == one or {colour, one} in ALIKE for one in seen):
                continue
            if is_for(self.split, name, colour):
                return name, colour

    def _is_taken(self, box: Box) -> bool:
        left, top, right, bottom = box
        return any(
            left < other[2] + 2 and other[0] < right + 2 and top < other[3] + 2 and other[1] < bottom + 2
            for other in self.taken
        )

    def _tints(self) -> NDArray[np.uint8]:
        behind = 0 if self.kind in ("gradient", "stripes") else 1 + list(COLOURS).index(self.colours[0])
        return self._filled([*((0, box) for box in self.taken), *self.coloured], behind)

    def _filled(self, marks: Sequence[tuple[int, Box]], behind: int = 0) -> NDArray[np.uint8]:
        """Return the cells, each with the value of the last mark on it."""
        rows, columns = self.height // CELL_PX, self.width // CELL_PX
        cells = np.full((rows, columns), behind, np.uint8)
        for value, (left, top, right, bottom) in marks:
            half = CELL_PX / 2
            first_row, last_row = int(np.ceil((top - half) / CELL_PX)), int((bottom - half) // CELL_PX)
            first, last = int(np.ceil((left - half) / CELL_PX)), int((right - half) // CELL_PX)
            if last < first:
                first = last = int((left + right) / 2 // CELL_PX)
            if last_row < first_row:
                first_row = last_row = int((top + bottom) / 2 // CELL_PX)
            cells[max(first_row, 0) : last_row + 1, max(first, 0) : last + 1] = value
        return cells


class Page(Drawing):
    """A picture full of letters and things, to learn their looks from; nobody is asked about it."""

    def _write_and_place(self) -> None:
        rng, level = self.rng, self.level
        for _ in range(rng.randint(0, level.max_things)):
            self._place_thing()
        y = rng.uniform(0, 12)
        while y < self.height - level.font_px[0]:
            y += self._row(y) + rng.uniform(1, 10)

    def _row(self, y: float) -> float:
        """Write runs of letters from left to right, around what is there; return the height."""
        rng = self.rng
        name, size = choose_font(rng, self.level, self.split)
        drawn_with, x = font(name, size), rng.uniform(1, 20)
        height = 0.0
        while x < self.width - size / 2:
            made = make_text(rng, self.level.max_chars, self.split, name)
            text = fitted(made, drawn_with, self.width - x - 2)
            left, top, right, bottom = drawn_with.getbbox(text or "x")
            box = (x, y, x + right - left, y + bottom - top)
            if not text or box[3] > self.height or self._is_taken(box):
                x += size
                continue
            look = rng.choice(self.level.looks)
            if look == "bar":
                fill = shade(rng, rng.choice(list(COLOURS)))
                ImageDraw.Draw(self.image).rectangle(
                    (box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), fill=fill
                )
            at = round(x - left), round(y - top)
            draw_line(self.image, text, at, drawn_with, look)
            self._note(text, "page", name, size, *at, box)
            x, height = box[2] + rng.uniform(0.8, 2) * size, max(height, bottom - top)
        return height or size


def _order(lines: Sequence[Line], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    order = np.zeros(shape, np.uint8)
    for line in lines:
        for number, (x, y) in enumerate(line.centres[:ORDERS], 1):
            row, column = int(y // CELL_PX), int(x // CELL_PX)
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                order[row, column] = number
    return order


def _turned(line: Line, angle: float, size: tuple[int, int]) -> Line:
    """Return a line of a picture turned counter-clockwise by some degrees about its middle."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    middle_x, middle_y = size[0] / 2, size[1] / 2
    shifts = [(x - middle_x, y - middle_y) for x, y in line.centres]
    centres = ((middle_x + x * cosine + y * sine, middle_y - x * sine + y * cosine) for x, y in shifts)
    return replace(line, centres=tuple(centres))


def _spoiled(rng: random.Random, scene: Scene, level: Level) -> Scene:
    """Turn, blur, shrink and compress a picture as they are found."""
    image, cells, lines, order, tints = scene.image, scene.cells, scene.lines, scene.order, scene.tints
    if level.max_angle and rng.random() < 0.3:
        angle = rng.uniform(-level.max_angle, level.max_angle)
        corner = image.getpixel((0, 0))
        image = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=corner)
        cells, tints = (
            np.array(Image.fromarray(one).rotate(angle, Image.Resampling.NEAREST)) for one in (cells, tints)
        )
        lines = tuple(_turned(line, angle, image.size) for line in lines)
        order = _order(lines, cells.shape)
    if rng.random() < level.spoiling:
        smaller = rng.uniform(0.65, 1)
        size = round(image.width * smaller), round(image.height * smaller)
        image = image.resize(size, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)
    if rng.random() < 0.5 * level.spoiling:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9)))
    if rng.random() < level.spoiling:
        written = io.BytesIO()
        image.save(written, "JPEG", quality=rng.randint(30, 92))
        image = Image.open(written).convert("RGB")
    return replace(scene, image=image, cells=cells, lines=lines, order=order, tints=tints)
