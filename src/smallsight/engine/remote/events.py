"""Parses another server's answer, streamed events or one object, into text and token counts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from smallsight.errors import RemoteModelError
from smallsight.families.messages import ToolCall

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_DONE = b"[DONE]"
_MAX_CALLS = 128


@dataclass(slots=True)
class AnswerMetadata:
    """Finish reason and token counts that the server has reported so far; None where it has not."""

    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    image_tokens: int = 0
    cached_tokens: int = 0
    calls: dict[int, list[str]] = field(default_factory=dict)  # by position: id, name and arguments so far

    def called(self) -> tuple[ToolCall, ...]:
        """Return the calls of tools; one without an id gets one."""
        return tuple(
            ToolCall(call_id or f"call_{secrets.token_hex(12)}", name, arguments or "{}")
            for _, (call_id, name, arguments) in sorted(self.calls.items())
            if name
        )


def texts_of_events(chunks: Iterable[bytes], metadata: AnswerMetadata) -> Iterator[str]:
    """Yield a streamed answer's text and fill ``metadata``; raises RemoteModelError for an invalid answer."""
    for line in _lines(chunks):
        if not line.startswith(b"data:"):
            continue  # comments, event names, empty lines
        data = line[5:].strip()
        if data == _DONE:
            return
        yield from _texts(_object(data), metadata, "delta")
    if metadata.finish_reason is None:
        raise RemoteModelError("The other server ended its answer early.", hint="ask again.")


def text_of_object(data: bytes, metadata: AnswerMetadata) -> Iterator[str]:
    """Yield the text of an answer that a server sent without streaming, and fill ``metadata``."""
    yield from _texts(_object(data), metadata, "message")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split the chunks into lines; raises RemoteModelError beyond the size limits."""
    rest, num_bytes = b"", 0
    for chunk in chunks:
        num_bytes += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if num_bytes > MAX_ANSWER_BYTES or len(rest) > MAX_LINE_BYTES:
            raise RemoteModelError("The other server's answer is too long.", hint="check that server.")
        yield from lines
    yield rest


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _invalid_answer() from error
    if not isinstance(found, dict):
        raise _invalid_answer()
    if "error" in found:
        raise RemoteModelError(
            f"The other server failed during its answer: {error_text(found)}.", hint="ask again."
        )
    return found


def _texts(found: Mapping[str, Any], metadata: AnswerMetadata, kind: str) -> Iterator[str]:
    _note_usage(found.get("usage"), metadata)
    choices = found.get("choices")
    for choice in choices[:1] if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            raise _invalid_answer()
        if isinstance(reason := choice.get("finish_reason"), str):
            metadata.finish_reason = reason
        part = choice.get(kind)
        if isinstance(part, dict):
            _note_calls(part.get("tool_calls"), metadata)
        text = part.get("content") if isinstance(part, dict) else None
        if isinstance(text, str) and text:
            yield text


def _note_calls(calls: object, metadata: AnswerMetadata) -> None:
    """Add the calls in a message, or the parts of calls in a delta."""
    for position, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise _invalid_answer()
        index = _count(call.get("index"))
        known = metadata.calls.setdefault(position if index is None else index, ["", "", ""])
        if len(metadata.calls) > _MAX_CALLS:
            raise RemoteModelError("The other server's answer calls too many tools.", hint="offer fewer.")
        parts = (call.get("id"), function.get("name"), function.get("arguments"))
        for place, part in enumerate(parts):
            if isinstance(part, str):
                known[place] = known[place] + part if place == 2 else known[place] or part


def _note_usage(usage: object, metadata: AnswerMetadata) -> None:
    if not isinstance(usage, dict):
        return
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    metadata.prompt_tokens = _count(usage.get("prompt_tokens"))
    metadata.completion_tokens = _count(usage.get("completion_tokens"))
    metadata.image_tokens = _count(details.get("image_tokens")) or 0
    metadata.cached_tokens = _count(details.get("cached_tokens")) or 0


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def error_text(found: object) -> str:
    """Return an error object's message in one line of at most 300 characters."""
    error = found.get("error") if isinstance(found, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    text = text if isinstance(text, str) else "no reason given"
    return "".join(one if one.isprintable() else " " for one in text[:300]).strip().rstrip(".")


def _invalid_answer() -> RemoteModelError:
    return RemoteModelError(
        "The other server's answer is not in OpenAI's chat completions format.", hint="check its base_url."
    )
