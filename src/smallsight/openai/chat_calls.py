"""The calls of tools in the answers of chat completions: as messages, and as parts of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smallsight.answering.answer_stream import AnswerEvent, CallEnd, CallStart, NewText
from smallsight.answering.question import ToolCall, Tools
from smallsight.answering.tool_calls import answer_parts, is_whole
from smallsight.model.answer import Answer

_FINISH_REASONS = {"stop": "stop", "length": "length"}


@dataclass(frozen=True, slots=True)
class ChatCalls:
    """How answers to one request show calls; with ``is_legacy`` as the older ``function_call``."""

    tools: Tools | None = None
    is_legacy: bool = False

    def read(self, answer: Answer) -> tuple[str, tuple[ToolCall, ...]]:
        """Return an answer's text, without its calls, and the calls."""
        return answer_parts(answer, self.tools)

    def message(self, text: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
        """Return the message of an answer."""
        body: dict[str, Any] = {
            "role": "assistant",
            "content": text or (None if calls else ""),
            "refusal": None,
        }
        if not calls:
            return body
        if self.is_legacy:
            return body | {"function_call": _function(calls[0])}
        return body | {"tool_calls": [_tool_call(one) for one in calls]}

    def delta(self, event: AnswerEvent) -> dict[str, Any] | None:
        """Return what an event brings as a part of a stream; None if it brings nothing."""
        if isinstance(event, NewText):
            return {"content": event.text}
        if isinstance(event, CallEnd) or (self.is_legacy and event.index > 0):
            return None
        if isinstance(event, CallStart):
            begun = _function(event.call) if self.is_legacy else _tool_call(event.call)
        else:
            arguments = {"arguments": event.text}
            begun = arguments if self.is_legacy else {"function": arguments}
        return (
            {"function_call": begun} if self.is_legacy else {"tool_calls": [{"index": event.index} | begun]}
        )

    def finish_reason(self, answer: Answer, calls: Sequence[ToolCall]) -> str:
        """Return why the answer ended; a call that was cut off does not end it."""
        if calls and is_whole(calls[-1]):
            return "function_call" if self.is_legacy else "tool_calls"
        return _FINISH_REASONS.get(answer.finish_reason, "stop")


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": _function(call)}


def _function(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}
