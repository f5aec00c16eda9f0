"""What `/api/chat` and `/api/generate` return: one object, or a stream of lines."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smallsight.answering.answer_stream import AnswerStream, NewText
from smallsight.answering.cost import Cost, cost_of
from smallsight.answering.question import ToolCall, Tools
from smallsight.answering.tool_calls import is_whole, whole_parts
from smallsight.http.event_stream import EventStream
from smallsight.http.json_response import compact_json
from smallsight.model.answer import Answer
from smallsight.services.exchange import Exchange

_NS = 1_000_000_000

PartWriter = Callable[[str, tuple[ToolCall, ...]], dict[str, Any]]


class LineStream(EventStream):
    """A stream of JSON objects, one a line."""

    media_type = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class AnswerLines:
    """The lines of one answer; ``part`` puts text and calls where the route has them."""

    model: str
    exchange: Exchange
    begun_s: float
    part: PartWriter
    tools: Tools | None = None

    async def whole(self) -> tuple[dict[str, Any], Cost]:
        """Wait for the answer and return it as one object; raises the model's error."""
        async for _ in self.exchange.pieces():
            pass
        answer, cost = self._end()
        text, calls = whole_parts(answer, self.tools)
        return self._head() | self.part(text, calls) | self._last(answer, cost), cost

    async def lines(self) -> AsyncIterator[bytes | Cost]:
        """Yield the answer as it arrives, an empty part when quiet, and the cost at the end."""
        stream = AnswerStream(self.tools)
        async for arrived in self.exchange.pieces():
            piece = None if arrived is None else arrived.piece
            events = () if piece is None else stream.push(piece.text)
            text = "".join(event.text for event in events if isinstance(event, NewText))
            if text or arrived is None:
                yield line(self._head() | self.part(text, ()) | {"done": False})
        answer, cost = self._end()
        left = "".join(event.text for event in stream.end(answer) if isinstance(event, NewText))
        calls = stream.calls
        if not all(
            map(is_whole, calls)
        ):  # arguments are objects here, so that a call that was cut off is text
            left, calls = answer.text, ()
        if left or calls:  # a call is sent when it is whole
            yield line(self._head() | self.part(left, calls) | {"done": False})
        yield line(self._head() | self.part("", ()) | self._last(answer, cost))
        yield cost

    def _end(self) -> tuple[Answer, Cost]:
        answers = self.exchange.answers()
        return answers[0], cost_of(self.exchange, answers)

    def _head(self) -> dict[str, Any]:
        return {"model": self.model, "created_at": timestamp()}

    def _last(self, answer: Answer, cost: Cost) -> dict[str, Any]:
        """Return the end; clients divide by the durations, so none is 0."""
        timings = answer.timings
        return {
            "done": True,
            "done_reason": "length" if answer.finish_reason == "length" else "stop",
            "total_duration": _ns(time.perf_counter() - self.exchange.began_s),
            "load_duration": _ns(self.begun_s - self.exchange.began_s),
            "prompt_eval_count": cost.prompt_tokens,
            "prompt_eval_duration": _ns(timings.vision_s + timings.prefill_s),
            "eval_count": cost.completion_tokens,
            "eval_duration": _ns(timings.decode_s),
        }


def line(data: Mapping[str, Any]) -> bytes:
    """Encode one line."""
    return f"{compact_json(data)}\n".encode("ascii")


def timestamp(seconds: float | None = None) -> str:
    """Return a time, by default now, as Ollama writes it."""
    when = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def chat_part(text: str, calls: tuple[ToolCall, ...]) -> dict[str, Any]:
    """Return text and calls as a message."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [_called(index, one) for index, one in enumerate(calls)]
    return {"message": message}


def generate_part(text: str, calls: tuple[ToolCall, ...]) -> dict[str, Any]:  # noqa: ARG001 - it has no tools
    """Return text as a response."""
    return {"response": text}


def _called(index: int, call: ToolCall) -> dict[str, Any]:
    function = {"index": index, "name": call.name, "arguments": json.loads(call.arguments)}
    return {"id": call.id, "function": function}


def _ns(seconds: float) -> int:
    return max(1, int(seconds * _NS))
