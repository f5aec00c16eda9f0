"""Haystack's chat generator for OpenAI's protocol."""

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage, ImageContent
from haystack.tools import Tool
from haystack.utils import Secret


def program(given: Given, report: Report) -> None:
    server = {"api_base_url": given.openai_url, "api_key": Secret.from_token(given.key), "max_retries": 0}
    generator = OpenAIChatGenerator(model=given.model, **server)
    picture = ImageContent.from_file_path(given.picture)
    asked = [ChatMessage.from_user(content_parts=[QUESTION, picture])]
    with report.feature("picture") as said:
        (first,) = generator.run(asked)["replies"]
        said(first.text)
    with report.feature("stream") as said:
        pieces: list[str] = []
        (whole,) = generator.run(asked, streaming_callback=lambda one: pieces.append(one.content))["replies"]
        said("".join(pieces))
        assert "".join(pieces) == whole.text == first.text
    with report.feature("second turn") as said:
        (second,) = generator.run([*asked, first, ChatMessage.from_user(NEXT_QUESTION)])["replies"]
        said(second.text)
    with report.feature("structured output") as said:
        (seen,) = generator.run(asked, generation_kwargs={"response_format": Seen})["replies"]
        said(Seen.model_validate_json(seen.text))
    tool = Tool("report", "Reports it.", Seen.model_json_schema(), lambda **seen: str(seen))
    with report.feature("forced tool") as said:
        forced = {"tool_choice": {"type": "function", "function": {"name": "report"}}}
        (answer,) = generator.run(asked, tools=[tool], generation_kwargs=forced)["replies"]
        (call,) = answer.tool_calls
        assert call.tool_name == "report"
        said(Seen.model_validate(call.arguments))
    with report.feature("offered tools") as said:
        (answer,) = generator.run(asked, tools=[tool])["replies"]
        said(answer.text)


tell(program)
