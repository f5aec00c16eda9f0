"""Memes of one template with other words in a bar: the text that the real networks read decides."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from forked_commands import run_command
from smallsight.library.alike.pairs import Reason, read_pairs
from smallsight.library.database import Database
from smallsight.library.duplicate_groups import DuplicateGroup, GroupKind, groups
from smallsight.library.library import Library
from smallsight.reading.text_reader import is_reading_available

TEMPLATE = Path(__file__).parents[3] / "examples" / "pictures" / "photos" / "DSC_0482.jpg"
WORDS, OTHER_WORDS = "my hobby", "the cat"  # short, so that looks do not tell them apart


def meme(words: str) -> Image.Image:
    """Return the template below a white bar with words."""
    with Image.open(TEMPLATE) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((900, 900))
    bar_px = round(image.height * 0.18)
    made = Image.new("RGB", (image.width, image.height + bar_px), "white")
    made.paste(image, (0, bar_px))
    font = ImageFont.load_default(size=bar_px // 5)
    ImageDraw.Draw(made).text((image.width * 0.05, bar_px * 0.25), words, fill="black", font=font)
    return made


def names_of(group: DuplicateGroup) -> list[str]:
    return sorted(member.paths[0].name for member in group.members)


@pytest.mark.skipif(not is_reading_available(), reason="needs the ocr extra")
def test_other_words_in_a_bar_part_memes_that_look_the_same(tmp_path: Path):
    folder = tmp_path / "memes"
    folder.mkdir()
    meme(WORDS).save(folder / "hobby.jpg", quality=88)
    meme(WORDS).reduce(2).save(folder / "hobby again.jpg", quality=70)
    meme(OTHER_WORDS).save(folder / "cat.jpg", quality=88)
    code, out, err = run_command(
        ["index", str(folder), "--quiet"], {**os.environ, "SMALLSIGHT_HOME": str(tmp_path / "home")}
    )
    assert code == 0, f"{out}\n{err}"
    with Database.open_for_reading(tmp_path / "home" / "library.sqlite3") as database:
        library = Library(database)
        ids = {name: library.find_content(folder / name) for name in ("hobby.jpg", "cat.jpg")}
        assert (library.details(ids["cat.jpg"]).ocr_text or "").startswith(OTHER_WORDS)
        with database.cursor() as cursor:
            (by_look,) = (
                pair for pair in read_pairs(cursor) if {pair.first_id, pair.second_id} == set(ids.values())
            )
        assert by_look.is_same, "looks tell them apart: this tests no words"
        (same,) = groups(database, GroupKind.SAME).groups
        assert names_of(same) == ["hobby again.jpg", "hobby.jpg"]
        (similar,) = groups(database, GroupKind.SIMILAR).groups
        assert similar.reasons == (Reason.OTHER_WORDS,)
        assert "cat.jpg" in names_of(similar)
