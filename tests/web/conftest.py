"""A real server process with example pictures, and a real browser, for the tests of the pages."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.serving import Server, running
from forked_commands import run_command
from shown_by_chromium import HEADLESS, PROGRAM
from smallsight.catalog.state_file import locked_state

EXAMPLES = Path(__file__).parents[2] / "examples"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 60_000  # a busy machine takes many times as long as a quiet one


NUM_PICTURES = 28  # of 29 files, two are the same
CHOSEN = ("memes", "screenshots/error.bmp", "screenshots/Bildschirmfoto 2026-02-09.png")


@pytest.fixture(scope="session")
def indexed_home(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A data folder in which some example pictures are indexed; copy it, do not change it.

    Indexing takes long, so that the processes that run tests side by side share one.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared if worker_id == "master" else shared.parent
    home, pictures = shared / "indexed-home", shared / "indexed-pictures"
    with locked_state(shared / "indexed", wait_s=300):
        if not home.exists():
            unfinished = home.with_name("unfinished-home")
            for name in CHOSEN:
                source = EXAMPLES / "pictures" / name
                (shutil.copytree if source.is_dir() else _copy)(source, pictures / name)
            shutil.copytree(EXAMPLES / "stickers", pictures / "stickers")
            environment = {**os.environ, "SMALLSIGHT_HOME": str(unfinished), "COLUMNS": "200"}
            code, out, err = run_command(["index", str(pictures), "--quiet"], environment)
            assert code == 0, f"{out}\n{err}"
            unfinished.rename(home)
    return home


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


@pytest.fixture(scope="module")
def server(indexed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a copy of the indexed data folder."""
    home = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(indexed_home, home)
    with running(home) as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without its own windows and menus, if that is installed; without a profile."""
    playwright = pytest.importorskip("playwright.sync_api")
    if HEADLESS is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        playwright.expect.set_options(timeout=PATIENCE_MS)
        chromium = started.chromium.launch(executable_path=HEADLESS, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def whole_browser(browser: Any) -> Iterator[Any]:
    """Chromium as people install it."""
    if PROGRAM is None:
        pytest.skip("Chromium is not installed")
    chromium = browser.browser_type.launch(executable_path=PROGRAM, args=["--no-sandbox"])
    yield chromium
    chromium.close()


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """Open a page of the server; script errors and refusals of the security policy fail the test."""
    problems: list[str] = []
    with contextlib.ExitStack() as contexts:

        def open_one(address: str = "/app/", *, size: dict[str, int] = DESKTOP, **options: Any) -> Any:
            context = browser.new_context(viewport=size, base_url=server.url, **options)
            contexts.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            page.on("pageerror", lambda error: problems.append(f"script: {error}"))
            page.on(
                "console",
                lambda line: problems.append(line.text) if "Content Security" in line.text else None,
            )
            page.goto(address)
            return page

        yield open_one
    assert problems == []
