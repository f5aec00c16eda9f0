"""The body of `POST /v1/responses`, and its translation into a question. Nothing is kept between requests.

Source: the official Python client's types for responses.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from smallsight.errors import BadRequestError
from smallsight.openai.question import Link, PictureLink, Question, Turn
from smallsight.openai.video_part import VideoContent
from smallsight.openai.wire_fields import (
    MAX_MESSAGES,
    MAX_PARTS,
    Detail,
    FewParts,
    MaxTokens,
    ModelName,
    Temperature,
    TopP,
    Wire,
    fineness,
    schema_text,
)


class InputText(Wire):
    """Text of the user or of an earlier answer."""

    type: Literal["input_text", "output_text"]
    text: str


class InputRefusal(Wire):
    """The refusal of an assistant."""

    type: Literal["refusal"]
    refusal: str


class InputImage(Wire):
    """A picture by its URL; ``file_id`` is not supported."""

    type: Literal["input_image"]
    image_url: str | None = None
    file_id: str | None = None
    detail: Detail | None = None


InputPart = Annotated[InputText | InputRefusal | InputImage | VideoContent, Field(discriminator="type")]


class InputMessage(Wire):
    """One message of a conversation."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[InputPart], Field(max_length=MAX_PARTS, fail_fast=True)]


class TextFormat(Wire):
    """The format that the text must have."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    definition: dict[str, Any] | None = Field(None, alias="schema")


class TextOptions(Wire):
    """Options of the answer's text."""

    format: TextFormat | None = None


class ResponsesRequest(Wire):
    """A question, with the conversation before it."""

    model: ModelName | None = None
    input: Annotated[
        str | Annotated[list[InputMessage], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)],
        FewParts,
    ]
    instructions: str | None = None
    max_output_tokens: MaxTokens = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    text: TextOptions | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    metadata: dict[str, Any] | None = None

    def question(self) -> Question:
        """Return the request as a question; raises BadRequestError for anything unsupported."""
        self._require_supported()
        turns = [Turn("system", (self.instructions,))] if self.instructions else []
        if isinstance(self.input, str):
            turns.append(Turn("user", (self.input,)))
        else:
            turns += [_turn(index, message) for index, message in enumerate(self.input)]
        return Question(
            model=self.model,
            turns=tuple(turns),
            max_tokens=self.max_output_tokens,
            temperature=self.temperature,
            sampling=self._sampling(),
        )

    @property
    def form(self) -> TextFormat:
        """The format that the answer must have."""
        given = None if self.text is None else self.text.format
        return given or TextFormat(type="text")

    def _sampling(self) -> dict[str, Any]:
        schema = schema_text(self.form.type, self.form.definition, "text.format.schema")
        given = {"top_p": self.top_p, "json_schema": schema}
        return {name: value for name, value in given.items() if value is not None}

    def _require_supported(self) -> None:
        unsupported = {
            "previous_response_id": self.previous_response_id is not None,
            "conversation": self.conversation is not None,
            "background": bool(self.background),
            "tools": bool(self.tools) and self.tool_choice != "none",
        }
        for name, is_requested in unsupported.items():
            if is_requested:
                raise BadRequestError(
                    f"This release does not support {name}.",
                    hint="send the whole conversation in input." if "on" in name else "leave it out.",
                    param=name,
                )


def _turn(index: int, message: InputMessage) -> Turn:
    role = "system" if message.role == "developer" else message.role
    if isinstance(message.content, str):
        return Turn(role, (message.content,))
    return Turn(role, tuple(_part(f"input.{index}.content", part) for part in message.content) or ("",))


def _part(field: str, part: InputText | InputRefusal | InputImage | VideoContent) -> str | Link:
    if isinstance(part, InputText):
        return part.text
    if isinstance(part, InputRefusal):
        return part.refusal
    if isinstance(part, VideoContent):
        return part.link(field)
    if part.image_url is None:
        raise BadRequestError(
            "A picture has no image_url.", hint="send it as a data: URL, base64.", param=field
        )
    return PictureLink(part.image_url, fineness(part.detail))
