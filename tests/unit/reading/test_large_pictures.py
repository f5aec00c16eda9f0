"""The text of large pictures, and of several frames and pages, with the real networks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

from smallsight.cli.commands import whole_command_line
from smallsight.media.decoder import PictureDecoder
from smallsight.media.reading_size import is_paged
from smallsight.reading.pages import read_pages
from smallsight.reading.text_reader import TextReader
from smallsight.settings import Settings

WORDS = ["harbor", "walnut", "gravel", "ribbon", "copper", "meadow", "saddle", "pepper"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TextReader]:
    pytest.importorskip("rapidocr")
    with TextReader(Settings(home=tmp_path_factory.mktemp("home"))) as reader:
        yield reader


@pytest.fixture(scope="module")
def decoder() -> Iterator[PictureDecoder]:
    with PictureDecoder(Settings().limits) as decoder:
        yield decoder


def write(image: Image.Image, place: tuple[int, int], text: str, size: int, fill: str = "black") -> None:
    ImageDraw.Draw(image).text(place, text, fill=fill, font=ImageFont.load_default(size=size))


def file_of(image: Image.Image, name: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def texts(decoder: PictureDecoder, reader: TextReader, data: bytes) -> list[str]:
    picture = decoder.decode(data, max_side_px=1600, wants_pages=True)
    lines = read_pages(picture.pages_HWC, reader.read, are_moments=not is_paged(picture.format))
    return [line.text for line in lines]


def chat(height_px: int) -> tuple[Image.Image, list[str]]:
    image = Image.new("RGB", (1080, height_px), "#ece5dd")
    expected = [f"message {n} {WORDS[n % 8]} please" for n in range(height_px // 1_000)]
    for n, text in enumerate(expected):
        write(image, (330 if n % 2 else 70, 300 + n * 1_000), text, 40)
    return image, expected


@pytest.mark.slow
def test_a_chat_of_twenty_thousand_pixels(decoder: PictureDecoder, reader: TextReader):
    image, expected = chat(20_000)
    assert texts(decoder, reader, file_of(image)) == expected


def test_a_wide_timeline(decoder: PictureDecoder, reader: TextReader):
    image = Image.new("RGB", (8_000, 800), "white")
    expected = [f"column {n} {WORDS[n % 8]}" for n in range(16)]
    for n, text in enumerate(expected):
        write(image, (40 + n * 490, 400), text, 40)
    assert texts(decoder, reader, file_of(image, "JPEG", quality=92)) == expected


@pytest.mark.slow
def test_small_letters_on_a_large_screen(decoder: PictureDecoder, reader: TextReader):
    image = Image.new("RGB", (2_560, 1_440), "white")
    expected = [f"{WORDS[(r + c) % 8]} row {r} invoice paid" for r in range(12) for c in range(2)]
    for n, text in enumerate(expected):
        write(image, (40 + n % 2 * 1_500, 40 + n // 2 * 110), text, 15)
    found = texts(decoder, reader, file_of(image))
    assert len(found) == len(expected)
    assert sum(one.replace(" ", "") in {text.replace(" ", "") for text in expected} for one in found) >= 22


@pytest.mark.slow
def test_a_screen_full_of_letters_that_a_small_copy_loses(decoder: PictureDecoder, reader: TextReader):
    """13 pixels are the size of an editor's text; in the first look at such a screen they are three."""
    image = Image.new("RGB", (1_920, 1_080), "#1e1e1e")
    expected = [
        " ".join(WORDS[(r * 3 + c + n) % 8] for n in range(14)) + f" {r}" for r in range(52) for c in range(2)
    ]
    for n, text in enumerate(expected):
        write(image, (30 + n % 2 * 950, 20 + n // 2 * 20), text, 13, "#d4d4d4")
    found = {one.replace(" ", "") for one in texts(decoder, reader, file_of(image))}
    assert sum(text.replace(" ", "") in found for text in expected) >= 99


def test_long_lines_are_joined_over_tiles(decoder: PictureDecoder, reader: TextReader):
    image = Image.new("RGB", (2_560, 1_440), "white")
    text = (
        "the quick brown fox jumps over the lazy dog while the harbor lantern burns and the old ferry leaves"
    )
    for n in range(1, 5):
        write(image, (60, 60 + n * 220), f"{n} {text} {n}", 40)
    found = [one.replace(" ", "") for one in texts(decoder, reader, file_of(image))]
    assert found == [f"{n} {text} {n}".replace(" ", "") for n in range(1, 5)]


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "AVIF"])
def test_words_on_later_frames(decoder: PictureDecoder, reader: TextReader, name: str):
    frames = [Image.new("RGB", (600, 200), "white") for _ in range(3)]
    write(frames[1], (40, 70), "GOOD MORNING", 60)
    write(frames[2], (40, 70), "SLEEPY KOALA", 60)
    data = file_of(frames[0], name, save_all=True, append_images=frames[1:], duration=300)
    assert texts(decoder, reader, data) == ["GOOD MORNING", "SLEEPY KOALA"]


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF", "AVIF"])
def test_white_letters_on_nothing(decoder: PictureDecoder, reader: TextReader, name: str):
    image = Image.new("RGBA", (700, 300), (0, 0, 0, 0))
    write(image, (60, 100), "white BANANA", 80, "white")
    options = {"lossless": True} if name == "WEBP" else {}
    assert texts(decoder, reader, file_of(image, name, **options)) == ["white BANANA"]


def test_show_says_what_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: TextReader):
    assert reader.key
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    pages = [Image.new("L", (500, 200), 255) for _ in range(22)]
    write(pages[2], (40, 70), "Kangaroo clause", 40)
    pages[0].save(pictures / "scan.tif", save_all=True, append_images=pages[1:])
    photo = Image.new("RGB", (3_200, 2_400), "white")
    write(photo, (200, 900), "LIGHTHOUSE", 400)
    photo.save(pictures / "photo.jpg")
    photo.resize((320, 240)).save(pictures / "small.jpg")
    monkeypatch.setenv("SMALLSIGHT_HOME", str(tmp_path / "home"))
    runner = CliRunner()
    assert runner.invoke(whole_command_line(), ["index", str(pictures), "--quiet"]).exit_code == 0

    def show(name: str) -> dict[str, object]:
        shown = runner.invoke(whole_command_line(), ["show", str(pictures / name), "--json"])
        data: dict[str, object] = json.loads(shown.stdout)
        return data

    scan, large, small = show("scan.tif"), show("photo.jpg"), show("small.jpg")
    assert scan["text"] == "Kangaroo clause"
    assert (scan["text_read_at"], scan["text_not_read_in"]) == (None, "2 of 22 pages")
    assert large["text"] == "LIGHTHOUSE"
    assert large["text_read_at"] == "1600 x 1200 of 3200 x 2400 pixels"
    assert (small["text_read_at"], small["text_not_read_in"]) == (None, None)
