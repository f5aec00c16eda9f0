"""What `POST /v1/responses` returns: one object, or a stream of events."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from smallsight.answering.cost import Cost, cost_of
from smallsight.answering.question import ToolCall, Tools
from smallsight.answering.tool_calls import HeldText, answer_parts
from smallsight.errors import SmallsightError
from smallsight.http.event_stream import event
from smallsight.model.answer import Answer
from smallsight.openai.error_answer import error_body
from smallsight.openai.responses_request import ResponsesRequest
from smallsight.services.exchange import QUIET_S, Exchange
from smallsight.services.response_tables import StoredItem

KeepResponse = Callable[[Mapping[str, Any]], Awaitable[bool]]


class ResponseObject:
    """Builds one response in each of its states, and the events of its stream."""

    def __init__(
        self, request: ResponsesRequest, exchange: Exchange, tools: Tools | None, keep: KeepResponse
    ) -> None:
        """``keep`` stores the finished object and returns whether it is stored."""
        self._request = request
        self._exchange = exchange
        self._tools = tools
        self._keep = keep
        self._id = f"resp_{secrets.token_hex(16)}"
        self._message_id = f"msg_{secrets.token_hex(16)}"
        self._created_s = int(time.time())
        self._numbers = itertools.count()

    async def whole(self) -> tuple[dict[str, Any], Cost]:
        """Wait for the answer and return the object; raises the model's error."""
        async for _ in self._exchange.pieces():
            pass
        answer = self._exchange.answers()[0]
        cost = cost_of(self._exchange, [answer])
        text, calls = answer_parts(answer, self._tools)
        output = self._output(answer, text, calls, has_message=bool(text))
        return await self._finished(answer, output, cost), cost

    async def events(self) -> AsyncIterator[bytes | Cost | None]:
        """Yield events as text arrives, None after ``QUIET_S`` without any, and the cost at the end."""
        yield self._event("response.created", response=self._object("in_progress"))
        yield self._event("response.in_progress", response=self._object("in_progress"))
        held = HeldText(self._tools)
        has_message = False
        async for new in self._new_text(held):
            if new is not None and not has_message:
                has_message = True
                for one in self._first_events():
                    yield one
            yield None if new is None else self._delta(new)
        answer = self._exchange.answers()[0]
        cost = cost_of(self._exchange, [answer])
        text, calls = answer_parts(answer, self._tools)
        output = self._output(answer, text, calls, has_message=has_message)
        left = "" if calls else held.rest(text)
        for one in self._last_events(output, left, has_message=has_message):
            yield one
        finished = await self._finished(answer, output, cost)
        yield self._event(f"response.{finished['status']}", response=finished)
        yield cost

    def failed(self, error: SmallsightError) -> bytes:
        """Return the last event of a failed stream."""
        body = error_body(error)["error"]
        return self._event("error", code=body["code"], message=body["message"], param=body["param"])

    async def _new_text(self, held: HeldText) -> AsyncIterator[str | None]:
        """Yield the answer's text as it arrives, without what may be a call; None after ``QUIET_S``."""
        has_text = False
        yielded_s = time.monotonic()
        async for arrived in self._exchange.pieces():
            text = "" if arrived is None or arrived.piece is None else held.push(arrived.piece.text)
            text = text if has_text else text.lstrip()
            if text or arrived is None or time.monotonic() - yielded_s > QUIET_S:
                has_text = has_text or bool(text)
                yielded_s = time.monotonic()
                yield text or None

    def _first_events(self) -> list[bytes]:
        item = self._message("in_progress", None)
        return [
            self._event("response.output_item.added", output_index=0, item=item),
            self._text_event("response.content_part.added", part=_text_part("")),
        ]

    def _last_events(self, output: list[StoredItem], left: str, *, has_message: bool) -> list[bytes]:
        """Return the events of what is left of an answer: text that was held back, and calls."""
        events: list[bytes] = []
        for index, item in enumerate(output):
            if item["type"] == "function_call":
                events += self._call_events(index, item)
                continue
            events += [] if has_message else self._first_events()
            events += [self._delta(left)] if left else []
            (part,) = item["content"]
            events += [
                self._text_event("response.output_text.done", text=part["text"], logprobs=[]),
                self._text_event("response.content_part.done", part=part),
                self._event("response.output_item.done", output_index=0, item=item),
            ]
        return events

    def _call_events(self, index: int, item: StoredItem) -> list[bytes]:
        """Return the events of one call, whose arguments arrive whole."""
        begun = item | {"status": "in_progress", "arguments": ""}
        position = {"item_id": item["id"], "output_index": index}
        kind, arguments = "response.function_call_arguments", item["arguments"]
        return [
            self._event("response.output_item.added", output_index=index, item=begun),
            self._event(f"{kind}.delta", **position, delta=arguments),
            self._event(f"{kind}.done", **position, name=item["name"], arguments=arguments),
            self._event("response.output_item.done", output_index=index, item=item),
        ]

    def _output(
        self, answer: Answer, text: str, calls: Sequence[ToolCall], *, has_message: bool
    ) -> list[StoredItem]:
        """Return the items of an answer: a message, unless there are only calls, and the calls."""
        message = [self._message(_status(answer), text)] if has_message or not calls else []
        return [*message, *(_call_item(call) for call in calls)]

    async def _finished(self, answer: Answer, output: list[StoredItem], cost: Cost) -> dict[str, Any]:
        is_call = output[-1]["type"] == "function_call"
        status = "completed" if is_call else _status(answer)
        usage = {
            "input_tokens": cost.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": cost.cached_tokens,
                "cache_write_tokens": 0,
                "image_tokens": cost.image_tokens,
            },
            "output_tokens": cost.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": cost.total_tokens,
        }
        finished = {
            "status": status,
            "output": output,
            "usage": usage,
            "completed_at": int(time.time()) if status == "completed" else None,
            "incomplete_details": None if status == "completed" else {"reason": "max_output_tokens"},
        }
        body = self._object(status) | finished | cost.seconds()
        return body | {"store": await self._keep(body | {"store": True})}

    def _object(self, status: str) -> dict[str, Any]:
        request = self._request
        given = request.model_dump(include={"tools", "tool_choice"}, exclude_unset=True, by_alias=True)
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created_s,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "metadata": request.metadata or {},
            "model": self._exchange.model,
            "output": [],
            "parallel_tool_calls": False,
            "previous_response_id": request.previous_response_id,
            "store": request.store is not False,
            "temperature": request.temperature,
            "text": {"format": request.form.model_dump(by_alias=True, exclude_none=True)},
            "tool_choice": given.get("tool_choice") or "auto",
            "tools": given.get("tools") or [],
            "top_p": request.top_p,
            "truncation": "disabled",
            "usage": None,
        }

    def _message(self, status: str, text: str | None) -> StoredItem:
        return {
            "type": "message",
            "id": self._message_id,
            "status": status,
            "role": "assistant",
            "content": [] if text is None else [_text_part(text)],
        }

    def _delta(self, text: str) -> bytes:
        return self._text_event("response.output_text.delta", delta=text, logprobs=[])

    def _text_event(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - each event has its own
        position = {"item_id": self._message_id, "output_index": 0, "content_index": 0}
        return self._event(kind, **position, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401
        return event({"type": kind, "sequence_number": next(self._numbers), **fields}, kind)


def _call_item(call: ToolCall) -> StoredItem:
    return {
        "type": "function_call",
        "id": f"fc_{secrets.token_hex(16)}",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    }


def _text_part(text: str) -> StoredItem:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish_reason == "length" else "completed"
