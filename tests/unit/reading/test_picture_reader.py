"""Reading whole pictures with the real networks: large and small, turned, in columns, without text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from smallsight.reading import picture_reader
from smallsight.reading.line_recogniser import LineReading
from smallsight.reading.picture_reader import PictureReader
from smallsight.reading.text_regions import TextRegion

SCRIPTS = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
PHOTOS = Path(__file__).parents[3] / "examples" / "pictures" / "photos"
WORDS = ["harbor", "walnut", "gravel", "ribbon", "copper", "meadow", "saddle", "pepper"]
PAGE = ["The lighthouse keeper walks", "down to the harbor before", "the morning ferry arrives"]


@pytest.fixture(scope="module")
def reader() -> PictureReader:
    pytest.importorskip("rapidocr")
    return PictureReader(2)


def write(image: Image.Image, place: tuple[int, int], text: str, size: int, fill: str = "black") -> None:
    ImageDraw.Draw(image).text(place, text, fill=fill, font=ImageFont.load_default(size=size))


def texts(reader: PictureReader, image: Image.Image) -> list[str]:
    return [line.text for line in reader.read(np.asarray(image.convert("RGB")))]


def page(*lines: str) -> Image.Image:
    image = Image.new("RGB", (800, 360), "white")
    for number, line in enumerate(lines):
        write(image, (40, 40 + number * 90), line, 46)
    return image


def photograph(size: tuple[int, int], *, sharp: bool) -> Image.Image:
    noise = np.random.default_rng(1).integers(60, 200, (size[1] // 8, size[0] // 8, 3), np.uint8)
    image = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    if not sharp:
        return image.filter(ImageFilter.GaussianBlur(4))
    grain = np.random.default_rng(2).normal(0, 25, (size[1], size[0], 1))
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("degrees", [0, 8, 90, 180, 270])
def test_a_page_reads_the_same_whichever_way_it_stands(reader: PictureReader, degrees: int):
    turned = page(*PAGE).rotate(degrees, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)
    assert texts(reader, turned) == PAGE


def test_corners_begin_at_the_top_left_of_the_text(reader: PictureReader):
    upright, turned = (
        reader.read(np.asarray(image))
        for image in (page(PAGE[0]), page(PAGE[0]).transpose(Image.Transpose.ROTATE_180))
    )
    for line, start in ((upright[0], (0.04, 0.12)), (turned[0], (0.96, 0.88))):
        assert line.box[0] == pytest.approx(start, abs=0.04)
        assert line.confidence > 0.9


def test_columns_of_prose_are_read_one_after_the_other(reader: PictureReader):
    left = ["Our garden needs some", "plenty of rain in April", "and in the early spring"]
    right = ["Bicycle repairs are done", "on the second Thursday", "of every other month"]
    image = Image.new("RGB", (1_400, 420), "white")
    for row in range(3):
        write(image, (60, 60 + row * 100), left[row], 50)
        write(image, (760, 60 + row * 100), right[row], 50)
    assert texts(reader, image) == left + right


@pytest.mark.slow
def test_a_tall_chat(reader: PictureReader):
    image = Image.new("RGB", (720, 6_000), "#ece5dd")
    expected = [f"message {number} {WORDS[number % 8]} please" for number in range(10)]
    for number, text in enumerate(expected):
        write(image, (200 if number % 2 else 50, 300 + number * 560), text, 36)
    assert texts(reader, image) == expected


def test_a_wide_timeline(reader: PictureReader):
    image = Image.new("RGB", (6_000, 600), "white")
    expected = [f"column {number} {WORDS[number % 8]}" for number in range(10)]
    for number, text in enumerate(expected):
        write(image, (40 + number * 590, 300), text, 40)
    assert texts(reader, image) == expected


@pytest.mark.slow
def test_small_letters_on_a_large_screen_beside_a_large_title(reader: PictureReader):
    image = Image.new("RGB", (2_560, 1_440), "white")
    write(image, (300, 30), "RELEASE NOTES", 150)
    expected = [f"{WORDS[row]} row {row} invoice paid" for row in range(8)]
    for row, text in enumerate(expected):
        write(image, (1_400, 400 + row * 110), text, 15)
    assert texts(reader, image) == ["RELEASE NOTES", *expected]


def test_small_letters_all_over_a_screen_are_read_to_the_ends_of_their_lines(reader: PictureReader):
    image = Image.new("RGB", (1_920, 1_080), "white")
    expected = []
    for row in range(34):
        for column in range(3):
            text = " ".join(WORDS[(row * 3 + column * 5 + one) % 8] for one in range(2 + (row + column) % 4))
            write(image, (40 + column * 640, 30 + row * 30), text, 15, "#191919")
            expected.append(text)
    found = texts(reader, image)
    missed = [text for text in expected if text not in found]
    assert len(missed) <= 2


def test_a_line_over_several_tiles_is_one_line(reader: PictureReader):
    text = (
        "the quick brown fox jumps over the lazy dog while the harbor lantern burns and the old ferry leaves"
    )
    image = Image.new("RGB", (2_560, 1_440), "white")
    write(image, (60, 700), text, 40)
    assert texts(reader, image) == [text]


def test_a_small_sign_in_a_photograph(reader: PictureReader):
    image = photograph((1_600, 1_200), sharp=True)
    board = Image.new("RGB", (330, 54), "#103c8c")
    write(board, (20, 10), "MARKET STREET", 32, "white")
    image.paste(board, (900, 500))
    assert "MARKET STREET" in texts(reader, image)


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("sharp", [False, True])
def test_a_photograph_without_text(reader: PictureReader, sharp: bool):
    assert texts(reader, photograph((800, 600), sharp=sharp)) == []


def rings(size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, "#f4e8c0")
    draw = ImageDraw.Draw(image)
    for number in range(30):
        x, y = number % 6 * 130 + 20, number // 6 * 110 + 15
        draw.ellipse((x, y, x + 60 + number, y + 70), outline="black", width=5)
    return image


def leaves(size: tuple[int, int]) -> Image.Image:
    image, chance = Image.new("RGB", size, "#142812"), np.random.default_rng(3)
    draw = ImageDraw.Draw(image)
    for x, y, shade in chance.integers((0, 0, 30), (*size, 170), (4_000, 3)).tolist():
        draw.polygon([(x, y), (x + 7, y + 8), (x + 2, y + 18), (x - 6, y + 6)], fill=(shade // 2, shade, 30))
    return image


@pytest.mark.parametrize("name", ["P1020388.jpg", "IMG_8051.avif"])
def test_large_shapes_in_a_closer_look_are_no_letters(reader: PictureReader, name: str):
    assert texts(reader, Image.open(PHOTOS / name)) == []


@pytest.mark.parametrize("draw", [rings, leaves])
def test_drawings_and_foliage_without_text(
    reader: PictureReader, draw: Callable[[tuple[int, int]], Image.Image]
):
    assert texts(reader, draw((800, 600))) == []


@pytest.mark.skipif(not SCRIPTS.is_file(), reason="needs the letters of fonts-dejavu-core")
@pytest.mark.parametrize(
    "text",
    [
        "\u0417\u0430\u0432\u0442\u0440\u0430 \u0434\u043e\u0436\u0434\u044c",
        "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645",
        "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    ],
)
def test_text_in_a_script_that_is_not_read_is_told_apart_from_none(reader: PictureReader, text: str):
    image = Image.new("RGB", (900, 320), "white")
    ImageDraw.Draw(image).text((40, 60), text, "black", ImageFont.truetype(SCRIPTS, 64))
    assert texts(reader, image) == [""]
    assert texts(reader, Image.new("RGB", (900, 320), "white")) == []


def test_letters_of_a_small_picture(reader: PictureReader):
    image = Image.new("RGB", (320, 120), "#fff8e0")
    write(image, (20, 20), "the smallest print", 13)
    write(image, (20, 70), "costs nothing extra", 13)
    assert texts(reader, image) == ["the smallest print", "costs nothing extra"]


@pytest.mark.mostly_slow(3)
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 3000), (3000, 1), (5, 2000), (40, 40), (2600, 700), (33, 1999)]
)
def test_any_shape_can_be_read(reader: PictureReader, shape: tuple[int, int]):
    assert reader.read(np.full((*shape, 3), 128, np.uint8)) == []


@pytest.mark.parametrize(
    ("height_px", "confidence", "explains"), [(1_000, 0.76, False), (1_000, 0.95, True), (40, 0.76, True)]
)
def test_a_screen_of_text_is_not_explained_by_a_few_large_letters(
    height_px: float, confidence: float, explains: bool
):
    region = TextRegion(800.0, 450.0, 1_680.0, height_px, 0.0, 0.72)
    line = picture_reader.TriedLine(region, 0, LineReading("E E E", confidence))
    assert picture_reader.explains_region(line) is explains


def test_a_certain_reading_with_more_letters_turns_a_line_over():
    """The line that it was read in is nearly as sure, of a few letters in gaps."""
    region = TextRegion(460.0, 290.0, 600.0, 57.0, 0.0, 0.9)
    line = picture_reader.TriedLine(region, 0, LineReading("The  e lks", 0.85))
    trial = picture_reader.LineAttempt(line, 2)
    handicap = picture_reader.handicap_of
    assert handicap(trial, LineReading("The lighthouse keeper walks", 0.9999)) == 0.0
    assert handicap(trial, LineReading("The lighthouse keeper walks", 0.9)) > 0.1
    short = picture_reader.LineAttempt(picture_reader.TriedLine(region, 0, LineReading("6 €", 0.8)), 2)
    assert handicap(short, LineReading("39", 0.99)) > 0.2
