"""The items of a conversation in the Responses protocol: as clients send them, stored, and as turns.

Source: the official Python client's types for responses.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from smallsight.answering.question import Link, PictureLink, ToolCall, ToolResult, Turn
from smallsight.errors import BadRequestError
from smallsight.openai.chat_request import ImageUrl
from smallsight.openai.video_part import VideoContent
from smallsight.openai.wire_fields import MAX_PARTS, Detail, Wire, fineness
from smallsight.services.response_tables import StoredItem

_PREFIXES = {"function_call": "fc", "function_call_output": "fco"}

ItemId: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]


class InputText(Wire):
    """Text of the user or of an earlier answer; chat completions call it text."""

    type: Literal["input_text", "output_text", "text"]
    text: str


class InputRefusal(Wire):
    """The refusal of an assistant."""

    type: Literal["refusal"]
    refusal: str


class InputImage(Wire):
    """A picture by its URL, also as chat completions write it; ``file_id`` is not supported."""

    type: Literal["input_image", "image_url"]
    image_url: ImageUrl | str | None = None
    file_id: str | None = None
    detail: Detail | None = None

    def link(self, field: str) -> PictureLink:
        """Return the link to the picture; raises BadRequestError, which names ``field``, if there is none."""
        if self.image_url is None:
            raise BadRequestError(
                "A picture has no image_url.", hint="send it as a data: URL, base64.", param=field
            )
        if isinstance(self.image_url, str):
            return PictureLink(self.image_url, fineness(self.detail))
        return PictureLink(self.image_url.url, fineness(self.image_url.detail or self.detail))


InputPart = Annotated[InputText | InputRefusal | InputImage | VideoContent, Field(discriminator="type")]
InputContent: TypeAlias = str | Annotated[list[InputPart], Field(max_length=MAX_PARTS, fail_fast=True)]


class InputMessage(Wire):
    """One message of a conversation."""

    type: Literal["message"] | None = "message"
    id: ItemId | None = None
    role: Literal["system", "developer", "user", "assistant"]
    content: InputContent


class FunctionCall(Wire):
    """A call of a tool in an earlier answer."""

    type: Literal["function_call"]
    id: ItemId | None = None
    call_id: ItemId
    name: ItemId
    arguments: str


class FunctionCallOutput(Wire):
    """What a tool returned."""

    type: Literal["function_call_output"]
    id: ItemId | None = None
    call_id: ItemId
    output: InputContent


class ItemReference(Wire):
    """An item of a stored response, by its id."""

    type: Literal["item_reference"] | None = "item_reference"
    id: ItemId


class ReasoningItem(Wire):
    """What another model thought; passed over."""

    type: Literal["reasoning"]


def _kind(item: object) -> object:
    """Return the kind of an item; messages and references may leave it out."""
    if not isinstance(item, dict):
        return getattr(item, "type", None)
    kind = item.get("type")
    if kind is None:
        return "message" if "role" in item else "item_reference" if "id" in item else None
    return kind if isinstance(kind, str) else None


InputItem: TypeAlias = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[ItemReference, Tag("item_reference")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_kind),
]
TurnItem: TypeAlias = InputMessage | FunctionCall | FunctionCallOutput


def item_to_store(item: TurnItem) -> StoredItem:
    """Return an item as it is stored and listed: with an id, and its content as a list of parts."""
    kind = item.type or "message"
    stored = item.model_dump(by_alias=True, exclude_none=True) | {"type": kind}
    stored["id"] = item.id or f"{_PREFIXES.get(kind, 'msg')}_{secrets.token_hex(16)}"
    stored["status"] = "completed"
    if isinstance(item, InputMessage):
        stored["content"] = _parts_of(item)
    return stored


def turn_of(item: TurnItem, field: str) -> Turn:
    """Return an item as a turn of a question; raises BadRequestError, which names ``field``."""
    if isinstance(item, FunctionCall):
        return Turn("assistant", (ToolCall(item.call_id, item.name, item.arguments),))
    if isinstance(item, FunctionCallOutput):
        parts = _contents(item.output, f"{field}.output")
        text = "\n".join(part for part in parts if isinstance(part, str))
        return Turn(
            "tool", (ToolResult(item.call_id, text), *(one for one in parts if not isinstance(one, str)))
        )
    role = "system" if item.role == "developer" else item.role
    return Turn(role, _contents(item.content, f"{field}.content"))


def _parts_of(message: InputMessage) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        kind = "output_text" if message.role == "assistant" else "input_text"
        return [{"type": kind, "text": message.content}]
    return [part.model_dump(by_alias=True, exclude_none=True) for part in message.content]


def _contents(content: InputContent, field: str) -> tuple[str | Link, ...]:
    if isinstance(content, str):
        return (content,)
    return tuple(_part(part, f"{field}.{index}") for index, part in enumerate(content)) or ("",)


def _part(part: InputText | InputRefusal | InputImage | VideoContent, field: str) -> str | Link:
    if isinstance(part, InputText):
        return part.text
    if isinstance(part, InputRefusal):
        return part.refusal
    return part.link(field)
