"""Takes the screenshots of the web app for the documents: a real server, the example pictures and Chromium.

Run it as ``python docs/take_screenshots.py [--home DIR] [--only NAME ...]``. Without ``--home`` it indexes
``examples/`` first, and some altered copies for the page of duplicates.
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

from PIL import Image, ImageOps
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
DESKTOP, PHONE = (1280, 800), (390, 780)
_QUALITY = 82


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
            _index(home, ROOT / "examples" / "pictures", ROOT / "examples" / "stickers")
        with _server(home) as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            take(browser, url, options.only)
            if options.home is None and (not options.only or "web-duplicates" in options.only):
                _index(home, altered_copies(home / "Sent to friends"))
                shoot(browser, f"{url}/app/duplicates", "web-duplicates", DESKTOP)
            browser.close()


def altered_copies(folder: Path) -> Path:
    """Draw what becomes of pictures that people send each other: smaller, cropped, grey, with a border."""
    folder.mkdir(parents=True)
    for number, path in enumerate(sorted((ROOT / "examples" / "pictures" / "photos").iterdir())[:4]):
        with Image.open(path) as image:
            picture = image.convert("RGB")
        width, height = picture.size
        picture.resize((width // 2, height // 2)).save(folder / f"{path.stem}.jpg", quality=70)
        if number % 2:
            picture.crop((width // 12, height // 12, width, height)).save(folder / f"{path.stem} cropped.png")
        else:
            ImageOps.expand(picture, width // 16, "white").save(folder / f"{path.stem} framed.png")
    return folder


def take(browser: Browser, url: str, only: list[str]) -> None:
    """Take the screenshots of a running server: all, or those of these names."""
    taken: dict[str, tuple[str, tuple[int, int], Literal["light", "dark"], str | None]] = {
        "web-gallery": ("/app/", DESKTOP, "light", None),
        "web-picture": ("/app/?q=monday", DESKTOP, "dark", "#tiles .open"),
        "web-phone": ("/app/?q=coffee&view=masonry", PHONE, "light", None),
        "web-models": ("/app/models", DESKTOP, "light", None),
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
    shown = Image.open(io.BytesIO(page.screenshot()))
    shown.convert("RGB").save(IMAGES / f"{name}.webp", quality=_QUALITY, method=6)
    context.close()


def _index(home: Path, *folders: Path) -> None:
    command = [sys.executable, "-m", "smallsight", "index", "--quiet", *map(str, folders)]
    subprocess.run(command, check=True, env=_environment(home))  # noqa: S603 - our own command


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
