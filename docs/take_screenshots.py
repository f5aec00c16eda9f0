"""Takes the screenshots of the web app for the documents: a real server, the example pictures and Chromium.

Run it as ``python docs/take_screenshots.py [--home DIR] [--only NAME ...]``. Without ``--home`` it indexes
``examples/`` first. Where this checkout lies is not shown: paths begin with ``/home/me``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
DESKTOP, PHONE = (1280, 800), (390, 780)
_QUALITY = 82
_SHOW_OTHER_PATHS = """([path, shown]) => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(path, shown);
}"""


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="A data folder in which the examples are indexed.")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="Take these alone.")
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise SystemExit("Chromium is not installed.")
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary)
        if options.home is None:
            folders = [str(ROOT / "examples" / name) for name in ("pictures", "stickers")]
            command = [sys.executable, "-m", "smallsight", "index", "--quiet", *folders]
            subprocess.run(command, check=True, env=_environment(home))  # noqa: S603 - our own command
        with _server(home) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            take(browser, url, options.only)
            browser.close()


def take(browser: Browser, url: str, only: list[str]) -> None:
    """Take the screenshots of a running server: all, or those of these names."""
    taken: dict[str, tuple[str, tuple[int, int], Literal["light", "dark"], str | None]] = {
        "web-gallery": ("/app/", DESKTOP, "light", None),
        "web-picture": ("/app/?q=monday", DESKTOP, "dark", "#tiles .open"),
        "web-phone": ("/app/?q=coffee&view=masonry", PHONE, "light", None),
        "web-models": ("/app/models", DESKTOP, "light", None),
        "web-duplicates": ("/app/duplicates", DESKTOP, "light", None),
    }
    for name, (page, size, scheme, opens) in taken.items():
        if not only or name in only:
            shoot(browser, f"{url}{page}", name, size, scheme, opens)


def shoot(
    browser: Browser,
    address: str,
    name: str,
    size: tuple[int, int],
    scheme: Literal["light", "dark"] = "light",
    opens: str | None = None,
) -> None:
    """Store one page as WebP; with ``opens``, the page behind the first element of this selector."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    if opens is not None:
        page.locator(opens).first.click()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    page.evaluate(_SHOW_OTHER_PATHS, [str(ROOT), "/home/me"])
    shown = Image.open(io.BytesIO(page.screenshot()))
    shown.convert("RGB").save(IMAGES / f"{name}.webp", quality=_QUALITY, method=6)
    context.close()


@contextmanager
def _server(home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "smallsight", "serve", "--port", "0", "--json"]
    with subprocess.Popen(  # noqa: S603 - our own command
        command, env=_environment(home), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        text = ""
        while not re.search(r"^}", text, re.MULTILINE):
            text += process.stdout.readline()
        started: dict[str, Any] = json.loads(text)
        yield str(started["url"])
        process.terminate()


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "SMALLSIGHT_HOME": str(home), "SMALLSIGHT_SERVER__WATCH": "false"}


if __name__ == "__main__":
    main()
