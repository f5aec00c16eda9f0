"""What `POST /v1/responses` returns: one object, or a stream of events."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from smallsight.errors import SmallsightError
from smallsight.http.event_stream import event
from smallsight.model.answer import Answer
from smallsight.openai.error_answer import error_body
from smallsight.openai.exchange import Exchange
from smallsight.openai.responses_request import ResponsesRequest
from smallsight.openai.usage import Cost, cost_of


class ResponseObject:
    """Builds one response in each of its states, and the events of its stream."""

    def __init__(self, request: ResponsesRequest, exchange: Exchange) -> None:
        self._request = request
        self._exchange = exchange
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
        return self._finished(answer, cost), cost

    async def events(self) -> AsyncIterator[bytes | Cost | None]:
        """Yield events as text arrives, None after ``QUIET_S`` without any, and the cost at the end."""
        yield self._event("response.created", response=self._object("in_progress"))
        yield self._event("response.in_progress", response=self._object("in_progress"))
        item = self._message("in_progress", None)
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._text_event("response.content_part.added", part=_text_part(""))
        has_text = False
        async for arrived in self._exchange.pieces():
            if arrived is None:
                yield None
            elif arrived.piece is not None:
                text = arrived.piece.text if has_text else arrived.piece.text.lstrip()
                if text:
                    has_text = True
                    yield self._text_event("response.output_text.delta", delta=text, logprobs=[])
        answer = self._exchange.answers()[0]
        cost = cost_of(self._exchange, [answer])
        for one in self._last_events(answer, cost):
            yield one
        yield cost

    def failed(self, error: SmallsightError) -> bytes:
        """Return the last event of a failed stream."""
        body = error_body(error)["error"]
        return self._event("error", code=body["code"], message=body["message"], param=body["param"])

    def _last_events(self, answer: Answer, cost: Cost) -> list[bytes]:
        part, status = _text_part(answer.text), _status(answer)
        return [
            self._text_event("response.output_text.done", text=answer.text, logprobs=[]),
            self._text_event("response.content_part.done", part=part),
            self._event("response.output_item.done", output_index=0, item=self._message(status, answer)),
            self._event(f"response.{status}", response=self._finished(answer, cost)),
        ]

    def _finished(self, answer: Answer, cost: Cost) -> dict[str, Any]:
        status = _status(answer)
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
            "output": [self._message(status, answer)],
            "usage": usage,
            "completed_at": int(time.time()) if status == "completed" else None,
            "incomplete_details": None if status == "completed" else {"reason": "max_output_tokens"},
        }
        return self._object(status) | finished | cost.seconds()

    def _object(self, status: str) -> dict[str, Any]:
        request = self._request
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
            "previous_response_id": None,
            "store": False,
            "temperature": request.temperature,
            "text": {"format": request.form.model_dump(by_alias=True, exclude_none=True)},
            "tool_choice": "none",
            "tools": [],
            "top_p": request.top_p,
            "truncation": "disabled",
            "usage": None,
        }

    def _message(self, status: str, answer: Answer | None) -> dict[str, Any]:
        return {
            "type": "message",
            "id": self._message_id,
            "status": status,
            "role": "assistant",
            "content": [] if answer is None else [_text_part(answer.text)],
        }

    def _text_event(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - each event has its own
        position = {"item_id": self._message_id, "output_index": 0, "content_index": 0}
        return self._event(kind, **position, **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401
        return event({"type": kind, "sequence_number": next(self._numbers), **fields}, kind)


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish_reason == "length" else "completed"
