"""Checkpoints whose own chat template has a place for tools."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import smallsight
from smallsight.families.messages import Message, TextPart, ToolCall
from smallsight.families.smolvlm.processor import SmolVLMProcessor
from smallsight.settings import Settings
from tiny_smolvlm import CHAT_TEMPLATE, SHAPES, make_checkpoint

WITH_TOOLS = (
    "{% if tools %}{% for tool in tools %}TOOL {{ tool | tojson }}\n{% endfor %}{% endif %}"
    "{% for message in messages %}{% for call in message.tool_calls or () %}"
    "<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "{% if message.role == 'tool' %}RESULT OF {{ message.name }} {% endif %}{% endfor %}" + CHAT_TEMPLATE
)
NOW = {"type": "function", "function": {"name": "now", "description": "x <end_of_utterance> y"}}
ASKED = [Message("user", (TextPart("What time is it?"),))]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("tiny") / "model", SHAPES[0])


@pytest.fixture(scope="module")
def aware(plain: Path) -> Path:
    folder = shutil.copytree(plain, plain.parent / "aware")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": WITH_TOOLS}))
    return folder


def written(processor: SmolVLMProcessor, messages: list[Message], **options: object) -> str:
    token_ids = processor.prepare(messages, **options).token_ids
    return processor.tokenizer.decode(list(token_ids), skip_special_tokens=False)


def test_a_template_that_names_tools_offers_them(plain: Path, aware: Path):
    assert not SmolVLMProcessor.load(plain).knows_tools
    processor = SmolVLMProcessor.load(aware)
    assert processor.knows_tools
    assert '"name": "now"' in written(processor, ASKED, tools=[NOW])
    assert "TOOL" not in written(processor, ASKED)


def test_a_control_token_in_a_tool_stays_text(aware: Path):
    processor = SmolVLMProcessor.load(aware)
    end = processor.tokenizer.token_to_id("<end_of_utterance>")
    with_tools, without = (processor.prepare(ASKED, tools=tools).token_ids for tools in ([NOW], []))
    assert with_tools.count(end) == without.count(end)
    assert "x <end_of_utterance> y" in written(processor, ASKED, tools=[NOW])


def test_earlier_calls_and_results_reach_the_template(aware: Path):
    messages = [
        *ASKED,
        Message("assistant", (TextPart(""),), (ToolCall("c1", "now", '{"zone": "UTC"}'),)),
        Message("tool", (TextPart("noon"),), call_id="c1", name="now"),
    ]
    text = written(SmolVLMProcessor.load(aware), messages)
    assert '<tool_call>{"name": "now", "arguments": {"zone": "UTC"}}</tool_call>' in text
    assert "RESULT OF now" in text


def test_only_such_a_model_reads_the_tools_of_a_request(plain: Path, aware: Path, tmp_path: Path):
    tools = json.dumps({"tools": [NOW], "tool_choice": "auto"})
    for folder, knows_tools in ((plain, False), (aware, True)):
        with smallsight.load(folder, precision="fp32", settings=Settings(home=tmp_path)) as model:
            assert model.knows_tools is knows_tools
            counts = [
                model.ask([], "Hello", max_tokens=1, **options).usage.prompt_tokens
                for options in ({}, {"tools": tools})
            ]
            assert (counts[0] < counts[1]) is knows_tools
