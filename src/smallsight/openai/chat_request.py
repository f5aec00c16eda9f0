"""The body of `POST /v1/chat/completions`, and its translation into a question.

Source: the official Python client's types for chat completions, and fields that other servers accept too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from smallsight.answering.answer_schema import guided_fields, schema_text, structured_schema
from smallsight.answering.question import Link, PictureLink, Question, Tools, Turn
from smallsight.answering.tool_calls import forced_schema
from smallsight.errors import BadRequestError
from smallsight.openai.chat_tools import (
    CalledFunction,
    CallId,
    FewCalls,
    FewFunctions,
    FewTools,
    call_of,
    functions_of,
    result_of,
    tools_of,
)
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
    Whole,
    Wire,
    fineness,
    usable_seed,
)

_GUIDED_FIELDS = {"guided_json", "guided_choice", "guided_regex", "guided_grammar"}


class TextContent(Wire):
    """Text, also under the names that it has in responses."""

    type: Literal["text", "input_text", "output_text"]
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
    """A picture; some clients send its URL without the object around it, as responses have it."""

    type: Literal["image_url", "input_image"]
    image_url: ImageUrl | str
    detail: Detail | None = None


# The names of one kind of part, by those that an error offers.
_KINDS = {
    "input_text": "text",
    "output_text": "text",
    "input_image": "image_url",
    "input_video": "video_url",
    "video": "video_url",
}


def _kind_of_part(part: object) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return _KINDS.get(kind, kind) if isinstance(kind, str) else None


Part = Annotated[
    Annotated[TextContent, Tag("text")]
    | Annotated[ImagePart, Tag("image_url")]
    | Annotated[VideoContent, Tag("video_url")]
    | Annotated[RefusalPart, Tag("refusal")],
    Discriminator(_kind_of_part),
]


class ChatMessage(Wire):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | Annotated[list[Part], Field(max_length=MAX_PARTS, fail_fast=True)] | None = None
    name: str | None = None
    tool_calls: FewCalls | None = None
    tool_call_id: CallId | None = None
    function_call: CalledFunction | None = None


class JsonSchema(Wire):
    """The object around a JSON schema; pydantic has a method called ``schema``, so the field has an alias."""

    definition: dict[str, Any] | None = Field(None, alias="schema")


class ResponseFormat(Wire):
    """The format that the answer must have; llama.cpp has ``schema`` in a json_object, TGI ``value``."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    definition: dict[str, Any] | None = Field(None, alias="schema")
    value: dict[str, Any] | None = None

    def schema_text(self) -> str | None:
        """Return the JSON schema of the answer, None for text; raises BadRequestError."""
        nested = None if self.json_schema is None else self.json_schema.definition
        if self.type == "json_object" and nested is None:
            return schema_text(self.type, self.definition or self.value, "response_format.schema")
        return schema_text(self.type, nested or self.definition, "response_format.json_schema")


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
    n: Annotated[int, Whole, Field(ge=1, le=MAX_CHOICES)] | None = None
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
    top_logprobs: Annotated[int, Whole, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    structured_outputs: dict[str, Any] | None = None
    guided_json: Any = None
    guided_choice: Any = None
    guided_regex: Any = None
    guided_grammar: Any = None
    tools: FewTools | None = None
    tool_choice: Any = None
    functions: FewFunctions | None = None
    function_call: Any = None
    modalities: Annotated[list[str], Field(max_length=MAX_MODALITIES, fail_fast=True)] | None = None

    def question(self) -> Question:
        """Return the request as a question; raises BadRequestError for anything unsupported."""
        self._require_supported()
        tools = self._tools()
        return Question(
            model=self.model,
            turns=tuple(_turn(index, message) for index, message in enumerate(self.messages)),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            temperature=self.temperature,
            num_choices=self.n or 1,
            sampling=self._sampling(forced_schema(tools) or self._answer_schema()),
            tools=tools,
        )

    @property
    def is_legacy(self) -> bool:
        """Whether tools are the older functions, whose call is ``function_call`` in the answer."""
        return bool(self.functions) and not self.tools

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    def _tools(self) -> Tools | None:
        if self.is_legacy:
            return functions_of(self.functions, self.function_call)
        return tools_of(self.tools, self.tool_choice)

    def _answer_schema(self) -> str | None:
        form = None if self.response_format is None else self.response_format.schema_text()
        given = guided_fields(self.model_dump(include=_GUIDED_FIELDS))
        return (
            form
            or structured_schema(self.structured_outputs or {}, "structured_outputs")
            or structured_schema(given, "guided_json")
        )

    def _sampling(self, schema: str | None) -> dict[str, Any]:
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        given = {
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
            "seed": usable_seed(self.seed),
            "stop": [one for one in stop or () if one] or None,
            "frequency_penalty": self.frequency_penalty or None,
            "presence_penalty": self.presence_penalty or None,
            "logit_bias": _biases(self.logit_bias) or None,
            "json_schema": schema,
            "num_logprobs": (self.top_logprobs or 0) if self.logprobs else None,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _require_supported(self) -> None:
        if self.top_logprobs and not self.logprobs:
            raise BadRequestError(
                "top_logprobs requires logprobs.", hint="set logprobs to true.", param="top_logprobs"
            )
        if any(one != "text" for one in self.modalities or ()):
            raise BadRequestError(
                "This release does not support modalities.", hint="leave it out.", param="modalities"
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
    parts = _parts(message.content, f"messages.{index}.content")
    if message.role in ("tool", "function"):
        text = "\n".join(part for part in parts if isinstance(part, str))
        shown = [part for part in parts if isinstance(part, Link)]
        return Turn("tool", (result_of(message.tool_call_id, message.name, text), *shown))
    calls = [call_of(one.function, one.id) for one in message.tool_calls or ()]
    if message.function_call is not None:
        calls.append(call_of(message.function_call, None))
    if calls and parts == ("",):
        parts = ()
    return Turn("system" if message.role == "developer" else message.role, (*parts, *calls))


def _parts(content: str | list[Part] | None, field: str) -> tuple[str | Link, ...]:
    if content is None or isinstance(content, str):
        return (content or "",)
    return tuple(_part(one, field) for one in content) or ("",)


def _part(part: TextContent | RefusalPart | ImagePart | VideoContent, field: str) -> str | Link:
    if isinstance(part, TextContent):
        return part.text
    if isinstance(part, RefusalPart):
        return part.refusal
    if isinstance(part, VideoContent):
        return part.link(field)
    if isinstance(part.image_url, str):
        return PictureLink(part.image_url, fineness(part.detail))
    return PictureLink(part.image_url.url, fineness(part.image_url.detail))
