"""What `POST /v1/responses` returns: one object, or a stream of events."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from smallsight.answering.answer_stream import AnswerStream
from smallsight.answering.cost import Cost, cost_of
from smallsight.answering.question import Tools
from smallsight.answering.tool_calls import answer_parts
from smallsight.errors import SmallsightError
from smallsight.http.event_stream import event
from smallsight.model.answer import Answer
from smallsight.openai.error_answer import error_body
from smallsight.openai.responses_output import OutputStream, status_of, whole_output
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
        self._created_s = int(time.time())
        self._numbers = itertools.count()

    async def whole(self) -> tuple[dict[str, Any], Cost]:
        """Wait for the answer and return the object; raises the model's error."""
        async for _ in self._exchange.pieces():
            pass
        answer = self._exchange.answers()[0]
        cost = cost_of(self._exchange, [answer])
        output = whole_output(answer, *answer_parts(answer, self._tools))
        return await self._finished(answer, output, cost), cost

    async def events(self) -> AsyncIterator[bytes | Cost | None]:
        """Yield events as the answer arrives, None after ``QUIET_S`` without any, and the cost at the end."""
        yield self._event("response.created", response=self._object("in_progress"))
        yield self._event("response.in_progress", response=self._object("in_progress"))
        stream, output = AnswerStream(self._tools), OutputStream(self._event)
        yielded_s = time.monotonic()
        async for arrived in self._exchange.pieces():
            text = "" if arrived is None or arrived.piece is None else arrived.piece.text
            has_events = False
            for new in stream.push(text):
                has_events = True
                for one in output.of(new):
                    yield one
            if has_events or arrived is None or time.monotonic() - yielded_s > QUIET_S:
                yielded_s = time.monotonic()
                if not has_events:
                    yield None
        answer = self._exchange.answers()[0]
        cost = cost_of(self._exchange, [answer])
        for new in stream.end(answer):
            for one in output.of(new):
                yield one
        for one in output.end(answer):
            yield one
        finished = await self._finished(answer, output.items, cost)
        yield self._event(f"response.{finished['status']}", response=finished)
        yield cost

    def failed(self, error: SmallsightError) -> bytes:
        """Return the last event of a failed stream."""
        body = error_body(error)["error"]
        return self._event("error", code=body["code"], message=body["message"], param=body["param"])

    async def _finished(self, answer: Answer, output: list[StoredItem], cost: Cost) -> dict[str, Any]:
        last = output[-1]
        is_call = last["type"] == "function_call" and last["status"] == "completed"
        status = "completed" if is_call else status_of(answer)
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

    def _event(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - each event has its own
        return event({"type": kind, "sequence_number": next(self._numbers), **fields}, kind)
