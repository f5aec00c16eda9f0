"""What `POST /v1/chat/completions` returns: one object, or a stream of chunks."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from smallsight.model.answer import Answer, TokenLogprob
from smallsight.model.reply import Piece
from smallsight.openai.exchange import Exchange
from smallsight.openai.usage import Cost, cost_of

_FINISH_REASONS = {"stop": "stop", "length": "length"}


def chat_usage(cost: Cost) -> dict[str, Any]:
    """Return the ``usage`` object of chat completions."""
    return {
        "prompt_tokens": cost.prompt_tokens,
        "completion_tokens": cost.completion_tokens,
        "total_tokens": cost.total_tokens,
        "prompt_tokens_details": {
            "cached_tokens": cost.cached_tokens,
            "image_tokens": cost.image_tokens,
            "text_tokens": cost.prompt_tokens - cost.image_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


async def whole_answer(exchange: Exchange) -> tuple[dict[str, Any], Cost]:
    """Wait for all choices and return them as one object; raises the model's error."""
    logprobs: dict[int, list[TokenLogprob]] = {}
    async for arrived in exchange.pieces():
        if arrived is not None and arrived.piece is not None and arrived.piece.logprob is not None:
            logprobs.setdefault(arrived.index, []).append(arrived.piece.logprob)
    answers = exchange.answers()
    cost = cost_of(exchange, answers)
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": answer.text, "refusal": None},
            "finish_reason": _FINISH_REASONS.get(answer.finish_reason, "stop"),
            "logprobs": _logprobs(logprobs.get(index, ()), exchange, answer),
        }
        for index, answer in enumerate(answers)
    ]
    body = _head(exchange, "chat.completion") | {"choices": choices, "usage": chat_usage(cost)}
    return body | cost.seconds(), cost


async def chunks(exchange: Exchange, *, with_usage: bool) -> AsyncIterator[dict[str, Any] | Cost | None]:
    """Yield chunks as text arrives, None after ``QUIET_S`` without any, and the cost at the end."""
    head = _head(exchange, "chat.completion.chunk") | ({"usage": None} if with_usage else {})
    started: set[int] = set()
    ended: list[int] = []
    async for arrived in exchange.pieces():
        if arrived is None:
            yield None
            continue
        if arrived.piece is None:
            ended.append(arrived.index)
            continue
        if (delta := _delta(arrived.index, arrived.piece, started, exchange)) is not None:
            yield head | {"choices": [delta]}
    answers = exchange.answers()
    cost = cost_of(exchange, answers)
    for index in ended:
        if index not in started:  # an empty answer
            yield head | {"choices": [_choice(index, {"role": "assistant", "content": ""})]}
        reason = _FINISH_REASONS.get(answers[index].finish_reason, "stop")
        is_last = index == ended[-1]
        yield head | {"choices": [_choice(index, {}, reason)]} | (cost.seconds() if is_last else {})
    if with_usage:
        yield head | {"choices": [], "usage": chat_usage(cost)} | cost.seconds()
    yield cost


def _delta(index: int, piece: Piece, started: set[int], exchange: Exchange) -> dict[str, Any] | None:
    """Return the new part of one choice, without leading whitespace of the answer; None if empty."""
    is_first = index not in started
    text = piece.text.lstrip() if is_first else piece.text
    if not text and piece.logprob is None:
        return None
    started.add(index)
    delta = {"role": "assistant", "content": text} if is_first else {"content": text}
    choice = _choice(index, delta)
    if piece.logprob is not None:
        choice["logprobs"] = {"content": [_logprob(piece.logprob, exchange)], "refusal": None}
    return choice


def _choice(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": None}


def _head(exchange: Exchange, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": exchange.model,
    }


def _logprobs(tokens: Sequence[TokenLogprob], exchange: Exchange, answer: Answer) -> dict[str, Any] | None:
    if answer.logprobs is None:
        return None
    return {"content": [_logprob(one, exchange) for one in tokens], "refusal": None}


def _logprob(one: TokenLogprob, exchange: Exchange) -> dict[str, Any]:
    likeliest = [_named(token_id, logprob, exchange) for token_id, logprob in one.alternatives]
    return _named(one.token_id, one.logprob, exchange) | {"top_logprobs": likeliest}


def _named(token_id: int, logprob: float, exchange: Exchange) -> dict[str, Any]:
    data = exchange.replies[0].token_bytes(token_id)  # one vocabulary for all choices
    return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}
