"""Videos as contents of the library, and the vectors of frames of whatever moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from clips import animated, animation, clip
from coloured_films import BLUE, GREEN, RED, ByColour, ColourReader, Problems, film, found, frame
from quiet_progress import QuietProgress
from smallsight.library import scan as scan_module
from smallsight.library.database import Database
from smallsight.library.duplicate_groups import GroupKind, groups
from smallsight.library.indexer import Indexer, IndexReport
from smallsight.library.ledger import LOOK
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan, ScanReport
from smallsight.library.schema import content, outcome, picture_vector
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.stages.embed_frames import EMBED_FRAMES
from smallsight.library.stages.embed_picture import EMBED_PICTURE
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.thumbnails import thumbnail_path
from smallsight.media import video_formats
from smallsight.settings import Settings


@pytest.fixture
def scan(
    database: Database, library: Library, settings: Settings, pictures: Path
) -> Callable[[], ScanReport]:
    def run() -> ScanReport:
        known = library.add_folder(pictures)
        return FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)

    return run


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture
def index(
    database: Database, settings: Settings, scan: Callable[[], ScanReport], problems: Problems
) -> Callable[..., IndexReport]:
    def run(should_stop: Callable[[], bool] = lambda: False, *, reads: bool = False) -> IndexReport:
        scan()
        means = Means(
            database, settings, picture_embedder=ByColour(), reader=ColourReader() if reads else None
        )
        return Indexer(database, settings, list_stages(means)).run(problems, should_stop)

    return run


@pytest.fixture
def searcher(database: Database, settings: Settings) -> Searcher:
    return Searcher(SqliteTextIndex(database), settings, None, ByColour)


def rows(database: Database, library: Library, path: Path) -> list[float | None]:
    """Return the times of a content's vectors."""
    with database.reading() as connection:
        statement = sa.select(picture_vector.c.time_s).where(
            picture_vector.c.content_id == library.find_content(path)
        )
        return list(connection.execute(statement.order_by(picture_vector.c.id)).scalars())


def test_a_video_has_a_still_a_length_and_is_found_by_a_frame_in_its_middle(
    index, pictures, library, settings, searcher
):
    path = pictures / "holiday.mp4"
    path.write_bytes(film(RED, GREEN, BLUE))
    (pictures / "clip of nothing.webm").write_bytes(film((90, 90, 90), container="webm"))
    report = index()
    assert {name: stage.failed for name, stage in report.stages.items() if stage.failed} == {}
    details = library.details(library.find_content(path))
    assert (details.format, details.kind, details.num_frames) == ("MP4", "video", 120)
    assert (details.width_px, details.height_px) == (64, 64)
    assert details.duration_s == pytest.approx(12, abs=0.1)
    thumbnail = Image.open(thumbnail_path(settings.thumbnails_dir, details.sha256))
    assert np.asarray(thumbnail.convert("RGB"))[32, 32] == pytest.approx(RED, abs=20)
    green = searcher.search("green").hits
    assert [hit.path for hit in green] == [path]
    assert green[0].found_by == ("looks_like",)
    assert 4.0 <= green[0].found_at_s < 8.0
    assert green[0].duration_s == details.duration_s
    assert 8.0 <= found(searcher, "blue")["holiday.mp4"] < 12.0
    assert found(searcher, "red")["holiday.mp4"] < 4.0
    assert found(searcher, "kind:video").keys() == {"holiday.mp4", "clip of nothing.webm"}


def test_an_animation_is_found_by_any_of_its_frames_and_counts_once(
    index, pictures, library, database, searcher
):
    path = pictures / "a.gif"
    images = [Image.fromarray(frame(one)) for one in (RED, RED, GREEN, BLUE)]
    path.write_bytes(animated(images, duration=1000))
    Image.fromarray(frame(GREEN)).save(pictures / "green.png")
    index()
    assert found(searcher, "blue") == {"a.gif": pytest.approx(3.25)}
    assert found(searcher, "green") == {"green.png": None, "a.gif": pytest.approx(2.25)}
    assert len(rows(database, library, path)) == 1 + 3
    assert rows(database, library, pictures / "green.png") == [None]
    similar = searcher.similar(library.find_content(pictures / "green.png")).hits
    assert [(hit.path.name, hit.found_at_s) for hit in similar] == [("a.gif", pytest.approx(2.25))]


def test_an_animation_that_was_embedded_before_gets_frames_and_keeps_its_vector(
    index, pictures, library, database, searcher
):
    path = pictures / "a.gif"
    path.write_bytes(animated([Image.fromarray(frame(one)) for one in (RED, BLUE)], duration=1000))
    index()
    with database.writing() as connection:  # as the version before left it
        connection.execute(picture_vector.delete().where(picture_vector.c.time_s.is_not(None)))
        connection.execute(outcome.delete().where(outcome.c.stage == EMBED_FRAMES))
    assert found(searcher, "blue") == {}
    report = index()
    assert (report.stages[EMBED_PICTURE].done, report.stages[EMBED_FRAMES].done) == (0, 1)
    assert found(searcher, "blue") == {"a.gif": pytest.approx(1.25)}


def test_an_animation_of_500_frames_has_few_vectors(index, pictures, library, database):
    path = pictures / "long.gif"
    path.write_bytes(animation(500, frame_ms=40))
    index()
    assert len(rows(database, library, path)) == 1 + 16


