"""Tools: the schema that holds an answer to one of them, and the calls in such an answer.

A tool that an answer must call is held to its parameters while the answer is generated, so any model can call
it. Source: the OpenAI API reference on function calling.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from smallsight.answering.answer_schema import schema_text
from smallsight.answering.question import ToolCall, Tools
from smallsight.errors import BadRequestError
from smallsight.families.tool_text import CALL_BEGINS
from smallsight.model.answer import Answer

_ANY_ARGUMENTS = {"type": "object", "properties": {}}


def forced_schema(tools: Tools | None) -> str | None:
    """Return the JSON schema of an answer that must call a tool, None if it may be text.

    The answer is the arguments of the only tool, or {"name": ..., "arguments": ...} where there are several.
    """
    forced = () if tools is None else tools.forced
    if not forced:
        return None
    if len(forced) == 1:
        return schema_text("json_schema", dict(forced[0].parameters) or _ANY_ARGUMENTS, "tools")
    # Each tool's parameters are a definition, so that references inside them can be found from the root.
    definitions: dict[str, Any] = {}
    choices: list[dict[str, Any]] = []
    for index, tool in enumerate(forced):
        root = f"#/$defs/tool{index}"
        definitions[f"tool{index}"] = _moved(dict(tool.parameters) or _ANY_ARGUMENTS, root)
        choices.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": {"$ref": root}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    return schema_text("json_schema", {"anyOf": choices, "$defs": definitions}, "tools")


def _moved(schema: Any, root: str) -> Any:  # noqa: ANN401 - any JSON
    """Return a schema whose references to itself begin at ``root``."""
    if isinstance(schema, list):
        return [_moved(one, root) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: root + value[1:]
        if name == "$ref" and isinstance(value, str) and value.startswith("#")
        else _moved(value, root)
        for name, value in schema.items()
    }


def calls_in(text: str, tools: Tools | None) -> tuple[ToolCall, ...]:
    """Return the calls in an answer that was held to ``forced_schema``; none in text or cut-off JSON."""
    forced = () if tools is None else tools.forced
    try:
        found = json.loads(text) if forced else None
    except ValueError:
        return ()
    if not isinstance(found, dict):
        return ()
    if len(forced) == 1:
        return (_call(forced[0].name, found),)
    return (_call(str(found.get("name")), found.get("arguments")),)


def tools_text(tools: Tools) -> str:
    """Return tools and the choice among them as JSON in OpenAI's form, for models that know tools."""
    offered = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters) or _ANY_ARGUMENTS,
            },
        }
        for tool in tools.offered
    ]
    choice: object = tools.choice
    if tools.name is not None:
        choice = {"type": "function", "function": {"name": tools.name}}
    try:
        return json.dumps({"tools": offered, "tool_choice": choice}, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(
            "tools is not JSON.", hint="use finite numbers and less nesting.", param="tools"
        ) from error


def answer_parts(answer: Answer, tools: Tools | None) -> tuple[str, tuple[ToolCall, ...]]:
    """Return the text of an answer without its calls, and the calls."""
    if answer.tool_calls:
        return answer.text, answer.tool_calls
    calls = calls_in(answer.text, tools)
    return ("" if calls else answer.text), calls


class HeldText:
    """Holds back text of a streamed answer that may turn out to be a call."""

    def __init__(self, tools: Tools | None) -> None:
        self._holds_all = tools is not None and bool(tools.forced)
        self._looks = tools is not None and not self._holds_all and tools.choice != "none"
        self._pending = ""

    @property
    def is_holding(self) -> bool:
        """Whether all that arrives now is held back."""
        return self._holds_all or self._pending.startswith(CALL_BEGINS)

    def push(self, text: str) -> str:
        """Add new text; return what can be shown now."""
        if self._holds_all or not self._looks:
            return "" if self._holds_all else text
        text, self._pending = self._pending + text, ""
        at = text.find(CALL_BEGINS)
        if at < 0:
            sizes = range(min(len(text), len(CALL_BEGINS) - 1), 0, -1)
            at = len(text) - next((size for size in sizes if text.endswith(CALL_BEGINS[:size])), 0)
        self._pending = text[at:]
        return text[:at]

    def rest(self, text: str) -> str:
        """Return what was held back of an answer with this text, at its end and without calls in it."""
        return text if self._holds_all else self._pending.rstrip()


def compact_json(value: object) -> str:
    """Return a value as JSON without spaces, as arguments are written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _call(name: str, arguments: object) -> ToolCall:
    return ToolCall(f"call_{secrets.token_hex(12)}", name, compact_json(arguments))
