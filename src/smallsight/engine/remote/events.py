"""Parses another server's answer, streamed events or one object, into text and token counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.errors import RemoteModelError

MAX_LINE_BYTES = 4 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_DONE = b"[DONE]"


@dataclass(slots=True)
class AnswerMetadata:
    """Finish reason and token counts that the server has reported so far; None where it has not."""

    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    image_tokens: int = 0
    cached_tokens: int = 0


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
        text = part.get("content") if isinstance(part, dict) else None
        if isinstance(text, str) and text:
            yield text


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
