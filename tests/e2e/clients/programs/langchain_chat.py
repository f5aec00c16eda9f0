"""LangChain with one of its chat models; the name of the protocol comes first among the arguments."""

import sys

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool

PROTOCOL = sys.argv.pop(1)


def chat_model(given: Given) -> BaseChatModel:
    if PROTOCOL == "openai":
        from langchain_openai import ChatOpenAI

        return ChatOpenAI(base_url=given.openai_url, api_key=given.key, model=given.model, max_retries=0)
    if PROTOCOL == "anthropic":
        from langchain_anthropic import ChatAnthropic

        return ChatAnthropic(
            base_url=given.url, api_key=given.key, model=given.model, max_retries=0, max_tokens=100
        )
    from langchain_ollama import ChatOllama

    headers = {"headers": {"Authorization": f"Bearer {given.key}"}}
    return ChatOllama(base_url=given.url, model=given.model, client_kwargs=headers)


@tool
def report_animal(animal: str) -> str:
    """Report the animal in a picture."""
    return animal


def program(given: Given, report: Report) -> None:
    model = chat_model(given)
    picture = {"type": "image", "base64": given.base64, "mime_type": "image/png"}
    asked = [HumanMessage(content=[{"type": "text", "text": QUESTION}, picture])]
    with report.feature("picture") as said:
        whole = model.invoke(asked).text
        said(whole)
    with report.feature("stream") as said:
        pieces = [one.text for one in model.stream(asked)]
        said("".join(pieces))
        assert len(pieces) > 1
        assert "".join(pieces).strip() == whole.strip()
    with report.feature("second turn") as said:
        said(model.invoke([*asked, AIMessage(whole), HumanMessage(NEXT_QUESTION)]).text)
    with report.feature("structured output") as said:
        method = {} if PROTOCOL == "openai" else {"method": "json_schema"}
        seen = model.with_structured_output(Seen, **method).invoke(asked)
        assert isinstance(seen, Seen)
        said(seen)
    if PROTOCOL != "ollama":  # Ollama's protocol has no way to demand one
        with report.feature("forced tool") as said:
            forced = model.bind_tools([report_animal], tool_choice="report_animal")
            (call,) = forced.invoke(asked).tool_calls
            assert (call["name"], list(call["args"])) == ("report_animal", ["animal"])
            said(call["args"])
    with report.feature("offered tools") as said:
        said(model.bind_tools([report_animal]).invoke(asked).text)
    if PROTOCOL == "ollama":
        with report.feature("key in the address") as said:
            model = type(model)(base_url=given.url_with_key, model=given.model)
            said(model.invoke(QUESTION).text)


tell(program)
