"""The body of `POST /v1/chat/completions`, and its translation into a question.

Source: the official Python client's types for chat completions, and fields that other servers accept too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from smallsight.errors import BadRequestError
from smallsight.openai.question import Link, PictureLink, Question, Turn
from smallsight.openai.video_part import VideoContent
from smallsight.openai.wire_fields import (
    MAX_CHOICES,
    MAX_ID_DIGITS,
    MAX_MESSAGES,
    MAX_MODALITIES,
    MAX_PARTS,
    MAX_STOPS,
    MAX_TOP_LOGPROBS,
    Bias,
    Detail,
    FewBiases,
    FewParts,
    MaxTokens,
    ModelName,
    Penalty,
    Seed,
    Temperature,
    TopK,
    TopP,
    Wire,
    fineness,
    schema_text,
    usable_seed,
)


class TextContent(Wire):
    """Text."""

    type: Literal["text"]
    text: str


class RefusalPart(Wire):
    """The refusal of an assistant."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(Wire):
    """A picture's URL and detail."""

    url: str
    detail: Detail | None = None


class ImagePart(Wire):
    """A picture; some clients send its URL without the object around it."""

    type: Literal["image_url"]
    image_url: ImageUrl | str


Part = Annotated[TextContent | RefusalPart | ImagePart | VideoContent, Field(discriminator="type")]


class ChatMessage(Wire):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Field(max_length=MAX_PARTS, fail_fast=True)] | None = None


class JsonSchema(Wire):
    """The object around a JSON schema; pydantic has a method called ``schema``, so the field has an alias."""

    definition: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormat(Wire):
    """The format that the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(Wire):
    """Options of a streamed answer."""

    include_usage: bool | None = None


class ChatRequest(Wire):
    """A conversation to continue."""

    model: ModelName | None = None
    messages: Annotated[
        list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True), FewParts
    ]
    max_tokens: MaxTokens = None
    max_completion_tokens: MaxTokens = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOPS, fail_fast=True)] | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100, allow_inf_nan=False)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    logit_bias: Annotated[dict[str, Bias] | None, FewBiases] = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    modalities: Annotated[list[str], Field(max_length=MAX_MODALITIES, fail_fast=True)] | None = None

    def question(self) -> Question:
        """Return the request as a question; raises BadRequestError for anything unsupported."""
        self._require_supported()
        return Question(
            model=self.model,
            turns=tuple(_turn(index, message) for index, message in enumerate(self.messages)),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=self.temperature,
            num_choices=self.n or 1,
            sampling=self._sampling(),
        )

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def _sampling(self) -> dict[str, Any]:
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        form = self.response_format or ResponseFormat(type="text")
        schema = None if form.json_schema is None else form.json_schema.definition
        given = {
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
            "seed": usable_seed(self.seed),
            "stop": [one for one in stop or () if one] or None,
            "frequency_penalty": self.frequency_penalty or None,
            "presence_penalty": self.presence_penalty or None,
            "logit_bias": _biases(self.logit_bias) or None,
            "json_schema": schema_text(form.type, schema, "response_format.json_schema"),
            "num_logprobs": (self.top_logprobs or 0) if self.logprobs else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _require_supported(self) -> None:
        if self.top_logprobs is not None and not self.logprobs:
            raise BadRequestError(
                "top_logprobs requires logprobs.", hint="set logprobs to true.", param="top_logprobs"
            )
        unsupported = {
            "tools": bool(self.tools) and self.tool_choice != "none",
            "modalities": any(one != "text" for one in self.modalities or ()),
        }
        for name, is_requested in unsupported.items():
            if is_requested:
                raise BadRequestError(
                    f"This release does not support {name}.", hint="leave it out.", param=name
                )


def _biases(given: dict[str, float] | None) -> tuple[tuple[int, float], ...]:
    """Return pairs of token id and bias; raises BadRequestError for a key that is not a token id."""
    for name in given or {}:
        if not name.isascii() or not name.isdecimal() or len(name) > MAX_ID_DIGITS:
            raise BadRequestError(
                "logit_bias: keys must be token ids.",
                hint='write {"123": -100}.',
                param="logit_bias",
            )
    return tuple((int(name), bias) for name, bias in (given or {}).items())


def _turn(index: int, message: ChatMessage) -> Turn:
    if message.role in ("tool", "function"):
        raise BadRequestError(
            f"Messages of role {message.role} are not supported: no model here calls tools.",
            hint="leave them out.",
            param=f"messages.{index}.role",
        )
    role = "system" if message.role == "developer" else message.role
    content = message.content
    if content is None or isinstance(content, str):
        return Turn(role, (content or "",))
    return Turn(role, tuple(_part(one, f"messages.{index}.content") for one in content) or ("",))


def _part(part: TextContent | RefusalPart | ImagePart | VideoContent, field: str) -> str | Link:
    if isinstance(part, TextContent):
        return part.text
    if isinstance(part, RefusalPart):
        return part.refusal
    if isinstance(part, VideoContent):
        return part.link(field)
    if isinstance(part.image_url, str):
        return PictureLink(part.image_url)
    return PictureLink(part.image_url.url, fineness(part.image_url.detail))
