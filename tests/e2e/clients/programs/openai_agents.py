"""OpenAI's agents, with chat completions or with responses: the first argument says which."""

import asyncio
import sys

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
)
from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from openai import AsyncOpenAI

KINDS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}
PROTOCOL = sys.argv.pop(1)
CALLED = []


@function_tool
def report_animal(animal: str) -> str:
    """Report the animal in a picture."""
    CALLED.append(animal)
    return "It was noted."


async def ask(given: Given, report: Report) -> None:
    client = AsyncOpenAI(base_url=given.openai_url, api_key=given.key, max_retries=0)
    model = KINDS[PROTOCOL](model=given.model, openai_client=client)
    agent = Agent(name="looking", instructions="Be brief.", model=model)
    picture = {"type": "input_image", "image_url": given.data_url, "detail": "auto"}
    asked = [{"role": "user", "content": [picture, {"type": "input_text", "text": QUESTION}]}]
    with report.feature("picture") as said:
        first = await Runner.run(agent, asked)
        said(first.final_output)
    with report.feature("stream") as said:
        run = Runner.run_streamed(agent, asked)
        pieces = [
            one.data.delta
            async for one in run.stream_events()
            if one.type == "raw_response_event" and one.data.type == "response.output_text.delta"
        ]
        said("".join(pieces))
        assert "".join(pieces).strip() == first.final_output.strip()
    with report.feature("second turn") as said:
        turns = [*first.to_input_list(), {"role": "user", "content": NEXT_QUESTION}]
        said((await Runner.run(agent, turns)).final_output)
    with report.feature("structured output") as said:
        seen = (await Runner.run(agent.clone(output_type=Seen), asked)).final_output
        assert isinstance(seen, Seen)
        said(seen)
    with report.feature("forced tool") as said:
        forced = agent.clone(tools=[report_animal], model_settings=ModelSettings(tool_choice="required"))
        ended = await Runner.run(forced, asked, max_turns=2)
        assert len(CALLED) == 1
        said(ended.final_output)
    with report.feature("offered tools") as said:
        said((await Runner.run(agent.clone(tools=[report_animal]), asked)).final_output)


def program(given: Given, report: Report) -> None:
    asyncio.run(ask(given, report))


tell(program)
