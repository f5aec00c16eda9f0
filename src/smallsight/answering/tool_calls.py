"""Tools: the schema that holds an answer to one of them, and the calls in such an answer.

A tool that an answer must call is held to its parameters while the answer is generated, so any model can call
it. Source: the OpenAI API reference on function calling.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from smallsight.answering.answer_schema import schema_text
from smallsight.answering.call_reader import CallReader
from smallsight.answering.question import ToolCall, Tools
from smallsight.errors import BadRequestError
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
    """Return the call in an answer that was held to ``forced_schema``; none in text.

    The arguments of an answer that was cut off are incomplete; see ``is_whole``. What another server writes
    after them is dropped.
    """
    reader = CallReader(tools)
    arguments = reader.push(text)
    if reader.name is not None:
        return (ToolCall(new_call_id(), reader.name, arguments),)
    if tools is None or len(tools.forced) < 2:
        return ()
    try:
        found = json.loads(text)  # another server may have the fields in another order
    except (ValueError, RecursionError):
        return ()
    if not isinstance(found, dict) or "arguments" not in found:
        return ()
    arguments = compact_json(found["arguments"])
    names = [tool.name for tool in tools.forced if tool.name == found.get("name")]
    return tuple(ToolCall(new_call_id(), name, arguments) for name in names)


def is_whole(call: ToolCall) -> bool:
    """Return whether a call's arguments are JSON, which those of an answer that was cut off are not."""
    try:
        json.loads(call.arguments)
    except (ValueError, RecursionError):
        return False
    return True


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
    """Return the text of an answer without its calls, and the calls; one that was cut off may be the last."""
    if answer.tool_calls:
        return answer.text, answer.tool_calls
    calls = calls_in(answer.text, tools)
    return ("" if calls else answer.text), calls


def whole_parts(answer: Answer, tools: Tools | None) -> tuple[str, tuple[ToolCall, ...]]:
    """Return text and calls for protocols whose arguments are objects: a call that was cut off is text."""
    text, calls = answer_parts(answer, tools)
    return (text, calls) if all(map(is_whole, calls)) else (answer.text, ())


def new_call_id() -> str:
    """Return an id for a call."""
    return f"call_{secrets.token_hex(12)}"


def compact_json(value: object) -> str:
    """Return a value as JSON without spaces, as arguments are written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
