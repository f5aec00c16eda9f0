"""The tools of a request for a chat completion, the older functions too, as the tools of a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from smallsight.answering.question import Tool, ToolCall, ToolResult, Tools
from smallsight.answering.tool_calls import compact_json
from smallsight.answering.tool_choice import chosen_tools, read_choice
from smallsight.errors import BadRequestError
from smallsight.openai.wire_fields import Wire

MAX_TOOLS = 256
MAX_CALLS = 128
MAX_NAME_CHARS = 256

CallName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
CallId: TypeAlias = Annotated[str, Field(max_length=MAX_NAME_CHARS)]


class FunctionDefinition(Wire):
    """A function, and the JSON schema of its arguments."""

    name: CallName
    description: str | None = None
    parameters: dict[str, Any] | None = None

    def tool(self) -> Tool:
        """Return it as a tool."""
        return Tool(self.name, self.description or "", self.parameters or {})


class ChatTool(Wire):
    """A tool; only functions can be called, so that other kinds are passed over."""

    type: Annotated[str, Field(max_length=MAX_NAME_CHARS)] = "function"
    function: FunctionDefinition | None = None


class CalledFunction(Wire):
    """A call in an earlier answer; some clients send the arguments as an object."""

    name: CallName
    arguments: str | dict[str, Any] | None = None


class ChatToolCall(Wire):
    """A call in an earlier answer, with its id."""

    id: CallId | None = None
    function: CalledFunction


FewTools: TypeAlias = Annotated[list[ChatTool], Field(max_length=MAX_TOOLS, fail_fast=True)]
FewFunctions: TypeAlias = Annotated[list[FunctionDefinition], Field(max_length=MAX_TOOLS, fail_fast=True)]
FewCalls: TypeAlias = Annotated[list[ChatToolCall], Field(max_length=MAX_CALLS, fail_fast=True)]


def tools_of(offered: Sequence[ChatTool] | None, choice: object) -> Tools | None:
    """Return the tools and the choice among them, None without tools; raises BadRequestError."""
    tools: list[Tool] = []
    for index, one in enumerate(offered or ()):
        if one.function is not None:
            tools.append(one.function.tool())
        elif one.type == "function" and choice != "none":
            raise BadRequestError(
                f"tools.{index} has no function.", hint="give its name.", param=f"tools.{index}.function"
            )
    others = [one.type for one in offered or () if one.function is None]
    return chosen_tools(tools, read_choice(choice), others)


def functions_of(offered: Sequence[FunctionDefinition] | None, choice: object) -> Tools | None:
    """Return the older functions as tools, None without them; raises BadRequestError."""
    return chosen_tools([one.tool() for one in offered or ()], read_choice(choice, "function_call"))


def call_of(called: CalledFunction, call_id: str | None) -> ToolCall:
    """Return a call in an earlier answer; the older ones have no ids, so the name stands for it."""
    arguments = called.arguments
    if isinstance(arguments, dict):
        arguments = compact_json(arguments)
    return ToolCall(call_id or called.name, called.name, arguments or "{}")


def result_of(call_id: str | None, name: str | None, text: str) -> ToolResult:
    """Return what a tool returned."""
    return ToolResult(call_id or name or "", text)
