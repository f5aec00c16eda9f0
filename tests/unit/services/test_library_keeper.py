"""The keeper on real folders and a real library, in this process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from PIL import Image

from smallsight.errors import FolderError, NotInLibraryError
from smallsight.lending.model_lender import ModelLender
from smallsight.lending.residency import Residency
from smallsight.library.database import Database
from smallsight.library.lock import RunLock
from smallsight.services.keeper_state import KeeperState
from smallsight.services.library_keeper import LibraryKeeper
from smallsight.services.live_settings import LiveSettings
from smallsight.services.opened_library import OpenedLibrary

_PATIENCE_S = 60.0


def until(condition) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def draw(path, colour) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), colour).save(path)


class Kept:
    """A keeper, and the library it keeps."""

    def __init__(self, home, model=None, **server) -> None:
        self.live = LiveSettings(
            {"home": home, "index": {"ocr": False}, "describe": {"model": model}, "server": server}
        )
        self.library = OpenedLibrary(self.live.current())
        self.told = []
        lender = ModelLender(Residency(max_models=1, max_bytes=2**40), None, keep_alive_s=60)
        self.keeper = LibraryKeeper(
            self.live,
            self.library,
            lender,
            on_change=lambda: self.told.append("change"),
            on_library=lambda: self.told.append("pictures"),
        )

    def state(self):
        return self.keeper.snapshot().state

    def has_indexed(self, folder) -> bool:
        """Return whether it watches, and has indexed the picture of a folder; a file is new for a second."""
        result = self.keeper.snapshot().results.get(folder)
        return self.state() is KeeperState.WATCHING and result is not None and result.added == 1

    def num_pictures(self) -> int:
        return sum(one.num_pictures for one in self.library.reading().library.folders())


@contextmanager
def kept(home, **settings):
    one = Kept(home, **settings)
    one.keeper.start()
    try:
        yield one
    finally:
        began_s = time.monotonic()
        one.keeper.stop()
        one.library.close()
        assert time.monotonic() - began_s < _PATIENCE_S / 2, "it waited for what it was doing"


@pytest.fixture(autouse=True)
def has_no_text_model(monkeypatch):
    """As on a machine without one: loading it is most of the time of a run over two pictures."""
    for module in ("application", "finished_work"):
        monkeypatch.setattr(f"smallsight.services.{module}.find_text_model", lambda _: None)


@pytest.fixture
def album(tmp_path):
    draw(tmp_path / "album" / "a.png", "red")
    return tmp_path / "album"


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A library without folders: making one takes a second."""
    home = tmp_path_factory.mktemp("empty") / "home"
    Database.open_for_writing(home / "library.sqlite3", for_run=False).close()
    return home


@pytest.fixture
def home(tmp_path, empty):
    return shutil.copytree(empty, tmp_path / "home")


def test_it_makes_no_library_until_a_folder_is_added(tmp_path, album):
    with kept(tmp_path / "home") as one:
        until(lambda: one.state() is KeeperState.IDLE)
        assert not (tmp_path / "home").exists()
        assert one.keeper.add_folder(album).result(_PATIENCE_S).path == album
        until(lambda: one.has_indexed(album))
        assert one.num_pictures() == 1
        draw(album / "b.png", "blue")
        until(lambda: one.num_pictures() == 2)
        assert one.keeper.snapshot().results[album].added == 1
        assert "pictures" in one.told


def test_a_folder_that_is_removed_leaves_the_library_and_stays_on_the_disk(tmp_path, home, album):
    with kept(home) as one:
        one.keeper.add_folder(album).result(_PATIENCE_S)
        one.keeper.remove_folder(album).result(_PATIENCE_S)
        assert one.library.reading().library.folders() == []
        assert (album / "a.png").exists()
        with pytest.raises(NotInLibraryError):
            one.keeper.remove_folder(album).result(_PATIENCE_S)
        with pytest.raises(FolderError):
            one.keeper.add_folder(tmp_path / "missing").result(_PATIENCE_S)


def test_without_watching_only_what_a_person_asks_for_is_done(tmp_path, home, album):
    with kept(home, watch=False) as one:
        one.keeper.add_folder(album).result(_PATIENCE_S)
        until(lambda: one.state() is KeeperState.IDLE and one.num_pictures() == 1)
        draw(album / "b.png", "blue")
        draw(album / "c.png", "green")
        one.keeper.note_file(album / "b.png")
        until(lambda: one.num_pictures() == 2)
        one.keeper.scan()
        until(lambda: one.num_pictures() == 3)


def test_it_waits_for_another_program_that_indexes_and_goes_on_by_itself(tmp_path, home, album):
    with kept(home) as one:
        one.keeper.add_folder(album).result(_PATIENCE_S)
        until(lambda: one.has_indexed(album))
        lock = RunLock(home / "index.lock")  # as another process: it is held by a descriptor
        draw(album / "b.png", "blue")
        until(lambda: one.state() is KeeperState.WAITING)
        assert "is being indexed by" in one.keeper.snapshot().message
        removed = one.keeper.remove_folder(album)
        assert not removed.done()
        lock.release()
        removed.result(_PATIENCE_S)


def test_a_person_stops_it_and_continues(tmp_path, home, album):
    with kept(home) as one:
        one.keeper.add_folder(album).result(_PATIENCE_S)
        until(lambda: one.has_indexed(album))
        one.keeper.stop_run()
        until(lambda: one.state() is KeeperState.STOPPED)
        draw(album / "b.png", "blue")
        time.sleep(0.3)
        assert one.state() is KeeperState.STOPPED
        one.keeper.scan()
        until(lambda: one.num_pictures() == 2)


def test_a_library_that_another_program_makes_is_watched(tmp_path, album, monkeypatch):
    monkeypatch.setattr("smallsight.services.library_keeper._LOOK_S", 0.1)
    with kept(tmp_path / "home") as one:
        until(lambda: one.state() is KeeperState.IDLE)
        command = [sys.executable, "-m", "smallsight", "folders", "add", str(album)]
        environment = {"SMALLSIGHT_HOME": str(tmp_path / "home"), "PYTHONPATH": ":".join(sys.path)}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        until(lambda: one.state() is KeeperState.WATCHING and one.num_pictures() == 1)


def test_a_model_that_is_missing_does_not_keep_pictures_from_being_found(tmp_path, home, album):
    with kept(home, model=str(tmp_path / "no model")) as one:
        one.keeper.add_folder(album).result(_PATIENCE_S)
        until(lambda: one.has_indexed(album))
        assert one.num_pictures() == 1
        assert "no model" in one.keeper.snapshot().message


def test_a_server_that_starts_again_with_nothing_to_do_loads_no_text_model(
    tmp_path, home, album, monkeypatch
):
    with kept(home) as one:
        one.keeper.add_folder(album).result(_PATIENCE_S)
        until(lambda: one.has_indexed(album))
    monkeypatch.setattr(
        "smallsight.services.indexing.IndexingApplication.work", lambda *_: pytest.fail("there is no work")
    )
    with kept(home) as one:
        until(lambda: one.state() is KeeperState.WATCHING)
