"""The tools of a request to the Responses protocol: functions, written flat, and which must be called.

Tools that OpenAI runs itself, such as web_search, do not exist here: they are never called, and refused by
name where an answer must call them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from smallsight.answering.question import Tool, Tools
from smallsight.errors import BadRequestError
from smallsight.openai.wire_fields import Wire

MAX_FLAT_TOOLS = 256
_SHOWN_CHARS = 60

ToolName: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class NestedFunction(Wire):
    """A function as chat completions write it; some clients send it here too."""

    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FlatTool(Wire):
    """A tool; only those of type "function" can be called. What else it says is returned as it is."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(max_length=256)]
    name: ToolName | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    function: NestedFunction | None = None


class NamedTool(Wire):
    """A tool by its type and name."""

    type: Annotated[str, Field(max_length=256)]
    name: ToolName | None = None
    function: NestedFunction | None = None


class ToolChoice(NamedTool):
    """The tool that an answer must call, or the list of those that it may call."""

    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list[NamedTool], Field(max_length=MAX_FLAT_TOOLS, fail_fast=True)] | None = None


FlatTools: TypeAlias = Annotated[list[FlatTool], Field(max_length=MAX_FLAT_TOOLS, fail_fast=True)]
FlatChoice: TypeAlias = Literal["auto", "none", "required"] | ToolChoice


def tools_in(given: Sequence[FlatTool] | None, choice: FlatChoice | None) -> Tools | None:
    """Return the tools of a question, None without any; raises BadRequestError for an impossible choice."""
    offered = {tool.name: tool for index, one in enumerate(given or ()) if (tool := _function(one, index))}
    if not isinstance(choice, ToolChoice):
        _require_callable(offered, given, choice)
        return Tools(tuple(offered.values()), choice or "auto") if offered else None
    if choice.type != "allowed_tools":
        name = _name_in(choice, offered, "tool_choice")
        return Tools(tuple(offered.values()), name=name)
    allowed = [
        _name_in(one, offered, f"tool_choice.tools.{index}")
        for index, one in enumerate(choice.tools or ())
        if one.type == "function" or choice.mode == "required"
    ]
    offered = {name: offered[name] for name in allowed}
    _require_callable(offered, given, choice.mode)
    return Tools(tuple(offered.values()), choice.mode) if offered else None


def _function(one: FlatTool, index: int) -> Tool | None:
    if one.type != "function":
        return None
    named = one.function or one
    if named.name is None:
        raise BadRequestError(f"tools.{index} has no name.", hint="give it one.", param=f"tools.{index}.name")
    return Tool(named.name, named.description or "", named.parameters or {})


def _name_in(chosen: NamedTool, offered: Mapping[str, Tool], param: str) -> str:
    if chosen.type != "function":
        raise BadRequestError(
            f"This release has no tool {chosen.type[:_SHOWN_CHARS]!r}: only functions can be called.",
            hint='name a tool of type "function", or choose "auto".',
            param=f"{param}.type",
        )
    name = (chosen.function or chosen).name
    if name is None or name not in offered:
        known = ", ".join(offered)[:200] or "none"
        raise BadRequestError(
            f"{param} names no function of tools: {(name or '')[:_SHOWN_CHARS]!r} (known: {known}).",
            hint="use the name of one of them.",
            param=f"{param}.name",
        )
    return name


def _require_callable(
    offered: Mapping[str, Tool], given: Sequence[FlatTool] | None, mode: str | None
) -> None:
    if mode != "required" or offered:
        return
    kinds = ", ".join(dict.fromkeys(one.type for one in given or ()))[:200]
    raise BadRequestError(
        f"An answer must call a tool, but there is no function among them ({kinds or 'there are none'}).",
        hint='add a tool of type "function", or choose "auto".',
        param="tool_choice",
    )
