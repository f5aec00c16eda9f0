"""The schema that holds an answer to a tool, and the calls in such an answer."""

from __future__ import annotations

import json

from smallsight.answering.question import Tool, Tools
from smallsight.answering.tool_calls import HeldText, answer_parts, calls_in, forced_schema
from smallsight.engine.decoding.schema_trial import require_usable_schema
from smallsight.families.messages import ToolCall
from smallsight.model.answer import Answer, Timings, Usage

SEEN = Tool("Seen", "what is seen", {"type": "object", "properties": {"animal": {"enum": ["owl", "bee"]}}})
TIME = Tool("now")


def test_only_a_forced_tool_holds_the_answer():
    assert forced_schema(None) is None
    assert forced_schema(Tools((SEEN, TIME))) is None
    assert forced_schema(Tools((SEEN, TIME), "none")) is None
    assert json.loads(forced_schema(Tools((SEEN, TIME), name="Seen")))["properties"]["animal"]
    assert json.loads(forced_schema(Tools((TIME,), "required")))["type"] == "object"


def test_one_of_several_is_chosen_by_its_name():
    nested = Tool(
        "nested",
        parameters={
            "type": "object",
            "properties": {"what": {"$ref": "#/$defs/What"}},
            "required": ["what"],
            "$defs": {"What": {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]}},
        },
    )
    require_usable_schema(forced_schema(Tools((nested, SEEN), "required")))
    assert '"$ref": "#/$defs/tool0/$defs/What"' in forced_schema(Tools((nested, SEEN), "required"))
    choices = json.loads(forced_schema(Tools((SEEN, TIME), "required")))["anyOf"]
    assert [one["properties"]["name"]["const"] for one in choices] == ["Seen", "now"]


def test_calls_of_answers():
    (call,) = calls_in('{"animal": "owl"}', Tools((SEEN, TIME), name="Seen"))
    assert (call.name, call.arguments) == ("Seen", '{"animal":"owl"}')
    (call,) = calls_in('{"name": "now", "arguments": {}}', Tools((SEEN, TIME), "required"))
    assert (call.name, call.arguments) == ("now", "{}")
    assert calls_in('{"animal": "ow', Tools((SEEN,), "required")) == ()
    assert calls_in('{"animal": "owl"}', Tools((SEEN,))) == ()


def test_the_calls_of_a_model_that_knows_tools_come_first():
    call = ToolCall("c", "now", "{}")
    answer = Answer("Let me see.", (), "stop", Usage(0, 0, 0), Timings(), "m", tool_calls=(call,))
    assert answer_parts(answer, Tools((SEEN,))) == ("Let me see.", (call,))


def test_text_that_may_be_a_call_is_held_back():
    held = HeldText(Tools((SEEN, TIME)))
    assert [held.push(one) for one in ("a <", "b <tool", "_c", "all", "> x <tool_call> y")] == [
        *("a ", "<b ", "", "", ""),
    ]
    assert held.is_holding
    assert held.rest("") == "<tool_call> x <tool_call> y"
    assert HeldText(Tools((SEEN,), "required")).push("{") == ""
    assert HeldText(Tools((SEEN,), "none")).push("<tool_call>") == "<tool_call>"
    assert HeldText(None).push("<") == "<"
