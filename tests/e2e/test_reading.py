"""The text of pictures of every kind, by the real command: read, in order, and read again when due."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .conftest import Command

SCRIPTS = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
WORDS = "harbor lantern walnut gravel ribbon copper meadow saddle pepper violin marble cactus".split()
PAGE = ["The lighthouse keeper walks", "down to the harbor before", "the morning ferry arrives"]
LEFT = ["Our garden needs some", "plenty of rain in April", "and in the early spring"]
RIGHT = ["Bicycle repairs are done", "on the second Thursday", "of every other month"]
SCREEN = [f"row {row} {WORDS[row]} invoice paid" for row in range(12)]
CHAT = [f"message {number} {WORDS[number]} please" for number in range(12)]
PICTURES = 9


def write(image: Image.Image, place: tuple[int, int], text: str, size_px: int, fill: str = "black") -> None:
    ImageDraw.Draw(image).text(place, text, fill=fill, font=ImageFont.load_default(size=size_px))


def draw_pages(folder: Path) -> None:
    page = Image.new("RGB", (900, 500), "white")
    for row, text in enumerate(PAGE):
        write(page, (60, 60 + row * 120), text, 48)
    page.rotate(180).save(folder / "upside_down.png")
    page.rotate(90, expand=True).save(folder / "turned.png")
    columns = Image.new("RGB", (1_400, 420), "white")
    for row in range(3):
        write(columns, (60, 60 + row * 100), LEFT[row], 50)
        write(columns, (760, 60 + row * 100), RIGHT[row], 50)
    columns.save(folder / "columns.png")


def draw_screens(folder: Path) -> None:
    screen = Image.new("RGB", (3_840, 2_160), "white")
    for row, text in enumerate(SCREEN):
        write(screen, (1_800, 300 + row * 70), text, 15)
    screen.save(folder / "screen.png")
    chat = Image.new("RGB", (1_080, 12_000), "#ece5dd")
    for number, text in enumerate(CHAT):
        write(chat, (330 if number % 2 else 70, 500 + number * 950), text, 40)
    chat.save(folder / "chat.png")


def draw_photographs(folder: Path) -> None:
    values = np.random.default_rng(5)
    photograph = Image.fromarray(values.integers(40, 210, (150, 200, 3), np.uint8))
    photograph = photograph.resize((1_600, 1_200), Image.Resampling.BICUBIC)
    grain = values.normal(0, 12, (1_200, 1_600, 1))
    photograph = Image.fromarray(np.clip(np.asarray(photograph) + grain, 0, 255).astype(np.uint8))
    photograph.save(folder / "photograph.jpg", quality=90)
    board = Image.new("RGB", (330, 54), "#103c8c")
    write(board, (20, 10), "MARKET STREET", 32, "white")
    photograph.paste(board, (900, 500))
    photograph.filter(ImageFilter.GaussianBlur(0.7)).save(folder / "sign.jpg", quality=90)
    leaves = Image.new("RGB", (800, 600), "#142812")
    for x, y, shade in values.integers((0, 0, 30), (800, 600, 170), (4_000, 3)).tolist():
        leaf = [(x, y), (x + 7, y + 8), (x + 2, y + 18), (x - 6, y + 6)]
        ImageDraw.Draw(leaves).polygon(leaf, fill=(shade // 2, shade, 30))
    leaves.save(folder / "leaves.png")


def draw_cyrillic(folder: Path) -> None:
    image = Image.new("RGB", (900, 320), "white")
    text = (
        "\u0417\u0430\u0432\u0442\u0440\u0430 \u0431\u0443\u0434\u0435\u0442 \u0434\u043e\u0436\u0434\u044c"
    )
    ImageDraw.Draw(image).text((40, 60), text, "black", ImageFont.truetype(SCRIPTS, 64))
    image.save(folder / "cyrillic.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("rapidocr")
    if not SCRIPTS.is_file():
        pytest.skip("needs the letters of fonts-dejavu-core")
    home = tmp_path_factory.mktemp("reading") / "home"
    folder = home.parent / "pictures"
    for path in (home, folder):
        path.mkdir()
    (home / "smallsight.toml").write_text('[index]\nocr_reader = "rapidocr"\n')
    for draw in (draw_pages, draw_screens, draw_photographs, draw_cyrillic):
        draw(folder)
    report = json.loads(Command(home).run("index", folder, "--json")[0])
    assert report["stages"]["read"]["done"] == PICTURES
    return home


def show(home: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        Command(home).run("show", home.parent / "pictures" / name, "--json")[0]
    )
    return found


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("upside_down.png", PAGE),
        ("turned.png", PAGE),
        ("columns.png", LEFT + RIGHT),
        ("screen.png", SCREEN),
        ("chat.png", CHAT),
        ("sign.jpg", ["MARKET STREET"]),
        ("photograph.jpg", []),
        ("leaves.png", []),
    ],
)
def test_every_line_is_read_in_order_and_nothing_else(home: Path, name: str, lines: list[str]):
    found = show(home, name)
    assert (found["text"] or "").splitlines() == lines
    assert found["problems"] == []


def test_text_that_cannot_be_read_is_a_problem_and_no_text(home: Path):
    found = show(home, "cyrillic.png")
    assert not found["text"]
    assert found["problems"] == ["1 line of text is in a script or hand that is not read."]


def test_a_setting_that_is_gone_is_named_and_does_no_harm(home: Path):
    _, said = Command(home).run("index")
    assert "index.ocr_reader" in said
    assert "there is one reader of text" in said


def test_a_library_of_the_reader_before_is_read_again_and_keeps_corrections(home: Path):
    chat = home.parent / "pictures" / "chat.png"
    Command(home).run("edit", chat, "--text", "mine")
    with closing(sqlite3.connect(home / "library.sqlite3")) as database, database:
        database.execute(
            "UPDATE outcome SET key = 'rapidocr-3.10.0-area736-lines-tiles-1600' WHERE stage = 'read'"
        )
    report = json.loads(Command(home).run("index", "--json")[0])
    assert report["stages"]["read"]["done"] == PICTURES
    assert show(home, "chat.png")["text"] == "mine"
    assert json.loads(Command(home).run("index", "--json")[0])["stages"]["read"]["done"] == 0
