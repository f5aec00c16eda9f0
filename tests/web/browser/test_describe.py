"""Descriptions of many pictures in a real browser, live in every page."""

import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from e2e.serving import running
from smallsight.library.database import Database
from web.conftest import PATIENCE_MS

ANSWER = json.dumps({"choices": [{"message": {"content": "A picture"}, "finish_reason": "stop"}]}).encode()
PROGRESS = re.compile(r"(\d+)\s+of (\d+) described")


@pytest.fixture
def home(indexed_home, tmp_path):
    shutil.copytree(indexed_home, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def model_that_waits(home):
    """A model on another server, which answers when the event is set; without it, a run could end at once."""
    may_answer = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            may_answer.wait()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_):
            pass

    other = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    (home / "smallsight.toml").write_text(
        f'[remotes.far]\nbase_url = "http://127.0.0.1:{other.server_port}/v1"\n'
    )
    yield may_answer
    may_answer.set()
    other.shutdown()
    thread.join()
    other.server_close()


def descriptions(home):
    with Database.open_for_reading(home / "library.sqlite3") as database, database.cursor() as cursor:
        return cursor.execute(
            """SELECT content_id, count(*) FROM description_version
               WHERE source = 'machine' GROUP BY content_id"""
        ).fetchall()


def pages(browser, server, number=1):
    for _ in range(number):
        context = browser.new_context(base_url=server.url)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.goto("/app/describe")
        yield page


def start(page):
    page.locator("select[name=model]").select_option("far")
    page.get_by_role("button", name="Start").click()


def test_every_open_page_sees_a_run_and_a_person_pauses_and_resumes_it(browser, home, model_that_waits):
    with running(home) as server:
        first, second = pages(browser, server, 2)
        start(first)
        run = second.locator(".run").first
        expect(run).to_be_visible()
        second.get_by_role("button", name="Pause").click()
        expect(first.locator(".run").first).to_have_attribute("data-state", "paused")
        model_that_waits.set()
        first.get_by_role("button", name="Resume").click()
        for page in (first, second):
            expect(page.locator(".run").first).to_have_attribute("data-state", "finished")
        done, total = PROGRESS.search(first.locator(".numbers").first.inner_text()).groups()
        assert done == total
        first.goto("/app/?described=no")
        expect(first.locator("h1")).to_have_text("Nothing found")
    assert {number for _, number in descriptions(home)} == {1}
