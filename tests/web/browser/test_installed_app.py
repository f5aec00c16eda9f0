"""The app as one that is installed: what Chromium thinks of it, and what it shows while the server is away."""

# ruff: noqa: E501 - scripts of pages are in here
from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from e2e.serving import running
from free_ports import free_port
from web.accessible import assert_accessible
from web.conftest import PATIENCE_MS

CACHED = """async () => {
  const found = [];
  for (const name of await caches.keys()) for (const one of await (await caches.open(name)).keys())
    found.push([name, new URL(one.url).pathname]);
  return found;
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("installed") / "home"


@pytest.fixture
def context(whole_browser: Any) -> Iterator[Any]:
    context = whole_browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


def ready(page: Any) -> None:
    """Wait until the service worker runs and the page is one of its clients."""
    page.wait_for_function("() => navigator.serviceWorker.controller?.state === 'activated'")


@pytest.mark.slow
def test_it_can_be_installed_and_outlives_the_server(context: Any, home: Path):
    page = context.new_page()
    port = free_port()
    with running(home, "--port", str(port), server__watch="false") as server:
        url = server.url
        page.goto(f"{url}/app/")
        ready(page)
        devtools = context.new_cdp_session(page)
        manifest = devtools.send("Page.getAppManifest")
        assert manifest["errors"] == []
        assert '"share_target"' in manifest["data"]
        # A window without a profile cannot install anything, which is all that there is to say.
        errors = [
            one["errorId"] for one in devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
        ]
        assert set(errors) <= {"in-incognito"}
        page.reload()
        kept = page.evaluate(CACHED)
        assert {name for name, _ in kept} == {kept[0][0]}
        assert "/app/offline" in {path for _, path in kept}
        assert [path for _, path in kept if not re.match(r"/app/(static/|offline$)", path)] == []
        page.evaluate("caches.open('smallsight-older')")
        page.evaluate("caches.open('of somebody else')")
    page.goto(f"{url}/app/folders")
    expect(page.locator("h1")).to_have_text("Smallsight cannot be reached")
    assert_accessible(page)
    assert page.evaluate("getComputedStyle(document.querySelector('.sheet')).borderRadius") != "0px"
    with running(home, "--port", str(port), server__watch="false"):
        expect(page.locator("h1")).to_have_text("Folders")


def test_what_is_shared_waits_for_a_person(context: Any, home: Path, tmp_path: Path):
    picture = tmp_path / "shared picture.png"
    picture.write_bytes(b"\x89PNG")
    with running(home, server__watch="false") as server:
        page = context.new_page()
        page.goto(f"{server.url}/app/")
        ready(page)
        page.reload()
        # What the share menu does: a form that no page of ours has made.
        page.evaluate("""() => {
          const form = document.createElement("form");
          Object.assign(form, {method: "post", action: "/app/uploads/share", enctype: "multipart/form-data", id: "share"});
          const input = document.createElement("input");
          Object.assign(input, {type: "file", name: "files", id: "shared-file"});
          form.append(input);
          document.body.append(form);
        }""")
        page.locator("#shared-file").set_input_files(picture)
        page.evaluate("document.getElementById('share').submit()")
        expect(page).to_have_url(f"{server.url}/app/shared")
        expect(page.locator("#shared-files li")).to_have_text("shared picture.png")
        assert "POST route=/app/uploads/share" not in server.log.read_text().replace("request_id", "")
        with page.expect_response(lambda one: one.url.endswith("/app/uploads/share")) as sent:
            page.get_by_role("button", name="Add this picture").click()
        assert sent.value.request.headers["x-form-token"]
        assert sent.value.status != 403
        page.wait_for_url(lambda url: not url.endswith("/app/shared"))
        assert (
            page.evaluate(
                f"({CACHED})" + "().then(all => all.filter(([, path]) => path.endsWith('/share')).length)"
            )
            == 0
        )
