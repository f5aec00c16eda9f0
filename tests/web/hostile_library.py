"""A library of hostile texts: names, folders, captions, tags, text in pictures, cameras, saved searches."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from handmade_metadata import xmp_of
from smallsight.library.edits import WordChange, edit_contents
from smallsight.library.saved_searches import save_search
from smallsight.library.texts import renew_searchable, store_lines
from smallsight.reading.text_line import TextLine
from smallsight.services.application import Application
from smallsight.services.picture_library import open_library
from smallsight.settings import Settings
from tiny_bert import write_tiny_bert

NUM_CONTENTS = 26
_MAX_NAME_BYTES = 200
_DESCRIPTION, _MODEL = 0x010E, 0x0110  # of EXIF


def make_hostile_library(home: Path, pictures: Path, texts: Sequence[str]) -> None:
    """Write pictures with these texts everywhere, index them, and store what people and OCR would add."""
    groups = [list(texts[number::NUM_CONTENTS]) for number in range(NUM_CONTENTS)]
    for number, group in enumerate(groups):
        data = _picture(number, groups[number - 1] + group)
        for text in group:
            path = _place(pictures, text)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    embedding = {"model_dir": write_tiny_bert(home / "bert")}  # vectors of long texts take minutes otherwise
    with open_library(home, index={"ocr": False}, embedding=embedding) as library:
        library.index(pictures)
    with Application.for_editing(Settings(home=home)) as application:
        database = application.database
        for number, group in enumerate(groups):
            content_id = application.library.find_content(_place(pictures, group[0]))
            lines = [TextLine(text, 0.9, _box(row)) for row, text in enumerate(group)]
            with database.writing() as connection:
                store_lines(connection, content_id, lines, 20_000)
                renew_searchable(connection, [content_id])
            description = None if number % 2 else "\n".join(groups[number + 1] + group)
            edit_contents(database, [content_id], WordChange(description, tags_added=tuple(group)))
        for text in texts[:60]:
            save_search(database, text, {"q": text})


def _picture(number: int, words: Sequence[str]) -> bytes:
    """Return a picture with these words in its EXIF and XMP data."""
    path = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
    exif = Image.Exif()
    exif[_DESCRIPTION], exif[_MODEL] = words[0], words[-1][:60]
    xmp = xmp_of("\n".join(words), words, words[0])
    Image.fromarray(pixels).resize((320, 240)).save(path, "JPEG", exif=exif, xmp=xmp)
    return path.getvalue()


def _place(folder: Path, text: str) -> Path:
    """Return a path that spells the text: where it has a slash, a folder begins."""
    names = [_short(one) for one in f"x{text}.jpg".split("/") if one]
    return folder.joinpath(*names)


def _short(name: str) -> str:
    ending = ".jpg" if name.endswith(".jpg") else ""
    return name.removesuffix(".jpg").encode()[:_MAX_NAME_BYTES].decode(errors="ignore") + ending


def _box(row: int) -> tuple[tuple[float, float], ...]:
    top, bottom = 0.1 * row, 0.1 * row + 0.08
    return ((0.05, top), (0.95, top), (0.95, bottom), (0.05, bottom))
