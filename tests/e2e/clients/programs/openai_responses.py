"""OpenAI's client for Python: responses, which the server stores for the second turn."""

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from openai import OpenAI, pydantic_function_tool


def program(given: Given, report: Report) -> None:
    client = OpenAI(base_url=given.openai_url, api_key=given.key, max_retries=0)
    picture = {"type": "input_image", "image_url": given.data_url, "detail": "auto"}
    content = [picture, {"type": "input_text", "text": QUESTION}]
    asked = {"model": given.model, "input": [{"role": "user", "content": content}]}
    with report.feature("picture") as said:
        first = client.responses.create(**asked)
        said(first.output_text)
    with report.feature("stream") as said:
        with client.responses.stream(**asked) as stream:
            pieces = [one.delta for one in stream if one.type == "response.output_text.delta"]
            final = stream.get_final_response()
        said(final.output_text)
        assert "".join(pieces) == final.output_text == first.output_text
    with report.feature("second turn") as said:
        second = client.responses.create(
            model=given.model, previous_response_id=first.id, input=NEXT_QUESTION
        )
        said(second.output_text)
        kept = client.responses.retrieve(second.id)
        assert kept.previous_response_id == first.id
    with report.feature("structured output") as said:
        parsed = client.responses.parse(**asked, text_format=Seen).output_parsed
        assert isinstance(parsed, Seen)
        said(parsed)
    tool = pydantic_function_tool(Seen, name="report")["function"]
    tools = [{"type": "function", **tool}]
    with report.feature("forced tool") as said:
        named = {"type": "function", "name": "report"}
        answer = client.responses.create(**asked, tools=tools, tool_choice=named)
        (call,) = answer.output
        assert (call.type, call.name) == ("function_call", "report")
        said(Seen.model_validate_json(call.arguments))
    with report.feature("offered tools") as said:
        said(client.responses.create(**asked, tools=tools).output_text)


tell(program)
