"""LiteLLM with OpenAI's protocol, which programs use to reach any provider through one function."""

import litellm
from feature_report import EMBEDDER, NEXT_QUESTION, Given, Report, Seen, tell


def program(given: Given, report: Report) -> None:
    server = {"api_base": given.openai_url, "api_key": given.key, "max_retries": 0}
    asked = {"model": f"openai/{given.model}", "messages": given.openai_messages(), **server}
    with report.feature("picture") as said:
        whole = litellm.completion(**asked).choices[0].message.content
        said(whole)
    with report.feature("stream") as said:
        pieces = [one.choices[0].delta.content or "" for one in litellm.completion(**asked, stream=True)]
        said("".join(pieces))
        assert "".join(pieces) == whole
    with report.feature("second turn") as said:
        turns = [{"role": "assistant", "content": whole}, {"role": "user", "content": NEXT_QUESTION}]
        more = asked | {"messages": [*given.openai_messages(), *turns]}
        said(litellm.completion(**more).choices[0].message.content)
    with report.feature("structured output") as said:
        said(
            Seen.model_validate_json(
                litellm.completion(**asked, response_format=Seen).choices[0].message.content
            )
        )
    with report.feature("forced tool") as said:
        function = {"name": "report", "parameters": Seen.model_json_schema()}
        named = {"type": "function", "function": {"name": "report"}}
        answer = litellm.completion(
            **asked, tools=[{"type": "function", "function": function}], tool_choice=named
        )
        (call,) = answer.choices[0].message.tool_calls
        said(Seen.model_validate_json(call.function.arguments))
    with report.feature("embeddings") as said:
        answer = litellm.embedding(
            model=f"openai/{EMBEDDER}", input=["a cat"], encoding_format="float", **server
        )
        assert len(answer.data[0]["embedding"]) == 384
        said(len(answer.data))


tell(program)
