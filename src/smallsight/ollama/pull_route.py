"""The route `/api/pull`: says that a model is here, or downloads it and reports progress."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.errors import DownloadError, UnknownModelError
from smallsight.http.authorise import UseRoute
from smallsight.http.event_stream import ClientLeftError, while_connected, with_errors
from smallsight.http.json_response import json_response
from smallsight.http.route_description import json_body
from smallsight.ollama.answer_lines import LineStream, line
from smallsight.ollama.model_routes import ModelBody
from smallsight.ollama.ollama_errors import error_line
from smallsight.ollama.parts import OllamaParts, parts_of
from smallsight.ollama.request_body import read_body
from smallsight.ollama.route_answers import PULL_LINES
from smallsight.services.model_downloads import Download, DownloadState

router = APIRouter(route_class=UseRoute, tags=["ollama"])

_REPORT_EVERY_S = 0.25
_CLIENT_LEFT = 499
_SUCCESS = {"status": "success"}


class PullBody(ModelBody):
    """The model to fetch."""

    stream: bool | None = None


@router.post("/pull", responses=PULL_LINES, openapi_extra=json_body(PullBody))
async def pull(request: Request) -> Response:
    """Fetch a model's files unless they are here; ends when the client leaves, and continues next time."""
    body, parts = await read_body(request, PullBody), parts_of(request)
    wanted = body.wanted
    async with AsyncExitStack() as until:
        download = None
        if not await parts.in_thread(_is_here, parts, wanted):
            download = await parts.in_thread(parts.downloads.start, wanted)
            until.callback(parts.downloads.cancel, download.name)
        progress = _progress(parts, download)
        if body.stream is not False:
            lines = (line(one) async for one in progress)
            return LineStream(with_errors(lines, error_line), until.pop_all())
        try:
            await while_connected(request.receive, _until_end(progress))
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    return json_response(_SUCCESS)


def _is_here(parts: OllamaParts, name: str) -> bool:
    if parts.text_model.is_named(name):
        return parts.text_model.find() is not None
    try:
        parts.serving.models.find(name)
    except UnknownModelError:
        return False
    return True


async def _progress(parts: OllamaParts, download: Download | None) -> AsyncIterator[dict[str, Any]]:
    """Yield what Ollama tells of a download; raises DownloadError if it fails."""
    yield {"status": "pulling manifest"}
    while download is not None and download.is_active:
        yield _pulling(download)
        await asyncio.sleep(_REPORT_EVERY_S)
        download = parts.downloads.find(download.name)
    if download is not None:
        if download.state is not DownloadState.DONE:
            raise DownloadError(download.problem or "The download was cancelled.")
        yield _pulling(download)
    yield {"status": "verifying sha256 digest"}
    yield {"status": "writing manifest"}
    yield _SUCCESS


def _pulling(download: Download) -> dict[str, Any]:
    """Return the progress as that of one layer, which clients show as a bar."""
    digest = hashlib.sha256(download.name.encode("utf-8")).hexdigest()
    return {
        "status": f"pulling {digest[:12]}",
        "digest": f"sha256:{digest}",
        "total": download.total_bytes,
        "completed": download.here_bytes,
    }


async def _until_end(progress: AsyncIterator[dict[str, Any]]) -> None:
    async for _ in progress:
        pass
