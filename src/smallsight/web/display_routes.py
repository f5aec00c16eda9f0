"""Pictures at the sizes that pages show, and the files themselves for downloading."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from smallsight.http.partial_reading import is_known_to_client, keep_usable_range
from smallsight.services.display_pictures import SIDES_PX, file_of
from smallsight.web.parts import parts_of

_SHA256 = re.compile("[0-9a-f]{64}")
_FOREVER = "private, max-age=31536000, immutable"
# Formats that browsers show and that hold no scripts. Their bytes are sent with nosniff.
_SHOWN_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
}
_PLAYED_TYPES = {"MP4": "video/mp4", "MATROSKA": "video/webm", "OGG": "video/ogg"}


async def thumbnail(request: Request) -> Response:
    """Return a picture at a size as WebP, or as JPEG for a browser that does not know WebP."""
    parts, sha256 = parts_of(request), _sha256(request)
    side_px = int(request.path_params["side_px"])
    if side_px not in SIDES_PX:
        raise HTTPException(404)
    path = parts.display.known(sha256, side_px)
    if path is None:
        database = (await parts.in_thread(parts.library.reading)).database
        path = await parts.display.make(database, sha256, side_px)
    headers = {"cache-control": _FOREVER, "vary": "accept"}
    if _knows_webp(request.headers.get("accept", "")):
        return Response(await parts.in_thread(path.read_bytes), media_type="image/webp", headers=headers)
    return Response(await parts.display.as_jpeg(path), media_type="image/jpeg", headers=headers)


async def original(request: Request) -> Response:
    """Return a file: shown or played in a page where browsers can, by ranges too, otherwise as a download."""
    parts, sha256 = parts_of(request), _sha256(request)

    def look_up() -> tuple[Path, str | None]:
        database = parts.library.reading().database
        path = file_of(database, sha256)
        with database.cursor() as cursor:
            row = cursor.execute("SELECT format FROM content WHERE sha256 = ?", (sha256,)).fetchone()
        return path, row[0]

    path, kind = await parts.in_thread(look_up)
    status = await parts.in_thread(lambda: _readable(path))
    if status is None:
        raise HTTPException(404)
    media_type = _SHOWN_TYPES.get(kind or "") or played_type(kind)
    is_download = "download" in request.query_params or media_type is None
    headers = {"cache-control": "private, no-cache", "content-security-policy": "sandbox; default-src 'none'"}
    response = FileResponse(
        path,
        media_type=media_type or "application/octet-stream",
        filename=path.name,
        content_disposition_type="attachment" if is_download else "inline",
        headers=headers,
        stat_result=status,
    )
    etag = response.headers["etag"]
    if is_known_to_client(request.headers, etag, status.st_mtime):
        return Response(status_code=304, headers=headers | {"etag": etag})
    keep_usable_range(request.scope, status.st_size)
    return response


def _readable(path: Path) -> os.stat_result | None:
    """Return the status of a file that can be opened, None for what is gone or forbidden by now."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK) else None


def played_type(content_format: str | None) -> str | None:
    """Return the media type of a video that browsers may play, by its container; None for other files."""
    return _PLAYED_TYPES.get(content_format or "")


def _sha256(request: Request) -> str:
    sha256 = str(request.path_params["sha256"])
    if not _SHA256.fullmatch(sha256):
        raise HTTPException(404)
    return sha256


def _knows_webp(accept: str) -> bool:
    return "image/webp" in accept or accept in ("", "*/*")
