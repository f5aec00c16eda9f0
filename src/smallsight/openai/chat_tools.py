"""The tools of a request for a chat completion, the older functions too, as the tools of a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from smallsight.answering.question import Tool, ToolCall, ToolResult, Tools
from smallsight.answering.tool_calls import compact_json
from smallsight.errors import BadRequestError
from smallsight.openai.wire_fields import Wire

MAX_TOOLS = 256
MAX_CALLS = 128
MAX_NAME_CHARS = 256
_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}

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
    tools: dict[str, Tool] = {}
    for index, one in enumerate(offered or ()):
        if one.function is not None:
            tools.setdefault(one.function.name, one.function.tool())
        elif one.type == "function" and choice != "none":
            raise BadRequestError(
                f"tools.{index} has no function.", hint="give its name.", param=f"tools.{index}.function"
            )
    return _chosen(tuple(tools.values()), choice, "tool_choice")


def functions_of(offered: Sequence[FunctionDefinition] | None, choice: object) -> Tools | None:
    """Return the older functions as tools, None without them; raises BadRequestError."""
    tools = {one.name: one.tool() for one in offered or ()}
    return _chosen(tuple(tools.values()), choice, "function_call")


def call_of(called: CalledFunction, call_id: str | None) -> ToolCall:
    """Return a call in an earlier answer; the older ones have no ids, so the name stands for it."""
    arguments = called.arguments
    if isinstance(arguments, dict):
        arguments = compact_json(arguments)
    return ToolCall(call_id or called.name, called.name, arguments or "{}")


def result_of(call_id: str | None, name: str | None, text: str) -> ToolResult:
    """Return what a tool returned."""
    return ToolResult(call_id or name or "", text)


def _chosen(tools: tuple[Tool, ...], choice: object, param: str) -> Tools | None:
    mode, names = _read_choice(choice, param)
    if names is not None and (missing := [one for one in names if one not in {t.name for t in tools}]):
        raise BadRequestError(
            f"{param} names {missing[0]!r:.80}, which is not among the tools.",
            hint="use the name of one of them.",
            param=param,
        )
    if names is not None:
        tools = tuple(one for one in tools if one.name in names)
    if not tools:
        if mode == "required":
            raise BadRequestError(f"{param} requires a tool, but there is none.", hint="add it.", param=param)
        return None
    if mode == "named":
        return Tools(tools, name=tools[0].name)
    return Tools(tools, "none" if mode == "none" else "required" if mode == "required" else "auto")


def _read_choice(choice: object, param: str) -> tuple[str, Sequence[str] | None]:
    """Return "auto", "none", "required" or "named", and the names of the tools that may be called."""
    if choice is None:
        return "auto", None
    if isinstance(choice, str) and choice in _MODES:
        return _MODES[choice], None
    if isinstance(choice, dict):
        if choice.get("type") == "allowed_tools":
            return _allowed(choice.get("allowed_tools", choice), param)
        if (name := _name_in(choice)) is not None:
            return "named", [name]
        if (mode := _MODES.get(str(choice.get("type")))) is not None:
            return mode, None
    raise BadRequestError(
        f"{param} is not valid.",
        hint='use "auto", "none", "required", or name a function.',
        param=param,
    )


def _allowed(allowed: object, param: str) -> tuple[str, Sequence[str]]:
    listed = allowed.get("tools") if isinstance(allowed, dict) else None
    names = [_name_in(one) for one in listed] if isinstance(listed, list) else []
    mode = allowed.get("mode", "auto") if isinstance(allowed, dict) else None
    if mode not in ("auto", "required") or not 1 <= len(names) <= MAX_TOOLS or None in names:
        raise BadRequestError(
            f"{param} has no valid allowed_tools.",
            hint='give a mode, "auto" or "required", and tools with the names of functions.',
            param=param,
        )
    return mode, [one for one in names if one is not None]


def _name_in(choice: object) -> str | None:
    """Return the name in ``{"type": "function", "function": {"name": ...}}``, also if it is flat."""
    if not isinstance(choice, dict) or choice.get("type", "function") != "function":
        return None
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None
