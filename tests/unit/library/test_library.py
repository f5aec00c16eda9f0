from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from quiet_progress import QuietProgress
from smallsight.errors import NotInLibraryError
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content, tag
from smallsight.library.texts import EmbeddableTexts, chunk_texts, store_lines
from smallsight.reading.text_line import TextLine
from smallsight.settings import Settings

Draw = Callable[..., Path]
LINE = TextLine("MONDAY AGAIN", 0.98765, ((0.1, 0.1), (0.9, 0.1), (0.9, 0.2), (0.1, 0.2)))


@pytest.fixture
def content_id(database: Database, library: Library, settings: Settings, draw: Draw, pictures: Path) -> int:
    path = draw("a.png")
    known = library.add_folder(pictures)
    FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    return library.find_content(path)


def read_by_machine(database: Database, content_id: int, *lines: TextLine) -> None:
    with database.writing() as connection:
        store_lines(connection, content_id, lines, 1000)


def test_a_persons_words_are_never_overwritten_by_a_machine(
    database: Database, library: Library, content_id: int
):
    read_by_machine(database, content_id, LINE)
    assert library.details(content_id).ocr_text == "MONDAY AGAIN"
    library.edit(content_id, ocr_text="Monday, again")
    read_by_machine(database, content_id, LINE)
    assert library.details(content_id).ocr_text == "Monday, again"


def test_emptying_a_text_gives_it_back_to_the_machine(database: Database, library: Library, content_id: int):
    library.edit(content_id, ocr_text="mine")
    library.edit(content_id, ocr_text="")
    read_by_machine(database, content_id, LINE)
    assert library.details(content_id).ocr_text == "MONDAY AGAIN"


def test_a_description_says_who_wrote_it(library: Library, content_id: int):
    details = library.edit(content_id, description="  a red square ")
    assert (details.description, details.description_source) == ("a red square", "human")
    details = library.edit(content_id, description="")
    assert (details.description, details.description_source) == (None, None)


def test_tags_are_the_same_whatever_their_case(database: Database, library: Library, content_id: int):
    assert library.edit(content_id, tags_added=("Café", "work")).tags == ("Café", "work")
    assert library.edit(content_id, tags_added=("CAFÉ", "  ")).tags == ("Café", "work")
    assert library.edit(content_id, tags_removed=("cafe",)).tags == ("work",)
    with database.reading() as connection:
        assert connection.execute(sa.select(tag.c.name)).scalars().all() == ["work"]


def test_every_change_makes_the_vectors_due_again(database: Database, library: Library, content_id: int):
    def version() -> int:
        with database.reading() as connection:
            return int(connection.execute(sa.select(content.c.text_version)).scalar_one())

    before = version()
    library.edit(content_id, tags_added=("x",))
    assert version() > before


def test_a_picture_is_found_by_any_of_its_paths(library: Library, content_id: int, pictures: Path):
    link = pictures.with_name("link")
    link.symlink_to(pictures)
    assert library.find_content(link / "a.png") == content_id
    assert library.details(content_id).paths == (pictures / "a.png",)


def test_what_is_not_in_the_library_is_a_sentence(library: Library, pictures: Path):
    with pytest.raises(NotInLibraryError, match=r"nothing\.png"):
        library.find_content(pictures / "nothing.png")
    with pytest.raises(NotInLibraryError):
        library.details(99)
    with pytest.raises(NotInLibraryError):
        library.remove_folder(pictures / "never added")


def test_removing_a_folder_forgets_its_pictures_and_touches_no_file(
    database: Database, library: Library, content_id: int, pictures: Path
):
    summary = library.remove_folder(pictures)
    assert summary.num_pictures == 1
    assert library.folders() == []
    assert library.details(content_id).paths == ()
    assert (pictures / "a.png").exists()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM search_text").scalar_one() == 0


def test_the_summary_counts_contents_once(
    database: Database, library: Library, content_id: int, draw: Draw, pictures: Path, settings: Settings
):
    draw("copy.png")
    known = library.folders()[0]
    FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    read_by_machine(database, content_id, LINE)
    summary = library.summary()
    assert (summary.num_files, summary.num_contents, summary.num_with_text) == (2, 1, 1)


def chunks(**texts: object) -> list[str]:
    defaults: dict[str, object] = {"ocr_text": None, "description": None, "tags": (), "names": ()}
    return chunk_texts(EmbeddableTexts(**{**defaults, **texts}))  # type: ignore[arg-type]


def test_nothing_known_makes_no_chunks():
    assert chunks() == []
    assert chunks(ocr_text="", names=("IMG_2041.jpg",)) == []


def test_short_texts_are_one_chunk_each():
    assert chunks(ocr_text="one\ntwo", description="a cat", tags=("x", "y")) == ["a cat", "one two", "x, y"]


@pytest.mark.parametrize("num_words", [39, 40, 41, 50, 70, 71, 400])
def test_long_texts_are_covered_by_overlapping_windows(num_words: int):
    words = [f"w{number}" for number in range(num_words)]
    pieces = [piece.split() for piece in chunks(ocr_text=" ".join(words))]
    assert all(len(piece) <= 40 for piece in pieces)
    assert list(dict.fromkeys(sum(pieces, []))) == words
    for before, after in pairwise(pieces):
        assert before[-10:] == after[:10]


def test_endless_text_makes_a_bounded_number_of_chunks():
    assert len(chunks(ocr_text="word " * 20_000 + "end")) <= 24
    assert len(chunks(ocr_text=" ".join(f"w{n}" for n in range(20_000)))) == 24


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("memes/sunset_over-the sea.jpg", "sunset over the sea"),
        ("IMG_2041.jpg", ""),
        ("Screenshot_2026-03-02.png", ""),
        ("cat.png", ""),
        ("WhatsApp Image 2026-02-14.jpeg", ""),
        ("кот на окне.jpg", "кот окне"),
    ],
)
def test_only_names_that_a_person_chose_mean_something(name: str, meaning: str):
    assert chunks(names=(name,)) == ([meaning] if meaning else [])
