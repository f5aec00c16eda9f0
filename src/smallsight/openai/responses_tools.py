"""The tools of a request to the Responses protocol: functions, written flat, and which must be called.

Tools that OpenAI runs itself, such as web_search, do not exist here: they are never called, and refused by
name where an answer must call them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import ConfigDict, Field

from smallsight.answering.question import Tool, Tools
from smallsight.answering.tool_choice import chosen_tools, read_choice
from smallsight.errors import BadRequestError
from smallsight.openai.wire_fields import Wire

MAX_FLAT_TOOLS = 256

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


FlatTools: TypeAlias = Annotated[list[FlatTool], Field(max_length=MAX_FLAT_TOOLS, fail_fast=True)]


def tools_in(given: Sequence[FlatTool] | None, choice: object) -> Tools | None:
    """Return the tools of a question, None without any; raises BadRequestError for an impossible choice."""
    found = [_function(one, index) for index, one in enumerate(given or ())]
    others = [one.type for one in given or () if one.type != "function"]
    return chosen_tools([one for one in found if one is not None], read_choice(choice), others)


def _function(one: FlatTool, index: int) -> Tool | None:
    if one.type != "function":
        return None
    named = one.function or one
    if named.name is None:
        raise BadRequestError(f"tools.{index} has no name.", hint="give it one.", param=f"tools.{index}.name")
    return Tool(named.name, named.description or "", named.parameters or {})
