"""Which tools an answer may call and which it must: one set of rules for every protocol.

Source of the form that ``read_choice`` reads: the OpenAI API reference, chat completions and responses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smallsight.answering.question import Tool, ToolMode, Tools
from smallsight.errors import BadRequestError

MAX_ALLOWED = 256
_MODES: Mapping[str, ToolMode] = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_SHOWN_CHARS = 60
_SHOWN_LIST_CHARS = 200
_HINT = 'use "auto", "none" or "required", or an object with the string "function" as type and a name.'


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What a request says about calls: ``name`` must be called, and only those of ``allowed`` may be.

    ``param`` is its place in the body, for errors, and ``name_param`` that of a name.
    """

    mode: ToolMode = "auto"
    name: str | None = None
    allowed: tuple[str, ...] | None = None
    param: str = "tool_choice"
    name_param: str = "tool_choice.name"


def read_choice(choice: object, param: str = "tool_choice") -> ToolChoice:
    """Return a choice in OpenAI's form, of chat completions or of responses; raises BadRequestError."""
    if choice is None:
        return ToolChoice(param=param)
    if isinstance(choice, str) and choice in _MODES:
        return ToolChoice(_MODES[choice], param=param)
    if not isinstance(choice, dict):
        raise BadRequestError(f"{param} is not valid.", hint=_HINT, param=param)
    kind = choice.get("type", "function")
    if not isinstance(kind, str):
        raise BadRequestError(f"{param} has no valid type.", hint=_HINT, param=f"{param}.type")
    if kind == "allowed_tools":
        return _allowed(choice.get("allowed_tools", choice), param)
    if kind in _MODES:
        return ToolChoice(_MODES[kind], param=param)
    name, name_param = _name_in(choice, param)
    return ToolChoice(name=name, param=param, name_param=name_param)


def chosen_tools(
    offered: Iterable[Tool], choice: ToolChoice, other_kinds: Collection[str] = ()
) -> Tools | None:
    """Return the tools of a question, None where nothing can be called; raises BadRequestError.

    The first of several tools with one name counts. ``other_kinds`` are those that this server cannot call.
    """
    by_name: dict[str, Tool] = {}
    for tool in offered:
        by_name.setdefault(tool.name, tool)
    for name in (*(choice.allowed or ()), *([] if choice.name is None else [choice.name])):
        if name not in by_name:
            known = ", ".join(by_name)[:_SHOWN_LIST_CHARS] or "none"
            raise BadRequestError(
                f"{choice.param} names no tool of the request: {name[:_SHOWN_CHARS]!r} (known: {known}).",
                hint="use the name of one of them.",
                param=choice.name_param,
            )
    tools = tuple(one for one in by_name.values() if choice.allowed is None or one.name in choice.allowed)
    if tools:
        return Tools(tools, choice.mode, choice.name)
    if choice.mode == "required":
        kinds = ", ".join(dict.fromkeys(other_kinds))[:_SHOWN_LIST_CHARS]
        raise BadRequestError(
            f"{choice.param} requires a call, but the request has no tool that can be called"
            f"{f' ({kinds})' if kinds else ''}.",
            hint='add a function, or choose "auto".',
            param=choice.param,
        )
    return None


def _allowed(allowed: object, param: str) -> ToolChoice:
    """Return a choice among some of the tools; other kinds are passed over unless one is required."""
    given: Mapping[str, Any] = allowed if isinstance(allowed, dict) else {}
    listed, mode = given.get("tools"), given.get("mode", "auto")
    if (
        mode not in ("auto", "required")
        or not isinstance(listed, list)
        or not 1 <= len(listed) <= MAX_ALLOWED
    ):
        raise BadRequestError(
            f"{param} has no valid allowed_tools.",
            hint='give a mode, "auto" or "required", and tools with the names of functions.',
            param=param,
        )
    names = [
        _name_in(one, f"{param}.tools.{index}")[0]
        for index, one in enumerate(listed)
        if mode == "required" or not isinstance(one, dict) or one.get("type", "function") == "function"
    ]
    return ToolChoice(mode, allowed=tuple(names), param=param, name_param=f"{param}.tools")


def _name_in(choice: object, param: str) -> tuple[str, str]:
    """Return the name of a function, in the object ``function`` or beside the type, and its place."""
    given: Mapping[str, Any] = choice if isinstance(choice, dict) else {}
    kind = given.get("type", "function")
    if kind != "function":
        raise BadRequestError(
            f"{param} names a tool of type {str(kind)[:_SHOWN_CHARS]!r}: only functions can be called.",
            hint='name a tool of type "function", or choose "auto".',
            param=f"{param}.type",
        )
    nested = given.get("function")
    name = (nested if isinstance(nested, dict) else given).get("name")
    place = f"{param}.function.name" if isinstance(nested, dict) else f"{param}.name"
    if not isinstance(name, str):
        raise BadRequestError(f"{param} names no function.", hint=_HINT, param=place)
    return name, place
