"""Searching by a picture that a person drops, pastes or chooses."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import ArgumentError, PictureTooLargeError
from smallsight.web.gallery_search import GallerySearch
from smallsight.web.parts import parts_of


async def search_by_picture(request: Request) -> Response:
    """Keep a picture for a day, outside the library, and show what is like it."""
    parts = parts_of(request)
    async with request.form(max_files=1, max_fields=4) as form:
        given = form.get("picture")
        if not isinstance(given, UploadFile) or not given.size:
            raise ArgumentError("No picture was sent.", hint="choose a file.")
        max_bytes = parts.serving.settings.limits.max_file_bytes
        if given.size > max_bytes:
            raise PictureTooLargeError(
                f"The picture has {given.size} bytes (limit {max_bytes}).", hint="choose a smaller one."
            )
        name, data = given.filename or "picture", await given.read()
    sha256 = await parts.in_thread(lambda: parts.query_pictures.keep(parts.library.reading(), data, name))
    return RedirectResponse(GallerySearch(parts.prefix, like=sha256).url(), 303)
