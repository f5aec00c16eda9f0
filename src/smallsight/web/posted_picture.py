"""Questions about a picture that a page sends along, or picks from the library: for trying models, and live.

The picture is decoded, answered and forgotten; nothing is stored.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from smallsight.errors import ArgumentError, PictureTooLargeError
from smallsight.model.picture_argument import NamedBytes
from smallsight.web.ask_routes import MAX_QUESTION_CHARS, answer, read_content
from smallsight.web.parts import WebParts, parts_of
from smallsight.web.record_ids import parse_record_id

_MAX_NAME_CHARS = 200


async def ask_about_posted(request: Request) -> Response:
    """Answer a question about the posted ``picture`` or the content ``content_id``, with ``model``."""
    parts = parts_of(request)
    async with request.form(max_files=1, max_fields=8) as form:
        question, model, content_id = (_text(form.get(name)) for name in ("question", "model", "content_id"))
        posted = form.get("picture")
        if len(question) > MAX_QUESTION_CHARS:
            raise ArgumentError(
                f"A question is a text of at most {MAX_QUESTION_CHARS} characters.", hint="ask less at once."
            )
        if isinstance(posted, UploadFile) and posted.size:
            picture = await _read(parts, posted)
        elif (known := parse_record_id(content_id)) is not None:
            picture = await parts.in_thread(lambda: read_content(parts, known))
        else:
            raise ArgumentError("There is no picture to ask about.", hint="choose one.")
    return await answer(request, picture, question.strip() or None, model or None)


async def _read(parts: WebParts, posted: UploadFile) -> NamedBytes:
    limit = parts.serving.settings.limits.max_file_bytes
    if posted.size is not None and posted.size > limit:
        raise PictureTooLargeError(
            f"The picture has {posted.size} bytes (limit {limit}).", hint="choose a smaller one."
        )
    name = PurePosixPath((posted.filename or "picture").replace("\\", "/")).name[:_MAX_NAME_CHARS]
    return NamedBytes(name or "picture", await posted.read())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
