"""What the guide says of scripts, pages and the order of lines, with the real networks.

Reports: immich#23475, RapidOCR#600, TurboOCR#37, docling#2204; ``docs/real-world-log.md`` has the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from smallsight.reading.text_reader import TextReader
from smallsight.settings import Settings

FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
LINES = ["The lighthouse keeper walks", "down to the harbor before", "the morning ferry arrives"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextReader]:
    pytest.importorskip("rapidocr")
    with TextReader(Settings(home=tmp_path_factory.mktemp("home"))) as reader:
        yield reader


def page(*lines: str, size: tuple[int, int] = (760, 300), font_px: int = 46) -> Image.Image:
    image = Image.new("RGB", size, "white")
    font = ImageFont.truetype(FONT, font_px) if FONT.is_file() else ImageFont.load_default(font_px)
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((40, 40 + number * 70), line, font=font, fill="black")
    return image


def read(reader: TextReader, image: Image.Image) -> list[str]:
    return [line.text for line in reader.read(np.asarray(image))]


@pytest.mark.mostly_slow(2)
@pytest.mark.parametrize("degrees", [0, 7, 90, 180, 270])
def test_every_line_of_a_turned_page_is_read(reader: TextReader, degrees: int):
    turned = page(*LINES).rotate(degrees, expand=True, fillcolor="white")
    assert sorted(read(reader, turned)) == sorted(LINES)


@pytest.mark.skipif(
    not FONT.is_file(), reason="Pillow's own font has no such letters: install fonts-dejavu-core"
)
@pytest.mark.parametrize("text", ["Grüße aus Köln Straße", "Zażółć gęślą jaźń", "yağmur var şimdi"])
def test_latin_letters_of_other_languages(reader: TextReader, text: str):
    assert read(reader, page(text)) == [text]


@pytest.mark.skipif(
    not FONT.is_file(), reason="Pillow's own font has no such letters: install fonts-dejavu-core"
)
@pytest.mark.parametrize("text", ["Завтра будет дождь", "مرحبا بالعالم", "שלום עולם"])
def test_scripts_that_the_guide_says_are_not_read(reader: TextReader, text: str):
    assert text not in " ".join(read(reader, page(text)))
