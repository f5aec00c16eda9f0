"""Agno's agents with a model of OpenAI's protocol."""

from agno.agent import Agent
from agno.media import Image
from agno.models.openai import OpenAILike
from feature_report import QUESTION, Given, Report, Seen, tell


def program(given: Given, report: Report) -> None:
    def agent(**arguments: object) -> Agent:
        model = OpenAILike(id=given.model, base_url=given.openai_url, api_key=given.key)
        return Agent(model=model, telemetry=False, **arguments)

    pictures = [Image(filepath=given.picture)]
    with report.feature("picture") as said:
        whole = agent().run(QUESTION, images=pictures).content
        said(whole)
    with report.feature("stream") as said:
        events = agent().run(QUESTION, images=pictures, stream=True)
        pieces = [one.content for one in events if one.event == "RunContent"]
        said("".join(pieces))
        assert "".join(pieces) == whole
    with report.feature("structured output") as said:
        seen = agent(output_schema=Seen).run(QUESTION, images=pictures).content
        assert isinstance(seen, Seen)
        said(seen)
    with report.feature("offered tools") as said:

        def look_up(animal: str) -> str:
            """Return what is known about an animal."""
            return animal

        said(agent(tools=[look_up]).run(QUESTION, images=pictures).content)


tell(program)
