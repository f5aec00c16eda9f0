"""Uploads in parts by the protocol tus 1.0: create, ask how much has arrived, send on, cancel.

After an interruption of any kind a client asks for the offset and goes on there. Source: https://tus.io
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import quote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from smallsight.errors import ArgumentError, UnsupportedFormatError
from smallsight.services.finished_uploads import StoredUpload, require_upload_folder, store_upload
from smallsight.services.uploads import Upload
from smallsight.settings import MIB
from smallsight.web.folder_pages import known_folders
from smallsight.web.parts import WebParts, parts_of

_VERSION = {"tus-resumable": "1.0.0", "cache-control": "no-store"}
_PART_TYPE = "application/offset+octet-stream"
_MAX_DIGITS = 15


async def create(request: Request) -> Response:
    """Begin an upload; the Location header is its address."""
    parts = parts_of(request)
    size_bytes = _number(request, "upload-length")
    metadata = _metadata(request.headers.get("upload-metadata", ""))
    name, folder = metadata.get("filename", ""), metadata.get("folder", "")
    upload = await parts.in_thread(lambda: begin(parts, name, size_bytes, folder))
    address = f"{parts.prefix}/uploads/{upload.id}"
    return Response(status_code=201, headers={**_VERSION, "location": address, "upload-offset": "0"})


async def progress(request: Request) -> Response:
    """Say how many bytes of an upload have arrived."""
    parts = parts_of(request)
    upload = await parts.in_thread(partial(parts.uploads.find, request.path_params["upload_id"]))
    offset = await parts.in_thread(partial(parts.uploads.offset, upload))
    sizes = {"upload-offset": str(offset), "upload-length": str(upload.size_bytes)}
    return Response(status_code=200, headers=_VERSION | sizes)


async def receive(request: Request) -> Response:
    """Store the next bytes of an upload; with the last ones, the picture."""
    parts = parts_of(request)
    if request.headers.get("content-type", "") != _PART_TYPE:
        raise ArgumentError(f"The content type of a part is {_PART_TYPE}.")
    upload = await parts.in_thread(partial(parts.uploads.find, request.path_params["upload_id"]))
    with parts.uploads.receiving(upload):
        offset = await _receive_body(request, parts, upload, _number(request, "upload-offset"))
        headers = _VERSION | {"upload-offset": str(offset)}
        if offset == upload.size_bytes:
            headers |= _outcome(parts, await parts.in_thread(lambda: finish(parts, upload)))
    return Response(status_code=204, headers=headers)


async def cancel(request: Request) -> Response:
    """Forget an upload."""
    parts = parts_of(request)
    upload = await parts.in_thread(partial(parts.uploads.find, request.path_params["upload_id"]))
    await parts.in_thread(partial(parts.uploads.remove, upload))
    return Response(status_code=204, headers=_VERSION)


def begin(parts: WebParts, name: str, size_bytes: int, folder: str) -> Upload:
    """Begin an upload into a folder that can be written to."""
    target = require_upload_folder(parts.serving.live.current(), known_folders(parts), folder)
    return parts.uploads.create(name, size_bytes, str(target))


def finish(parts: WebParts, upload: Upload) -> StoredUpload:
    """Store the picture of a complete upload, inside ``Uploads.receiving``.

    After a StorageError or FolderError the upload stays, so that finishing it can be tried again.
    """
    target = require_upload_folder(parts.serving.live.current(), known_folders(parts), upload.folder)
    database = parts.library.reading().database
    try:
        stored = store_upload(parts.uploads.path(upload), upload.name, target, database, parts.uploads.recent)
    except UnsupportedFormatError:
        parts.uploads.discard(upload)
        raise
    parts.uploads.discard(upload)
    if not stored.is_duplicate:
        parts.keeper.note_file(stored.path)
    return stored


def address_of(parts: WebParts, stored: StoredUpload) -> str | None:
    """Return the page of a picture that the library has already."""
    return None if stored.content_id is None else f"{parts.prefix}/pictures/{stored.content_id}"


async def _receive_body(request: Request, parts: WebParts, upload: Upload, offset: int) -> int:
    """Store the body as it arrives and return the offset after it; a broken connection loses nothing."""
    waiting = bytearray()

    async def store() -> None:
        nonlocal offset
        data = bytes(waiting)
        waiting.clear()
        offset = await parts.in_thread(lambda: parts.uploads.append(upload, offset, data))

    await store()  # refuses a wrong offset before the body is read
    try:
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= MIB:
                await store()
    except ClientDisconnect:
        pass
    if waiting:
        await store()
    return offset


def _outcome(parts: WebParts, stored: StoredUpload) -> Mapping[str, str]:
    headers = {
        "x-upload-state": "duplicate" if stored.is_duplicate else "stored",
        "x-upload-name": quote(Path(stored.path).name),
    }
    address = address_of(parts, stored)
    return headers if address is None else headers | {"x-upload-address": address}


def _number(request: Request, name: str) -> int:
    given = request.headers.get(name, "")
    if not (given.isascii() and given.isdecimal()) or len(given) > _MAX_DIGITS:
        raise ArgumentError(f"The header {name} must be a number of bytes.")
    return int(given)


def _metadata(header: str) -> dict[str, str]:
    """Return the pairs of an Upload-Metadata header: names, and texts in base64."""
    found = {}
    for pair in header.split(","):
        name, _, encoded = pair.strip().partition(" ")
        try:
            found[name.lower()] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ArgumentError(
                "The header Upload-Metadata is not valid: texts are UTF-8 in base64."
            ) from error
    return found
