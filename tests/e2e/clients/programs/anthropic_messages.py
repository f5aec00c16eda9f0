"""Anthropic's client for Python."""

from anthropic import Anthropic, NotFoundError
from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell

TOOLS = [{"name": "report", "description": "Reports it.", "input_schema": Seen.model_json_schema()}]


def program(given: Given, report: Report) -> None:
    client = Anthropic(base_url=given.url, api_key=given.key, max_retries=0)
    source = {"type": "base64", "media_type": "image/png", "data": given.base64}
    content = [{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]
    messages = [{"role": "user", "content": content}]
    asked = {"model": given.model, "max_tokens": 100, "messages": messages}
    with report.feature("picture") as said:
        whole = client.messages.create(**asked).content[0].text
        said(whole)
    with report.feature("stream") as said, client.messages.stream(**asked) as stream:
        said("".join(stream.text_stream))
        assert stream.get_final_text() == whole
    with report.feature("second turn") as said:
        turns = [
            *messages,
            {"role": "assistant", "content": whole},
            {"role": "user", "content": NEXT_QUESTION},
        ]
        said(client.messages.create(**asked | {"messages": turns}).content[0].text)
    with report.feature("structured output") as said:
        parsed = client.messages.parse(**asked, output_format=Seen).parsed_output
        assert isinstance(parsed, Seen)
        said(parsed)
    with report.feature("forced tool") as said:
        choice = {"type": "tool", "name": "report"}
        message = client.messages.create(**asked, tools=TOOLS, tool_choice=choice)
        (call,) = message.content
        assert (call.type, call.name, message.stop_reason) == ("tool_use", "report", "tool_use")
        said(Seen.model_validate(call.input))
    with report.feature("offered tools") as said:
        said(client.messages.create(**asked, tools=TOOLS).content[0].text)
    with report.feature("errors") as said:
        try:
            client.messages.create(**asked | {"model": "no-such-model"})
        except NotFoundError as error:
            said(error.body["error"]["message"])


tell(program)
