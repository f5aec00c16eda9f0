from __future__ import annotations

from pathlib import Path

import pytest

from smallsight.library.database import Database
from smallsight.library.exporting.placement import CaptionNames, Placement
from smallsight.library.exporting.record import ExportedFile, PictureRecord
from smallsight.library.exporting.sidecars import CaptionSidecars, SidecarState, XmpSidecars
from smallsight.library.exporting.written_files import WrittenFiles
from smallsight.library.schema import folder, picture


@pytest.fixture
def album(tmp_path: Path) -> Path:
    path = tmp_path / "album"
    path.mkdir()
    return path


def export(home: Path, album: Path, captions: dict[str, str | None]) -> list[SidecarState]:
    """Export the captions of pictures of an album, which has no others."""
    with Database.open_for_writing(home / "library.sqlite3") as database:
        with database.writing() as connection:
            connection.execute(folder.delete())
            connection.execute(folder.insert().values(id=1, path=str(album), added_at_s=0))
            for name in captions:
                file = {"path": name, "size_bytes": 1, "mtime_ns": 0, "seen_at_s": 0}
                connection.execute(picture.insert().values(folder_id=1, **file))
        placement = Placement([album], None)
        written = WrittenFiles(home / "written")
        sidecars = CaptionSidecars(CaptionNames(database), placement, written, overwrite=False)
    records = [
        PictureRecord((ExportedFile(album, name),), 1, description=text) for name, text in captions.items()
    ]
    return [one.state for record in records for one in sidecars.write(record)]


def texts(album: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in album.iterdir()}


def test_a_caption_is_renamed_when_another_picture_needs_its_name(tmp_path: Path, album: Path):
    export(tmp_path, album, {"a.jpg": "one"})
    assert texts(album) == {"a.txt": "one\n"}
    export(tmp_path, album, {"a.jpg": "one", "a.png": "two"})
    assert texts(album) == {"a.jpg.txt": "one\n", "a.png.txt": "two\n"}
    export(tmp_path, album, {"a.png": "two"})
    assert texts(album) == {"a.jpg.txt": "one\n", "a.txt": "two\n"}
    export(tmp_path, album, {"a": "bare", "a.png": "two"})
    export(tmp_path, album, {"a": "bare", "a.png": "two"})
    assert texts(album) == {"a.jpg.txt": "one\n", "a.txt": "bare\n", "a.png.txt": "two\n"}


def test_a_changed_caption_is_somebody_elses(tmp_path: Path, album: Path):
    export(tmp_path, album, {"a.jpg": "one"})
    (album / "a.txt").write_text("one, improved\n")
    assert export(tmp_path, album, {"a.jpg": "other"}) == [SidecarState.KEPT]
    assert export(tmp_path, album, {"a.jpg": None}) == [SidecarState.WORDLESS]
    assert export(tmp_path, album, {"a.jpg": "one", "a.png": None}) == [
        SidecarState.WRITTEN,
        SidecarState.WORDLESS,
    ]
    assert texts(album) == {"a.txt": "one, improved\n", "a.jpg.txt": "one\n"}


def test_a_list_of_written_files_that_was_cut_still_counts(tmp_path: Path, album: Path):
    export(tmp_path, album, {"a.jpg": "one", "b.jpg": "two"})
    data = (tmp_path / "written").read_bytes()
    (tmp_path / "written").write_bytes(data[:-5])
    states = export(tmp_path, album, {"a.jpg": "1", "b.jpg": "2"})
    assert states == [SidecarState.WRITTEN, SidecarState.KEPT]
    assert export(tmp_path, album, {"a.jpg": "one"}) == [SidecarState.WRITTEN]


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_plain_file_is_an_error_of_one_sidecar(tmp_path: Path, album: Path, kind: str):
    target = tmp_path / "mine.txt"
    target.write_text("mine")
    for name in ("a.txt", "a.jpg.xmp"):
        (album / name).mkdir() if kind == "folder" else (album / name).symlink_to(target)
    assert export(tmp_path, album, {"a.jpg": "one", "b.jpg": "two"}) == [
        SidecarState.FAILED,
        SidecarState.WRITTEN,
    ]
    record = PictureRecord((ExportedFile(album, "a.jpg"),), 1, description="one", description_by="human")
    (one,) = XmpSidecars(Placement([album], None), overwrite=True).write(record)
    assert one.state is SidecarState.FAILED
    assert target.read_text() == "mine"


def test_folders_beside_the_pictures_are_never_created(tmp_path: Path):
    """A disk that is not connected must not get its pictures' words on another."""
    gone = tmp_path / "gone"
    record = PictureRecord((ExportedFile(gone, "a.jpg"),), 1, description="one", description_by="human")
    (one,) = XmpSidecars(Placement([gone], None), overwrite=True).write(record)
    assert one.error is not None
    assert one.error.exit_code == 7
    assert not gone.exists()
