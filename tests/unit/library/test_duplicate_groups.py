"""Copies and similar pictures of a real library on disk, decisions about them, and removal of files."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image, ImageDraw, ImageFont, ImageOps

from quiet_progress import QuietProgress
from smallsight.errors import ArgumentError, FileChangedError, FileNotRemovableError, NotInLibraryError
from smallsight.library.alike.pairs import Reason
from smallsight.library.database import Database
from smallsight.library.duplicate_groups import DuplicateGroup, GroupKind, forget_decision, groups, resolve
from smallsight.library.ignored import ignore_contents, list_ignored, stop_ignoring
from smallsight.library.indexer import Indexer
from smallsight.library.library import Library
from smallsight.library.remove_files import remove_file
from smallsight.library.scan import FolderScan
from smallsight.library.schema import content
from smallsight.library.stages.compare import CompareWork
from smallsight.library.stages.look import LookWork
from smallsight.settings import Settings

Index = Callable[[], None]


def scene(seed: int, size: tuple[int, int] = (240, 172)) -> Image.Image:
    """Draw something with a look of its own."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(30, 220, (6, 8, 3), np.uint8)
    image = Image.fromarray(ground).resize(size, Image.Resampling.BICUBIC)
    drawing = ImageDraw.Draw(image)
    for _ in range(9):
        x, y = int(rng.integers(0, size[0] - 40)), int(rng.integers(0, size[1] - 40))
        colour = tuple(int(one) for one in rng.integers(0, 256, 3))
        drawing.ellipse((x, y, x + int(rng.integers(14, 80)), y + int(rng.integers(14, 60))), fill=colour)
    return image


def with_bar(image: Image.Image, words: str) -> Image.Image:
    made = Image.new("RGB", (image.width, image.height + 34), "white")
    made.paste(image, (0, 34))
    ImageDraw.Draw(made).text((8, 8), words, fill="black", font=ImageFont.load_default(size=14))
    return made


def recoloured(image: Image.Image) -> Image.Image:
    """Return the image of the same brightness with blue and red exchanged."""
    brightness, blue, red = image.convert("YCbCr").split()
    return Image.merge("YCbCr", (brightness, red, blue)).convert("RGB")


def index_folder(database: Database, settings: Settings, pictures: Path) -> None:
    known = Library(database).add_folder(pictures)
    FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    works = [LookWork(settings), CompareWork(database, settings)]
    Indexer(database, settings, works).run(QuietProgress(), lambda: False)


@pytest.fixture
def index(database: Database, settings: Settings, pictures: Path) -> Index:
    return lambda: index_folder(database, settings, pictures)


def names(database: Database, kind: GroupKind, **options: bool) -> list[set[str]]:
    page = groups(database, kind, **options)
    return [names_of(group) for group in page.groups]


