"""Converts a caller's question to the messages that a family's processor takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from smallsight.errors import ArgumentError
from smallsight.errors.argument_types import wrong_type
from smallsight.families.messages import (
    ROLES,
    TOOL_ROLE,
    Message,
    PicturePart,
    TextPart,
    TiledPart,
    ToolCall,
    VideoPart,
)
from smallsight.model.picture_argument import PictureArgument
from smallsight.model.shown_parts import PartKind, ShownParts

__all__ = ["Question", "messages_of", "pictures_in", "require_question", "texts_in"]

Question: TypeAlias = str | Sequence[Mapping[str, Any]]
_Parts: TypeAlias = tuple[TextPart | PicturePart | TiledPart | VideoPart, ...]


def messages_of(
    pictures: Sequence[PictureArgument],
    question: Question,
    open_parts: Callable[[PictureArgument, PartKind], ShownParts],
) -> list[Message]:
    """Make a conversation with opened pictures; ``pictures`` come first in the first user message.

    The content of a message is a text, or a list of ``{"type": "text", "text": ...}``,
    ``{"type": "image", "image": picture}`` and ``{"type": "video", "video": video}``. Raises ArgumentError
    for anything else, and PictureError.
    """
    require_question(question)
    kind = PartKind.ALONE if len(pictures) == 1 else PartKind.ONE_OF_SEVERAL
    pending: _Parts = tuple(part for picture in pictures for part in open_parts(picture, kind))
    if isinstance(question, str):
        return [Message("user", (*pending, TextPart(question)))]
    messages: list[Message] = []
    for turn in question:
        role = _role_of(turn)
        parts: _Parts = tuple(
            part
            for given in _parts_of(turn)
            for part in ((TextPart(given),) if isinstance(given, str) else _opened(given, open_parts))
        )
        if role == "user":
            parts, pending = (*pending, *parts), ()
        messages.append(Message(role, parts, *_tool_fields(role, turn)))
    if pending or not messages:
        raise ArgumentError("The conversation has no user message.", hint="add the question.")
    return messages


def require_question(question: object) -> None:
    """Raise ArgumentError for what is neither a text nor a list of messages."""
    if isinstance(question, str):
        return
    turns = question if isinstance(question, list | tuple) else [question]
    for turn in turns:
        if turn is question or not isinstance(turn, Mapping):
            what = "A question" if turn is question else "A message of a question"
            raise wrong_type(
                what, turn, 'pass a str, or a list of messages such as {"role": "user", "content": "..."}.'
            )


def pictures_in(question: Question) -> list[PictureArgument]:
    """Return the pictures and videos in a conversation's messages, in order."""
    require_question(question)
    if isinstance(question, str):
        return []
    parts = (part for turn in question for part in _parts_of(turn))
    return [part[part["type"]] for part in parts if not isinstance(part, str)]


def texts_in(question: Question) -> list[str]:
    """Return a question's texts, one per part; raises InvalidTextError."""
    if isinstance(question, str):
        return [TextPart(question).text]
    parts = (part for turn in question for part in _parts_of(turn))
    return [TextPart(part).text for part in parts if isinstance(part, str)]


def _opened(
    part: Mapping[str, Any], open_parts: Callable[[PictureArgument, PartKind], ShownParts]
) -> ShownParts:
    if part["type"] == "video":
        return open_parts(part["video"], PartKind.VIDEO)
    return open_parts(part["image"], PartKind.PICTURE)


def _role_of(turn: Mapping[str, Any]) -> str:
    role = turn.get("role")
    if isinstance(role, str) and (
        role in ROLES or (role == TOOL_ROLE and isinstance(turn.get("call_id"), str))
    ):
        return role
    raise ArgumentError(f"Unknown role {role!r}.", hint=f"use one of {', '.join(ROLES)}.")


def _tool_fields(role: str, turn: Mapping[str, Any]) -> tuple[tuple[ToolCall, ...], str | None, str]:
    """Return the calls of a message, and the id and name of the call that it answers."""
    calls = tuple(one for one in turn.get("tool_calls") or () if isinstance(one, ToolCall))
    if role != TOOL_ROLE:
        return calls, None, ""
    return (), turn["call_id"], str(turn.get("name", ""))


def _parts_of(turn: Mapping[str, Any]) -> Iterator[str | Mapping[str, Any]]:
    """Yield the text of each text part, and the part itself for a picture or video."""
    content = turn.get("content")
    if isinstance(content, str):
        yield content
        return
    if not isinstance(content, list | tuple):
        raise _unsupported(f"Message content of type {type(content).__name__}")
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            yield part["text"]
        elif kind in ("image", "video") and kind in part:
            yield part
        else:
            raise _unsupported(f"A message part of type {kind!r}")


def _unsupported(what: str) -> ArgumentError:
    return ArgumentError(
        f"{what} is not supported.",
        hint='use a text, or a list of {"type": "text", "text": ...}, {"type": "image", "image": ...} '
        'and {"type": "video", "video": ...}.',
    )
