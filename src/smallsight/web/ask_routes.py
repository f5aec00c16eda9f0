"""Questions about a picture, answered as server-sent events: pieces of text, then the model and its time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from starlette.requests import Request
from starlette.responses import Response

from smallsight.errors import ArgumentError, SmallsightError
from smallsight.http.error_shape import public_message
from smallsight.http.event_stream import (
    PING,
    ClientLeftError,
    EventStream,
    event,
    while_connected,
    with_errors,
)
from smallsight.model.picture_argument import NamedBytes
from smallsight.services.exchange import Exchange
from smallsight.services.library_pictures import read_present_file
from smallsight.web.parts import WebParts, parts_of

_CLIENT_LEFT = 499
MAX_QUESTION_CHARS = 2000


async def ask(request: Request) -> Response:
    """Answer a question about a picture of the library; without a question, describe it."""
    parts, form = parts_of(request), await request.form()
    content_id = int(request.path_params["content_id"])
    question, model = form.get("question"), form.get("model")
    if not isinstance(question, str) or len(question) > MAX_QUESTION_CHARS:
        raise ArgumentError(
            f"A question is a text of at most {MAX_QUESTION_CHARS} characters.", hint="ask less at once."
        )
    picture = await parts.in_thread(lambda: read_content(parts, content_id))
    return await answer(
        request, picture, question.strip() or None, model if isinstance(model, str) and model else None
    )


async def answer(request: Request, picture: NamedBytes, question: str | None, model: str | None) -> Response:
    """Return the stream of an answer about a picture."""
    parts = parts_of(request)
    client = "" if request.client is None else request.client.host
    async with AsyncExitStack() as until:
        try:
            starting = parts.questions.begin(picture, question, client, until, model=model)
            exchange = await while_connected(request.receive, starting)
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
        return EventStream(with_errors(_events(exchange), _problem), until.pop_all())


async def _events(exchange: Exchange) -> AsyncIterator[bytes]:
    async for one in exchange.pieces():
        if one is None:
            yield PING
        elif one.piece is not None:
            yield event({"text": one.piece.text})
    finished = exchange.answers()[0]
    yield event(
        {
            "model": exchange.model,
            "finish_reason": finished.finish_reason,
            "seconds": round(finished.timings.total_s, 2),
            "tokens": finished.usage.completion_tokens,
        }
    )


def _problem(error: SmallsightError) -> bytes:
    return event({"problem": public_message(error)})


def read_content(parts: WebParts, content_id: int) -> NamedBytes:
    """Return the file of a content; raises NotInLibraryError if it is gone."""
    application = parts.library.reading()
    paths = application.library.details(content_id).paths
    return read_present_file(paths, parts.serving.settings.limits)
