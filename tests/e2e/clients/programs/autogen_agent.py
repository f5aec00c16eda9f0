"""AutoGen's assistant with its client for OpenAI's protocol."""

import asyncio

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, MultiModalMessage, StructuredMessage
from autogen_core import Image
from autogen_core.models import ModelInfo
from autogen_ext.models.openai import OpenAIChatCompletionClient
from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell


def report_animal(animal: str) -> str:
    """Report what the picture shows."""
    return animal


async def ask(given: Given, report: Report) -> None:
    # It asks this of every model that is not OpenAI's.
    abilities = ModelInfo(
        vision=True, function_calling=True, json_output=True, structured_output=True, family="unknown"
    )
    client = OpenAIChatCompletionClient(
        model=given.model, base_url=given.openai_url, api_key=given.key, model_info=abilities, max_retries=0
    )
    shown = MultiModalMessage(content=[QUESTION, Image.from_file(given.picture)], source="user")

    def agent(**arguments: object) -> AssistantAgent:
        return AssistantAgent("describer", client, system_message=None, **arguments)

    describer = agent()
    with report.feature("picture") as said:
        whole = (await describer.run(task=shown)).messages[-1].to_text()
        said(whole)
    with report.feature("second turn") as said:
        said((await describer.run(task=NEXT_QUESTION)).messages[-1].to_text())
    with report.feature("stream") as said:
        events = [one async for one in agent(model_client_stream=True).run_stream(task=shown)]
        pieces = [one.content for one in events if isinstance(one, ModelClientStreamingChunkEvent)]
        assert len(pieces) > 1
        assert isinstance(events[-1], TaskResult)
        said("".join(pieces))
        assert "".join(pieces) == whole
    with report.feature("structured output") as said:
        answer = (await agent(output_content_type=Seen).run(task=shown)).messages[-1]
        assert isinstance(answer, StructuredMessage)
        assert isinstance(answer.content, Seen)
        said(answer.content)
    with report.feature("offered tools") as said:
        said((await agent(tools=[report_animal]).run(task=shown)).messages[-1].to_text())
    await client.close()


def program(given: Given, report: Report) -> None:
    asyncio.run(ask(given, report))


tell(program)
