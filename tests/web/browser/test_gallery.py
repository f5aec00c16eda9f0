"""The gallery in a real browser: lists, searches, filters, selections, with and without scripts."""

import re

import pytest
from playwright.sync_api import expect

from web.conftest import EXAMPLES, NUM_PICTURES, PHONE


def names(page):
    return [one.strip() for one in page.locator("#tiles .tile .name").all_text_contents()]


def is_complete(page):
    """Wait until the page does not ask for more about what was typed."""
    expect(page.locator("#results [hx-get*='complete=yes']")).to_have_count(0)


def test_all_pictures_are_listed_with_their_size_and_date(open_page):
    page = open_page()
    expect(page.locator("h1")).to_have_text(f"{NUM_PICTURES} pictures")
    tiles = page.locator("#tiles .tile")
    expect(tiles).to_have_count(NUM_PICTURES)
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\d", one.get_attribute("datetime")) for one in tiles.locator("time").all()
    )
    first = tiles.first.locator(".thumbnail")
    expect(first).to_be_visible()
    shown = first.evaluate("one => one.clientWidth / one.clientHeight")
    natural = first.evaluate("one => one.naturalWidth / one.naturalHeight")
    assert abs(shown - natural) < 0.06 * natural, "the aspect ratio is the picture's"


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("view", ["rows", "masonry", "list"])
def test_every_view_fits_a_phone(open_page, view):
    page = open_page(f"/app/?view={view}", size=PHONE)
    expect(page.locator("#tiles .tile").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [one.bounding_box() for one in page.locator("#tiles .tile").all()[:12]]
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart_x = one["x"] + one["width"] <= other["x"] + 1 or other["x"] + other["width"] <= one["x"] + 1
            apart_y = (
                one["y"] + one["height"] <= other["y"] + 1 or other["y"] + other["height"] <= one["y"] + 1
            )
            assert apart_x or apart_y, f"tiles overlap: {one}, {other}"


def test_results_follow_the_typing_and_the_address_follows_them(open_page):
    page = open_page()
    page.keyboard.press("/")
    page.keyboard.type("monday coffee", delay=5)
    expect(page.locator("h1")).to_contain_text("found")
    expect(page).to_have_url(re.compile(r"q=monday\+coffee"))
    assert page.locator("#q").evaluate("one => one === document.activeElement")
    is_complete(page)
    first = names(page)[0]
    page.reload()
    assert names(page)[0] == first
    expect(page.locator("#q")).to_have_value("monday coffee")


def test_back_after_a_search_leads_to_what_was_shown_before(open_page):
    page = open_page()
    page.locator("#q").press_sequentially("monday coffee", delay=5)
    expect(page).to_have_url(re.compile(r"q=monday\+coffee"))
    expect(page.locator("h1")).to_contain_text("found")
    is_complete(page)
    page.locator("#tiles .tile a").first.click()
    expect(page).to_have_url(re.compile(r"/app/pictures/\d+"))
    page.go_back()
    expect(page.locator("#q")).to_have_value("monday coffee")
    page.go_back()
    expect(page.locator("h1")).to_have_text(f"{NUM_PICTURES} pictures")
    expect(page.locator("#q")).to_have_value("")
    expect(page).to_have_url(re.compile(r"/app/$"))
    page.go_forward()
    expect(page.locator("h1")).to_contain_text("found")
    expect(page.locator("#q")).to_have_value("monday coffee")


def test_a_server_that_does_not_answer_is_told_once_until_it_does(open_page):
    page = open_page()
    page.route("**/app/results*", lambda route: route.abort())
    page.locator("#q").press_sequentially("mond", delay=300)
    notices = page.locator("#notices .failed")
    expect(notices).to_have_text("The server does not answer. Is it still running?")
    expect(notices).to_have_count(1)
    page.unroute("**/app/results*")
    page.locator("#q").press_sequentially("ay")
    expect(page.locator("h1")).to_contain_text("found")
    expect(notices).to_have_count(0)


def test_a_refused_search_says_why(open_page):
    page = open_page()
    refusal = {"status": 503, "headers": {"x-problem": "The library is being restored."}, "body": ""}
    page.route("**/app/results*", lambda route: route.fulfill(**refusal))
    page.locator("#q").press_sequentially("monday")
    expect(page.locator("#notices .failed")).to_have_text("The library is being restored.")


def test_a_hit_says_why_it_was_found(open_page):
    page = open_page("/app/?q=monday&view=list")
    first = page.locator("#tiles .tile").first
    expect(first.locator("mark").first).to_have_text(re.compile("monday", re.IGNORECASE))
    expect(first.locator(".why")).to_contain_text("text in the picture")
    expect(first.locator(".why")).to_contain_text("meaning (")


def test_filters_are_chips_that_can_be_removed(open_page):
    page = open_page()
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Text in the picture").select_option("no")
    expect(page.locator(".chips")).to_contain_text("Without text")
    without = int(page.locator("h1").inner_text().split()[0])
    assert 0 < without < NUM_PICTURES
    page.get_by_label("Remove the filter Without text").click()
    expect(page.locator("h1")).to_have_text(f"{NUM_PICTURES} pictures")


def test_a_search_that_finds_nothing_says_what_there_is(open_page):
    page = open_page("/app/?q=%22zebra+crossing+at+dawn%22&kind=document")
    expect(page.locator("h1")).to_have_text("Nothing found")
    expect(page.locator(".nothing")).to_contain_text(f"{NUM_PICTURES} pictures are indexed")
    page.get_by_text("Search without the filters").click()
    expect(page).not_to_have_url(re.compile("kind="))


def test_orders(open_page):
    page = open_page("/app/?sort=name")
    shown = names(page)
    page.get_by_label("Order").select_option("size")
    expect(page).to_have_url(re.compile("sort=size"))
    assert names(page) != shown


def test_tiles_are_chosen_with_the_keyboard_and_with_shift(open_page):
    page = open_page()
    tiles = page.locator("#tiles .tile")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    expect(page.locator(".bulk-count")).to_have_text("1")
    tiles.nth(4).locator(".open").click(modifiers=["Shift"])
    expect(page.locator(".bulk-count")).to_have_text("4")
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()
    page.keyboard.press("Control+a")
    expect(page.locator(".bulk-count")).to_have_text(str(NUM_PICTURES))


def test_a_selection_is_tagged_and_found_by_its_tag(open_page):
    page = open_page("/app/?q=coffee")
    for number in range(2):
        page.locator("#tiles .pick input").nth(number).check(force=True)
    page.locator("#bulk-tag").fill("to print")
    page.get_by_role("button", name="Add tag").click()
    expect(page.locator(".notice")).to_have_text("2 pictures tagged.")
    page.goto("/app/?tag=to+print")
    expect(page.locator("h1")).to_have_text("2 pictures found")
    page.reload()
    expect(page.locator(".notice")).to_have_count(0)


def test_a_search_is_saved_and_found_again(open_page):
    page = open_page("/app/?q=robot&view=list")
    page.get_by_text("Saved", exact=True).click()
    page.get_by_placeholder("Name this search").fill("Robots")
    page.locator(".saved").get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".notice")).to_be_visible()
    page.goto("/app/")
    page.get_by_text("Saved", exact=True).click()
    page.get_by_role("link", name="Robots").click()
    expect(page).to_have_url(re.compile(r"q=robot.*view=list"))
    page.get_by_text("Saved", exact=True).click()
    page.get_by_label("Remove the saved search Robots").click()
    expect(page.locator(".notice")).to_have_text("The saved search is removed.")


