"""The route of chat completions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.answering.cost import AnswerMetrics, Cost
from smallsight.answering.route_state import route_state
from smallsight.errors import SmallsightError
from smallsight.http.authorise import UseRoute
from smallsight.http.event_stream import ClientLeftError, EventStream, event, while_connected, with_errors
from smallsight.http.json_response import json_response
from smallsight.openai.chat_answer import chunks, whole_answer
from smallsight.openai.chat_calls import ChatCalls
from smallsight.openai.chat_request import ChatRequest
from smallsight.openai.error_answer import error_body
from smallsight.openai.route_answers import ANSWERS
from smallsight.services.exchange import Exchange

router = APIRouter(prefix="/v1", route_class=UseRoute, tags=["answers"])

CLIENT_LEFT = 499


@router.post("/chat/completions", responses=ANSWERS)
async def chat_completions(request: Request, body: ChatRequest) -> Response:
    """Continue a conversation, with or without pictures. Streams when `stream` is true."""
    state = route_state(request)
    question = body.question()
    shown = ChatCalls(question.tools, body.is_legacy)
    async with AsyncExitStack() as until:
        try:
            starting = state.asking.begin(question, request.state.client, until)
            exchange = await while_connected(request.receive, starting)
            if body.stream:
                events = _chat_events(exchange, shown, state.metrics, with_usage=body.wants_usage)
                return EventStream(with_errors(events, chat_error), until.pop_all())
            answer, cost = await while_connected(request.receive, whole_answer(exchange, shown))
        except ClientLeftError:
            return Response(status_code=CLIENT_LEFT)
    count_answer(exchange, cost, state.metrics)
    return json_response(answer)


def chat_error(error: SmallsightError) -> bytes:
    """Return an error as the last event of a stream of chat completions."""
    return event(error_body(error))


async def _chat_events(
    exchange: Exchange, shown: ChatCalls, metrics: AnswerMetrics, *, with_usage: bool
) -> AsyncIterator[bytes]:
    async for chunk in chunks(exchange, shown, with_usage=with_usage):
        if isinstance(chunk, Cost):
            count_answer(exchange, chunk, metrics)
        else:
            yield chunk


def count_answer(exchange: Exchange, cost: Cost, metrics: AnswerMetrics) -> None:
    """Count the cost of an answer; one from the cache cost nothing."""
    if not exchange.is_remembered:
        metrics.count_answer(exchange.model, cost)
