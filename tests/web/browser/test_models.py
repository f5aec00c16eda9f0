"""The pages of models, of the camera and of settings in a real browser; the hub is one of this machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from clips import encoded, noise_frames
from e2e.serving import Server, running
from local_hub import LocalHub, running_hub
from unit.conftest import small_model_files
from web.conftest import EXAMPLES, PHONE

NAME = "SmolVLM-256M-Instruct"
PICTURE = EXAMPLES / "pictures" / "memes"
FAKE_CAMERA = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP pictures.test 127.0.0.1",
)


@pytest.fixture(scope="module")
def hub() -> Iterator[LocalHub]:
    with running_hub() as started:
        started.serve(f"HuggingFaceTB/{NAME}", small_model_files(1_000_000))
        yield started


@pytest.fixture(scope="module")
def server(hub: LocalHub, indexed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("models") / "home"
    shutil.copytree(indexed_home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HUB_CACHE", str(home.with_name("cache")))
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        with running(home, server__allowed_hosts='["pictures.test"]', server__watch="false") as started:
            yield started


@pytest.fixture(scope="module")
def camera_browser(browser: Any) -> Iterator[Any]:
    """Chromium with a camera that shows a test pattern."""
    started = browser.browser_type.launch(executable_path=_program(), args=list(FAKE_CAMERA))
    yield started
    started.close()


def _program() -> str | None:
    from shown_by_chromium import PROGRAM

    return PROGRAM


def card(page: Any, name: str = NAME) -> Any:
    return page.locator(".card").filter(has=page.get_by_role("heading", name=name, exact=True))


def test_a_download_is_followed_on_two_pages_cancelled_and_continued(open_page, hub: LocalHub):
    hub.misbehave(delay_s=1)  # for each of 61 parts: it is in progress until it is cancelled
    page, other = open_page("/app/models"), open_page("/app/models", size=PHONE)
    card(page).get_by_role("button", name="Download").click()
    for one in (page, other):
        expect(card(one).get_by_role("progressbar")).to_be_visible()
        expect(card(one).locator(".download")).to_contain_text(" of 3.8 MiB")
    page.goto("/app/")  # leaving the page changes nothing
    page.goto("/app/models")
    expect(card(page).locator(".download")).to_contain_text(re.compile(r"\d [KM]iB of 3\.8 MiB"))
    card(page).get_by_role("button", name="Cancel").click()
    expect(card(other)).to_contain_text("What was downloaded is kept")
    hub.misbehave()
    card(other).get_by_role("button", name="Download").click()
    expect(card(page)).to_contain_text("Downloaded, 3.8 MiB")
    assert hub.downloads("model.safetensors")[-1]["range"] is not None
    assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_failed_download_says_why(open_page):
    page = open_page("/app/models")
    moondream = card(page, "moondream2")
    moondream.get_by_role("button", name="Download").click()
    expect(moondream.get_by_role("alert")).to_contain_text("denied this user access to vikhyatk/moondream2")


def test_a_model_is_made_current_and_other_pages_see_it(open_page, server: Server):
    page, other = open_page("/app/models"), open_page("/app/models")
    card(page, "test").get_by_role("button", name="Make current").click()
    expect(page.locator("#model-summary")).to_contain_text("test")
    expect(other.locator("#model-summary")).to_contain_text("test")
    expect(card(other, "test")).to_contain_text("current")
    assert server.health()["active_model"] == "test"


def test_int8_is_explained_to_keyboards(open_page):
    page = open_page("/app/models")
    card(page).get_by_role("button", name="What is INT8?").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#about-int8")).to_contain_text("about half the memory")
    page.keyboard.press("Escape")
    expect(page.locator("#about-int8")).to_be_hidden()


def test_a_model_is_tried_on_a_picture_of_the_library_and_on_another(open_page):
    page = open_page("/app/models?try=test#try")
    section = page.locator("#try")
    expect(section.get_by_label("Model")).to_have_value("test")
    section.locator(".choice img").first.click()
    section.get_by_role("button", name="Ask").click()
    expect(section.locator("[data-note]")).to_have_text(re.compile(r"test, \d+(\.\d+)? s"))
    picture = next(PICTURE.glob("*.*"))
    section.locator("input[type=file]").set_input_files(picture)
    expect(section.locator(".chosen")).to_be_visible()
    section.get_by_role("button", name="Ask").click()
    expect(section.locator(".answer")).to_have_text(
        re.compile(re.escape(re.split(r"\W|_", picture.stem)[0]), re.IGNORECASE)
    )


def test_a_server_is_added_and_its_connection_tested(open_page):
    page = open_page("/app/models")
    page.get_by_text("Add a server").click()
    page.get_by_label("Name on these pages").fill("far")
    page.get_by_label("Address").fill("http://127.0.0.1:9/v1")
    page.get_by_label("Key, if").fill("sk-0123456789abcdef")
    page.locator(".server-form").get_by_role("button", name="Save").click()
    expect(page.locator(".server")).to_contain_text("key sk-…cdef")
    page.get_by_role("button", name="Test the connection").click()
    expect(page.locator(".trial-result")).to_contain_text("cannot be reached")
    assert "0123456789" not in page.content()


@pytest.mark.slow
def test_a_camera_is_asked_again_and_again_until_it_is_stopped(camera_browser, server: Server):
    with_camera = camera_browser.new_context(base_url=server.url)
    page = with_camera.new_page()
    page.goto("/app/live")
    page.locator("select[name=model]").select_option("Smallsight-tiny")
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator("video")).to_be_visible()
    page.evaluate("window.track = document.querySelector('video').srcObject.getTracks()[0]")
    page.get_by_role("button", name="Ask", exact=True).click()
    frames = page.locator("[data-count=frames]")
    expect(frames).to_have_text(re.compile(r"^[2-9]$|^\d\d"))
    expect(page.locator("[data-count=tokens]")).not_to_have_text("0")
    expect(page.locator("[data-count=rate]")).to_have_text(re.compile(r"\d\.\d"))
    assert len(page.locator(".answers li").last.inner_text()) > 5
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("video")).to_be_hidden()
    assert page.evaluate("window.track.readyState") == "ended"
    asked = frames.inner_text()
    server.wait_until(lambda: all(one["requests"] == 0 for one in server.health()["models"]))
    assert frames.inner_text() == asked
    with_camera.close()


def test_without_a_secure_context_pictures_can_be_dropped_all_the_same(camera_browser, server: Server):
    context = camera_browser.new_context(base_url=f"http://pictures.test:{server.port}", viewport=PHONE)
    page = context.new_page()
    page.goto("/app/live")
    expect(page.get_by_text("The camera does not work at this address.")).to_be_visible()
    expect(page.get_by_role("button", name="Start the camera")).to_be_disabled()
    page.locator("[data-file]").set_input_files(next(PICTURE.glob("*.*")))
    page.locator("select[name=model]").select_option("test")
    page.get_by_label("Ask again").select_option("once")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".answers li")).to_have_text("frame")  # the model says the name of the file
    expect(page.locator("[data-count=frames]")).to_have_text("1")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_a_video_is_watched_and_leaving_the_page_stops_the_answer(
    camera_browser, server: Server, tmp_path: Path
):
    video = tmp_path / "clip.webm"
    video.write_bytes(encoded(noise_frames(20, 160, 120), "webm", "libvpx"))
    context = camera_browser.new_context(base_url=server.url)
    page = context.new_page()
    page.goto("/app/live")
    page.locator("select[name=model]").select_option("Smallsight-tiny")
    page.locator("[data-file]").set_input_files(video)
    expect(page.locator("video")).to_be_visible()
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("[data-count=frames]")).not_to_have_text("0")
    page.goto("/app/settings")
    server.wait_until(lambda: all(one["requests"] == 0 for one in server.health()["models"]))
    context.close()


def test_a_tag_gets_a_colour(open_page):
    page = open_page("/app/pictures/1")
    page.get_by_label("Add tag").fill("harbour")
    page.locator("section[aria-labelledby=about-tags]").get_by_role("button", name="Add").click()
    chip = page.locator(".chip", has_text="harbour")
    expect(chip).to_be_visible()
    page.goto("/app/settings")
    row = page.locator(".tag-row", has_text="harbour")
    row.get_by_text("Change").click()
    row.get_by_label("Colour", exact=True).fill("#1c3f8a")
    row.get_by_label("no colour").uncheck()
    row.get_by_role("button", name="Save").click()
    expect(row.locator(".chip")).to_have_css("background-color", "rgb(28, 63, 138)")
    page.goto("/app/pictures/1")
    expect(chip).to_have_css("background-color", "rgb(28, 63, 138)")
    expect(chip.locator("a")).to_have_css("color", "rgb(255, 255, 255)")


def test_a_wrong_value_is_said_beside_its_field_and_the_theme_is_kept(open_page):
    page = open_page("/app/settings", size=PHONE)
    page.get_by_label("Longest answer").fill("many")
    page.locator("#answers").get_by_role("button", name="Save").click()
    expect(page.locator("#answers").get_by_role("alert")).to_contain_text(
        "inference.max_tokens cannot be 'many'"
    )
    expect(page.get_by_label("Longest answer")).to_have_value("many")
    page.get_by_label("Colours").select_option("dark")
    page.locator("#appearance").get_by_role("button", name="Save").click()
    expect(page.locator("body")).to_have_css("background-color", "rgb(23, 26, 28)")
    page.wait_for_load_state()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
