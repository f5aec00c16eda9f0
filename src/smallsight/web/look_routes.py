"""Searching by a picture that a person drops, pastes or chooses."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import ArgumentError, PictureTooLargeError
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.parts import parts_of


async def search_by_picture(request: Request) -> Response:
    """Keep a picture and show what is like it."""
    parts, form = parts_of(request), await request.form()
    given = form.get("picture")
    if not isinstance(given, UploadFile):
        raise ArgumentError("No picture was sent.", hint="choose a file.")
    max_bytes = parts.serving.settings.limits.max_file_bytes
    data = await given.read()
    if len(data) > max_bytes:
        raise PictureTooLargeError(f"The picture is too large (limit {max_bytes} bytes).")
    name = given.filename or "picture"
    sha256 = await parts.in_thread(lambda: parts.query_pictures.keep(parts.library.reading(), data, name))
    return RedirectResponse(GallerySearch(parts.prefix, like=sha256).url(), 303)
