"""Hugging Face's InferenceClient with the address of a server."""

from feature_report import NEXT_QUESTION, Given, Report, Seen, tell
from huggingface_hub import InferenceClient


def program(given: Given, report: Report) -> None:
    client = InferenceClient(base_url=given.openai_url, api_key=given.key)
    asked = {"model": given.model, "messages": given.openai_messages()}
    with report.feature("picture") as said:
        whole = client.chat.completions.create(**asked).choices[0].message.content
        said(whole)
    with report.feature("stream") as said:
        answer = client.chat.completions.create(**asked, stream=True)
        pieces = [one.choices[0].delta.content or "" for one in answer]
        said("".join(pieces))
        assert "".join(pieces) == whole
    with report.feature("second turn") as said:
        turns = [{"role": "assistant", "content": whole}, {"role": "user", "content": NEXT_QUESTION}]
        more = asked | {"messages": [*given.openai_messages(), *turns]}
        said(client.chat_completion(**more).choices[0].message.content)
    with report.feature("structured output") as said:
        schema = {"name": "seen", "schema": Seen.model_json_schema(), "strict": True}
        form = {"type": "json_schema", "json_schema": schema}
        answer = client.chat_completion(**asked, response_format=form)
        said(Seen.model_validate_json(answer.choices[0].message.content))
    with report.feature("forced tool") as said:
        function = {"name": "report", "description": "Reports it.", "parameters": Seen.model_json_schema()}
        tools = [{"type": "function", "function": function}]
        named = {"type": "function", "function": {"name": "report"}}
        answer = client.chat_completion(**asked, tools=tools, tool_choice=named)
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.name == "report"
        said(Seen.model_validate_json(call.function.arguments))
    with report.feature("model left out") as said:
        said(client.chat_completion(given.openai_messages()).choices[0].message.content)


tell(program)
