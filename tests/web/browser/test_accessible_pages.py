"""Every page with axe-core, desktop and phone, light and dark; the keyboard; large text, few colours, little motion."""

# ruff: noqa: E501 - scripts of pages are in here
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from e2e.serving import Server, running
from web.accessible import assert_accessible, walk
from web.conftest import DESKTOP, PATIENCE_MS, PHONE
from web.hostile_library import make_hostile_library
from web.logged_in import PASSWORD, store_password

PAGES = (
    "/app/",
    "/app/?view=list&q=monday",
    "/app/?view=masonry&tag=monday+3",
    "/app/?q=nothingatall",
    "/app/pictures/1?q=monday&at=0",
    "/app/sessions",
    "/app/settings",
    "/app/folders",
    "/app/folders/choose",
    "/app/uploads",
    "/app/models",
    "/app/live",
    "/app/describe",
    "/app/shared",
    "/app/nowhere",
)
LOOKS = [(DESKTOP, "light"), (PHONE, "dark")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("accessible")
    words = [f"monday {number}" for number in range(30)]
    make_hostile_library(folder / "home", folder / "pictures", words)
    store_password(folder / "home")
    bert = str(folder / "home" / "bert")
    with running(
        folder / "home", "--model", "test", embedding__model_dir=bert, server__watch="false"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def session(browser: Any, server: Server) -> Any:
    """The cookies of somebody who has logged in through the form."""
    context = browser.new_context(base_url=server.url, service_workers="block")
    page = context.new_page()
    page.goto("/app/sessions")
    assert_accessible(page)
    expect(page.locator("#password")).to_be_focused()
    page.keyboard.type("not the password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This is neither the password nor a key for these pages.")
    assert_accessible(page)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/app/sessions")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def show(browser: Any, server: Server, session: Any) -> Iterator[Any]:
    opened = []

    def open_one(address: str, **options: Any) -> Any:
        context = browser.new_context(
            base_url=server.url, storage_state=session, service_workers="block", **options
        )
        opened.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto(address)
        return page

    yield open_one
    for context in opened:
        context.close()


@pytest.mark.slow
@pytest.mark.parametrize(("size", "scheme"), LOOKS, ids=["desktop-light", "phone-dark"])
def test_no_page_has_a_serious_violation(show: Any, size: dict[str, int], scheme: str):
    page = show(PAGES[0], viewport=size, color_scheme=scheme, reduced_motion="reduce")
    for address in PAGES:
        page.goto(address)
        for summary in page.locator("main summary:visible").all()[:4]:
            summary.click()
        assert_accessible(page)


def test_the_gallery_is_used_with_the_keyboard(show: Any):
    page = show("/app/", viewport=DESKTOP)
    names = walk(page, 14)
    assert names[0] == "Skip to the content"
    assert len(names) == 14
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#tiles .open").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ ")
    expect(page.locator(".bulk-count")).to_have_text("3")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator(".picture")).to_be_visible()


def test_the_picture_page_is_used_with_the_keyboard(show: Any):
    address = show("/app/", viewport=DESKTOP).locator("#tiles .open").nth(1).get_attribute("href")
    names = walk(show(address, viewport=DESKTOP), 60)
    for wanted in (
        "Skip to the content",
        "Previous picture",
        "Next picture",
        "Back to the list",
        "Edit",
        "Ask",
        "Add",
    ):
        assert any(name.startswith(wanted) for name in names), (wanted, names)


@pytest.mark.slow
def test_nothing_is_lost_at_320_pixels_or_twice_the_size(show: Any):
    for address in PAGES:
        # 1280 px at 400 % and 640 px at 200 % have the same number of CSS pixels.
        page = show(address, viewport={"width": 320, "height": 640}, device_scale_factor=2)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        cut = page.evaluate("""() => [...document.querySelectorAll("main button, main a, main input")]
          .filter((one) => one.checkVisibility() && !one.closest(".unseen, .scrubber, .strip, .tile, .places"))
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 120))""")
        assert cut == [], address
        page.context.close()


def test_forced_colours_and_reduced_motion_are_respected(show: Any):
    page = show("/app/", viewport=DESKTOP, forced_colors="active", reduced_motion="reduce")
    walk(page, 8)
    moving = page.evaluate("""() => [...document.querySelectorAll("*")].filter((one) => {
      const style = getComputedStyle(one);
      return parseFloat(style.transitionDuration) > 0 || style.animationName !== "none";
    }).length""")
    assert moving == 0
    current = page.locator(".views [aria-current]")
    others = page.locator(".views a:not([aria-current])").first
    look = "one => [getComputedStyle(one).backgroundColor, getComputedStyle(one).outlineStyle, getComputedStyle(one).borderBottomColor]"
    assert current.evaluate(look) != others.evaluate(look), "what is chosen can be told without our colours"
