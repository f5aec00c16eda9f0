"""``smallsight serve --open`` opens the web app in the browser of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.serving import running


def test_serve_opens_the_web_app_in_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}.part" && mv "{opened}.part" "{opened}"\n')
    browser.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(browser))
    with running(tmp_path / "home", "--open") as server:
        server.wait_until(opened.exists)
        assert opened.read_text() == f"{server.url}/app/"
        assert server.http.get("/app/").status_code == 200
