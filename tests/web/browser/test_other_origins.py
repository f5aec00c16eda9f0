"""Pages of other origins in a real browser, in which somebody is logged in: forms, scripts, sockets, frames."""

# ruff: noqa: E501 - scripts of pages are in here
from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import expect

from e2e.serving import Server, running
from web.conftest import PATIENCE_MS
from web.logged_in import PASSWORD, store_password

# Tries everything at once and says what it could do. The address of the app is put in place of APP.
ATTACK = """<!doctype html><meta charset="utf-8"><title>attack</title><iframe name="sink"></iframe>
<script type="module">
const app = "APP", could = [];
const paths = ["/sessions/end", "/logout", "/bulk", "/saved", "/settings/keys", "/settings/values", "/folders/add", "/uploads/share"];
const fields = {session: "all", action: "forget", all: "yes", name: "x", group: "limits", path: "/", form_token: "0".repeat(64)};
const types = ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"];
const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
for (const path of paths) for (const type of types) {
  const form = document.createElement("form");
  Object.assign(form, {method: "post", action: app + path, enctype: type, target: "sink"});
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    Object.assign(input, {name, value});
    form.append(input);
  }
  document.body.append(form);
  form.submit();
  for (const mode of ["cors", "no-cors"]) for (const credentials of ["include", "omit"]) {
    try {
      const body = type.startsWith("multi") ? new FormData(form) : new URLSearchParams(fields).toString();
      const headers = type.startsWith("multi") ? {} : {"content-type": type};
      const answer = await fetch(app + path, {method: "POST", body, headers, mode, credentials});
      if (answer.type !== "opaque") could.push(["post", path, type, answer.status]);
    } catch {}
  }
}
for (const headers of [{"x-form-token": "0"}, {"x-http-method-override": "POST"}, {}]) for (const path of ["/", "/sessions", "/worker.js"]) {
  try {
    const answer = await fetch(app + path, {headers, credentials: "include"});
    could.push(["read", path, answer.status]);
  } catch {}
}
for (const tag of ["img", "script", "iframe", "embed"]) {
  const one = document.createElement(tag);
  one.src = app + (tag === "img" ? "/static/icon.svg" : "/");
  one.addEventListener("load", () => { if (tag === "img" || tag === "script") could.push(["load", tag]); });
  document.body.append(one);
}
const socket = new WebSocket(app.replace("http", "ws") + "/events?topics=folders");
socket.addEventListener("open", () => could.push(["socket"]));
await new Promise((resolve) => { socket.addEventListener("close", resolve); socket.addEventListener("error", resolve); setTimeout(resolve, 3000); });
await later(300);
for (let one = 0; one < frames.length; one++) try { if (frames[one].document.querySelector("main")) could.push(["frame"]); } catch {}
document.title = "done " + JSON.stringify(could);
</script>"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("attacked") / "home"
    store_password(home)
    with running(home, server__watch="false") as started:
        yield started


@pytest.fixture(scope="module")
def elsewhere(server: Server) -> Iterator[int]:
    """The port of a server of somebody else, on this machine."""
    html = ATTACK.replace("APP", f"{server.url}/app").encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *_: Any) -> None:
            return

    other = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    yield other.server_address[1]
    other.shutdown()
    thread.join()
    other.server_close()


@pytest.fixture
def member(browser: Any, server: Server) -> Iterator[Any]:
    """A browser in which somebody is logged in and the service worker of the app runs."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/app/login?next=/app/sessions")
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/app/sessions")
    assert page.evaluate("navigator.serviceWorker.ready.then(one => one.active.state !== '')")
    yield page
    context.close()


@pytest.mark.mostly_slow(1)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_page_of_another_origin_changes_and_reads_nothing(
    member: Any, server: Server, elsewhere: int, name: str
):
    before = {path.name: path.read_bytes() for path in server.home.glob("*.json")}
    attacker = member.context.new_page()
    attacker.goto(f"http://{name}:{elsewhere}/")
    expect(attacker).to_have_title(re.compile("^done"), timeout=4 * PATIENCE_MS)
    assert json.loads(attacker.title().removeprefix("done ")) == []
    assert {path.name: path.read_bytes() for path in server.home.glob("*.json")} == before
    member.reload()
    expect(member.locator("h1")).to_have_text("Password and sessions")
    log = server.log.read_text()
    posts = [line for line in log.splitlines() if "method=POST" in line and "route=/app/login" not in line]
    assert len(posts) > 50
    assert [line for line in posts if "status=403" not in line] == []
    sockets = [line for line in log.splitlines() if "method=WEBSOCKET" in line and "route=unmatched" in line]
    assert sockets
    assert [line for line in sockets if "status=403" not in line] == []
