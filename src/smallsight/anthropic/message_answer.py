"""What `POST /v1/messages` returns: one message, or a stream of events."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

from smallsight.answering.cost import Cost, cost_of
from smallsight.answering.question import ToolCall, Tools
from smallsight.answering.tool_calls import HeldText, answer_parts
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
        text, calls = answer_parts(answer, self._tools)
        content = [_text(text)] if text or not calls else []
        content += [_tool_use(call, json.loads(call.arguments)) for call in calls]
        return self._message(content, _ending(answer, is_call=bool(calls)), _usage(cost)), cost

    async def events(self) -> AsyncIterator[bytes | Cost]:
        """Yield the events of the message as text arrives, and its cost at the end."""
        yield _event("message_start", message=self._message([], _ending(None), _NO_USAGE))
        yield _event("ping")
        blocks = _Blocks(self._tools)
        async for arrived in self._exchange.pieces():
            if arrived is None:
                yield _event("ping")
            elif arrived.piece is not None:
                for one in blocks.push(arrived.piece.text):
                    yield one
        answer, cost = self._finished()
        text, calls = answer_parts(answer, self._tools)
        for one in blocks.last(text, calls):
            yield one
        yield _event("message_delta", delta=_ending(answer, is_call=bool(calls)), usage=_usage(cost))
        yield _event("message_stop")
        yield cost

    def _finished(self) -> tuple[Answer, Cost]:
        answers = self._exchange.answers()
        return answers[0], cost_of(self._exchange, answers)

    def _message(
        self, content: list[dict[str, Any]], ending: dict[str, Any], usage: dict[str, Any]
    ) -> dict[str, Any]:
        head = {"id": self._id, "type": "message", "role": "assistant", "model": self._exchange.model}
        return {**head, "content": content, **ending, "usage": usage}


class _Blocks:
    """The events of the blocks of a streamed message: text, then calls.

    The arguments of the only tool that an answer must call are streamed; any other call is sent when it is
    whole.
    """

    def __init__(self, tools: Tools | None) -> None:
        forced = () if tools is None else tools.forced
        self._only = forced[0].name if len(forced) == 1 else None
        self._held = HeldText(None if self._only else tools)
        self._num_begun = 0
        self._is_open = False

    def push(self, text: str) -> Iterator[bytes]:
        """Yield the events of new text."""
        shown = self._held.push(text)
        shown = shown if self._is_open else shown.lstrip()
        if not shown:
            return
        if not self._is_open:
            yield self._begin(_text("") if self._only is None else _tool_use_of(self._only, {}))
        yield self._delta(shown, is_json=self._only is not None)

    def last(self, text: str, calls: tuple[ToolCall, ...]) -> Iterator[bytes]:
        """Yield what is left at the end of an answer with this text and these calls, and close the block."""
        left = "" if calls else self._held.rest(text)
        if left or (not calls and not self._is_open):
            if not self._is_open:
                yield self._begin(_text(""))
            yield self._delta(left, is_json=False)
        if self._is_open:
            yield self._end()
        for call in calls if self._only is None else ():
            yield self._begin(_tool_use(call, {}))
            yield self._delta(call.arguments, is_json=True)
            yield self._end()

    def _begin(self, block: dict[str, Any]) -> bytes:
        self._is_open = True
        return _event("content_block_start", index=self._num_begun, content_block=block)

    def _delta(self, text: str, *, is_json: bool) -> bytes:
        delta = (
            {"type": "input_json_delta", "partial_json": text}
            if is_json
            else {"type": "text_delta", "text": text}
        )
        return _event("content_block_delta", index=self._num_begun, delta=delta)

    def _end(self) -> bytes:
        self._is_open = False
        self._num_begun += 1
        return _event("content_block_stop", index=self._num_begun - 1)


def _tool_use(call: ToolCall, arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return _tool_use_of(call.name, arguments)


def _tool_use_of(name: str, arguments: Any) -> dict[str, Any]:  # noqa: ANN401
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


_NO_USAGE = _usage(Cost(0, 0, 0, 0, 0.0, 0.0))


def _event(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - each event has its own
    return event({"type": kind, **fields}, kind)
