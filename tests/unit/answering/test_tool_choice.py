"""Which tools may be called, and which must be, by one set of rules."""

from __future__ import annotations

from typing import Any

import pytest

from smallsight.answering.question import Tool
from smallsight.answering.tool_choice import ToolChoice, chosen_tools, read_choice
from smallsight.errors import BadRequestError

SEE, NOW = Tool("see"), Tool("now")
FUNCTION = {"type": "function", "name": "now"}
NESTED = {"type": "function", "function": {"name": "now"}}
SEARCH = {"type": "web_search"}


@pytest.mark.parametrize(
    ("choice", "mode", "offered", "forced"),
    [
        (None, "auto", "see now", ""),
        ("auto", "auto", "see now", ""),
        ("none", "none", "see now", ""),
        ({"type": "none"}, "none", "see now", ""),
        ("required", "required", "see now", "see now"),
        ("any", "required", "see now", "see now"),
        (FUNCTION, "auto", "see now", "now"),
        (NESTED, "auto", "see now", "now"),
        ({"function": {"name": "see"}}, "auto", "see now", "see"),
        ({"type": "allowed_tools", "tools": [FUNCTION]}, "auto", "now", ""),
        ({"type": "allowed_tools", "mode": "required", "tools": [FUNCTION]}, "required", "now", "now"),
        ({"type": "allowed_tools", "allowed_tools": {"tools": [NESTED, SEARCH]}}, "auto", "now", ""),
    ],
    ids=str,
)
def test_every_form_of_a_choice(choice: Any, mode: str, offered: str, forced: str):
    tools = chosen_tools([SEE, NOW, Tool("see", "again")], read_choice(choice))
    assert tools is not None
    assert tools.choice == mode
    assert [tool.name for tool in tools.offered] == offered.split()
    assert [tool.name for tool in tools.forced] == forced.split()
    assert tools.offered[0] in (SEE, NOW), "the first of a name counts"


@pytest.mark.parametrize(
    ("choice", "param", "words"),
    [
        (5, "tool_choice", "not valid"),
        ("now", "tool_choice", "not valid"),
        ({"type": 5}, "tool_choice.type", "no valid type"),
        ({}, "tool_choice.name", "names no function"),
        ({"type": "function", "name": "hear"}, "tool_choice.name", r"'hear' \(known: see, now\)"),
        ({"function": {"name": "hear"}}, "tool_choice.function.name", "'hear'"),
        ({"type": "web_search"}, "tool_choice.type", "'web_search': only functions"),
        ({"type": "allowed_tools"}, "tool_choice", "allowed_tools"),
        ({"type": "allowed_tools", "tools": []}, "tool_choice", "allowed_tools"),
        ({"type": "allowed_tools", "tools": [FUNCTION] * 257}, "tool_choice", "allowed_tools"),
        ({"type": "allowed_tools", "tools": [{"name": "hear"}]}, "tool_choice.tools", "'hear'"),
        ({"type": "allowed_tools", "mode": "required", "tools": [SEARCH]}, "tool_choice.tools.0.type", "web"),
    ],
    ids=str,
)
def test_a_choice_that_cannot_be_honoured_names_its_place(choice: Any, param: str, words: str):
    with pytest.raises(BadRequestError, match=words) as caught:
        chosen_tools([SEE, NOW], read_choice(choice))
    assert caught.value.param == param


def test_without_tools_only_a_required_call_is_refused():
    for choice in (ToolChoice(), ToolChoice("none")):
        assert chosen_tools([], choice) is None
    with pytest.raises(BadRequestError, match=r"no tool that can be called \(web_search\)"):
        chosen_tools([], ToolChoice("required"), ["web_search", "web_search"])
    with pytest.raises(BadRequestError, match=r"function_call names no tool .* \(known: none\)"):
        chosen_tools([], read_choice({"name": "now"}, "function_call"))
