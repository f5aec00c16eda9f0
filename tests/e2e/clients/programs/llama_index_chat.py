"""LlamaIndex with one of its models; the name of the protocol comes first among the arguments."""

import sys

from feature_report import NEXT_QUESTION, QUESTION, Given, Report, Seen, tell
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms import LLM

PROTOCOL = sys.argv.pop(1)


def chat_model(given: Given) -> LLM:
    if PROTOCOL == "openai":
        from llama_index.llms.openai_like import OpenAILike

        return OpenAILike(
            *(given.model, 0.0),
            api_base=given.openai_url,
            api_key=given.key,
            max_retries=0,
            context_window=2048,
            is_chat_model=True,
            should_use_structured_outputs=True,
        )
    from llama_index.llms.ollama import Ollama
    from ollama import AsyncClient, Client

    server = {"host": given.url, "headers": {"Authorization": f"Bearer {given.key}"}}
    return Ollama(
        model=given.model,
        temperature=0.0,
        client=Client(**server),
        async_client=AsyncClient(**server),
        context_window=2048,
    )


def program(given: Given, report: Report) -> None:
    model = chat_model(given)
    blocks = [ImageBlock(path=given.picture), TextBlock(text=QUESTION)]
    asked = [ChatMessage(role="user", blocks=blocks)]
    with report.feature("picture") as said:
        whole = model.chat(asked).message.content
        said(whole)
    with report.feature("stream") as said:
        pieces = [one.delta or "" for one in model.stream_chat(asked)]
        said("".join(pieces))
        assert len(pieces) > 1
        assert "".join(pieces).strip() == whole.strip()
    with report.feature("second turn") as said:
        turns = [
            ChatMessage(role="assistant", content=whole),
            ChatMessage(role="user", content=NEXT_QUESTION),
        ]
        said(model.chat([*asked, *turns]).message.content)
    with report.feature("structured output") as said:
        seen = model.as_structured_llm(Seen).chat(asked).raw
        assert isinstance(seen, Seen)
        said(seen)


tell(program)
