"""A person's words follow the picture through other bytes, and no other picture gets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from quiet_progress import QuietProgress
from smallsight.errors import NotInLibraryError
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.lost_words import attach_words, list_lost_words
from smallsight.library.scan import FolderScan
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.reading.text_line import TextLine

BOX = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


class CountingReader:
    """Reads every picture as the same line, and counts."""

    key = "counting-1"
    num_at_once = 1

    def __init__(self) -> None:
        self.num_read = 0

    def read(self, image_HWC):  # noqa: ARG002
        self.num_read += 1
        return [TextLine(f"line {self.num_read}", 0.9, BOX)]


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Return a smooth picture with a structure of its own, as photos have."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def reader() -> CountingReader:
    return CountingReader()


@pytest.fixture
def index(database, settings, library, pictures, reader):
    def run() -> IndexReport:
        known = library.add_folder(pictures)
        FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
        works = list_stages(Means(database, settings, reader=reader))
        return Indexer(database, settings, works).run(QuietProgress(), lambda: False)

    return run


@pytest.fixture
def described(library, index, pictures):
    """A picture that a person has described, tagged and taken a tag off."""

    def write(name: str = "cat.png", seed: int = 1) -> Path:
        path = pictures / name
        scene(seed).save(path)
        index()
        content_id = library.find_content(path)
        library.edit(content_id, description="Felix on the roof", tags_added=("cats", "dogs"))
        library.edit(content_id, tags_removed=("dogs",))
        return path

    return write


def words(library, path: Path) -> tuple[str | None, tuple[str, ...]]:
    details = library.details(library.find_content(path))
    return details.description, details.tags


WORDS = ("Felix on the roof", ("cats",))


def with_metadata(path: Path) -> None:
    info = PngInfo()
    info.add_text("Rating", "5")
    Image.open(path).save(path, pnginfo=info)


@pytest.mark.parametrize(
    "change",
    [
        with_metadata,
        lambda path: scene(1).transpose(Image.Transpose.ROTATE_90).save(path),
        lambda path: scene(1).transpose(Image.Transpose.ROTATE_180).save(path),
        lambda path: scene(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path),
        lambda path: scene(1).crop((8, 6, 310, 230)).save(path),
        lambda path: scene(1).resize((640, 480)).save(path),
        lambda path: scene(1).point(lambda value: min(255, value * 1.2)).save(path),
    ],
    ids=["metadata", "a quarter turn", "half a turn", "mirrored", "crop", "larger", "brighter"],
)
def test_words_stay_when_the_same_picture_is_saved_under_the_same_name(described, library, index, change):
    path = described()
    change(path)
    index()
    assert words(library, path) == WORDS


def test_a_photo_that_reuses_the_name_inherits_nothing(described, library, index):
    path = described()
    for seed in range(2, 12):
        scene(seed).save(path)
        index()
        assert words(library, path) == (None, ())


def test_a_copy_with_other_metadata_shares_words_and_results(described, library, index, reader, pictures):
    path = described()
    assert reader.num_read == 1
    scene(1).save(pictures / "export.png")
    with_metadata(pictures / "export.png")
    index()
    assert words(library, pictures / "export.png") == WORDS
    details = library.details(library.find_content(pictures / "export.png"))
    assert (reader.num_read, details.ocr_text) == (1, "line 1")
    library.edit(library.find_content(path), description="Felix has come down")
    assert words(library, pictures / "export.png")[0] == "Felix has come down"
    assert index().stages["read"].done == 0


def test_words_of_a_picture_that_is_gone_are_listed_and_attached(
    described, library, index, pictures, database
):
    path = described()
    scene(7).save(pictures / "stays.png")
    assert list_lost_words(database) == []
    path.unlink()
    index()
    (lost,) = list_lost_words(database)
    assert (lost.paths, lost.description, lost.tags) == ((path,), *WORDS)
    scene(8).save(pictures / "new.png")
    index()
    new_id = library.find_content(pictures / "new.png")
    for unknown in ("ffffffffffff", "%", "", lost.id.upper() + "x"):
        with pytest.raises(NotInLibraryError, match="No picture that is gone"):
            attach_words(database, unknown, new_id)
    attach_words(database, lost.id[:8], new_id)
    assert words(library, pictures / "new.png") == WORDS
    assert list_lost_words(database) == []


def test_words_that_another_file_has_inherited_are_not_lost(described, index, database):
    path = described()
    with_metadata(path)
    index()
    assert list_lost_words(database) == []
    scene(9).save(path)
    index()
    (lost,) = list_lost_words(database)  # of the two contents with the same pixels, one at a time
    assert lost.description == WORDS[0]


def test_words_of_its_own_are_not_replaced(described, library, index, pictures):
    other = pictures / "other.png"
    scene(1, (321, 240)).save(other)
    path = described()
    library.edit(library.find_content(other), description="Another cat")
    other.replace(path)
    index()
    assert words(library, path) == ("Another cat", ("cats",))


def test_two_animations_with_one_first_frame_are_two_pictures(library, index, reader, pictures):
    for name, second in (("a.gif", 2), ("b.gif", 3)):
        scene(1).save(pictures / name, save_all=True, append_images=[scene(second)])
    index()
    first, second_id = (library.find_content(pictures / name) for name in ("a.gif", "b.gif"))
    texts = [library.details(one).ocr_text for one in (first, second_id)]
    assert reader.num_read == 4  # two frames of each
    assert texts[0] != texts[1]
    library.edit(first, description="One")
    assert words(library, pictures / "b.gif") == (None, ())
