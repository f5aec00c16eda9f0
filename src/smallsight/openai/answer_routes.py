"""The routes that ask models: chat completions and responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.http.authorise import UseRoute
from smallsight.http.event_stream import (
    DONE,
    PING,
    ClientLeftError,
    EventStream,
    event,
    plain_error,
    while_connected,
    with_errors,
)
from smallsight.openai.asking import Asking, UnderWay
from smallsight.openai.chat_answer import chunks, whole_answer
from smallsight.openai.chat_request import ChatRequest
from smallsight.openai.error_shape import json_response
from smallsight.openai.responses_answer import ResponseObject
from smallsight.openai.responses_request import ResponsesRequest
from smallsight.openai.route_answers import ANSWERS
from smallsight.openai.usage import Cost
from smallsight.serve.metrics import Metrics

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["answers"])

_CLIENT_LEFT = 499


@router.post("/chat/completions", responses=ANSWERS)
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Go on with a conversation about pictures, or without any. Streams when `stream` is true."""
    asking, metrics, client = _parts(request)
    asked = body.asked()
    async with AsyncExitStack() as until:
        try:
            under_way = await while_connected(request.receive, asking.begin(asked, client, until))
            if body.stream:
                events = _chat_events(under_way, metrics, with_usage=body.wants_usage)
                return EventStream(with_errors(events, plain_error), until.pop_all())
            answer, cost = await while_connected(request.receive, whole_answer(under_way))
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    metrics.count_answer(under_way, cost)
    return json_response(answer)


@router.post("/responses", responses=ANSWERS)
async def responses(request: Request, body: ResponsesRequest) -> Response:
    """Answer, as OpenAI's Responses API does. Stateless. Streams when `stream` is true."""
    asking, metrics, client = _parts(request)
    asked = body.asked()
    async with AsyncExitStack() as until:
        try:
            under_way = await while_connected(request.receive, asking.begin(asked, client, until))
            made = ResponseObject(body, under_way)
            if body.stream:
                events = _response_events(made, under_way, metrics)
                return EventStream(with_errors(events, made.failed), until.pop_all())
            answer, cost = await while_connected(request.receive, made.whole())
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    metrics.count_answer(under_way, cost)
    return json_response(answer)


def _parts(request: Request) -> tuple[Asking, Metrics, str]:
    state: Any = request.app.state
    return state.asking, state.metrics, request.state.client


async def _chat_events(under_way: UnderWay, metrics: Metrics, *, with_usage: bool) -> AsyncIterator[bytes]:
    async for chunk in chunks(under_way, with_usage=with_usage):
        if isinstance(chunk, Cost):
            metrics.count_answer(under_way, chunk)
        else:
            yield PING if chunk is None else event(chunk)
    yield DONE


async def _response_events(
    made: ResponseObject, under_way: UnderWay, metrics: Metrics
) -> AsyncIterator[bytes]:
    async for one in made.events():
        if isinstance(one, Cost):
            metrics.count_answer(under_way, one)
        else:
            yield PING if one is None else one
