"""The page of one picture in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from web.conftest import NUM_PICTURES, PHONE


@pytest.fixture
def first_hit(open_page):
    """Search, and open the first picture that is found."""

    def show(words, **options):
        page = open_page(f"/app/?q={words}", **options)
        page.locator("#tiles .open").first.click()
        script_runs(page)
        return page

    return show


def script_runs(page):
    """Wait until the script of the page listens to keys, which is when it marks the picture."""
    expect(page.locator(".shown.is-loaded")).to_be_visible()


def test_the_matched_word_is_marked_on_the_picture(first_hit):
    page = first_hit("monday")
    mark = page.locator(".lines .matched").first
    expect(mark).to_be_visible()
    box, whole = mark.bounding_box(), page.locator("#large").bounding_box()
    assert whole["x"] <= box["x"]
    assert box["x"] + box["width"] <= whole["x"] + whole["width"]
    assert box["y"] < whole["y"] + whole["height"] / 3, "the word is at the top of this picture"


def test_text_on_the_picture_can_be_selected(first_hit):
    page = first_hit("monday")
    text = page.locator(".lines text").first
    selected = text.evaluate(
        "one => { getSelection().selectAllChildren(one); return getSelection().toString(); }"
    )
    assert "MONDAY" in selected.upper()
    assert text.evaluate("one => getComputedStyle(one).userSelect") == "text"


def test_the_arrow_keys_move_within_the_search(first_hit):
    page = first_hit("monday")
    name = page.locator("h1").inner_text()
    expect(page.locator(".facts header")).to_contain_text("1 of")
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1")).not_to_have_text(name)
    expect(page.locator(".facts header")).to_contain_text("2 of")
    assert "q=monday" in page.url
    script_runs(page)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("h1")).to_have_text(name)
    script_runs(page)
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/app/\?q=monday$"))


def test_a_persons_description_is_stored_and_shown(first_hit):
    page = first_hit("printer")
    page.get_by_text("Edit", exact=True).click()
    page.locator("#description").fill("A dialog that asks for <b>mercy</b>")
    page.locator("form:has(#description)").get_by_role("button", name="Save").click()
    expect(page.locator(".description")).to_have_text("A dialog that asks for <b>mercy</b>")
    expect(page.get_by_text("Written by a person.")).to_be_visible()
    page.goto("/app/?q=mercy")
    expect(page.locator("h1")).to_have_text("1 picture found")


def test_tags_are_added_and_removed(first_hit):
    page = first_hit("robot")
    page.locator("#add-tag").fill("harbour")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".facts .chips")).to_contain_text("harbour")
    page.get_by_label("Remove the tag harbour").click()
    expect(page.locator(".facts .chips")).not_to_contain_text("harbour")


def test_an_answer_about_the_picture_arrives_in_the_page(first_hit):
    page = first_hit("monday")
    page.keyboard.press("a")
    page.keyboard.type("What is this?")
    page.keyboard.press("Enter")
    expect(page.locator(".answers .asked")).to_have_text("What is this?")
    expect(page.locator(".answers p").nth(1)).to_have_text(re.compile(r"\w{3}"))


def test_a_phone_shows_it_in_one_column(first_hit):
    page = first_hit("monday", size=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture, facts = page.locator(".stage").bounding_box(), page.locator(".facts").bounding_box()
    assert picture["y"] + picture["height"] <= facts["y"]


def test_what_is_not_there_is_a_page(open_page):
    page = open_page("/app/pictures/999999")
    expect(page.locator("h1")).to_have_text("This did not work")
    page.get_by_role("link", name="All pictures", exact=True).click()
    expect(page.locator("h1")).to_have_text(f"{NUM_PICTURES} pictures")
