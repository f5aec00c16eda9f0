"""The output of a response: its items, a message and calls of tools, and the events of their stream."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from smallsight.answering.answer_stream import AnswerEvent, CallStart, NewArguments, NewText
from smallsight.answering.question import ToolCall
from smallsight.answering.tool_calls import is_whole
from smallsight.model.answer import Answer
from smallsight.services.response_tables import StoredItem

_ARGUMENTS = "response.function_call_arguments"


class WriteEvent(Protocol):
    """Numbers an event and writes it."""

    def __call__(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - each event has its own
        """Return the event as bytes."""
        ...


class OutputStream:
    """The events of the items of one response as they arrive; ``items`` are those that are complete."""

    def __init__(self, write: WriteEvent) -> None:
        self.items: list[StoredItem] = []
        self._write = write
        self._message_id = new_message_id()
        self._texts: list[str] | None = None  # of the message, while it is open
        self._call_id = ""

    def of(self, event: AnswerEvent) -> Iterator[bytes]:
        """Yield the events of what has arrived."""
        if isinstance(event, NewText):
            yield from self._text(event.text)
            return
        position = {"item_id": self._call_id, "output_index": len(self.items)}
        if isinstance(event, NewArguments):
            yield self._write(f"{_ARGUMENTS}.delta", **position, delta=event.text)
        elif isinstance(event, CallStart):
            yield from self.close_message("completed")
            self._call_id = new_item_id()
            item = call_item(event.call, self._call_id) | {"status": "in_progress"}
            yield self._write("response.output_item.added", output_index=len(self.items), item=item)
        else:
            call = event.call
            item = call_item(call, self._call_id)
            yield self._write(f"{_ARGUMENTS}.done", **position, name=call.name, arguments=call.arguments)
            yield from self._add(item)

    def end(self, answer: Answer) -> Iterator[bytes]:
        """Yield the last events of the items; an answer without text and calls is an empty message."""
        if not self.items and self._texts is None:
            yield from self._open_message()
        yield from self.close_message(status_of(answer))

    def close_message(self, status: str) -> Iterator[bytes]:
        """Yield the last events of the message, if one is open."""
        if self._texts is None:
            return
        item = message_item(self._message_id, status, "".join(self._texts).rstrip())
        (part,) = item["content"]
        yield self._text_event("response.output_text.done", text=part["text"], logprobs=[])
        yield self._text_event("response.content_part.done", part=part)
        self._texts = None
        yield from self._add(item)

    def _text(self, text: str) -> Iterator[bytes]:
        if self._texts is None:
            yield from self._open_message()
        if self._texts is not None:
            self._texts.append(text)
        yield self._text_event("response.output_text.delta", delta=text, logprobs=[])

    def _open_message(self) -> Iterator[bytes]:
        self._texts = []
        item = message_item(self._message_id, "in_progress", None)
        yield self._write("response.output_item.added", output_index=len(self.items), item=item)
        yield self._text_event("response.content_part.added", part=_text_part(""))

    def _add(self, item: StoredItem) -> Iterator[bytes]:
        yield self._write("response.output_item.done", output_index=len(self.items), item=item)
        self.items.append(item)

    def _text_event(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401
        position = {"item_id": self._message_id, "output_index": len(self.items), "content_index": 0}
        return self._write(kind, **position, **fields)


def whole_output(answer: Answer, text: str, calls: Sequence[ToolCall]) -> list[StoredItem]:
    """Return the items of a whole answer: a message, unless there are only calls, and the calls."""
    message = [message_item(new_message_id(), status_of(answer), text)] if text or not calls else []
    return [*message, *(call_item(call, new_item_id()) for call in calls)]


def message_item(item_id: str, status: str, text: str | None) -> StoredItem:
    """Return a message; one that has just begun has no text."""
    content = [] if text is None else [_text_part(text)]
    return {"type": "message", "id": item_id, "status": status, "role": "assistant", "content": content}


def call_item(call: ToolCall, item_id: str) -> StoredItem:
    """Return a call; it is incomplete if the answer was cut off in it."""
    return {
        "type": "function_call",
        "id": item_id,
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed" if is_whole(call) else "incomplete",
    }


def status_of(answer: Answer) -> str:
    """Return the status of a response whose answer is a message."""
    return "incomplete" if answer.finish_reason == "length" else "completed"


def new_message_id() -> str:
    """Return an id for a message."""
    return f"msg_{secrets.token_hex(16)}"


def new_item_id() -> str:
    """Return an id for a call's item."""
    return f"fc_{secrets.token_hex(16)}"


def _text_part(text: str) -> StoredItem:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
