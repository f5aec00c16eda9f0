"""A person of a team with a key that only lets them look, in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.serving import Server, running
from smallsight.http.api_keys import ApiKeys, Scope

playwright = pytest.importorskip("playwright.sync_api")


@pytest.fixture
def server(indexed_home: Path, tmp_path: Path) -> Iterator[Server]:
    home = tmp_path / "home"
    shutil.copytree(indexed_home, home)
    with running(home, server__watch="false", server__workers="2") as started:
        yield started


def test_who_may_only_look_logs_in_with_a_key_and_browses_without_script_errors(browser: Any, server: Server):
    key = ApiKeys(server.home / "api-keys.json").add("Lou", frozenset({Scope.PAGES}))
    page = browser.new_page(base_url=server.url)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/app/")
    page.get_by_label("Password, or your key").fill(key)
    page.get_by_role("button", name="Log in").click()
    first = page.locator("#tiles > .tile").first
    playwright.expect(first).to_be_visible()
    first.locator(".pick input").check(force=True)
    playwright.expect(page.locator("#add-pictures")).to_have_count(0)
    page.get_by_role("searchbox").fill("coffee")
    playwright.expect(page.get_by_role("link", name="Settings")).to_have_count(0)
    first.locator("a.open").click()
    playwright.expect(page.get_by_role("heading", name="Tags")).to_be_visible()
    playwright.expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.get_by_role("button", name="Log out").click()
    playwright.expect(page.get_by_label("Password, or your key")).to_be_visible()
    assert errors == []
    page.context.close()