def test_pictures_are_found_by_a_picture(open_page):
    page = open_page()
    meme = EXAMPLES / "pictures" / "memes" / "IMG_2041.jpg"
    page.locator(".look input[type=file]").set_input_files(meme)
    expect(page.locator(".chips")).to_contain_text("Like your picture")
    expect(page.locator("#tiles .tile").first).to_be_visible()


def test_words_added_to_a_picture_without_vectors_say_how_to_get_them(open_page):
    page = open_page("/app/?similar=1")
    expect(page.locator("h1")).to_contain_text("found")
    page.locator("#q").fill("+sunset")
    expect(page.locator(".nothing")).to_contain_text("No picture of the library is embedded")
    expect(page.locator(".nothing")).to_contain_text("smallsight index --fast")


def test_everything_is_reachable_without_scripts(open_page):
    page = open_page(java_script_enabled=False)
    page.locator("#q").fill("monday")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("found")
    page.locator("#tiles .open").first.click()
    expect(page.locator(".read-text")).to_contain_text("MONDAY")


def test_meaning_follows_after_a_pause_while_others_search(open_page):
    other, page = open_page(), open_page("/app/?view=list")
    other.evaluate("""
        window.asking = true;
        const ask = async () => {
            while (window.asking) await fetch(`/app/results?q=sign ${Math.random()}`);
        };
        [...Array(4).keys()].forEach(ask);
    """)
    page.keyboard.press("/")
    with page.expect_request(re.compile(r"/app/results\?.*q=mondays.*complete=yes")):
        page.keyboard.type("mondays", delay=5)  # whose vector no other test has made
    other.evaluate("window.asking = false")
    first = page.locator("#tiles .tile").first
    expect(first.locator(".why")).to_contain_text("meaning (")
    is_complete(page)
