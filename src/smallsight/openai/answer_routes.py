"""The routes that answer questions: chat completions and responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.errors import SmallsightError
from smallsight.http.authorise import UseRoute
from smallsight.http.event_stream import (
    DONE,
    PING,
    ClientLeftError,
    EventStream,
    event,
    while_connected,
    with_errors,
)
from smallsight.http.json_response import json_response
from smallsight.openai.chat_answer import chunks, whole_answer
from smallsight.openai.chat_request import ChatRequest
from smallsight.openai.error_answer import error_body
from smallsight.openai.exchange import Exchange
from smallsight.openai.responses_answer import ResponseObject
from smallsight.openai.responses_request import ResponsesRequest
from smallsight.openai.route_answers import ANSWERS
from smallsight.openai.route_state import route_state
from smallsight.openai.usage import AnswerMetrics, Cost

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["answers"])

_CLIENT_LEFT = 499


@router.post("/chat/completions", responses=ANSWERS)
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Continue a conversation, with or without pictures. Streams when `stream` is true."""
    state = route_state(request)
    question = body.question()
    async with AsyncExitStack() as until:
        try:
            starting = state.asking.begin(question, request.state.client, until)
            exchange = await while_connected(request.receive, starting)
            if body.stream:
                events = _chat_events(exchange, state.metrics, with_usage=body.wants_usage)
                return EventStream(with_errors(events, chat_error), until.pop_all())
            answer, cost = await while_connected(request.receive, whole_answer(exchange))
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    _count(exchange, cost, state.metrics)
    return json_response(answer)


@router.post("/responses", responses=ANSWERS)
async def responses(request: Request, body: ResponsesRequest) -> Response:
    """Answer like OpenAI's Responses API. Stateless. Streams when `stream` is true."""
    state = route_state(request)
    question = body.question()
    async with AsyncExitStack() as until:
        try:
            starting = state.asking.begin(question, request.state.client, until)
            exchange = await while_connected(request.receive, starting)
            response = ResponseObject(body, exchange)
            if body.stream:
                events = _response_events(response, exchange, state.metrics)
                return EventStream(with_errors(events, response.failed), until.pop_all())
            answer, cost = await while_connected(request.receive, response.whole())
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    _count(exchange, cost, state.metrics)
    return json_response(answer)


def chat_error(error: SmallsightError) -> bytes:
    """Return an error as the last event of a stream of chat completions."""
    return event(error_body(error))


async def _chat_events(
    exchange: Exchange, metrics: AnswerMetrics, *, with_usage: bool
) -> AsyncIterator[bytes]:
    async for chunk in chunks(exchange, with_usage=with_usage):
        if isinstance(chunk, Cost):
            _count(exchange, chunk, metrics)
        else:
            yield PING if chunk is None else event(chunk)
    yield DONE


async def _response_events(
    response: ResponseObject, exchange: Exchange, metrics: AnswerMetrics
) -> AsyncIterator[bytes]:
    async for one in response.events():
        if isinstance(one, Cost):
            _count(exchange, one, metrics)
        else:
            yield PING if one is None else one


def _count(exchange: Exchange, cost: Cost, metrics: AnswerMetrics) -> None:
    """Count the cost of an answer; one from the cache cost nothing."""
    if not exchange.is_remembered:
        metrics.count_answer(exchange.model, cost)
