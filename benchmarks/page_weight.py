"""How many bytes each page of the web app costs without its pictures, and when its largest part is painted.

Run it as ``python benchmarks/page_weight.py [--runs N] [--home DIR] [--json FILE]``. A real server process
with the example pictures (indexed first, without describing them) and Debian's Chromium, on this machine.
Bytes are those that the browser received on the network, headers included and compressed as they were sent,
with an empty cache. Pictures (thumbnails, previews, files) are counted apart; icons and scripts count as
the page's. The largest contentful paint is what Chromium reports, with an empty cache, as the median of the
runs, for a desktop and a phone of twice the pixel density; it needs no network, so it shows what server and
browser do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from served_process import server_in

from smallsight.machine.processor import processor

EXAMPLES = Path(__file__).parents[1] / "examples" / "pictures"
AIM_BYTES, AIM_PAINT_S = 150_000, 1.0
PICTURE_PATHS = ("/app/thumbs/", "/app/files/")
SIZES: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}
PAINTED = ("/app/", "/app/?q=coffee")  # besides a picture's page: whose paint is measured
# Resolves with milliseconds since the page was asked for; a paint after half a second of silence is the last.
_LARGEST_PAINT = """() => new Promise((resolve) => {
  let last = 0;
  const done = () => resolve(last);
  let timer = setTimeout(done, 500);
  new PerformanceObserver((list) => {
    last = list.getEntries().at(-1).startTime;
    clearTimeout(timer);
    timer = setTimeout(done, 500);
  }).observe({ type: "largest-contentful-paint", buffered: true });
})"""


def measure(home: Path, num_runs: int) -> dict[str, Any]:
    """Index the examples, serve them, and look at every page."""
    environment = {**os.environ, "SMALLSIGHT_HOME": str(home)}
    command = [sys.executable, "-m", "smallsight", "index", "--quiet", str(EXAMPLES)]
    subprocess.run(command, check=True, env=environment)
    with (
        server_in(home, {}, server__watch="false", log_level="error") as served,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        addresses = page_addresses(browser, served.url)
        weights = {
            name: {address: weight(browser, size, served.url + address) for address in addresses}
            for name, size in SIZES.items()
        }
        picture = next(one for one in addresses if one.startswith("/app/pictures/"))
        paints = {
            name: {
                address: [paint_ms(browser, size, served.url + address) for _ in range(num_runs)]
                for address in (*PAINTED, picture)
            }
            for name, size in SIZES.items()
        }
        version = browser.version
        browser.close()
    return {"chromium": version, "bytes": weights, "largest_paint_ms": paints}


def page_addresses(browser: Browser, url: str) -> list[str]:
    """Return the addresses of the places in the navigation, of a search and of a picture."""
    page = browser.new_page()
    page.goto(f"{url}/app/")
    places = page.eval_on_selector_all("nav.places a", "all => all.map(one => one.getAttribute('href'))")
    first = page.get_attribute("#tiles a.open", "href")
    page.close()
    picture = [] if first is None else [first]
    return list(dict.fromkeys([*places, "/app/?q=coffee", "/app/uploads", *picture]))


def weight(browser: Browser, size: dict[str, Any], url: str) -> dict[str, int]:
    """Return the bytes received for a page by type, with those of pictures as "pictures"."""
    context = browser.new_context(**size)
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    kinds: dict[str, str] = {}
    received: defaultdict[str, int] = defaultdict(int)

    def note(event: dict[str, Any]) -> None:
        path = event["response"]["url"].removeprefix(url.partition("/app/")[0])
        kinds[event["requestId"]] = "pictures" if path.startswith(PICTURE_PATHS) else event["type"].lower()

    def add(event: dict[str, Any]) -> None:
        received[kinds.get(event["requestId"], "other")] += int(event["encodedDataLength"])

    network.on("Network.responseReceived", note)
    network.on("Network.loadingFinished", add)
    open_page(page, url)
    context.close()
    return dict(received)


def paint_ms(browser: Browser, size: dict[str, Any], url: str) -> float:
    """Return when the largest part of a page was painted, in milliseconds, with an empty cache."""
    context = browser.new_context(**size)
    page = context.new_page()
    open_page(page, url)
    painted_ms = float(page.evaluate(_LARGEST_PAINT))
    context.close()
    return round(painted_ms, 1)


def open_page(page: Page, url: str) -> None:
    """Load a page with all that it loads by itself."""
    response = page.goto(url, wait_until="networkidle")
    if response is None or response.status != 200:
        raise SystemExit(f"{url} was not answered with 200.")


def page_bytes(received: dict[str, int]) -> int:
    """Return what a page weighs without pictures."""
    return sum(number for kind, number in received.items() if kind != "pictures")


def report(outcome: dict[str, Any]) -> list[str]:
    """Print both tables, and return in words which aims are missed."""
    print(
        f"{outcome['processor']}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"Chromium {outcome['chromium']}"
    )
    missed = []
    for name, pages in outcome["bytes"].items():
        kinds = sorted({kind for received in pages.values() for kind in received} - {"pictures"})
        print(f"\n{name}: KB received" + "".join(f"{kind:>12}" for kind in [*kinds, "page", "(pictures)"]))
        for address, received in pages.items():
            total = page_bytes(received)
            numbers = [*(received.get(kind, 0) for kind in kinds), total, received.get("pictures", 0)]
            print(f"  {address[: 22 + len(name) - 7]:22}" + "".join(f"{one / 1000:12.1f}" for one in numbers))
            if total > AIM_BYTES:
                missed.append(f"{address} on a {name}: {total:,} bytes, aim {AIM_BYTES:,}")
    print("\nlargest contentful paint, median of the runs (all runs), ms")
    for name, pages in outcome["largest_paint_ms"].items():
        for address, times_ms in pages.items():
            print(f"  {name:8} {address[:30]:30} {median(times_ms):8.0f}  ({', '.join(map(str, times_ms))})")
            if median(times_ms) > AIM_PAINT_S * 1000:
                missed.append(f"{address} on a {name}: painted after {median(times_ms):.0f} ms")
    return missed


def main() -> int:
    """Parse the command line and measure; return 1 if an aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="of each paint")
    parser.add_argument("--home", type=Path, help="keep the library here")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure((arguments.home or Path(folder)).absolute(), arguments.runs)
    outcome = {"processor": str(processor()), **measured}
    missed = report(outcome)
    if arguments.json:
        arguments.json.write_text(json.dumps(outcome, indent=1))
    print("\n" + ("\n".join(f"missed: {one}" for one in missed) or "all aims met"))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
