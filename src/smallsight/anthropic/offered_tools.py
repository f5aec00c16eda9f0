"""The tools of a request, and which of them the answer must call.

A tool that is only offered is never called by a model whose prompts know no tools: it answers in text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from smallsight.answering.question import Tool, Tools
from smallsight.answering.tool_choice import ToolChoice, chosen_tools
from smallsight.anthropic.content_blocks import MessagesWire
from smallsight.policy.log import get_logger

log = get_logger(__name__)

MAX_TOOLS = 256
_MAX_NAME_CHARS = 128


class OfferedTool(MessagesWire):
    """A tool of the client; one without a schema is run by Anthropic's servers, and is passed over here."""

    name: Annotated[str, Field(min_length=1, max_length=_MAX_NAME_CHARS)] | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None


class RequestedTool(MessagesWire):
    """Whether the answer must call a tool, and which."""

    type: Literal["auto", "any", "tool", "none"]
    name: Annotated[str, Field(max_length=_MAX_NAME_CHARS)] | None = None


def tools_of(offered: Sequence[OfferedTool], choice: RequestedTool | None) -> Tools | None:
    """Return a request's tools, None without any; raises BadRequestError for a choice that is not offered."""
    known = tuple(
        Tool(one.name, one.description or "", one.input_schema)
        for one in offered
        if one.name is not None and one.input_schema is not None
    )
    if len(known) < len(offered):
        log.info("tools_passed_over", number=len(offered) - len(known), why="they have no input_schema")
    return chosen_tools(known, _chosen(choice))


def _chosen(choice: RequestedTool | None) -> ToolChoice:
    if choice is None or choice.type == "auto":
        return ToolChoice()
    if choice.type == "tool":
        return ToolChoice(name=choice.name or "")
    return ToolChoice("none" if choice.type == "none" else "required")
