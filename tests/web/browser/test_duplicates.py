"""Duplicates in a real browser: side by side, decided with the keyboard, removed after a confirmation."""

import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from e2e.serving import running
from forked_commands import run_command
from web.conftest import PATIENCE_MS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home, pictures = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("pictures")
    drawn = Image.radial_gradient("L").convert("RGB").resize((640, 480))
    drawn.paste((200, 40, 30), (40, 60, 300, 260))
    drawn.paste((20, 90, 200), (340, 200, 600, 420))
    drawn.save(pictures / "first.png")
    drawn.resize((320, 240)).save(pictures / "small.jpg", quality=70)
    (pictures / "copy.png").write_bytes((pictures / "first.png").read_bytes())
    other = Image.linear_gradient("L").convert("RGB").resize((640, 480))
    other.save(pictures / "other.png")
    environment = {"SMALLSIGHT_HOME": str(home), "SMALLSIGHT_INDEX__OCR": "false", "COLUMNS": "200"}
    code, out, err = run_command(["index", str(pictures), "--quiet"], environment)
    assert code == 0, f"{out}\n{err}"
    data = tmp_path_factory.mktemp("trash")
    with running(home, index__ocr="false", prefix=("env", f"XDG_DATA_HOME={data}")) as server:
        yield server, pictures


@pytest.fixture
def page(browser, place):
    context = browser.new_context(base_url=place[0].url)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def test_copies_are_shown_side_by_side_and_the_better_one_is_kept(page, place):
    page.goto("/app/duplicates")
    expect(page.locator("h1")).to_have_text("1 group")
    kept = page.locator(".members li:has(:checked)")
    expect(kept).to_have_count(1)
    expect(kept).to_contain_text("640 × 480")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("2")
    expect(page.locator(".members li:has(:checked)")).to_have_count(2)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(re.compile(r"Remove 1 file\?"))
    _, pictures = place
    assert (pictures / "small.jpg").exists(), "nothing is removed before the confirmation"
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("button", name=re.compile("Keep the marked")).click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator(".notice")).to_be_visible()
    assert not (pictures / "small.jpg").exists()
    assert (pictures / "first.png").exists()


def test_a_decided_group_does_not_come_back(page):
    page.goto("/app/duplicates")
    if page.locator(".group").count():
        page.get_by_role("button", name="Keep all").click()
    expect(page.locator(".nothing")).to_be_visible()
    page.reload()
    expect(page.locator(".nothing")).to_be_visible()
    page.get_by_role("link", name="Show what is decided too").click()
    expect(page.locator(".group")).to_have_count(1)


def test_pictures_that_are_left_out_can_be_taken_back(page):
    page.goto("/app/")
    page.locator("#tiles .pick input").first.check(force=True)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove from index").click()
    expect(page.locator(".notice")).to_have_text("1 picture left out of the index.")
    page.goto("/app/left-out")
    page.locator(".file-list input").check()
    page.get_by_role("button", name="Index the marked again").click()
    expect(page.locator("h1")).to_have_text("0 pictures left out")
