"""Indexing may be killed, stopped or started twice at any moment: nothing is lost and nothing done twice."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from clocks import wait_until
from forked_commands import command_server
from scale import scaled

from .conftest import WORDS, Command, with_prepared
from .library_state import visible_state

NUM_WITH_TEXT, NUM_PLAIN = 24, 48  # together more than are opened once for everything
NUM_FEW_WITH_TEXT, NUM_FEW_PLAIN = 4, 8  # of runs that are stopped once
NUM_KILLS = scaled(30) if scaled(1) > 1 else 8  # 300 with SMALLSIGHT_TEST_SCALE=10
INDEX = ("index", "--model", "test")


def draw_pictures(folder: Path, num: int, draw_text: Callable[[Path, str], None]) -> Path:
    """Draw files: a third with text, some the same, one damaged, in folders."""
    chance = random.Random(20)
    for number in range(num):
        words = f"{chance.choice(WORDS)} {number}"
        path = folder / f"folder {number % 7}" / f"{words} {number:03}.png"
        if number % 3 == 0:
            draw_text(path, words)
        else:
            path.parent.mkdir(exist_ok=True)
            Image.new("RGB", (32 + number, 32), (3 * number, 90, 10)).save(path)
        if number < 5:
            (folder / f"copy {number}.png").write_bytes(path.read_bytes())
    (folder / "damaged.png").write_bytes(path.read_bytes()[:60])
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, draw_text: Callable[[Path, str], None]) -> Path:
    """Seventy-odd files, for runs that are killed again and again."""
    return draw_pictures(tmp_path_factory.mktemp("pictures"), NUM_WITH_TEXT + NUM_PLAIN, draw_text)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, draw_text: Callable[[Path, str], None]) -> Path:
    """A dozen and a half, for runs that are stopped once."""
    return draw_pictures(tmp_path_factory.mktemp("few"), NUM_FEW_WITH_TEXT + NUM_FEW_PLAIN, draw_text)


@pytest.fixture(scope="module")
def uninterrupted_few(few: Path, tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> dict[str, Any]:
    command = with_prepared(tmp_path_factory.mktemp("uninterrupted few") / "home", prepared)
    command.run(*INDEX, few)
    return visible_state(command.home)


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A library that was indexed without an interruption."""
    command = Command(tmp_path_factory.mktemp("uninterrupted") / "home")
    command.run(*INDEX, pictures)
    return command


@pytest.fixture(scope="module")
def uninterrupted(whole: Command) -> dict[str, Any]:
    return visible_state(whole.home)


def num_results(home: Path) -> int:
    """Return a number that grows with the work."""
    try:
        with closing(sqlite3.connect(f"file:{home}/library.sqlite3?mode=ro", uri=True)) as connection:
            return sum(
                connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("picture", "outcome")
            )
    except sqlite3.OperationalError:
        return 0  # not made yet, or only in part


def is_alive(process: psutil.Process) -> bool:
    """Return whether it still runs; psutil cannot wait for hundreds whose numbers may be used again."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def kill_after(
    num_new: int, home: Path, pictures: Path, *, reads: bool, chance: random.Random
) -> tuple[int, list[psutil.Process]]:
    """Kill a run once it has added so much; return its exit code, and its children when it was killed."""
    before = num_results(home)
    environment = {**Command(home).environment(), "SMALLSIGHT_INDEX__OCR": str(reads)}
    process = command_server().start([*INDEX, str(pictures)], environment)
    while not process.has_ended(timeout_s=chance.uniform(0, 0.04)):
        if num_results(home) >= before + num_new:
            children: list[psutil.Process] = []
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            return process.wait(), children
    return process.wait(), []


@pytest.mark.slow
def test_kills_change_nothing(tmp_path: Path, pictures: Path, uninterrupted: dict[str, Any]):
    chance = random.Random(7)
    home, is_all_but_read = tmp_path / "home 0", False
    orphans: list[psutil.Process] = []
    num_kills = 0
    while num_kills < NUM_KILLS:
        reads = is_all_but_read or num_kills % 5 == 4  # not always: the process that reads is slow to start
        num_new = chance.choice([0, 1, 1, 2, 4, 8])
        code, children = kill_after(num_new, home, pictures, reads=reads, chance=chance)
        orphans += children
        num_kills += code == -signal.SIGKILL
        if code == 0 and reads:
            assert visible_state(home) == uninterrupted
            home, is_all_but_read = tmp_path / f"home {num_kills}", False
        elif code == 0:
            is_all_but_read = True
        else:
            assert code == -signal.SIGKILL
    Command(home).run(*INDEX, pictures)
    assert visible_state(home) == uninterrupted
    assert uninterrupted["leases"] == []
    wait_until(lambda: not any(map(is_alive, orphans)), "children outlived the killed process")
    assert len(orphans) > NUM_KILLS // 3, "the kills came too early to test anything"


@pytest.mark.slow
def test_nothing_is_left_to_do_afterwards(whole: Command, pictures: Path):
    report = whole.json(*INDEX, pictures)
    assert report["complete"]
    assert {name: stage["done"] for name, stage in report["stages"].items()} == {
        "look": 0,
        "compare": 0,
        "compare_looks": 0,
        "embed_picture": 0,
        "embed_frames": 0,
        "metadata": 0,
        "read": 0,
        "describe": 0,
        "tag": 0,
        "embed": 0,
    }
    assert report["folders"][0]["hashed"] == 0


def wait_for_outcomes(home: Path, at_least: int) -> None:
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        try:
            with closing(sqlite3.connect(f"file:{home}/library.sqlite3?mode=ro", uri=True)) as connection:
                if connection.execute("SELECT count(*) FROM outcome").fetchone()[0] >= at_least:
                    return
        except sqlite3.OperationalError:
            pass  # not made yet
        time.sleep(0.05)
    pytest.fail("indexing did not get going")


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    smallsight: Command, few: Path, uninterrupted_few: dict[str, Any]
):
    process = smallsight.start(*INDEX, few)
    wait_for_outcomes(smallsight.home, at_least=8)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in err
    stopped = visible_state(smallsight.home)
    assert stopped["leases"] == []
    assert 8 <= len(stopped["outcomes"]) < len(uninterrupted_few["outcomes"])
    smallsight.run(*INDEX, few)
    assert visible_state(smallsight.home) == uninterrupted_few


def test_a_second_run_at_the_same_time_is_refused_with_a_sentence(
    smallsight: Command, few: Path, uninterrupted_few: dict[str, Any]
):
    first = smallsight.start(*INDEX, few)
    wait_for_outcomes(smallsight.home, at_least=1)
    first.send_signal(signal.SIGSTOP)  # it is in progress for as long as the second run needs
    out, err = smallsight.run(*INDEX, few, code=6)
    first.send_signal(signal.SIGCONT)
    assert f"indexed by process {first.pid}" in err
    assert out == ""
    found = smallsight.json("search", "monday", "--mode", "keyword")
    assert isinstance(found, list)  # searching goes on meanwhile
    first.communicate(timeout=300)
    assert first.returncode == 0
    assert visible_state(smallsight.home) == uninterrupted_few
