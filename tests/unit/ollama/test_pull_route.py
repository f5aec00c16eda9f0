"""What a pull tells while a model is downloaded."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from smallsight.errors import DownloadError
from smallsight.ollama import pull_route
from smallsight.ollama.pull_route import _progress
from smallsight.services.model_downloads import Download, DownloadState


def told(*later: Download) -> list[dict[str, Any]]:
    """Return the lines about a download that begins, and is found like this each time it is looked at."""
    found = iter(later)
    parts: Any = SimpleNamespace(downloads=SimpleNamespace(find=lambda _: next(found)))

    async def go() -> list[dict[str, Any]]:
        return [line async for line in _progress(parts, Download("a"))]

    return asyncio.run(go())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_route, "_REPORT_EVERY_S", 0)


def test_progress_is_that_of_one_layer():
    lines = told(
        Download("a", here_bytes=5, total_bytes=10), Download("a", DownloadState.DONE, 10, total_bytes=10)
    )
    layers = [line for line in lines if "digest" in line]
    assert [(one["completed"], one["total"]) for one in layers] == [(0, 0), (5, 10), (10, 10)]
    assert len({one["digest"] for one in layers}) == 1
    assert lines[0] == {"status": "pulling manifest"}
    assert lines[-1] == {"status": "success"}


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (Download("a", DownloadState.FAILED, problem="No network."), "No network"),
        (Download("a", DownloadState.CANCELLED), "was cancelled"),
    ],
)
def test_a_download_that_fails_says_why(end: Download, why: str):
    with pytest.raises(DownloadError, match=why):
        told(end)
