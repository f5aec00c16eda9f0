"""Uploading without scripts: a form, and what other apps of a phone share; and the panel of the script."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from smallsight.errors import SmallsightError
from smallsight.http.error_shape import public_message
from smallsight.services.finished_uploads import upload_folders
from smallsight.settings import MIB
from smallsight.web.folder_pages import known_folders
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.upload_results import UploadResult
from smallsight.web.upload_routes import address_of, begin, finish


async def uploads(request: Request) -> Response:
    """Return the page with the form, and the results of the upload that came before."""
    parts = parts_of(request)
    values = await parts.in_thread(lambda: _values(parts))
    results = parts.upload_results.find(request.query_params.get("results", ""))
    return parts.pages.page(request, "uploads.html", values | {"results": results})


async def panel(request: Request) -> Response:
    """Return the panel in which the script shows uploads."""
    parts = parts_of(request)
    return parts.pages.page(request, "upload_panel.html", await parts.in_thread(lambda: _values(parts)))


async def send_form(request: Request) -> Response:
    """Store the files of a form."""
    return await _store_all(request, await request.form())


async def share(request: Request) -> Response:
    """Store what a person shares with this app from another one."""
    return await _store_all(request, await request.form())


async def _store_all(request: Request, form: FormData) -> Response:
    parts = parts_of(request)
    folder = form.get("folder")
    files = [
        one for one in form.getlist("files") if isinstance(one, UploadFile) and (one.size or one.filename)
    ]
    target = folder if isinstance(folder, str) else ""
    results = [await parts.in_thread(partial(_store, parts, one, target)) for one in files]
    key = parts.upload_results.keep(results)
    return RedirectResponse(f"{parts.prefix}/uploads?results={key}", 303)


def _store(parts: WebParts, file: UploadFile, folder: str) -> UploadResult:
    name = file.filename or ""
    upload = None
    try:
        upload = begin(parts, name, file.size or 0, folder)
        with parts.uploads.receiving(upload):
            offset = 0
            while data := file.file.read(MIB):
                offset = parts.uploads.append(upload, offset, data)
            stored = finish(parts, upload)
    except SmallsightError as error:
        if upload is not None:
            parts.uploads.discard(upload)  # a form cannot go on where it stopped
        return UploadResult(name, problem=public_message(error).replace(" hint: ", " "))
    return UploadResult(stored.path.name, stored.is_duplicate, address_of(parts, stored))


def _values(parts: WebParts) -> dict[str, Any]:
    known = known_folders(parts)
    return {"targets": upload_folders(parts.serving.live.current(), known), "has_folders": bool(known)}
