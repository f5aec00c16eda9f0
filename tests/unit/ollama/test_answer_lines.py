"""How answers are written: calls of tools, and durations by which clients divide."""

from __future__ import annotations

import asyncio
import json

from smallsight.answering.cost import Cost
from smallsight.answering.question import Tool, Tools
from smallsight.model.answer import Answer, Timings, Usage
from smallsight.model.reply import FinishedReply, spaced_words
from smallsight.ollama.answer_lines import AnswerLines, chat_part, timestamp
from smallsight.services.exchange import Exchange

LOOK = Tools((Tool("look"),), "required")


def lines_of(text: str, tools: Tools | None) -> tuple[list[dict], dict]:
    """Return the lines of an answer, and the whole of it."""

    async def go() -> tuple[list[dict], dict]:
        answer = Answer(text, (), "stop", Usage(1, 0, 2), Timings(), "test")
        written = [AnswerLines("m", _exchange(answer), 0.0, chat_part, tools) for _ in range(2)]
        lines = [json.loads(one) async for one in written[0].lines() if not isinstance(one, Cost)]
        return lines, (await written[1].whole())[0]

    return asyncio.run(go())


def _exchange(answer: Answer) -> Exchange:
    return Exchange([FinishedReply(answer, spaced_words(answer.text))], "m", 0.0)


def test_a_call_is_one_part_with_arguments_as_an_object():
    (call, last), whole = lines_of('{"at": "owl"}', LOOK)
    assert (last["done"], last["message"]["content"]) == (True, "")
    for message in (call["message"], whole["message"]):
        assert message["content"] == ""
        function = message["tool_calls"][0]["function"]
        assert function == {"index": 0, "name": "look", "arguments": {"at": "owl"}}


def test_a_call_that_was_cut_off_is_text():
    (text, _), whole = lines_of('{"at": "o', LOOK)
    assert text["message"] == whole["message"] == {"role": "assistant", "content": '{"at": "o'}


def test_text_arrives_word_by_word_without_leading_space():
    lines, whole = lines_of("  an owl", Tools((Tool("look"),)))
    assert [one["message"]["content"] for one in lines] == ["an", " owl", ""]
    assert whole["message"]["content"] == "  an owl"


def test_no_duration_is_zero():
    _, whole = lines_of("an owl", None)
    assert min(whole[name] for name in whole if name.endswith("duration")) > 0


def test_times_are_written_in_utc():
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
