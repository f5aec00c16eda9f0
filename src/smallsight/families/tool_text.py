"""Calls of tools as text: how a model without a format for them reads them, and how one with it writes them.

Source of the form ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``: the chat templates of Hermes
and Qwen2.5, which most others follow.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable

from smallsight.families.messages import TOOL_ROLE, Message, TextPart, ToolCall

CALL_BEGINS = "<tool_call>"
_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*(?:</tool_call>|$)", re.DOTALL)
_MAX_CALLS = 64


def written_calls(text: str) -> tuple[str, tuple[ToolCall, ...]]:
    """Return an answer's text without the calls in it, and the calls; what is not JSON stays text."""
    calls: list[ToolCall] = []

    def take(match: re.Match[str]) -> str:
        call = _call(match[1]) if len(calls) < _MAX_CALLS else None
        if call is None:
            return match[0]
        calls.append(call)
        return ""

    return _CALL.sub(take, text).strip(), tuple(calls)


def read_arguments(call: ToolCall) -> object:
    """Return a call's arguments as templates take them: as an object, or as text if they are not JSON."""
    try:
        return json.loads(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments


def without_tools(messages: Iterable[Message]) -> list[Message]:
    """Return a conversation for a model that does not know tools: calls and their results are text."""
    return [_in_text(one) if one.tool_calls or one.role == TOOL_ROLE else one for one in messages]


def _in_text(message: Message) -> Message:
    if message.role == TOOL_ROLE:
        head = f"Result of {message.name}: " if message.name else "Result: "
        return Message("user", (TextPart(head), *message.parts))
    lines = [f"{one.name}({one.arguments})" for one in message.tool_calls]
    text = "\n".join(["", *lines] if message.parts else lines)
    return Message(message.role, (*message.parts, TextPart(text)))


def _call(written: str) -> ToolCall | None:
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return None
    name = found.get("name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name:
        return None
    arguments = found.get("arguments", found.get("parameters", {}))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(f"call_{secrets.token_hex(12)}", name, text)
