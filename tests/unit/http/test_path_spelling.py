"""Which paths mean a known route, and which are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from smallsight.http.path_spelling import PathSpelling

PATHS = {"/", "/health", "/v1/models", "/v1/chat/completions", "/api/chat"}


async def unused(*_: Any) -> None:
    raise AssertionError


SPELLING = PathSpelling(unused, paths=PATHS, parents=("/v1/models",), prefix="/v1")


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/models", "/v1/models"),
        ("/models/", "/v1/models"),
        ("//chat//completions/", "/v1/chat/completions"),
        ("/v1/v1/v1/models", "/v1/models"),
        ("/health//", "/health"),
        ("/api/chat/", "/api/chat"),
        ("/models/org/name", "/v1/models/org/name"),
        ("/v1//models/a%2Fb", "/v1/models/a%2Fb"),
        ("/v1/models/a//b", "/v1/models/a//b"),
        ("/v1/models/name/", "/v1/models/name/"),
        ("//", "//"),
        ("/v1/health", "/v1/health"),
        ("/v1/api/chat", "/v1/api/chat"),
        ("/app/", "/app/"),
        ("/v1/../health", "/v1/../health"),
        ("/models" + "/" * 2000, "/models" + "/" * 2000),
    ],
)
def test_what_a_path_means(path: str, meant: str):
    assert SPELLING.meant_by(path) == meant


def test_the_scope_is_rewritten_for_requests_only():
    seen: list[MutableMapping[str, Any]] = []

    async def app(scope: MutableMapping[str, Any], _receive: Any, _send: Any) -> None:
        seen.append(scope)

    layer = PathSpelling(app, paths=PATHS, prefix="/v1")
    for kind in ("http", "websocket"):
        asyncio.run(layer({"type": kind, "path": "/models", "raw_path": b"/models"}, unused, unused))
    assert [(one["path"], one["raw_path"]) for one in seen] == [
        ("/v1/models", b"/v1/models"),
        ("/models", b"/models"),
    ]
