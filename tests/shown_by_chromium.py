"""What Chromium shows of a file's bytes: the pixels of a canvas on which the file was drawn."""

from __future__ import annotations

import base64
import importlib.util
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
HEADLESS = shutil.which("chromium-headless-shell") or PROGRAM  # the same pages in half the processor time
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--force-color-profile=srgb",
    "--disable-gpu",
]
DRAW = """
async ({bytes, type, time, is_video}) => {
  const raw = Uint8Array.from(atob(bytes), one => one.charCodeAt(0));
  const url = URL.createObjectURL(new Blob([raw], {type}));
  const happens = (on, name) => new Promise((resolve, reject) => {
    on.addEventListener(name, resolve, {once: true});
    on.addEventListener("error", () => reject(new Error("not shown")), {once: true});
  });
  let shown, width, height, duration = null;
  if (is_video) {
    shown = document.createElement("video");
    shown.muted = true;
    document.body.replaceChildren(shown);
    const loaded = happens(shown, "loadeddata");
    shown.src = url;
    await loaded;
    duration = shown.duration;
    const seeked = happens(shown, "seeked");
    const painted = new Promise(resolve => shown.requestVideoFrameCallback(resolve));
    shown.currentTime = time;
    await seeked;
    await Promise.race([painted, new Promise(resolve => setTimeout(resolve, 1000))]);
    [width, height] = [shown.videoWidth, shown.videoHeight];
  } else {
    shown = new Image();
    shown.src = url;
    await shown.decode();
    [width, height] = [shown.naturalWidth, shown.naturalHeight];
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.drawImage(shown, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  let text = "";
  for (let start = 0; start < pixels.length; start += 32768)
    text += String.fromCharCode(...pixels.subarray(start, start + 32768));
  return {width, height, pixels: btoa(text)};
}
"""
DECODE = """
async ({bytes, type, index}) => {
  const raw = Uint8Array.from(atob(bytes), one => one.charCodeAt(0));
  const decoder = new ImageDecoder({data: raw, type});
  await decoder.completed;
  const {image} = await decoder.decode({frameIndex: index});
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.displayWidth, image.displayHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let start = 0; start < pixels.length; start += 32768)
    text += String.fromCharCode(...pixels.subarray(start, start + 32768));
  return {width: canvas.width, height: canvas.height, pixels: btoa(text)};
}
"""
DURATIONS = """
async ({bytes, type}) => {
  const raw = Uint8Array.from(atob(bytes), one => one.charCodeAt(0));
  const decoder = new ImageDecoder({data: raw, type});
  await decoder.tracks.ready;
  await decoder.completed;
  const found = [];
  for (let frameIndex = 0; frameIndex < decoder.tracks.selectedTrack.frameCount; frameIndex++)
    found.push((await decoder.decode({frameIndex})).image.duration / 1000);
  return found;
}
"""


def why_not() -> str | None:
    """Return why nothing can be shown here, None if it can."""
    if PROGRAM is None:
        return "There is no Chromium here to compare with: apt-get install chromium."
    if importlib.util.find_spec("playwright") is None:
        return "The package playwright, which drives Chromium, is not installed."
    return None


class Chromium:
    """One page of a running browser. Playwright's event loop runs in a thread that only it uses."""

    def __init__(self, page: Any, thread: ThreadPoolExecutor) -> None:
        self._page = page
        self._thread = thread

    def picture(self, data: bytes, kind: str) -> np.ndarray:
        """Return a picture as the element img shows it, uint8 RGBA [height, width, 4]."""
        return self._drawn(DRAW, data, kind, time=0, is_video=False)

    def frame(self, data: bytes, kind: str, index: int) -> np.ndarray:
        """Return a frame of an animated picture."""
        return self._drawn(DECODE, data, kind, index=index)

    def durations_ms(self, data: bytes, kind: str) -> list[float]:
        """Return how long each frame of an animated picture is shown."""
        told = {"bytes": base64.b64encode(data).decode(), "type": kind}
        return self._evaluate(DURATIONS, told)

    def video(self, data: bytes, kind: str, time_s: float = 0.0) -> np.ndarray:
        """Return what the element video shows at a time."""
        return self._drawn(DRAW, data, kind, time=time_s, is_video=True)

    def _drawn(self, program: str, data: bytes, kind: str, **how: object) -> np.ndarray:
        told = {"bytes": base64.b64encode(data).decode(), "type": kind, **how}
        drawn = self._evaluate(program, told)
        pixels = np.frombuffer(base64.b64decode(drawn["pixels"]), np.uint8)
        return pixels.reshape(drawn["height"], drawn["width"], 4)

    def _evaluate(self, program: str, told: dict[str, object]) -> Any:
        return self._thread.submit(self._page.evaluate, program, told).result()


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Run the browser, without a window and without reaching the network."""
    from playwright.sync_api import sync_playwright

    def start() -> tuple[Any, Any, Any]:
        playing = sync_playwright().start()
        browser = playing.chromium.launch(executable_path=PROGRAM, args=FLAGS)
        page = browser.new_page()
        page.route("http://127.0.0.1/", lambda route: route.fulfill(body="", content_type="text/html"))
        page.goto("http://127.0.0.1/")
        return playing, browser, page

    # A loop that runs in the tests' own thread would forbid asyncio.run to every test that follows.
    with ThreadPoolExecutor(1) as thread:
        playing, browser, page = thread.submit(start).result()
        try:
            yield Chromium(page, thread)
        finally:
            thread.submit(browser.close).result()
            thread.submit(playing.stop).result()