def test_damaged_videos_do_not_stop_the_others(index, pictures, library, problems, searcher):
    (pictures / "a cut.mp4").write_bytes(film(RED, GREEN)[:3000])
    (pictures / "b empty.mp4").write_bytes(b"")
    (pictures / "c text.mov").write_text("this is no video")
    (pictures / "d good.mp4").write_bytes(film(GREEN, RED))
    index()
    assert problems.found.keys() == {"a cut.mp4", "b empty.mp4", "c text.mov"}
    assert all(error.message for error in problems.found.values())
    assert found(searcher, "green").keys() == {"d good.mp4"}
    again = index()
    assert all(not stage.failed for stage in again.stages.values()), "tried once"


def test_the_bytes_say_what_a_file_is_whatever_its_name(index, pictures, library, problems, searcher):
    Image.fromarray(frame(GREEN)).save(pictures / "picture.png")
    (pictures / "picture.png").rename(pictures / "picture.mp4")
    (pictures / "video.jpg").write_bytes(film(RED, GREEN))
    index()
    assert problems.found == {}
    kinds = {
        name: library.details(library.find_content(pictures / name)).kind
        for name in ("picture.mp4", "video.jpg")
    }
    assert kinds == {"picture.mp4": "picture", "video.jpg": "video"}
    assert found(searcher, "green").keys() == {"picture.mp4", "video.jpg"}


def test_text_is_read_from_several_frames_of_a_video(index, pictures, searcher, library):
    path = pictures / "signs.mp4"
    path.write_bytes(film(RED, GREEN, BLUE))
    index(reads=True)
    text = library.details(library.find_content(path)).ocr_text
    assert text.split("\n")[0] == "red"
    assert set(text.split("\n")) == {"red", "green", "blue"}


def test_a_video_is_a_copy_of_nothing_that_only_looks_like_its_still(index, pictures, database):
    first = film(RED, GREEN)
    (pictures / "one.mp4").write_bytes(first)
    (pictures / "two.mp4").write_bytes(film(RED, BLUE))
    (pictures / "same.mp4").write_bytes(first)
    Image.fromarray(frame(RED)).save(pictures / "still.png")
    index()
    same = groups(database, GroupKind.SAME).groups
    assert [{path.name for member in one.members for path in member.paths} for one in same] == [
        {"one.mp4", "same.mp4"}
    ]
    assert groups(database, GroupKind.SIMILAR).groups == ()


def test_a_run_that_is_stopped_in_the_middle_is_continued_without_a_loss(index, pictures, database):
    for number, colour in enumerate((RED, GREEN, BLUE)):
        (pictures / f"{number}.mp4").write_bytes(film(colour, (90, 90, 90), seconds_each=1 + number))
    calls = iter(range(1000))
    stopped = index(lambda: next(calls) > 6)
    assert not stopped.is_complete
    done = sum(stage.done for stage in stopped.stages.values())
    rest = index()
    with database.reading() as connection:
        outcomes = connection.execute(sa.select(sa.func.count()).select_from(outcome)).scalar_one()
        frames = connection.execute(
            sa.select(sa.func.count(picture_vector.c.content_id.distinct())).where(
                picture_vector.c.time_s.is_not(None)
            )
        ).scalar_one()
    assert done + sum(stage.done for stage in rest.stages.values()) == outcomes
    assert frames == 3


def test_without_the_extra_new_videos_are_left_out_and_known_ones_stay(
    index, scan, pictures, library, searcher, monkeypatch
):
    (pictures / "known.mp4").write_bytes(film(GREEN))
    index()
    (pictures / "new.mp4").write_bytes(film(RED))
    (pictures / "gone.mp4").write_bytes(film(BLUE))
    scan()
    (pictures / "gone.mp4").unlink()
    (pictures / "later.mp4").write_bytes(clip(5))
    monkeypatch.setattr(scan_module, "has_video", lambda: False)
    report = scan()
    assert report.passed == {"videos": ["known.mp4", "later.mp4", "new.mp4"]}
    assert (report.found, report.videos, report.added, report.vanished) == (0, 0, 0, 1)
    assert found(searcher, "green").keys() == {"known.mp4"}


def test_a_video_that_moves_keeps_what_is_known_and_is_not_opened_again(index, pictures, library):
    path = pictures / "old.mp4"
    path.write_bytes(film(GREEN))
    index()
    library.edit(library.find_content(path), description="A green holiday")
    path.rename(pictures / "new.mp4")
    report = index()
    assert library.details(library.find_content(pictures / "new.mp4")).description == "A green holiday"
    assert report.stages[EMBED_FRAMES].done == 0


def test_a_scan_counts_videos_among_what_it_found(scan, pictures, database):
    (pictures / "a.mp4").write_bytes(film(GREEN))
    Image.fromarray(frame(RED)).save(pictures / "b.png")
    report = scan()
    assert (report.found, report.videos, report.passed) == (2, 1, {})
    with database.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(content)).scalar_one() == 2


def test_what_failed_without_the_extra_is_due_again_when_it_is_there(
    index, pictures, database, problems, monkeypatch
):
    (pictures / "video.jpg").write_bytes(film(GREEN))
    (pictures / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    monkeypatch.setattr(video_formats, "has_video", lambda: False)
    assert index().stages[LOOK].failed == 2
    assert "optional package" in problems.found["video.jpg"].message
    assert index().stages[LOOK].failed == 0, "tried once"
    monkeypatch.undo()
    report = index()
    assert (report.stages[LOOK].done, report.stages[LOOK].failed, report.stages[EMBED_FRAMES].done) == (
        1,
        0,
        1,
    )
