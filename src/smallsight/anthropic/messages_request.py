"""The bodies of `POST /v1/messages` and its `count_tokens`, and their translation into a question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from smallsight.answering.answer_schema import schema_text
from smallsight.answering.question import Question, Tools, Turn
from smallsight.answering.tool_calls import forced_schema
from smallsight.anthropic.content_blocks import MAX_BLOCKS, MessageBlock, MessagesWire, TextBlock, turns_of
from smallsight.anthropic.offered_tools import MAX_TOOLS, OfferedTool, RequestedTool, tools_of
from smallsight.errors import RequestTooLargeError
from smallsight.http.json_body import MAX_TEXT_CHARS

_MAX_MESSAGES = 1000
_MAX_TOKENS = 1_000_000
_MAX_TOP_K = 1_000_000
_MAX_STOPS = 16


def _num_blocks(content: object, depth: int = 0) -> int:
    if not isinstance(content, list) or depth > 1:
        return 0
    inner = (block.get("content") for block in content if isinstance(block, dict))
    return len(content) + sum(_num_blocks(one, depth + 1) for one in inner)


def _require_few_blocks(messages: object) -> object:
    """Count the blocks of all messages before any is looked at, because checking each takes microseconds."""
    if isinstance(messages, list):
        shown = (one.get("content") for one in messages[:_MAX_MESSAGES] if isinstance(one, dict))
        num_blocks = sum(map(_num_blocks, shown))
        if num_blocks > MAX_BLOCKS:
            raise PydanticCustomError(
                "too_long", f"The messages have {num_blocks} blocks together (limit {MAX_BLOCKS})"
            )
    return messages


class SentMessage(MessagesWire):
    """One message of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | Annotated[list[MessageBlock], Field(max_length=MAX_BLOCKS, fail_fast=True)]


class AnswerFormat(MessagesWire):
    """The format that the answer must have; pydantic has a method called ``schema``."""

    type: Literal["json_schema"]
    definition: dict[str, Any] | None = Field(None, alias="schema")


class OutputConfig(MessagesWire):
    """Options of the answer; the effort is passed over."""

    format: AnswerFormat | None = None


class CountRequest(MessagesWire):
    """A conversation whose tokens are counted."""

    model: Annotated[str, Field(max_length=300)]
    messages: Annotated[
        list[SentMessage],
        Field(min_length=1, max_length=_MAX_MESSAGES, fail_fast=True),
        BeforeValidator(_require_few_blocks),
    ]
    system: str | Annotated[list[TextBlock], Field(max_length=MAX_BLOCKS, fail_fast=True)] | None = None
    tools: Annotated[list[OfferedTool], Field(max_length=MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: RequestedTool | None = None
    output_config: OutputConfig | None = None

    def question(self) -> Question:
        """Return the request as a question; raises BadRequestError for anything unsupported."""
        tools = tools_of(self.tools or (), self.tool_choice)
        turns = self._turns()
        _require_bounded_text(turns)
        return Question(
            model=self.model or None,
            turns=turns,
            max_tokens=self._longest(),
            temperature=self._warmth(),
            sampling=self._sampling(tools),
            tools=tools,
        )

    def _turns(self) -> tuple[Turn, ...]:
        given = [] if self.system is None else [("system", "system", self.system)]
        turns: list[Turn] = []
        for role, field, content in [
            *given,
            *(
                (one.role, f"messages.{index}.content", one.content)
                for index, one in enumerate(self.messages)
            ),
        ]:
            if isinstance(content, str):
                turns.append(Turn(role, (content,)))
            else:
                turns += [Turn(one.role, one.parts or ("",)) for one in turns_of(role, list(content), field)]
        return tuple(turns)

    def _sampling(self, tools: Tools | None) -> dict[str, Any]:
        schema = forced_schema(tools)
        form = None if self.output_config is None else self.output_config.format
        if schema is None and form is not None:
            schema = schema_text(form.type, form.definition, "output_config.format.schema")
        return {} if schema is None else {"json_schema": schema}

    def _longest(self) -> int | None:
        return None

    def _warmth(self) -> float | None:
        return None


def _require_bounded_text(turns: Iterable[Turn]) -> None:
    """Count text also where fields are named like those of pictures, which bodies do not count."""
    num_chars = 0
    for turn in turns:
        for part in turn.parts:
            texts = (getattr(part, name, "") for name in ("text", "arguments"))
            num_chars += len(part) if isinstance(part, str) else sum(map(len, texts))
    if num_chars > MAX_TEXT_CHARS:
        raise RequestTooLargeError(
            f"The messages have too much text: {num_chars} characters (limit {MAX_TEXT_CHARS}).",
            hint="only pictures may be larger.",
        )


class Metadata(MessagesWire):
    """What the client says about its user; it is not stored."""

    user_id: Annotated[str, Field(max_length=512)] | None = None


class MessagesRequest(CountRequest):
    """A conversation to continue."""

    max_tokens: Annotated[int, Field(ge=1, le=_MAX_TOKENS)]
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    top_k: Annotated[int, Field(ge=0, le=_MAX_TOP_K)] | None = None
    stop_sequences: Annotated[list[str], Field(max_length=_MAX_STOPS, fail_fast=True)] | None = None
    stream: bool | None = None
    metadata: Metadata | None = None

    def _sampling(self, tools: Tools | None) -> dict[str, Any]:
        given = {
            "top_p": self.top_p,
            "top_k": self.top_k,
            "stop": [one for one in self.stop_sequences or () if one] or None,
        }
        return super()._sampling(tools) | {name: value for name, value in given.items() if value is not None}

    def _longest(self) -> int | None:
        return self.max_tokens

    def _warmth(self) -> float | None:
        return self.temperature
