"""The blocks that messages consist of, and their translation into the parts of a turn.

Source: the official Python client's types for messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from smallsight.answering.question import Link, PictureLink, ToolCall, ToolResult, Turn
from smallsight.errors import BadRequestError

MAX_BLOCKS = 2000  # of all messages together, those inside the results of tools included
_MAX_NAME_CHARS = 300

TurnPart: TypeAlias = str | Link | ToolCall | ToolResult


class MessagesWire(BaseModel):
    """The base of this protocol's bodies: known fields are strictly typed, unknown ones are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class TextBlock(MessagesWire):
    """Text."""

    type: Literal["text"]
    text: str


class PictureSource(MessagesWire):
    """A picture's bytes in base64, or its URL; files stored on the server are not supported."""

    type: Literal["base64", "url", "file"]
    media_type: Annotated[str, Field(max_length=_MAX_NAME_CHARS)] | None = None
    data: str | None = None
    url: str | None = None

    def link(self, field: str) -> PictureLink:
        """Return the link to the picture; raises BadRequestError, which names ``field``."""
        if self.type == "base64" and self.data:
            return PictureLink(f"data:{self.media_type or 'image/png'};base64,{self.data}")
        if self.type == "url" and self.url:
            return PictureLink(self.url)
        if self.type == "file":
            raise BadRequestError(
                f"{field}: this server stores no files.", hint="send the picture as base64.", param=field
            )
        raise BadRequestError(
            f"{field} has no {'data' if self.type == 'base64' else 'url'}.",
            hint="send the whole file in base64.",
            param=field,
        )


class PictureBlock(MessagesWire):
    """A picture."""

    type: Literal["image"]
    source: PictureSource


class DocumentSource(MessagesWire):
    """A document as text; other kinds are not supported."""

    type: Literal["text", "base64", "url", "file", "content"]
    data: str | None = None


class DocumentBlock(MessagesWire):
    """A document of plain text."""

    type: Literal["document"]
    source: DocumentSource


class ThinkingBlock(MessagesWire):
    """What another model thought; it is passed over."""

    type: Literal["thinking", "redacted_thinking"]


class ToolUseBlock(MessagesWire):
    """A call of a tool in an earlier answer."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(max_length=_MAX_NAME_CHARS)]
    name: Annotated[str, Field(max_length=_MAX_NAME_CHARS)]
    input: dict[str, Any] = Field(default_factory=dict)


ShownBlock = Annotated[TextBlock | PictureBlock | DocumentBlock, Field(discriminator="type")]


class ToolResultBlock(MessagesWire):
    """What a tool returned: text and pictures."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(max_length=_MAX_NAME_CHARS)]
    content: str | Annotated[list[ShownBlock], Field(max_length=MAX_BLOCKS, fail_fast=True)] | None = None
    is_error: bool | None = None


MessageBlock = Annotated[
    TextBlock | PictureBlock | DocumentBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock,
    Field(discriminator="type"),
]
_AnyBlock: TypeAlias = (
    TextBlock | PictureBlock | DocumentBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock
)


def turns_of(role: str, blocks: Sequence[_AnyBlock], field: str) -> list[Turn]:
    """Return a message's turns: one for the results of tools, if it has any, and one for the rest.

    Raises BadRequestError, which names a block of ``field``.
    """
    results: list[TurnPart] = []
    rest: list[TurnPart] = []
    for index, block in enumerate(blocks):
        place = f"{field}.{index}"
        if isinstance(block, ToolResultBlock):
            results += _result(block, place)
        elif isinstance(block, ToolUseBlock):
            rest.append(ToolCall(block.id, block.name, json.dumps(block.input, ensure_ascii=False)))
        elif not isinstance(block, ThinkingBlock):
            rest.append(_shown(block, place))
    turns = [Turn("tool", tuple(results))] if results else []
    return [*turns, Turn(role, tuple(rest))] if rest or not turns else turns


def text_of(blocks: Iterable[TextBlock]) -> str:
    """Return the text of blocks, one paragraph each."""
    return "\n\n".join(block.text for block in blocks)


def _result(block: ToolResultBlock, field: str) -> list[TurnPart]:
    if block.content is None or isinstance(block.content, str):
        parts: list[TurnPart] = [block.content or ""]
    else:
        parts = [_shown(one, f"{field}.content.{index}") for index, one in enumerate(block.content)]
    text = "\n".join(part for part in parts if isinstance(part, str))
    text = f"Error: {text}" if block.is_error else text
    return [ToolResult(block.tool_use_id, text), *(part for part in parts if not isinstance(part, str))]


def _shown(block: TextBlock | PictureBlock | DocumentBlock, field: str) -> str | PictureLink:
    if isinstance(block, TextBlock):
        return block.text
    if isinstance(block, PictureBlock):
        return block.source.link(f"{field}.source")
    if block.source.type != "text" or block.source.data is None:
        raise BadRequestError(
            f"{field}: a document can only be text here.",
            hint="send its text, or its pages as pictures.",
            param=field,
        )
    return block.source.data
