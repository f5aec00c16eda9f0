"""``smallsight watch`` in a process of its own, on real files."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from clocks import wait_until
from contract.test_json_shapes import documented_keys
from smallsight.errors import LibraryBusyError
from smallsight.library.lock import RunLock

_PATIENCE_S = 60.0


class Watching:
    """A running ``smallsight watch --json`` and the events it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[dict] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def wait_for(self, event: str, **values) -> dict:
        """Return the next event with this name and these values; keep those before it."""
        until_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until_s:
            try:
                found = json.loads(self._lines.get(timeout=0.5))
            except queue.Empty:
                assert self.process.poll() is None, self.process.stderr.read()
                continue
            self.seen.append(found)
            if found["event"] == event and all(found.get(key) == value for key, value in values.items()):
                return found
        raise AssertionError(f"no {event} {values} among {self.seen}")

    def wait_for_batch(self, **counts) -> dict:
        batch = self.wait_for("indexed")
        assert {key: batch[key] for key in ("new", "changed", "moved", "vanished") if batch[key]} == counts
        return batch

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=_PATIENCE_S)


@pytest.fixture
def watch(smallsight, monkeypatch):
    monkeypatch.setenv("SMALLSIGHT_INDEX__OCR", "false")

    def start(*arguments, is_ready=True):
        one = Watching(smallsight.start("watch", *arguments, "--json", "--quiet"))
        if is_ready:
            one.wait_for("watching")
        return one

    return start


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def draw(path: Path, colour: tuple[int, int, int] = (200, 30, 30), size: int = 32) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), colour).save(path)
    return path


def locked(home: Path) -> RunLock:
    """Take the lock of an index run, once no batch has it."""
    taken: list[RunLock] = []

    def is_taken() -> bool:
        with suppress(LibraryBusyError):
            taken.append(RunLock(home / "index.lock"))
        return bool(taken)

    wait_until(is_taken)
    return taken[0]


def test_everyday_changes_are_followed(smallsight, watch, pictures, tmp_path):
    draw(pictures / "trip" / "red kite.png")
    draw(pictures / "quiet" / "white owl.png", (250, 250, 250))
    draw(tmp_path / "elsewhere" / "green frog.png", (10, 200, 10))
    watching = watch(pictures)

    (pictures / "link").symlink_to(tmp_path / "elsewhere")
    (pictures / "notes.txt").write_text("no picture")
    of_tomorrow = time.time() + 86_400
    sidecar = {"title": "frog.png", "photoTakenTime": {}, "description": "a pond at dusk"}
    shutil.copy(tmp_path / "elsewhere" / "green frog.png", pictures / "trip" / "frog.png")
    os.utime(pictures / "trip" / "frog.png", (of_tomorrow, of_tomorrow))
    (pictures / "trip" / "frog.png.json").write_text(json.dumps(sidecar))
    assert watching.wait_for_batch(new=1)["sidecars_read"] == 1
    found = smallsight.run("search", "dusk")[0]
    assert "trip/frog.png" in found
    assert "link" not in found

    (pictures / "trip").rename(pictures / "journey")
    watching.wait_for_batch(moved=2)
    draw(pictures / "journey" / "red kite.png", (1, 2, 3))
    (pictures / "quiet" / ".nomedia").touch()
    watching.wait_for_batch(changed=1, vanished=1)
    (pictures / "journey" / "red kite.png").rename(pictures / "blue kite.png")
    (pictures / "quiet" / ".nomedia").unlink()
    (pictures / "journey" / "frog.png").unlink()
    watching.wait_for_batch(moved=1, new=1, vanished=1)
    assert watching.end() == 0
    watching.wait_for("stopped")
    assert {one["event"] for one in watching.seen} & {"problem", "failed", "polling"} == set()
    assert {key for one in watching.seen for key in one} <= documented_keys("watch")


