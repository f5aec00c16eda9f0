"""200 hostile texts in every place that a page shows: in Chromium, nothing runs and no element of theirs exists."""

# ruff: noqa: E501 - scripts of pages are in here
from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import expect

from e2e.serving import Server, running
from web.conftest import PATIENCE_MS
from web.hostile_library import NUM_CONTENTS, make_hostile_library
from web.hostile_words import MARK, PUTS, texts

# What the page's own code would have to contain for a text to have become more than text.
FIND = """(root) => {
  const isOdd = (one) => one.id === "MARK" || ["iframe", "base", "math", "object", "embed", "animate"].includes(one.localName)
    || [...one.attributes].some(({name, value}) => /^on/i.test(name) || name === "srcdoc" || name === "style"
      || (["href", "src", "action", "formaction"].includes(name) && /^[\\s\\x00-\\x1f]*(javascript:|vbscript:|data:(?!image\\/bmp))/i.test(value)));
  return [...root.querySelectorAll("*")].filter(isOdd).map((one) => one.outerHTML.slice(0, 200));
}""".replace("MARK", MARK)
LOOK = f"""() => ({{
  ran: window.xss ?? null,
  elements: ({FIND})(document),
  violations: window.violations,
}})"""
LISTEN = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));"""
# Counts the texts that have run.
COUNT = """window.ran = 0;
Object.defineProperty(window, "xss", {get: () => window.ran > 0, set: () => { window.ran += 1; }});"""
# Fetches pages and parses them as a browser does, which is faster than showing each.
PARSE = f"""async (addresses) => {{
  const found = [];
  for (const address of addresses) {{
    const answer = await fetch(address);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const odd = ({FIND})(page);
    if (odd.length || !page.querySelector("main, #results, li, body")) found.push([address, odd]);
  }}
  return found;
}}"""
NOTHING = {"ran": None, "elements": [], "violations": []}
TEXTS = texts()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    make_hostile_library(folder / "home", folder / "pictures", TEXTS)
    with running(
        folder / "home",
        "--model",
        "test",
        embedding__model_dir=str(folder / "home" / "bert"),
        server__watch="false",  # reading the pictures would replace the texts that are in them
    ) as started:
        yield started


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    context = browser.new_context(base_url=server.url, service_workers="block")
    context.add_init_script(LISTEN)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    yield page
    context.close()


def test_there_are_200_texts_with_every_content():
    assert len(set(TEXTS)) == 200
    assert all(any(put in text for text in TEXTS) for put in PUTS.values())


def test_the_search_for_executions_would_find_one(page: Any):
    """A page without a policy runs most of them, and all are found in its tree."""
    page.goto("data:text/html,<p>")
    page.evaluate(LISTEN)
    page.evaluate(COUNT)
    for put in PUTS.values():
        page.evaluate(
            "put => { document.body.append(document.createElement('div')); document.body.lastElementChild.innerHTML = put; }",
            put,
        )
        assert page.evaluate(f"() => ({FIND})(document.body.lastElementChild)"), put
    page.wait_for_function("() => window.ran >= 4")
    assert page.evaluate(LOOK)["ran"]


def test_the_policy_stops_what_would_be_injected(page: Any):
    page.goto("/app/")
    for put in PUTS.values():
        page.evaluate("put => document.getElementById('main').insertAdjacentHTML('beforeend', put)", put)
    page.wait_for_function("() => window.violations.length >= 4")
    assert page.evaluate(LOOK)["ran"] is None


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("view", ["rows", "masonry", "list"])
def test_the_gallery_shows_them_as_text(page: Any, view: str):
    for query in ("", f"&q={MARK}"):
        page.goto(f"/app/?view={view}{query}")
        expect(page.locator("#tiles .tile")).to_have_count(NUM_CONTENTS)
        assert page.evaluate(LOOK) == NOTHING
    if view == "list":
        expect(page.locator("mark").first).to_contain_text(MARK)


@pytest.mark.slow
def test_results_while_typing_and_opened_menus_show_them_as_text(page: Any):
    page.goto("/app/")
    for summary in page.locator("summary").all():
        summary.click()
    for text in TEXTS[::25]:
        before = page.locator("#results").get_attribute("data-address")
        page.locator("#q").fill(text[:80])
        expect(page.locator("#results")).not_to_have_attribute("data-address", before)
        assert page.evaluate(LOOK) == NOTHING, text


@pytest.mark.slow
def test_every_picture_page_shows_them_as_text(page: Any, server: Server):
    page.goto("/app/")
    ids = [one.get_attribute("data-id") for one in page.locator("#tiles .tile").all()]
    assert len(ids) == NUM_CONTENTS
    shown = ""
    for content_id in ids:
        page.goto(f"/app/pictures/{content_id}?q={MARK}&at=3")
        shown += page.locator("main").inner_text()
        assert page.evaluate(LOOK) == NOTHING, content_id
    assert sum(text.strip()[:40] in shown for text in TEXTS) > 150, "they are there, as text"


@pytest.mark.slow
def test_answers_of_a_model_are_text(page: Any):
    page.goto("/app/")
    for content_id in [one.get_attribute("data-id") for one in page.locator("#tiles .tile").all()[:5]]:
        page.goto(f"/app/pictures/{content_id}")
        page.locator("#question").fill(TEXTS[0])
        page.keyboard.press("Enter")
        expect(page.locator(".answers p").nth(1)).not_to_be_empty()
        assert page.evaluate(LOOK) == NOTHING


@pytest.mark.slow
def test_words_in_addresses_and_messages_are_text(page: Any):
    page.goto("/app/")
    names = (
        "q",
        "tag",
        "folder",
        "camera",
        "kind",
        "after",
        "sort",
        "view",
        "similar",
        "like",
        "start",
        "done",
    )
    found = []
    for text in TEXTS:
        query = urlencode(dict.fromkeys(names, text[:300]))
        found += [f"/app/nowhere?{query}", f"/app/{quote(text, safe='')}"]
    found += [f"/app/results?{urlencode(dict.fromkeys(names, text[:300]))}" for text in TEXTS[::4]]
    assert page.evaluate(PARSE, found) == []
    for text in TEXTS[::25]:
        page.goto(f"/app/{quote(text, safe='')}")
        assert page.locator("h1").inner_text() == "This did not work"
        assert page.evaluate(LOOK) == NOTHING
        page.goto("/app/?" + urlencode({"q": text[:300], "tag": text[:300], "view": "list"}))
        assert page.evaluate(LOOK) == NOTHING
