"""Instructor, which asks for structured answers as arguments of a tool, and as JSON of a schema."""

import instructor
from feature_report import QUESTION, Given, Report, Seen, tell
from openai import OpenAI


def program(given: Given, report: Report) -> None:
    messages = [{"role": "user", "content": [QUESTION, instructor.Image.from_path(given.picture)]}]

    def client(mode: instructor.Mode) -> instructor.Instructor:
        made = OpenAI(base_url=given.openai_url, api_key=given.key, max_retries=0)
        return instructor.from_openai(made, mode=mode)

    asked = {"model": given.model, "messages": messages, "response_model": Seen, "max_retries": 0}
    with report.feature("picture") as said:
        seen = client(instructor.Mode.TOOLS).chat.completions.create(**asked)
        assert isinstance(seen, Seen)
        said(seen)
    with report.feature("forced tool") as said:
        seen, raw = client(instructor.Mode.TOOLS).chat.completions.create_with_completion(**asked)
        (call,) = raw.choices[0].message.tool_calls
        assert Seen.model_validate_json(call.function.arguments).model_dump() == seen.model_dump()
        said(seen)
    with report.feature("structured output") as said:
        seen = client(instructor.Mode.JSON_SCHEMA).chat.completions.create(**asked)
        assert isinstance(seen, Seen)
        said(seen)
    with report.feature("stream") as said:
        partial = list(client(instructor.Mode.TOOLS).chat.completions.create_partial(**asked))
        assert partial[-1].model_dump() == seen.model_dump()
        said(partial[-1])


tell(program)
