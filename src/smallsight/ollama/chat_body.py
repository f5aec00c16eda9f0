"""The bodies of `POST /api/chat` and `POST /api/generate`, and their translation into questions.

Source: Ollama's docs/api.md, api/types.go and server/routes.go.
"""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from smallsight.answering.question import (
    Link,
    PictureLink,
    Question,
    Tool,
    ToolCall,
    ToolResult,
    Tools,
    Turn,
)
from smallsight.answering.tool_calls import forced_schema
from smallsight.errors import BadRequestError
from smallsight.ollama.keep_alive import keep_alive_s
from smallsight.ollama.sampling import OllamaBody, OllamaOptions, format_schema

_MAX_MESSAGES = 1000
_MAX_IMAGES = 2000
_MAX_TOOLS = 128

ModelTag: TypeAlias = Annotated[str, Field(max_length=300)]
Images: TypeAlias = Annotated[list[str], Field(max_length=_MAX_IMAGES, fail_fast=True)]


class CallInHistory(OllamaBody):
    """The function of a call; ``arguments`` is an object, some clients send its text."""

    name: str
    arguments: dict[str, Any] | str | None = None


class EarlierCall(OllamaBody):
    """A call of a tool in an earlier answer."""

    id: str | None = None
    function: CallInHistory


class OllamaMessage(OllamaBody):
    """One message of a conversation, with pictures in base64."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None
    images: Images | None = None
    tool_calls: Annotated[list[EarlierCall], Field(max_length=_MAX_TOOLS, fail_fast=True)] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None

    def turn(self) -> Turn:
        """Return the message as a turn; pictures come before the text, as models are trained."""
        if self.role == "tool":
            return Turn("tool", (ToolResult(self.tool_call_id or self.tool_name or "", self.content or ""),))
        calls = tuple(_call(one) for one in self.tool_calls or ())
        links = picture_links(self.images)
        text = (self.content,) if self.content or not (calls or links) else ()
        role = "system" if self.role == "developer" else self.role
        return Turn(role, (*links, *(one or "" for one in text), *calls))


class OfferedFunction(OllamaBody):
    """A function that the client offers."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolOnOffer(OllamaBody):
    """A tool that the client offers."""

    function: OfferedFunction


class AskingBody(OllamaBody):
    """What both kinds of request have."""

    model: ModelTag = ""
    stream: bool | None = None
    format: Any = None
    options: OllamaOptions | None = None
    keep_alive: Annotated[float, Field(allow_inf_nan=False)] | str | None = None
    logprobs: bool | None = None

    @property
    def is_streamed(self) -> bool:
        """Whether the answer comes in lines, which is the default."""
        return self.stream is not False

    @property
    def keep_alive_s(self) -> float | None:
        """How long the model stays loaded; None if the request does not say. Raises BadRequestError."""
        return keep_alive_s(self.keep_alive)

    def _asked(self, turns: tuple[Turn, ...], tools: Tools | None = None) -> Question:
        if self.logprobs:
            raise _unsupported("logprobs", "leave it out, or use /v1/chat/completions.")
        options = self.options or OllamaOptions()
        sampling = options.sampling()
        if (schema := forced_schema(tools) or format_schema(self.format)) is not None:
            sampling["json_schema"] = schema
        return Question(
            model=model_name(self.model),
            turns=turns,
            max_tokens=options.max_tokens,
            temperature=options.temperature,
            sampling=sampling,
            tools=tools,
        )


class ChatBody(AskingBody):
    """A conversation to continue; without messages the model is only loaded or unloaded."""

    messages: Annotated[list[OllamaMessage], Field(max_length=_MAX_MESSAGES, fail_fast=True)] | None = None
    tools: Annotated[list[ToolOnOffer], Field(max_length=_MAX_TOOLS, fail_fast=True)] | None = None
    tool_choice: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not self.messages

    def question(self) -> Question:
        """Return the request as a question; raises BadRequestError."""
        return self._asked(tuple(one.turn() for one in self.messages or ()), self._offered())

    def _offered(self) -> Tools | None:
        """Return the tools; ``tool_choice``, which Ollama does not have, works as in OpenAI's protocols."""
        offered = tuple(
            Tool(one.function.name, one.function.description or "", one.function.parameters or {})
            for one in self.tools or ()
        )
        if not offered or self.tool_choice == "none":
            return None
        if isinstance(self.tool_choice, dict):
            function = self.tool_choice.get("function", self.tool_choice)
            name = function.get("name") if isinstance(function, dict) else None
            if name not in [tool.name for tool in offered]:
                raise BadRequestError("tool_choice names no tool of the request.", param="tool_choice")
            return Tools(offered, name=name)
        return Tools(offered, "required" if self.tool_choice == "required" else "auto")


class GenerateBody(AskingBody):
    """One prompt; without prompt and pictures the model is only loaded or unloaded."""

    prompt: str | None = None
    images: Images | None = None
    system: str | None = None
    suffix: str | None = None
    template: str | None = None
    raw: bool | None = None
    context: list[Any] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not self.prompt and not self.images

    def question(self) -> Question:
        """Return the request as a question; raises BadRequestError for what would change the prompt."""
        if self.suffix:
            raise _unsupported("suffix", "no model here inserts text.")
        if (self.template or "").strip():
            raise _unsupported("template", "leave it out: each model has its own.")
        if self.raw:
            raise _unsupported("raw", "leave it out: the model's template is always used.")
        if self.context:
            raise _unsupported("context", "send the whole conversation to /api/chat.")
        parts = (*picture_links(self.images), *((self.prompt,) if self.prompt else ()))
        turns = [Turn("system", (self.system,))] if self.system else []
        return self._asked((*turns, Turn("user", parts)))


def model_name(tag: str) -> str | None:
    """Return a model's name without the tag ":latest"; None for no name."""
    name = tag.strip()
    if name[-len(":latest") :].lower() == ":latest":
        name = name[: -len(":latest")]
    return name or None


def picture_links(images: list[str] | None) -> tuple[Link, ...]:
    """Return links to pictures in base64, with or without the beginning of a data: URL."""
    return tuple(PictureLink(one if _is_url(one) else f"data:;base64,{one}") for one in images or ())


def _is_url(image: str) -> bool:
    return ":" in image[:8]


def _call(one: EarlierCall) -> ToolCall:
    arguments = one.function.arguments
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return ToolCall(one.id or f"call_{secrets.token_hex(4)}", one.function.name, text)


def _unsupported(name: str, hint: str) -> BadRequestError:
    return BadRequestError(f"{name} is not supported.", hint=hint, param=name)
