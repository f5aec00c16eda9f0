"""A link put in the place of a file or folder at any moment never brings in what lies outside (R13)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from quiet_progress import QuietProgress
from scale import scaled
from smallsight.errors import PictureNotFoundError
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.media.files import read_picture_file
from smallsight.settings import Limits, Settings

NUM_READS = scaled(1000)
NUM_SCANS = scaled(20)

pytestmark = pytest.mark.skipif(
    os.open not in os.supports_dir_fd, reason="files cannot be opened step by step"
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "private" / "album"
    folder.mkdir(parents=True)
    Image.new("RGB", (40, 40), "teal").save(folder / "a.png")
    return folder


@pytest.fixture
def inside(pictures: Path) -> Path:
    (pictures / "album").mkdir()
    Image.new("RGB", (40, 40), "red").save(pictures / "album" / "a.png")
    return pictures


SWAP = """
import os, sys
place, target = sys.argv[1:]
aside, link = place + ".aside", place + ".link"
print("ready", flush=True)
while os.getppid() == int(os.environ["PARENT"]):
    os.symlink(target, link)
    os.rename(place, aside)
    os.rename(link, place)
    os.rename(place, link)
    os.rename(aside, place)
    os.unlink(link)
"""


@contextlib.contextmanager
def swapping(place: Path, target: Path) -> Iterator[None]:
    """Replace a file or folder by a link to ``target`` and back, in another process, until the block ends."""
    swapper = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", SWAP, str(place), str(target)],
        env={"PARENT": str(os.getpid())},
        stdout=subprocess.PIPE,
    )
    try:
        assert swapper.stdout.readline() == b"ready\n"
        yield
    finally:
        swapper.kill()
        swapper.communicate()


@pytest.mark.parametrize("what", ["album/a.png", "album"])
def test_reading_while_a_link_is_swapped(inside: Path, outside: Path, what: str):
    target = outside / "a.png" if what.endswith(".png") else outside
    own, ends = (inside / "album" / "a.png").read_bytes(), {"own": 0, "refused": 0}
    deadline = time.monotonic() + 120
    with swapping(inside / what, target):
        while sum(ends.values()) < NUM_READS or not all(ends.values()):
            assert time.monotonic() < deadline, "the swaps came too seldom to test anything"
            try:
                data = read_picture_file(inside / "album" / "a.png", Limits(), inside=inside)
            except PictureNotFoundError:
                ends["refused"] += 1
            else:
                assert data == own
                ends["own"] += 1


@pytest.mark.parametrize("what", ["album/a.png", "album"])
def test_scanning_while_a_link_is_swapped(
    database: Database, library: Library, settings: Settings, inside: Path, outside: Path, what: str
):
    target = outside / "a.png" if what.endswith(".png") else outside
    secret = hashlib.sha256((outside / "a.png").read_bytes()).hexdigest()
    known = library.add_folder(inside)
    with swapping(inside / what, target):
        for number in range(NUM_SCANS):
            if number % 2:
                os.utime(outside / "a.png", (number, number))  # so that it looks new
            FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    with database.reading() as connection:
        found = set(connection.exec_driver_sql("SELECT sha256 FROM content").scalars())
    assert secret not in found


def test_links_are_followed_where_the_operator_wants_that(
    database: Database, library: Library, settings: Settings, pictures: Path, outside: Path
):
    (pictures / "linked").symlink_to(outside)
    known = library.add_folder(pictures)
    follows = settings.model_copy(
        update={"index": settings.index.model_copy(update={"follow_symlinks": True})}
    )
    report = FolderScan(database, follows, known.id, known.path).run(QuietProgress(), lambda: False)
    assert report.added == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda path, target: path.symlink_to(target / "a.png"),
        lambda path, _: os.mkfifo(path),
        lambda path, _: path.mkdir(),
        lambda path, _: path.symlink_to("/dev/zero"),
        lambda path, _: path.symlink_to(path),
    ],
    ids=["a link", "a pipe", "a folder", "a link to a device", "a loop"],
)
def test_only_a_regular_file_is_read(pictures: Path, outside: Path, make: Callable[[Path, Path], None]):
    make(pictures / "b.png", outside)
    with pytest.raises(PictureNotFoundError):
        read_picture_file(pictures / "b.png", Limits(), inside=pictures)
