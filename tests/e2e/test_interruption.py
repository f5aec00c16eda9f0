"""Indexing may be killed, stopped or started twice at any moment: nothing is lost and nothing done twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import WORDS, Command, descendants, end_all

NUM_PICTURES = 200
NUM_KILLS = 30
INDEX = ("index", "--model", "test")
LONGEST_LIFE_S = 6.0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, draw_text: Callable[[Path, str], None]) -> Path:
    """Two hundred files: some the same, one damaged, in folders."""
    folder = tmp_path_factory.mktemp("pictures")
    chance = random.Random(20)
    for number in range(NUM_PICTURES - 6):
        words = f"{chance.choice(WORDS)} {chance.choice(WORDS)} {number}"
        draw_text(folder / f"folder {number % 7}" / f"{number:03}.png", words)
    for number in range(5):
        copy = folder / f"copy {number}.png"
        copy.write_bytes((folder / f"folder {number}" / f"{number:03}.png").read_bytes())
    (folder / "damaged.png").write_bytes(copy.read_bytes()[:200])
    return folder


@pytest.fixture(scope="module")
def uninterrupted(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    command = Command(tmp_path_factory.mktemp("uninterrupted") / "home")
    command.run(*INDEX, pictures)
    yield visible_state(command.home)
    end_all(command)


def visible_state(home: Path) -> dict[str, Any]:
    """Everything a person could see of a library, without the numbers of rows and the times."""
    with closing(sqlite3.connect(f"file:{home}/library.sqlite3?mode=ro", uri=True)) as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return sorted(connection.execute(query).fetchall(), key=repr)

        assert rows("PRAGMA integrity_check") == [("ok",)]
        return {
            "pictures": rows(
                "SELECT p.path, c.sha256, p.size_bytes, p.error, p.vanished_at_s "
                "FROM picture p LEFT JOIN content c ON c.id = p.content_id"
            ),
            "contents": rows(
                "SELECT sha256, format, width_px, height_px, phash, dhash, ocr_text, ocr_source, "
                "description, description_source, description_model FROM content"
            ),
            "lines": rows(
                "SELECT c.sha256, l.position, l.text, l.confidence, l.box "
                "FROM text_line l JOIN content c ON c.id = l.content_id"
            ),
            "vectors": rows(
                "SELECT c.sha256, k.text, hex(k.vector) FROM chunk k JOIN content c ON c.id = k.content_id"
            ),
            "outcomes": rows(
                "SELECT c.sha256, o.stage, o.status, o.error_code "
                "FROM outcome o JOIN content c ON c.id = o.content_id"
            ),
            "leases": rows("SELECT * FROM lease"),
            "searchable": rows("SELECT count(*) FROM search_text"),
            "thumbnails": sorted(path.name for path in (home / "thumbnails").rglob("*.webp")),
        }


def test_thirty_kills_change_nothing(
    smallsight: Command, pictures: Path, uninterrupted: dict[str, Any], record_property: Any
):
    chance = random.Random(7)
    num_killed = 0
    orphans: list[psutil.Process] = []
    while num_killed < NUM_KILLS:
        process = smallsight.start(*INDEX, pictures)
        time.sleep(chance.uniform(0.1, LONGEST_LIFE_S))
        if process.poll() is None:
            orphans += descendants(process)
        process.kill()
        process.communicate()
        num_killed += 1
    smallsight.run(*INDEX, pictures)
    assert visible_state(smallsight.home) == uninterrupted
    assert uninterrupted["leases"] == []
    _gone, alive = psutil.wait_procs(orphans, timeout=10)
    assert not alive, "children outlived the killed process"
    record_property("kills", num_killed)


def test_nothing_is_left_to_do_afterwards(smallsight: Command, pictures: Path):
    smallsight.run(*INDEX, pictures)
    report = smallsight.json(*INDEX, pictures)
    assert report["complete"]
    assert {name: stage["done"] for name, stage in report["stages"].items()} == {
        "look": 0,
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
    smallsight: Command, pictures: Path, uninterrupted: dict[str, Any]
):
    process = smallsight.start(*INDEX, pictures)
    wait_for_outcomes(smallsight.home, at_least=20)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in err
    stopped = visible_state(smallsight.home)
    assert stopped["leases"] == []
    assert 20 <= len(stopped["outcomes"]) < len(uninterrupted["outcomes"])
    smallsight.run(*INDEX, pictures)
    assert visible_state(smallsight.home) == uninterrupted


def test_a_second_run_at_the_same_time_is_refused_with_a_sentence(
    smallsight: Command, pictures: Path, uninterrupted: dict[str, Any]
):
    first = smallsight.start(*INDEX, pictures)
    wait_for_outcomes(smallsight.home, at_least=1)
    out, err = smallsight.run(*INDEX, pictures, code=6)
    assert f"written to by process {first.pid}" in err
    assert out == ""
    found = smallsight.json("search", "monday", "--mode", "keyword")
    assert isinstance(found, list)  # searching goes on meanwhile
    first.communicate(timeout=300)
    assert first.returncode == 0
    assert visible_state(smallsight.home) == uninterrupted
