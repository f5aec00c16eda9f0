"""Calls of tools as text: how a model without a format for them reads them, and how one with it writes them.

Sources of the two forms: ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>`` is that of the chat
templates of Hermes and Qwen2.5, which most others follow; an answer that is only
``{"name": ..., "parameters": {...}}`` that of Llama 3.1 and later.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterable

from smallsight.families.messages import TOOL_ROLE, Message, TextPart, ToolCall

CALL_BEGINS = "<tool_call>"
_CALL_ENDS = "</tool_call>"
_PYTHON_TAG = "<|python_tag|>"  # what Llama may write before a call; most tokenisers remove it
_BETWEEN = re.compile(r"[\s;]*")
_SPACE = re.compile(r"\s*")
_MAX_CALLS = 64
_DECODER = json.JSONDecoder()


class MaybeCall:
    """Holds back text of a streamed answer that may turn out to be a call of one of the named tools."""

    def __init__(self, names: Collection[str]) -> None:
        self._looks = bool(names)
        # White space is left out of the comparison: templates and models differ in it.
        self._heads = [
            "".join(f"{head}{json.dumps(name, ensure_ascii=False)}".split())
            for name in names
            for head in ('{"name":', '{"type":"function","name":')
        ]
        self._is_start = True
        self._pending = ""
        self.is_holding = False

    def push(self, text: str) -> str:
        """Add new text; return what can be shown now."""
        if not self._looks:
            return text
        if self.is_holding:
            return ""
        text, self._pending = self._pending + text, ""
        if self._is_start and self._may_be_bare(text):
            self._pending = text
            return ""
        self._is_start = False
        at = text.find(CALL_BEGINS)
        if at >= 0:
            self.is_holding = True
            return text[:at]
        sizes = range(min(len(text), len(CALL_BEGINS) - 1), 0, -1)
        at = len(text) - next((size for size in sizes if text.endswith(CALL_BEGINS[:size])), 0)
        self._pending = text[at:]
        return text[:at]

    def _may_be_bare(self, text: str) -> bool:
        """Return whether the answer's beginning is, or may become, that of a call without a tag."""
        given = text.lstrip()
        if not given or _PYTHON_TAG.startswith(given):
            return True
        squeezed = "".join(given.removeprefix(_PYTHON_TAG).split())
        self.is_holding = any(squeezed.startswith(head) for head in self._heads)
        return self.is_holding or any(head.startswith(squeezed) for head in self._heads)


def written_calls(text: str, names: Collection[str]) -> tuple[str, tuple[ToolCall, ...]]:
    """Return an answer's text without the calls in it, and the calls; what is not JSON stays text.

    Without a tag only an answer that consists of calls of the named tools is one.
    """
    if bare := _bare_calls(text, names):
        return "", bare
    calls: list[ToolCall] = []
    kept: list[str] = []
    at = 0
    while (begin := text.find(CALL_BEGINS, at)) >= 0:
        inside = begin + len(CALL_BEGINS)
        call, end = _call_at(text, inside) if len(calls) < _MAX_CALLS else (None, inside)
        closed = _end_of_call(text, end)
        if call is None or closed is None:
            kept.append(text[at:inside])
            at = inside
        else:
            calls.append(call)
            kept.append(text[at:begin])
            at = closed
    return "".join([*kept, text[at:]]).strip(), tuple(calls)


def offered_names(tools: str | None) -> tuple[str, ...]:
    """Return the names of the tools that an answer may call, from the text that ``SamplingOptions`` has."""
    found = {} if tools is None else json.loads(tools)
    if found.get("tool_choice") == "none":
        return ()
    return tuple(str(one["function"]["name"]) for one in found.get("tools", ()))


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


def _bare_calls(text: str, names: Collection[str]) -> tuple[ToolCall, ...]:
    """Return the calls of which a whole text consists, one after the other; none if it has more."""
    text = text.strip().removeprefix(_PYTHON_TAG)
    calls: list[ToolCall] = []
    at = 0
    while at < len(text):
        call, at = _call_at(text, at, needs_arguments=True)
        if call is None or call.name not in names or len(calls) == _MAX_CALLS:
            return ()
        calls.append(call)
        between = _BETWEEN.match(text, at)
        at = at if between is None else between.end()
    return tuple(calls)


def _end_of_call(text: str, at: int) -> int | None:
    """Return where a call ends with its closing tag, which models may leave out or not finish; else None."""
    space = _SPACE.match(text, at)
    at = at if space is None else space.end()
    if text.startswith(_CALL_ENDS, at):
        return at + len(_CALL_ENDS)
    if text.startswith(CALL_BEGINS, at):
        return at
    return len(text) if _CALL_ENDS.startswith(text[at:].rstrip()) else None


def _call_at(text: str, at: int, *, needs_arguments: bool = False) -> tuple[ToolCall | None, int]:
    """Return the call that is written at a position of a text, None if there is none, and where it ends."""
    space = _SPACE.match(text, at)
    try:
        found, end = _DECODER.raw_decode(text, at if space is None else space.end())
    except (ValueError, RecursionError):
        return None, at
    name = found.get("name") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name:
        return None, at
    arguments = found.get("arguments", found.get("parameters"))
    if arguments is None:
        if needs_arguments:
            return None, at
        arguments = {}
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolCall(f"call_{secrets.token_hex(12)}", name, written), end
