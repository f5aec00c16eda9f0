"""Semantic Kernel's chat completion for OpenAI's protocol."""

import asyncio

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from openai import AsyncOpenAI
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory, ChatMessageContent, ImageContent, TextContent
from semantic_kernel.functions import kernel_function


class Finder:
    @kernel_function(description="Report what the picture shows.")
    def report_animal(self, animal: str) -> str:
        return animal


async def ask(given: Given, report: Report) -> None:
    client = AsyncOpenAI(base_url=given.openai_url, api_key=given.key, max_retries=0)
    service = OpenAIChatCompletion(ai_model_id=given.model, async_client=client)
    kernel = Kernel()
    kernel.add_service(service)
    kernel.add_plugin(Finder(), "pictures")
    history = ChatHistory()
    picture = ImageContent.from_image_file(str(given.picture))
    history.add_message(ChatMessageContent(role="user", items=[TextContent(text=QUESTION), picture]))
    plain = OpenAIChatPromptExecutionSettings()
    with report.feature("picture") as said:
        whole = await service.get_chat_message_content(history, plain)
        said(whole)
    with report.feature("stream") as said:
        pieces = [str(one) async for one in service.get_streaming_chat_message_content(history, plain)]
        assert len(pieces) > 1
        said("".join(pieces))
    with report.feature("structured output") as said:
        form = OpenAIChatPromptExecutionSettings(response_format=Seen)
        said(Seen.model_validate_json(str(await service.get_chat_message_content(history, form))))
    with report.feature("offered tools") as said:
        form = OpenAIChatPromptExecutionSettings(function_choice_behavior=FunctionChoiceBehavior.Auto())
        said(await service.get_chat_message_content(history, form, kernel=kernel))
    with report.feature("forced tool") as said:
        required = FunctionChoiceBehavior.Required(auto_invoke=False)
        form = OpenAIChatPromptExecutionSettings(max_tokens=40, function_choice_behavior=required)
        (call,) = (await service.get_chat_message_content(history, form, kernel=kernel)).items
        assert call.name == "pictures-report_animal"
        said(call.arguments)
    with report.feature("second turn") as said:
        history.add_message(whole)
        history.add_user_message(NEXT_QUESTION)
        said(await service.get_chat_message_content(history, plain))


def program(given: Given, report: Report) -> None:
    asyncio.run(ask(given, report))


tell(program)
