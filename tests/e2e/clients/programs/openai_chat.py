"""OpenAI's client for Python: chat completions, models and embeddings."""

from feature_report import EMBEDDER, NEXT_QUESTION, Given, Report, Seen, tell
from openai import BadRequestError, NotFoundError, OpenAI, pydantic_function_tool


def program(given: Given, report: Report) -> None:
    client = OpenAI(base_url=given.openai_url, api_key=given.key, max_retries=0)
    asked = {"model": given.model, "messages": given.openai_messages()}
    with report.feature("models") as said:
        said(client.models.list().data[0].id)
        assert client.models.retrieve(given.model).id == given.model
    with report.feature("picture") as said:
        whole = client.chat.completions.create(**asked).choices[0].message.content
        said(whole)
    with report.feature("stream") as said:
        pieces = [
            one.choices[0].delta.content or ""
            for one in client.chat.completions.create(**asked, stream=True)
            if one.choices
        ]
        said("".join(pieces))
        assert len(pieces) > 1
        assert "".join(pieces) == whole
    with report.feature("second turn") as said:
        said(second_turn(client, given, whole))
    with report.feature("structured output") as said:
        parsed = client.chat.completions.parse(**asked, response_format=Seen).choices[0].message.parsed
        assert isinstance(parsed, Seen)
        said(parsed)
    tools = [pydantic_function_tool(Seen, name="report")]
    with report.feature("forced tool") as said:
        named = {"type": "function", "function": {"name": "report"}}
        (choice,) = client.chat.completions.create(**asked, tools=tools, tool_choice=named).choices
        (call,) = choice.message.tool_calls
        assert (call.function.name, choice.finish_reason) == ("report", "tool_calls")
        said(Seen.model_validate_json(call.function.arguments))
    with report.feature("offered tools") as said:
        said(client.chat.completions.create(**asked, tools=tools).choices[0].message.content)
    with report.feature("embeddings") as said:
        vector = client.embeddings.create(model=EMBEDDER, input="a cat").data[0].embedding
        assert len(vector) == 384
        said(len(vector))
    with report.feature("key in the address") as said:
        addressed = OpenAI(base_url=f"{given.url_with_key}/v1", api_key="replaced", max_retries=0)
        said(addressed.models.list().data[0].id)
    with report.feature("errors") as said:
        said(refusals(client, given))


def second_turn(client: OpenAI, given: Given, answer: str) -> str:
    messages = [*given.openai_messages(), {"role": "assistant", "content": answer}]
    messages.append({"role": "user", "content": NEXT_QUESTION})
    return client.chat.completions.create(model=given.model, messages=messages).choices[0].message.content


def refusals(client: OpenAI, given: Given) -> str:
    told = []
    for wrong, changed in (
        (NotFoundError, {"model": "no-such-model"}),
        (BadRequestError, {"temperature": 9}),
    ):
        asked = {"model": given.model, "messages": given.openai_messages(), **changed}
        try:
            client.chat.completions.create(**asked)
        except wrong as error:
            told.append(error.body["message"])
    assert len(told) == 2
    return " ".join(told)


tell(program)