def test_a_file_is_read_when_it_is_complete_and_many_files_make_one_batch(
    smallsight, watch, pictures, tmp_path
):
    watching = watch(pictures, is_ready=False)
    watching.wait_for("watching")
    buffer = BytesIO()
    Image.effect_noise((600, 400), 90).convert("RGB").save(buffer, "JPEG")
    data = buffer.getvalue()
    slow, stalling = pictures / "slow.jpg", pictures / "stalling.jpg"
    with stalling.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        for start in range(12):  # each piece is a file that was closed, and would be read
            with slow.open("ab") as piece:
                piece.write(data[start * len(data) // 12 : (start + 1) * len(data) // 12])
            time.sleep(0.2)
        file.write(data[len(data) // 2 :] + b"the end")
    until_s = time.monotonic() + _PATIENCE_S
    while Counter(one["event"] for one in watching.seen)["added"] < 2 and time.monotonic() < until_s:
        watching.wait_for("indexed")
    assert {one["event"] for one in watching.seen} == {"watching", "added", "indexed"}

    del watching.seen[:]
    drawn = [
        draw(tmp_path / "drawn" / f"{number}.png", (number, 255 - number, 7), size=8) for number in range(200)
    ]
    (pictures / "burst").mkdir()
    for path in drawn:  # moved, which takes a moment on the busiest machine too
        path.rename(pictures / "burst" / path.name)
    batches = [watching.wait_for("indexed")]
    while sum(batch["new"] for batch in batches) < 200:
        batches.append(watching.wait_for("indexed"))
    assert len(batches) <= 2
    assert len({one["path"] for one in watching.seen if one["event"] == "added"}) == 200
    assert watching.end(signal.SIGINT) == 0


def test_a_folder_that_goes_keeps_everything_and_another_run_is_waited_for(
    smallsight, watch, pictures, tmp_path
):
    draw(pictures / "red kite.png")
    draw(tmp_path / "others" / "green frog.png", (10, 200, 10))
    watching = watch(pictures, tmp_path / "others")
    away = pictures.with_name("away")
    pictures.rename(away)
    assert watching.wait_for("missing")["path"] == str(pictures)
    draw(tmp_path / "others" / "white owl.png", (250, 250, 250))
    watching.wait_for_batch(new=1)
    draw(away / "new while away.png", (7, 7, 7))
    away.rename(pictures)
    watching.wait_for_batch(new=1)
    assert Counter(one["event"] for one in watching.seen)["missing"] == 1
    assert Counter(one["event"] for one in watching.seen)["returned"] == 1

    lock = locked(smallsight.home)
    draw(pictures / "later.png", (9, 99, 9))
    assert f"process {os.getpid()}" in watching.wait_for("waiting")["message"]
    smallsight.run("edit", pictures / "red kite.png", "--tag", "kept")
    lock.release()
    watching.wait_for_batch(new=1)
    smallsight.run("folders", "remove", tmp_path / "others")
    draw(tmp_path / "others" / "not ours.png", (3, 3, 3))
    draw(pictures / "ours.png", (4, 4, 4))
    assert watching.wait_for("added")["path"] == str(pictures / "ours.png")
    assert watching.end() == 0
    folders = [(one["path"], one["pictures"], one["vanished"]) for one in smallsight.json("folders")]
    assert folders == [(str(pictures), 4, 0)]


def test_a_killed_watch_goes_on_where_it_was_and_polling_finds_the_same(smallsight, watch, pictures):
    for number in range(25):
        draw(pictures / f"{number}.png", (number, 255 - number, 7), size=300)
    watching = watch(pictures, is_ready=False)
    watching.wait_for("added")
    watching.end(signal.SIGKILL)
    watching = watch("--poll", "1")
    assert watching.seen[-1]["polled"] == [str(pictures)]
    state = smallsight.json("folders")
    assert [one["pictures"] for one in state] == [25]
    of_tomorrow = time.time() + 86_400
    os.utime(draw(pictures / "new.png", (1, 2, 3)), (of_tomorrow, of_tomorrow))
    watching.wait_for_batch(new=1)
    (pictures / "new.png").unlink()
    watching.wait_for_batch(vanished=1)
    assert watching.end() == 0
    assert [(one["pictures"], one["vanished"]) for one in smallsight.json("folders")] == [(25, 1)]


def test_what_cannot_be_watched_is_refused_in_one_sentence(smallsight, pictures):
    file = draw(pictures / "a.png")
    assert "Not a folder" in smallsight.run("watch", file, code=3)[1]
    assert "No such folder" in smallsight.run("index", "--watch", pictures / "nothing", code=3)[1]
    assert "in no folder of the library" in smallsight.run("index", file, code=3)[1]
