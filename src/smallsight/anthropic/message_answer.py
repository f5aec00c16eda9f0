"""What `POST /v1/messages` returns: one message, or a stream of events."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

from smallsight.answering.answer_stream import AnswerEvent, AnswerStream, CallStart, NewArguments, NewText
from smallsight.answering.cost import Cost, cost_of
from smallsight.answering.question import Tools
from smallsight.answering.tool_calls import is_whole, whole_parts
from smallsight.http.event_stream import event
from smallsight.model.answer import Answer
from smallsight.services.exchange import Exchange


class MessageAnswer:
    """The message that answers one question, whole or in events."""

    def __init__(self, exchange: Exchange, tools: Tools | None) -> None:
        self._exchange = exchange
        self._tools = tools
        self._id = f"msg_{secrets.token_hex(12)}"

    async def whole(self) -> tuple[dict[str, Any], Cost]:
        """Wait for the message and return it; raises the model's error."""
        async for _ in self._exchange.pieces():
            pass
        answer, cost = self._finished()
        text, calls = whole_parts(answer, self._tools)
        content = [_text(text)] if text or not calls else []
        content += [_tool_use(call.name, json.loads(call.arguments)) for call in calls]
        return self._message(content, _ending(answer, is_call=bool(calls)), _usage(cost)), cost

    async def events(self) -> AsyncIterator[bytes | Cost]:
        """Yield the events of the message as text arrives, and its cost at the end."""
        yield _event("message_start", message=self._message([], _ending(None), self._first_usage()))
        yield _event("ping")
        stream, blocks = AnswerStream(self._tools), _Blocks()
        async for arrived in self._exchange.pieces():
            if arrived is None:
                yield _event("ping")
            elif arrived.piece is not None:
                for new in stream.push(arrived.piece.text):
                    for one in blocks.of(new):
                        yield one
        answer, cost = self._finished()
        for new in stream.end(answer):
            for one in blocks.of(new):
                yield one
        for one in blocks.end():
            yield one
        is_call = bool(stream.calls) and is_whole(stream.calls[-1])
        yield _event("message_delta", delta=_ending(answer, is_call=is_call), usage=_usage(cost))
        yield _event("message_stop")
        yield cost

    def _first_usage(self) -> dict[str, Any]:
        """Return the prompt's tokens, 0 where another server counts them; cached ones are not known yet."""
        return _usage(Cost(self._exchange.prompt_tokens or 0, 0, 0, 0, 0.0, 0.0))

    def _finished(self) -> tuple[Answer, Cost]:
        answers = self._exchange.answers()
        return answers[0], cost_of(self._exchange, answers)

    def _message(
        self, content: list[dict[str, Any]], ending: dict[str, Any], usage: dict[str, Any]
    ) -> dict[str, Any]:
        head = {"id": self._id, "type": "message", "role": "assistant", "model": self._exchange.model}
        return {**head, "content": content, **ending, "usage": usage}


class _Blocks:
    """The events of the blocks of a streamed message: text, and calls."""

    def __init__(self) -> None:
        self._num_begun = 0
        self._is_open = False

    def of(self, event: AnswerEvent) -> Iterator[bytes]:
        """Yield the events of what has arrived."""
        if isinstance(event, NewText):
            if not self._is_open:
                yield self._begin(_text(""))
            yield self._delta({"type": "text_delta", "text": event.text})
        elif isinstance(event, CallStart):
            if self._is_open:
                yield self._end()
            yield self._begin(_tool_use(event.call.name, {}))
        elif isinstance(event, NewArguments):
            yield self._delta({"type": "input_json_delta", "partial_json": event.text})
        else:
            yield self._end()

    def end(self) -> Iterator[bytes]:
        """Yield the end of the last block; a message without any gets an empty one."""
        if not self._is_open and not self._num_begun:
            yield self._begin(_text(""))
        if self._is_open:
            yield self._end()

    def _begin(self, block: dict[str, Any]) -> bytes:
        self._is_open = True
        return _event("content_block_start", index=self._num_begun, content_block=block)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._num_begun, delta=delta)

    def _end(self) -> bytes:
        self._is_open = False
        self._num_begun += 1
        return _event("content_block_stop", index=self._num_begun - 1)


def _tool_use(name: str, arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"type": "tool_use", "id": f"toolu_{secrets.token_hex(12)}", "name": name, "input": arguments}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _ending(answer: Answer | None, *, is_call: bool = False) -> dict[str, Any]:
    """Return why a message ended; nothing before its end."""
    if answer is None:
        return {"stop_reason": None, "stop_sequence": None}
    if is_call:
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if answer.finish_reason == "length":
        return {"stop_reason": "max_tokens", "stop_sequence": None}
    reason = "end_turn" if answer.stop_string is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": answer.stop_string}


def _usage(cost: Cost) -> dict[str, Any]:
    """Return the tokens of a message; those read from the cache are not among ``input_tokens``."""
    return {
        "input_tokens": cost.prompt_tokens - cost.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cost.cached_tokens,
        "output_tokens": cost.completion_tokens,
    }


def _event(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - each event has its own
    return event({"type": kind, **fields}, kind)
