"""A video in the browser: found by a frame, with its length in the gallery, and played from that frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import smallsight as package
from clips import encoded
from e2e.serving import Server, running
from forked_commands import run_command
from web.accessible import assert_accessible

STICKERS = Path(__file__).parents[3] / "examples" / "stickers"
BELL, OWL = (STICKERS / f"sticker_{number}.png" for number in (6, 2))
FPS = 10
LOADED = """one => new Promise((done, fail) => {
  one.addEventListener("error", () => fail(one.error));
  if (one.readyState >= 2) done();
  else one.addEventListener("loadeddata", () => done());
})"""
PLAYED = """async (one) => {
  one.muted = true;
  await one.play();
  return new Promise((done) => one.addEventListener("timeupdate", () => done(one.currentTime)));
}"""

pytestmark = pytest.mark.skipif(
    not (Path(package.__file__).parent / "shipped" / "Smallsight-tiny-looks").is_dir(),
    reason="the package has no model of drawings",
)


def frames(path: Path, seconds: int) -> list[np.ndarray]:
    sticker = Image.open(path).convert("RGBA")
    page = Image.new("RGBA", sticker.size, "white")
    page.alpha_composite(sticker)
    return [np.asarray(page.convert("RGB").resize((192, 192)))] * (seconds * FPS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("films")
    (folder / "album").mkdir()
    film = frames(BELL, 6) + frames(OWL, 3) + frames(BELL, 3)
    # VP8, which a Chromium without patented codecs plays too.
    (folder / "album" / "birthday.webm").write_bytes(encoded(film, "webm", "libvpx", rate=FPS))
    Image.fromarray(frames(OWL, 1)[0]).save(folder / "album" / "owl.png")
    environment = {**os.environ, "SMALLSIGHT_HOME": str(folder / "home")}
    code, out, err = run_command(["index", "--fast", str(folder / "album"), "--quiet"], environment)
    assert code == 0, f"{out}\n{err}"
    with running(folder / "home", server__watch="false") as started:
        yield started


def test_a_found_video_plays_from_the_frame_that_was_found(open_page):
    page = open_page("/app/?q=owl")
    expect(page.locator("li.tile")).to_have_count(2)
    tile = page.locator("li.tile", has_text="birthday.webm")
    expect(tile.locator(".lasting")).to_have_text("0:12")
    assert_accessible(page)
    tile.locator("a.open").click()
    video = page.locator("video#large")
    expect(video).to_be_visible()
    video.evaluate(LOADED)
    state = video.evaluate("one => [one.currentTime, one.duration, one.videoWidth, one.error]")
    assert 6.0 <= state[0] < 9.0
    assert state[1] == pytest.approx(12, abs=0.3)
    assert (state[2], state[3]) == (192, None)
    assert video.evaluate(PLAYED) > state[0]
    assert_accessible(page)


def test_the_arrow_keys_belong_to_a_video_that_has_the_focus(open_page):
    page = open_page("/app/?q=owl")
    page.locator("li.tile", has_text="birthday.webm").locator("a.open").click()
    page.locator("video#large").evaluate(LOADED)
    expect(page.locator("a.step")).to_have_count(1)
    address = page.url
    page.locator("video#large").focus()
    for key in ("ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    page.locator("video#large").evaluate(PLAYED)
    expect(page).to_have_url(address)
    page.locator("video#large").blur()
    for key in ("ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("img#large")).to_be_visible()
