"""Pydantic AI's agents with one of its models; the name of the protocol comes first among the arguments."""

import asyncio
import sys

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.models import Model

PROTOCOL = sys.argv.pop(1)


def chat_model(given: Given) -> Model:
    if PROTOCOL == "anthropic":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        client = AsyncAnthropic(base_url=given.url, api_key=given.key, max_retries=0)
        return AnthropicModel(given.model, provider=AnthropicProvider(anthropic_client=client))
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(base_url=given.openai_url, api_key=given.key, max_retries=0)
    kind = OpenAIChatModel if PROTOCOL == "openai" else OpenAIResponsesModel
    return kind(given.model, provider=OpenAIProvider(openai_client=client))


async def ask(given: Given, report: Report) -> None:
    model = chat_model(given)
    agent = Agent(model, retries=0)
    asked = [QUESTION, BinaryContent(given.picture.read_bytes(), media_type="image/png")]
    with report.feature("picture") as said:
        first = await agent.run(asked)
        said(first.output)
    with report.feature("stream") as said:
        async with agent.run_stream(asked) as stream:
            pieces = [one async for one in stream.stream_text(delta=True, debounce_by=None)]
        said("".join(pieces))
        assert "".join(pieces).strip() == first.output.strip()
    with report.feature("second turn") as said:
        said((await agent.run(NEXT_QUESTION, message_history=first.all_messages())).output)
    with report.feature("forced tool") as said:
        seen = (await Agent(model, output_type=Seen, retries=0).run(asked)).output
        assert isinstance(seen, Seen)
        said(seen)
    if PROTOCOL != "anthropic":
        with report.feature("structured output") as said:
            seen = (await Agent(model, output_type=NativeOutput(Seen), retries=0).run(asked)).output
            assert isinstance(seen, Seen)
            said(seen)
    with report.feature("offered tools") as said:
        helped = Agent(model, retries=0)

        @helped.tool_plain
        def look_up(animal: str) -> str:
            """Return what is known about an animal."""
            return animal

        said((await helped.run(asked)).output)


def program(given: Given, report: Report) -> None:
    asyncio.run(ask(given, report))


tell(program)
