"""What another server answers: its events, or its one object, as text and what it cost."""

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
class Told:
    """What a server has said so far besides text; a count is None where it does not say."""

    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    image_tokens: int = 0
    cached_tokens: int = 0


def texts_of_events(chunks: Iterable[bytes], told: Told) -> Iterator[str]:
    """Yield the pieces of a streamed answer, noting the rest; raises RemoteModelError for what is none."""
    for line in _lines(chunks):
        if not line.startswith(b"data:"):
            continue  # comments, names of events, empty lines
        data = line[5:].strip()
        if data == _DONE:
            return
        yield from _texts(_object(data), told, "delta")
    if told.finish_reason is None:
        raise RemoteModelError("The other server broke off in the middle of its answer.", hint="ask again.")


def text_of_object(data: bytes, told: Told) -> Iterator[str]:
    """Yield the text of an answer that came in one piece, from a server that does not stream."""
    yield from _texts(_object(data), told, "message")


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut what comes into lines, within bounds."""
    rest, num_bytes = b"", 0
    for chunk in chunks:
        num_bytes += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        if num_bytes > MAX_ANSWER_BYTES or len(rest) > MAX_LINE_BYTES:
            raise RemoteModelError("The other server's answer has no end.", hint="look at that server.")
        yield from lines
    yield rest


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _nonsense() from error
    if not isinstance(found, dict):
        raise _nonsense()
    if "error" in found:
        raise RemoteModelError(
            f"The other server failed in the middle of its answer: {error_text(found)}.", hint="ask again."
        )
    return found


def _texts(found: Mapping[str, Any], told: Told, kind: str) -> Iterator[str]:
    _note_usage(found.get("usage"), told)
    choices = found.get("choices")
    for choice in choices[:1] if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            raise _nonsense()
        if isinstance(reason := choice.get("finish_reason"), str):
            told.finish_reason = reason
        part = choice.get(kind)
        text = part.get("content") if isinstance(part, dict) else None
        if isinstance(text, str) and text:
            yield text


def _note_usage(usage: object, told: Told) -> None:
    if not isinstance(usage, dict):
        return
    details = usage.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    told.prompt_tokens = _count(usage.get("prompt_tokens"))
    told.completion_tokens = _count(usage.get("completion_tokens"))
    told.image_tokens = _count(details.get("image_tokens")) or 0
    told.cached_tokens = _count(details.get("cached_tokens")) or 0


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def error_text(found: object) -> str:
    """Return what an error object says, in one line of bounded length."""
    error = found.get("error") if isinstance(found, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    text = text if isinstance(text, str) else "it does not say why"
    return "".join(one if one.isprintable() else " " for one in text[:300]).strip().rstrip(".")


def _nonsense() -> RemoteModelError:
    return RemoteModelError(
        "The other server's answer is not that of OpenAI's chat completions.", hint="check its base_url."
    )
