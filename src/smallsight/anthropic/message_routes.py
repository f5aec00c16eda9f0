"""The routes of Anthropic's protocol: messages, and the number of their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.answering.cost import AnswerMetrics, Cost
from smallsight.answering.route_state import route_state
from smallsight.anthropic.error_answer import error_event
from smallsight.anthropic.message_answer import MessageAnswer
from smallsight.anthropic.messages_request import CountRequest, MessagesRequest
from smallsight.anthropic.request_id import identified
from smallsight.anthropic.route_answers import COUNT, MESSAGE
from smallsight.http.authorise import UseRoute
from smallsight.http.event_stream import ClientLeftError, EventStream, while_connected, with_errors
from smallsight.http.json_response import json_response
from smallsight.services.exchange import Exchange

PREFIX = "/v1/messages"
router = APIRouter(prefix=PREFIX, route_class=UseRoute, tags=["messages"])

_CLIENT_LEFT = 499


@router.post("", responses=MESSAGE)
async def messages(request: Request, body: MessagesRequest) -> Response:
    """Continue a conversation, with or without pictures. Streams when `stream` is true."""
    state = route_state(request)
    question = body.question()
    async with AsyncExitStack() as until:
        try:
            starting = state.asking.begin(question, request.state.client, until)
            exchange = await while_connected(request.receive, starting)
            answer = MessageAnswer(exchange, question.tools)
            if body.stream:
                events = _counted(answer.events(), exchange, state.metrics)
                return identified(EventStream(with_errors(events, error_event), until.pop_all()))
            message, cost = await while_connected(request.receive, answer.whole())
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    _count(cost, exchange, state.metrics)
    return identified(json_response(message))


@router.post("/count_tokens", responses=COUNT)
async def count_tokens(request: Request, body: CountRequest) -> Response:
    """Return the number of tokens of a prompt, pictures included, without answering it."""
    counting = route_state(request).asking.count_tokens(body.question(), request.state.client)
    try:
        num_tokens = await while_connected(request.receive, counting)
    except ClientLeftError:
        return Response(status_code=_CLIENT_LEFT)
    return identified(json_response({"input_tokens": num_tokens}))


async def _counted(
    events: AsyncIterator[bytes | Cost], exchange: Exchange, metrics: AnswerMetrics
) -> AsyncIterator[bytes]:
    async for one in events:
        if isinstance(one, Cost):
            _count(one, exchange, metrics)
        else:
            yield one


def _count(cost: Cost, exchange: Exchange, metrics: AnswerMetrics) -> None:
    """Count the cost of a message; one from the cache cost nothing."""
    if not exchange.is_remembered:
        metrics.count_answer(exchange.model, cost)
