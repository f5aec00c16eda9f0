"""The routes that answer questions, and that load and unload models: `/api/chat` and `/api/generate`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from smallsight.answering.cost import AnswerMetrics, Cost
from smallsight.answering.route_state import route_state
from smallsight.errors import BadRequestError
from smallsight.http.authorise import Gate, UseRoute
from smallsight.http.event_stream import ClientLeftError, while_connected, with_errors
from smallsight.http.json_response import json_response
from smallsight.http.route_description import json_body
from smallsight.ollama.answer_lines import (
    AnswerLines,
    LineStream,
    PartWriter,
    chat_part,
    generate_part,
    timestamp,
)
from smallsight.ollama.chat_body import ChatBody, GenerateBody, model_name
from smallsight.ollama.ollama_errors import error_line
from smallsight.ollama.parts import parts_of
from smallsight.ollama.request_body import read_body
from smallsight.ollama.route_answers import ANSWER_LINES
from smallsight.services.exchange import Exchange

router = APIRouter(route_class=UseRoute, tags=["ollama"])

_CLIENT_LEFT = 499


@router.post("/chat", responses=ANSWER_LINES, openapi_extra=json_body(ChatBody))
async def chat(request: Request) -> Response:
    """Continue a conversation. Streams unless `stream` is false."""
    return await _answer(request, await read_body(request, ChatBody), chat_part)


@router.post("/generate", responses=ANSWER_LINES, openapi_extra=json_body(GenerateBody))
async def generate(request: Request) -> Response:
    """Answer one prompt. Streams unless `stream` is false."""
    return await _answer(request, await read_body(request, GenerateBody), generate_part)


async def _answer(request: Request, body: ChatBody | GenerateBody, part: PartWriter) -> Response:
    keep_alive_s = body.keep_alive_s
    if (name := model_name(body.model)) is not None and parts_of(request).text_model.is_named(name):
        raise BadRequestError(f"{body.model} only embeds texts.", hint="POST /api/embed does.", param="model")
    if body.is_empty:
        return await _load(request, body, part)
    state, pool = route_state(request), parts_of(request).serving.pool
    question = body.question()
    async with AsyncExitStack() as until:
        try:
            starting = state.asking.begin(question, request.state.client, until)
            exchange = await while_connected(request.receive, starting)
            if keep_alive_s is not None:
                pool.keep_for(exchange.model, keep_alive_s)
            shown = body.model or exchange.model
            answer = AnswerLines(shown, exchange, time.perf_counter(), part, question.tools)
            if body.is_streamed:
                lines = _lines(answer, state.metrics)
                return LineStream(with_errors(lines, error_line), until.pop_all())
            whole, cost = await while_connected(request.receive, answer.whole())
        except ClientLeftError:
            return Response(status_code=_CLIENT_LEFT)
    _count(exchange, cost, state.metrics)
    return json_response(whole)


async def _load(request: Request, body: ChatBody | GenerateBody, part: PartWriter) -> Response:
    """Load the model without asking anything, or unload it if it is kept for no time."""
    serving, keep_alive_s = parts_of(request).serving, body.keep_alive_s
    gate: Gate = request.app.state.gate
    began_s = time.perf_counter()
    find = route_state(request).models.find
    served = await parts_of(request).in_thread(find, model_name(body.model))
    if keep_alive_s != 0 and served.remote is None:
        with gate.admission.slot(request.state.client):
            async with serving.pool.lend(served):
                pass
    if keep_alive_s is not None:
        serving.pool.keep_for(served.name, keep_alive_s)
    took_ns = max(1, int((time.perf_counter() - began_s) * 1e9))
    ended: dict[str, Any] = {
        "done": True,
        "done_reason": "unload" if keep_alive_s == 0 else "load",
        "total_duration": took_ns,
        "load_duration": took_ns,
    }
    head = {"model": body.model or served.name, "created_at": timestamp()}
    return json_response(head | part("", ()) | ended)


async def _lines(answer: AnswerLines, metrics: AnswerMetrics) -> AsyncIterator[bytes]:
    async for one in answer.lines():
        if isinstance(one, Cost):
            _count(answer.exchange, one, metrics)
        else:
            yield one


def _count(exchange: Exchange, cost: Cost, metrics: AnswerMetrics) -> None:
    """Count the cost of an answer; one from the cache cost nothing."""
    if not exchange.is_remembered:
        metrics.count_answer(exchange.model, cost)
