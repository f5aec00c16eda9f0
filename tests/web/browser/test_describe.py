"""Descriptions of many pictures in a real browser, live in every page."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from e2e.serving import running
from smallsight.library.database import Database

PROGRESS = re.compile(r"(\d+)\s+of (\d+) described")


@pytest.fixture
def home(indexed_home, tmp_path):
    shutil.copytree(indexed_home, tmp_path / "home")
    return tmp_path / "home"


def descriptions(home):
    with Database.open_for_reading(home / "library.sqlite3") as database, database.cursor() as cursor:
        return cursor.execute(
            """SELECT content_id, count(*) FROM description_version
               WHERE source = 'machine' GROUP BY content_id"""
        ).fetchall()


def pages(browser, server, number=1):
    for _ in range(number):
        context = browser.new_context(base_url=server.url)
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.goto("/app/describe")
        yield page


def start(page):
    page.locator("select[name=model]").select_option("test")
    page.get_by_role("button", name="Start").click()


def test_every_open_page_sees_a_run_and_a_person_pauses_and_resumes_it(browser, home):
    with running(home, "--model", "test") as server:
        first, second = pages(browser, server, 2)
        start(first)
        run = second.locator(".run").first
        expect(run).to_be_visible(timeout=60_000)
        second.get_by_role("button", name="Pause").or_(second.get_by_text("finished")).first.wait_for()
        if second.get_by_role("button", name="Pause").count():
            second.get_by_role("button", name="Pause").click()
            expect(first.locator(".run").first).to_have_attribute("data-state", "paused", timeout=60_000)
            first.get_by_role("button", name="Resume").click()
        for page in (first, second):
            expect(page.locator(".run").first).to_have_attribute("data-state", "finished", timeout=60_000)
        done, total = PROGRESS.search(first.locator(".numbers").first.inner_text()).groups()
        assert done == total
        first.goto("/app/?described=no")
        expect(first.locator("h1")).to_have_text("Nothing found")
    assert {number for _, number in descriptions(home)} == {1}
