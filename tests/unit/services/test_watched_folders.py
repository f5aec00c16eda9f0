"""Watching with the real library, and with one that stands for a system without watches."""

from __future__ import annotations

import threading
import time

import pytest

from clocks import GENEROUS_S
from smallsight.services import watched_folders
from smallsight.services.watched_folders import WatchedFolders

NEVER = threading.Event()


@pytest.fixture
def watched(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    reasons: list[str] = []
    with WatchedFolders([folder], poll_s=None, on_fallback=reasons.append) as one:
        assert one.wait(0, NEVER).folders == {folder}  # everything is due at the start
        yield folder, one, reasons


def changes_within(one, patience_s, is_enough):
    until_s = time.monotonic() + patience_s
    paths, folders = set(), set()
    while time.monotonic() < until_s and not is_enough(paths, folders):
        found = one.wait(0.5, NEVER)
        paths |= found.paths
        folders |= found.folders
    return paths, folders


def test_changes_are_reported_and_nothing_else(watched):
    folder, one, reasons = watched
    assert one.wait(0.3, NEVER) == watched_folders.ReportedChanges()
    (folder / "below").mkdir()
    (folder / "below" / "a.png").touch()
    paths, folders = changes_within(one, GENEROUS_S, lambda paths, _: str(folder / "below") in paths)
    assert str(folder / "below") in paths
    assert folders == set()
    assert reasons == []


def test_a_folder_that_goes_and_one_that_takes_its_place_are_scanned(watched):
    folder, one, _ = watched
    folder.rename(folder.with_name("away"))
    assert changes_within(one, GENEROUS_S, lambda _, folders: folders)[1] == {folder}
    folder.mkdir()
    assert changes_within(one, GENEROUS_S, lambda _, folders: folders)[1] == {folder}
    (folder / "new.png").touch()
    assert str(folder / "new.png") in changes_within(one, GENEROUS_S, lambda paths, _: paths)[0]


class NoWatches:
    """A system that lets fewer folders be watched than there are, and says so only if asked to."""

    num_left = 0

    def __init__(self, *_, ignore_permission_denied, **__):
        if not ignore_permission_denied and not self.num_left:
            raise OSError("OS file watch limit reached.")

    def watch(self, *_):
        return {(1, self.new_folder)}

    def close(self):
        pass


def test_over_the_limit_at_the_start_everything_is_polled(tmp_path, monkeypatch):
    monkeypatch.setattr(watched_folders, "RustNotify", NoWatches)
    monkeypatch.setattr(watched_folders, "max_watches", lambda: 100)
    reasons: list[str] = []
    with WatchedFolders([tmp_path], poll_s=None, on_fallback=reasons.append) as one:
        assert one.polled == [tmp_path]
    assert len(reasons) == 1
    assert "max_user_watches=524288" in reasons[0]
    assert "every 60 s" in reasons[0]


def test_over_the_limit_later_everything_is_polled(tmp_path, monkeypatch):
    class Enough(NoWatches):
        num_left = 1
        new_folder = str(tmp_path)

    monkeypatch.setattr(watched_folders, "RustNotify", Enough)
    monkeypatch.setattr(watched_folders, "max_watches", lambda: 100)
    reasons: list[str] = []
    with WatchedFolders([tmp_path], poll_s=None, on_fallback=reasons.append) as one:
        one.wait(0, NEVER)
        assert one.wait(0.1, NEVER).paths == {str(tmp_path)}
        Enough.num_left = 0
        assert one.wait(0.1, NEVER).folders == {tmp_path}
        assert one.polled == [tmp_path]
    assert len(reasons) == 1


def test_polled_folders_are_due_at_their_interval(tmp_path):
    with WatchedFolders([tmp_path], poll_s=0.2, on_fallback=pytest.fail) as one:
        assert one.polled == [tmp_path]
        begun_s = time.monotonic()
        assert one.wait(0, NEVER).folders == {tmp_path}
        assert changes_within(one, GENEROUS_S, lambda _, folders: folders)[1] == {tmp_path}
        assert time.monotonic() - begun_s >= 0.15


def test_a_stop_ends_the_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(watched_folders, "_LONGEST_WAIT_S", 2 * GENEROUS_S)
    stop = threading.Event()
    with WatchedFolders([tmp_path], poll_s=None, on_fallback=pytest.fail) as one:
        one.wait(0, NEVER)
        threading.Timer(0.3, stop.set).start()
        begun_s = time.monotonic()
        one.wait(2 * GENEROUS_S, stop)
        assert time.monotonic() - begun_s < GENEROUS_S
