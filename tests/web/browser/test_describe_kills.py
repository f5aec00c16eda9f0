"""Kills of the server while it describes in bulk: nothing is lost or repeated, and an open page recovers."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, expect

from e2e.serving import Server, running
from forked_commands import run_command
from free_ports import free_port
from scale import scaled
from web.conftest import PATIENCE_MS

IS_WHOLE = scaled(1) > 1
NUM_KILLS, NUM_PICTURES = (20, 500) if IS_WHOLE else (2, 32)
MODEL = "Smallsight-tiny"
NOTE_EVERY_END = """
CREATE TABLE described (content_id INTEGER);
CREATE TRIGGER note AFTER UPDATE OF state ON description_run_content WHEN NEW.state = 'done'
BEGIN INSERT INTO described VALUES (NEW.content_id); END;
"""  # versions of the same words would hide that a picture was described twice


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder with drawn pictures of which nothing is described."""
    home, folder = tmp_path / "home", tmp_path / "pictures"
    folder.mkdir()
    for number in range(NUM_PICTURES):
        draw(number).save(folder / f"{number:03}.png")
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_INDEX__OCR": "false"}
    code, out, err = run_command(["index", str(folder), "--quiet"], environment)
    assert code == 0, f"{out}\n{err}"
    with closing(sqlite3.connect(home / "library.sqlite3")) as connection:
        connection.executescript(NOTE_EVERY_END)
    return home


def draw(number: int) -> Image.Image:
    """Draw a picture that is like no other."""
    chance = random.Random(number)
    image = Image.new("RGB", (64, 64), tuple(chance.choices(range(256), k=3)))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = chance.randrange(50), chance.randrange(50)
        box = (left, top, left + chance.randrange(8, 40), top + chance.randrange(8, 40))
        pen.ellipse(box, fill=tuple(chance.choices(range(256), k=3)))
    return image


def rows(home: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(home / "library.sqlite3", timeout=30)) as connection:
        return connection.execute(statement).fetchall()


def num_described(home: Path) -> int:
    return int(rows(home, "SELECT count(*) FROM described")[0][0])


def killed(server: Server, home: Path, chance: random.Random, goal: int) -> int:
    """Kill the server some time after so many pictures are described; return how many are by then."""
    server.wait_until(lambda: num_described(home) >= goal, 300)
    time.sleep(chance.random() * 0.1)
    server.process.kill()
    server.process.communicate()
    server.http.close()
    return num_described(home)


def start_run(page: Page) -> None:
    """Start a run on all pictures, and leave a mark on the page that a reload would wipe out."""
    page.goto("/app/describe")
    page.locator("select[name=model]").select_option(MODEL)
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".run")).to_have_count(1)
    page.evaluate("window.isTheSamePage = true")


@pytest.mark.slow
def test_kills_of_the_server_lose_and_repeat_nothing_and_the_page_recovers(browser: Any, home: Path):
    chance = random.Random(18)
    server = Server(home, "--port", str(free_port()))
    context = browser.new_context(base_url=server.url)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    start_run(page)
    run = page.locator(".run")
    begun_s, killed_at = time.monotonic(), []
    for number in range(NUM_KILLS):
        goal = chance.randrange(1, NUM_PICTURES // NUM_KILLS) + number * NUM_PICTURES // (NUM_KILLS + 1)
        killed_at.append(killed(server, home, chance, min(goal, NUM_PICTURES - 1)))
        server = Server(home, "--port", str(server.port))
    server.stop()
    with running(home, "--port", str(server.port)):
        expect(run).to_have_attribute("data-state", "finished", timeout=300_000)
        expect(run.locator(".numbers b")).to_have_text(str(NUM_PICTURES))
        assert page.evaluate("window.isTheSamePage")
    context.close()
    times = Counter(content_id for (content_id,) in rows(home, "SELECT content_id FROM described"))
    versions = dict(rows(home, "SELECT content_id, count(*) FROM description_version GROUP BY content_id"))
    contents = {content_id for (content_id,) in rows(home, "SELECT id FROM content")}
    assert len(contents) == NUM_PICTURES
    assert times == versions == dict.fromkeys(contents, 1)
    assert rows(home, "SELECT state, count(*) FROM description_run_content GROUP BY state") == [
        ("done", NUM_PICTURES)
    ]
    # The leases of other stages belong to the index run of a killed server; the next index run drops them.
    assert rows(home, "SELECT * FROM lease WHERE stage = 'describe'") == []
    assert sum(0 < number < NUM_PICTURES for number in killed_at) >= NUM_KILLS / 2
    seconds = time.monotonic() - begun_s
    print(
        f"{NUM_KILLS} kills at {killed_at} of {NUM_PICTURES} pictures, each described once; {seconds:.0f} s"
    )
