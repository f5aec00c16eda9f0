"""Videos above ``limits.max_file_bytes``: hashed in parts, and read by the child from an open file."""

from __future__ import annotations

import hashlib
import os

import pytest
from PIL import Image

from coloured_films import BLUE, GREEN, RED, ByColour, Problems, film, found, index_all
from quiet_progress import QuietProgress
from smallsight.library.database import Database
from smallsight.library.indexer import Indexer
from smallsight.library.ledger import LOOK
from smallsight.library.scan import FolderScan
from smallsight.library.search.searcher import Searcher
from smallsight.library.search.sqlite.index import SqliteTextIndex
from smallsight.library.stages.embed_frames import EMBED_FRAMES
from smallsight.library.stages.stage_list import Means, list_stages
from smallsight.library.thumbnails import thumbnail_path
from smallsight.media.child_process import ChildProcess
from smallsight.settings import Settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no child gets open files on Windows")


@pytest.fixture
def problems() -> Problems:
    return Problems()


@pytest.fixture
def sent_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of bytes that were sent to children that decode videos."""
    sent: list[int] = []
    exchange = ChildProcess.exchange

    def counted(self: ChildProcess, header: dict | None, data: bytes, *rest: float, **options: int) -> object:
        if header is not None and "descriptor" in header:
            sent.append(len(data))
        return exchange(self, header, data, *rest, **options)

    monkeypatch.setattr(ChildProcess, "exchange", counted)
    return sent


@pytest.fixture
def searcher(database: Database, settings: Settings) -> Searcher:
    return Searcher(SqliteTextIndex(database), settings, None, ByColour)


@pytest.fixture
def tight(settings: Settings) -> Settings:
    """Settings under which the films of these tests are large, and pictures are not."""
    limits = settings.limits.model_copy(update={"max_file_bytes": 4_000, "max_video_bytes": 60_000})
    return settings.model_copy(update={"limits": limits})


def test_a_large_video_is_indexed_without_being_read_into_memory(
    database, library, tight, pictures, problems, searcher, sent_bytes
):
    path = pictures / "large.mp4"
    path.write_bytes(film(RED, GREEN, BLUE))
    assert path.stat().st_size > tight.limits.max_file_bytes
    (pictures / "small.mp4").write_bytes(film(GREEN, seconds_each=1))
    report = index_all(database, tight, pictures, problems)
    assert problems.found == {}
    assert report.stages[EMBED_FRAMES].done == 2
    details = library.details(library.find_content(path))
    assert details.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (details.kind, details.num_frames, details.ocr_text) == ("video", 120, "red\ngreen\nblue")
    assert thumbnail_path(tight.thumbnails_dir, details.sha256).is_file()
    assert 4.0 <= found(searcher, "green")["large.mp4"] < 8.0
    assert sent_bytes.count(0) == 2, "for its still and for its frames"
    assert max(sent_bytes) <= tight.limits.max_file_bytes


def test_what_is_too_large_even_for_a_video_or_is_none_is_said_in_one_sentence(
    database, tight, pictures, problems
):
    (pictures / "huge.mp4").write_bytes(film(RED) + bytes(60_000))
    (pictures / "large.mp4").write_bytes(bytes(5_000))
    Image.effect_noise((80, 80), 90).save(pictures / "large.png")
    (pictures / "cut.mp4").write_bytes(film(RED, GREEN, BLUE)[:4_100])
    index_all(database, tight, pictures, problems)
    codes = {name: error.code for name, error in problems.found.items()}
    assert codes.pop("cut.mp4") == "corrupt_picture"
    assert codes == dict.fromkeys(("huge.mp4", "large.mp4", "large.png"), "picture_too_large")


def test_a_large_video_that_changes_after_the_scan_waits_for_the_next_one(
    database, library, tight, pictures, problems
):
    path = pictures / "large.mp4"
    path.write_bytes(film(RED, GREEN, BLUE))
    known = library.add_folder(pictures)
    FolderScan(database, tight, known.id, known.path).run(problems, lambda: False)
    path.write_bytes(film(BLUE, GREEN, RED))
    works = list_stages(Means(database, tight))
    assert Indexer(database, tight, works).run(problems, lambda: False).stages[LOOK].done == 0
    assert problems.found["large.mp4"].code == "picture_not_found"
    FolderScan(database, tight, known.id, known.path).run(problems, lambda: False)
    assert Indexer(database, tight, works).run(problems, lambda: False).stages[LOOK].done == 1


def test_a_scan_that_is_stopped_within_a_large_video_stores_nothing_of_it(database, library, tight, pictures):
    (pictures / "large.mp4").write_bytes(film(RED, GREEN, BLUE))
    known = library.add_folder(pictures)
    calls = iter(range(100))
    scan = FolderScan(database, tight, known.id, known.path)
    report = scan.run(QuietProgress(), lambda: next(calls) >= 1)
    assert (report.hashed, report.is_complete) == (0, False)
    again = FolderScan(database, tight, known.id, known.path).run(QuietProgress(), lambda: False)
    assert (again.added, again.is_complete) == (1, True)
