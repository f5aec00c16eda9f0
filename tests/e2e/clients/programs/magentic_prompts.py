"""Magentic, whose functions are prompts: structured answers are the arguments of a tool."""

from feature_report import QUESTION, Given, Report, Seen, tell
from magentic import Chat, ImageBytes, StreamedStr, UserMessage
from magentic.chat_model.openai_chat_model import OpenaiChatModel


def program(given: Given, report: Report) -> None:
    model = OpenaiChatModel(given.model, base_url=given.openai_url, api_key=given.key)
    messages = [UserMessage([ImageBytes(given.picture.read_bytes()), QUESTION])]

    with report.feature("picture") as said:
        whole = Chat(messages, model=model).submit().last_message.content
        said(whole)
    with report.feature("stream") as said:
        pieces = list(Chat(messages, model=model, output_types=[StreamedStr]).submit().last_message.content)
        said("".join(pieces))
        assert len(pieces) > 1
        assert "".join(pieces) == whole
    with report.feature("forced tool") as said:
        seen = Chat(messages, model=model, output_types=[Seen]).submit().last_message.content
        assert isinstance(seen, Seen)
        said(seen)


tell(program)