def names_of(group: DuplicateGroup) -> set[str]:
    return {path.name for member in group.members for path in member.paths}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A library of altered copies, memes and pairs of the same picture, compared once for several tests."""
    home = tmp_path_factory.mktemp("compared")
    folder = home / "pictures"
    folder.mkdir()
    first, second = scene(1), scene(2)
    first.save(folder / "first.png")
    first.resize((120, 86)).save(folder / "small.jpg", quality=40)
    first.crop((12, 9, 228, 163)).save(folder / "cropped.jpg")
    ImageOps.expand(first, 13, "white").save(folder / "bordered.jpg")
    second.save(folder / "second.png")
    ImageOps.mirror(second).save(folder / "mirrored.jpg")
    second.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg")
    with_bar(second, "when it rains again").save(folder / "captioned.jpg")
    with_bar(scene(3), "me explaining my hobby").save(folder / "hobby.png")
    with_bar(scene(3), "THE CAT AT 3 AM").save(folder / "cat.png")
    scene(20).save(folder / "drawing.png")
    recoloured(scene(20)).save(folder / "recoloured.png")
    scene(4).save(folder / "cats.png")
    scene(4).save(folder / "dogs.jpg")
    for seed in range(10, 13):
        scene(seed).save(folder / f"other{seed}.png")
    settings = Settings(home=home / "home")
    with Database.open_for_writing(settings.database_path) as database:
        index_folder(database, settings, folder)
        for name, text in (("cats.png", "INVOICE 1001 FOR CATS"), ("dogs.jpg", "INVOICE 2733 FOR DOGS")):
            with database.writing() as connection:
                connection.execute(
                    content.update()
                    .where(content.c.id == Library(database).find_content(folder / name))
                    .values(ocr_text=text, ocr_source="human")
                )
        yield database


def test_altered_copies_are_the_same_picture_and_others_are_not(compared: Database):
    assert sorted(map(sorted, names(compared, GroupKind.SAME))) == [
        ["bordered.jpg", "cropped.jpg", "first.png", "small.jpg"],
        ["captioned.jpg", "mirrored.jpg", "second.png", "turned.jpg"],
    ]
    for group in groups(compared, GroupKind.SAME).groups:
        keeper = next(one for one in group.members if one.content_id == group.keeper_id)
        assert keeper.paths[0].name in {"first.png", "second.png"}
    reasons = {reason for group in groups(compared, GroupKind.SAME).groups for reason in group.reasons}
    assert {Reason.BORDER, Reason.CROP, Reason.CAPTION, Reason.MIRRORED, Reason.TURNED} <= reasons


@pytest.mark.parametrize(
    "pair", [{"hobby.png", "cat.png"}, {"cats.png", "dogs.jpg"}], ids=["in a bar", "as text"]
)
def test_pictures_with_other_words_are_similar_only(compared: Database, pair: set[str]):
    page = groups(compared, GroupKind.SIMILAR)
    (group,) = (one for one in page.groups if names_of(one) == pair)
    assert group.reasons == (Reason.OTHER_WORDS,)


def test_drawings_in_other_colours_are_similar_only(compared: Database):
    page = groups(compared, GroupKind.SIMILAR)
    (group,) = (one for one in page.groups if {"drawing.png", "recoloured.png"} <= names_of(one))
    assert group.reasons == (Reason.OTHER_COLOURS,)


def test_a_resolved_group_stays_away_until_a_new_member_comes(
    database: Database, pictures: Path, index: Index
):
    scene(5).save(pictures / "a.png")
    scene(5).save(pictures / "b.jpg")
    index()
    (group,) = groups(database, GroupKind.SAME).groups
    with pytest.raises(ArgumentError, match="Not in this group"):
        resolve(database, group.content_ids, keep=[99])
    with pytest.raises(NotInLibraryError):
        resolve(database, [*group.content_ids, 99], keep=[])
    resolve(database, group.content_ids, keep=group.content_ids)
    assert names(database, GroupKind.SAME) == []
    (pictures / "sub").mkdir()
    shutil.move(pictures / "b.jpg", pictures / "sub" / "moved.jpg")
    index()
    assert groups(database, GroupKind.SAME).total == 0
    assert names(database, GroupKind.SAME, with_resolved=True) == [{"a.png", "moved.jpg"}]
    scene(5).save(pictures / "c.webp")
    index()
    assert names(database, GroupKind.SAME) == [{"a.png", "moved.jpg", "c.webp"}]
    (group,) = groups(database, GroupKind.SAME).groups
    resolve(database, group.content_ids, keep=[group.keeper_id])
    assert groups(database, GroupKind.SAME).total == 0
    assert forget_decision(database, group.content_ids) == 6
    assert groups(database, GroupKind.SAME).total == 1


def test_identical_files_are_a_group_and_a_further_copy_brings_it_back(
    database: Database, pictures: Path, index: Index
):
    scene(6).save(pictures / "a.png")
    shutil.copy(pictures / "a.png", pictures / "b.png")
    index()
    (group,) = groups(database, GroupKind.SAME).groups
    assert group.reasons == (Reason.IDENTICAL,)
    assert [path.name for path in group.members[0].paths] == ["a.png", "b.png"]
    resolve(database, group.content_ids, keep=group.content_ids)
    assert groups(database, GroupKind.SAME).total == 0
    shutil.copy(pictures / "a.png", pictures / "c.png")
    index()
    assert names(database, GroupKind.SAME) == [{"a.png", "b.png", "c.png"}]


def test_an_ignored_picture_does_not_come_back_until_that_is_undone(
    database: Database, library: Library, pictures: Path, index: Index
):
    path = pictures / "a.png"
    scene(7).save(path)
    scene(8).save(pictures / "b.png")
    index()
    content_id = library.find_content(path)
    ignore_contents(database, [content_id])
    index()
    assert library.summary().num_files == 1
    shutil.copy(path, pictures / "copy.png")
    os.utime(path, ns=(5, 5))
    index()
    assert library.summary().num_files == 1
    (one,) = list_ignored(database)
    assert one.paths == (path, pictures / "copy.png")
    assert stop_ignoring(database, [one.sha256]) == 1
    index()
    assert library.details(content_id).paths == (path, pictures / "copy.png")
    assert list_ignored(database) == []
    with pytest.raises(NotInLibraryError):
        ignore_contents(database, [99])


@pytest.fixture
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "Trash"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_goes_to_the_trash_and_is_gone_from_the_library(
    database: Database, library: Library, pictures: Path, index: Index, trash: Path
):
    path = pictures / "ä cat.png"
    scene(9).save(path)
    index()
    data = path.read_bytes()
    removed = remove_file(database, path, sha256(path))
    assert not path.exists()
    assert removed.trashed == trash / "files" / "ä cat.png"
    assert removed.trashed.read_bytes() == data
    info = (trash / "info" / "ä cat.png.trashinfo").read_text()
    assert info.startswith("[Trash Info]\nPath=/")
    assert "%C3%A4%20cat.png\nDeletionDate=" in info
    assert library.summary().num_files == 0
    path.write_bytes(data)
    index()
    assert remove_file(database, path, sha256(path)).trashed == trash / "files" / "ä cat.2.png"
    path.write_bytes(data)
    index()
    assert remove_file(database, path, sha256(path), for_good=True).trashed is None
    assert not path.exists()


def test_what_is_not_the_file_that_was_shown_is_not_removed(
    database: Database, library: Library, pictures: Path, tmp_path: Path, index: Index, trash: Path
):
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = pictures / "sub"
    inside.mkdir()
    scene(10).save(inside / "a.png")
    index()
    seen = sha256(inside / "a.png")
    with pytest.raises(NotInLibraryError):
        remove_file(database, outside / "a.png", seen)
    with pytest.raises(FileChangedError):
        remove_file(database, inside / "a.png", "0" * 64)
    shutil.move(inside / "a.png", outside / "a.png")
    inside.rmdir()
    inside.symlink_to(outside)
    with pytest.raises((FileNotRemovableError, FileChangedError)):
        remove_file(database, inside / "a.png", seen)
    inside.unlink()
    inside.mkdir()
    (inside / "a.png").symlink_to(outside / "a.png")
    with pytest.raises(FileChangedError, match="not a file any more"):
        remove_file(database, inside / "a.png", seen)
    (inside / "a.png").unlink()
    scene(11).save(inside / "a.png")
    with pytest.raises(FileChangedError, match="has changed"):
        remove_file(database, inside / "a.png", seen)
    assert (inside / "a.png").exists()
    assert (outside / "a.png").exists()
    with database.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM search_text")).scalar() == 1
