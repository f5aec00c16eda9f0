"""LiteLLM with Ollama's and Anthropic's protocols."""

import litellm
from feature_report import Given, Report, Seen, tell


def program(given: Given, report: Report) -> None:
    messages = given.openai_messages()
    server = {"api_base": given.url, "api_key": given.key}
    asked = {"model": f"ollama_chat/{given.model}", "messages": messages, **server}
    with report.feature("picture") as said:
        whole = litellm.completion(**asked).choices[0].message.content
        said(whole)
    with report.feature("stream") as said:
        pieces = [one.choices[0].delta.content or "" for one in litellm.completion(**asked, stream=True)]
        said("".join(pieces))
        assert "".join(pieces).strip() == whole.strip()
    with report.feature("structured output") as said:
        answer = litellm.completion(**asked, response_format=Seen)
        said(Seen.model_validate_json(answer.choices[0].message.content))
    with report.feature("Anthropic's protocol") as said:
        answer = litellm.completion(**asked | {"model": f"anthropic/{given.model}"}, max_tokens=100)
        said(answer.choices[0].message.content)


tell(program)
