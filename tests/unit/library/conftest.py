"""A library in a temporary folder, and pictures to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from lasting_decoders import lasting_decoders
from quiet_progress import QuietProgress
from smallsight.library.database import Database
from smallsight.library.library import Library
from smallsight.library.scan import FolderScan
from smallsight.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def decoders_last() -> Iterator[None]:
    with lasting_decoders():
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with Database.open_for_writing(settings.database_path) as database:
        yield database


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def draw(pictures: Path) -> Callable[..., Path]:
    """Write a plain picture of a colour below ``pictures`` and return its path."""

    def draw_one(name: str, colour: tuple[int, int, int] = (200, 30, 30), size: int = 32) -> Path:
        path = pictures / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size), colour).save(path)
        return path

    return draw_one


@pytest.fixture
def three_ids(
    database: Database, library: Library, settings: Settings, draw: Callable[..., Path], pictures: Path
) -> list[int]:
    """The ids of three pictures that a scan has found."""
    paths = [draw("a.png", (1, 2, 3)), draw("b.png", (9, 9, 9)), draw("c.png", (70, 0, 0))]
    known = library.add_folder(pictures)
    FolderScan(database, settings, known.id, known.path).run(QuietProgress(), lambda: False)
    return [library.find_content(path) for path in paths]
