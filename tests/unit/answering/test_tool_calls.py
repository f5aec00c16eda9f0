"""The schema that holds an answer to a tool, and the calls in such an answer."""

from __future__ import annotations

import json
from dataclasses import replace

from smallsight.answering.question import Tool, Tools
from smallsight.answering.tool_calls import answer_parts, calls_in, forced_schema, is_whole, whole_parts
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
    (call,) = calls_in('{"arguments": {"animal": "owl"}, "name": "Seen"}', Tools((SEEN, TIME), "required"))
    assert (call.name, call.arguments) == ("Seen", '{"animal":"owl"}')
    assert calls_in('{"animal": "owl"}', Tools((SEEN,))) == ()
    others = ('{"name": "other", "arguments": {}}', '{"name": []}', "5")
    for text in ("I cannot see it.", '{"name": "no', "[1]", "", *others):
        assert calls_in(text, Tools((SEEN, TIME), "required")) == ()


def test_a_call_that_was_cut_off_is_text_where_arguments_are_objects():
    tools = Tools((SEEN,), "required")
    cut = Answer('{"animal": "ow', (), "length", Usage(0, 0, 0), Timings(), "m")
    text, (call,) = answer_parts(cut, tools)
    assert (text, call.arguments, is_whole(call)) == ("", '{"animal":"ow', False)
    assert whole_parts(cut, tools) == ('{"animal": "ow', ())
    text, (call,) = whole_parts(replace(cut, text='{"animal": "owl"}'), tools)
    assert (text, is_whole(call)) == ("", True)


def test_the_calls_of_a_model_that_knows_tools_come_first():
    call = ToolCall("c", "now", "{}")
    answer = Answer("Let me see.", (), "stop", Usage(0, 0, 0), Timings(), "m", tool_calls=(call,))
    assert answer_parts(answer, Tools((SEEN,))) == ("Let me see.", (call,))
