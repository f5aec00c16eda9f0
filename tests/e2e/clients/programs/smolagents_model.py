"""smolagents' model for OpenAI's protocol, which demands a call of one of its tools, as its agents do.

The prompt of its agents is longer than the context of a tiny model.
"""

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from PIL import Image
from smolagents import ChatMessage, OpenAIModel, tool


@tool
def report_animal(animal: str) -> str:
    """
    Report what the picture shows.

    Args:
        animal: The animal in it.
    """
    return animal


def program(given: Given, report: Report) -> None:
    model = OpenAIModel(
        given.model, api_base=given.openai_url, api_key=given.key, client_kwargs={"max_retries": 0}
    )
    picture = Image.open(given.picture)
    parts = [{"type": "text", "text": QUESTION}, {"type": "image", "image": picture}]
    asked = [ChatMessage(role="user", content=parts)]
    with report.feature("picture") as said:
        whole = model.generate(asked).content
        said(whole)
    with report.feature("stream") as said:
        pieces = [one.content for one in model.generate_stream(asked) if one.content]
        assert len(pieces) > 1
        assert "".join(pieces) == whole
        said("".join(pieces))
    with report.feature("second turn") as said:
        turns = [
            ChatMessage(role="assistant", content=whole),
            ChatMessage(role="user", content=NEXT_QUESTION),
        ]
        said(model.generate([*asked, *turns]).content)
    with report.feature("structured output") as said:
        form = {"type": "json_schema", "json_schema": {"name": "seen", "schema": Seen.model_json_schema()}}
        said(Seen.model_validate_json(model.generate(asked, response_format=form).content))
    with report.feature("forced tool") as said:
        (call,) = model.generate(asked, tools_to_call_from=[report_animal], max_tokens=40).tool_calls
        assert call.function.name == "report_animal"
        said(call.function.arguments)


tell(program)
