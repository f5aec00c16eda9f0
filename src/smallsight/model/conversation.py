"""What callers may pass as a question, and how it becomes the messages that a family's processor takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from PIL import Image

from smallsight.errors import SettingsError
from smallsight.families.messages import ROLES, Message, PicturePart, TextPart
from smallsight.model.picture_argument import PictureArgument

__all__ = ["Question", "messages_of", "pictures_in", "texts_in"]

Question: TypeAlias = str | Sequence[Mapping[str, Any]]
_Parts: TypeAlias = tuple[TextPart | PicturePart, ...]


def messages_of(
    pictures: Sequence[PictureArgument],
    question: Question,
    open_picture: Callable[[PictureArgument], Image.Image],
) -> list[Message]:
    """Make a conversation with opened pictures; ``pictures`` come first in what the user said first.

    The content of a message is a text, or a list of ``{"type": "text", "text": ...}`` and
    ``{"type": "image", "image": picture}``. Raises SettingsError for anything else, and PictureError.
    """
    pending: _Parts = tuple(PicturePart(open_picture(picture)) for picture in pictures)
    if isinstance(question, str):
        return [Message("user", (*pending, TextPart(question)))]
    messages: list[Message] = []
    for turn in question:
        role = _role_of(turn)
        parts: _Parts = tuple(
            TextPart(part) if isinstance(part, str) else PicturePart(open_picture(part["image"]))
            for part in _parts_of(turn)
        )
        if role == "user":
            parts, pending = (*pending, *parts), ()
        messages.append(Message(role, parts))
    if pending or not messages:
        raise SettingsError("The conversation has no message of the user.", hint="add the question.")
    return messages


def pictures_in(question: Question) -> list[PictureArgument]:
    """Return the pictures that stand in a conversation's messages, in order."""
    if isinstance(question, str):
        return []
    return [part["image"] for turn in question for part in _parts_of(turn) if not isinstance(part, str)]


def texts_in(question: Question) -> list[str]:
    """Return what is written in a question, one text a part."""
    if isinstance(question, str):
        return [question]
    return [part for turn in question for part in _parts_of(turn) if isinstance(part, str)]


def _role_of(turn: Mapping[str, Any]) -> str:
    role = turn.get("role")
    if role in ROLES:
        return str(role)
    raise SettingsError(
        f"A message with role {role!r} cannot be used.", hint=f"use one of {', '.join(ROLES)}."
    )


def _parts_of(turn: Mapping[str, Any]) -> Iterator[str | Mapping[str, Any]]:
    """Yield a text for each part that is one, and the part itself for a picture."""
    content = turn.get("content")
    if isinstance(content, str):
        yield content
        return
    if not isinstance(content, list | tuple):
        raise _unusable(f"A message with content of type {type(content).__name__}")
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            yield part["text"]
        elif kind == "image" and "image" in part:
            yield part
        else:
            raise _unusable(f"A part of a message with type {kind!r}")


def _unusable(what: str) -> SettingsError:
    return SettingsError(
        f"{what} cannot be used.",
        hint='give a text, or a list of {"type": "text", "text": ...} and {"type": "image", "image": ...}.',
    )
