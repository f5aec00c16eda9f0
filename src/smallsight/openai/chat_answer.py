"""What `POST /v1/chat/completions` returns: one object, or a stream of chunks."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from smallsight.answering.answer_stream import AnswerStream
from smallsight.answering.cost import Cost, cost_of
from smallsight.http.event_stream import DONE, PING, event
from smallsight.http.json_response import compact_json
from smallsight.model.answer import Answer, TokenLogprob
from smallsight.model.reply import Piece
from smallsight.openai.chat_calls import ChatCalls
from smallsight.services.exchange import QUIET_S, Exchange


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


async def whole_answer(exchange: Exchange, shown: ChatCalls) -> tuple[dict[str, Any], Cost]:
    """Wait for all choices and return them as one object; raises the model's error."""
    logprobs: dict[int, list[TokenLogprob]] = {}
    async for arrived in exchange.pieces():
        if arrived is not None and arrived.piece is not None and arrived.piece.logprob is not None:
            logprobs.setdefault(arrived.index, []).append(arrived.piece.logprob)
    answers = exchange.answers()
    cost = cost_of(exchange, answers)
    choices = []
    for index, answer in enumerate(answers):
        text, calls = shown.read(answer)
        choice = {
            "index": index,
            "message": shown.message(text, calls),
            "finish_reason": shown.finish_reason(answer, calls),
            "logprobs": _logprobs(logprobs.get(index, ()), exchange, answer),
        }
        choices.append(choice)
    body = _head(exchange, "chat.completion") | {"choices": choices, "usage": chat_usage(cost)}
    return body | cost.seconds(), cost


async def chunks(exchange: Exchange, shown: ChatCalls, *, with_usage: bool) -> AsyncIterator[bytes | Cost]:
    """Yield together the chunks of what has arrived, a keep-alive when quiet, and the cost at the end."""
    head = _head(exchange, "chat.completion.chunk") | ({"usage": None} if with_usage else {})
    begun = f"data: {compact_json(head)[:-1]},"  # once, because it is most of a chunk
    stream = _ChoiceStream(exchange, shown)
    ended: list[int] = []
    sent_s = time.monotonic()
    async for batch in exchange.batches():
        new: list[dict[str, Any]] = []
        for one in batch:
            if one.piece is None:
                ended.append(one.index)
            else:
                new += stream.push(one.index, one.piece)
        if new:
            yield _encoded(begun, new)
        elif not batch or time.monotonic() - sent_s > QUIET_S:  # the text is held back
            yield PING
        else:
            continue
        sent_s = time.monotonic()
    answers = exchange.answers()
    cost = cost_of(exchange, answers)
    last: list[bytes] = []
    for index in ended:
        for choice in stream.last(index, answers[index]):
            is_last = index == ended[-1] and choice["finish_reason"] is not None
            last.append(event(head | {"choices": [choice]} | (cost.seconds() if is_last else {})))
    if with_usage:
        last.append(event(head | {"choices": [], "usage": chat_usage(cost)} | cost.seconds()))
    yield cost
    yield b"".join([*last, DONE])


class _ChoiceStream:
    """The parts of each choice in a stream; the first of each has the role."""

    def __init__(self, exchange: Exchange, shown: ChatCalls) -> None:
        self._exchange = exchange
        self._shown = shown
        self._streams = [AnswerStream(shown.tools) for _ in exchange.replies]
        self._started: set[int] = set()

    def push(self, index: int, piece: Piece) -> list[dict[str, Any]]:
        """Return the new parts of a choice; the first has the token, where logprobs were requested."""
        stream = self._streams[index]
        choices = [
            self._choice(index, delta)
            for new in stream.push(piece.text)
            if (delta := self._shown.delta(new)) is not None
        ]
        if piece.logprob is not None and not stream.is_holding:
            choices = choices or [self._choice(index, {"content": ""})]
            tokens = [_logprob(piece.logprob, self._exchange)]
            choices[0]["logprobs"] = {"content": tokens, "refusal": None}
        return choices

    def last(self, index: int, answer: Answer) -> Iterator[dict[str, Any]]:
        """Yield what is left of a choice: text that was held back, calls, and why it ended."""
        stream = self._streams[index]
        for new in stream.end(answer):
            if (delta := self._shown.delta(new)) is not None:
                yield self._choice(index, delta)
        if index not in self._started:
            yield self._choice(index, {"content": ""})
        yield _choice(index, {}, self._shown.finish_reason(answer, stream.calls))

    def _choice(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        is_first = index not in self._started
        self._started.add(index)
        return _choice(index, {"role": "assistant", "content": None} | delta if is_first else delta)


def _encoded(begun: str, choices: Sequence[dict[str, Any]]) -> bytes:
    """Return a chunk for each choice, of which all begin with the same fields."""
    return "".join([f'{begun}"choices":[{compact_json(one)}]}}\n\n' for one in choices]).encode("ascii")


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
